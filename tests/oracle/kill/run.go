package main

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"promproof-oracle/server"
)

// aRun is one server's life, from kill to kill.
type aRun struct {
	version, bin string
	seed         uint64
	out          string
	limit        time.Duration
	rng          *rand.Rand
	flags        []string
	scrape       string // configuration of the scrapes
	storage      string // and of the storage, kept when copies are served

	dir     string
	start   time.Time
	targets []*target
	server  *server.Server
	replay  replay
	events  []event
	kills   int
	copies  chan *aKill
	written []*aKill
}

// event is something that happened to the server.
type event struct {
	TMs  int64  `json:"t_ms"`
	What string `json:"what"`
}

// aKill is the directory that a kill left, and what is known about it. It becomes run.json.
type aKill struct {
	Version  string           `json:"version"`
	Flags    []string         `json:"flags"`
	Config   string           `json:"config"`
	Seed     uint64           `json:"seed"`
	Kill     string           `json:"kill"`
	Cut      map[string]int64 `json:"cut,omitempty"` // bytes cut off a file's end after the kill
	Events   []event          `json:"events"`
	Down     [][]span         `json:"down_seconds"`
	EndMs    int64            `json:"end_ms"`
	Instants map[string]int64 `json:"instants_ms"`

	dir  string
	done error
}

func newRun(version, bin string, seed uint64, out string, limit time.Duration) *aRun {
	h := fnv.New64a()
	h.Write([]byte(version))
	r := &aRun{version: version, bin: bin, seed: seed, out: out, limit: limit, rng: rand.New(rand.NewPCG(seed, h.Sum64()))}
	r.flags = []string{"--storage.tsdb.min-block-duration=1m"}
	if !atLeast(version, 3, 12) {
		if r.rng.IntN(2) == 0 {
			r.flags = append(r.flags, "--no-storage.tsdb.wal-compression")
		}
		return r
	}
	features := "exemplar-storage,metadata-wal-records,st-storage,xor2-encoding,histograms-st-encoding"
	if r.rng.IntN(2) == 0 {
		features += ",fast-startup"
	}
	compression := []string{"--no-storage.tsdb.wal-compression", "--storage.tsdb.wal-compression-type=snappy", "--storage.tsdb.wal-compression-type=zstd"}
	r.flags = append(r.flags, compression[r.rng.IntN(3)], "--enable-feature="+features)
	r.storage = "storage: {tsdb: {out_of_order_time_window: 5m}}\n"
	return r
}

func atLeast(version string, major, minor int) bool {
	var a, b int
	fmt.Sscanf(version, "%d.%d", &a, &b)
	return a > major || a == major && b >= minor
}

func (r *aRun) all(ctx context.Context) error {
	if err := os.RemoveAll(r.out); err != nil {
		return err
	}
	if err := os.MkdirAll(r.out, 0o777); err != nil {
		return err
	}
	var err error
	if r.dir, err = os.MkdirTemp("", "oracle-kill-"); err != nil {
		return err
	}
	defer os.RemoveAll(r.dir)
	r.start = time.Now()
	for i := range 2 {
		t, err := newTarget(r.start, r.seed, uint64(i), 250*(1-i))
		if err != nil {
			return err
		}
		defer t.server.Close()
		r.targets = append(r.targets, t)
	}
	r.scrape = r.scrapeConfig()

	// Copies are served while the next ones come into being.
	r.copies = make(chan *aKill, 100)
	served := make(chan struct{})
	go func() {
		defer close(served)
		runtime.LockOSThread()
		for k := range r.copies {
			k.done = r.serve(ctx, k)
		}
	}()
	err = r.live(ctx)
	if r.server != nil {
		r.server.Stop()
	}
	close(r.copies)
	<-served
	if err != nil {
		return err
	}
	for _, k := range r.written {
		if k.done != nil {
			return fmt.Errorf("%s: %w", k.dir, k.done)
		}
	}
	return nil
}

