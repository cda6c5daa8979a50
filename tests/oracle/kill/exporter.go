package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// span is a stretch of time, in seconds after the start.
type span struct{ From, To float64 }

// target is one replica of the recommender, with some series beside it that
// are hard on a database: late ones, short-lived ones, one that changes its type.
type target struct {
	start  time.Time
	down   []span // requests are cut, and the process starts anew
	extra  int    // gauges that fill the records
	addr   string
	server *http.Server

	mu       sync.Mutex
	rng      *rand.Rand
	resets   []float64 // still to come
	scrapes  int
	last     time.Time
	born     time.Time
	requests map[string]float64
	health   float64
	latency  latencies
	payload  latencies
	switches map[[2]string]float64
	version  string
	untilNew time.Duration // until the next switch of the model
}

// latencies is a histogram, classic and native.
type latencies struct {
	bounds  []float64
	classic []uint64 // not cumulative; the last one is that of +Inf
	native  map[int]int64
	sum     float64
	trace   string
	seen    float64
}

const perSecond = 40

func newTarget(start time.Time, seed, number uint64, extra int) (*target, error) {
	t := &target{start: start, rng: rand.New(rand.NewPCG(seed, number)), extra: extra}
	for at := 15 + 20*t.rng.Float64(); at < 400; at += 30 + 60*t.rng.Float64() {
		if t.rng.IntN(2) == 0 {
			to := at + 3 + 8*t.rng.Float64()
			t.down = append(t.down, span{at, to})
			at = to
		}
		// Without a down time before it, the restart falls between two scrapes.
		t.resets = append(t.resets, at)
	}
	t.restart(start)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	t.addr = l.Addr().String()
	mux := http.NewServeMux()
	mux.HandleFunc("/metrics", func(w http.ResponseWriter, r *http.Request) { t.serve(w, r, t.families) })
	mux.HandleFunc("/batch", func(w http.ResponseWriter, r *http.Request) { t.serve(w, r, t.batch) })
	t.server = &http.Server{Handler: mux}
	go t.server.Serve(l)
	return t, nil
}

func (t *target) restart(now time.Time) {
	t.born, t.last = now, now
	t.requests = map[string]float64{}
	t.switches = map[[2]string]float64{}
	t.latency = latencies{bounds: []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5}}
	t.payload = latencies{bounds: []float64{0.25, 1, 4, 16, 64}}
	t.health = 1
	if t.version == "" {
		t.version = "v0.2"
	}
	t.untilNew = time.Duration(10+t.rng.IntN(20)) * time.Second
}

func (t *target) serve(w http.ResponseWriter, r *http.Request, families func(time.Time, bool) []*dto.MetricFamily) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	at := now.Sub(t.start).Seconds()
	for _, d := range t.down {
		if at >= d.From && at < d.To {
			panic(http.ErrAbortHandler)
		}
	}
	for len(t.resets) > 0 && at >= t.resets[0] {
		t.restart(t.start.Add(time.Duration(t.resets[0] * 1e9)))
		t.resets = t.resets[1:]
	}
	t.work(now)
	format := expfmt.NegotiateIncludingOpenMetrics(r.Header)
	w.Header().Set("Content-Type", string(format))
	enc := expfmt.NewEncoder(w, format, expfmt.WithCreatedLines())
	for _, f := range families(now, format.FormatType() == expfmt.TypeProtoDelim) {
		if len(f.Metric) == 0 {
			continue
		}
		if err := enc.Encode(f); err != nil {
			return // the server went away
		}
	}
	if c, ok := enc.(expfmt.Closer); ok {
		c.Close()
	}
}

// work does what happened since the last scrape.
func (t *target) work(now time.Time) {
	elapsed := now.Sub(t.last)
	t.last = now
	for range int(elapsed.Seconds()*perSecond + t.rng.Float64()) {
		status := "200"
		switch x := t.rng.Float64(); {
		case x < 0.05:
			status = "500"
		case x < 0.06:
			status = "404"
		}
		t.requests[status]++
		t.latency.observe(t.rng, math.Exp(-3.4+0.8*t.rng.NormFloat64()))
		t.payload.observe(t.rng, math.Exp(1+1.5*t.rng.NormFloat64()))
	}
	t.health = 1
	if t.rng.IntN(25) == 0 {
		t.health = 0
	}
	for t.untilNew -= elapsed; t.untilNew < 0; t.untilNew += 18 * time.Second {
		to := "v0.3"
		if t.version == to {
			to = "v0.2"
		}
		t.switches[[2]string{t.version, to}]++
		t.version = to
	}
}

