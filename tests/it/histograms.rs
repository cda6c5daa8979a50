//! Chunks of native histograms, and start timestamps: every sample that Prometheus' own library reads from them, and
//! chunks that use every freedom of the format, mutated, cut and hostile.

use std::collections::BTreeSet;
use std::sync::Arc;

use promproof::raw::Fault;
use promproof::sample::STALE_NAN_BITS;
use promproof::source::{OpenOptions, Source};
use promproof::tsdb::chunkenc::histogram::{
    CUSTOM_BOUNDS, Counts, HistogramSample, Histograms, Layout, ResetHint, Span, decode,
};
use promproof::tsdb::chunks::ChunkSlice;
use promproof::windows::inventory::{encodings, take};

use crate::expected::{Equal, compare};
use crate::random::Random;
use crate::support::fixture_sets;
use crate::xor2::{BitWriter, WHOLE, Window};

#[test]
fn every_histogram_and_start_timestamp_is_what_prometheus_reads() {
    let mut chunks = BTreeSet::new();
    let (mut cases, mut total) = (0, Equal::default());
    for case in fixture_sets("chunks").into_iter().chain(fixture_sets("encodings")) {
        let name = case.file_name().unwrap().to_str().unwrap();
        // Those that are about the encodings of this test.
        if !name.starts_with("xor2-") && !name.starts_with("histograms-") {
            continue;
        }
        match compare(&case) {
            Ok(equal) => total.add(equal),
            Err(what) => panic!("{}: {what}", case.display()),
        }
        let source = Source::open(&case.join("data"), &OpenOptions::default()).unwrap();
        chunks.extend(encodings(&take(&source)).into_keys().map(|e| e.name()));
        cases += 1;
    }
    println!("{cases} cases: {total}");
    assert!(chunks.len() == 6, "every encoding was met: {chunks:?}");
}

fn chunk<'a>(encoding: u8, data: &'a [u8]) -> ChunkSlice<'a> {
    ChunkSlice { encoding, window: data, len: data.len(), offset: 8, crc: 0 }
}

/// What is written: layout, kind of chunk and samples.
struct Written {
    encoding: u8,
    header: ResetHint,
    samples: Vec<HistogramSample>,
}

fn some_spans(r: &mut Random) -> Vec<Span> {
    let count = [0, 1, 1, 2, 5][r.below(5)];
    let span = |i: usize, r: &mut Random| {
        let offset = if i == 0 { r.below(400) as i32 - 200 } else { r.below(60) as i32 };
        Span { offset, length: [0, 1, 2, 3, 8, 20][r.below(6)] }
    };
    (0..count).map(|i| span(i, r)).collect()
}

