package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/index"
	"github.com/prometheus/prometheus/tsdb/tombstones"
)

// dataStart is a multiple of six hours.
const dataStart = int64(1763553600000)

// blockRanges are the edges of the blocks after dataStart. They follow the
// ranges of a server, so that only the first three could be compacted.
var blockRanges = []struct {
	from, to int64
	level    int
}{
	{0, 2 * hour, 1},
	{2 * hour, 4 * hour, 1},
	{4 * hour, 6 * hour, 1},
	{6 * hour, 12 * hour, 2},
	{12 * hour, 18 * hour, 2},
	{18 * hour, 20 * hour, 1},
	{20 * hour, 24 * hour, 1},
}

// dataLength is the time that all blocks cover.
const dataLength = 24 * hour

// writeBlocks writes the series, which must be in label order, into one block
// per range.
func writeBlocks(dir string, seed uint64, all []*series) error {
	entropy := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16), byte(seed >> 24), 'b'})
	for _, r := range blockRanges {
		var id ulid.ULID
		if err := id.SetTime(uint64(dataStart + r.to + 5*minute)); err != nil {
			return err
		}
		b := make([]byte, 10)
		entropy.Read(b) // never fails
		if err := id.SetEntropy(b); err != nil {
			return err
		}
		if err := writeBlock(dir, id, dataStart+r.from, dataStart+r.to, r.level, all); err != nil {
			return err
		}
	}
	return nil
}

// writeBlock writes the samples in [from, to) as one block.
func writeBlock(dir string, id ulid.ULID, from, to int64, level int, all []*series) error {
	meta := tsdb.BlockMeta{ULID: id, MinTime: from, MaxTime: to, Version: 1}
	meta.Compaction.Level = level
	meta.Compaction.Sources = []ulid.ULID{id}

	type entry struct {
		labels labels.Labels
		chunks []chunks.Meta
	}
	var entries []entry
	symbols := map[string]bool{}
	for _, s := range all {
		lo, _ := slices.BinarySearchFunc(s.samples, from, func(x sample, t int64) int { return int(min(max(x.t-t, -1), 1)) })
		hi, _ := slices.BinarySearchFunc(s.samples, to, func(x sample, t int64) int { return int(min(max(x.t-t, -1), 1)) })
		if lo == hi {
			continue
		}
		// Chunks of a real head have about 120 samples, but any size is legal.
		size := []int{120, 120, 120, 7, 60, 240, 1000}[s.labels.Hash()%7]
		metas, err := cutChunks(s.samples[lo:hi], size)
		if err != nil {
			return err
		}
		entries = append(entries, entry{s.labels, metas})
		s.labels.Range(func(l labels.Label) { symbols[l.Name], symbols[l.Value] = true, true })
		meta.Stats.NumSeries++
		meta.Stats.NumChunks += uint64(len(metas))
		meta.Stats.NumSamples += uint64(hi - lo)
		meta.Stats.NumFloatSamples += uint64(hi - lo)
	}
	if len(entries) == 0 {
		return nil
	}

	bdir := filepath.Join(dir, id.String())
	if err := os.MkdirAll(bdir, 0o777); err != nil {
		return err
	}
	cw, err := chunks.NewWriter(filepath.Join(bdir, "chunks"))
	if err != nil {
		return err
	}
	defer cw.Close() // a second close after success does no harm
	iw, err := index.NewWriter(context.Background(), filepath.Join(bdir, "index"))
	if err != nil {
		return err
	}
	names := make([]string, 0, len(symbols))
	for s := range symbols {
		names = append(names, s)
	}
	slices.Sort(names)
	for _, s := range names {
		if err := iw.AddSymbol(s); err != nil {
			return err
		}
	}
	for i, e := range entries {
		if err := cw.WriteChunks(e.chunks...); err != nil {
			return err
		}
		if err := iw.AddSeries(storage.SeriesRef(i), e.labels, e.chunks...); err != nil {
			return err
		}
	}
	if err := cw.Close(); err != nil {
		return err
	}
	if err := iw.Close(); err != nil {
		return err
	}
	if _, err := tombstones.WriteFile(slog.New(slog.DiscardHandler), bdir, tombstones.NewMemTombstones()); err != nil {
		return err
	}
	text, err := json.MarshalIndent(meta, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(bdir, "meta.json"), text, 0o666)
}

// cutChunks encodes samples as XOR chunks of that many samples.
func cutChunks(samples []sample, size int) ([]chunks.Meta, error) {
	var metas []chunks.Meta
	for part := range slices.Chunk(samples, size) {
		c := chunkenc.NewXORChunk()
		app, err := c.Appender()
		if err != nil {
			return nil, err
		}
		for _, s := range part {
			app.Append(0, s.t, s.v)
		}
		metas = append(metas, chunks.Meta{Chunk: c, MinTime: part[0].t, MaxTime: part[len(part)-1].t})
	}
	return metas, nil
}
