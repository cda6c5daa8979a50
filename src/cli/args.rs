//! The arguments as typed. Meaning, defaults and cross-checks are in `plan`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Reads what a Prometheus server left behind and proves what it says, offline.
#[derive(Debug, Parser)]
#[command(name = "promproof", version, arg_required_else_help = true, after_help = EXIT_STATUS)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_STATUS: &str =
    "Exit status: 0 yes; 1 no (requirement not met, a file is bad); 2 could not run; 3 ran, but the data cannot say.";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Availability of a service over a window, against a required percentage
    Availability(AvailabilityArgs),
    /// Model updates over a period, against a required number within one window
    ModelUpdates(ModelUpdatesArgs),
    /// What a SOURCE holds: blocks, series, samples, metrics, targets, damage
    Inspect(InspectArgs),
    /// Every checksum and every rule of every file, a verdict on each; exit status 1 if one is bad
    #[command(mut_arg("merge", |a| a.hide(true)), mut_arg("semantics", |a| a.hide(true)))]
    Check(CheckArgs),
    /// Raw samples of the series that a selector finds
    Dump(DumpArgs),
    /// A SOURCE as a Parquet dataset, for DuckDB, Polars, pyarrow, Spark, DataFusion and promproof itself
    #[command(mut_arg("output", |a| a
        .required(true)
        .value_name("DIR")
        .help("The folder of the dataset; it appears whole or not at all")))]
    #[command(mut_arg("force", |a| a.help("Let --output replace an existing dataset")))]
    Convert(ConvertArgs),
    /// The evidence folder: both availability windows, model updates, and what was saved before tear-down, checked
    #[command(mut_arg("output", |a| a
        .required(true)
        .value_name("DIR")
        .help("The folder of the evidence; it appears whole or not at all")))]
    #[command(mut_arg("force", |a| a.help("Let --output replace an existing evidence folder")))]
    Collect(CollectArgs),
    /// The package of deliverables: evidence, documents and code in one folder, with a checklist that is computed
    Package(PackageArgs),
    /// A made-up snapshot of any size, and beside it what really happened
    Synth(SynthArgs),
}

/// What every command takes.
#[derive(Debug, Args)]
pub struct CommonArgs {
    /// Snapshot directory, data directory, single block, dataset, text dumps, or a folder or archive (.tar, .tar.gz,
    /// .tar.zst, .zip) that holds one; each is one server
    #[arg(required = true, value_name = "SOURCE")]
    pub sources: Vec<PathBuf>,
    /// Whose rules to follow: auto, counted, or prometheus-MAJOR.MINOR, from 3.14 with +use-start-timestamps where it is on
    #[arg(long, value_name = "S", default_value = "auto")]
    pub semantics: String,
    /// The --storage.tsdb.min-block-duration that the server was started with, where that was not 2h (default: what its
    /// blocks show, else 2h); it decides who wins where late samples contradict others
    #[arg(long, value_name = "DUR")]
    pub min_block_duration: Option<String>,
    /// Read several SOURCEs as parts of one server
    #[arg(long)]
    pub merge: bool,
    /// The data below SOURCE to read, where there are several
    #[arg(long, value_name = "PATH")]
    pub root: Option<PathBuf>,
    /// Write to FILE instead of standard output, atomically; an existing file is kept
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Let --output replace an existing file
    #[arg(long, requires = "output")]
    pub force: bool,
    /// Threads to use (default: all cores); the answer is the same for any number
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Colours in text
    #[arg(long, value_enum, default_value_t = When::Auto, value_name = "WHEN")]
    pub color: When,
    /// Progress on standard error
    #[arg(long, value_enum, default_value_t = ProgressMode::Auto, value_name = "MODE")]
    pub progress: ProgressMode,
    /// No progress, no notes on standard error
    #[arg(long, short)]
    pub quiet: bool,
    /// Read files into memory instead of mapping them
    #[arg(long)]
    pub no_mmap: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub archives: ArchiveArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub dumps: DumpedArgs,
}