func (r *aRun) scrapeConfig() string {
	job := func(name, lines string, targets ...int) string {
		text := fmt.Sprintf("- job_name: %s\n%s  static_configs:\n", name, lines)
		for _, i := range targets {
			text += fmt.Sprintf("  - {targets: ['%s'], labels: {instance: 'api-%d:8080'}}\n", r.targets[i].addr, i)
		}
		return text
	}
	text := "global: {scrape_interval: 1s, scrape_timeout: 900ms}\nscrape_configs:\n"
	if r.storage == "" {
		return text + job("movie-recommender", "", 0, 1)
	}
	return text +
		job("movie-recommender", "  scrape_native_histograms: true\n  always_scrape_classic_histograms: true\n", 0, 1) +
		job("batch", "  metrics_path: /batch\n  convert_classic_histograms_to_nhcb: true\n", 1)
}

// live is the script: kills at random, behind compactions and in a replay.
func (r *aRun) live(ctx context.Context) error {
	if err := r.begin(ctx); err != nil {
		return err
	}
	random := func(from, to float64) error {
		if err := sleep(ctx, from+(to-from)*r.rng.Float64()); err != nil {
			return err
		}
		return r.kill("at random")
	}
	if err := random(15, 45); err != nil {
		return err
	}
	if err := r.begin(ctx); err != nil {
		return err
	}
	soon := 0.05 * r.rng.Float64()
	if r.rng.IntN(3) == 0 {
		soon = 0
	}
	if err := r.atCompaction(ctx, soon); err != nil {
		return err
	}
	if err := r.duringReplay(ctx); err != nil {
		return err
	}
	if err := r.begin(ctx); err != nil {
		return err
	}
	// One that was interrupted is made up for at once, others come every minute.
	if err := r.atCompaction(ctx, 0.3+2*r.rng.Float64()); err != nil {
		return err
	}
	if err := r.begin(ctx); err != nil {
		return err
	}
	// Long enough for chunks to be cut and for series to come back.
	if err := sleep(ctx, 40); err != nil {
		return err
	}
	if err := r.atCompaction(ctx, 0.05*r.rng.Float64()); err != nil {
		return err
	}
	if err := r.begin(ctx); err != nil {
		return err
	}
	if err := random(8, 25); err != nil {
		return err
	}
	// What a lost page cache can do: the last segment ends early.
	last := r.written[len(r.written)-1]
	if err := r.cut(last, "wal", 1+int64(r.rng.IntN(60))); err != nil {
		return err
	}
	if err := r.cut(r.written[0], "wal", 1+int64(r.rng.IntN(9000))); err != nil {
		return err
	}
	if r.storage != "" {
		return r.cut(last, "wbl", 1+int64(r.rng.IntN(200)))
	}
	return nil
}