fn some_histograms(r: &mut Random) -> Written {
    let encoding = [2u8, 3, 5, 6][r.below(4)];
    let float = matches!(encoding, 3 | 6);
    let count: usize = [0, 1, 2, 3, 30, 126, 127, 128, 129, 210][r.below(10)];
    let header = [ResetHint::Unknown, ResetHint::Reset, ResetHint::NotReset, ResetHint::Gauge][r.below(4)];
    let nothing = Arc::new(Layout::default());
    let first_stale = r.once_in(20);
    let custom = r.once_in(4);
    let bound = |r: &mut Random| if r.once_in(3) { r.bits() } else { (r.below(100_000) as f64 / 1000.0).to_bits() };
    let layout = Arc::new(match () {
        () if first_stale => Layout::default(),
        () => Layout {
            schema: if custom { CUSTOM_BOUNDS } else { r.below(18) as i32 - 9 },
            zero_threshold: [0, r.bits(), 1f64.to_bits(), 2f64.powi(-128).to_bits(), 2f64.powi(10).to_bits()]
                [r.below(5)],
            positive_spans: some_spans(r),
            negative_spans: some_spans(r),
            custom_bounds: if custom { (0..r.below(12)).map(|_| bound(r)).collect() } else { vec![] },
        },
    });
    let buckets = |spans: &[Span]| spans.iter().map(|s| s.length as usize).sum::<usize>();
    let (positive, negative) = (buckets(&layout.positive_spans), buckets(&layout.negative_spans));
    let stale_from = if first_stale { 0 } else { [count, count, count.saturating_sub(2)][r.below(3)].max(1) };
    let wild = r.once_in(4);
    let mut t = (r.bits() as i64) >> r.below(64);
    let mut ints = vec![0i64; positive + negative];
    let mut floats = vec![0u64; positive + negative];
    let mut start = if r.once_in(2) { 0 } else { r.bits() as i64 >> 20 };
    let start_kind = r.below(4);
    let mut samples = Vec::new();
    for i in 0..count {
        let before = t;
        let late = if r.once_in(30) { (r.bits() as i64) >> r.below(64) } else { r.below(20) as i64 };
        t = t.wrapping_add(15_000).wrapping_add(late);
        start = match start_kind {
            0 => start,
            1 if r.once_in(40) => before,
            2 if i > 100 => before.wrapping_sub(r.below(300) as i64),
            3 => before.wrapping_sub((r.bits() as i64) >> r.below(64)),
            _ => start,
        };
        for b in &mut ints {
            *b = if wild { (r.bits() as i64) >> r.below(64) } else { *b + r.below(3) as i64 };
        }
        for b in &mut floats {
            *b = if wild { r.bits() } else { (f64::from_bits(*b) + r.below(3) as f64 / 4.0).to_bits() };
        }
        let stale = i >= stale_from;
        let empty = || (0, 0, vec![], vec![]);
        let split = |all: &[u64]| (all[..positive].to_vec(), all[positive..].to_vec());
        let counts = if float {
            let (p, n) = split(&floats);
            let (count, zero, positive, negative) = if stale { empty() } else { (r.bits(), r.bits() >> 3, p, n) };
            Counts::Float { count, zero, positive, negative }
        } else {
            let (p, n) = (ints[..positive].to_vec(), ints[positive..].to_vec());
            let (count, zero) = (r.bits() >> r.below(64), r.below(3) as u64);
            let (count, zero, positive, negative) = if stale { (0, 0, vec![], vec![]) } else { (count, zero, p, n) };
            Counts::Int { count, zero, positive, negative }
        };
        samples.push(HistogramSample {
            t_ms: t,
            start_ms: if encoding < 5 { 0 } else { start },
            sum: if stale { STALE_NAN_BITS } else { ((r.bits() % 90_000) as f64 / 1000.0).to_bits() },
            hint: match header {
                _ if stale => ResetHint::Unknown,
                ResetHint::Gauge => ResetHint::Gauge,
                _ if i == 0 => ResetHint::Unknown,
                _ => ResetHint::NotReset,
            },
            layout: Arc::clone(if stale { &nothing } else { &layout }),
            counts,
        });
    }
    Written { encoding, header, samples }
}

/// A value's XOR with the one before, in any window that holds it.
fn put_xored(to: &mut BitWriter, r: &mut Random, state: &mut (u64, Window), value: u64) {
    let changed = value ^ state.0;
    if changed == 0 && !r.once_in(10) {
        to.put(0, 1);
    } else if state.1.reused(r, changed) {
        to.put(0b10, 2);
        state.1.put_bits(to, changed);
    } else {
        to.put(0b11, 2);
        state.1 = Window::around(r, changed);
        state.1.put_header(to);
        state.1.put_bits(to, changed);
    }
    state.0 = value;
}

/// A value as the change of its change.
fn put_tracked(to: &mut BitWriter, r: &mut Random, state: &mut (i64, i64), value: i64) {
    let delta = value.wrapping_sub(state.0);
    to.varbit_int(r, delta.wrapping_sub(state.1));
    *state = (value, delta);
}

