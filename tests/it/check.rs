//! `promproof check`: whole directories are good, every flipped bit is found in its file, and so are forgeries whose
//! checksums are right.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Output;

use promproof::archive::Limits;
use promproof::check::{Checked, FileVerdict, Finding, State, check};
use promproof::labels::Labels;
use promproof::raw::crc32c;
use promproof::sample::Samples;
use promproof::source::{OpenOptions, locate};
use promproof::time::Interval;
use promproof::tsdb::index::ChunkMeta;
use promproof::tsdb::meta::Parent;
use promproof::tsdb::write::{BlockWriter, Compaction, IndexWriter, RawChunk, SEGMENT_BYTES, SegmentWriter};
use promproof::tsdb::{BlockChunkRef, Ulid};
use serde_json::{Value, json};

use crate::cli::{copy_tree, golden, json, p, run, run_in, status, text, tree};
use crate::support::{fixtures, folders};

fn checked(dir: &Path) -> Checked {
    check(&locate(dir, None, &Limits::default()).unwrap(), &OpenOptions::default()).unwrap()
}

fn bad(checked: &Checked) -> Vec<&str> {
    checked.files.iter().filter(|f| f.state == State::Bad).map(|f| f.file.as_str()).collect()
}

fn of<'a>(checked: &'a Checked, file: &str) -> &'a FileVerdict {
    checked.files.iter().find(|f| f.file == file).unwrap_or_else(|| panic!("no verdict on {file}"))
}

fn notes(checked: &Checked) -> Vec<&str> {
    checked.files.iter().filter(|f| f.state == State::Noted).map(|f| f.file.as_str()).collect()
}

/// The only finding of a kind in a file whose part begins like that.
fn finding<'a>(checked: &'a Checked, file: &str, part: &str) -> &'a Finding {
    let of = of(checked, file);
    let found: Vec<&Finding> = of.findings.iter().filter(|f| f.part.starts_with(part)).collect();
    assert!(found.len() == 1, "{file}: {part}: {:#?}", of.findings);
    found[0]
}

/// Every folder of the fixtures that holds data.
fn data_folders() -> Vec<PathBuf> {
    let mut found = vec![fixtures().join("damage/data")];
    for kind in ["servers", "encodings", "chunks"] {
        for case in crate::support::fixture_sets(kind).into_iter().chain(folders(&fixtures().join(kind))) {
            let roots = folders(&case);
            // Scrapes and answers of servers are no data directories.
            let is_data = |d: &PathBuf| !d.ends_with("expected") && !case.ends_with("dumps");
            found.extend(roots.into_iter().filter(is_data));
        }
    }
    found.sort();
    found.dedup();
    found
}

#[test]
fn what_servers_wrote_is_good() {
    let mut files = 0;
    for dir in data_folders() {
        let checked = checked(&dir);
        let case = dir.parent().and_then(Path::file_name).unwrap().to_string_lossy().into_owned();
        // What the fixtures were given on purpose: a block without meta.json, and intervals that end before they start.
        let wanted = match case.as_str() {
            "stray-entries" => "meta.json",
            "tombstones-block" => "tombstones",
            _ => "",
        };
        let found = bad(&checked);
        assert!(
            found.iter().all(|f| !wanted.is_empty() && f.ends_with(wanted)) && found.is_empty() == wanted.is_empty(),
            "{}: {:#?}",
            dir.display(),
            checked.files.iter().filter(|f| f.state == State::Bad).collect::<Vec<_>>()
        );
        files += checked.files.len();
    }
    println!("{files} files");
}

#[test]
fn every_file_has_one_verdict() {
    for dir in data_folders() {
        let checked = checked(&dir);
        let verdicts: BTreeSet<String> =
            checked.files.iter().filter(|f| f.bytes.is_some()).map(|f| f.file.clone()).collect();
        assert!(checked.files.is_sorted_by(|a, b| a.file < b.file), "{}", dir.display());
        let there: BTreeSet<String> =
            tree(&dir).keys().map(|f| f.strip_prefix(&dir).unwrap().to_str().unwrap().replace('\\', "/")).collect();
        assert_eq!(verdicts, there, "{}", dir.display());
        let bytes: u64 = tree(&dir).values().map(|b| b.len() as u64).sum();
        assert_eq!(checked.bytes(), bytes);
    }
}

/// A copy of a fixture that is changed and restored.
struct Copy {
    dir: tempfile::TempDir,
    root: PathBuf,
}

impl Copy {
    fn new(from: &Path) -> Copy {
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let dir = dir.or_else(|_| tempfile::tempdir()).unwrap();
        let root = dir.path().join(from.file_name().unwrap());
        copy_tree(from, &root);
        Copy { dir, root }
    }

    fn with<T>(&self, file: &str, change: impl FnOnce(&mut Vec<u8>), look: impl FnOnce(Checked) -> T) -> T {
        let path = self.root.join(file);
        let before = std::fs::read(&path).unwrap();
        let mut bytes = before.clone();
        change(&mut bytes);
        std::fs::write(&path, bytes).unwrap();
        let seen = look(checked(&self.root));
        std::fs::write(&path, before).unwrap();
        seen
    }
}

const BLOCK: &str = "01M89YB0KY3HFCEWR5CDW6RXJN";

/// How far before a flipped bit a finding may stand: the largest section of this small block.
const NEAR: u64 = 700;