/// How text dumps are read.
#[derive(Debug, Args)]
pub struct DumpedArgs {
    /// What tells first when a dump was made: name, manifest, mtime, or a time for all (default: manifest.json beside
    /// it, then its name)
    #[arg(long, help_heading = "Text dumps", value_name = "RULE")]
    pub time_from: Option<String>,
    /// Add a label to the series of the dumps whose path matches, such as 'api-0/*:instance=api-0:8080'
    #[arg(long = "label", help_heading = "Text dumps", value_name = "GLOB:NAME=VALUE")]
    pub labels: Vec<String>,
    /// Add the named groups of a regular expression over paths as labels, such as '(?P<instance>[^/]+)/'
    #[arg(long, help_heading = "Text dumps", value_name = "REGEX")]
    pub label_from_path: Vec<String>,
    /// Add up = 1 at each dump: whoever made it reached the target
    #[arg(long, help_heading = "Text dumps")]
    pub assume_up: bool,
    /// Read only dumps whose path matches
    #[arg(long, help_heading = "Text dumps", value_name = "GLOB")]
    pub include: Option<String>,
    /// The spacing of dumps of one target, of which a quarter must lie between two (default: read off their times)
    #[arg(long, help_heading = "Text dumps", value_name = "DUR")]
    pub dump_interval: Option<String>,
    /// What saved answers of the query API hold
    #[arg(long, help_heading = "Text dumps", value_enum, default_value_t = AnswersArg::Auto, value_name = "KIND")]
    pub answers: AnswersArg,
}

/// Kinds of saved answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AnswersArg {
    /// Evaluations where all times are steps of one grid
    Auto,
    /// Raw samples, of a range selector
    Raw,
    /// Evaluations, each repeating a sample for up to 5 minutes
    Evaluated,
}

/// What an archive may cost.
#[derive(Debug, Args)]
pub struct ArchiveArgs {
    /// Where archives are unpacked, into a private folder that is removed at the end (default: where the system keeps
    /// temporary files)
    #[arg(long, help_heading = "Archives", value_name = "DIR")]
    pub temp_dir: Option<PathBuf>,
    /// Refuse an archive with more members and folders
    #[arg(long, help_heading = "Archives", value_name = "N", default_value_t = 200_000)]
    pub max_entries: u64,
    /// Refuse an archive that unpacks to more
    #[arg(long, help_heading = "Archives", value_name = "SIZE", default_value = "256GiB")]
    pub max_total_bytes: String,
    /// Refuse an archive that unpacks to more than N times its size (and to more than 256 MiB)
    #[arg(long, help_heading = "Archives", value_name = "N", default_value_t = 1000)]
    pub max_ratio: u64,
    /// Refuse a zstd window, which decoding holds in memory, of more
    #[arg(long, help_heading = "Archives", value_name = "SIZE", default_value = "128MiB")]
    pub max_zstd_window: String,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// How to show progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProgressMode {
    /// On a terminal a line per SOURCE where there are several, and a bar for a conversion; else a line every 30 s of a
    /// conversion
    Auto,
    /// Lines always
    Plain,
    /// Nothing
    Never,
}

/// Formats of reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// A report for people
    Text,
    /// A document for programs; several SOURCEs give one per line
    Json,
    /// One aligned row per SOURCE
    Table,
    /// One CSV row per SOURCE
    Csv,
}

/// Formats of an inventory and of verdicts on files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum InspectFormat {
    /// A report for people
    Text,
    /// A document for programs; several SOURCEs give one per line
    Json,
}

/// Two truths about the samples of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum View {
    /// What the restarted server answers
    Served,
    /// Every sample on disk: repeated, deleted, refused and orphaned ones, too
    Union,
}

/// Formats of raw samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DumpFormat {
    /// As `promtool tsdb dump` of 3.x prints: labels, value, milliseconds
    Promtool,
    /// series, timestamp_ms, value, value_bits, stale, start_ms, histogram; in the union view also origin, offset, state, reference
    Csv,
    /// One JSON object per sample
    Jsonl,
}

