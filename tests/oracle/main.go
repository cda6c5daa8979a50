// Command oracle writes data on which promproof is tested and asks real
// Prometheus servers for the answers that promproof must give. See README.md.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"
)

const usage = `usage:
  oracle generate -seed S [-sets N] -out DIR
  oracle ask -server BIN -version V -dir DIR -out FILE [-workers N] [-limit D] [-extra-flags "..."]
  oracle synth (the same flags; DIR is written by promproof synth)
`

func main() {
	// The server is started from this thread and must not outlive it.
	runtime.LockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "oracle:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, usage)
		return flag.ErrHelp
	}
	fs := flag.NewFlagSet(args[0], flag.ContinueOnError)
	switch args[0] {
	case "generate":
		seed := fs.Uint64("seed", 1, "seed of every random choice")
		sets := fs.Int("sets", 500, "number of independent series sets")
		out := fs.String("out", "", "directory to write to")
		if err := fs.Parse(args[1:]); err != nil {
			return err
		}
		if *out == "" || *sets < 1 || *sets > 9999 {
			return fmt.Errorf("generate needs -out and between 1 and 9999 -sets")
		}
		return generate(*out, *seed, *sets)
	case "ask", "synth":
		var o askOptions
		fs.StringVar(&o.server, "server", "", "Prometheus binary")
		fs.StringVar(&o.version, "version", "", "version that the binary must report, such as 2.42")
		fs.StringVar(&o.dir, "dir", "", "directory written by generate, or by promproof synth")
		fs.StringVar(&o.out, "out", "", "file for the answers")
		fs.IntVar(&o.workers, "workers", 8, "questions asked at the same time")
		fs.DurationVar(&o.limit, "limit", 30*time.Minute, "give up after this time")
		extra := fs.String("extra-flags", "", "flags for the server, separated by spaces")
		if err := fs.Parse(args[1:]); err != nil {
			return err
		}
		o.extraFlags = strings.Fields(*extra)
		if o.server == "" || o.dir == "" || o.out == "" || o.workers < 1 || o.workers > 64 {
			return fmt.Errorf("%s needs -server, -dir, -out and between 1 and 64 -workers", args[0])
		}
		if args[0] == "synth" {
			return askSynth(ctx, o)
		}
		return ask(ctx, o)
	}
	fmt.Fprint(os.Stderr, usage)
	return fmt.Errorf("unknown command %q", args[0])
}
