//! The sections of the file and all their keys, but for the numbers of [`super::policy`].
//!
//! Each key reads: "name" field: type = default, rule, when a change takes effect, meaning.
//! The rooms of the house get these plain values and never see the file.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::thread::available_parallelism;
use std::time::Duration;

use helostat_ingest::reader::FormatChoice;
use helostat_zones::observation::ReporterKind;
use helostat_zones::operator::Kind;
use ipnet::IpNet;

use super::dataset::Dataset;
use super::domain::DomainName;
use super::section::Preset::{Is, Needed};
use super::section::section;
use super::size::Size;
use super::value::Choice;
use super::value::Rule::{
    Between, Days, DefaultPort, Free, Lasting, LastingOrNever, Longest, NotEmpty, Reply, Seconds,
    Sized, Text, TimeZone, Unit, Url, Word,
};

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const MINUTE: Duration = seconds(60);
const DAY: Duration = seconds(86_400);

/// The longest origin: the longest question under it is an IPv6 address as 32 nibbles (63
/// characters), a dot, a kind of up to five letters and a dot, in the 253 characters of a name.
const ORIGIN_MAX: usize = 253 - 63 - 1 - 5 - 1;

section! {
    /// `[daemon]`: the program itself.
    Daemon in "daemon" {
        "log-level" log_level: LogLevel = Is(r#""info""#), Free, Reload,
            "How much the daemon tells of itself on its own log.";
    }
}

section! {
    /// `[ledger]`: the durable record of what was observed.
    Ledger in "ledger" {
        "path" path: PathBuf = Is(r#""/var/lib/helostat/ledger""#), Free, Restart,
            "The folder of the ledger; one running daemon owns it.";
        "commit-interval" commit_interval: Duration = Is(r#""100ms""#), Lasting(ms(1), seconds(10)), Restart,
            "How long observations may gather before they are written to disk together.";
        "future-tolerance" future_tolerance: Duration = Is(r#""1d""#), Lasting(ms(0), seconds(30 * 86_400)), Restart,
            "An observation that is later than now by more than this is set aside: some clock is wrong.";
        "memory" memory: Size = Is(r#""2GB""#), Sized(Size(16_000_000), Size(1_000_000_000_000)), Restart,
            "The most memory that the ledger's tables may take; beyond it what is worth least is forgotten.";
        "keep" keep: Duration = Is(r#""400d""#), Days(7, 36_500), Restart,
            "A pair not seen for so long is forgotten; only days on which anything was learned count.";
        "pairs-per-client" pairs_per_client: u32 = Is("1000"), Between(8, 10_000), Restart,
            "The most names that are kept of one client.";
        "clients-per-name" clients_per_name: u32 = Is("256"), Between(8, 10_000), Restart,
            "The most clients that are kept of one name.";
        "key" key: String = Is(r#""""#), Text(100), Restart,
            "Any text that outsiders do not know; it decides which of equals stay where there is no room for all.";
        "snapshot-interval" snapshot_interval: Duration = Is(r#""1d""#), LastingOrNever(seconds(600), seconds(365 * 86_400)), Restart,
            "How often a copy of the ledger is put into its folder `snapshots`.";
        "snapshots" snapshots: u32 = Is("2"), Between(1, 100), Restart,
            "How many of those copies are kept; older ones are removed.";
    }
}

section! {
    /// `[dns]`: the sockets that answer.
    Dns in "dns" {
        "listen" listen: Vec<SocketAddr> = Is(r#"["127.0.0.1:5300"]"#), NotEmpty, Restart,
            "Where questions come in, over UDP and TCP.";
        "threads" threads: u32 = Is("0"), Between(0, 256), Restart,
            "Threads that answer; 0 is one for each core.";
        "allow" allow: Vec<IpNet> = Is("[]"), Free, Reload,
            "Who may ask; empty is everybody.";
        "tcp-connections" tcp_connections: u32 = Is("256"), Between(1, 65_536), Restart,
            "TCP connections open at once, at most.";
        "tcp-idle" tcp_idle: Duration = Is(r#""10s""#), Lasting(ms(100), seconds(600)), Restart,
            "A TCP connection that is silent for this long is closed.";
        "answers-per-network" answers_per_network: u32 = Is("0"), Between(0, 10_000_000), Restart,
            "UDP answers of each sort that a network (/24, IPv6 /56) gets in a second; 0 is no limit.";
        "slip" slip: u32 = Is("2"), Between(0, 10), Restart,
            "Every so many of the answers beyond that limit is sent cut, so that honest askers come over TCP; 0 is none.";
        "nsid" nsid: String = Is(r#""""#), Text(64), Restart,
            "What this server is called where somebody asks for it (dig +nsid); \"\" says nothing.";
        "list-check" list_check: Duration = Is(r#""60s""#), LastingOrNever(seconds(1), DAY), Restart,
            "How often it is looked whether the files of lists have changed.";
        "pending" pending: u32 = Is("4096"), Between(1, 1_000_000), Restart,
            "Answers under way at once, at most.";
    }
}

impl Dns {
    /// How many threads answer: what the file says, or one for each core.
    pub fn thread_count(&self) -> usize {
        match usize::try_from(self.threads) {
            Ok(threads) if threads > 0 => threads,
            _ => available_parallelism().map_or(1, usize::from),
        }
    }
}

section! {
    /// `[http]`: health, metrics and explanations.
    Http in "http" {
        "listen" listen: Option<SocketAddr> = Is(r#""127.0.0.1:8053""#), Free, Restart,
            "Where the web page, the metrics and the command line reach the daemon; \"\" switches it off.";
    }
}

section! {
    /// `[live]`: what the DNS says now.
    Live in "live" {
        "enabled" enabled: bool = Is("true"), Free, Restart,
            "Look up what publishers say in the DNS; without it only history counts.";
        "resolver" resolver: Vec<SocketAddr> = Is("[]"), DefaultPort(53), Restart,
            "The resolvers to ask; empty is those of the system.";
        "wait" wait: Duration = Is(r#""400ms""#), Lasting(ms(0), seconds(10)), Reload,
            "How long an answer may wait for look-ups; they go on behind it.";
        "timeout" timeout: Duration = Is(r#""2s""#), Lasting(ms(10), MINUTE), Restart,
            "A question that takes longer than this, sent again or not, has failed.";
        "limit" limit: Duration = Is(r#""20s""#), Lasting(ms(10), seconds(600)), Restart,
            "What all questions about one client may take together.";
        "aliases" aliases: u32 = Is("8"), Between(0, 16), Restart,
            "The longest chain of aliases (CNAME) that is followed.";
        "trust" trust: Vec<IpNet> = Is(r#"["127.0.0.0/8", "::1/128"]"#), Free, Reload,
            "Whose questions may cause look-ups of the names in them: your own mail servers.";
        "questions-per-client" questions_per_client: u32 = Is("40"), Between(1, 1000), Restart,
            "The most DNS questions that judging one client may cost.";
        "questions-per-domain" questions_per_domain: u32 = Is("500"), Between(1, 1_000_000), Restart,
            "The most questions a second about one domain, or one network of addresses.";
        "questions-per-asker" questions_per_asker: u32 = Is("40000"), Between(1, 1_000_000), Restart,
            "The most questions a second that one who asks us can cause.";
        "questions-per-second" questions_per_second: u32 = Is("50000"), Between(1, 1_000_000), Restart,
            "The most questions a second in total.";
        "concurrent" concurrent: u32 = Is("1024"), Between(1, 65_536), Restart,
            "Questions under way at once, in total.";
        "clients" clients: u32 = Is("1024"), Between(2, 65_536), Restart,
            "Clients that are looked up at once, at most; half of them ahead of any question.";
        "ahead" ahead: u32 = Is("100000"), Between(0, 10_000_000), Restart,
            "New clients of the logs that may wait to be looked up before anybody asks.";
        "cache" cache: Size = Is(r#""128MB""#), Sized(Size(1_000_000), Size(1_000_000_000_000)), Restart,
            "Memory for what the DNS has said, roughly.";
        "stale" stale: Duration = Is(r#""1d""#), Lasting(ms(0), seconds(7 * 86_400)), Restart,
            "How long past its time an answer may stand in while the resolver fails.";
    }
}

section! {
    /// `[ingest]`: what becomes of the lines of the logs.
    Ingest in "ingest" {
        "own" own: Vec<IpNet> = Is("[]"), Free, Restart,
            "Clients that are your own relays and filters: nothing is learned of them.";
        "logins" logins: bool = Is("false"), Free, Restart,
            "Learn users who log in, and what comes in over submission services, as if they were servers.";
        "our-replies" our_replies: Vec<String> = Is("[]"), Reply, Restart,
            "Pieces of text by which a refusal is known as caused by our own answer, beside our own words.";
        "batch" batch: u32 = Is("10000"), Between(1, 100_000), Restart,
            "The most observations written to disk together.";
    }
}

section! {
    /// `[[zone]]`: an origin under which verdicts are published.
    Zone in "zone" {
        "origin" origin: DomainName = Needed(r#""rep.example.net""#), Longest(ORIGIN_MAX), Restart,
            "The domain under which the answers live, as in bl.rep.example.net.";
        "kinds" kinds: Vec<ZoneKind> = Is(r#"["bl", "wl", "score", "ehlo", "pair"]"#), NotEmpty, Restart,
            "The kinds of answers to publish.";
        "ns" ns: Vec<DomainName> = Is(r#"["ns.<origin>"]"#), NotEmpty, Restart,
            "The name servers that the zone names.";
        "ns-address" ns_address: Vec<IpAddr> = Is("[]"), Free, Restart,
            "The addresses of those name servers that lie in the zone itself.";
        "contact" contact: DomainName = Is(r#""hostmaster.<origin>""#), Free, Reload,
            "The mailbox of the zone's SOA, with a dot for its @.";
        "dry-run" dry_run: Vec<ZoneKind> = Is("[]"), Free, Reload,
            "Kinds that answer as if they were empty; what they would have said is counted.";
        "allow" allow: Vec<IpNet> = Is("[]"), Free, Reload,
            "Who may ask in this zone, instead of `dns.allow`; empty is as there.";
        "ttl" ttl: Duration = Is(r#""5m""#), Seconds(seconds(1), DAY), Reload,
            "The longest that an answer may be kept by who asked.";
        "negative-ttl" negative_ttl: Duration = Is(r#""60s""#), Seconds(seconds(1), DAY), Reload,
            "How long \"nothing known\" may be kept by who asked.";
        "page" page: Option<String> = Is(r#""""#), Url, Reload,
            "A web page named in TXT answers: what you tell people whose mail was refused.";
    }
}

section! {
    /// `[guard]`: what a fault of the data must not do to mail.
    Guard in "guard" {
        "enabled" enabled: bool = Is("true"), Free, Reload,
            "Hold new listings back while something is wrong with the data; the last good answers stay.";
        "stale-after" stale_after: Duration = Is(r#""3d""#), Lasting(seconds(3600), seconds(365 * 86_400)), Reload,
            "Nothing learned for so long is wrong: until something is, verdicts are those of that moment.";
        "give-up-after" give_up_after: Duration = Is(r#""30d""#), Lasting(seconds(3600), seconds(3650 * 86_400)), Reload,
            "After so long without anything learned time goes on: such data are nobody's last good ones.";
        "window" window: Duration = Is(r#""1h""#), Lasting(MINUTE, DAY), Reload,
            "The time in which new listings are counted.";
        "new-listings" new_listings: u32 = Is("1000"), Between(0, 100_000_000), Reload,
            "More clients than this newly listed within the window are wrong,";
        "new-percent" new_percent: u32 = Is("50"), Between(0, 10_000), Reload,
            "if they are also more than so many of each hundred that are listed.";
        "canaries" canaries: u32 = Is("20"), Between(0, 100_000_000), Reload,
            "More clients than this newly listed within a day whose mail was taken today or yesterday are wrong.";
        "never-list" never_list: Vec<IpNet> = Is("[]"), Free, Reload,
            "Networks of which nobody is ever listed; that somebody would be is wrong.";
    }
}

section! {
    /// `[[list]]`: a zone of the operator's own lists, in rbldnsd's formats.
    List in "list" {
        "origin" origin: DomainName = Needed(r#""dnsbl.example.net""#), Longest(ORIGIN_MAX), Restart,
            "The name of the zone: 192.0.2.7 is asked for as 7.2.0.192.dnsbl.example.net.";
        "data" data: Vec<Dataset> = Needed(r#"["ip4set:bad-clients"]"#), NotEmpty, Restart,
            "What it holds, told as to rbldnsd: a format, a colon, files. Several answer together.";
        "ns" ns: Vec<DomainName> = Is(r#"["ns.<origin>"]"#), NotEmpty, Restart,
            "The name servers that the zone names, if no file says $NS.";
        "contact" contact: DomainName = Is(r#""hostmaster.<origin>""#), Free, Restart,
            "The mailbox of the zone's SOA, with a dot for its @, if no file says $SOA.";
        "allow" allow: Vec<IpNet> = Is("[]"), Free, Restart,
            "Who may ask in this zone, instead of `dns.allow`; empty is as there.";
        "ttl" ttl: Duration = Is(r#""35m""#), Seconds(seconds(1), DAY), Restart,
            "How long an answer may be kept by who asked, if no file says $TTL.";
        "negative-ttl" negative_ttl: Duration = Is(r#""5m""#), Seconds(seconds(1), DAY), Restart,
            "How long \"not listed\" may be kept by who asked, if no file says $SOA.";
        "decides" decides: Option<Kind> = Is(r#""""#), Free, Restart,
            "Whoever it lists is allowed (\"allow\") or denied (\"deny\") in your own zones, too, as if you had decided it; \"\" is neither.";
    }
}

section! {
    /// `[[log]]`: a mail log to learn from.
    Log in "log" {
        "path" path: PathBuf = Needed(r#""/var/log/mail.log""#), Free, Restart,
            "The log file, or a pattern for all files of one log (`mainlog-*`); followed as it grows and is rotated.";
        "format" format: FormatChoice = Is(r#""auto""#), Free, Restart,
            "Which program writes it; auto finds out from the lines.";
        "reporter" reporter: String = Is(r#""local""#), Word, Restart,
            "The name of the mail server that reports; each server has its own.";
        "reporter-kind" reporter_kind: ReporterKind = Is(r#""mx""#), Free, Restart,
            "What mail it sees: mx for real recipients; trap, unfiltered (takes everything) and submission build no trust.";
        "time-zone" time_zone: Option<String> = Is(r#""""#), TimeZone, Restart,
            "The time zone of stamps that do not say; \"\" is that of the system.";
    }
}

section! {
    /// `[[syslog]]`: where other mail servers send their logs.
    Syslog in "syslog" {
        "listen" listen: Vec<SocketAddr> = Needed(r#"["127.0.0.1:5514"]"#), NotEmpty, Restart,
            "Where messages come in; open sessions are stored under the first of them.";
        "transports" transports: Vec<Transport> = Is(r#"["tcp", "udp"]"#), NotEmpty, Restart,
            "How they come; over udp messages can be lost and the sender's address forged.";
        "allow" allow: Vec<IpNet> = Is(r#"["127.0.0.0/8", "::1/128"]"#), NotEmpty, Restart,
            "Who may send; name your mail servers one by one.";
        "reporter" reporter: Option<String> = Is(r#""""#), Word, Restart,
            "The name of the mail server that reports, one for all senders; \"\" is each sender's address.";
        "reporters" reporters: BTreeMap<IpAddr, String> = Is("{}"), Word, Restart,
            "Names of the mail servers that report, by their addresses; who is not in it is `reporter`.";
        "reporter-kind" reporter_kind: ReporterKind = Is(r#""mx""#), Free, Restart,
            "What mail they see, as for a log.";
        "format" format: FormatChoice = Is(r#""auto""#), Free, Restart,
            "Which program writes it; auto finds out from the messages.";
        "time-zone" time_zone: Option<String> = Is(r#""""#), TimeZone, Restart,
            "The time zone of stamps that do not say; \"\" is that of the system.";
        "connections" connections: u32 = Is("64"), Between(1, 4096), Restart,
            "TCP connections open at once, at most.";
        "senders" senders: u32 = Is("256"), Between(1, 10_000), Restart,
            "Senders whose open sessions are kept, at most; one more, and those of who was silent for longest end.";
        "idle" idle: Duration = Is(r#""1d""#), Lasting(seconds(1), seconds(30 * 86_400)), Restart,
            "A TCP connection that is silent for this long is closed.";
        "stall" stall: Duration = Is(r#""30s""#), Lasting(ms(100), seconds(3600)), Restart,
            "A TCP connection that is silent for this long in the middle of a message is closed.";
        "message-length" message_length: Size = Is(r#""64kB""#), Sized(Size(1000), Size(65_000)), Restart,
            "The longest message; of a longer one only the beginning is looked at.";
        "queue" queue: Size = Is(r#""16MB""#), Sized(Size(1_000_000), Size(1_000_000_000)), Restart,
            "What may wait to be read; beyond it TCP senders wait, and what comes over UDP is dropped.";
    }
}

section! {
    /// `[[journal]]`: messages that journald keeps.
    Journal in "journal" {
        "reporter" reporter: String = Needed(r#""mx1""#), Word, Restart,
            "The name of the mail server that reports; it is stored under it how far the journal was read.";
        "units" units: Vec<String> = Is("[]"), Unit, Restart,
            "The units whose messages are read, also as patterns; empty is all.";
        "identifiers" identifiers: Vec<String> = Is("[]"), Unit, Restart,
            "The names under which programs log whose messages are read (no patterns); empty is all.";
        "directory" directory: Option<PathBuf> = Is(r#""""#), Free, Restart,
            "The folder of another journal; \"\" is that of the system.";
        "reporter-kind" reporter_kind: ReporterKind = Is(r#""mx""#), Free, Restart,
            "What mail it sees, as for a log.";
        "format" format: FormatChoice = Is(r#""auto""#), Free, Restart,
            "Which program writes it; auto finds out from the messages.";
        "time-zone" time_zone: Option<String> = Is(r#""""#), TimeZone, Restart,
            "The time zone of stamps that do not say; \"\" is that of the system.";
    }
}

/// How messages come from other hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// RFC 6587.
    Tcp,
    /// RFC 5426.
    Udp,
}

impl Choice for Transport {
    const WORDS: &'static [(&'static str, Self)] = &[("tcp", Self::Tcp), ("udp", Self::Udp)];
}

/// How much the daemon tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// What an operator must act upon.
    Error,
    /// And what went wrong and was mended.
    Warn,
    /// And the life of the process.
    Info,
    /// And rare details.
    Debug,
    /// And everything.
    Trace,
}

impl Choice for LogLevel {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
        ("trace", Self::Trace),
    ];
}

impl LogLevel {
    /// The word for it, as log filters read it.
    pub fn word(self) -> &'static str {
        word_of(self)
    }
}

/// A form in which verdicts are published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ZoneKind {
    /// Clients that are listed.
    Bl,
    /// Clients that are trusted.
    Wl,
    /// A number for each known client.
    Score,
    /// Signs for and against each known client, as bits.
    Bits,
    /// Names.
    Ehlo,
    /// Names with clients.
    Pair,
    /// Names with clients in forward order.
    Fp,
    /// Recommendations of names.
    Dna,
}

impl Choice for ZoneKind {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("bl", Self::Bl),
        ("wl", Self::Wl),
        ("score", Self::Score),
        ("bits", Self::Bits),
        ("ehlo", Self::Ehlo),
        ("pair", Self::Pair),
        ("fp", Self::Fp),
        ("dna", Self::Dna),
    ];
}

impl ZoneKind {
    /// The label under the origin.
    pub fn word(self) -> &'static str {
        word_of(self)
    }
}

impl Choice for FormatChoice {
    const WORDS: &'static [(&'static str, Self)] = &{
        use helostat_ingest::fate::Program::{
            Amavis, Csv, Exchange, Exim, HMailServer, Haraka, Json, MailEnable, OpenSmtpd, Postfix,
            PowerMta, Qmail, Rspamd, Sendmail, Stalwart,
        };
        [
            ("auto", Self::Auto),
            ("postfix", Self::Only(Postfix)),
            ("exim", Self::Only(Exim)),
            ("sendmail", Self::Only(Sendmail)),
            ("opensmtpd", Self::Only(OpenSmtpd)),
            ("haraka", Self::Only(Haraka)),
            ("rspamd", Self::Only(Rspamd)),
            ("stalwart", Self::Only(Stalwart)),
            ("exchange", Self::Only(Exchange)),
            ("hmailserver", Self::Only(HMailServer)),
            ("mailenable", Self::Only(MailEnable)),
            ("powermta", Self::Only(PowerMta)),
            ("qmail", Self::Only(Qmail)),
            ("amavis", Self::Only(Amavis)),
            ("json", Self::Only(Json)),
            ("csv", Self::Only(Csv)),
        ]
    };
}

impl Choice for Kind {
    const WORDS: &'static [(&'static str, Self)] = &[("allow", Self::Allow), ("deny", Self::Deny)];
}

impl Choice for ReporterKind {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("mx", Self::Mx),
        ("trap", Self::Trap),
        ("submission", Self::Submission),
        ("unfiltered", Self::Unfiltered),
    ];
}

fn word_of<T: Choice>(value: T) -> &'static str {
    T::WORDS.iter().find(|(_, known)| *known == value).map_or("", |&(word, _)| word)
}