fn put_layout(to: &mut BitWriter, r: &mut Random, layout: &Layout) {
    let exponent = layout.zero_threshold >> 52;
    match layout.zero_threshold {
        0 => to.put(0, 8),
        v if v << 12 == 0 && (780..=1033).contains(&exponent) && !r.once_in(5) => to.put(exponent - 779, 8),
        v => {
            to.put(255, 8);
            to.put(v, 64);
        }
    }
    to.varbit_int(r, i64::from(layout.schema));
    for spans in [&layout.positive_spans, &layout.negative_spans] {
        to.varbit_uint(r, spans.len() as u64);
        for s in spans {
            to.varbit_uint(r, u64::from(s.length));
            to.varbit_int(r, i64::from(s.offset));
        }
    }
    if layout.schema == CUSTOM_BOUNDS {
        to.varbit_uint(r, layout.custom_bounds.len() as u64);
        for bound in &layout.custom_bounds {
            let thousandths = (f64::from_bits(*bound) * 1000.0).round();
            if (0.0..1e6).contains(&thousandths) && (thousandths / 1000.0).to_bits() == *bound {
                to.varbit_uint(r, thousandths as u64 + 1);
            } else {
                to.put(0, 1);
                to.put(*bound, 64);
            }
        }
    }
}

fn encoded(r: &mut Random, w: &Written) -> Vec<u8> {
    let mut to = BitWriter::default();
    let reset = match w.header {
        ResetHint::Unknown => 0,
        ResetHint::NotReset => 1,
        ResetHint::Reset => 2,
        ResetHint::Gauge => 3,
    };
    let starts: Vec<i64> = w.samples.iter().map(|s| s.start_ms).collect();
    let (with_starts, known) = (w.encoding >= 5, starts.first().is_some_and(|s| *s != 0));
    let from = match (1..starts.len()).find(|i| starts[*i] != starts[i - 1]) {
        Some(i) => i.min(127),
        None => 0,
    };
    if with_starts {
        to.put(reset, 2);
        to.put(w.samples.len() as u64, 14);
        to.put(u64::from(known) << 7 | from as u64, 8);
    } else {
        to.put(w.samples.len() as u64, 16);
        to.put(reset, 2);
        // The other six bits mean nothing.
        to.put(r.bits(), 6);
    }
    let (mut time, mut count, mut zero, mut difference) = ((0, 0), (0, 0), (0, 0), 0i64);
    let (mut float_count, mut float_zero, mut sum) = ((0, WHOLE), (0, WHOLE), (0, WHOLE));
    let mut ints: Vec<(i64, i64)> = Vec::new();
    let mut floats: Vec<(u64, Window)> = Vec::new();
    for (i, s) in w.samples.iter().enumerate() {
        let (before, first, stale) = (time.0, i == 0, s.is_stale());
        if first {
            put_layout(&mut to, r, &s.layout);
            to.varbit_int(r, s.t_ms);
            time = (s.t_ms, 0);
            sum.0 = s.sum;
        } else {
            put_tracked(&mut to, r, &mut time, s.t_ms);
        }
        match &s.counts {
            Counts::Int { count: c, zero: z, positive, negative } => {
                // Only the first sample of a run of stale ones may be noise; what it says is not read.
                let (c, z) = if stale && !first { (r.bits(), r.bits()) } else { (*c, *z) };
                if first {
                    to.varbit_uint(r, c);
                    to.varbit_uint(r, z);
                    (count, zero) = ((c as i64, 0), (z as i64, 0));
                    to.put(s.sum, 64);
                } else {
                    put_tracked(&mut to, r, &mut count, c as i64);
                    put_tracked(&mut to, r, &mut zero, z as i64);
                    put_xored(&mut to, r, &mut sum, s.sum);
                }
                let deltas = [positive, negative].into_iter().flat_map(|side| {
                    side.iter().scan(0i64, |last, b| {
                        let delta = b.wrapping_sub(*last);
                        *last = *b;
                        Some(delta)
                    })
                });
                for (k, b) in deltas.enumerate() {
                    if first {
                        to.varbit_int(r, b);
                        ints.push((b, 0));
                    } else {
                        put_tracked(&mut to, r, &mut ints[k], b);
                    }
                }
            }
            Counts::Float { count: c, zero: z, positive, negative } => {
                if first {
                    to.put(*c, 64);
                    to.put(*z, 64);
                    to.put(s.sum, 64);
                    (float_count.0, float_zero.0) = (*c, *z);
                } else {
                    put_xored(&mut to, r, &mut float_count, *c);
                    put_xored(&mut to, r, &mut float_zero, *z);
                    put_xored(&mut to, r, &mut sum, s.sum);
                }
                for (k, b) in positive.iter().chain(negative).enumerate() {
                    if first {
                        to.put(*b, 64);
                        floats.push((*b, WHOLE));
                    } else {
                        put_xored(&mut to, r, &mut floats[k], *b);
                    }
                }
            }
        }
        if with_starts && first && known {
            to.varint(s.t_ms.wrapping_sub(s.start_ms));
        } else if with_starts && !first && from > 0 && i >= from {
            let now = before.wrapping_sub(s.start_ms);
            to.varbit_int(r, now.wrapping_sub(difference));
            difference = now;
        }
    }
    to.bytes
}

