//! The arguments as meant: every default and every cross-check is here.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use clap::ValueEnum;

use crate::archive::Limits;
use crate::cli::args::{
    AnswersArg, ArchiveArg, AvailabilityArgs, CollectArgs, CommonArgs, ConvertArgs, DumpedArgs, LayoutArg,
    ModelUpdatesArgs, PackageArgs, PartitionArg, ProgressMode, ReportFormat, RequestArgs, SwitchArgs, SynthArgs,
    VerdictMode, View, When, WindowArgs,
};
use crate::cli::output::keep_out_of;
use crate::cli::progress::Shown;
use crate::dataset::{Layout, Partition};
use crate::dumps::{Answers, DumpOptions, Glob, LabelRules, TimeRule};
use crate::error::{Error, Result};
use crate::evidence;
use crate::labels::printable;
use crate::package::{self, Policy};
use crate::raw::ReadMode;
use crate::report::style::Style;
use crate::selector::Selector;
use crate::source::OpenOptions;
use crate::synth::Spec;
use crate::time::{DurationMs, Interval, TimestampMs, parse_duration, parse_time};
use crate::verdict::availability::{Mode, Requirement};
use crate::windows::Span;
use crate::windows::availability::{GoodRule, Question};
use crate::windows::semantics::SemanticsChoice;
use crate::windows::switches;

/// More threads than any machine has cores would only cost the time of starting them.
const MAX_THREADS: usize = 1024;
const DEFAULT_WINDOW_MS: DurationMs = 72 * 3_600_000;

/// What every command means by its common arguments.
#[derive(Debug)]
pub struct Common {
    pub sources: Vec<PathBuf>,
    pub semantics: SemanticsChoice,
    pub merge: bool,
    pub open: OpenOptions,
    pub output: Option<PathBuf>,
    pub force: bool,
    pub style: Style,
    pub quiet: bool,
    progress: bool,
    progress_mode: ProgressMode,
}

impl Common {
    /// Checks the arguments and sets the number of threads.
    pub fn new(args: &CommonArgs) -> Result<Common> {
        set_threads(args.threads)?;
        let color = color(args.color, args.output.is_none());
        let progress = !args.quiet
            && match args.progress {
                ProgressMode::Plain => true,
                ProgressMode::Never => false,
                ProgressMode::Auto => args.sources.len() > 1 && std::io::stderr().is_terminal(),
            };
        let semantics = SemanticsChoice::parse(&args.semantics)?;
        Ok(Common {
            semantics,
            merge: args.merge,
            open: OpenOptions {
                read_mode: if args.no_mmap { ReadMode::Read } else { ReadMode::Map },
                root: args.root.clone(),
                wanted: Vec::new(),
                release: semantics.release(),
                min_block_duration_ms: args.min_block_duration.as_deref().map(parse_duration).transpose()?,
                archive: archive_limits(args)?,
                dumps: dump_options(&args.dumps)?,
            },
            output: args.output.clone(),
            force: args.force,
            style: Style { color },
            quiet: args.quiet,
            progress,
            progress_mode: args.progress,
            sources: args.sources.clone(),
        })
    }

    /// How the progress of one long run is shown.
    pub fn long_progress(&self) -> Shown {
        match (self.quiet, self.progress_mode) {
            (true, _) | (_, ProgressMode::Never) => Shown::Nothing,
            (_, ProgressMode::Auto) if std::io::stderr().is_terminal() => Shown::Bar,
            (_, ProgressMode::Auto | ProgressMode::Plain) => Shown::Lines,
        }
    }

    /// A line of progress, where progress is shown.
    pub fn progress(&self, line: &str) {
        if self.progress {
            let _ = writeln!(std::io::stderr(), "{}", crate::labels::printable(line));
        }
    }

    /// A note on stderr, unless it is quiet.
    pub fn note(&self, line: &str) {
        if !self.quiet {
            note(line);
        }
    }

    fn time(&self, flag: &str, text: Option<&str>) -> Result<Option<TimestampMs>> {
        text.map(|text| time(flag, text, |line| self.note(line))).transpose()
    }
}

/// Whether text is coloured; `to_stdout` is whether it goes there.
fn color(when: When, to_stdout: bool) -> bool {
    match when {
        When::Always => true,
        When::Never => false,
        When::Auto => to_stdout && std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
    }
}

fn note(line: &str) {
    let _ = writeln!(std::io::stderr(), "note: {}", crate::labels::printable(line));
}

