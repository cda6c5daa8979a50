package main

import (
	"bytes"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/compression"
)

// caseAllFiles has one of every file and as few bytes as possible: the campaign of tests/it/damage changes each bit.
func caseAllFiles(f *fixture) {
	t := f.t0
	const step = 30 * second
	end := t + 46*minute
	n := int((end - t) / step)
	ss := []series{
		{l: lbl("requests_total", "code", "200", "job", "api"), pts: floats(regular(t, step, n), f.counter(9, 0.02)), meta: metadata.Metadata{Type: "counter", Help: "Requests."}},
		{l: lbl("requests_total", "code", "500", "job", "api"), pts: floats(f.jittered(t+second, step, n, 300), f.counter(2, 0.02))},
		{l: lbl("up", "job", "api"), pts: withStale(floats(regular(t, step, n), constant(1)), n/2)},
		{l: lbl("latency", "job", "api"), pts: intHists(regular(t, 2*step, n/2), newHist(0, 0.001), func(_ int, s *histState) { s.observe(f, 1, false) })},
		{l: lbl("weight", "job", "api"), pts: floatHists(intHists(regular(t+second, 4*step, n/4), customHist(1, 10), func(_ int, s *histState) { s.observe(f, 1, false) }), 0.5)},
		{l: lbl("gone_early"), pts: withStale(floats(regular(t, step, 20), f.gauge(3)), 19)},
		{l: lbl("starts_late"), pts: floats(regular(t+34*minute, step, n-68), f.gauge(3))},
	}
	part := func(mint, maxt int64) []series {
		var res []series
		for _, s := range ss {
			res = append(res, series{l: s.l, pts: between(s.pts, mint, maxt), meta: s.meta})
		}
		return res
	}
	options := func(c compression.Type) *tsdb.Options {
		o := defaultOpenOptions()
		o.MinBlockDuration = 10 * minute
		o.MaxBlockDuration = 30 * minute
		o.SamplesPerChunk = 12
		o.EnableMetadataWALRecords = true
		o.WALCompression = c
		o.OutOfOrderTimeWindow = 30 * minute
		o.OutOfOrderCapMax = 4
		if c == compression.Zstd {
			o.FloatChunkEncoding, o.EnableSTStorage = chunkenc.EncXOR2, true
		}
		return o
	}
	f.open.OutOfOrderTimeWindow = 30 * minute
	f.open.MinBlockDuration, f.open.MaxBlockDuration = 10*minute, 30*minute
	f.open.OutOfOrderCapMax = 4
	f.open.FloatChunkEncoding, f.open.EnableSTStorage = chunkenc.EncXOR2, true
	work := tempDir()
	// A killed run is copied while open: full head chunks are lost with the write buffer.
	run := func(c compression.Type, killed bool, do func(*tsdb.DB)) {
		db := openDB(work, options(c))
		do(db)
		if killed {
			next := tempDir()
			copyTree(work, next)
			check(db.Close())
			removeAll(work)
			work = next
		} else {
			check(db.Close())
		}
	}
	run(compression.None, true, func(db *tsdb.DB) {
		appendAll(db.AppenderV2, part(t, t+8*minute), 1)
	})
	run(compression.Snappy, true, func(db *tsdb.DB) {
		appendAll(db.AppenderV2, part(t+8*minute, t+15*minute), 1)
	})
	run(compression.None, true, func(db *tsdb.DB) {
		appendAll(db.AppenderV2, part(t+15*minute, t+18*minute), 1)
	})
	run(compression.Snappy, false, func(db *tsdb.DB) {
		appendAll(db.AppenderV2, part(t+18*minute, t+26*minute), 1)
		// Late samples, all flushed into a block of their own.
		late := []series{{l: ss[1].l, pts: floats(regular(t+17*minute+7, 3*step, 3), f.gauge(5))}}
		f.expect(appendShuffled(db, late, 2)...)
		check(db.Compact(bg))
		check(db.CompactOOOHead(bg))
	})
	run(compression.Zstd, false, func(db *tsdb.DB) {
		appendAll(db.AppenderV2, part(t+26*minute, t+33*minute), 1)
	})
	// The first block in order has a deletion.
	blocks := must(filepath.Glob(filepath.Join(work, "01*")))
	rawStones(blocks[0], eq("code", "200"), t+2*minute, t+4*minute)
	late := func(i int, from int64, k int) series {
		return series{l: ss[i].l, pts: floats(regular(from, step, k), f.gauge(5))}
	}
	run(compression.None, false, func(db *tsdb.DB) {
		appendAll(db.AppenderV2, part(t+33*minute, t+38*minute), 1)
		f.expect(appendShuffled(db, []series{late(0, t+26*minute+5, 6), late(5, t+27*minute, 5), late(1, t+24*minute, 3)}, 2)...)
		check(db.Delete(bg, t+35*minute, t+36*minute, eq("__name__", "up")))
	})
	run(compression.Snappy, false, func(db *tsdb.DB) {
		appendAll(db.AppenderV2, part(t+38*minute, t+43*minute), 1)
		f.expect(appendShuffled(db, []series{late(0, t+30*minute+9, 5), late(6, t+31*minute+11, 6)}, 1)...)
	})
	run(compression.Zstd, true, func(db *tsdb.DB) {
		rest := part(t+43*minute, math.MaxInt64)
		rest[0].pts = withST(rest[0].pts, func(int, int64) int64 { return t + 43*minute - 5*second })
		appendAll(db.AppenderV2, rest, 1)
		f.expect(rest...)
		f.expect(appendShuffled(db, []series{late(0, t+31*minute+3, 2)}, 1)...)
	})
	f.expect(part(t, t+43*minute)...)
	f.forgetSeries(ss[0].l, t+2*minute, t+4*minute)
	f.forget(t+35*minute, t+36*minute, eq("__name__", "up"))
	copyTree(work, f.data())
	removeAll(work)
	check(filepath.WalkDir(f.data(), func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && !strings.Contains(p, "/01") && !strings.Contains(p, "/checkpoint.") {
			b := must(os.ReadFile(p))
			if keep := (len(bytes.TrimRight(b, "\x00")) + 79) / 16 * 16; keep < len(b) {
				return os.Truncate(p, int64(keep))
			}
		}
		return err
	}))
	f.option("blocks of 10 min, chunks of 12 samples, out-of-order window 30 min with a buffer of 4; eight runs, four of them copied while open; log none, snappy, none, snappy, zstd, none, snappy, zstd")
	f.note("the zeros at the end of logs and head chunk files are cut to 64 bytes")
	f.exact = true
	f.query([]int64{t + 20*minute, t + 40*minute, t + 45*minute}, `requests_total`, `increase(requests_total[10m])`, `up`, `histogram_count(latency)`)
	f.finish()
}

// forgetSeries records a deletion of one series.
func (f *fixture) forgetSeries(l labels.Labels, mint, maxt int64) {
	w := f.want[l.WithoutEmpty().String()]
	for t := range w.pts {
		if t >= mint && t <= maxt {
			delete(w.pts, t)
		}
	}
}