#[test]
fn a_flipped_bit_anywhere_in_a_block_makes_its_file_bad() {
    let copy = Copy::new(&fixtures().join("damage/data").join(BLOCK));
    let step = if std::env::var("PROMPROOF_DAMAGE").is_ok_and(|v| v == "full") { 1 } else { 3 };
    let mut flips = 0;
    for file in ["index", "chunks/000001", "tombstones"] {
        let len = std::fs::read(copy.root.join(file)).unwrap().len();
        for at in (0..len).step_by(step) {
            let bit = if step == 1 { 0..8 } else { at % 8..at % 8 + 1 };
            for bit in bit {
                copy.with(
                    file,
                    |bytes| bytes[at] ^= 1 << bit,
                    |checked| {
                        assert_eq!(bad(&checked), [file], "byte {at} bit {bit}: {:#?}", checked.files);
                        let near = of(&checked, file)
                            .findings
                            .iter()
                            .filter(|f| f.is_bad())
                            .any(|f| f.offset.is_some_and(|o| o <= at as u64 + 8 && at as u64 <= o + NEAR));
                        assert!(near, "{file} byte {at} bit {bit}: {:#?}", of(&checked, file).findings);
                    },
                );
                flips += 1;
            }
        }
    }
    println!("{flips} flips");
}

/// The file has no checksum, so what agrees with everything else stays unseen; the other files are never blamed.
#[test]
fn a_flipped_bit_in_meta_json_is_mostly_seen() {
    let copy = Copy::new(&fixtures().join("damage/data"));
    let file = format!("{BLOCK}/meta.json");
    let len = std::fs::read(copy.root.join(&file)).unwrap().len();
    let (mut seen, mut all) = (0, 0);
    for at in (0..len).step_by(2) {
        copy.with(
            &file,
            |bytes| bytes[at] ^= 1 << (at % 7),
            |checked| {
                all += 1;
                seen += usize::from(of(&checked, &file).state != State::Good);
                assert!(bad(&checked).iter().all(|f| f.ends_with("meta.json")), "byte {at}: {:?}", bad(&checked));
            },
        );
    }
    assert!(seen * 10 > all * 8, "{seen} of {all}");
}

#[test]
fn a_cut_anywhere_is_seen_and_never_a_panic() {
    let copy = Copy::new(&fixtures().join("damage/data").join(BLOCK));
    for file in ["index", "chunks/000001", "tombstones", "meta.json"] {
        let len = std::fs::read(copy.root.join(file)).unwrap().len();
        for at in (0..len).step_by(5) {
            copy.with(
                file,
                |bytes| bytes.truncate(at),
                |checked| {
                    // Without its final newline or brace alone, meta.json may still be whole.
                    assert!(bad(&checked).contains(&file), "{file} cut at {at}");
                },
            );
        }
    }
}

/// Pages of logs and chunks of head chunk files: the file is named, at or before the page's flipped bit.
#[test]
fn a_flipped_bit_in_a_log_or_a_head_chunk_makes_its_file_bad() {
    const PAGE: usize = 32 * 1024;
    let copy = Copy::new(&fixtures().join("encodings/head-torn/data"));
    let files: Vec<String> = checked(&copy.root)
        .files
        .iter()
        .map(|f| f.file.clone())
        .filter(|f| f.starts_with("wal/") || f.starts_with("chunks_head/"))
        .collect();
    let last = "wal/00000013";
    let mut flips = 0;
    for file in files.iter().filter(|f| *f != last) {
        let len = std::fs::read(copy.root.join(file)).unwrap().len();
        for page in (0..len).step_by(PAGE) {
            // Somewhere in the page; where it is filled up with zeros those have to be zeros, too.
            let end = (page + PAGE).min(len);
            for at in [page + 11, page + (end - page) / 2] {
                copy.with(
                    file,
                    |bytes| bytes[at] ^= 1,
                    |checked| {
                        let zeros = file.starts_with("chunks_head/") && bad(&checked).is_empty();
                        if zeros {
                            return;
                        }
                        assert_eq!(bad(&checked), [file.as_str()], "byte {at}");
                        let near = of(&checked, file).findings.iter().any(|f| {
                            f.is_bad() && f.offset.is_some_and(|o| o <= at as u64 && at as u64 - o < PAGE as u64)
                        });
                        assert!(near, "{file} byte {at}: {:#?}", of(&checked, file).findings);
                    },
                );
                flips += 1;
            }
        }
    }
    assert!(flips > 20, "{flips}");
}