/// A window, three ways.
#[derive(Debug, Args)]
pub struct WindowArgs {
    /// Length of the window, such as 72h, 7d, 90m (default: 72h)
    #[arg(long, value_name = "DUR", conflicts_with = "hours")]
    pub window: Option<String>,
    /// Length of the window in hours
    #[arg(long, value_name = "N")]
    pub hours: Option<u32>,
    /// Start of the window: RFC 3339 (UTC without a zone) or Unix seconds
    #[arg(long, value_name = "T")]
    pub start: Option<String>,
    /// End of the window (default: --start plus its length; without it the newest sample of `up` or of the selected
    /// series)
    #[arg(long, value_name = "T")]
    pub end: Option<String>,
}

/// Which series are requests, and what else the service measures.
#[derive(Debug, Args)]
pub struct RequestArgs {
    /// All requests, as a PromQL selector of a counter (default: recommend_requests_total, good with status 200, errors
    /// with status 500)
    #[arg(long, value_name = "SEL")]
    pub total: Option<String>,
    /// Good requests; all others of --total are bad
    #[arg(long, value_name = "SEL", requires = "total", conflicts_with = "bad")]
    pub good: Option<String>,
    /// Bad requests; all others of --total are good
    #[arg(long, value_name = "SEL", requires = "total")]
    pub bad: Option<String>,
    /// Labels to group requests by
    #[arg(long, value_name = "LABEL,…", value_delimiter = ',', default_value = "status")]
    pub by: Vec<String>,
    /// The health gauge (default with the default --total: service_health_status)
    #[arg(long, value_name = "SEL")]
    pub health: Option<String>,
    /// Classic latency buckets (default with the default --total: recommend_latency_seconds_bucket)
    #[arg(long, value_name = "SEL")]
    pub latency: Option<String>,
}

/// Which series tell of model switches.
#[derive(Debug, Args)]
pub struct SwitchArgs {
    /// The switch counter (default: model_switches_total{status="success"})
    #[arg(long, value_name = "SEL")]
    pub switches: Option<String>,
    /// The info gauge of served versions (default: model_version_info)
    #[arg(long, value_name = "SEL")]
    pub version_info: Option<String>,
}

/// `promproof availability`.
#[derive(Debug, Args)]
pub struct AvailabilityArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub common: CommonArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub window: WindowArgs,
    /// Also evaluate the same window at earlier ends, this far apart
    #[arg(long, value_name = "STEP")]
    pub every: Option<String>,
    /// Required availability in percent
    #[arg(long, value_name = "PCT", default_value_t = 70.0)]
    pub required: f64,
    /// Whether gaps widen the bounds that decide, or are ignored as the live script did
    #[arg(long, value_enum, default_value_t = VerdictMode::Bounded)]
    pub verdict: VerdictMode,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub requests: RequestArgs,
    /// Verdict unknown below this coverage (0.95 or 95%)
    #[arg(long, value_name = "RATIO")]
    pub require_coverage: Option<String>,
    /// The expected spacing of scrapes (default: read off `up`)
    #[arg(long, value_name = "DUR")]
    pub scrape_interval: Option<String>,
    /// A row per series: what it is counted from, resets, births, increase
    #[arg(long)]
    pub explain: bool,
    /// SHA-256 of every file in JSON
    #[arg(long)]
    pub digests: bool,
    /// Format of the report
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    pub format: ReportFormat,
}

/// What the availability verdict weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum VerdictMode {
    /// Uncovered time counts once as failed, once as served
    Bounded,
    /// Gaps are ignored
    Observed,
}

/// `promproof model-updates`.
#[derive(Debug, Args)]
pub struct ModelUpdatesArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub common: CommonArgs,
    /// Start of the period (default: 7 days before its end)
    #[arg(long, value_name = "T")]
    pub start: Option<String>,
    /// End of the period (default: 7 days after --start; without it the newest sample of `up` or of the switch counter)
    #[arg(long, value_name = "T")]
    pub end: Option<String>,
    /// Length of the window that must hold enough updates
    #[arg(long, value_name = "DUR", default_value = "7d")]
    pub within: String,
    /// Required distinct updates within one window
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub minimum: usize,
    /// Switches of several replicas to one version this close together are one update
    #[arg(long, value_name = "DUR", default_value = "10m")]
    pub same_update: String,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub metrics: SwitchArgs,
    /// The expected spacing of scrapes (default: read off `up`)
    #[arg(long, value_name = "DUR")]
    pub scrape_interval: Option<String>,
    /// A row per counter
    #[arg(long)]
    pub explain: bool,
    /// SHA-256 of every file in JSON
    #[arg(long)]
    pub digests: bool,
    /// Format of the report
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    pub format: ReportFormat,
}

