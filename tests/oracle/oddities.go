package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
)

// oddity is one kind of strangeness that a scraped series may have.
type oddity struct {
	name   string
	oneIn  int
	metric string // prefix of the metric name
	apply  func(*rand.Rand, *series)
}

func (o oddity) concerns(s *series) bool {
	return strings.HasPrefix(s.labels.Get(labels.MetricName), o.metric)
}

// Value bits that a sane exporter does not write.
const (
	plainNaN    = 0x7ff8000000000001
	otherNaN    = 0x7ff80000deadbeef
	negativeNaN = 0xfff8000000000000
)

const (
	counters = "recommend_"
	requests = "recommend_requests_total"
	buckets  = "recommend_latency_seconds_bucket"
	health   = "service_health_status"
)

var oddities = []oddity{
	{"nan", 6, counters, some(0.03, func(rng *rand.Rand, _ float64) float64 {
		return math.Float64frombits([]uint64{plainNaN, otherNaN, negativeNaN}[rng.IntN(3)])
	})},
	{"inf", 20, counters, some(0.01, func(rng *rand.Rand, _ float64) float64 { return math.Inf(1 - 2*rng.IntN(2)) })},
	{"stale", 6, counters, some(0.05, func(*rand.Rand, float64) float64 { return staleMarker })},
	{"dips", 8, counters, some(0.05, func(rng *rand.Rand, v float64) float64 { return v * rng.Float64() })},
	{"zeroes", 20, counters, some(0.1, func(*rand.Rand, float64) float64 { return 0 })},
	{"negative-zeroes", 25, counters, some(0.1, func(*rand.Rand, float64) float64 { return math.Copysign(0, -1) })},
	{"denormals", 25, counters, some(1, func(_ *rand.Rand, v float64) float64 { return v * 5e-324 })},
	{"last-digits", 8, buckets, some(0.5, func(rng *rand.Rand, v float64) float64 {
		return v * (1 + math.Pow(10, -11-4*rng.Float64())*(rng.Float64()-0.5))
	})},
	{"missing", 6, counters, func(rng *rand.Rand, s *series) {
		s.samples = slices.DeleteFunc(s.samples, func(sample) bool { return rng.IntN(8) == 0 })
	}},
	{"tail-only", 12, counters, func(rng *rand.Rand, s *series) {
		s.samples = s.samples[rng.IntN(len(s.samples)+1):]
	}},
	{"first-stale", 15, counters, func(_ *rand.Rand, s *series) {
		if len(s.samples) > 0 {
			s.samples[0].v = staleMarker
		}
	}},
	{"huge", 12, counters, scale(func(rng *rand.Rand) float64 { return math.Pow(10, 12+290*rng.Float64()) })},
	{"near-max", 25, counters, scale(func(rng *rand.Rand) float64 { return math.MaxFloat64 * rng.Float64() })},
	{"fractions", 6, counters, scale(func(rng *rand.Rand) float64 { return rng.Float64() })},
	{"offset", 8, requests, shift(func(rng *rand.Rand) float64 { return 1e6 * rng.NormFloat64() })},
	{"below-zero", 15, counters, shift(func(rng *rand.Rand) float64 { return -1000 * rng.Float64() })},
	{"health-fractions", 3, health, some(1, func(rng *rand.Rand, _ float64) float64 { return rng.NormFloat64() })},
	{"health-scales", 8, health, some(0.7, func(rng *rand.Rand, _ float64) float64 {
		return rng.NormFloat64() * math.Pow(10, 40*rng.Float64()-20)
	})},
	{"health-near-max", 12, health, some(0.5, func(rng *rand.Rand, _ float64) float64 {
		return math.MaxFloat64 * (2*rng.Float64() - 1)
	})},
	{"health-nan-inf", 12, health, some(0.02, func(rng *rand.Rand, _ float64) float64 {
		return []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1)}[rng.IntN(4)]
	})},
	{"health-stale", 10, health, some(0.1, func(*rand.Rand, float64) float64 { return staleMarker })},
}

