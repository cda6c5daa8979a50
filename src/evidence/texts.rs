//! `system_info/` and `logs/`: files as they were saved; of logs the last lines.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use crate::error::{Result, plain_io};
use crate::labels::printable;

use super::folder::{Folder, Origin};
use super::given::{Given, MOST_BYTES, tail};

const SYSTEM: [(&str, &str); 4] = [
    ("docker_services.txt", "docker compose ps > docker_services.txt"),
    ("docker_images.txt", "docker compose images > docker_images.txt"),
    ("reqs-recommender.txt", "cp recommender/reqs-recommender.txt ."),
    ("reqs-ingestor.txt", "cp ingestor/reqs-ingestor.txt ."),
];

/// A log: its file in the folder, how its files begin, and how many of its last lines are kept.
const LOGS: [(&str, &str, usize); 2] =
    [("logs/api_logs_sample.txt", "api", 500), ("logs/prometheus_logs_sample.txt", "prometheus", 200)];

/// The most bytes of a log that are kept, however long its lines are.
const MOST_LOG_BYTES: u64 = 16 << 20;

/// The files that belong into both folders.
pub fn files() -> Vec<String> {
    let system = SYSTEM.iter().map(|(name, _)| format!("system_info/{name}"));
    system.chain(LOGS.iter().map(|(file, ..)| (*file).to_owned())).collect()
}

/// Writes `system_info/`: every file whose name is plain.
pub fn write_system(folder: &mut Folder, path: Option<&Path>) -> Result<()> {
    let files = match path {
        Some(path) => folder.list("--system", path, 0)?.files,
        None => Vec::new(),
    };
    for file in &files {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        let why = match file.file_name.as_str() {
            name if !name.bytes().all(plain) => "its name has more than letters, digits, `.`, `_` and `-`",
            _ if file.bytes > MOST_BYTES => "it is larger than 64 MiB",
            _ => match File::open(&file.path) {
                Ok(open) => {
                    let target = format!("system_info/{}", file.file_name);
                    folder.write(
                        &target,
                        open.take(MOST_BYTES),
                        Origin::captured(format!("--system {}", file.name)),
                    )?;
                    continue;
                }
                Err(e) => {
                    folder.unreadable("--system", &file.name, &format!("it cannot be read: {}", plain_io(&e)));
                    continue;
                }
            },
        };
        folder.unused.push((printable(&file.name), why.to_owned()));
    }
    for (name, how) in SYSTEM {
        let target = format!("system_info/{name}");
        if !folder.has(&target) {
            let why = if path.is_some() { "no such file in --system" } else { "nothing about the system was given" };
            folder.lacks(target, why, format!("save it ({how}) and give its folder with --system DIR"));
        }
    }
    Ok(())
}

/// Writes `logs/`.
pub fn write_logs(folder: &mut Folder, path: Option<&Path>) -> Result<()> {
    let mut files = match path {
        Some(path) => folder.list("--logs", path, 0)?.files,
        None => Vec::new(),
    };
    for (target, service, lines) in LOGS {
        let chosen = choose(&files, target, service).map(|i| files.remove(i));
        let why = match chosen {
            Some(file) => match open_tail(&file, lines) {
                Ok((open, words)) => {
                    let origin = Origin::captured(format!("{words} --logs {}", printable(&file.name)));
                    folder.write(target, open.take(MOST_LOG_BYTES), origin)?;
                    continue;
                }
                Err(e) => format!("{} cannot be read: {}", printable(&file.name), plain_io(&e)),
            },
            None if path.is_some() => format!("no file in --logs has a name that begins with {service}"),
            None => "no logs were given".to_owned(),
        };
        let how =
            format!("save them (docker compose logs {service} > {service}.log) and give the folder with --logs DIR");
        folder.lacks(target, why, how);
    }
    let unused = files.iter().map(|f| (printable(&f.name), "it is none of the logs that are kept".to_owned()));
    folder.unused.extend(unused);
    Ok(())
}

/// The file of the usual name, else the first one that begins with the name of the service.
fn choose(files: &[Given], target: &str, service: &str) -> Option<usize> {
    let usual = files.iter().position(|f| target.strip_prefix("logs/") == Some(&f.file_name));
    usual.or_else(|| files.iter().position(|f| f.file_name.to_ascii_lowercase().starts_with(service)))
}

/// A log at the start of its last lines, and how much of it that is, in words.
fn open_tail(file: &Given, lines: usize) -> std::io::Result<(File, &'static str)> {
    let mut open = File::open(&file.path)?;
    let (start, cut) = tail(&mut open, lines, MOST_LOG_BYTES)?;
    open.seek(SeekFrom::Start(start))?;
    let words = match (start, cut) {
        (0, _) => "all of",
        (_, true) => "the last 16 MiB of",
        (_, false) => "the last lines of",
    };
    Ok((open, words))
}
