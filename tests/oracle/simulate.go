package main

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
)

// Milliseconds.
const (
	second = int64(1000)
	minute = 60 * second
	hour   = 60 * minute
)

var staleMarker = math.Float64frombits(value.StaleNaN)

func isStale(v float64) bool { return math.Float64bits(v) == value.StaleNaN }

type sample struct {
	t int64
	v float64
}

type series struct {
	labels  labels.Labels
	samples []sample
}

// span is the half-open time [From, To).
type span struct {
	From int64 `json:"from_ms"`
	To   int64 `json:"to_ms"`
}

func (s span) has(t int64) bool { return s.From <= t && t < s.To }

func anyHas(ss []span, t int64) bool {
	return slices.ContainsFunc(ss, func(s span) bool { return s.has(t) })
}

// child is one series as the process knows it.
type child struct {
	out     *series
	counter bool
	traced  *[]Increment // where its increments are recorded, nil if nowhere
	value   float64      // in the memory of the process
	live    bool         // the process has it
	hidden  bool         // the process has it but does not expose it
	remade  bool         // dropped since the last sample
	inCache bool         // the scraper would write a stale marker for it
	marked  bool         // a stale marker was written since the last sample
	absent  bool         // and a successful scrape since the marker, its own included, did not show it

	pending   float64 // increments that no sample has shown yet
	pendingAt []int64 // their times, if it counts model switches
	lastOK    int     // number of the last successful scrape that showed it
	lastLife  int
	last      *sample // the last sample that is no stale marker
}

// target is one replica: its process and the scraper that watches it.
type target struct {
	rng      *rand.Rand
	base     []string // labels of every series
	children []*child
	byKey    map[string]*child
	profile  profile

	up      *series
	alive   bool
	life    int
	paused  bool // no traffic until the next scrape
	okCount int
	okLife  int // life that was scraped last
	version string
	failed  int // scrapes
	truth   *Replica
}

// profile is the traffic of one replica.
type profile struct {
	statuses  []statusRate
	endpoints []string
	les       []string  // le labels, "" for a bucket without that label
	bounds    []float64 // the numbers they stand for in the simulation
	latency   float64   // observations per second
	meanLog   float64   // of the latency
	health    float64   // share of healthy scrapes
	zeroes    bool      // children exist with the value 0 from the start
	startTime bool      // process_start_time_seconds is exposed
	labelled  bool      // buckets carry the endpoint, too
}

type statusRate struct {
	status    string
	perSecond float64
}

// event changes the process between two scrapes.
type event struct {
	at int64
	do func(t *target, at int64)
}

func (t *target) labels(name string, kv ...string) labels.Labels {
	return labels.FromStrings(slices.Concat([]string{labels.MetricName, name}, t.base, kv)...)
}

// child returns the child of that name, which the process has from now on.
func (t *target) child(counter bool, name string, kv ...string) *child {
	l := t.labels(name, kv...)
	k := l.String()
	c := t.byKey[k]
	if c == nil {
		c = &child{out: &series{labels: l}, counter: counter, lastOK: -1, lastLife: -1}
		if t.truth != nil {
			switch name {
			case "recommend_requests_total":
				c.traced = &t.truth.Requests
			case "model_switches_total":
				c.traced = &t.truth.Switches
			}
		}
		t.byKey[k] = c
		t.children = append(t.children, c)
	}
	c.live = true
	return c
}

func (c *child) add(amount float64) { c.value += amount; c.pending += amount }

// drop removes the child from the process. What no sample showed is lost.
func (t *target) drop(c *child, at int64) {
	if c.traced != nil && c.pending > 0 {
		inc := c.increment(t, "lost")
		inc.LostAtMs = &at
		*c.traced = append(*c.traced, inc)
	}
	c.live, c.hidden, c.remade = false, false, true
	c.value, c.pending, c.pendingAt = 0, 0, nil
}

