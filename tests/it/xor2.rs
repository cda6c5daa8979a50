//! XOR2 chunks: the decoder that looks ahead against one that takes a bit at a time, on chunks that use every freedom
//! of the format, that are mutated or cut, and on bytes that no writer wrote.

use promproof::raw::{Cursor, Fault};
use promproof::sample::{STALE_NAN_BITS, Samples};
use promproof::tsdb::chunkenc::xor2;
use promproof::tsdb::chunks::ChunkSlice;

use crate::random::Random;

/// A sample: time, value bits, start timestamp (0 is none).
type Sample = (i64, u64, i64);

/// The decoder under test, with `behind` following the chunk as the rest of a segment would.
fn decoded(data: &[u8], behind: &[u8]) -> Result<Vec<Sample>, Fault> {
    let window = [data, behind].concat();
    let chunk = ChunkSlice { encoding: 4, window: &window, len: data.len(), offset: 8, crc: 0 };
    let mut out = Samples::default();
    let mut starts = vec![7];
    out.push(-1, 1);
    let result = xor2::decode(&chunk, &mut out, Some(&mut starts));
    assert_eq!((out.ts[0], out.bits[0], starts[0]), (-1, 1, 7), "what was there stays");
    assert_eq!((out.ts.len(), out.bits.len()), (starts.len(), starts.len()));
    assert!(result.is_ok() || out.len() == 1, "nothing is appended on an error");
    let mut plain = Samples::default();
    assert_eq!(xor2::decode(&chunk, &mut plain, None), result, "with and without starts");
    assert!(plain.iter().eq(out.iter().skip(1)));
    result.map(|()| plain.iter().zip(&starts[1..]).map(|((t, v), s)| (t, v, *s)).collect())
}

/// What a value code says.
#[derive(Clone, Copy)]
enum Change {
    Same,
    Reuse,
    New,
    Stale,
}

/// The format read as it is described, one bit at a time; `None` for anything that is wrong.
fn decoded_bit_by_bit(data: &[u8]) -> Option<Vec<Sample>> {
    struct Bits<'a>(&'a [u8], usize);
    impl Bits<'_> {
        fn take(&mut self, n: u32) -> Option<u64> {
            let mut value = 0;
            for _ in 0..n {
                let byte = *self.0.get(self.1 / 8)?;
                value = value << 1 | u64::from(byte >> (7 - self.1 % 8) & 1);
                self.1 += 1;
            }
            Some(value)
        }
        /// Two's complement.
        fn dod(&mut self, n: u32) -> Option<i64> {
            let raw = self.take(n)? as i64;
            Some(if raw >= 1 << (n - 1) { raw - (1 << n) } else { raw })
        }
        fn ones(&mut self, most: u32) -> Option<u32> {
            let mut ones = 0;
            while ones < most && self.take(1)? == 1 {
                ones += 1;
            }
            Some(ones)
        }
        fn varbit(&mut self) -> Option<i64> {
            let width = match self.ones(8)? {
                0 => return Some(0),
                8 => return Some(self.take(64)? as i64),
                n => [3, 6, 9, 12, 18, 25, 56][n as usize - 1],
            };
            let raw = self.take(width)? as i64;
            Some(if raw > 1 << (width - 1) { raw - (1 << width) } else { raw })
        }
    }
    let mut out = Vec::new();
    let [a, b, header, rest @ ..] = data else { return None };
    let (known, from) = (header & 0x80 != 0, u16::from(header & 0x7f));
    let mut head = Cursor::new(rest, 3);
    let (mut t, mut delta, mut start, mut difference) = (0i64, 0i64, 0i64, 0i64);
    let mut base = 0u64;
    let (mut leading, mut significant) = (0u32, 64u32);
    let mut bits = Bits(&[], 0);
    for i in 0..u16::from_be_bytes([*a, *b]) {
        let before = t;
        if i == 0 {
            t = head.varint("t").ok()?;
            let v = head.u64("v").ok()?;
            if v != STALE_NAN_BITS {
                base = v;
            }
            if known {
                start = t.wrapping_sub(head.varint("start").ok()?);
            }
            out.push((t, v, start));
            continue;
        }
        let mut full_code = true;
        let mut change = Change::Same;
        if i == 1 {
            delta = head.uvarint("delta").ok()? as i64;
            bits = Bits(head.rest(), 0);
        } else {
            match bits.ones(5)? {
                0 => full_code = false,
                1 => {
                    full_code = false;
                    change = if bits.take(1)? == 1 { Change::New } else { Change::Reuse };
                }
                2 => delta = delta.wrapping_add(bits.dod(13)?),
                3 => delta = delta.wrapping_add(bits.dod(20)?),
                4 => delta = delta.wrapping_add(bits.take(64)? as i64),
                _ => {
                    full_code = false;
                    change = Change::Stale;
                }
            }
        }
        if full_code {
            change = [Change::Same, Change::Reuse, Change::New, Change::Stale][bits.ones(3)? as usize];
        }
        t = t.wrapping_add(delta);
        if matches!(change, Change::New) {
            leading = bits.take(5)? as u32;
            significant = match bits.take(6)? as u32 {
                0 => 64,
                n => n,
            };
            if leading + significant > 64 {
                return None;
            }
        }
        if matches!(change, Change::New | Change::Reuse) {
            base ^= bits.take(significant)? << (64 - leading - significant);
        }
        if from > 0 && i >= from {
            let field = bits.varbit()?;
            difference = if i == from { field } else { difference.wrapping_add(field) };
            start = before.wrapping_sub(difference);
        }
        out.push((t, if matches!(change, Change::Stale) { STALE_NAN_BITS } else { base }, start));
    }
    Some(out)
}