#[test]
fn a_torn_end_is_a_note_in_the_last_segment_and_bad_before_it() {
    let copy = Copy::new(&fixtures().join("encodings/head-torn/data"));
    let whole = checked(&copy.root);
    assert_eq!((bad(&whole), notes(&whole)), (vec![], vec!["wal/00000013"]));
    let tail = finding(&whole, "wal/00000013", "fragment");
    assert!(tail.offset == Some(15_991) && tail.effect.contains("killed"), "{tail:?}");
    copy.with(
        "wal/00000013",
        |b| b.truncate(9_000),
        |checked| {
            assert_eq!((bad(&checked), notes(&checked)), (vec![], vec!["wal/00000013"]));
        },
    );
    copy.with(
        "wal/00000011",
        |b| b.truncate(40_000),
        |checked| {
            assert_eq!(bad(&checked), ["wal/00000011"]);
            // The later ones are whole; a restarted server deletes them all the same.
            for later in ["wal/00000012", "wal/00000013"] {
                assert_eq!(of(&checked, later).state, State::Noted);
                assert!(of(&checked, later).findings.iter().any(|f| f.effect.contains("deletes this segment")));
            }
        },
    );
    // A checkpoint is never written to again, so an end that is torn is damage.
    copy.with(
        "wal/checkpoint.00000004/00000000",
        |b| b.truncate(3_000),
        |checked| {
            assert!(bad(&checked).contains(&"wal/checkpoint.00000004/00000000"));
        },
    );
    // What a checkpoint replaced is damaged without an effect.
    let snappy = Copy::new(&fixtures().join("encodings/wal-snappy/data"));
    snappy.with(
        "wal/00000002",
        |b| b[100] ^= 1,
        |checked| {
            assert_eq!(bad(&checked), ["wal/00000002"]);
            let finding = of(&checked, "wal/00000002").findings.iter().find(|f| f.is_bad()).unwrap();
            assert!(finding.effect.starts_with("none"), "{finding:?}");
        },
    );
}

#[test]
fn missing_files_have_a_verdict() {
    let from = fixtures().join("encodings/head-torn/data");
    for (gone, blamed, effect) in [
        ("wal/00000007", "wal/00000007", "does not start"),
        ("wal/00000005", "wal/00000005", "does not start"),
        ("chunks_head/000001", "", ""),
        ("01M15NMF20D84XC9GEZD06ABFZ/index", "01M15NMF20D84XC9GEZD06ABFZ/index", "whole block is lost"),
        ("01M15NMF20D84XC9GEZD06ABFZ/meta.json", "01M15NMF20D84XC9GEZD06ABFZ/meta.json", "skips the block"),
        ("01M15NMF20D84XC9GEZD06ABFZ/chunks/000001", "01M15NMF20D84XC9GEZD06ABFZ/chunks/000001", "42 chunks are lost"),
    ] {
        let copy = Copy::new(&from);
        std::fs::remove_file(copy.root.join(gone)).unwrap();
        let checked = checked(&copy.root);
        let wanted: Vec<&str> = Some(blamed).filter(|b| !b.is_empty()).into_iter().collect();
        assert_eq!(bad(&checked), wanted, "{gone}");
        for blamed in wanted {
            let of = of(&checked, blamed);
            assert!(of.bytes.is_none() && of.findings.iter().any(|f| f.effect.contains(effect)), "{of:#?}");
        }
    }
}

/// A block that is written here: label sets with the chunks that the index names for them, and every chunk that is written.
struct Forged {
    dir: tempfile::TempDir,
    chunks: Vec<ChunkMeta>,
}

const DAY: i64 = 86_400_000;

impl Forged {
    /// Writes four chunks of ten samples, 0 to 9, 10 to 19, … minutes, into one segment.
    fn new() -> Forged {
        let dir = tempfile::tempdir().unwrap();
        let block = dir.path().join(Forged::ulid().to_string());
        std::fs::create_dir_all(block.join("chunks")).unwrap();
        let mut segments = SegmentWriter::new(&block.join("chunks"), SEGMENT_BYTES);
        let chunks = (0..4i64).map(|c| {
            let samples = (c * 10..c * 10 + 10).map(|m| (m * 60_000, (m as f64).to_bits()));
            let chunk = RawChunk::xor(samples).unwrap();
            ChunkMeta {
                reference: segments.write(1, &chunk.data).unwrap(),
                min_time_ms: chunk.min_time_ms,
                max_time_ms: chunk.max_time_ms,
            }
        });
        let chunks = chunks.collect();
        segments.finish().unwrap();
        Forged { dir, chunks }
    }

    fn ulid() -> Ulid {
        Ulid::from_parts(7, 7)
    }

    fn index(&self) -> PathBuf {
        self.dir.path().join(Forged::ulid().to_string()).join("index")
    }

    /// Writes the index and a `meta.json` that fits it.
    fn finish(&self, series: &[(&Labels, Vec<ChunkMeta>)]) -> Checked {
        let mut index = IndexWriter::new();
        for (labels, chunks) in series {
            index.add(labels, chunks).unwrap();
        }
        index.finish(self.index()).unwrap();
        let chunks = series.iter().map(|(_, c)| c.len()).sum::<usize>();
        let ulid = Forged::ulid().to_string();
        let meta = json!({
            "ulid": ulid, "minTime": 0, "maxTime": DAY, "version": 1,
            "stats": {"numSamples": chunks * 10, "numSeries": series.len(), "numChunks": chunks},
            "compaction": {"level": 1, "sources": [ulid]},
        });
        std::fs::write(self.index().with_file_name("meta.json"), meta.to_string()).unwrap();
        self.check()
    }

    fn check(&self) -> Checked {
        checked(&self.index().with_file_name(""))
    }
}

fn series(name: &str) -> Labels {
    Labels::from_pairs([("__name__", name), ("job", "api")])
}

