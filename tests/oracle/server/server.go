// Package server runs Prometheus binaries.
package server

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Server is a running Prometheus. It listens on the loopback interface only
// and ends with its context.
type Server struct {
	URL     string
	logFile string
	cancel  context.CancelFunc
	exited  chan struct{} // closed when the process has ended
}

// Options say what to run.
type Options struct {
	Bin    string
	Dir    string // holds data/; the configuration and the log are written here
	Config string // text of the configuration
	Flags  []string
	// Line gets each line of the log at level info as it is written.
	Line func(string)
}

// Start runs the binary over the data and waits until it is ready.
func Start(ctx context.Context, o Options) (*Server, error) {
	var err error
	// Another process may take the port between our look and the start.
	for range 3 {
		var s *Server
		if s, err = Launch(ctx, o); err != nil {
			return nil, err
		}
		if err = s.WaitReady(ctx); err == nil {
			return s, nil
		}
		s.Stop()
		err = fmt.Errorf("%w; the server's log ends with: %s", err, s.LogTail())
		if !strings.Contains(err.Error(), "address already in use") {
			break
		}
	}
	return nil, err
}

// Launch starts the process and does not wait for it to be ready. The calling
// thread must live as long as the server shall.
func Launch(ctx context.Context, o Options) (*Server, error) {
	config := filepath.Join(o.Dir, "prometheus.yml")
	if err := os.WriteFile(config, []byte(o.Config), 0o666); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, err
	}
	s := &Server{URL: "http://" + addr, logFile: filepath.Join(o.Dir, "log"), exited: make(chan struct{})}
	log, err := os.Create(s.logFile)
	if err != nil {
		return nil, err
	}
	level := "warn"
	if o.Line != nil {
		level = "info"
	}
	ctx, s.cancel = context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, o.Bin, append([]string{
		"--config.file=" + config,
		"--storage.tsdb.path=" + filepath.Join(o.Dir, "data"),
		"--storage.tsdb.retention.time=100y",
		"--web.listen-address=" + addr,
		"--query.max-concurrency=64",
		"--log.level=" + level,
	}, o.Flags...)...)
	cmd.Stdout, cmd.Stderr = log, log
	if o.Line != nil {
		cmd.Stderr = io.MultiWriter(log, &lineWriter{line: o.Line})
	}
	endWithParent(cmd)
	if err := cmd.Start(); err != nil {
		s.cancel()
		log.Close()
		return nil, err
	}
	go func() {
		cmd.Wait() // killed on purpose, so its status says nothing
		log.Close()
		close(s.exited)
	}()
	return s, nil
}

// lineWriter hands on whole lines.
type lineWriter struct {
	line func(string)
	rest []byte
}

func (w *lineWriter) Write(b []byte) (int, error) {
	w.rest = append(w.rest, b...)
	for {
		line, rest, found := bytes.Cut(w.rest, []byte("\n"))
		if !found {
			return len(b), nil
		}
		w.line(string(line))
		w.rest = rest
	}
}

// Stop kills the process (SIGKILL) and waits for its end.
func (s *Server) Stop() {
	s.cancel()
	<-s.exited
}

// LogTail returns the end of the server's log.
func (s *Server) LogTail() string {
	b, err := os.ReadFile(s.logFile)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(b[max(0, len(b)-1500):]))
}

// WaitReady returns once the server answers, or with an error when it cannot.
func (s *Server) WaitReady(ctx context.Context) error {
	c := http.Client{Timeout: 2 * time.Second}
	for range 600 {
		select {
		case <-s.exited:
			return errors.New("the server ended")
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
		resp, err := c.Get(s.URL + "/-/ready")
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

// CheckVersion makes sure that the answers are filed under the right version.
// A server that was built as a module does not know its own; its binary does.
func (s *Server) CheckVersion(ctx context.Context, bin, want string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/api/v1/status/buildinfo", nil)
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