// pickOddities returns those of one set, often none.
func pickOddities(rng *rand.Rand) []oddity {
	var res []oddity
	for _, o := range oddities {
		if rng.IntN(o.oneIn) == 0 {
			res = append(res, o)
		}
	}
	return res
}

// some replaces a share of the values. Stale markers stay.
func some(share float64, f func(*rand.Rand, float64) float64) func(*rand.Rand, *series) {
	return func(rng *rand.Rand, s *series) {
		for i, x := range s.samples {
			if !isStale(x.v) && rng.Float64() < share {
				s.samples[i].v = f(rng, x.v)
			}
		}
	}
}

// scale multiplies all values of a series with the same factor.
func scale(factor func(*rand.Rand) float64) func(*rand.Rand, *series) {
	return func(rng *rand.Rand, s *series) {
		k := factor(rng)
		some(1, func(_ *rand.Rand, v float64) float64 { return v * k })(rng, s)
	}
}

// shift adds the same number to all values of a series.
func shift(offset func(*rand.Rand) float64) func(*rand.Rand, *series) {
	return func(rng *rand.Rand, s *series) {
		k := offset(rng)
		some(1, func(_ *rand.Rand, v float64) float64 { return v + k })(rng, s)
	}
}

// oddLes are bucket bounds as strange exporters, relabelling or upgrades leave
// them. An empty one stands for a bucket without the label.
var oddLes = [][]string{
	{"0.1", "1", "1.0", "2.5", "+Inf"},
	{"0.1", "1", "1.0", "1.00", "1e0", "2.5", "+Inf"},
	{"0.1", "0.5", "Inf"},
	{"0.1", "0.5", "+Inf", "Inf"},
	{"0.1", "0.5", "+inf", "infinity", "+Infinity"},
	{"0.1", "0.5", "1"},
	{"0.1", "NaN", "0.5", "+Inf"},
	{"0.1", "nan", "NaN", "0.5", "+Inf"},
	{"NaN"},
	{"NaN", "+Inf"},
	{"+Inf"},
	{"0.5", "+Inf"},
	{"-0.5", "+Inf"},
	{"0", "+Inf"},
	{"-0", "0", "0.25", "+Inf"},
	{"-5", "-1", "-0.1", "0", "0.1", "1", "+Inf"},
	{"-5", "-1", "+Inf"},
	{"-Inf", "0.1", "0.5", "+Inf"},
	{"0x1p-4", "0x1p-1", "0x1p1", "1_0", "+Inf"},
	{"0x1", "0x1p1", "0x1.8p0", "0x_1p2", "1__0", "_1", "1_", "0_1.5", "+Inf"},
	{".5", "5.", "+1", "1e-1", "1E1", "+Inf"},
	{"0.1", "abc", " 1", "1 ", "0.5s", "", "+Inf"},
	{"0.1", "1e400", "-1e400", "1e-400", "4.9e-324", "+Inf"},
	{"0.1", "+NaN", "-NaN", "-inf", "InFiNiTy", "0.5"},
	{"0.1", "0.10000000000000001", "0.1000000000000000055", "0.3", "+Inf"},
	{""},
	{"", "+Inf"},
	{"0.005", "0.005000", "0.01", "0.010", "0.0100", "0.025", "0.05", "0.050", "0.1", "0.10", "0.100", "0.25", "0.5", "0.50", "1", "1.0", "2.5", "+Inf", "Inf"},
}

// oddBuckets changes the bounds of some profiles.
func oddBuckets(rng *rand.Rand, p *profile) {
	switch rng.IntN(5) {
	case 0:
		return
	case 1:
		if rng.IntN(3) == 0 {
			p.les, p.bounds = nil, nil
		}
		return
	}
	p.les, p.bounds = oddLes[rng.IntN(len(oddLes))], nil
	for _, le := range p.les {
		b, err := strconv.ParseFloat(strings.TrimSpace(le), 64)
		if err != nil || math.IsNaN(b) || rng.IntN(20) == 0 {
			b = rng.ExpFloat64() // also makes some bounds disagree with their text
		}
		p.bounds = append(p.bounds, b)
	}
	// Put the latencies into the range of the bounds.
	p.meanLog += 2 * rng.Float64()
}