/// A time as typed; `note` hears of what was assumed.
fn time(flag: &str, text: &str, note: impl FnOnce(&str)) -> Result<TimestampMs> {
    let (ms, assumed) = parse_time(text)?;
    if assumed {
        note(&format!("{flag} {text} has no zone and is read as UTC"));
    }
    Ok(ms)
}

/// Sets the number of threads, where one was given.
fn set_threads(threads: Option<usize>) -> Result<()> {
    match threads {
        None => {}
        Some(0) => return Err(Error::usage("--threads 0: at least one thread is needed")),
        Some(n) if n > MAX_THREADS => {
            return Err(Error::usage(format!("--threads {n}: at most {MAX_THREADS} are started")));
        }
        // Fails only if a pool exists already, which a second call in one process would mean.
        Some(n) => drop(rayon::ThreadPoolBuilder::new().num_threads(n).build_global()),
    }
    Ok(())
}

/// What an archive may cost, and where it is unpacked.
fn archive_limits(args: &CommonArgs) -> Result<Limits> {
    let archives = &args.archives;
    let at_least_one = |flag: &str, n: u64| match n {
        0 => Err(Error::usage(format!("{flag} 0: at least 1 is needed"))),
        n => Ok(n),
    };
    let limits = Limits {
        max_entries: at_least_one("--max-entries", archives.max_entries)?,
        max_total_bytes: size("--max-total-bytes", &archives.max_total_bytes)?,
        max_ratio: at_least_one("--max-ratio", archives.max_ratio)?,
        max_zstd_window: size("--max-zstd-window", &archives.max_zstd_window)?,
        temp_dir: Some(archives.temp_dir.clone().unwrap_or_else(std::env::temp_dir)),
    };
    if let Some(given) = &archives.temp_dir {
        let real = given.canonicalize().map_err(|e| Error::io(given, "unpack there", &e))?;
        if !real.is_dir() {
            return Err(Error::usage("--temp-dir names no folder").at(given));
        }
        for source in args.sources.iter().filter(|s| s.is_dir()) {
            if source.canonicalize().is_ok_and(|s| real.starts_with(s)) {
                return Err(Error::usage("--temp-dir lies inside a SOURCE, and evidence stays untouched")
                    .at(given)
                    .hint("choose a folder somewhere else"));
            }
        }
    }
    Ok(limits)
}

/// How text dumps are read.
fn dump_options(args: &DumpedArgs) -> Result<DumpOptions> {
    let mut labels = LabelRules::default();
    args.label_from_path.iter().try_for_each(|text| labels.add_from_path(text))?;
    args.labels.iter().try_for_each(|text| labels.add_fixed(text))?;
    Ok(DumpOptions {
        time_from: args.time_from.as_deref().map(TimeRule::parse).transpose()?,
        labels,
        include: args.include.as_deref().map(|glob| Glob::parse("--include", glob)).transpose()?,
        assume_up: args.assume_up,
        interval_ms: args.dump_interval.as_deref().map(parse_duration).transpose()?,
        answers: match args.answers {
            AnswersArg::Auto => Answers::Auto,
            AnswersArg::Raw => Answers::Raw,
            AnswersArg::Evaluated => Answers::Evaluated,
        },
        ..DumpOptions::default()
    })
}

/// A number of bytes, with a binary unit or without.
fn size(flag: &str, text: &str) -> Result<u64> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let factor = match text.get(digits.len()..).unwrap_or_default().trim() {
        "" | "B" => Some(1),
        "KiB" | "K" => Some(1 << 10),
        "MiB" | "M" => Some(1 << 20),
        "GiB" | "G" => Some(1 << 30),
        "TiB" | "T" => Some(1u64 << 40),
        _ => None,
    };
    let bytes = factor.and_then(|f| digits.parse::<u64>().ok()?.checked_mul(f)).filter(|b| *b > 0);
    bytes.ok_or_else(|| {
        Error::usage(format!("{flag} {}: a number of bytes is expected", crate::labels::printable(text)))
            .hint("write 128MiB, 4GiB or plain bytes")
    })
}

/// A window before the source is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowPlan {
    start: Option<TimestampMs>,
    end: Option<TimestampMs>,
    length: DurationMs,
}

impl WindowPlan {
    fn new(start: Option<TimestampMs>, end: Option<TimestampMs>, length: DurationMs) -> Result<WindowPlan> {
        if let (Some(s), Some(e)) = (start, end)
            && s >= e
        {
            return Err(Error::usage("--start must be before --end"));
        }
        Ok(WindowPlan { start, end, length })
    }