/// `promproof inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub common: CommonArgs,
    /// SHA-256 of every file in JSON
    #[arg(long)]
    pub digests: bool,
    /// Format of the inventory
    #[arg(long, value_enum, default_value_t = InspectFormat::Text)]
    pub format: InspectFormat,
}

/// `promproof check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub common: CommonArgs,
    /// List every file and every finding, however many
    #[arg(long)]
    pub all: bool,
    /// Format of the verdicts
    #[arg(long, value_enum, default_value_t = InspectFormat::Text)]
    pub format: InspectFormat,
}

/// `promproof convert`.
#[derive(Debug, Args)]
pub struct ConvertArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub common: CommonArgs,
    /// Series to convert, as a PromQL selector; may be repeated (default: all)
    #[arg(long = "match", value_name = "SEL")]
    pub matches: Vec<String>,
    /// First time to convert, included (default: the first)
    #[arg(long, value_name = "T")]
    pub start: Option<String>,
    /// Last time to convert, included (default: the last)
    #[arg(long, value_name = "T")]
    pub end: Option<String>,
    /// One value column, or integers over a power of ten beside it: less than half of the size
    #[arg(long, value_enum, default_value_t = LayoutArg::Simple)]
    pub layout: LayoutArg,
    /// Folders of samples: none, or one per day of UTC, which makes questions about a short time fast
    #[arg(long, value_enum, default_value_t = PartitionArg::None)]
    pub partition: PartitionArg,
    /// What a restarted server serves, or every sample on disk with its origin
    #[arg(long, value_enum, default_value_t = View::Served)]
    pub view: View,
    /// Convert part I of N, counted from 0, into DIR/shard-IIIII-of-NNNNN; all parts together are one SOURCE
    #[arg(long, value_name = "I/N")]
    pub shard: Option<String>,
    /// Memory to stay below
    #[arg(long, value_name = "SIZE", default_value = "512MiB")]
    pub memory_limit: String,
    /// Figures about the conversion on standard error at the end
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub stats: Option<StatsFormat>,
}

/// Layouts of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LayoutArg {
    /// All values in `value`
    Simple,
    /// In `value_int` and `div` where they give back the same bits
    Compact,
}

/// Folders of samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PartitionArg {
    /// No folders
    None,
    /// One per day of UTC
    Day,
}

/// Formats of the figures about a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StatsFormat {
    /// One JSON document
    Json,
}

/// `promproof collect`.
#[derive(Debug, Args)]
pub struct CollectArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub common: CommonArgs,
    /// The time of the submission: the windows are 72 hours before and 144 hours after it (default: they end at the
    /// newest sample)
    #[arg(long, value_name = "T")]
    pub submission: Option<String>,
    /// Saved responses of /healthz, /recommend, /trace, /rollout/status and /metrics
    #[arg(long, value_name = "DIR")]
    pub captures: Option<PathBuf>,
    /// The model registry: a folder per version with its meta.json
    #[arg(long, value_name = "DIR")]
    pub registry: Option<PathBuf>,
    /// The service's git repository, a work tree or a bare one
    #[arg(long, value_name = "DIR")]
    pub repo: Option<PathBuf>,
    /// Logs of the API and of Prometheus
    #[arg(long, value_name = "DIR")]
    pub logs: Option<PathBuf>,
    /// What was saved about containers, images and requirements
    #[arg(long, value_name = "DIR")]
    pub system: Option<PathBuf>,
    #[command(flatten, next_help_heading = "Metrics of another service")]
    #[allow(missing_docs)]
    pub requests: RequestArgs,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub metrics: SwitchArgs,
    /// The expected spacing of scrapes (default: read off `up`)
    #[arg(long, value_name = "DUR")]
    pub scrape_interval: Option<String>,
}

