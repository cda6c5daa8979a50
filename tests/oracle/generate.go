package main

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"promproof-oracle/answers"

	"github.com/prometheus/prometheus/model/labels"
)

// setData is one generated set.
type setData struct {
	truth  SetTruth
	series []*series
	holes  []span // outages and gaps of any kind
}

// generate writes data/, truth.json and questions.jsonl.
func generate(out string, seed uint64, sets int) error {
	data := filepath.Join(out, "data")
	if err := os.RemoveAll(data); err != nil {
		return err
	}
	if err := os.MkdirAll(data, 0o777); err != nil {
		return err
	}
	truth := Truth{Seed: seed}
	var all []*series
	var questions []answers.Question
	samples := 0
	for i := range sets {
		d := buildSet(seed, i)
		truth.Sets = append(truth.Sets, d.truth)
		all = append(all, d.series...)
		questions = append(questions, askAbout(rand.New(rand.NewPCG(seed, 1<<32+uint64(i))), d)...)
		samples += d.truth.Samples
	}
	slices.SortFunc(all, func(a, b *series) int { return labels.Compare(a.labels, b.labels) })
	if err := writeBlocks(data, seed, all); err != nil {
		return err
	}
	text, err := json.Marshal(truth)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(out, "truth.json"), append(text, '\n'), 0o666); err != nil {
		return err
	}
	if err := answers.WriteLines(filepath.Join(out, "questions.jsonl"), questions); err != nil {
		return err
	}
	fmt.Printf("%d sets, %d series, %d samples, %d questions\n", sets, len(all), samples, len(questions))
	return nil
}

// buildSet makes the set with that number; it depends on seed and number only.
func buildSet(seed uint64, number int) setData {
	rng := rand.New(rand.NewPCG(seed, uint64(number)))
	d := setData{truth: SetTruth{Set: fmt.Sprintf("%04d", number), ServerDown: []span{}}}
	switch {
	case number%50 == 49:
		d.truth.Oddities = []string{"empty"}
		return d
	case number%4 == 0:
		d.truth.Truth = true
	}

	interval := second * []int64{1, 2, 3, 5, 7, 10, 13, 15, 15, 15, 20, 30, 30, 45, 60}[rng.IntN(15)]
	if rng.IntN(12) == 0 {
		interval += rng.Int64N(interval / 2)
	}
	d.truth.IntervalMs = interval
	replicas := []int{1, 1, 1, 2, 2, 3}[rng.IntN(6)]
	low := float64(5 * minute / interval)
	high := min(float64(8*hour/interval), 2200/float64(replicas))
	scrapes := int(max(5, logUniform(rng, low, max(low, high))))
	if number%50 == 25 {
		scrapes, replicas = 1, 1
		d.truth.Oddities = append(d.truth.Oddities, "single-scrape")
	}
	length := int64(scrapes) * interval
	begin := dataStart + rng.Int64N(dataLength-length-2*interval)
	jitter := []int64{0, 2, 2, 5, interval / 20, interval / 4}[rng.IntN(6)]
	if rng.IntN(4) == 0 {
		// Samples fall exactly on the edges of blocks.
		begin = begin / (2 * hour) * 2 * hour
		begin = max(begin, dataStart)
		jitter = 0
	}
	pickSpans := func(most int, longest int64) []span {
		spans := []span{}
		for range rng.IntN(most + 1) {
			from := begin + rng.Int64N(length)
			spans = append(spans, span{from, from + interval + rng.Int64N(longest*interval)})
		}
		return spans
	}
	serverDown := pickSpans(2, 30)
	d.truth.ServerDown = serverDown
	d.holes = append(d.holes, serverDown...)

	p := basicProfile(rng)
	var odd []oddity
	if !d.truth.Truth {
		odd = pickOddities(rng)
		oddBuckets(rng, &p)
		for _, o := range odd {
			d.truth.Oddities = append(d.truth.Oddities, o.name)
		}
	}
	plan := switchPlan(rng, begin, length, interval)
	for r := range replicas {
		job, instance := "movie-recommender", fmt.Sprintf("api-%d:8080", r)
		t := &target{
			rng: rng, byKey: map[string]*child{}, profile: p, life: -1, okLife: -1, version: "v0.1",
			base: []string{"job", job, "instance", instance, "set", d.truth.Set},
		}
		if rng.IntN(2) == 0 {
			t.base = append(t.base, "environment", "production")
		}
		t.up = &series{labels: t.labels("up")}
		outages := pickSpans(2, 20)
		if d.truth.Truth {
			t.truth = &Replica{
				Job: job, Instance: instance, StartTimeExposed: p.startTime, Unreachable: outages,
				Processes: []Process{}, Requests: []Increment{}, Switches: []Increment{},
			}
		}
		d.holes = append(d.holes, outages...)
		events, dead := t.lifePlan(begin, length, interval)
		d.holes = append(d.holes, dead...)
		lag := int64(r) * rng.Int64N(2*interval)
		for _, e := range plan {
			events = append(events, event{e.at + lag, e.do})
		}
		t.observe(scrapeTimes(rng, begin, interval, jitter, scrapes), events, serverDown, outages)
		d.series = append(d.series, t.allSeries()...)
		if t.truth != nil {
			d.truth.Replicas = append(d.truth.Replicas, *t.truth)
		}
	}
	for _, o := range odd {
		for _, s := range d.series {
			if o.concerns(s) && rng.IntN(2) == 0 {
				o.apply(rng, s)
			}
		}
	}
	d.series = slices.DeleteFunc(d.series, func(s *series) bool { return len(s.samples) == 0 })
	d.truth.FirstMs, d.truth.LastMs, d.truth.Samples = extent(d.series)
	return d
}