    /// The window; `newest` is asked for the default end only where it is needed.
    pub fn span(&self, newest: impl FnOnce() -> TimestampMs) -> Span {
        match (self.start, self.end) {
            (Some(start), Some(end)) => Span { start, end },
            (Some(start), None) => Span { start, end: start.saturating_add(self.length) },
            (None, Some(end)) => Span { start: end.saturating_sub(self.length), end },
            (None, None) => {
                let end = newest();
                Span { start: end.saturating_sub(self.length), end }
            }
        }
    }

    /// Whether the end is the newest sample.
    pub fn is_trailing(&self) -> bool {
        self.start.is_none() && self.end.is_none()
    }
}

fn window(common: &Common, args: &WindowArgs) -> Result<WindowPlan> {
    let start = common.time("--start", args.start.as_deref())?;
    let end = common.time("--end", args.end.as_deref())?;
    let length = match (&args.window, args.hours) {
        (Some(w), _) => Some(parse_duration(w)?),
        (None, Some(0)) => return Err(Error::usage("--hours 0: the window must have a length")),
        (None, Some(h)) => Some(i64::from(h) * 3_600_000),
        (None, None) => None,
    };
    if start.is_some() && end.is_some() && length.is_some() {
        return Err(Error::usage("--start and --end give the window exactly; leave out --window and --hours"));
    }
    WindowPlan::new(start, end, length.unwrap_or(DEFAULT_WINDOW_MS))
}

/// What `promproof availability` means.
#[derive(Debug)]
pub struct AvailabilityPlan {
    pub question: Question,
    pub window: WindowPlan,
    pub requirement: Requirement,
}

/// Which requests are asked about.
fn requests(args: &RequestArgs) -> Result<Question> {
    let selector = |text: &Option<String>| text.as_deref().map(Selector::parse).transpose();
    let mut question = Question::recommender();
    if let Some(total) = selector(&args.total)? {
        question.total = total;
        question.rule = match (selector(&args.good)?, selector(&args.bad)?) {
            (Some(good), None) => GoodRule::Good(good),
            (None, Some(bad)) => GoodRule::Bad(bad),
            _ => {
                return Err(Error::usage("--total needs exactly one of --good and --bad")
                    .hint("for example --total http_requests_total --bad 'http_requests_total{code=~\"5..\"}'"));
            }
        };
        (question.health, question.latency) = (None, None);
    }
    if let Some(health) = selector(&args.health)? {
        question.health = Some(health);
    }
    if let Some(latency) = selector(&args.latency)? {
        question.latency = Some(latency);
    }
    let mut by: Vec<String> = Vec::new();
    for label in args.by.iter().map(|l| l.trim()).filter(|l| !l.is_empty()) {
        if !by.iter().any(|b| b == label) {
            by.push(label.to_owned());
        }
    }
    question.by = by;
    Ok(question)
}

/// Which model switches are asked about.
fn switches(args: &SwitchArgs) -> Result<switches::Question> {
    let mut question = switches::Question::recommender();
    if let Some(s) = &args.switches {
        question.switches = Selector::parse(s)?;
    }
    if let Some(s) = &args.version_info {
        question.version_info = Selector::parse(s)?;
    }
    Ok(question)
}

/// Settles the question of `promproof availability`.
pub fn availability(common: &Common, args: &AvailabilityArgs) -> Result<AvailabilityPlan> {
    if matches!(args.format, ReportFormat::Table | ReportFormat::Csv) && (args.explain || args.every.is_some()) {
        common.note("--every and --explain are part of text and json; rows leave them out");
    }
    let mut question = requests(&args.requests)?;
    question.every = args.every.as_deref().map(parse_duration).transpose()?;
    question.scrape_interval = args.scrape_interval.as_deref().map(parse_duration).transpose()?;
    if !(0.0..=100.0).contains(&args.required) {
        return Err(Error::usage(format!("--required {}: a percentage from 0 to 100 is expected", args.required)));
    }
    let requirement = Requirement {
        percent: args.required,
        mode: match args.verdict {
            VerdictMode::Bounded => Mode::Bounded,
            VerdictMode::Observed => Mode::Observed,
        },
        coverage_ratio: args.require_coverage.as_deref().map(|r| ratio("--require-coverage", r)).transpose()?,
    };
    let window = window(common, &args.window)?;
    question.ends_at_newest = window.is_trailing();
    Ok(AvailabilityPlan { question, window, requirement })
}

