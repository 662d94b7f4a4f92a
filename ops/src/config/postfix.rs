//! `[postfix]`: the policy service, its keys and the types that only they have.
//!
//! In go its values; out come the plain types that the service takes. What the values owe to each other and to the rest of the
//! file is said here, too: a server that reports by its log must not report here, or each message would count twice.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use helostat_server::postfix::Endpoint;
use helostat_zones::observation::ReporterKind;
use helostat_zones::postfix::Action;
use ipnet::IpNet;
use toml::Spanned;
use toml::de::DeValue;

use super::check::{collide, disagree, seen};
use super::domain::DomainName;
use super::place::ConfigError;
use super::read::Given;
use super::section::Preset::Is;
use super::section::{Section, section};
use super::settings::Transport;
use super::size::Size;
use super::value::Rule::{Between, Free, Lasting, NotEmpty, Sized, Word};
use super::value::{Choice, Flaw, Reading, Rule, Value, read_text};
use super::{Config, JOURNAL, LOG, POSTFIX, SYSLOG, ZoneKind};

/// The longest name of a header: RFC 5322 has no limit, but a line with something in it must fit.
const HEADER_MAX: usize = 64;
/// What socket files are allowed to be: read and write, for whomever.
const MODE_MAX: u32 = 0o777;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

