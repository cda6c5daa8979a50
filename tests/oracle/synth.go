package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"

	"promproof-oracle/answers"
)

// synthTruth is what the questions are chosen by: a part of the truth.json
// beside a snapshot that promproof made up.
type synthTruth struct {
	Spec struct {
		Seed uint64 `json:"seed"`
	} `json:"spec"`
	StartMs    int64 `json:"start_ms"`
	EndMs      int64 `json:"end_ms"`
	ServerAway []struct {
		FromMs int64 `json:"from_ms"`
		ToMs   int64 `json:"to_ms"`
	} `json:"server_away"`
	Replicas []struct {
		Restarts []struct {
			ShownMs *int64 `json:"shown_ms"`
		} `json:"restarts"`
	} `json:"replicas"`
	Blocks []struct {
		MaxTimeMs int64 `json:"max_time_ms"`
	} `json:"blocks"`
}

// synthAnswer has the five figures and three further vectors, by label order.
type synthAnswer struct {
	answers.Answer
	Up      []answers.Health `json:"up"`
	Series  []answers.Health `json:"series"`
	Samples []answers.Health `json:"samples"`
}

// askSynth puts questions to a real server over a copy of a made-up snapshot.
func askSynth(ctx context.Context, o askOptions) error {
	text, err := os.ReadFile(filepath.Join(o.dir, "truth.json"))
	if err != nil {
		return err
	}
	var truth synthTruth
	if err := json.Unmarshal(text, &truth); err != nil {
		return err
	}
	if truth.EndMs <= truth.StartMs {
		return errors.New("truth.json has no time range")
	}
	return overCopy(ctx, o, filepath.Join(o.dir, "snapshot"), func(ctx context.Context, c *client) (int, error) {
		res, err := inOrder(ctx, synthQuestions(truth), o.workers, c.synthAnswer)
		if err != nil {
			return 0, err
		}
		return len(res), answers.WriteLines(o.out, res)
	})
}

// synthQuestions are about the end, the edges of blocks, restarts, the absence
// of the server, and random instants. The set without a name is all that has no
// label of that name, so everything.
func synthQuestions(truth synthTruth) []answers.Question {
	rng := rand.New(rand.NewPCG(truth.Spec.Seed, 2))
	length := truth.EndMs - truth.StartMs
	instants := []int64{truth.EndMs - 1, truth.EndMs + 4*minute}
	for _, b := range truth.Blocks[:min(len(truth.Blocks), 4)] {
		instants = append(instants, b.MaxTimeMs, b.MaxTimeMs-1)
	}
	for _, a := range truth.ServerAway {
		instants = append(instants, a.FromMs+rng.Int64N(a.ToMs-a.FromMs), a.ToMs+rng.Int64N(5*minute))
	}
	for _, r := range truth.Replicas {
		for _, restart := range r.Restarts {
			if restart.ShownMs != nil {
				instants = append(instants, *restart.ShownMs, *restart.ShownMs-1)
			}
		}
	}
	for range 10 {
		instants = append(instants, truth.StartMs+rng.Int64N(length))
	}
	var qs []answers.Question
	for _, t := range instants {
		for _, r := range []int64{5 * minute, hour + rng.Int64N(minute), length} {
			// Some releases read a range with a fraction of a second 1 ms short.
			qs = append(qs, answers.Question{TMs: t, RangeMs: r / second * second})
		}
	}
	slices.SortStableFunc(qs, func(a, b answers.Question) int { return int(min(max(a.TMs-b.TMs, -1), 1)) })
	return slices.Compact(qs)
}

func (c *client) synthAnswer(ctx context.Context, q answers.Question) (synthAnswer, error) {
	a := synthAnswer{}
	var err error
	if a.Answer, err = c.answer(ctx, q); err != nil {
		return a, err
	}
	if len(a.ErrorText) > 0 {
		return a, fmt.Errorf("the server refuses to answer: %v", a.ErrorText)
	}
	for _, query := range []struct {
		to   *[]answers.Health
		text string
	}{
		{&a.Up, fmt.Sprintf(`avg_over_time(up[%dms])`, q.RangeMs)},
		{&a.Series, `count by (__name__) ({__name__=~".+"})`},
		{&a.Samples, fmt.Sprintf(`count_over_time(jobs_00_total[%dms])`, q.RangeMs)},
	} {
		vector, refused, err := c.instant(ctx, query.text, q.TMs)
		if err := errors.Join(refused, err); err != nil {
			return a, fmt.Errorf("%s at %d: %w", query.text, q.TMs, err)
		}
		// Vectors are put in order as those of health are.
		var sorted answers.Answer
		if err := sorted.Put("health", vector, nil); err != nil {
			return a, err
		}
		*query.to = sorted.Health
	}
	return a, nil
}
