//! The command line: what can be typed, and what the help says of it.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use helostat_zones::export::Format;

use crate::config::typed::duration;

/// An authoritative DNS reputation server that learns from mail logs which hosts say which EHLO name.
#[derive(Debug, Parser)]
#[command(name = "helostat", version, about, max_term_width = 100)]
#[command(after_help = "Exit codes: 0 done, 1 failed, 2 wrong command line or configuration, \
    3 ledger in use or unusable, 4 address taken, 5 a log or dump cannot be read.")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Which configuration a command works with.
#[derive(Clone, Debug, Default, Args)]
pub struct ConfigArgs {
    /// The configuration file [default: /etc/helostat/helostat.toml]
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// The built-in example instead of a file: sample logs, ports 5300 (DNS) and 8053 (HTTP)
    #[arg(long, global = true, conflicts_with = "config")]
    pub example: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon: follow the logs, answer DNS and HTTP
    Run,
    /// Learn old logs: files, plain or packed (.gz, .xz, .zst), patterns, or - for standard input
    Learn(LearnArgs),
    /// Try before you enforce: play old mail, each message judged by what was known before it; keeps nothing
    Replay(ReplayArgs),
    /// Count what logs tell beside the ledger: --cbv, the callbacks by which a mail server verified senders
    Stats(StatisticsArgs),
    /// Say everything known of an address, and of a name it says in EHLO
    Explain(ExplainArgs),
    /// Ask a DNS question, like a small dig
    Ask(AskArgs),
    /// Write a zone as a file for rbldnsd, BIND, RPZ, Postfix or nftables, or as JSON, and keep it fresh
    Export(ExportArgs),
    /// Check the configuration: every error at once, with line and column
    Check(JsonArgs),
    /// Print the effective configuration
    Config(JsonArgs),
    /// Let somebody in, whatever was learned: a client, a network, a name, a domain
    Allow(DecideArgs),
    /// Keep somebody out, whatever was learned: a client, a network, a name, a domain
    Deny(DecideArgs),
    /// List whom you allow and deny, or take one of these back
    Decisions(DecisionsArgs),
    /// End a zone in order: it lists nobody any more, and says so; without a zone, list those that ended
    Retire(RetireArgs),
    /// Say whether new listings are held back by a guard, and why; or let them go
    Publish(PublishArgs),
    /// Run under a mail server, so that it logs the names that clients say
    #[command(subcommand)]
    Filter(FilterCommand),
    /// Look into the ledger
    #[command(subcommand)]
    Ledger(LedgerCommand),
}

/// `helostat filter ...`.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum FilterCommand {
    /// A report filter for smtpd.conf: filter "helostat" proc-exec "/usr/bin/helostat filter opensmtpd"
    Opensmtpd,
}

/// Output as JSON.
#[derive(Clone, Copy, Debug, Args)]
pub struct JsonArgs {
    /// Print JSON instead of words
    #[arg(long)]
    pub json: bool,
}

/// `helostat learn`.
#[derive(Debug, Args)]
pub struct LearnArgs {
    /// The logs, in any order; - is standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Which program wrote them: auto finds out line by line; postfix, exim, sendmail and others
    #[arg(long, default_value = "auto")]
    pub format: String,
    /// Whose observations they are
    #[arg(long, default_value = "local")]
    pub reporter: String,
    /// What sort of mail the reporter sees: mx, trap, unfiltered (takes everything), submission
    #[arg(long, default_value = "mx")]
    pub reporter_kind: String,
    /// Time zone of stamps that do not say theirs, such as Europe/Berlin [default: this machine's]
    #[arg(long)]
    pub time_zone: Option<String>,
    /// Print the observations as JSON lines to standard output and touch no ledger
    #[arg(long)]
    pub to_json: bool,
    /// Show up to N lines of each kind that was not understood or could be read in two ways
    #[arg(long, value_name = "N")]
    pub unparsed: Option<usize>,
    /// Print the summary as JSON
    #[arg(long, conflicts_with = "to_json")]
    pub json: bool,
}

