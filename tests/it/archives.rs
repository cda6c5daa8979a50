//! Archives as SOURCEs: the same answer as the folder gives, or a named loss, or a refusal that says what to do.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use promproof::archive::Limits;
use promproof::error::ErrorKind;
use promproof::labels::Labels;
use promproof::samples::{Reach, load_all};
use promproof::selector::Selector;
use promproof::source::{OpenOptions, Source};
use promproof::time::Interval;
use rayon::prelude::*;
use serde_json::Value;
use tempfile::TempDir;

use crate::expected::full_read;
use crate::support::{fixture_sets, fixtures};

const MIB: usize = 1 << 20;

fn snapshot() -> PathBuf {
    fixtures().join("servers/live-2.53/snapshot")
}

/// The files below a folder, by their path relative to it.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(top: &Path, dir: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(top, &path, files);
            } else {
                let rel = path.strip_prefix(top).unwrap().to_str().unwrap().to_owned();
                files.insert(rel, std::fs::read(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(dir, dir, &mut found);
    found
}

/// One member of a tar, written as asked, whatever it means.
#[derive(Clone)]
struct Member {
    name: Vec<u8>,
    kind: u8,
    data: Vec<u8>,
    link: Vec<u8>,
    /// The size in the header, where it is not that of the data.
    size: Option<u64>,
}

fn file(name: &str, data: &[u8]) -> Member {
    Member { name: name.into(), kind: b'0', data: data.to_vec(), link: Vec::new(), size: None }
}

fn special(name: &str, kind: u8, link: &str) -> Member {
    Member { kind, link: link.into(), ..file(name, b"") }
}

/// The snapshot as members below `prefix`.
fn members(prefix: &str) -> Vec<Member> {
    members_of(&snapshot(), prefix)
}

fn members_of(dir: &Path, prefix: &str) -> Vec<Member> {
    files(dir).iter().map(|(rel, data)| file(&format!("{prefix}{rel}"), data)).collect()
}

fn header(m: &Member) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    let name = &mut header.as_old_mut().name;
    let n = m.name.len().min(100);
    name[..n].copy_from_slice(&m.name[..n]);
    let n = m.link.len().min(100);
    header.as_old_mut().linkname[..n].copy_from_slice(&m.link[..n]);
    header.set_entry_type(tar::EntryType::new(m.kind));
    header.set_mode(0o644);
    header.set_size(m.size.unwrap_or(m.data.len() as u64));
    header.set_cksum();
    header
}

fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(512), 0);
}

fn append(out: &mut Vec<u8>, m: &Member) {
    if m.name.len() > 100 {
        append(out, &Member { data: [&m.name[..], b"\0"].concat(), ..special("././@LongLink", b'L', "") });
    }
    out.extend_from_slice(header(m).as_bytes());
    out.extend_from_slice(&m.data);
    pad(out);
}