func (l *latencies) observe(rng *rand.Rand, v float64) {
	if l.classic == nil {
		l.classic = make([]uint64, len(l.bounds)+1)
		l.native = map[int]int64{}
	}
	i, _ := slices.BinarySearch(l.bounds, v)
	l.classic[i]++
	l.native[int(math.Ceil(math.Log2(v)*8))]++ // schema 3
	l.sum += v
	l.trace, l.seen = fmt.Sprintf("%016x", rng.Uint64()), v
}

// families are those of /metrics.
func (t *target) families(now time.Time, native bool) []*dto.MetricFamily {
	t.scrapes++
	at := now.Sub(t.start).Seconds()
	endpoint := "/recommend"
	var requests, switches []*dto.Metric
	for _, status := range sorted(t.requests) {
		m := counter(t.requests[status], t.born, "endpoint", endpoint, "status", status)
		requests = append(requests, m)
	}
	for k, n := range t.switches {
		switches = append(switches, counter(n, t.born, "from_version", k[0], "to_version", k[1], "status", "success"))
	}
	fs := []*dto.MetricFamily{
		family("recommend_requests_total", dto.MetricType_COUNTER, requests...),
		family("model_switches_total", dto.MetricType_COUNTER, switches...),
		family("service_health_status", dto.MetricType_GAUGE, gauge(t.health)),
		family("model_version_info", dto.MetricType_GAUGE, gauge(1, "model_name", "als", "version", t.version)),
		family("process_start_time_seconds", dto.MetricType_GAUGE, gauge(float64(t.born.UnixMilli())/1000)),
	}
	if t.latency.classic != nil {
		fs = append(fs, family("recommend_latency_seconds", dto.MetricType_HISTOGRAM, t.latency.metric(t.born, true, native, "endpoint", endpoint)))
	}
	// Every fourth one of these comes 20 s late; some hit the time of another.
	batch := gauge(float64(t.scrapes))
	stamp(batch, now.Truncate(time.Second).Add(-time.Duration(t.scrapes%4/3)*20*time.Second))
	fs = append(fs, family("batch_score", dto.MetricType_GAUGE, batch))
	// Late at random. What is late by more than the window, or late at all where there is no window, is refused.
	var late []*dto.Metric
	for i := range 3 {
		g := gauge(t.rng.Float64(), "idx", strconv.Itoa(i))
		stamp(g, now.Add(-time.Duration(t.rng.IntN(40)*t.rng.IntN(2))*time.Second))
		late = append(late, g)
	}
	fs = append(fs, family("late_gauge", dto.MetricType_GAUGE, late...))
	// Series that go and come back, so that one label set gets several references.
	visitor := gauge(at, "name", strconv.Itoa(int(at/12)%8))
	fs = append(fs, family("visitor", dto.MetricType_GAUGE, visitor))
	if t.extra > 0 {
		var ms []*dto.Metric
		for i := range t.extra {
			ms = append(ms, gauge(t.rng.Float64(), "idx", strconv.Itoa(i)))
		}
		fs = append(fs, family("extra_gauge", dto.MetricType_GAUGE, ms...))
	}
	if !native || t.latency.classic == nil {
		return fs
	}
	// On whole seconds, so that late ones hit the times of others.
	lateHistogram := t.latency.metric(t.born, false, true)
	stamp(lateHistogram, now.Truncate(time.Second).Add(-time.Duration(t.rng.IntN(30)*t.rng.IntN(2))*time.Second))
	fs = append(fs, family("late_latency_seconds", dto.MetricType_HISTOGRAM, lateHistogram))
	levels := t.latency.metric(t.born, false, true)
	floats(levels.Histogram)
	fs = append(fs, family("levels", dto.MetricType_GAUGE_HISTOGRAM, levels))
	// One name, three types.
	switch int(at/9) % 3 {
	case 0:
		fs = append(fs, family("changeling", dto.MetricType_GAUGE, gauge(at)))
	case 1:
		fs = append(fs, family("changeling", dto.MetricType_HISTOGRAM, t.latency.metric(t.born, false, true)))
	default:
		m := t.latency.metric(t.born, false, true)
		floats(m.Histogram)
		fs = append(fs, family("changeling", dto.MetricType_GAUGE_HISTOGRAM, m))
	}
	return fs
}