#[test]
fn a_chunk_belongs_to_one_series() {
    let (a, b) = (series("a"), series("b"));
    let f = Forged::new();
    let c = &f.chunks;
    let fine = f.finish(&[(&a, vec![c[0], c[1]]), (&b, vec![c[2], c[3]])]);
    assert_eq!(bad(&fine), Vec::<&str>::new(), "{fine:#?}");

    let f = Forged::new();
    let shared = f.finish(&[(&a, vec![f.chunks[0], f.chunks[1]]), (&b, vec![f.chunks[1], f.chunks[2], f.chunks[3]])]);
    assert_eq!(bad(&shared), ["index"]);
    let found = finding(&shared, "index", "reference to the chunk");
    assert_eq!(found.series, Some(b.clone()));
    assert!(found.found.contains("a{job=\"api\"}"), "{found:?}");
    assert_eq!(found.interval, Some(Interval::new(600_000, 1_140_000)));

    // A reference into the middle of a chunk, which no checksum at that place can be right for.
    let f = Forged::new();
    let c = &f.chunks;
    let inside = ChunkMeta { reference: BlockChunkRef(c[2].reference.0 + 3), ..c[2] };
    let overlapping =
        f.finish(&[(&a, vec![c[0], c[1]]), (&b, vec![c[2], ChunkMeta { reference: inside.reference, ..c[3] }])]);
    assert!(finding(&overlapping, "index", "reference to the chunk").found.contains("inside the chunk"));
    // The chunk that it should have named is named by nobody.
    assert!(finding(&overlapping, "chunks/000001", "unreferenced").found.contains("1 chunk with 10 samples"));
}

#[test]
fn bytes_that_no_series_names_are_found() {
    let (a, b) = (series("a"), series("b"));
    for left_out in 0..4 {
        let f = Forged::new();
        let kept: Vec<ChunkMeta> = (0..4).filter(|i| *i != left_out).map(|i| f.chunks[i]).collect();
        let checked = f.finish(&[(&a, kept[..2].to_vec()), (&b, kept[2..].to_vec())]);
        assert_eq!(bad(&checked), ["chunks/000001"]);
        let found = finding(&checked, "chunks/000001", "unreferenced");
        assert_eq!(found.offset, Some(f.chunks[left_out].reference.offset_bytes()));
        assert_eq!(found.interval, Some(f.chunks[left_out].interval()));
        assert!(found.found.contains("1 chunk with 10 samples"), "{found:?}");
    }
}

#[test]
fn times_in_the_index_are_those_of_the_samples() {
    let (a, b) = (series("a"), series("b"));
    let f = Forged::new();
    let c = &f.chunks;
    let late = ChunkMeta { max_time_ms: c[3].max_time_ms + 60_000, ..c[3] };
    let checked = f.finish(&[(&a, vec![c[0], c[1]]), (&b, vec![c[2], late])]);
    assert_eq!(bad(&checked), ["index"]);
    let found = finding(&checked, "index", "times of a chunk");
    assert_eq!((found.series.clone(), found.interval), (Some(b.clone()), Some(late.interval())));

    let f = Forged::new();
    let c = &f.chunks;
    let backwards = f.finish(&[(&a, vec![c[1], c[0]]), (&b, vec![c[2], c[3]])]);
    assert_eq!(bad(&backwards), ["index"]);
    assert!(finding(&backwards, "index", "chunks of a series").found.contains("behind one over"));
}

/// The content of the section or series entry that starts at `at` is changed, and its checksum set right.
fn forge(bytes: &mut [u8], at: usize, fixed_length: bool, change: impl FnOnce(&mut [u8])) {
    let (start, len) = match fixed_length {
        true => (at + 4, u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize),
        false => (at + 1, usize::from(bytes[at])),
    };
    change(&mut bytes[start..start + len]);
    let crc = crc32c(&bytes[start..start + len]);
    bytes[start + len..start + len + 4].copy_from_slice(&crc.to_be_bytes());
}

fn toc(bytes: &[u8], field: usize) -> usize {
    let at = bytes.len() - 52 + 8 * field;
    u64::from_be_bytes(bytes[at..at + 8].try_into().unwrap()) as usize
}

#[test]
fn labels_series_and_lookups_fit_together() {
    let (a, b) = (series("a"), series("b"));
    let forged = |change: &dyn Fn(&mut Vec<u8>)| {
        let f = Forged::new();
        let c = f.chunks.clone();
        f.finish(&[(&a, c[..2].to_vec()), (&b, c[2..].to_vec())]);
        let mut bytes = std::fs::read(f.index()).unwrap();
        change(&mut bytes);
        std::fs::write(f.index(), bytes).unwrap();
        let checked = f.check();
        assert_eq!(bad(&checked), ["index"], "{checked:#?}");
        checked
    };
    let first = |bytes: &[u8]| toc(bytes, 1).next_multiple_of(16);
    // The pairs of the first series change places: two labels, one byte each for name and value.
    let unsorted = forged(&|bytes| {
        let at = first(bytes);
        forge(bytes, at, false, |c| {
            c.swap(1, 3);
            c.swap(2, 4);
        });
    });
    assert!(finding(&unsorted, "index", "labels of a series").found.contains("out of order"));
    let twice = forged(&|bytes| {
        let at = first(bytes);
        forge(bytes, at, false, |c| c[3] = c[1]);
    });
    assert!(finding(&twice, "index", "labels of a series").found.contains("twice"));
    let stray = forged(&|bytes| {
        let at = first(bytes);
        forge(bytes, at, false, |c| c[4] = 100);
    });
    assert!(finding(&stray, "index", "label of a series").found.contains("symbol 100"));
    // Both series are called `b`.
    let equal = forged(&|bytes| {
        let at = first(bytes);
        let second = (at + 5 + usize::from(bytes[at])).next_multiple_of(16);
        let name = bytes[second + 3];
        forge(bytes, at, false, |c| c[2] = name);
    });
    assert!(finding(&equal, "index", "order of the series").found.contains("labels of the series before"));
    // Two symbols of one length change places, which also renames everything.
    let symbols = forged(&|bytes| {
        let at = toc(bytes, 0);
        forge(bytes, at, true, |c| {
            let a = c.windows(2).position(|w| w == [1, b'a']).unwrap();
            let b = c.windows(2).position(|w| w == [1, b'b']).unwrap();
            c.swap(a + 1, b + 1);
        });
    });
    assert!(finding(&symbols, "index", "symbol table").found.contains("behind"));
    // The first list, that of all series, names the first one twice.
    let list = forged(&|bytes| {
        let at = toc(bytes, 4).next_multiple_of(4);
        forge(bytes, at, true, |c| c.copy_within(4..8, 8));
    });
    let findings = &of(&list, "index").findings;
    assert!(findings.iter().all(|f| f.part == "postings list of all series"), "{findings:#?}");
    assert!(findings.iter().any(|f| f.series == Some(b.clone())), "{findings:#?}");
}