fn tar_of(members: &[Member]) -> Vec<u8> {
    let mut out = Vec::new();
    for m in members {
        append(&mut out, m);
    }
    out.extend([0; 1024]);
    out
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

fn zst(bytes: &[u8]) -> Vec<u8> {
    let mut writer = zstd::Encoder::new(Vec::new(), 1).unwrap();
    writer.include_checksum(true).unwrap();
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

/// Each third as a gzip member or a frame of its own.
fn in_thirds(bytes: &[u8], pack: fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    bytes.chunks(bytes.len().div_ceil(3)).flat_map(pack).collect()
}

fn zip_of(members: &[Member], method: zip::CompressionMethod) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for m in members {
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        writer.start_file(String::from_utf8(m.name.clone()).unwrap(), options).unwrap();
        writer.write_all(&m.data).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn deflated(members: &[Member]) -> Vec<u8> {
    zip_of(members, zip::CompressionMethod::Deflated)
}

fn stored(members: &[Member]) -> Vec<u8> {
    zip_of(members, zip::CompressionMethod::Stored)
}

/// A folder for archives, and one for what is unpacked.
struct Desk {
    dir: TempDir,
    temp: TempDir,
}

impl Desk {
    fn new() -> Desk {
        Desk { dir: tempfile::tempdir().unwrap(), temp: tempfile::tempdir().unwrap() }
    }

    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn options(&self) -> OpenOptions {
        let archive = Limits { temp_dir: Some(self.temp.path().to_path_buf()), ..Limits::default() };
        OpenOptions { archive, ..OpenOptions::default() }
    }

    fn open(&self, name: &str, bytes: &[u8]) -> promproof::Result<Source> {
        Source::open(&self.put(name, bytes), &self.options())
    }

    fn refusal(&self, name: &str, bytes: &[u8]) -> promproof::Error {
        let error = self.open(name, bytes).map(|s| s.ledger).unwrap_err();
        assert!(self.is_clean());
        error
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_promproof"));
        command.current_dir(self.dir.path()).args(args).arg("--temp-dir").arg(self.temp.path());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        let output = self.command(args).output().unwrap();
        assert!(self.is_clean(), "{args:?} leaves something behind");
        output
    }

    fn is_clean(&self) -> bool {
        std::fs::read_dir(self.temp.path()).unwrap().next().is_none()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn losses(source: &Source) -> Vec<(String, ErrorKind, String)> {
    let ledger = source.opening_ledger();
    ledger.losses.iter().map(|l| (l.file.clone(), l.kind, l.detail.clone())).collect()
}

type Content = Vec<(Labels, Vec<i64>, Vec<u64>)>;

/// Every sample, and whether anything was lost.
fn content(source: &Source) -> (Content, bool) {
    let all = Selector::parse("{__name__=~\".+\"}").unwrap();
    let loaded = load_all(source, &all, Interval::ALL, Reach::Exact);
    let lost = !loaded.ledger.losses.is_empty() || !source.opening_ledger().losses.is_empty();
    (loaded.series.into_iter().map(|s| (s.labels, s.samples.ts, s.samples.bits)).collect(), lost)
}

/// Every kind of archive of these members, with a name for each.
fn every_kind(members: &[Member]) -> Vec<(&'static str, Vec<u8>)> {
    let tar = tar_of(members);
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4][..], &zst(&tar)].concat();
    vec![
        ("a.tgz", gz(&tar)),
        ("b.tar.gz", in_thirds(&tar, gz)),
        ("c.tar.zst", zst(&tar)),
        ("d.tzst", in_thirds(&tar, zst)),
        ("e.tar.zst", skippable),
        ("f.zip", deflated(members)),
        ("g.zip", stored(members)),
        // The content decides, not the name.
        ("h.zip", gz(&tar)),
        ("i", deflated(members)),
        ("j.tar", tar),
    ]
}

#[test]
fn an_archive_answers_as_its_folder() {
    let desk = Desk::new();
    let folder = snapshot();
    let folder = folder.to_str().unwrap();
    let ask = ["--window", "2m", "--format", "json"];
    let report = |source: &str| -> Value {
        let output = desk.run(&[&["availability", source][..], &ask].concat());
        let mut value: Value = serde_json::from_slice(&output.stdout).unwrap();
        value["source"]["name"] = Value::Null;
        value
    };
    let (want, dump) = (report(folder), desk.run(&["dump", folder, "--match", "up"]).stdout);
    assert!(!dump.is_empty());
    for (name, bytes) in every_kind(&members("")) {
        desk.put(name, &bytes);
        assert_eq!(report(name), want, "{name}");
        assert_eq!(desk.run(&["dump", name, "--match", "up"]).stdout, dump, "{name}");
    }
}

#[test]
fn data_directories_with_logs_answer_as_their_folders() {
    let desk = Desk::new();
    for data in ["servers/live-3.5/data", "encodings/ooo-compacted/data"] {
        let folder = fixtures().join(data);
        let ask = |source: &str| {
            let output = desk.run(&["dump", source, "--match", "{__name__=~\".+\"}", "--quiet"]);
            (output.status.code(), output.stdout)
        };
        let want = ask(folder.to_str().unwrap());
        assert!(!want.1.is_empty());
        let all = members_of(&folder, "backup/data/");
        for (name, bytes) in [("a.tgz", gz(&tar_of(&all))), ("b.zip", deflated(&all))] {
            desk.put(name, &bytes);
            assert!(ask(name) == want, "{data} as {name}");
        }
    }
}

/// Every folder of data that the fixtures have, as a `.tar.zst`: the same samples, losses and notes.
#[test]
fn every_folder_of_the_fixtures_reads_the_same_from_an_archive() {
    let mut folders: Vec<PathBuf> = fixture_sets("encodings").into_iter().map(|c| c.join("data")).collect();
    for set in fixture_sets("servers") {
        folders.extend(["data", "snapshot", "blocks", "snapshot-deleted"].map(|f| set.join(f)));
    }
    folders.retain(|f| f.is_dir());
    assert!(folders.len() > 15);
    folders.par_iter().for_each(|folder| {
        let desk = Desk::new();
        let archive = desk.put("a.tar.zst", &zst(&tar_of(&members_of(folder, "backup/"))));
        let read = |path: &Path| {
            let source = Source::open(path, &desk.options()).unwrap();
            let (series, ledger) = full_read(&source);
            let samples: Vec<_> = series.into_iter().map(|s| (s.labels, s.samples, s.histograms)).collect();
            (samples, ledger.losses)
        };
        let (samples, losses) = read(&archive);
        let (want_samples, want_losses) = read(folder);
        assert!(samples == want_samples, "{}", folder.display());
        assert_eq!(losses, want_losses, "{}", folder.display());
    });
}

#[test]
fn an_archive_is_checked_with_what_it_holds() {
    let desk = Desk::new();
    let mut all = members("backup/");
    desk.put("good.tar.gz", &gz(&tar_of(&all)));
    let good = desk.run(&["check", "good.tar.gz"]);
    assert_eq!(good.status.code(), Some(0), "{}", text(&good.stdout));
    all.push(special("backup/link", b'2', "/etc/passwd"));
    desk.put("odd.tar", &tar_of(&all));
    let odd = desk.run(&["check", "odd.tar"]);
    assert_eq!(odd.status.code(), Some(1));
    assert!(text(&odd.stdout).contains("backup/link"), "{}", text(&odd.stdout));
}

#[test]
fn roots_are_found_one_folder_deep_and_ten() {
    let desk = Desk::new();
    let deep =
        "a/b/c/d/e/f/g/h/i/a-rather-long-name-of-a-folder-so-that-the-whole-name-needs-an-extension-of-the-header/";
    for prefix in ["snapshot/", "./snapshot/", deep] {
        for (name, bytes) in every_kind(&members(prefix)) {
            let source = desk.open(name, &bytes).unwrap();
            assert_eq!(source.below, prefix.trim_start_matches("./").trim_end_matches('/'));
            assert_eq!((source.name.as_str(), source.blocks.len()), (name, 4));
            assert_eq!(losses(&source), []);
        }
    }
    assert!(desk.is_clean(), "dropping the Source removes the folder");
}

#[test]
fn several_roots_are_listed() {
    let desk = Desk::new();
    let both = [members("one/"), members("two/")].concat();
    for (name, bytes) in every_kind(&both) {
        desk.put(name, &bytes);
        let output = desk.run(&["availability", name]);
        assert_eq!(output.status.code(), Some(2));
        let message = text(&output.stderr);
        assert!(message.starts_with(&format!("promproof: {name}: there are 2 sets")), "{message}");
        assert!(message.contains("--root one\n") && message.contains("--root two\n"), "{message}");
        let output = desk.run(&["availability", name, "--root", "two", "--window", "2m"]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert_eq!(desk.run(&["availability", name, "--root", "../x"]).status.code(), Some(2));
    }
}

#[test]
fn archives_merge_and_are_named_in_the_provenance() {
    let desk = Desk::new();
    let all = members("");
    let (first, second): (Vec<Member>, Vec<Member>) = all.into_iter().partition(|m| m.name < b"01M84B4".to_vec());
    desk.put("one.tgz", &gz(&tar_of(&first)));
    desk.put("two.zip", &deflated(&second));
    let args = ["dump", "--match", "up", "one.tgz", "two.zip", "--merge"];
    let whole = desk.run(&["dump", "--match", "up", snapshot().to_str().unwrap()]);
    assert_eq!(desk.run(&args).stdout, whole.stdout);
    let output = desk.run(&["inspect", "one.tgz", "two.zip", "--merge", "--format", "json", "--digests"]);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let archives = document["source"]["archives"].as_array().unwrap();
    assert_eq!(archives.len(), 2);
    let digest = promproof::source::digest::sha256_file(&desk.dir.path().join("one.tgz")).unwrap();
    assert_eq!((&archives[0]["name"], &archives[0]["sha256"]), (&"one.tgz".into(), &digest.into()));
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema/inspect.schema.json");
    let schema: Value = serde_json::from_slice(&std::fs::read(schema).unwrap()).unwrap();
    assert!(jsonschema::validator_for(&schema).unwrap().is_valid(&document));
    // Without --digests an archive is not hashed.
    let output = desk.run(&["inspect", "one.tgz", "--format", "json"]);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["source"]["archives"], Value::Null);
}

#[test]
fn bad_names_are_refused_and_listed() {
    let desk = Desk::new();
    let outside = desk.dir.path().join("evil");
    let long = "x".repeat(300);
    let deep = "d/".repeat(70) + "x";
    let names =
        [outside.to_str().unwrap(), "../evil", "a/../../evil", "a/..", "snap\\..\\evil", "C:\\evil", "/", &long, &deep];
    for name in names {
        let all = [members(""), vec![file(name, b"x")]].concat();
        for (kind, bytes) in [("a.tar", tar_of(&all)), ("a.zip", stored(&all))] {
            let source = desk.open(kind, &bytes).unwrap();
            let lost = losses(&source);
            assert_eq!(lost.len(), 1, "{name}: {lost:?}");
            assert!(lost[0].2.starts_with("refused: "), "{name}: {lost:?}");
            assert_eq!(source.ledger.losses[0].interval, None, "it may have been anything");
            assert_eq!(content(&source).0.len(), 52);
            assert!(!outside.exists() && !desk.temp.path().join("evil").exists());
        }
    }
    // A NUL in a zip: readers in C see another name than others.
    let nul = stored(&[members(""), vec![file("meta\u{0}json", b"x")]].concat());
    let opened = desk.open("nul.zip", &nul);
    assert!(opened.is_err() || losses(&opened.unwrap())[0].2.contains("NUL"));
    // Nothing else in the archive: the error lists what was refused.
    let error = desk.refusal("only.tar", &tar_of(&[file("../evil", b"x")]));
    assert!(error.to_string().contains("../evil: refused"), "{error}");
}

#[test]
fn links_and_devices_are_listed_and_never_made() {
    let desk = Desk::new();
    let block = "01M84B2GD4H4D69S4F741YKCF0";
    for (kind, link) in [
        (b'2', "/etc/passwd"),
        (b'2', "../01M84B3AK891EP9MP5N47G4FJF/index"),
        (b'1', "/etc/passwd"),
        (b'1', "../../etc/passwd"),
        (b'1', "not/in/the/archive"),
        (b'3', ""),
        (b'4', ""),
        (b'6', ""),
        (b'Z', ""),
    ] {
        let mut all = members("");
        let index = all.iter_mut().find(|m| m.name == format!("{block}/index").into_bytes()).unwrap();
        *index = special(&format!("{block}/index"), kind, link);
        let source = desk.open("a.tar", &tar_of(&all)).unwrap();
        let place = source.roots[0].join(block).join("index");
        assert!(std::fs::symlink_metadata(place).is_err(), "{}", kind as char);
        let lost = losses(&source);
        assert!(lost.iter().any(|l| l.0 == format!("{block}/index") && l.1 == ErrorKind::Unsupported), "{lost:?}");
        // The block's meta.json bounds what its index may have held.
        assert!(source.opening_ledger().losses.iter().all(|l| l.interval.is_some()));
        // Beside the data it is a note.
        let all = [members("data/"), vec![special("latest", kind, link), special("data/lock", kind, link)]].concat();
        let source = desk.open("b.tar", &tar_of(&all)).unwrap();
        assert_eq!(losses(&source), []);
        assert_eq!(source.ledger.notes.iter().filter(|n| n.contains("no part of the data")).count(), 2);
    }
    // A member below a link: a tool that follows it writes elsewhere.
    let all = [vec![special("snap", b'2', "/tmp")], members("snap/")].concat();
    let error = desk.refusal("c.tar", &tar_of(&all));
    assert_eq!(error.kind(), ErrorKind::Ambiguous);
    assert!(error.to_string().contains("`snap` is no folder at byte 0"), "{error}");
    // A link in a zip, and a device by its mode.
    for (mode, word) in [(0o120_777_u32, "a link"), (0o020_666, "a device"), (0o040_755, "a folder with a file's name")]
    {
        let all = [members(""), vec![file("wal", b"/etc")]].concat();
        let mut bytes = stored(&all);
        let central = *headers(&bytes, b"PK\x01\x02").last().unwrap();
        bytes[central + 5] = 3;
        bytes[central + 38..central + 42].copy_from_slice(&(mode << 16).to_le_bytes());
        let source = desk.open("d.zip", &bytes).unwrap();
        assert!(!source.roots[0].join("wal").exists());
        let lost = losses(&source);
        assert!(lost.len() == 1 && lost[0].0 == "wal" && lost[0].2.starts_with(word), "{lost:?}");
    }
}

/// A snapshot's files are hard links to those of the data directory, and tars of both hold one copy.
#[test]
fn hard_links_between_members_are_the_member() {
    let desk = Desk::new();
    let mut all = members("data/snapshots/s/");
    for (rel, _) in files(&snapshot()) {
        all.push(special(&format!("data/{rel}"), b'1', &format!("data/snapshots/s/{rel}")));
    }
    let source = desk.open("a.tar", &tar_of(&all)).unwrap();
    assert_eq!(source.below, "data");
    let (got, lost) = content(&source);
    let want = content(&Source::open(&snapshot(), &desk.options()).unwrap());
    assert!(got == want.0 && !lost);
    assert!(source.ledger.notes.iter().any(|n| n.contains("hard link")));
}

#[test]
fn what_tools_take_differently_is_refused() {
    let desk = Desk::new();
    let meta = "01M84B2GD4H4D69S4F741YKCF0/meta.json";
    let twice = [members(""), vec![file(meta, b"{}")]].concat();
    let error = desk.refusal("a.tar", &tar_of(&twice)).to_string();
    assert!(error.contains("twice, at byte ") && error.contains("meta.json"), "{error}");
    assert_eq!(error.matches("at byte").count(), 2, "{error}");
    let error = desk.refusal("a.tgz", &gz(&tar_of(&twice))).to_string();
    assert!(error.contains("of the unpacked tar"), "{error}");
    // Spelled differently, the same path.
    let again = [members(""), vec![file(&format!(".//{meta}"), b"{}")]].concat();
    assert_eq!(desk.refusal("b.tar", &tar_of(&again)).kind(), ErrorKind::Ambiguous);
    // No writer makes such a zip: of a name with an `X` for a digit, both copies are patched.
    let other = meta.replace("meta", "mXta");
    let patched = [members(""), vec![file(&other, b"{}")]].concat();
    let bytes = replaced(stored(&patched), other.as_bytes(), meta.as_bytes());
    let error = desk.refusal("c.zip", &bytes).to_string();
    assert_eq!(error.matches("at byte").count(), 2, "{error}");
    // A folder and a file.
    for clash in [
        vec![file("wal", b"x"), file("wal/0", b"x")],
        vec![file("wal/0", b"x"), file("wal", b"x")],
        vec![file("wal", b"x"), special("wal/", b'5', "")],
        vec![special("wal/", b'5', ""), file("wal", b"x")],
        vec![file(".", b"x")],
    ] {
        let all = [members(""), clash].concat();
        assert_eq!(desk.refusal("d.tar", &tar_of(&all)).kind(), ErrorKind::Ambiguous);
    }
    // Folders may be named as often as anybody likes.
    let folders = [vec![special("./", b'5', ""), special("wal/", b'5', ""), special("wal", b'5', "")], members("")];
    assert_eq!(losses(&desk.open("e.tar", &tar_of(&folders.concat())).unwrap()), []);
}

fn replaced(mut bytes: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let at: Vec<usize> = bytes.windows(from.len()).enumerate().filter(|(_, w)| *w == from).map(|(i, _)| i).collect();
    assert!(!at.is_empty());
    for i in at {
        bytes[i..i + to.len()].copy_from_slice(to);
    }
    bytes
}

#[test]
fn names_that_some_file_systems_confuse_are_noted() {
    let desk = Desk::new();
    for (a, b) in [("Notes/x", "notes/x"), ("caf\u{e9}", "cafe\u{301}"), ("STRASSE", "strasse")] {
        let all = [members(""), vec![file(a, b"1"), file(b, b"2")]].concat();
        for (kind, bytes) in [("a.tar", tar_of(&all)), ("a.zip", deflated(&all))] {
            match desk.open(kind, &bytes) {
                Ok(source) => {
                    let noted = source.ledger.notes.iter().filter(|n| n.contains("differ only in case")).count();
                    assert_eq!((noted, losses(&source)), (1, vec![]), "{a} {b}: {:?}", source.ledger.notes);
                }
                // This file system confuses them.
                Err(e) => assert_eq!(e.kind(), ErrorKind::Ambiguous),
            }
        }
    }
}

fn pax(records: &[(&str, &str)]) -> Member {
    let mut data = Vec::new();
    for (key, value) in records {
        let rest = format!(" {key}={value}\n");
        let mut length = rest.len() + 1;
        length = rest.len() + length.to_string().len();
        data.extend(format!("{length}{rest}").into_bytes());
    }
    Member { data, ..special("pax", b'x', "") }
}

#[test]
fn sizes_that_disagree_are_refused() {
    let desk = Desk::new();
    for hostile in [
        // By the header the next member starts earlier than by the extended header.
        vec![pax(&[("size", "1024")]), Member { size: Some(0), ..file("a", &[b'x'; 1024]) }],
        vec![pax(&[("size", "0")]), file("a", &[b'x'; 1024])],
        vec![pax(&[("size", "x")]), file("a", b"")],
        vec![pax(&[("size", "5"), ("size", "6")]), file("a", b"12345")],
        vec![pax(&[("path", "b"), ("path", "c")]), file("a", b"")],
        vec![Member { data: pax(&[("path", "b")]).data, ..special("g", b'g', "") }, file("a", b"")],
        vec![Member { data: vec![b'x'; 1024], ..special("l", b'2', "x") }],
        vec![Member { data: vec![b'x'; 1024], ..special("d", b'5', "") }],
    ] {
        let all = [hostile, members("")].concat();
        let error = desk.refusal("a.tar", &tar_of(&all));
        assert_eq!(error.kind(), ErrorKind::Ambiguous, "{error}");
        assert!(error.to_string().contains("hint: "), "{error}");
    }
    // Extended headers that say what everybody says.
    let honest = [
        vec![Member { data: pax(&[("comment", "from a commit")]).data, ..special("g", b'g', "") }],
        vec![pax(&[("path", "README"), ("size", "5"), ("mtime", "1.5")]), file("a", b"12345")],
        members(""),
    ];
    assert_eq!(losses(&desk.open("b.tar", &tar_of(&honest.concat())).unwrap()), []);
    // Sparse in the form that the crate would give as the raw map and data.
    let sparse = [members(""), vec![pax(&[("GNU.sparse.major", "1")]), file("wal/00000000", b"1\n0\n5\n")]].concat();
    let lost = losses(&desk.open("c.tar", &tar_of(&sparse)).unwrap());
    assert!(lost.iter().any(|l| l.0 == "wal/00000000" && l.2.contains("--sparse")), "{lost:?}");
}

/// Positions of a zip's local headers, or of its directory's.
fn headers(zip: &[u8], signature: &[u8; 4]) -> Vec<usize> {
    zip.windows(4).enumerate().filter(|(_, w)| w == signature).map(|(i, _)| i).collect()
}

#[test]
fn zips_that_contradict_themselves() {
    let desk = Desk::new();
    let honest = stored(&members(""));
    let local = headers(&honest, b"PK\x03\x04")[3];
    let central = headers(&honest, b"PK\x01\x02")[3];
    // Size, CRC, name and method by the local header alone.
    for at in [local + 22, local + 18, local + 14, local + 30, local + 8] {
        let mut bytes = honest.clone();
        bytes[at] ^= 1;
        let error = desk.refusal("a.zip", &bytes);
        assert_eq!(error.kind(), ErrorKind::Ambiguous, "{at}: {error}");
    }
    // Two members with the same data, as in the bombs that overlap.
    let mut bytes = honest.clone();
    let offset = bytes[headers(&honest, b"PK\x01\x02")[2] + 42..][..4].to_vec();
    bytes[central + 42..central + 46].copy_from_slice(&offset);
    assert_eq!(desk.refusal("b.zip", &bytes).kind(), ErrorKind::Ambiguous);
    // Encrypted, and compressed with something else, by both headers.
    for (flag, method, word) in [(1u8, 0u8, "encrypted"), (0, 93, "compressed with zstd"), (0, 12, "compressed with")] {
        let mut bytes = honest.clone();
        bytes[local + 6] |= flag;
        bytes[central + 8] |= flag;
        bytes[local + 8] |= method;
        bytes[central + 10] |= method;
        let source = desk.open("c.zip", &bytes).unwrap();
        let lost = losses(&source);
        assert!(lost.iter().any(|l| l.1 == ErrorKind::Unsupported && !l.0.is_empty()), "{word}: {lost:?}");
        assert!(source.ledger.losses.iter().any(|l| l.detail.to_lowercase().contains(word)), "{lost:?}");
    }
    // A flipped bit in the data of the first member, a segment: its CRC tells, and the chunk's own.
    let name_len = usize::from(honest[26]);
    let mut bytes = honest.clone();
    bytes[30 + name_len + 40] ^= 1;
    let source = desk.open("d.zip", &bytes).unwrap();
    let lost = losses(&source);
    assert!(lost.iter().any(|l| l.1 == ErrorKind::Checksum && l.2.contains("CRC-32")), "{lost:?}");
    assert!(content(&source).1 && source.opening_ledger().losses.iter().all(|l| l.interval.is_some()));
    // Bytes that belong to nobody are said.
    let in_front = [&[b'#'; 100][..], &honest].concat();
    let opened = Source::open(&desk.put("e.zip", &in_front), &desk.options());
    assert!(opened.is_err(), "a program with a zip behind it is no zip");
}

#[test]
fn a_cut_archive_is_never_silently_short() {
    let desk = Desk::new();
    let (want, lost) = content(&Source::open(&snapshot(), &desk.options()).unwrap());
    assert!(!lost);
    let mut outcomes = BTreeMap::new();
    for (name, bytes) in every_kind(&members("s/")) {
        let step = (bytes.len() / 60).max(1);
        let near_the_end = (bytes.len().saturating_sub(40)..bytes.len()).step_by(3);
        // Between members of a tar nothing is broken: only the end marker is missing.
        let blocks = (0..bytes.len()).step_by(512).filter(|_| name == "j.tar");
        for cut in (0..bytes.len()).step_by(step).chain(near_the_end).chain(blocks) {
            let path = desk.put("cut", &bytes[..cut]);
            let outcome = match Source::open(&path, &desk.options()) {
                Err(e) => {
                    assert!(e.to_string().starts_with(path.to_str().unwrap()), "{e}");
                    "refused"
                }
                Ok(source) => {
                    let (got, lost) = content(&source);
                    let named = losses(&source).iter().any(|l| l.0 == "cut" && l.1 == ErrorKind::Truncated);
                    assert!(named || got == want && !lost, "{name} cut at {cut} of {}", bytes.len());
                    if named {
                        assert!(source.ledger.losses.iter().any(|l| l.file == "cut" && l.interval.is_none()));
                        "named"
                    } else {
                        "equal"
                    }
                }
            };
            *outcomes.entry((name, outcome)).or_insert(0) += 1;
        }
    }
    for (name, _) in every_kind(&[]) {
        assert!(outcomes.contains_key(&(name, "named")), "{name}: {outcomes:?}");
    }
    assert!(desk.is_clean());
}

#[test]
fn a_flipped_bit_is_noticed() {
    let desk = Desk::new();
    let (want, _) = content(&Source::open(&snapshot(), &desk.options()).unwrap());
    let all = members("");
    let tar = tar_of(&all);
    for (name, bytes) in [("a.tgz", gz(&tar)), ("b.tar.zst", zst(&tar)), ("c.zip", deflated(&all))] {
        let mut noticed = 0;
        for at in (0..bytes.len()).step_by(bytes.len() / 300) {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1 << (at % 8);
            match desk.open("flipped", &bytes) {
                Err(_) => noticed += 1,
                Ok(source) => {
                    let (got, lost) = content(&source);
                    assert!(lost || got == want, "{name} byte {at}");
                    noticed += usize::from(lost);
                }
            }
        }
        assert!(noticed > 250, "{name}: {noticed}");
    }
}

#[test]
fn data_behind_the_end_are_said() {
    let desk = Desk::new();
    let joined = [tar_of(&members("")), tar_of(&[file("x", b"y")])].concat();
    for (name, bytes) in [("a.tar", joined.clone()), ("a.tgz", gz(&joined)), ("b.tgz", in_thirds(&joined, gz))] {
        let lost = losses(&desk.open(name, &bytes).unwrap());
        assert!(lost.len() == 1 && lost[0].2.contains("follow the end marker"), "{lost:?}");
    }
    // Writers fill up the last record with zeros.
    let filled = [tar_of(&members("")), vec![0; 9 * 1024]].concat();
    assert_eq!(losses(&desk.open("c.tar", &filled).unwrap()), []);
}

#[test]
fn bombs_are_refused_with_the_flag() {
    let desk = Desk::new();
    let check = |name: &str, bytes: &[u8], extra: &[&str], flag: &str| {
        desk.put(name, bytes);
        let output = desk.run(&[&["inspect", name][..], extra].concat());
        assert_eq!(output.status.code(), Some(2), "{name} {extra:?}");
        let message = text(&output.stderr);
        assert!(message.contains(&format!("{flag} ")), "{name} {extra:?}: {message}");
    };
    let small = members("");
    // 320 MiB of zeros, as members and frames of 4 MiB each.
    let zeros = vec![0u8; 4 * MIB];
    let head = header(&Member { size: Some(320 * MIB as u64), ..file("zeros", b"") });
    let bomb = |pack: fn(&[u8]) -> Vec<u8>| [pack(head.as_bytes()), pack(&zeros).repeat(80)].concat();
    check("a.tgz", &bomb(gz), &["--max-ratio", "100"], "--max-ratio");
    check("a.tar.zst", &bomb(zst), &[], "--max-ratio");
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    writer.start_file("zeros", zip::write::SimpleFileOptions::default()).unwrap();
    for _ in 0..80 {
        writer.write_all(&zeros).unwrap();
    }
    check("a.zip", &writer.finish().unwrap().into_inner(), &["--max-ratio", "100"], "--max-ratio");
    let hidden = [zst(&tar_of(&small)), zst(&zeros).repeat(80)].concat();
    check("behind-the-end.tar.zst", &hidden, &[], "--max-ratio");
    for (name, bytes) in every_kind(&small) {
        check(name, &bytes, &["--max-entries", "10"], "--max-entries");
        check(name, &bytes, &["--max-total-bytes", "20KiB"], "--max-total-bytes");
    }
    // Folders count as well: a name can make many.
    let deep: Vec<Member> = (0..10).map(|i| file(&format!("{i}/{}", "d/".repeat(50)), b"")).collect();
    check("deep.tar", &tar_of(&deep), &["--max-entries", "100"], "--max-entries");
    // A hole of a terabyte.
    let mut hole = tar::Header::new_gnu();
    hole.set_path("wal/00000000").unwrap();
    hole.set_entry_type(tar::EntryType::GNUSparse);
    hole.set_size(0);
    hole.set_mode(0o644);
    let gnu = hole.as_gnu_mut().unwrap();
    octal(&mut gnu.realsize, 1 << 32);
    octal(&mut gnu.sparse[0].offset, 1 << 32);
    octal(&mut gnu.sparse[0].numbytes, 0);
    hole.set_cksum();
    let bytes = [hole.as_bytes().to_vec(), tar_of(&small)].concat();
    check("hole.tar", &bytes, &[], "--max-ratio");
    // A window that needs 256 MiB of memory.
    let mut writer = zstd::Encoder::new(Vec::new(), 1).unwrap();
    writer.window_log(28).unwrap();
    writer.write_all(&tar_of(&small)).unwrap();
    let wide = writer.finish().unwrap();
    check("wide.tar.zst", &wide, &[], "--max-zstd-window");
    assert_eq!(desk.run(&["inspect", "wide.tar.zst", "--max-zstd-window", "256MiB"]).status.code(), Some(0));
    // A long name that would have to be held in memory.
    let long = Member { data: vec![b'x'; 8 * MIB], ..special("././@LongLink", b'L', "") };
    let error = desk.refusal("long.tar", &tar_of(&[vec![long, file("x", b"")], small].concat()));
    assert!(error.to_string().contains("more than 4 MiB"), "{error}");
    for bad in ["0", "x", "12 parsecs", "99999999999TiB"] {
        let output = desk.run(&["inspect", "wide.tar.zst", "--max-total-bytes", bad]);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains("--max-total-bytes"));
    }
}

fn octal(field: &mut [u8; 12], value: u64) {
    field.copy_from_slice(format!("{value:011o}\0").as_bytes());
}

#[test]
fn sparse_files_are_whole() {
    let desk = Desk::new();
    // The second block's segment with its zeros left out, as GNU tar writes it: here one hole at the end of `wal/0`.
    let mut sparse = tar::Header::new_gnu();
    sparse.set_path("extra").unwrap();
    sparse.set_entry_type(tar::EntryType::GNUSparse);
    sparse.set_size(512);
    sparse.set_mode(0o644);
    let gnu = sparse.as_gnu_mut().unwrap();
    octal(&mut gnu.realsize, 2048);
    octal(&mut gnu.sparse[0].offset, 512);
    octal(&mut gnu.sparse[0].numbytes, 512);
    octal(&mut gnu.sparse[1].offset, 2048);
    octal(&mut gnu.sparse[1].numbytes, 0);
    sparse.set_cksum();
    let bytes = [sparse.as_bytes().to_vec(), vec![b'x'; 512], tar_of(&members(""))].concat();
    let source = desk.open("a.tar", &bytes).unwrap();
    let extra = std::fs::read(source.roots[0].join("extra")).unwrap();
    assert_eq!(extra, [vec![0; 512], vec![b'x'; 512], vec![0; 1024]].concat());
    assert_eq!(losses(&source), []);
}

#[test]
fn what_is_no_archive_says_so() {
    let desk = Desk::new();
    for (name, bytes, words) in [
        ("a.tar.xz", &b"\xfd7zXZ\0\0\0"[..], "compressed with xz"),
        ("a.tar.bz2", b"BZh91AY", "compressed with bzip2"),
        ("a.tar", &[0; 10240], "another kind"),
        ("empty.zip", b"", "an empty file"),
        ("text", b"hello", "another kind"),
        ("meta.json", b"{\"ulid\":1}", "meta.json"),
    ] {
        let error = desk.refusal(name, bytes);
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains(words), "{error}");
        assert!(error.to_string().contains(".tar.gz"), "{error}");
    }
    let error = desk.refusal("index.gz", &gz(&[7; 5000]));
    assert!(error.to_string().contains("what is inside is no tar"), "{error}");
    let inner = gz(&tar_of(&members("")));
    let error = desk.refusal("outer.zip", &stored(&[file("backup/snapshot.tar.gz", &inner)]));
    assert!(error.to_string().contains("backup/snapshot.tar.gz"), "{error}");
    assert!(error.to_string().contains("unpack the outer archive"), "{error}");
    for (name, bytes) in every_kind(&[]) {
        if name != "j.tar" {
            assert_eq!(desk.refusal(name, &bytes).kind(), ErrorKind::Missing, "{name}");
        }
    }
}

#[test]
fn nothing_is_written_beside_the_archive() {
    let desk = Desk::new();
    desk.put("a.tgz", &gz(&tar_of(&members(""))));
    desk.put("b.zip", &stored(&[file("../a.tgz", b"x"), file("b.zip", b"x")]));
    let before = files(desk.dir.path());
    for name in ["a.tgz", "b.zip"] {
        desk.run(&["inspect", name]);
        let output = desk.run(&["inspect", name, "--output", name, "--force"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains("evidence"), "{}", text(&output.stderr));
    }
    // Nor inside a SOURCE that is a folder.
    let inside = desk.dir.path().join("data");
    std::fs::create_dir(&inside).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_promproof"))
        .current_dir(desk.dir.path())
        .args(["inspect", "a.tgz", "data", "--temp-dir", "data"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--temp-dir"), "{}", text(&output.stderr));
    let output = desk.command(&["inspect", "a.tgz"]).arg("--temp-dir").arg("/does/not/exist").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(before == files(desk.dir.path()));
}

/// The private folder exists while the archive is read, is ours alone, and is gone when a signal ends the process.
#[cfg(unix)]
#[test]
fn signals_leave_nothing_behind() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::ExitStatusExt;
    use std::time::{Duration, Instant};
    // Long enough that it is told to stop before all is unpacked; a machine that is busy may find its disk full before that.
    let head = header(&Member { size: Some(2048 * 64 * MIB as u64), ..file("zeros", b"") });
    let bytes = [zst(head.as_bytes()), zst(&vec![0u8; 64 * MIB]).repeat(2048)].concat();
    let interrupted = |signal: i32| {
        let desk = Desk::new();
        desk.put("a.tar.zst", &bytes);
        let mut child = desk.command(&["inspect", "a.tar.zst", "--max-ratio", "1000000000"]).spawn().unwrap();
        let started = Instant::now();
        let folder = loop {
            if let Some(entry) = std::fs::read_dir(desk.temp.path()).unwrap().next() {
                let path = entry.unwrap().path();
                if path.join("zeros").exists() {
                    break path;
                }
            }
            assert!(started.elapsed() < Duration::from_secs(60) && child.try_wait().unwrap().is_none());
            std::thread::sleep(Duration::from_millis(1));
        };
        assert_eq!(std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        let sent = Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        let status = child.wait().unwrap();
        assert!(status.signal() == Some(signal) || status.code() == Some(2), "{status:?}");
        assert!(desk.is_clean(), "signal {signal}");
        status.signal().is_some()
    };
    for signal in [1, 2, 15] {
        assert!((0..5).any(|_| interrupted(signal)), "signal {signal} never came in time");
    }
}