/// Writes bits, and fields in any form that a reader has to take.
#[derive(Default)]
pub(crate) struct BitWriter {
    pub(crate) bytes: Vec<u8>,
    used: usize,
}

impl BitWriter {
    pub(crate) fn put(&mut self, value: u64, n: u32) {
        for i in (0..n).rev() {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            let last = self.bytes.len() - 1;
            self.bytes[last] |= ((value >> i & 1) as u8) << (7 - self.used % 8);
            self.used += 1;
        }
    }

    pub(crate) fn uvarint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.put(value & 0x7f | 0x80, 8);
            value >>= 7;
        }
        self.put(value, 8);
    }

    pub(crate) fn varint(&mut self, value: i64) {
        self.uvarint((value << 1 ^ value >> 63) as u64);
    }

    /// A varbit number in the narrowest form that `fits` takes; now and then in a wider one.
    fn varbit(&mut self, r: &mut Random, value: u64, fits: impl Fn(u32) -> bool) {
        let widths = [0, 3, 6, 9, 12, 18, 25, 56, 64];
        let narrowest = widths.iter().position(|w| *w == 64 || fits(*w)).unwrap();
        let form = if r.once_in(20) { narrowest + r.below(9 - narrowest) } else { narrowest };
        for _ in 0..form {
            self.put(1, 1);
        }
        if form < 8 {
            self.put(0, 1);
        }
        self.put(value, widths[form]);
    }

    pub(crate) fn varbit_int(&mut self, r: &mut Random, value: i64) {
        self.varbit(r, value as u64, |w| match w {
            0 => value == 0,
            w => value > -(1 << (w - 1)) && value <= 1 << (w - 1),
        });
    }

    pub(crate) fn varbit_uint(&mut self, r: &mut Random, value: u64) {
        self.varbit(r, value, |w| value >> w == 0);
    }
}

/// A value window, and what of it a writer is free to choose.
#[derive(Clone, Copy)]
pub(crate) struct Window {
    leading: u32,
    trailing: u32,
}

/// The window that readers assume before one is stored.
pub(crate) const WHOLE: Window = Window { leading: 0, trailing: 0 };

impl Window {
    /// Whether it holds these changes, and the writer takes it.
    pub(crate) fn reused(self, r: &mut Random, changed: u64) -> bool {
        changed.leading_zeros() >= self.leading && changed.trailing_zeros() >= self.trailing && !r.once_in(5)
    }

    /// A window that holds these changes, not always the narrowest.
    pub(crate) fn around(r: &mut Random, changed: u64) -> Window {
        let widen = |r: &mut Random, zeros: u32| if r.once_in(3) { r.below(zeros as usize + 1) as u32 } else { zeros };
        let leading = widen(r, changed.leading_zeros().min(31));
        let trailing = widen(r, changed.trailing_zeros().min(63 - leading));
        Window { leading, trailing }
    }

