//! The integration tests, one binary.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    reason = "a test that cannot prepare its input fails"
)]

/// Archives as SOURCEs.
mod archives;
/// Verdicts on files: whole ones, flipped bits, forgeries, torn ends.
mod check;
/// The command as people and scripts use it.
mod cli;
/// Mutations of a small directory: same answer, named loss, or refusal.
mod damage;
/// Converted data.
mod dataset;
/// Generated data and the answers of real servers to it.
mod differential;
/// Text dumps as SOURCEs.
mod dumps;
/// Data directories with every sample that Prometheus reads from them.
mod encodings;
/// Evidence folders: what is collected, what is missing, what fails.
mod evidence;
/// What a case of the fixtures says must be read, and what is read.
mod expected;
/// Text dumps beside what upstream reads from them.
mod exposition;
/// Answers of servers beside ours.
mod forge;
mod golden;
/// The commands of the guide and of the page about troubles.
mod guide;
/// Native histograms and start timestamps: what Prometheus reads, and chunks that no writer wrote.
mod histograms;
/// Directories of servers that were killed, and what restarted ones serve.
mod killed;
/// Packages of deliverables: every status, every check, what is copied and what is refused.
mod package;
/// The report on paper.
#[cfg(feature = "pdf")]
mod pdf;
/// Chance from a seed.
mod random;
/// What the writer writes the reader reads, and the chunk decoder against one that takes a bit at a time.
mod roundtrip;
/// Answers of real servers, bit for bit.
mod servers;
/// Where fixtures are and how a test says that it was skipped.
mod support;
/// Made-up snapshots, their truth, and what is read from them.
mod synth;
/// House rules that the compiler does not check.
mod tidy;
/// Every sample on disk, and what becomes of it.
mod union;
/// Logs, head chunks and chunk snapshots: what lies on disk.
mod wal;
/// Windows on made-up blocks.
mod windows;
/// The decoder of XOR2 chunks against one that takes a bit at a time.
mod xor2;