/// `promproof package`.
#[derive(Debug, Args)]
pub struct PackageArgs {
    /// The evidence, a folder that `promproof collect` wrote
    #[arg(long, value_name = "DIR", required_unless_present = "print_policy")]
    pub evidence: Option<PathBuf>,
    /// The folder of the package; it appears whole or not at all
    #[arg(long, short, value_name = "DIR", required_unless_present = "print_policy")]
    pub output: Option<PathBuf>,
    /// Where the documents are
    #[arg(long, value_name = "DIR")]
    pub docs: Option<PathBuf>,
    /// Where the code is
    #[arg(long, value_name = "DIR")]
    pub code: Option<PathBuf>,
    /// What is copied and what each deliverable has to show, in TOML (default: what --print-policy prints)
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Print the default policy, with comments, and do nothing else
    #[arg(long)]
    pub print_policy: bool,
    /// Also write report.pdf, the report on paper with the code samples (in builds with the feature pdf)
    #[arg(long)]
    pub pdf: bool,
    /// Also write the package as one file beside the folder, the same bytes for the same package
    #[arg(long, value_enum, value_name = "KIND")]
    pub archive: Option<ArchiveArg>,
    /// Let --output and --archive replace what this command wrote
    #[arg(long)]
    pub force: bool,
    /// Colours in text
    #[arg(long, value_enum, default_value_t = When::Auto, value_name = "WHEN")]
    pub color: When,
    /// No notes on standard error
    #[arg(long, short)]
    pub quiet: bool,
}

/// Kinds of archives that are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ArchiveArg {
    /// A zip
    Zip,
    /// A tar in zstd
    #[value(name = "tar.zst")]
    TarZst,
}

/// `promproof dump`.
#[derive(Debug, Args)]
pub struct DumpArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub common: CommonArgs,
    /// Series to print, as a PromQL selector; may be repeated
    #[arg(long = "match", value_name = "SEL", required = true)]
    pub matches: Vec<String>,
    /// First time to print, included
    #[arg(long, value_name = "T")]
    pub start: Option<String>,
    /// Last time to print, included
    #[arg(long, value_name = "T")]
    pub end: Option<String>,
    /// What a restarted server serves, or every sample on disk with its origin and what becomes of it
    #[arg(long, value_enum, default_value_t = View::Served)]
    pub view: View,
    /// Format of the samples
    #[arg(long, value_enum, default_value_t = DumpFormat::Promtool)]
    pub format: DumpFormat,
}

/// `promproof synth`.
#[derive(Debug, Args)]
pub struct SynthArgs {
    /// The folder to write: snapshot/ and truth.json in it
    #[arg(long, short, required = true, value_name = "DIR")]
    pub output: PathBuf,
    /// Let --output replace a folder that this command wrote
    #[arg(long)]
    pub force: bool,
    /// Length of the data in days
    #[arg(long, value_name = "N", default_value_t = 7)]
    pub days: u32,
    /// End of the data: RFC 3339 (UTC without a zone) or Unix seconds
    #[arg(long, value_name = "T", default_value = "2026-01-01T00:00:00Z")]
    pub end: String,
    /// Time between two scrapes of a target
    #[arg(long, value_name = "DUR", default_value = "15s")]
    pub interval: String,
    /// Series at any moment: 19 for each replica of the recommender, the rest of other services
    #[arg(long, value_name = "M", default_value_t = 1000)]
    pub series: usize,
    /// Replicas of the recommender
    #[arg(long, value_name = "R", default_value_t = 2)]
    pub replicas: usize,
    /// Share of the other services' series that is replaced each day (0.05 or 5%)
    #[arg(long, value_name = "P", default_value = "0")]
    pub churn: String,
    /// Everything random follows from it
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// Threads to use (default: all cores); the bytes are the same for any number
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// A line per block on standard error: auto on a terminal
    #[arg(long, value_enum, default_value_t = ProgressMode::Auto, value_name = "MODE")]
    pub progress: ProgressMode,
    /// No progress, no notes on standard error
    #[arg(long, short)]
    pub quiet: bool,
}