    pub(crate) fn put_header(self, to: &mut BitWriter) {
        to.put(u64::from(self.leading), 5);
        to.put(u64::from(64 - self.leading - self.trailing) & 63, 6);
    }

    pub(crate) fn put_bits(self, to: &mut BitWriter, changed: u64) {
        to.put(changed >> self.trailing, 64 - self.leading - self.trailing);
    }
}

/// Writes a chunk, choosing among the forms that a reader has to take.
fn encoded(r: &mut Random, samples: &[Sample]) -> Vec<u8> {
    let mut to = BitWriter::default();
    to.put(samples.len() as u64, 16);
    let known = samples.first().is_some_and(|s| s.2 != 0);
    let changed = (1..samples.len()).find(|i| samples[*i].2 != samples[i - 1].2);
    // Upstream always starts at 127. Earlier than necessary is legal, later is not.
    let from = match changed {
        Some(i) if i <= 127 => {
            if r.once_in(4) {
                1 + r.below(i)
            } else {
                i
            }
        }
        Some(_) => 127,
        None if r.once_in(4) => 1 + r.below(127),
        None => 0,
    };
    to.put(u64::from(known) << 7 | from as u64, 8);
    let (mut base, mut delta, mut difference, mut window) = (0u64, 0i64, 0i64, WHOLE);
    for (i, (t, v, start)) in samples.iter().copied().enumerate() {
        let stale = v == STALE_NAN_BITS;
        if i == 0 {
            to.varint(t);
            to.put(v, 64);
            if known {
                to.varint(t.wrapping_sub(start));
            }
            base = if stale { 0 } else { v };
            continue;
        }
        let before = samples[i - 1].0;
        let dod = t.wrapping_sub(before).wrapping_sub(delta);
        delta = t.wrapping_sub(before);
        let changed = v ^ base;
        let change = match () {
            () if stale => Change::Stale,
            () if changed == 0 && !r.once_in(10) => Change::Same,
            () if window.reused(r, changed) => Change::Reuse,
            () => Change::New,
        };
        if i > 1 && dod == 0 && !r.once_in(10) {
            match change {
                Change::Same => to.put(0, 1),
                Change::Reuse => to.put(0b100, 3),
                Change::New => to.put(0b101, 3),
                Change::Stale => to.put(0b11111, 5),
            }
        } else {
            let fits = |n: u32| -(1 << (n - 1)) <= dod && dod < 1 << (n - 1);
            let wider = r.below(20);
            if i == 1 {
                to.uvarint(delta as u64);
            } else if fits(13) && wider > 1 {
                to.put(0b110, 3);
                to.put(dod as u64, 13);
            } else if fits(20) && wider > 0 {
                to.put(0b1110, 4);
                to.put(dod as u64, 20);
            } else {
                to.put(0b11110, 5);
                to.put(dod as u64, 64);
            }
            match change {
                Change::Same => to.put(0, 1),
                Change::Reuse => to.put(0b10, 2),
                Change::New => to.put(0b110, 3),
                Change::Stale => to.put(0b111, 3),
            }
        }
        if matches!(change, Change::New) {
            window = Window::around(r, changed);
            window.put_header(&mut to);
        }
        if matches!(change, Change::New | Change::Reuse) {
            window.put_bits(&mut to, changed);
            base = v;
        }
        if from > 0 && i >= from {
            let now = before.wrapping_sub(start);
            to.varbit_int(r, now.wrapping_sub(difference));
            difference = now;
        }
    }
    to.bytes
}

