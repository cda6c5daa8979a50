// Command kill lets real Prometheus servers scrape, kills them at all the
// wrong moments, and records what a restarted one serves. See ../README.md.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "kill:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	seed := flag.Uint64("seed", 1, "seed of the exporters, the moments and some flags")
	out := flag.String("out", "", "directory to write to")
	limit := flag.Duration("limit", 170*time.Second, "do not wait for further compactions after this time")
	var servers []string
	flag.Func("server", "VERSION=BIN, such as 2.42=/usr/bin/prometheus; may be repeated, they run side by side", func(s string) error {
		if version, bin, ok := strings.Cut(s, "="); !ok || version == "" || bin == "" {
			return fmt.Errorf("not VERSION=BIN")
		}
		servers = append(servers, s)
		return nil
	})
	flag.Parse()
	if *out == "" || len(servers) == 0 || flag.NArg() > 0 {
		flag.Usage()
		return fmt.Errorf("-out and at least one -server are needed")
	}
	// A hung server must not hang what waits for us.
	ctx, cancel := context.WithTimeout(ctx, *limit+5*time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	for _, s := range servers {
		version, bin, _ := strings.Cut(s, "=")
		wg.Go(func() {
			// Servers end with the thread that started them.
			runtime.LockOSThread()
			r := newRun(version, bin, *seed, filepath.Join(*out, fmt.Sprintf("%s-%d", version, *seed)), *limit)
			if err := r.all(ctx); err != nil {
				fail(fmt.Errorf("%s: %w", version, err))
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}