/// A ratio from 0 to 1, or a percentage with its sign.
fn ratio(flag: &str, text: &str) -> Result<f64> {
    let value = match text.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().map(|p| p / 100.0),
        None => text.parse::<f64>(),
    };
    value.ok().filter(|r| (0.0..=1.0).contains(r)).ok_or_else(|| {
        Error::usage(format!("{flag} {}: a ratio from 0 to 1 is expected", crate::labels::printable(text)))
            .hint("write 0.95 or 95%")
    })
}

/// What `promproof model-updates` means.
#[derive(Debug)]
pub struct UpdatesPlan {
    pub question: switches::Question,
    pub period: WindowPlan,
    pub requirement: crate::verdict::updates::Requirement,
}

/// Settles the question of `promproof model-updates`.
pub fn model_updates(common: &Common, args: &ModelUpdatesArgs) -> Result<UpdatesPlan> {
    let mut question = switches(&args.metrics)?;
    question.within_ms = parse_duration(&args.within)?;
    question.same_update_ms = parse_duration(&args.same_update)?;
    question.scrape_interval = args.scrape_interval.as_deref().map(parse_duration).transpose()?;
    let start = common.time("--start", args.start.as_deref())?;
    let end = common.time("--end", args.end.as_deref())?;
    let period = WindowPlan::new(start, end, 7 * 86_400_000)?;
    question.ends_at_newest = period.is_trailing();
    Ok(UpdatesPlan { question, period, requirement: crate::verdict::updates::Requirement { minimum: args.minimum } })
}

/// What `promproof convert` means.
#[derive(Debug)]
pub struct ConvertPlan {
    pub selectors: Vec<Selector>,
    pub interval: Interval,
    pub layout: Layout,
    pub partition: Partition,
    pub shard: Option<(u32, u32)>,
    pub memory_limit: u64,
    /// The folder that the dataset will be.
    pub target: PathBuf,
    /// The folder of all shards, where it is one of them.
    pub above: Option<PathBuf>,
}

/// The least memory that a conversion is content with.
const LEAST_MEMORY: u64 = 64 << 20;

/// Settles what is converted.
pub fn convert(common: &Common, args: &ConvertArgs) -> Result<ConvertPlan> {
    if common.sources.len() > 1 && !common.merge {
        return Err(Error::usage("one SOURCE makes one dataset")
            .hint("convert them one by one, or add --merge if they are parts of one server"));
    }
    let Some(output) = &common.output else {
        return Err(Error::usage("--output DIR is needed"));
    };
    if args.view == View::Union && args.partition == PartitionArg::Day {
        return Err(Error::usage("--view union is not split into days").hint("leave --partition out"));
    }
    let shard = args.shard.as_deref().map(shard).transpose()?;
    let target = match shard {
        Some((index, count)) => output.join(format!("shard-{index:05}-of-{count:05}")),
        None => output.clone(),
    };
    let memory_limit = size("--memory-limit", &args.memory_limit)?;
    if memory_limit < LEAST_MEMORY {
        return Err(Error::usage(format!("--memory-limit {}: at least 64MiB are needed", args.memory_limit)));
    }
    Ok(ConvertPlan {
        selectors: args.matches.iter().map(|m| Selector::parse(m)).collect::<Result<_>>()?,
        interval: sample_interval(common, args.start.as_deref(), args.end.as_deref())?,
        layout: match args.layout {
            LayoutArg::Simple => Layout::Simple,
            LayoutArg::Compact => Layout::Compact,
        },
        partition: match args.partition {
            PartitionArg::None => Partition::None,
            PartitionArg::Day => Partition::Day,
        },
        shard,
        memory_limit,
        target,
        above: shard.map(|_| output.clone()),
    })
}

/// Times whose windows begin and end in the years that have a notation.
const SUBMISSIONS: std::ops::RangeInclusive<TimestampMs> = 0..=253_401_782_399_999;

/// What `promproof collect` means.
#[derive(Debug)]
pub struct CollectPlan {
    pub options: evidence::Options,
    /// The folder that the evidence will be.
    pub target: PathBuf,
}