/// `helostat replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Logs and tables of observations (CSV), plain or packed, patterns, in any order; - is standard input
    #[arg(required = true, value_name = "LOG")]
    pub files: Vec<PathBuf>,
    /// Which program wrote them: auto finds out line by line; postfix, exim, sendmail and others
    #[arg(long, default_value = "auto")]
    pub format: String,
    /// Whose observations they are, where the lines do not say
    #[arg(long, default_value = "local")]
    pub reporter: String,
    /// What sort of mail a site sees: mx (the default), trap, unfiltered, submission; without SITE= for all others
    #[arg(long, value_name = "[SITE=]KIND")]
    pub reporter_kind: Vec<String>,
    /// Time zone of stamps that do not say theirs, such as Europe/Berlin [default: this machine's]
    #[arg(long)]
    pub time_zone: Option<String>,
    /// Learn the first days, and leave them out of every figure
    #[arg(long, value_name = "DAYS", default_value_t = 0)]
    pub warm: u32,
    /// Judge by the numbers of this file instead of the configuration's; given twice, compare two
    #[arg(long, value_name = "FILE")]
    pub policy: Vec<PathBuf>,
    /// Write one line per message (CSV: seq, score, class, confidence, reason and more); - is standard output
    #[arg(long, value_name = "FILE")]
    pub per_message: Option<PathBuf>,
    /// With each message also what was measured of it: one more column for each key of points
    #[arg(long, requires = "per_message")]
    pub measures: bool,
    /// Write the report as one page with plots
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Keep what was learned as a ledger in a new folder
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// Show up to N lines of each kind that was not understood or could be read in two ways
    #[arg(long, value_name = "N")]
    pub unparsed: Option<usize>,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
}

/// `helostat stats`.
#[derive(Debug, Args)]
pub struct StatisticsArgs {
    /// Callback verification by month: calls, skips, and how each call ended; nobody is called for it
    #[arg(long)]
    pub cbv: bool,
    /// The logs, plain or packed, patterns, or - for standard input (default: the logs of the configuration)
    #[arg(value_name = "LOG")]
    pub logs: Vec<PathBuf>,
    /// Time zone of the months, and of stamps that do not say theirs, such as Europe/Berlin [default: this machine's]
    #[arg(long)]
    pub time_zone: Option<String>,
    /// Print JSON instead of words
    #[arg(long)]
    pub json: bool,
}

/// `helostat explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The client's address
    pub ip: IpAddr,
    /// The name it says in EHLO
    // Clients say all sorts of things, also with a hyphen in front; two of them are a mistyped option.
    #[arg(allow_hyphen_values = true, value_parser = said)]
    pub name: Option<String>,
    /// Print JSON instead of words
    #[arg(long)]
    pub json: bool,
}

/// `helostat allow` and `helostat deny`.
#[derive(Debug, Args)]
pub struct DecideArgs {
    /// An address, a network (192.0.2.0/24), a name as it is said in EHLO, or a domain as '*.example.com'
    pub subject: String,
    /// Why: it is shown with every verdict that comes of it
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Who decides [default: who calls this, through sudo or not]
    #[arg(long, value_name = "NAME")]
    pub author: Option<String>,
    /// How long it holds, such as 2h or 30d [default: for ever]
    #[arg(long = "for", value_name = "DURATION")]
    pub lasting: Option<String>,
    /// The day (in UTC) through which it holds, or a time such as 2026-12-31T18:00:00Z
    #[arg(long, value_name = "DATE", conflicts_with = "lasting")]
    pub until: Option<String>,
}

/// `helostat retire`.
#[derive(Debug, Args)]
pub struct RetireArgs {
    /// The zone: one kind (bl.rep.example.net), an origin with all its kinds, or one of your own lists
    pub zone: Option<String>,
    /// What its TXT says beside, such as what to ask instead
    #[arg(long, value_name = "TEXT", requires = "zone", conflicts_with = "undo")]
    pub say: Option<String>,
    /// Take it back: the zone answers again as before
    #[arg(long, requires = "zone")]
    pub undo: bool,
    /// Print JSON instead of words
    #[arg(long, conflicts_with = "zone")]
    pub json: bool,
}

/// `helostat publish`.
#[derive(Clone, Copy, Debug, Args)]
pub struct PublishArgs {
    /// Let go what is held back, and hold nothing back for ten minutes
    #[arg(long)]
    pub force: bool,
    /// Print JSON instead of words
    #[arg(long)]
    pub json: bool,
}

/// `helostat decisions`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct DecisionsArgs {
    /// What to do with one of them.
    #[command(subcommand)]
    pub command: Option<DecisionsCommand>,
    /// Those whose time is over, which hold no more
    #[arg(long)]
    pub expired: bool,
    /// Print JSON instead of words
    #[arg(long)]
    pub json: bool,
}

/// `helostat decisions ...`.
#[derive(Debug, Subcommand)]
pub enum DecisionsCommand {
    /// Take back what `allow` or `deny` wrote
    Remove(RemoveArgs),
}

/// `helostat decisions remove`.
#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// An address, a network, a name, or a domain as '*.example.com', as it is listed
    pub subject: String,
}

/// `helostat ask`.
#[derive(Debug, Args)]
pub struct AskArgs {
    /// The question's name, such as 7.2.0.192.bl.rep.test
    pub question: String,
    /// The record type
    #[arg(default_value = "A")]
    pub rtype: String,
    /// The server, ADDRESS:PORT [default: the first dns.listen of the configuration]
    #[arg(long)]
    pub server: Option<std::net::SocketAddr>,
    /// Print JSON instead of words
    #[arg(long)]
    pub json: bool,
}