#[test]
fn forged_bytes_below_checksums_never_panic() {
    let (a, b) = (series("a"), series("b"));
    let f = Forged::new();
    let c = f.chunks.clone();
    f.finish(&[(&a, c[..2].to_vec()), (&b, c[2..].to_vec())]);
    let whole = std::fs::read(f.index()).unwrap();
    let first = toc(&whole, 1).next_multiple_of(16);
    let mut seen = 0;
    for (at, fixed) in
        [(first, false), (toc(&whole, 0), true), (toc(&whole, 4).next_multiple_of(4), true), (toc(&whole, 5), true)]
    {
        let len = if fixed { whole[at + 3] } else { whole[at] };
        for i in 0..usize::from(len) {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bytes = whole.clone();
                forge(&mut bytes, at, fixed, |c| c[i] = value);
                std::fs::write(f.index(), &bytes).unwrap();
                seen += usize::from(!bad(&f.check()).is_empty());
            }
        }
    }
    assert!(seen > 300, "{seen}");
}

fn samples(n: i64) -> Samples {
    Samples::new((0..n).map(|i| i * 15_000).collect(), (0..n).map(|i| (i as f64).to_bits()).collect())
}

/// A block from the writer, in a folder of its own.
fn written(parent: &Path, n: u128, change: impl FnOnce(BlockWriter) -> BlockWriter) -> String {
    let ulid = Ulid::from_parts(n as u64, n);
    let mut w = change(BlockWriter::create(parent, ulid, 0, 7_200_000).unwrap());
    w.add_series(&series("a"), &samples(400)).unwrap();
    w.add_series(&series("b"), &samples(400)).unwrap();
    w.finish().unwrap();
    ulid.to_string()
}

#[test]
fn meta_json_says_what_is_there() {
    let claim = |stats: Value| {
        let dir = tempfile::tempdir().unwrap();
        let block = written(dir.path(), 1, |mut w| {
            w.set_meta("stats", stats);
            w
        });
        let checked = checked(dir.path());
        assert_eq!(bad(&checked), [format!("{block}/meta.json")]);
        of(&checked, &format!("{block}/meta.json")).findings.iter().map(|f| f.part.clone()).collect::<Vec<_>>()
    };
    assert_eq!(claim(json!({"numSamples": 801, "numSeries": 2, "numChunks": 8})), ["stats.numSamples"]);
    assert_eq!(claim(json!({"numSamples": 800, "numSeries": 3, "numChunks": 8})), ["stats.numSeries"]);
    assert_eq!(claim(json!({"numSamples": 800, "numSeries": 2})), ["stats.numChunks"]);
    assert_eq!(
        claim(
            json!({"numSamples": 800, "numFloatSamples": 799, "numHistogramSamples": 1, "numSeries": 2, "numChunks": 8})
        ),
        ["stats.numFloatSamples", "stats.numHistogramSamples"]
    );

    let dir = tempfile::tempdir().unwrap();
    let block = written(dir.path(), 2, |w| w);
    let other = Ulid::from_parts(3, 3).to_string();
    std::fs::rename(dir.path().join(block), dir.path().join(&other)).unwrap();
    let renamed = checked(dir.path());
    assert_eq!(bad(&renamed), [format!("{other}/meta.json")]);
    assert_eq!(finding(&renamed, &format!("{other}/meta.json"), "ulid").found, Ulid::from_parts(2, 2).to_string());

    let dir = tempfile::tempdir().unwrap();
    let block = written(dir.path(), 4, |mut w| {
        w.set_meta("maxTime", json!(1_000_000));
        w
    });
    let outside = checked(dir.path());
    let found = finding(&outside, &format!("{block}/meta.json"), "minTime, maxTime");
    assert!(found.is_bad() && found.interval == Some(Interval::new(0, 399 * 15_000)), "{found:?}");
}

