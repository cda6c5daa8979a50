package main

import (
	"context"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// server is a running Prometheus. It listens on the loopback interface only
// and ends with its context.
type server struct {
	url     string
	logFile string
	cancel  context.CancelFunc
	exited  chan struct{} // closed when the process has ended
}

// startServer runs the binary over dir/data and waits until it is ready.
func startServer(ctx context.Context, bin, dir string, extra []string) (*server, error) {
	config := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(config, nil, 0o666); err != nil {
		return nil, err
	}
	var err error
	// Another process may take the port between our look and the start.
	for range 3 {
		var s *server
		if s, err = startOnFreePort(ctx, bin, dir, config, extra); err == nil {
			return s, nil
		}
		if !strings.Contains(err.Error(), "address already in use") {
			break
		}
	}
	return nil, err
}

func startOnFreePort(ctx context.Context, bin, dir, config string, extra []string) (*server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, err
	}
	s := &server{url: "http://" + addr, logFile: filepath.Join(dir, "log"), exited: make(chan struct{})}
	log, err := os.Create(s.logFile)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has its own handle
	ctx, s.cancel = context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, bin, append([]string{
		"--config.file=" + config,
		"--storage.tsdb.path=" + filepath.Join(dir, "data"),
		"--storage.tsdb.retention.time=100y",
		"--web.listen-address=" + addr,
		"--query.max-concurrency=64",
		"--log.level=warn",
	}, extra...)...)
	cmd.Stdout, cmd.Stderr = log, log
	endWithParent(cmd)
	if err := cmd.Start(); err != nil {
		s.cancel()
		return nil, err
	}
	go func() {
		cmd.Wait() // killed on purpose, so its status says nothing
		close(s.exited)
	}()
	if err := s.waitReady(ctx); err != nil {
		s.stop()
		return nil, fmt.Errorf("%w; the server's log ends with: %s", err, s.logTail())
	}
	return s, nil
}

func (s *server) stop() {
	s.cancel()
	<-s.exited
}

// logTail returns the end of the server's log.
func (s *server) logTail() string {
	b, err := os.ReadFile(s.logFile)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(b[max(0, len(b)-1500):]))
}

func (s *server) waitReady(ctx context.Context) error {
	c := http.Client{Timeout: 2 * time.Second}
	for range 600 {
		select {
		case <-s.exited:
			return errors.New("the server ended")
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
		resp, err := c.Get(s.url + "/-/ready")
		if err != nil {
			continue
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return nil
		}
	}
	return errors.New("the server did not become ready within a minute")
}

// checkVersion makes sure that the answers are filed under the right version.
// A server that was built as a module does not know its own; its binary does.
func (s *server) checkVersion(ctx context.Context, bin, want string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/api/v1/status/buildinfo", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var body struct{ Data struct{ Version string } }
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		return err
	}
	have := body.Data.Version
	if have == "" {
		info, err := buildinfo.ReadFile(bin)
		if err != nil {
			return err
		}
		have = releaseOf(info.Main.Version)
	}
	if have != want && !strings.HasPrefix(have, want+".") {
		return fmt.Errorf("%s is version %q, not %q", bin, have, want)
	}
	return nil
}

// releaseOf turns a module version into that of the release: v0.42.0 is 2.42.0
// and v0.316.0 is 3.16.0.
func releaseOf(module string) string {
	var minor, patch int
	if _, err := fmt.Sscanf(module, "v0.%d.%d", &minor, &patch); err != nil {
		return module
	}
	if minor >= 300 {
		return fmt.Sprintf("3.%d.%d", minor-300, patch)
	}
	return fmt.Sprintf("2.%d.%d", minor, patch)
}