/// Decodes, and checks what holds for every chunk.
fn checked(encoding: u8, data: &[u8]) -> Result<Vec<HistogramSample>, Fault> {
    let all = decode(&chunk(encoding, data));
    let mut one_by_one = Vec::new();
    let mut fault = None;
    match Histograms::new(&chunk(encoding, data)) {
        Ok(samples) => {
            for s in samples {
                match s {
                    Ok(s) if fault.is_none() => one_by_one.push(s),
                    Ok(_) => panic!("a sample behind a fault"),
                    Err(e) => fault = Some(e),
                }
            }
        }
        Err(e) => fault = Some(e),
    }
    let mut buckets = 0;
    for s in &one_by_one {
        let spans = |spans: &[Span]| spans.iter().map(|s| s.length as usize).sum::<usize>();
        let lengths = match &s.counts {
            Counts::Int { positive, negative, .. } => (positive.len(), negative.len()),
            Counts::Float { positive, negative, .. } => (positive.len(), negative.len()),
        };
        assert_eq!(lengths, (spans(&s.layout.positive_spans), spans(&s.layout.negative_spans)));
        buckets += lengths.0 + lengths.1;
    }
    assert!(buckets + 4 * one_by_one.len() <= data.len() * 8 + 4);
    match fault {
        None => assert_eq!(all.as_ref(), Ok(&one_by_one)),
        Some(fault) => assert_eq!(all, Err(fault)),
    }
    all
}

#[test]
fn what_is_written_comes_back_and_damage_is_survived() {
    let mut r = Random(20_251_127);
    let (mut good, mut bad, mut samples) = (0, 0, 0);
    for i in 0..6_000 {
        let written = some_histograms(&mut r);
        let data = encoded(&mut r, &written);
        let got = checked(written.encoding, &data);
        assert_eq!(got.as_ref(), Ok(&written.samples), "chunk {i}: {data:02x?}");
        samples += written.samples.len();
        if !written.samples.is_empty() {
            let head = Histograms::new(&chunk(written.encoding, &data)).unwrap();
            assert_eq!(head.chunk_reset(), written.header);
            // A byte less, and something else.
            assert!(checked(written.encoding, &data[..data.len() - 1]).is_err(), "chunk {i}: {data:02x?}");
            assert!(checked(written.encoding, &data[..r.below(data.len())]).is_err(), "chunk {i}: {data:02x?}");
        }
        for _ in 0..3 {
            let mut data = data.clone();
            for _ in 0..1 + r.below(4) {
                let at = if r.once_in(2) { r.below(data.len()) } else { r.below(data.len().min(20)) };
                data[at] = if r.once_in(2) { data[at] ^ 1 << r.below(8) } else { r.bits() as u8 };
            }
            let encoding = if r.once_in(10) { [2, 3, 5, 6][r.below(4)] } else { written.encoding };
            match checked(encoding, &data) {
                Ok(_) => good += 1,
                Err(_) => bad += 1,
            }
        }
        let noise = r.bytes(i % 200);
        let _ = checked([2, 3, 5, 6][i % 4], &noise);
    }
    println!("{samples} histograms came back; of mutated chunks {good} were read and {bad} refused");
    assert!(good > 1_000 && bad > 1_000, "{good} good, {bad} bad");
}