#[test]
fn segments_are_numbered_without_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    let block = written(dir.path(), 1, |w| w.segment_bytes(300));
    let whole = checked(dir.path());
    let segments = whole.files.iter().filter(|f| f.file.contains("/chunks/")).count();
    assert!(segments > 3 && bad(&whole).is_empty(), "{segments} {:#?}", bad(&whole));
    std::fs::remove_file(dir.path().join(&block).join("chunks/000002")).unwrap();
    let gone = checked(dir.path());
    let name = format!("{block}/chunks/000002");
    assert_eq!(bad(&gone), [&name]);
    let found = &of(&gone, &name).findings[0];
    assert!(found.effect.contains("lost") && found.effect.contains("misreads all segments behind it"), "{found:?}");
    assert!(found.interval.is_some());
}

#[test]
fn blocks_stand_beside_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let child = |n: u128, parent: u128, from: i64, to: i64| {
        let ulid = Ulid::from_parts(n as u64, n);
        let parent = Ulid::from_parts(parent as u64, parent);
        written(dir.path(), n, |mut w| {
            w.set_compaction(Compaction {
                level: 2,
                sources: vec![parent],
                parents: vec![Parent { ulid: parent, min_time_ms: from, max_time_ms: to }],
                hints: vec!["from-the-moon".to_owned()],
                deletable: false,
                failed: true,
            });
            let _ = ulid;
            w
        })
    };
    let parent = written(dir.path(), 1, |w| w);
    let good = child(2, 1, 0, 7_200_000);
    let beside = checked(dir.path());
    assert_eq!(bad(&beside), Vec::<&str>::new(), "{beside:#?}");
    assert!(finding(&beside, &format!("{parent}/meta.json"), "block").found.contains(&good));
    let parts: Vec<&str> = of(&beside, &format!("{good}/meta.json")).findings.iter().map(|f| f.part.as_str()).collect();
    assert_eq!(parts, ["compaction.hints", "compaction.failed"]);

    // A child whose index is damaged replaces nobody.
    let index = dir.path().join(&good).join("index");
    let before = std::fs::read(&index).unwrap();
    std::fs::write(&index, b"").unwrap();
    let broken = checked(dir.path());
    assert_eq!(bad(&broken), [format!("{good}/index")]);
    assert!(finding(&broken, &format!("{parent}/meta.json"), "block").found.contains("cannot be opened"));
    std::fs::write(&index, before).unwrap();

    // One that covers less than its parent would take samples along.
    let file = dir.path().join(&good).join("meta.json");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("7200000", "7080000")).unwrap();
    let short = checked(dir.path());
    assert_eq!(bad(&short), [format!("{good}/meta.json")]);
    let finding = finding(&short, &format!("{good}/meta.json"), "compaction.parents");
    assert!(finding.effect.contains("in no answer"), "{finding:?}");

    // Two blocks over the same time, and one folder copied.
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (written(dir.path(), 1, |w| w), written(dir.path(), 2, |w| w));
    let overlapping = checked(dir.path());
    assert_eq!((bad(&overlapping), notes(&overlapping)), (vec![], vec![format!("{second}/meta.json").as_str()]));
    let copied = Ulid::from_parts(3, 3).to_string();
    copy_tree(&dir.path().join(&first), &dir.path().join(&copied));
    let copy = checked(dir.path());
    assert!(of(&copy, &format!("{copied}/meta.json")).findings.iter().any(|f| f.found.contains("is the same block")));
}

/// A log of one segment with these records.
fn log(dir: &Path, records: &[Vec<u8>]) {
    let mut bytes = Vec::new();
    for r in records {
        bytes.push(1);
        bytes.extend((r.len() as u16).to_be_bytes());
        bytes.extend(crc32c(r).to_be_bytes());
        bytes.extend(r);
    }
    std::fs::create_dir_all(dir.join("wal")).unwrap();
    std::fs::write(dir.join("wal/00000000"), bytes).unwrap();
}

fn series_record(reference: u64, pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut out = vec![1];
    out.extend(reference.to_be_bytes());
    out.push(pairs.len() as u8);
    for (name, value) in pairs {
        for part in [name, value] {
            out.push(part.len() as u8);
            out.extend(part.as_bytes());
        }
    }
    out
}

fn sample_record(reference: u64, t_ms: i64) -> Vec<u8> {
    let mut out = vec![2];
    out.extend(reference.to_be_bytes());
    out.extend(t_ms.to_be_bytes());
    out.extend([0, 0]);
    out.extend(1f64.to_bits().to_be_bytes());
    out
}

#[test]
fn series_records_of_a_log_fit_together() {
    let dir = tempfile::tempdir().unwrap();
    let look = |records: &[Vec<u8>]| {
        log(dir.path(), records);
        let checked = checked(dir.path());
        of(&checked, "wal/00000000").clone()
    };
    let fine = look(&[series_record(1, &[("__name__", "a")]), sample_record(1, 5)]);
    assert_eq!((fine.state, fine.findings.len()), (State::Good, 0));
    let again = look(&[series_record(1, &[("__name__", "a")]), series_record(2, &[("__name__", "a")])]);
    assert_eq!(again.state, State::Good, "a series may come back under another reference");
    let clash = look(&[series_record(1, &[("__name__", "a")]), series_record(1, &[("__name__", "b")])]);
    assert_eq!(clash.state, State::Bad);
    assert_eq!(clash.findings[0].expected.as_deref(), Some("a, as it was defined before"));
    assert_eq!(clash.findings[0].offset, Some(28));
    let odd = look(&[series_record(1, &[("b", "1"), ("a", "1")])]);
    assert_eq!((odd.state, odd.findings[0].part.as_str()), (State::Bad, "series record of reference 1"));
    let orphan = look(&[sample_record(9, 5)]);
    assert_eq!(orphan.state, State::Noted);
    // A record that is whole and no record: the next one is read all the same.
    let broken = look(&[series_record(1, &[("__name__", "a")])[..9].to_vec(), sample_record(1, 5), vec![2, 0, 0]]);
    assert_eq!(broken.findings.iter().filter(|f| f.is_bad()).count(), 2, "{broken:#?}");
    assert_eq!(broken.counts[..3], [("records", 3), ("series", 0), ("samples", 1)]);
}

