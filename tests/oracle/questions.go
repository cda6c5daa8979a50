package main

import (
	"math/rand/v2"
	"slices"

	"promproof-oracle/answers"
)

// askAbout chooses instants and ranges at which evaluators go wrong.
func askAbout(rng *rand.Rand, d setData) []answers.Question {
	var qs []answers.Question
	ask := func(t, r int64) {
		qs = append(qs, answers.Question{Set: d.truth.Set, TMs: t, RangeMs: max(r, 1)})
	}
	interval := d.truth.IntervalMs
	var times []int64 // of one replica
	for _, s := range d.series {
		if len(times) < len(s.samples) {
			times = nil
			for _, x := range s.samples {
				times = append(times, x.t)
			}
		}
	}
	if len(times) == 0 {
		interval, times = 15*second, []int64{dataStart + hour, dataStart + hour + 15*second, dataStart + 3*hour}
	}
	first, last := times[0], times[len(times)-1]
	if d.truth.LastMs > 0 {
		first, last = d.truth.FirstMs, d.truth.LastMs
	}
	// pair returns two sample times, the first before the second if possible.
	pair := func() (int64, int64) {
		i, j := rng.IntN(len(times)), rng.IntN(len(times))
		return times[min(i, j)], times[max(i, j)]
	}

	// Both edges exactly on a sample, and 1 ms beside either.
	for range 2 {
		a, b := pair()
		ask(b, b-a)
	}
	a, b := pair()
	for _, dt := range []int64{-1, 0, 1} {
		for _, da := range []int64{-1, 1} {
			ask(b+dt, b+dt-a+da)
		}
	}
	// Windows of one and two scrapes.
	k := rng.IntN(len(times))
	ask(times[k], interval)
	ask(times[k], times[k]-times[max(k-1, 0)])
	ask(times[k], times[k]-times[max(k-2, 0)])
	ask(times[k]+1+rng.Int64N(interval), 2*interval)
	ask(times[k], 4*interval)
	ask(times[k]+rng.Int64N(interval), 5*minute)
	// Inside outages and gaps, and across one.
	for _, h := range d.holes[:min(len(d.holes), 3)] {
		t := h.From + rng.Int64N(h.To-h.From)
		ask(t, t-h.From+rng.Int64N(3*interval))
		ask(h.To+rng.Int64N(3*interval), h.To-h.From+rng.Int64N(8*interval))
	}
	// Across the edge of two blocks.
	for _, r := range blockRanges {
		if edge := dataStart + r.to; first < edge && edge < last {
			ask(edge, 5*minute)
			ask(edge-1, 3*interval)
			ask(edge+2*interval, 2*interval)
			break
		}
	}
	// Before the first and after the last sample.
	ask(first-1-rng.Int64N(minute), 1+rng.Int64N(hour))
	ask(first, 1+rng.Int64N(minute))
	ask(first+2*interval, hour)
	after := rng.Int64N(10 * minute)
	ask(last+after, after)
	ask(last+after, after+1+rng.Int64N(10*interval))
	// Everything.
	ask(last, last-first)
	ask(last, last-first+1)
	ask(last+rng.Int64N(hour), 72*hour)
	ask(last, []int64{400 * 24, 365 * 24, 3 * 365 * 24, 30 * 365 * 24}[rng.IntN(4)]*hour)
	// Fractions of seconds.
	ask(times[k]+rng.Int64N(50), 1+rng.Int64N(999))
	ask(times[k]/second*second+rng.Int64N(second), 90*second+rng.Int64N(second))
	for range 6 {
		ask(first+rng.Int64N(last-first+2*interval), int64(logUniform(rng, 1000, float64(8*hour))))
	}
	slices.SortStableFunc(qs, func(a, b answers.Question) int { return int(min(max(a.TMs-b.TMs, -1), 1)) })
	return slices.Compact(qs)
}