/// Settles what is collected. `git` is the program, `epoch` what SOURCE_DATE_EPOCH says.
pub fn collect(common: &Common, args: &CollectArgs, git: Option<PathBuf>, epoch: Option<&str>) -> Result<CollectPlan> {
    if common.sources.len() > 1 && !common.merge {
        return Err(Error::usage("one SOURCE makes one evidence folder")
            .hint("collect them one by one, or add --merge if they are parts of one server"));
    }
    let Some(target) = common.output.clone() else {
        return Err(Error::usage("--output DIR is needed"));
    };
    let read = [&args.captures, &args.registry, &args.logs, &args.system];
    for given in read.into_iter().flatten().chain(&common.sources) {
        if given.canonicalize().is_ok_and(|g| target.canonicalize().is_ok_and(|t| g.starts_with(t))) {
            return Err(Error::usage("it lies inside the output, which would be replaced")
                .at(given)
                .hint("choose another --output"));
        }
    }
    keep_out_of(read.into_iter().flatten(), &target, "the output would lie inside a folder that is collected from")?;
    let timestamp = epoch.filter(|e| !e.is_empty()).map(|e| {
        let seconds = e.parse::<i64>().ok().filter(|s| (0..=253_402_300_799).contains(s));
        let bad = || Error::usage(format!("SOURCE_DATE_EPOCH={}: Unix seconds are expected", printable(e)));
        seconds.map(|s| s * 1000).ok_or_else(bad)
    });
    let submission = common.time("--submission", args.submission.as_deref())?;
    if submission.is_some_and(|t| !SUBMISSIONS.contains(&t)) {
        return Err(Error::usage(
            "--submission: a time from 1970 to 9999-12-25 is expected, so that both windows have dates",
        ));
    }
    let spacing = args.scrape_interval.as_deref().map(parse_duration).transpose()?;
    let options = evidence::Options {
        submission,
        captures: args.captures.clone(),
        registry: args.registry.clone(),
        repo: args.repo.clone(),
        logs: args.logs.clone(),
        system: args.system.clone(),
        git,
        timestamp: timestamp.transpose()?,
        semantics: common.semantics,
        requests: Question { scrape_interval: spacing, ..requests(&args.requests)? },
        switches: switches::Question { scrape_interval: spacing, ..switches(&args.metrics)? },
        words: words(common, args),
    };
    Ok(CollectPlan { options, target })
}

/// What `promproof package` means.
#[derive(Debug)]
pub struct PackagePlan {
    pub options: package::Options,
    /// The archive to write, and its place.
    pub archive: Option<(package::archive::Kind, PathBuf)>,
    /// The name of the folder, which is the archive's only one at its top.
    pub name: String,
    pub style: Style,
}

/// Settles what is packaged.
pub fn package(args: &PackageArgs) -> Result<PackagePlan> {
    let (Some(evidence), Some(place)) = (&args.evidence, &args.output) else {
        return Err(Error::usage("--evidence DIR and --output DIR are needed"));
    };
    let Some(name) = place.file_name().map(|n| n.to_string_lossy().into_owned()) else {
        return Err(Error::usage("--output has to end with the name of a folder").at(place));
    };
    for given in [Some(evidence), args.docs.as_ref(), args.code.as_ref()].into_iter().flatten() {
        if given.canonicalize().is_ok_and(|g| place.canonicalize().is_ok_and(|p| g.starts_with(p))) {
            return Err(Error::usage("it lies inside the output, which would be replaced")
                .at(given)
                .hint("choose another --output"));
        }
    }
    keep_out_of([evidence], place, "the output would lie inside the evidence")?;
    let policy = match &args.policy {
        None => Policy::standard()?,
        Some(file) => {
            let text = std::fs::read_to_string(file).map_err(|e| Error::io(file, "read the policy", &e))?;
            Policy::parse(&text, file)?
        }
    };
    let archive = args.archive.map(|kind| {
        let kind = match kind {
            ArchiveArg::Zip => package::archive::Kind::Zip,
            ArchiveArg::TarZst => package::archive::Kind::TarZst,
        };
        (kind, place.with_file_name(format!("{name}.{}", kind.ending())))
    });
    let options = package::Options {
        evidence: evidence.clone(),
        docs: args.docs.clone(),
        code: args.code.clone(),
        policy,
        pdf: args.pdf,
        place: place.clone(),
    };
    Ok(PackagePlan { options, archive, name, style: Style { color: color(args.color, true) } })
}