#[test]
fn head_chunks_say_what_they_hold() {
    let copy = Copy::new(&fixtures().join("encodings/head-torn/data"));
    // The last time of the first chunk, and its checksum set right: a length of two bytes behind the encoding.
    let forge_time = |bytes: &mut Vec<u8>, by: i64| {
        let at = 8 + 16;
        let t = i64::from_be_bytes(bytes[at..at + 8].try_into().unwrap()) + by;
        bytes[at..at + 8].copy_from_slice(&t.to_be_bytes());
        let len = match bytes[33] {
            short @ ..0x80 => 1 + usize::from(short),
            low => 2 + usize::from(low & 0x7f) + (usize::from(bytes[34]) << 7),
        };
        let end = 33 + len;
        let crc = crc32c(&bytes[8..end]);
        bytes[end..end + 4].copy_from_slice(&crc.to_be_bytes());
    };
    copy.with(
        "chunks_head/000001",
        |b| forge_time(b, 1),
        |checked| {
            assert_eq!(bad(&checked), ["chunks_head/000001"]);
            let found = finding(&checked, "chunks_head/000001", "times of a chunk");
            assert!(found.offset == Some(8) && found.series.is_some() && found.interval.is_some(), "{found:?}");
        },
    );
    copy.with(
        "chunks_head/000001",
        |b| forge_time(b, DAY),
        |checked| {
            assert!(of(&checked, "chunks_head/000001").findings.iter().any(|f| f.part == "order of the chunks"));
        },
    );
    // A last file that was never written to is what a killed server leaves; before it, it is damage.
    copy.with(
        "chunks_head/000002",
        |b| b.fill(0),
        |checked| {
            assert_eq!((bad(&checked), of(&checked, "chunks_head/000002").state), (vec![], State::Noted));
        },
    );
    copy.with("chunks_head/000001", |b| b.fill(0), |checked| assert_eq!(bad(&checked), ["chunks_head/000001"]));
    // One that was cut inside its last chunk, or never written to its end.
    copy.with(
        "chunks_head/000002",
        |b| b.truncate(30_000),
        |checked| {
            assert_eq!((bad(&checked), of(&checked, "chunks_head/000002").state), (vec![], State::Noted));
        },
    );
    copy.with(
        "chunks_head/000002",
        |b| b[30_000..].fill(0),
        |checked| {
            assert_eq!((bad(&checked), of(&checked, "chunks_head/000002").state), (vec![], State::Noted));
        },
    );
    copy.with(
        "chunks_head/000001",
        |b| b.truncate(20_000),
        |checked| assert_eq!(bad(&checked), ["chunks_head/000001"]),
    );
}

#[test]
fn a_chunk_snapshot_is_walked() {
    let copy = Copy::new(&fixtures().join("encodings/chunk-snapshot/data"));
    let file = "chunk_snapshot.000000.0000163840/00000000";
    let whole = checked(&copy.root);
    assert!(of(&whole, file).counts.iter().any(|(what, n)| *what == "samples" && *n > 100));
    copy.with(file, |b| b[400] ^= 1, |checked| assert_eq!(bad(&checked), [file]));
}

/// Several kinds of damage in one directory.
fn damaged() -> Copy {
    let copy = Copy::new(&fixtures().join("encodings/head-torn/data"));
    let flip = |file: &str, at: usize| {
        let path = copy.root.join(file);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[at] ^= 4;
        std::fs::write(path, bytes).unwrap();
    };
    flip("01M15NMF20D84XC9GEZD06ABFZ/chunks/000001", 5_000);
    flip("01M15WG78H91R7XHHHW7KSYAN5/index", 400);
    flip("chunks_head/000001", 20_000);
    flip("wal/00000006", 40_000);
    let meta = copy.root.join("01M15WG78H91R7XHHHW7KSYAN5/meta.json");
    let text = std::fs::read_to_string(&meta).unwrap();
    std::fs::write(&meta, text.replace("4677", "4676")).unwrap();
    std::fs::remove_file(copy.root.join("wal/00000009")).unwrap();
    copy
}

#[test]
fn reports_are_what_they_were() {
    let show = |output: &Output, args: &[&str]| {
        format!("$ promproof {}\n[exit {}]\n{}", args.join(" "), status(output), text(&output.stdout))
    };
    for (name, args) in [
        ("check.txt", &["check", "encodings/head-torn/data"][..]),
        ("check.json", &["check", "encodings/tombstones-block/data", "--format", "json"]),
    ] {
        golden(name, &show(&run(args), args));
    }
    let copy = damaged();
    let args = ["check", "data"];
    golden("check-damaged.txt", &show(&run_in(copy.dir.path(), &args), &args));
}