/// Samples of all kinds: counters, gauges, bit patterns, jumps in time to every width, stale runs, starts that are
/// missing, constant, moving, or known from some sample on.
fn some_samples(r: &mut Random) -> Vec<Sample> {
    let count = [0, 1, 2, 3, 40, 120, 126, 127, 128, 129, 300, 1500][r.below(12)];
    let kind = r.below(6);
    let start_kind = r.below(6);
    let mut t = (r.bits() as i64) >> r.below(64);
    let mut counter = r.bits() >> (24 + r.below(40));
    let (mut v, mut start) = (0, 0);
    let mut stale = false;
    let change_at = [1, 2, 3, 60, 125, 126, 127, 128, 140][r.below(9)];
    (0..count)
        .map(|i| {
            let late = match r.below(60) {
                0 => (r.bits() as i64) >> r.below(64),
                1 => [4095, -4096, 4096, -4097, 524_287, -524_288, 524_288, -524_289][r.below(8)],
                2 => 3,
                _ => 0,
            };
            let before = t;
            t = t.wrapping_add(15_000).wrapping_add(late);
            v = match kind {
                0 => v,
                1 => r.bits(),
                2 => ((r.bits() % 90_000) as f64 / 1000.0).to_bits(),
                3 => v ^ (r.bits() >> r.below(64)) << r.below(64),
                _ => {
                    counter = counter.wrapping_add(r.bits() & r.bits() & 3);
                    (counter as f64).to_bits()
                }
            };
            if r.once_in(if stale { 3 } else { 60 }) {
                stale = !stale;
            }
            start = match start_kind {
                0 => 0,
                1 => 1_700_000_000_000,
                2 if i < change_at => 0,
                2 | 3 => before.wrapping_sub((r.bits() as i64) >> (20 + r.below(44))),
                4 if i == change_at || r.once_in(50) => t,
                5 => r.bits() as i64,
                _ => start,
            };
            (t, if stale { STALE_NAN_BITS } else { v }, start)
        })
        .collect()
}

#[test]
fn looking_ahead_and_bit_by_bit_agree_on_any_bytes() {
    let mut r = Random(20_251_126);
    let behind = r.bytes(4096);
    let (mut good, mut bad) = (0, 0);
    for i in 0..60_000 {
        let mut written = None;
        let mut data = match i % 8 {
            // Random bytes behind a count that they may hold.
            0 => {
                let n = 1 + r.below(300);
                let count = (r.below(6 * n) as u16).to_be_bytes();
                [&count[..], &r.bytes(n)].concat()
            }
            // Random bits with few ones: many samples per byte.
            1 => {
                let n = 12 + r.below(200);
                let count = (r.below(6 * n) as u16).to_be_bytes();
                [&count[..], &r.few_ones(n)].concat()
            }
            _ => {
                let samples = some_samples(&mut r);
                let data = encoded(&mut r, &samples);
                written = Some(samples);
                data
            }
        };
        r.damage(i, &mut data);
        let behind = r.start_of(i, &behind);
        let expected = decoded_bit_by_bit(&data);
        if expected.is_some() {
            good += 1;
        } else {
            bad += 1;
        }
        let got = decoded(&data, behind);
        let place = || format!("chunk {i} of {} bytes with {} behind it: {data:02x?}", data.len(), behind.len());
        assert!(got.as_ref().ok() == expected.as_ref(), "{}", place());
        assert!(got == decoded(&data, &[]), "what is behind a chunk does not matter: {}", place());
        if i % 4 == 0
            && let Some(written) = written
        {
            assert!(expected == Some(written), "{}", place());
        }
    }
    assert!(good > 15_000 && bad > 15_000, "{good} good, {bad} bad");
}

#[test]
fn chunks_about_as_long_as_the_window_of_the_decoder() {
    let mut r = Random(8);
    let mut sizes = std::collections::BTreeMap::new();
    for i in 0..400 {
        // 200 to 300 samples of random bits take 1700 to 2500 bytes.
        let samples: Vec<Sample> = (0..200 + r.below(100)).map(|k| (k as i64 * 1000, r.bits(), 0)).collect();
        let data = encoded(&mut r, &samples);
        *sizes.entry(data.len() > 2048).or_insert(0) += 1;
        let behind = r.bytes(i % 20);
        assert_eq!(decoded(&data, &behind), Ok(samples));
        let cut = &data[..data.len() - 1 - r.below(8)];
        assert_eq!(decoded(cut, &data[cut.len()..]).ok(), decoded_bit_by_bit(cut));
    }
    assert!(sizes.len() == 2 && sizes.values().all(|n| *n > 20), "{sizes:?}");
}
