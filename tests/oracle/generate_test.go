package main

import (
	"math"
	"reflect"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
)

// TestTruthAgreesWithSamples re-derives every sample of the traced counters
// from the increments in the truth.
func TestTruthAgreesWithSamples(t *testing.T) {
	kinds := map[string]int{}
	for number := 0; number < 400; number += 4 {
		d := buildSet(7, number)
		if !d.truth.Truth {
			t.Fatalf("set %d bears no truth", number)
		}
		for _, r := range d.truth.Replicas {
			traced := map[string][]Increment{}
			for _, inc := range append(r.Requests, r.Switches...) {
				kinds[inc.Kind]++
				if inc.Amount < 0 || inc.Amount == 0 && !inc.Absent || inc.Amount != math.Trunc(inc.Amount) || (inc.TMs == nil) != (inc.Kind == "lost") {
					t.Fatalf("set %d: odd increment %+v", number, inc)
				}
				if _, ok := inc.Labels["to_version"]; ok && len(inc.AtMs) != int(inc.Amount) {
					t.Fatalf("set %d: switches without times: %+v", number, inc)
				}
				if inc.TMs != nil {
					k := childKey(labels.FromMap(inc.Labels))
					traced[k] = append(traced[k], inc)
				}
			}
			for _, s := range d.series {
				name := s.labels.Get(labels.MetricName)
				if s.labels.Get("instance") != r.Instance || name != requests && name != "model_switches_total" {
					continue
				}
				k := childKey(s.labels)
				checkSeries(t, s, traced[k])
				delete(traced, k)
			}
			if len(traced) > 0 {
				t.Errorf("set %d: increments of series without samples: %v", number, traced)
			}
		}
	}
	for _, k := range []string{"initial", "step", "birth", "restart", "return", "remade", "lost"} {
		if kinds[k] == 0 {
			t.Errorf("only %d increments of kind %s", kinds[k], k)
		}
	}
}

func childKey(l labels.Labels) string {
	return l.Get("endpoint") + "|" + l.Get("status") + "|" + l.Get("from_version") + "|" + l.Get("to_version")
}

func checkSeries(t *testing.T, s *series, incs []Increment) {
	t.Helper()
	var prev *sample
	for i, x := range s.samples {
		if i > 0 && x.t <= s.samples[i-1].t {
			t.Fatalf("%s: time %d does not increase", s.labels, x.t)
		}
		if isStale(x.v) {
			continue
		}
		var inc *Increment
		if len(incs) > 0 && *incs[0].TMs == x.t {
			inc, incs = &incs[0], incs[1:]
		}
		switch {
		case inc == nil:
			if x.v != 0 && (prev == nil || prev.v != x.v) {
				t.Fatalf("%s: value %g at %d without an increment", s.labels, x.v, x.t)
			}
		case *inc.Value != x.v:
			t.Fatalf("%s: value %g at %d, want %+v", s.labels, x.v, x.t, *inc)
		case (inc.PrevMs == nil) != (prev == nil), prev != nil && (*inc.PrevMs != prev.t || *inc.PrevValue != prev.v):
			t.Fatalf("%s: previous sample of %+v is %v", s.labels, *inc, prev)
		case inc.Kind == "step" && x.v != prev.v+inc.Amount,
			(inc.Kind == "initial" || inc.Kind == "restart" || inc.Kind == "birth" || inc.Kind == "remade") && x.v != inc.Amount:
			t.Fatalf("%s: %g at %d does not follow from %+v", s.labels, x.v, x.t, *inc)
		}
		prev = &s.samples[i]
	}
	if len(incs) > 0 {
		t.Fatalf("%s: increments without samples: %+v", s.labels, incs)
	}
}

func TestSetsDependOnSeedAndNumberOnly(t *testing.T) {
	for _, number := range []int{0, 1, 25, 49} {
		a, b := buildSet(3, number), buildSet(3, number)
		if !reflect.DeepEqual(a.truth, b.truth) || len(a.series) != len(b.series) {
			t.Errorf("set %d differs between two runs", number)
		}
	}
}