/// The arguments of recorded commands, as a shell takes them: the SOURCEs by their last component with what else chooses the
/// data, and what chooses the metrics.
fn words(common: &Common, args: &CollectArgs) -> evidence::Words {
    let mut words: Vec<String> = Vec::new();
    for source in &common.sources {
        let whole = source.canonicalize().unwrap_or_else(|_| source.clone());
        let name = whole.file_name().map_or_else(|| ".".into(), |n| n.to_string_lossy().into_owned());
        words.push(if name.starts_with('-') { format!("./{name}") } else { name });
    }
    let (given, dumps) = (&args.common, &args.common.dumps);
    if common.merge {
        words.push("--merge".to_owned());
    }
    let root = given.root.as_ref().map(|root| root.to_string_lossy().into_owned());
    option(&mut words, "--root", &root);
    option(&mut words, "--min-block-duration", &given.min_block_duration);
    option(&mut words, "--time-from", &dumps.time_from);
    dumps.labels.iter().for_each(|label| option(&mut words, "--label", &Some(label.clone())));
    dumps.label_from_path.iter().for_each(|regex| option(&mut words, "--label-from-path", &Some(regex.clone())));
    if dumps.assume_up {
        words.push("--assume-up".to_owned());
    }
    option(&mut words, "--include", &dumps.include);
    option(&mut words, "--dump-interval", &dumps.dump_interval);
    let answers = dumps.answers.to_possible_value().filter(|_| dumps.answers != AnswersArg::Auto);
    option(&mut words, "--answers", &answers.map(|a| a.get_name().to_owned()));
    let (mut requests, mut metrics) = (Vec::new(), Vec::new());
    let by = Some(args.requests.by.join(",")).filter(|by| by != "status");
    for (flag, value) in [
        ("--total", &args.requests.total),
        ("--good", &args.requests.good),
        ("--bad", &args.requests.bad),
        ("--by", &by),
        ("--health", &args.requests.health),
        ("--latency", &args.requests.latency),
    ] {
        option(&mut requests, flag, value);
    }
    option(&mut metrics, "--switches", &args.metrics.switches);
    option(&mut metrics, "--version-info", &args.metrics.version_info);
    let mut spacing = Vec::new();
    option(&mut spacing, "--scrape-interval", &args.scrape_interval);
    let quoted = |words: &[String]| words.iter().map(|w| evidence::shell_word(w)).collect::<Vec<_>>().join(" ");
    evidence::Words {
        source: quoted(&words),
        requests: quoted(&requests),
        switches: quoted(&metrics),
        spacing: quoted(&spacing),
    }
}

/// Adds an option where it was given.
fn option(words: &mut Vec<String>, flag: &str, value: &Option<String>) {
    match value {
        None => {}
        // What looks like an option is no value by itself.
        Some(value) if value.starts_with('-') => words.push(format!("{flag}={value}")),
        Some(value) => words.extend([flag.to_owned(), value.clone()]),
    }
}

/// `I/N`: part I of N, from 0.
fn shard(text: &str) -> Result<(u32, u32)> {
    let parsed = text.split_once('/').and_then(|(i, n)| Some((i.parse::<u32>().ok()?, n.parse::<u32>().ok()?)));
    parsed.filter(|(i, n)| i < n && *n <= 99_999).ok_or_else(|| {
        Error::usage(format!("--shard {}: I/N with I from 0 to N-1 is expected", crate::labels::printable(text)))
            .hint("for three parts write 0/3, 1/3 and 2/3")
    })
}

/// The times of samples that a command takes, both ends included.
pub fn sample_interval(common: &Common, start: Option<&str>, end: Option<&str>) -> Result<Interval> {
    let start = common.time("--start", start)?.unwrap_or(i64::MIN);
    let end = common.time("--end", end)?.unwrap_or(i64::MAX);
    if start > end {
        return Err(Error::usage("--start must not be after --end"));
    }
    Ok(Interval::new(start, end))
}

/// What `promproof synth` means.
#[derive(Debug)]
pub struct SynthPlan {
    pub spec: Spec,
    /// Whether each block is told.
    pub progress: bool,
}

/// Settles what `promproof synth` makes.
pub fn synth(args: &SynthArgs) -> Result<SynthPlan> {
    set_threads(args.threads)?;
    let note = |line: &str| {
        if !args.quiet {
            note(line);
        }
    };
    let spec = Spec {
        seed: args.seed,
        end_ms: time("--end", &args.end, note)?,
        days: args.days,
        interval_ms: parse_duration(&args.interval)?,
        series: args.series,
        replicas: args.replicas,
        churn_ratio: ratio("--churn", &args.churn)?,
    };
    let progress = !args.quiet
        && match args.progress {
            ProgressMode::Plain => true,
            ProgressMode::Never => false,
            ProgressMode::Auto => std::io::stderr().is_terminal(),
        };
    Ok(SynthPlan { spec, progress })
}