// increment describes what is pending.
func (c *child) increment(t *target, kind string) Increment {
	inc := Increment{
		Kind: kind, Labels: map[string]string{}, Amount: c.pending, AtMs: c.pendingAt, Life: t.life, Absent: c.absent,
	}
	for _, n := range []string{"endpoint", "status", "from_version", "to_version"} {
		if v := c.out.labels.Get(n); v != "" {
			inc.Labels[n] = v
		}
	}
	if c.last != nil {
		inc.PrevMs, inc.PrevValue = &c.last.t, &c.last.v
	}
	return inc
}

// crash ends the process.
func crash(t *target, at int64) {
	if !t.alive {
		return
	}
	for _, c := range t.children {
		t.drop(c, at)
	}
	t.alive = false
	if t.truth != nil {
		t.truth.Processes[len(t.truth.Processes)-1].EndMs = &at
	}
}

// start begins a new life of the process.
func start(t *target, at int64) {
	if t.alive {
		return
	}
	t.alive = true
	t.life++
	if t.truth != nil {
		t.truth.Processes = append(t.truth.Processes, Process{Life: t.life, StartMs: at})
	}
	if t.profile.startTime {
		// Client libraries know it to 10 ms only.
		t.child(false, "process_start_time_seconds").value = float64(at/10) / 100
	}
	t.child(false, "model_version_info", "version", t.version).value = 1
	t.child(false, "service_health_status").value = 1
	for i := range t.profile.les {
		t.bucket(i)
	}
	if len(t.profile.les) > 0 {
		t.child(true, "recommend_latency_seconds_sum")
		t.child(true, "recommend_latency_seconds_count")
	}
	if t.profile.zeroes {
		for _, e := range t.profile.endpoints {
			for _, s := range t.profile.statuses {
				t.child(true, "recommend_requests_total", "endpoint", e, "status", s.status)
			}
		}
	}
}

// echo starts a new life whose counters reach exactly their last shown values
// before the next scrape, so that no sample shows the reset.
func echo(t *target, at int64) {
	start(t, at)
	for _, c := range t.children {
		if c.counter && c.last != nil && c.last.v > 0 {
			c.live = true
			c.add(c.last.v)
			if c.traced != nil && c.out.labels.Get("to_version") != "" {
				c.pendingAt = slices.Repeat([]int64{at}, int(c.last.v))
			}
		}
	}
	t.paused = true
}

// switchTo loads another model without a restart.
func switchTo(version string) func(*target, int64) {
	return func(t *target, at int64) {
		if !t.alive || version == t.version {
			return
		}
		c := t.child(true, "model_switches_total", "from_version", t.version, "to_version", version, "status", "success")
		c.add(1)
		c.pendingAt = append(c.pendingAt, at)
		t.drop(t.child(false, "model_version_info", "version", t.version), at)
		t.version = version
		t.child(false, "model_version_info", "version", version).value = 1
	}
}

func (t *target) bucket(i int) *child {
	var kv []string
	if t.profile.les[i] != "" {
		kv = append(kv, "le", t.profile.les[i])
	}
	if t.profile.labelled {
		kv = append(kv, "endpoint", t.profile.endpoints[0])
	}
	return t.child(true, "recommend_latency_seconds_bucket", kv...)
}

// work is the traffic of some milliseconds.
func (t *target) work(ms int64) {
	if !t.alive || t.paused || ms <= 0 {
		return
	}
	s := float64(ms) / 1000
	for _, e := range t.profile.endpoints {
		for _, r := range t.profile.statuses {
			if n := poisson(t.rng, r.perSecond*s); n > 0 {
				t.child(true, "recommend_requests_total", "endpoint", e, "status", r.status).add(n)
			}
		}
	}
	if len(t.profile.les) == 0 {
		return
	}
	n := poisson(t.rng, t.profile.latency*s)
	if n == 0 {
		return
	}
	// Up to 32 observations stand for all of them.
	draws := int(min(n, 32))
	per, rest := math.Floor(n/float64(draws)), math.Mod(n, float64(draws))
	for i := range draws {
		weight := per
		if float64(i) < rest {
			weight++
		}
		x := math.Exp(t.profile.meanLog + 0.9*t.rng.NormFloat64())
		for b, bound := range t.profile.bounds {
			if x <= bound {
				t.bucket(b).add(weight)
			}
		}
		t.child(true, "recommend_latency_seconds_sum").add(x * weight)
		t.child(true, "recommend_latency_seconds_count").add(weight)
	}
}