#[test]
fn documents_follow_their_schema_and_threads_change_nothing() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema/check.schema.json");
    let schema: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let copy = damaged();
    let damaged = p(&copy.root);
    let stray = p(&fixtures().join("encodings/stray-entries/data"));
    let servers = p(&fixtures().join("servers/live-3.16-xor2/data"));
    let snapshot = p(&fixtures().join("encodings/chunk-snapshot/data"));
    for (source, want) in [(&damaged, 1), (&stray, 1), (&servers, 0), (&snapshot, 0)] {
        let args = ["check", source.as_str(), "--format", "json"];
        let output = run(&args);
        assert_eq!(status(&output), want, "{}", text(&output.stderr));
        let document = json(&output);
        let errors: Vec<String> =
            validator.iter_errors(&document).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(errors.is_empty(), "{source}: {errors:#?}");
        let totals = &document["totals"];
        let count = |state: &str| document["files"].as_array().unwrap().iter().filter(|f| f["state"] == state).count();
        for state in ["good", "noted", "bad"] {
            assert_eq!(totals[state], count(state), "{state}");
        }
        for more in [&["--threads", "1"][..], &["--threads", "7"], &["--no-mmap"]] {
            assert!(run(&[&args[..], more].concat()).stdout == output.stdout, "{more:?}");
        }
    }
    // Several SOURCEs give a line each; the status is the worst.
    let output = run(&["check", &servers, &damaged, "--format", "json"]);
    assert_eq!((status(&output), text(&output.stdout).lines().count()), (1, 2));
}

#[test]
fn exit_status_says_how_it_ended() {
    let good = p(&fixtures().join("servers/live-2.53/snapshot"));
    for (want, args) in [
        (0, vec!["check", &good]),
        (0, vec!["check", &good, "--all", "--quiet", "--color", "always"]),
        (2, vec!["check"]),
        (2, vec!["check", "/does/not/exist"]),
        (2, vec!["check", &good, "/does/not/exist"]),
        (2, vec!["check", &good, "--merge"]),
        (2, vec!["check", &p(&fixtures().join("servers/live-2.53"))]),
    ] {
        let output = run(&args);
        assert_eq!(status(&output), want, "{args:?}: {}", text(&output.stderr));
        assert!(want != 2 || !output.stderr.is_empty(), "{args:?} says nothing");
    }
    let several = p(&fixtures().join("servers/live-2.53"));
    assert_eq!(status(&run(&["check", &several, "--root", "snapshot"])), 0);
}

/// What the other commands refuse is checked all the same.
#[test]
fn what_cannot_be_opened_can_be_checked() {
    let from = fixtures().join("servers/backfill-6d/snapshot");
    let block = folders(&from).remove(0);
    let copy = Copy::new(&block);
    std::fs::remove_file(copy.root.join("meta.json")).unwrap();
    let output = run(&["check", &p(&copy.root)]);
    assert_eq!(status(&output), 1, "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("a server skips the block"), "{}", text(&output.stdout));

    let copy = Copy::new(&block);
    std::fs::write(copy.root.join("index"), b"nothing").unwrap();
    let lost = checked(&copy.root);
    assert_eq!(bad(&lost), ["index"]);
    // The chunks are walked one behind the other.
    let segment = of(&lost, "chunks/000001");
    assert!(segment.findings[0].found.contains("each whole"), "{segment:#?}");
}

#[test]
fn long_lists_are_summed_up() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("many");
    std::fs::create_dir(&root).unwrap();
    let from = fixtures().join("encodings/xor-block/data");
    let block = folders(&from).remove(0);
    for n in 0..15u128 {
        let name = Ulid::from_parts(n as u64, n).to_string();
        copy_tree(&block, &root.join(&name));
        let meta = root.join(&name).join("meta.json");
        let text = std::fs::read_to_string(&meta).unwrap();
        let own = block.file_name().unwrap().to_string_lossy().into_owned();
        std::fs::write(meta, text.replace(&own, &name)).unwrap();
    }
    let short = text(&run(&["check", &p(&root)]).stdout);
    assert!(short.contains("Files by Kind:") && short.contains("good files are not listed"), "{short}");
    assert!(short.lines().filter(|l| l.contains("/index ")).count() == 0, "{short}");
    let all = text(&run(&["check", &p(&root), "--all"]).stdout);
    assert_eq!(all.lines().filter(|l| l.contains("/index ")).count(), 15, "{all}");
    assert!(all.ends_with("60 files, 0 bad, 14 with notes: every checksum and every rule holds.\n"), "{all}");
}

#[test]
fn evidence_stays_untouched() {
    let copy = damaged();
    let before: BTreeMap<PathBuf, Vec<u8>> = tree(copy.dir.path());
    let source = p(&copy.root);
    run(&["check", &source]);
    let inside = p(&copy.root.join("report.json"));
    assert_eq!(status(&run(&["check", &source, "--output", &inside])), 2);
    assert!(before == tree(copy.dir.path()), "something was written");
    let outside = tempfile::tempdir().unwrap();
    let file = p(&outside.path().join("report.txt"));
    assert_eq!(status(&run(&["check", &source, "--output", &file])), 1);
    assert_eq!(std::fs::read(&file).unwrap(), run(&["check", &source]).stdout);
}
