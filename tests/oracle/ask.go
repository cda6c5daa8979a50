package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"promproof-oracle/answers"
	"promproof-oracle/server"
)

type askOptions struct {
	server, version, dir, out string
	workers                   int
	limit                     time.Duration
	extraFlags                []string
}

// ask puts all questions to a real server over a copy of the data.
func ask(ctx context.Context, o askOptions) error {
	questions, err := answers.ReadQuestions(filepath.Join(o.dir, "questions.jsonl"))
	if err != nil {
		return err
	}
	return overCopy(ctx, o, filepath.Join(o.dir, "data"), func(ctx context.Context, c *client) (int, error) {
		res, err := inOrder(ctx, questions, o.workers, c.answer)
		if err != nil {
			return 0, err
		}
		return len(res), answers.WriteLines(o.out, res)
	})
}

// overCopy runs a server over a copy of the data and has it asked; ask returns
// the number of answers.
func overCopy(ctx context.Context, o askOptions, data string, ask func(context.Context, *client) (int, error)) error {
	ctx, cancel := context.WithTimeout(ctx, o.limit)
	defer cancel()
	tmp, err := os.MkdirTemp("", "oracle-ask-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := os.CopyFS(filepath.Join(tmp, "data"), os.DirFS(data)); err != nil {
		return err
	}
	begin := time.Now()
	s, err := server.Start(ctx, server.Options{Bin: o.server, Dir: tmp, Flags: o.extraFlags})
	if err != nil {
		return err
	}
	defer s.Stop()
	if err := s.CheckVersion(ctx, o.server, o.version); err != nil {
		return err
	}
	ready := time.Since(begin)

	begin = time.Now()
	c := &client{base: s.URL, http: &http.Client{
		Timeout:   5 * time.Minute,
		Transport: &http.Transport{MaxIdleConnsPerHost: o.workers},
	}}
	n, err := ask(ctx, c)
	if err != nil {
		return fmt.Errorf("%w; the server's log ends with: %s", err, s.LogTail())
	}
	fmt.Printf("%s: %d answers, ready after %.1fs, asked for %.1fs\n", o.version, n, ready.Seconds(), time.Since(begin).Seconds())
	return nil
}

// client asks one server.
type client struct {
	base string
	http *http.Client
}

// inOrder answers questions on several workers and keeps their order. It ends
// at the first failure.
func inOrder[Q, A any](ctx context.Context, qs []Q, workers int, answer func(context.Context, Q) (A, error)) ([]A, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	res := make([]A, len(qs))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(qs) {
					return
				}
				a, err := answer(ctx, qs[i])
				if err != nil {
					cancel(err)
					return
				}
				res[i] = a
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return res, nil
}

func (c *client) answer(ctx context.Context, q answers.Question) (answers.Answer, error) {
	a := answers.Answer{Question: q}
	for _, query := range q.Queries() {
		vector, refused, err := c.instant(ctx, query.Text, q.TMs)
		if err != nil {
			return a, fmt.Errorf("%s at %d: %w", query.Text, q.TMs, err)
		}
		if err := a.Put(query.Field, vector, refused); err != nil {
			return a, err
		}
	}
	return a, nil
}

// instant evaluates one query. The server's own refusal to answer comes back
// as refused, all other trouble as err.
func (c *client) instant(ctx context.Context, query string, tMs int64) (vector []answers.Sample, refused, err error) {
	// A time given as a number passes through floating point in the server.
	// This text form keeps the millisecond.
	params := url.Values{"query": {query}, "time": {time.UnixMilli(tMs).UTC().Format("2006-01-02T15:04:05.000Z")}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/api/v1/query?"+params.Encode(), nil)
	if err != nil {
		return nil, nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	var body struct {
		Status string
		Error  string
		Data   struct {
			ResultType string
			Result     []struct {
				Metric    map[string]string
				Value     []any
				Histogram any
			}
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		return nil, nil, fmt.Errorf("status %d: %w", resp.StatusCode, err)
	}
	if body.Status != "success" {
		if resp.StatusCode == http.StatusServiceUnavailable || body.Error == "" {
			return nil, nil, fmt.Errorf("status %d: %s", resp.StatusCode, body.Error)
		}
		return nil, errors.New(body.Error), nil
	}
	if body.Data.ResultType != "vector" {
		return nil, nil, fmt.Errorf("result is a %s", body.Data.ResultType)
	}
	for _, r := range body.Data.Result {
		if len(r.Value) != 2 || r.Histogram != nil {
			return nil, nil, errors.New("result is no float sample")
		}
		at, ok1 := r.Value[0].(float64)
		text, ok2 := r.Value[1].(string)
		if !ok1 || !ok2 || strconv.FormatFloat(at*1000, 'f', 0, 64) != strconv.FormatInt(tMs, 10) {
			return nil, nil, fmt.Errorf("server answered %v for the instant %d", r.Value, tMs)
		}
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, nil, err
		}
		vector = append(vector, answers.Sample{Labels: r.Metric, Value: v})
	}
	return vector, nil, nil
}