// batch are the families of /batch, whose histogram the server turns into one with custom buckets.
func (t *target) batch(time.Time, bool) []*dto.MetricFamily {
	if t.payload.classic == nil {
		return nil
	}
	return []*dto.MetricFamily{family("batch_payload_kilobytes", dto.MetricType_HISTOGRAM, t.payload.metric(t.born, true, false))}
}

func (l *latencies) metric(born time.Time, classic, native bool, names ...string) *dto.Metric {
	m := labelled(names)
	h := &dto.Histogram{SampleSum: proto.Float64(l.sum), CreatedTimestamp: timestamppb.New(born)}
	var count uint64
	for i, n := range l.classic {
		count += n
		bound := math.Inf(1)
		if i < len(l.bounds) {
			bound = l.bounds[i]
		}
		if classic {
			b := &dto.Bucket{CumulativeCount: proto.Uint64(count), UpperBound: proto.Float64(bound)}
			if i == len(l.bounds) {
				b.Exemplar = &dto.Exemplar{Value: proto.Float64(l.seen), Label: labelled([]string{"trace_id", l.trace}).Label}
			}
			h.Bucket = append(h.Bucket, b)
		}
	}
	h.SampleCount = proto.Uint64(count)
	if native {
		h.Schema, h.ZeroThreshold, h.ZeroCount = proto.Int32(3), proto.Float64(0x1p-128), proto.Uint64(0)
		var next int
		var before int64
		for _, k := range sorted(l.native) {
			if len(h.PositiveSpan) == 0 || k != next {
				h.PositiveSpan = append(h.PositiveSpan, &dto.BucketSpan{Offset: proto.Int32(int32(k - next)), Length: proto.Uint32(0)})
			}
			*h.PositiveSpan[len(h.PositiveSpan)-1].Length++
			next = k + 1
			h.PositiveDelta = append(h.PositiveDelta, l.native[k]-before)
			before = l.native[k]
		}
	}
	m.Histogram = h
	return m
}

// floats makes it a histogram of half counts.
func floats(h *dto.Histogram) {
	h.SampleCountFloat, h.SampleCount = proto.Float64(float64(*h.SampleCount)/2), nil
	h.ZeroCountFloat, h.ZeroCount = proto.Float64(0), nil
	var count int64
	for _, d := range h.PositiveDelta {
		count += d
		h.PositiveCount = append(h.PositiveCount, float64(count)/2)
	}
	h.PositiveDelta, h.CreatedTimestamp = nil, nil
}

func family(name string, kind dto.MetricType, ms ...*dto.Metric) *dto.MetricFamily {
	help := "Of " + strings.ReplaceAll(name, "_", " ") + "."
	return &dto.MetricFamily{Name: &name, Help: &help, Type: &kind, Metric: ms}
}

func labelled(names []string) *dto.Metric {
	m := &dto.Metric{}
	for i := 0; i < len(names); i += 2 {
		m.Label = append(m.Label, &dto.LabelPair{Name: &names[i], Value: &names[i+1]})
	}
	return m
}

func gauge(v float64, names ...string) *dto.Metric {
	m := labelled(names)
	m.Gauge = &dto.Gauge{Value: &v}
	return m
}

func counter(v float64, born time.Time, names ...string) *dto.Metric {
	m := labelled(names)
	m.Counter = &dto.Counter{Value: &v, CreatedTimestamp: timestamppb.New(born)}
	return m
}

func stamp(m *dto.Metric, t time.Time) { m.TimestampMs = proto.Int64(t.UnixMilli()) }

func sorted[K int | string, V any](m map[K]V) []K {
	var keys []K
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