// scrape is one attempt of the scraper.
func (t *target) scrape(at int64, reachable bool) {
	ok := t.alive && reachable
	if ok && t.rng.Float64() > t.profile.health {
		t.child(false, "service_health_status").value = 0
	} else if ok {
		t.child(false, "service_health_status").value = 1
	}
	for _, c := range t.children {
		if !ok || !c.live || c.hidden {
			if c.inCache {
				c.out.samples = append(c.out.samples, sample{at, staleMarker})
				c.inCache, c.marked = false, true
			}
			c.absent = c.absent || ok && c.marked
			continue
		}
		if c.traced != nil && (c.pending > 0 || c.absent) {
			kind := "step"
			switch {
			case t.okCount == 0:
				kind = "initial"
			case t.okLife != t.life:
				kind = "restart"
			case c.lastLife != t.life:
				kind = "birth"
			case c.lastOK != t.okCount-1:
				kind = "return"
			case c.remade:
				kind = "remade"
			}
			inc := c.increment(t, kind)
			v := c.value
			inc.TMs, inc.Value = &at, &v
			*c.traced = append(*c.traced, inc)
		}
		c.pending, c.pendingAt, c.remade, c.marked, c.absent = 0, nil, false, false, false
		c.out.samples = append(c.out.samples, sample{at, c.value})
		c.last = &sample{at, c.value}
		c.inCache, c.lastOK, c.lastLife = true, t.okCount, t.life
	}
	up := 0.0
	if ok {
		up = 1
		t.okLife = t.life
		t.okCount++
		t.paused = false
	} else {
		t.failed++
	}
	t.up.samples = append(t.up.samples, sample{at, up})
}

// observe runs the process and scrapes it at the given times, except while the
// server is down. From an outage nothing comes back, but the process lives on.
func (t *target) observe(times []int64, events []event, serverDown, outages []span) {
	slices.SortStableFunc(events, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	now := times[0]
	if len(events) > 0 {
		now = min(now, events[0].at)
	}
	wasDown := false
	for _, at := range times {
		for len(events) > 0 && events[0].at <= at {
			t.work(events[0].at - now)
			now = max(now, events[0].at)
			events[0].do(t, events[0].at)
			events = events[1:]
		}
		t.work(at - now)
		now = max(now, at)
		if anyHas(serverDown, at) {
			wasDown = true
			continue
		}
		if wasDown {
			// A restarted server has forgotten what it scraped before.
			for _, c := range t.children {
				c.inCache = false
			}
			wasDown = false
		}
		t.scrape(at, !anyHas(outages, at))
	}
	if t.truth != nil {
		t.truth.OKScrapes, t.truth.FailedScrapes = t.okCount, t.failed
	}
}

// series lists everything that was scraped.
func (t *target) allSeries() []*series {
	res := []*series{t.up}
	for _, c := range t.children {
		if len(c.out.samples) > 0 {
			res = append(res, c.out)
		}
	}
	return res
}

// poisson draws a count with that mean; above 30 it rounds a normal draw.
func poisson(rng *rand.Rand, mean float64) float64 {
	if mean > 30 {
		return max(0, math.Round(mean+math.Sqrt(mean)*rng.NormFloat64()))
	}
	limit, p, n := math.Exp(-mean), rng.Float64(), 0.0
	for p > limit && n < 1000 {
		p *= rng.Float64()
		n++
	}
	return n
}