// extent returns the first and the last time and the number of samples.
func extent(ss []*series) (first, last int64, n int) {
	for _, s := range ss {
		if n == 0 || s.samples[0].t < first {
			first = s.samples[0].t
		}
		last = max(last, s.samples[len(s.samples)-1].t)
		n += len(s.samples)
	}
	return first, last, n
}

func logUniform(rng *rand.Rand, low, high float64) float64 {
	return low * math.Pow(high/low, rng.Float64())
}

// scrapeTimes are strictly increasing.
func scrapeTimes(rng *rand.Rand, begin, interval, jitter int64, n int) []int64 {
	offset := int64(0)
	if jitter > 0 {
		offset = rng.Int64N(interval)
	}
	times := make([]int64, n)
	for i := range times {
		times[i] = begin + offset + int64(i)*interval
		if jitter > 0 {
			times[i] += rng.Int64N(jitter)
		}
	}
	return times
}

// basicProfile is sane traffic.
func basicProfile(rng *rand.Rand) profile {
	rate := logUniform(rng, 0.003, 50)
	p := profile{
		statuses:  []statusRate{{"200", rate}},
		endpoints: []string{"/recommend"},
		latency:   rate,
		meanLog:   -4 + 3*rng.Float64(),
		health:    1 - 0.4*rng.Float64()*rng.Float64(),
		zeroes:    rng.IntN(4) == 0,
		startTime: rng.IntN(2) == 0,
		labelled:  rng.IntN(4) == 0,
	}
	if rng.IntN(10) == 0 {
		p.statuses = nil // no success at all
	}
	for _, s := range []string{"404", "500", "503"} {
		if rng.IntN(2) == 0 {
			p.statuses = append(p.statuses, statusRate{s, rate * logUniform(rng, 0.001, 0.5)})
		}
	}
	if rng.IntN(4) == 0 {
		p.endpoints = append(p.endpoints, "/rollout/status")
	}
	les := []string{"0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "+Inf"}
	for _, le := range les {
		if le == "+Inf" || rng.IntN(5) > 0 {
			b, _ := strconv.ParseFloat(le, 64) // all are numbers
			p.les, p.bounds = append(p.les, le), append(p.bounds, b)
		}
	}
	return p
}

// lifePlan decides when the process starts, crashes and hides children.
func (t *target) lifePlan(begin, length, interval int64) ([]event, []span) {
	rng := t.rng
	first := begin - second - rng.Int64N(hour)
	if rng.IntN(6) == 0 {
		first = begin + rng.Int64N(1+length/4) // the target is down at first
	}
	events := []event{{first, start}}
	var dead []span
	for range rng.IntN(5) {
		from := begin + rng.Int64N(length)
		to, how := from+1+rng.Int64N(interval), start
		switch rng.IntN(4) {
		case 0:
			to = from + interval + rng.Int64N(15*interval)
			dead = append(dead, span{from, to})
		case 1:
			how = echo
		}
		if from <= first {
			continue
		}
		events = append(events, event{from, crash}, event{to, how})
	}
	for range rng.IntN(3) {
		from := begin + rng.Int64N(length)
		forget := rng.IntN(2) == 0
		events = append(events,
			event{from, func(t *target, at int64) {
				var have []*child
				for _, c := range t.children {
					if c.live && c.counter && c.out.labels.Get(labels.MetricName) == "recommend_requests_total" {
						have = append(have, c)
					}
				}
				if len(have) == 0 {
					return
				}
				if c := have[t.rng.IntN(len(have))]; forget {
					t.drop(c, at)
				} else {
					c.hidden = true
				}
			}},
			event{from + 2*interval + rng.Int64N(10*interval), func(t *target, _ int64) {
				for _, c := range t.children {
					c.hidden = false
				}
			}})
	}
	return events, dead
}

// switchPlan has the model switches of all replicas of a set.
func switchPlan(rng *rand.Rand, begin, length, interval int64) []event {
	var events []event
	for range rng.IntN(6) {
		at := begin + rng.Int64N(length)
		to := func() func(*target, int64) { return switchTo(fmt.Sprintf("v0.%d", 1+rng.IntN(4))) }
		events = append(events, event{at, to()})
		if rng.IntN(3) == 0 {
			events = append(events, event{at + rng.Int64N(interval), to()})
		}
	}
	return events
}