/// `helostat export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The zone, such as bl.rep.example.net, or only its kind where there is one of that kind
    pub zone: String,
    /// What is to read it
    #[arg(long, value_name = "FORMAT", value_parser = format, help = "What is to read it: rbldnsd, bind (NSD and Knot, too), rpz, postfix-cidr, nftables, json")]
    pub format: Format,
    /// The file, replaced as a whole, and only if something in it changed [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Stay, and write the file again when something changed
    #[arg(long, requires = "output")]
    pub watch: bool,
    /// How often it is written at most, by --watch or by a timer of yours; no TTL in the file is longer
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = interval)]
    pub interval: Duration,
    /// Print the summary as JSON
    #[arg(long, requires = "output")]
    pub json: bool,
}

/// `helostat ledger ...`.
#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// Write the whole content as sorted JSON lines: the same content gives the same bytes
    Dump(DumpArgs),
    /// Count what is held, what was forgotten, and what each reporter told
    Stats(StatsArgs),
    /// Take dumps in, plain or packed, or - for standard input; the same content is taken in once
    Load(LoadArgs),
    /// Add what another ledger knows: a snapshot, a dump, or the folder of a ledger that nobody has open
    Merge(MergeArgs),
    /// Forget what was learned of somebody; who goes on sending is learned anew
    Forget(ForgetArgs),
    /// Write a copy into a folder, in one file, while the daemon runs or not
    Snapshot(SnapshotArgs),
    /// Read all of the ledger, or of a snapshot, and tell what is damaged; changes nothing
    Verify(VerifyArgs),
    /// Set a damaged ledger aside and rebuild it from its newest whole snapshot
    Repair(JsonArgs),
}

/// `helostat ledger dump`.
#[derive(Clone, Copy, Debug, Args)]
pub struct DumpArgs {
    /// Also say how far each log was read
    #[arg(long)]
    pub positions: bool,
}

/// `helostat ledger load`.
#[derive(Debug, Args)]
pub struct LoadArgs {
    /// The dumps; - is standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Print the summary as JSON
    #[arg(long)]
    pub json: bool,
}

/// `helostat ledger stats`.
#[derive(Clone, Copy, Debug, Args)]
pub struct StatsArgs {
    /// Also name this many clients, names and networks of which most is held
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub top: Option<u16>,
    /// Print JSON instead of words
    #[arg(long)]
    pub json: bool,
}

/// `helostat ledger merge`.
#[derive(Debug, Args)]
pub struct MergeArgs {
    /// A snapshot, a dump (- is standard input), or the folder of a ledger
    #[arg(value_name = "OTHER")]
    pub other: PathBuf,
    /// Print the summary as JSON
    #[arg(long)]
    pub json: bool,
}

/// `helostat ledger snapshot`.
#[derive(Debug, Args)]
pub struct SnapshotArgs {
    /// The folder; it is made if it is not there
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// Print JSON instead of words
    #[arg(long)]
    pub json: bool,
}

/// `helostat ledger verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// A snapshot [default: the ledger itself, whose daemon must be stopped]
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Print JSON instead of words
    #[arg(long)]
    pub json: bool,
}

/// `helostat ledger forget`.
#[derive(Debug, Args)]
pub struct ForgetArgs {
    /// An address, an IPv4 /24 or IPv6 /48, a name, or a family as '*.example.com'
    #[arg(required = true, value_name = "IP|NETWORK|NAME|FAMILY")]
    pub whom: Vec<String>,
    /// Only count what would be forgotten
    #[arg(long)]
    pub dry_run: bool,
    /// Print JSON instead of words
    #[arg(long)]
    pub json: bool,
}

/// What a client said, unless it is an option with a mistake in it.
fn said(text: &str) -> Result<String, String> {
    match text.strip_prefix("--") {
        Some(_) => {
            Err("there is no such option; for a name like that write -- before it".to_owned())
        }
        None => Ok(text.to_owned()),
    }
}

/// A format of exports.
fn format(text: &str) -> Result<Format, String> {
    Format::parse(text).ok_or_else(|| {
        let words: Vec<_> = Format::ALL.into_iter().map(Format::word).collect();
        format!("it is one of {}", words.join(", "))
    })
}

/// A time of at least a second.
fn interval(text: &str) -> Result<Duration, String> {
    duration(text).filter(|span| *span >= Duration::from_secs(1)).ok_or_else(|| {
        "write a number with its unit, at least a second, such as 30s or 5m".to_owned()
    })
}
