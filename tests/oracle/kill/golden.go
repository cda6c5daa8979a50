package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"promproof-oracle/server"
)

// The grade's queries, and what they are made of.
var queries = []string{
	`sum(increase(recommend_requests_total[%ds]))`,
	`sum(increase(recommend_requests_total{status="200"}[%ds]))`,
	`sum(increase(recommend_requests_total{status="500"}[%ds]))`,
	`increase(recommend_requests_total[%ds])`,
	`avg_over_time(service_health_status[%ds])`,
	`histogram_quantile(0.95, sum(rate(recommend_latency_seconds_bucket[%ds])) by (le))`,
}

var windows = []int64{30, 60, 120, 300}

// instants chooses when to ask, by name.
func (r *aRun) instants(k *aKill) map[string]int64 {
	first := r.start.UnixMilli()
	at := map[string]int64{"end": k.EndMs, "after-end": k.EndMs + 4*60_000}
	for i, e := range k.Events[:len(k.Events)-1] {
		at[fmt.Sprintf("event-%d+3s", i)] = min(e.TMs+3000, k.EndMs)
	}
	for i := range 3 {
		at[fmt.Sprintf("random-%d", i)] = first + r.rng.Int64N(k.EndMs-first)
	}
	for i, t := range r.targets {
		for _, d := range t.down {
			if middle := first + int64((d.From+d.To)*500); middle < k.EndMs {
				at[fmt.Sprintf("outage-of-api-%d", i)] = middle
				at[fmt.Sprintf("30s-edge-in-outage-of-api-%d", i)] = middle + 30_000
			}
		}
	}
	return at
}

// answer is one line of golden.json, and all of served.json.
type answer struct {
	Query    string          `json:"query"`
	Time     json.Number     `json:"time"`
	Type     string          `json:"type"`
	Result   json.RawMessage `json:"result"`
	Error    string          `json:"error,omitempty"`
	Warnings []string        `json:"warnings,omitempty"`
	Infos    []string        `json:"infos,omitempty"`
}

// serve starts the same server over another copy and records what it serves.
func (r *aRun) serve(ctx context.Context, k *aKill) error {
	tmp, err := os.MkdirTemp("", "oracle-kill-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := os.CopyFS(filepath.Join(tmp, "data"), os.DirFS(filepath.Join(k.dir, "data"))); err != nil {
		return err
	}
	began := time.Now()
	// It has nobody to scrape. Without new samples it compacts after a minute at the earliest.
	s, err := server.Start(ctx, server.Options{Bin: r.bin, Dir: tmp, Config: r.storage, Flags: r.flags})
	if err != nil {
		return err
	}
	defer s.Stop()
	if err := s.CheckVersion(ctx, r.bin, r.version); err != nil {
		return err
	}
	ready := time.Since(began)
	all, err := ask(ctx, s, `{__name__=~".+"}[400d]`, k.EndMs+60_000)
	if err != nil {
		return err
	}
	k.addSampleInstants(all.Result)
	var lines bytes.Buffer
	head, err := json.Marshal(map[string]any{
		"version": r.version, "flags": k.Flags, "config": k.Config, "ready_seconds": ready.Seconds(),
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(&lines, "%s, \"answers\": [\n", head[:len(head)-1])
	n := 0
	for _, name := range sorted(k.Instants) {
		for _, w := range windows {
			for _, q := range queries {
				a, err := ask(ctx, s, fmt.Sprintf(q, w), k.Instants[name])
				if err != nil {
					return err
				}
				line, err := json.Marshal(a)
				if err != nil {
					return err
				}
				if n > 0 {
					lines.WriteString(",\n")
				}
				lines.Write(line)
				n++
			}
		}
	}
	lines.WriteString("\n]}\n")
	if took := time.Since(began); took > 50*time.Second {
		return fmt.Errorf("asking took %s, after which the server may have compacted", took)
	}
	if err := os.WriteFile(filepath.Join(k.dir, "golden.json"), lines.Bytes(), 0o666); err != nil {
		return err
	}
	line, err := json.Marshal(all)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(k.dir, "served.json"), append(line, '\n'), 0o666); err != nil {
		return err
	}
	fmt.Printf("%s: killed %s%s: ready after %.2f s, %d answers, %d bytes of samples\n", k.dir, k.Kill, cutText(k.Cut), ready.Seconds(), n, len(line))
	return writeJSON(filepath.Join(k.dir, "run.json"), k)
}

func cutText(cut map[string]int64) string {
	for file, n := range cut {
		return fmt.Sprintf(" (%s by %d bytes)", file, n)
	}
	return ""
}

// addSampleInstants adds the newest sample of api-0, its neighbours, and windows of 30 s that begin on a sample of api-1.
func (k *aKill) addSampleInstants(served json.RawMessage) {
	var series []struct {
		Metric map[string]string
		Values [][2]json.RawMessage
	}
	if json.Unmarshal(served, &series) != nil {
		return
	}
	for _, s := range series {
		if s.Metric["__name__"] != "up" || s.Metric["job"] != "movie-recommender" || len(s.Values) == 0 {
			continue
		}
		var seconds float64
		if json.Unmarshal(s.Values[len(s.Values)-1][0], &seconds) != nil {
			continue
		}
		last := int64(seconds*1000 + 0.5)
		if s.Metric["instance"] == "api-0:8080" {
			k.Instants["on-sample"], k.Instants["sample-1ms"], k.Instants["sample+1ms"] = last, last-1, last+1
		} else {
			k.Instants["edge-of-30s"] = last + 30_000
		}
	}
}

func ask(ctx context.Context, s *server.Server, query string, tMs int64) (answer, error) {
	a := answer{Query: query, Time: json.Number(fmt.Sprintf("%d.%03d", tMs/1000, tMs%1000))}
	// A time given as a number passes through floating point in the server; this form keeps the millisecond.
	params := url.Values{"query": {query}, "time": {time.UnixMilli(tMs).UTC().Format("2006-01-02T15:04:05.000Z")}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/api/v1/query?"+params.Encode(), nil)
	if err != nil {
		return a, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return a, err
	}
	var body struct {
		Status, Error   string
		Warnings, Infos []string
		Data            struct {
			ResultType string
			Result     json.RawMessage
		}
	}
	if err := json.Unmarshal(b, &body); err != nil {
		return a, fmt.Errorf("%s: %w: %.200s", query, err, b)
	}
	a.Type, a.Result, a.Error, a.Warnings, a.Infos = body.Data.ResultType, body.Data.Result, body.Error, body.Warnings, body.Infos
	if body.Status != "success" {
		a.Type = "error"
		a.Result, _ = json.Marshal(body.Error)
	}
	return a, nil
}