section! {
    /// `[postfix]`: the policy service, which Postfix asks about each mail.
    Postfix in "postfix" {
        "listen" listen: Vec<Endpoint> = Is("[]"), Free, Restart,
            "Where Postfix asks, over TCP or at a file; empty is nowhere, and nothing else here matters.";
        "socket-mode" socket_mode: Mode = Is(r#""0660""#), Free, Restart,
            "The permissions of unix sockets; their group is that of a folder with the set-group-ID bit.";
        "allow" allow: Vec<IpNet> = Is(r#"["127.0.0.0/8", "::1/128"]"#), NotEmpty, Restart,
            "Who may ask over TCP: your own mail servers, for whose questions names are looked up.";
        "trusted" trusted: Action = Is(r#""prepend""#), Free, Reload,
            "What is done with mail of a trusted pair: nothing, a header, a line in Postfix's log, a refusal.";
        "known" known: Action = Is(r#""prepend""#), Free, Reload,
            "What is done with mail of a known pair.";
        "new" new: Action = Is(r#""prepend""#), Free, Reload,
            "What is done with mail of a new pair.";
        "suspect" suspect: Action = Is(r#""prepend""#), Free, Reload,
            "What is done with mail of a suspect pair.";
        "listed" listed: Action = Is(r#""warn""#), Free, Reload,
            "What is done with mail of a listed pair.";
        "header" header: HeaderName = Is(r#""X-Helostat""#), Free, Reload,
            "The header of prepend; a message may bring one of the same name along, so only the first in it is ours.";
        "authserv-id" authserv_id: Option<DomainName> = Is(r#""""#), Free, Reload,
            "Who says it in an Authentication-Results field with dnswl= (RFC 8904), which then takes the header's place.";
        "reporter" reporter: Option<String> = Is(r#""""#), Word, Restart,
            "The name of the mail server that asks, if what it asks shall be learned; only where its log is not read.";
        "reporter-kind" reporter_kind: ReporterKind = Is(r#""mx""#), Free, Restart,
            "What mail it sees, as for a log.";
        "connections" connections: u32 = Is("1000"), Between(1, 65_536), Restart,
            "Connections open at once, at most; Postfix has one for each SMTP session.";
        "request-length" request_length: Size = Is(r#""64kB""#), Sized(Size(1000), Size(1_000_000)), Restart,
            "The longest request; a connection that sends a longer one is closed.";
        "stall" stall: Duration = Is(r#""10s""#), Lasting(Duration::from_millis(100), seconds(600)), Restart,
            "A connection on which a request does not end, or an answer is not taken, within this time is closed.";
        "idle" idle: Duration = Is(r#""30m""#), Lasting(seconds(1), seconds(86_400)), Restart,
            "A connection that is silent between requests for this long is closed; longer than Postfix keeps one (1000 s).";
        "answer" answer: Duration = Is(r#""1s""#), Lasting(Duration::from_millis(10), seconds(60)), Restart,
            "A verdict that takes longer is none, and the answer dunno; less than Postfix waits.";
        "queue" queue: u32 = Is("10000"), Between(1, 1_000_000), Restart,
            "What may wait to be learned, in observations; beyond it what is asked is answered and not learned.";
    }
}

impl Value for Endpoint {
    const SAMPLE: &'static str =
        "\"127.0.0.1:10040\" or \"unix:/var/spool/postfix/helostat/policy\"";

    fn kind(_: Rule) -> String {
        "an address with a port, or unix: and a path".into()
    }

    fn read(found: &Spanned<DeValue<'_>>, reading: &Reading<'_>) -> Result<Self, Vec<Flaw>> {
        read_text(found, reading.rule, |text| {
            let Some(path) = text.strip_prefix("unix:") else {
                // As Postfix itself writes it.
                let address = text.strip_prefix("inet:").unwrap_or(text);
                return address.parse().map(Self::Tcp).map_err(|_| String::new());
            };
            // What the kernel has room for, with a NUL behind it.
            const LONGEST: usize = 107;
            let path = match path {
                "" => return Err("the path is empty".into()),
                path if path.contains('\0') => return Err("no path holds a NUL".into()),
                path => reading.folder.join(Path::new(path)),
            };
            if path.as_os_str().len() > LONGEST {
                return Err(format!("a socket's path has at most {LONGEST} octets"));
            }
            Ok(Self::Unix(path))
        })
    }

    fn write(&self) -> toml::Value {
        self.to_string().into()
    }
}

/// Permissions of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode(pub u32);

impl Value for Mode {
    const SAMPLE: &'static str = "\"0660\"";

    fn kind(_: Rule) -> String {
        "permissions in octal digits".into()
    }

    fn read(found: &Spanned<DeValue<'_>>, reading: &Reading<'_>) -> Result<Self, Vec<Flaw>> {
        read_text(found, reading.rule, |text| {
            let is_octal = text.bytes().all(|byte| byte.is_ascii_digit()) && text.len() <= 4;
            let mode = u32::from_str_radix(text, 8).ok().filter(|_| is_octal);
            mode.filter(|mode| *mode <= MODE_MAX).map(Self).ok_or_else(String::new)
        })
    }

    fn write(&self) -> toml::Value {
        format!("{:04o}", self.0).into()
    }
}

/// The name of a header field (RFC 5322 section 3.6.8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderName(pub String);

impl Value for HeaderName {
    const SAMPLE: &'static str = "\"X-Helostat\"";

    fn kind(_: Rule) -> String {
        "the name of a header".into()
    }

    fn read(found: &Spanned<DeValue<'_>>, reading: &Reading<'_>) -> Result<Self, Vec<Flaw>> {
        read_text(found, reading.rule, |text| {
            if text.is_empty() || text.len() > HEADER_MAX {
                return Err(format!("it has 1 to {HEADER_MAX} characters"));
            }
            if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':') {
                return Err("it has only printable ASCII, no blanks and no colon".into());
            }
            if text.eq_ignore_ascii_case("Authentication-Results") {
                return Err(
                    "this field has a form of its own: name yourself in `authserv-id`".into()
                );
            }
            Ok(Self(text.into()))
        })
    }

    fn write(&self) -> toml::Value {
        self.0.as_str().into()
    }
}

impl Choice for Action {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("dunno", Self::Dunno),
        ("prepend", Self::Prepend),
        ("warn", Self::Warn),
        ("defer_if_permit", Self::DeferIfPermit),
        ("reject", Self::Reject),
    ];
}

impl Postfix {
    fn tcp(&self) -> impl Iterator<Item = SocketAddr> {
        self.listen.iter().filter_map(|endpoint| match endpoint {
            Endpoint::Tcp(address) => Some(*address),
            Endpoint::Unix(_) => None,
        })
    }
}

/// Where its values and those of other sections cannot both hold.
pub(super) fn disagreements(config: &Config, given: &Given, found: &mut Vec<ConfigError>) {
    let Postfix { reporter, authserv_id, .. } = &config.postfix;
    sockets(config, given, found);
    if let Some(name) = reporter.as_deref().filter(|_| given.is_sound(POSTFIX, 0, "reporter"))
        && let Some((section, number)) = reports(config, name)
    {
        let there = seen(given.place(section, number, "reporter"));
        let sentence = format!(
            "the log of \"{name}\" is read already{there}: each message would count twice; leave `reporter` of [postfix] empty, or take the log out"
        );
        disagree(given.exact(POSTFIX, 0, "reporter"), sentence, found);
    }
    let is_told = authserv_id.is_some() && given.is_sound(POSTFIX, 0, "authserv-id");
    if is_told && !config.zones.iter().any(|zone| zone.kinds.contains(&ZoneKind::Wl)) {
        let sentence = "`authserv-id` of [postfix] tells what the zone wl says, and no [[zone]] has wl among its `kinds`";
        disagree(given.exact(POSTFIX, 0, "authserv-id"), sentence.into(), found);
    }
}

/// Where a reporter of this name is read otherwise.
fn reports(config: &Config, name: &str) -> Option<(&'static str, usize)> {
    let log = config.logs.iter().position(|log| log.reporter == name);
    let syslog = config.syslog.iter().position(|syslog| {
        syslog.reporters.values().chain(&syslog.reporter).any(|reporter| reporter == name)
    });
    let journal = config.journals.iter().position(|journal| journal.reporter == name);
    let log = log.map(|number| (LOG, number));
    let syslog = syslog.map(|number| (SYSLOG, number));
    log.or(syslog).or_else(|| journal.map(|number| (JOURNAL, number)))
}

fn sockets(config: &Config, given: &Given, found: &mut Vec<ConfigError>) {
    if !given.is_sound(POSTFIX, 0, "listen") {
        return;
    }
    let mut taken: Vec<(&str, SocketAddr)> = Vec::new();
    if given.is_sound("dns", 0, "listen") {
        taken.extend(config.dns.listen.iter().map(|dns| ("[dns]", *dns)));
    }
    if given.is_sound("http", 0, "listen") {
        taken.extend(config.http.listen.map(|http| ("[http]", http)));
    }
    for (number, syslog) in config.syslog.iter().enumerate() {
        let sound = |key| given.is_sound(SYSLOG, number, key);
        if sound("listen") && sound("transports") && syslog.transports.contains(&Transport::Tcp) {
            taken.extend(syslog.listen.iter().map(|socket| ("[[syslog]]", *socket)));
        }
    }
    let clash = config.postfix.tcp().find_map(|own| {
        taken.iter().find(|(_, other)| collide(own, *other)).map(|other| (own, other))
    });
    if let Some((own, (whose, other))) = clash {
        let sentence =
            format!("[postfix] and {whose} cannot both listen on TCP: {own} and {other}");
        disagree(given.place(POSTFIX, 0, "listen"), sentence, found);
    }
}

/// Sentences on what is allowed but seldom meant.
pub(super) fn warnings(postfix: &Postfix, found: &mut Vec<String>) {
    if postfix.listen.is_empty() {
        if *postfix != Postfix::initial() {
            found.push("[postfix] has no `listen`: nobody can ask there".into());
        }
        return;
    }
    for (key, action) in [("trusted", postfix.trusted), ("known", postfix.known)] {
        if action.refuses() {
            found.push(format!(
                "`{key}` in [postfix] is \"{}\": mail of senders that stand is refused",
                action.word()
            ));
        }
    }
    let local = postfix.allow.iter().all(|net| net.addr().is_loopback());
    let open = postfix.tcp().find(|socket| !socket.ip().to_canonical().is_loopback());
    if let Some(open) = open.filter(|_| local) {
        found.push(format!(
            "[postfix] listens on {open}, but its `allow` names only this machine: nobody else may ask"
        ));
    }
}