func sleep(ctx context.Context, seconds float64) error {
	select {
	case <-time.After(time.Duration(seconds * 1e9)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// replay watches the log for a line at which to kill.
type replay struct {
	lines atomic.Int64
	hit   chan struct{}
	at    int64 // kill at this line, counted from 1; 0 never
}

func (p *replay) line(text string) {
	if !strings.Contains(text, "eplaying") && !strings.Contains(text, "segment loaded") {
		return
	}
	if p.lines.Add(1) == p.at {
		close(p.hit)
	}
}

// options make the server live; it is to be killed at this line of its replay, 0 for never.
func (r *aRun) options(killAt int64) server.Options {
	r.replay.lines.Store(0)
	r.replay.hit, r.replay.at = make(chan struct{}), killAt
	return server.Options{Bin: r.bin, Dir: r.dir, Config: r.scrape + r.storage, Flags: r.flags, Line: r.replay.line}
}

func (r *aRun) begin(ctx context.Context) error {
	s, err := server.Start(ctx, r.options(0))
	if err != nil {
		return err
	}
	r.server = s
	r.happened("ready")
	// It takes some seconds until it scrapes.
	ready := float64(time.Now().UnixMilli()) / 1000
	for range 200 {
		a, err := ask(ctx, s, "max(timestamp(up)) > "+strconv.FormatFloat(ready, 'f', 3, 64), time.Now().UnixMilli())
		if err != nil {
			return err
		}
		if a.Type == "vector" && string(a.Result) != "[]" {
			r.happened("scrapes")
			return nil
		}
		if err := sleep(ctx, 0.1); err != nil {
			return err
		}
	}
	// What it leaves behind is as good as any.
	r.happened("does not scrape")
	return nil
}

func (r *aRun) happened(what string) {
	r.events = append(r.events, event{time.Now().UnixMilli(), what})
}

// duringReplay starts the server and kills it while it reads its log.
func (r *aRun) duringReplay(ctx context.Context) error {
	s, err := server.Launch(ctx, r.options(1+r.rng.Int64N(4)))
	if err != nil {
		return err
	}
	r.server = s
	select {
	case <-r.replay.hit:
		// Some of the time between this line and the next one.
		time.Sleep(time.Duration(r.rng.IntN(4000)) * time.Microsecond)
		return r.kill(fmt.Sprintf("in the replay, at its line %d", r.replay.at))
	case <-time.After(5 * time.Second):
		return r.kill("after a replay of few lines")
	case <-ctx.Done():
		return ctx.Err()
	}
}

var (
	blockName = regexp.MustCompile(`^[0-9A-HJKMNP-TV-Z]{26}$`)
	unborn    = regexp.MustCompile(`^[0-9A-HJKMNP-TV-Z]{26}\.tmp-for-creation$`)
)

func (r *aRun) entries(pattern *regexp.Regexp) []string {
	var names []string
	entries, _ := os.ReadDir(filepath.Join(r.dir, "data"))
	for _, e := range entries {
		if pattern.MatchString(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names
}

// atCompaction kills the server when it writes a block, or a moment after that: a block's folder gets its name when it
// is complete, and the truncation of head and log follows.
func (r *aRun) atCompaction(ctx context.Context, seconds float64) error {
	pattern, how := blockName, fmt.Sprintf("%.3f s after a compaction", seconds)
	if seconds == 0 {
		pattern, how = unborn, "in a compaction"
	}
	before := r.entries(pattern)
	for time.Since(r.start) < r.limit {
		if err := sleep(ctx, 0.001); err != nil {
			return err
		}
		if slices.ContainsFunc(r.entries(pattern), func(b string) bool { return !slices.Contains(before, b) }) {
			if err := sleep(ctx, seconds); err != nil {
				return err
			}
			return r.kill(how)
		}
	}
	return r.kill("at random, as no compaction came")
}

// kill keeps what the server leaves behind.
func (r *aRun) kill(how string) error {
	r.server.Stop()
	r.server = nil
	r.happened("killed " + how)
	k := r.newKill(how)
	if err := os.CopyFS(filepath.Join(k.dir, "data"), os.DirFS(filepath.Join(r.dir, "data"))); err != nil {
		return err
	}
	log, err := os.ReadFile(filepath.Join(r.dir, "log"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(k.dir, "log"), log, 0o666); err != nil {
		return err
	}
	r.written = append(r.written, k)
	r.copies <- k
	return nil
}

func (r *aRun) newKill(how string) *aKill {
	r.kills++
	k := &aKill{
		Version: r.version, Flags: r.flags, Config: r.storage, Seed: r.seed, Kill: how,
		Events: slices.Clone(r.events), dir: filepath.Join(r.out, fmt.Sprintf("kill-%d", r.kills)),
	}
	k.EndMs = k.Events[len(k.Events)-1].TMs
	for _, t := range r.targets {
		k.Down = append(k.Down, t.down)
	}
	k.Instants = r.instants(k)
	return k
}

// cut makes another directory of one that a kill left: the last segment of a log loses its last bytes.
func (r *aRun) cut(of *aKill, log string, bytes int64) error {
	k := r.newKill(of.Kill + ", then cut")
	k.Events, k.EndMs = of.Events, of.EndMs
	k.Instants = r.instants(k)
	if err := os.CopyFS(filepath.Join(k.dir, "data"), os.DirFS(filepath.Join(of.dir, "data"))); err != nil {
		return err
	}
	segments, err := filepath.Glob(filepath.Join(k.dir, "data", log, "[0-9]*"))
	if err != nil {
		return err
	}
	// The last one may be empty, just begun.
	for _, segment := range slices.Backward(segments) {
		info, err := os.Stat(segment)
		if err != nil {
			return err
		}
		if info.Size() > 0 {
			bytes = min(bytes, info.Size())
			k.Cut = map[string]int64{log + "/" + filepath.Base(segment): bytes}
			if err := os.Truncate(segment, info.Size()-bytes); err != nil {
				return err
			}
			break
		}
	}
	r.written = append(r.written, k)
	r.copies <- k
	return nil
}

func writeJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o666)
}
