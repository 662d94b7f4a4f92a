//! From the configuration to what each crate is told: the only place that knows both shapes.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use helostat_ingest::learner::{Learning, PLAUSIBLE_PAST};
use helostat_ingest::ours::Ours;
use helostat_ingest::pipeline::{Batching, Followed, InUse};
use helostat_ingest::reader::FormatChoice;
use helostat_ingest::source::{journal, syslog};
use helostat_server::catalog::ConfigError;
use helostat_server::config::{DnsConfig, Limits, NameServer, Retired, ZoneConfig};
use helostat_server::guard::GuardConfig;
use helostat_server::list::{DatasetConfig, List, ListConfig};
use helostat_server::live::LiveConfig;
use helostat_zones::answer::Caps;
use helostat_zones::evidence::{DnsName, Holds, Options, System};
use helostat_zones::key::Kind;
use helostat_zones::ledger::{Bounds, hash_of_text};
use helostat_zones::observation::ReporterKind;
use helostat_zones::policy::{Points, Policy};
use helostat_zones::weights::Weights;
use jiff::tz::TimeZone;

use crate::config::{
    self, Config, Dataset, Ended, Evidence, Journal, Log, Size, Syslog, Transport, Zone, ZoneKind,
};

/// The most the ledger may hold.
pub fn bounds(config: &Config) -> Bounds {
    let ledger = &config.ledger;
    let key = ledger.key.as_str();
    Bounds {
        memory: ledger.memory.0,
        keep_days: u32::try_from(ledger.keep.as_secs() / 86_400).unwrap_or(u32::MAX),
        pairs_per_client: ledger.pairs_per_client as usize,
        clients_per_name: ledger.clients_per_name as usize,
        key: if key.is_empty() { 0 } else { hash_of_text(key) },
    }
}

/// What the DNS side is told.
pub fn dns(config: &Config) -> DnsConfig {
    let everybody = DnsConfig::default().allow;
    DnsConfig {
        listen: config.dns.listen.clone(),
        threads: config.dns.thread_count(),
        zones: config.zones.iter().map(zone).collect(),
        // They are kept over a reload: see `lists`.
        lists: Vec::new(),
        retired: config.ended.iter().map(retired).collect(),
        allow: if config.dns.allow.is_empty() { everybody } else { config.dns.allow.clone() },
        trusted: config.live.trust.clone(),
        nsid: config.dns.nsid.clone(),
        limits: Limits {
            waiting: config.dns.pending as usize,
            answers_per_network: config.dns.answers_per_network,
            slip: config.dns.slip,
            tcp_connections: config.dns.tcp_connections as usize,
            tcp_idle: config.dns.tcp_idle,
            ..Limits::default()
        },
    }
}

/// What a zone says of its end: one text of TXT, with the longest `text` too.
fn retired(ended: &Ended) -> Retired {
    let Ended { zone, since, text, .. } = ended;
    let since = since.map_or_else(String::new, |since| format!(" on {}", since.date()));
    let mut notice = format!(
        "This zone ended{since} and lists nobody any more: please take it out of your configuration."
    );
    if !text.is_empty() {
        notice.push(' ');
        notice.push_str(text);
    }
    Retired { zone: zone.to_string(), notice }
}

fn zone(zone: &Zone) -> ZoneConfig {
    ZoneConfig {
        origin: zone.origin.to_string(),
        kinds: zone.kinds.iter().map(|kind| self::kind(*kind)).collect(),
        name_servers: zone
            .ns
            .iter()
            .map(|name| NameServer { name: name.to_string(), addresses: zone.ns_address.clone() })
            .collect(),
        rname: Some(zone.contact.to_string()),
        allow: zone.allow.clone(),
        dry_run: zone.dry_run.iter().map(|kind| self::kind(*kind)).collect(),
        caps: caps(zone),
    }
}

/// What limits the answers of a zone.
pub fn caps(zone: &Zone) -> Caps {
    let seconds = |span: std::time::Duration| u32::try_from(span.as_secs()).unwrap_or(u32::MAX);
    Caps {
        positive_ttl: seconds(zone.ttl),
        negative_ttl: seconds(zone.negative_ttl),
        page: zone.page.clone(),
    }
}

/// The limits of the guards.
pub fn guard(config: &Config) -> GuardConfig {
    let guard = &config.guard;
    GuardConfig {
        enabled: guard.enabled,
        stale_after: guard.stale_after,
        give_up_after: guard.give_up_after,
        window: guard.window,
        new_listings: guard.new_listings as usize,
        new_percent: guard.new_percent as usize,
        canaries: guard.canaries as usize,
        never_list: guard.never_list.clone(),
    }
}

/// The operator's lists, without content.
///
/// # Errors
///
/// A name that is no domain name.
pub fn lists(config: &Config) -> Result<Vec<Arc<List>>, ConfigError> {
    let seconds = |span: std::time::Duration| u32::try_from(span.as_secs()).unwrap_or(u32::MAX);
    let list = |list: &config::List| {
        let dataset =
            |data: &Dataset| DatasetConfig { format: data.format, files: data.files.clone() };
        let list = List::new(ListConfig {
            zone: list.origin.to_string(),
            datasets: list.data.iter().map(dataset).collect(),
            name_servers: list.ns.iter().map(ToString::to_string).collect(),
            allow: list.allow.clone(),
            rname: list.contact.to_string(),
            ttl: seconds(list.ttl),
            negative_ttl: seconds(list.negative_ttl),
            decides: list.decides,
        });
        list.map(Arc::new)
    };
    config.lists.iter().map(list).collect()
}

fn kind(kind: ZoneKind) -> Kind {
    match kind {
        ZoneKind::Bl => Kind::Bl,
        ZoneKind::Wl => Kind::Wl,
        ZoneKind::Score => Kind::Score,
        ZoneKind::Bits => Kind::Bits,
        ZoneKind::Ehlo => Kind::Ehlo,
        ZoneKind::Pair => Kind::Pair,
        ZoneKind::Fp => Kind::Fp,
        ZoneKind::Dna => Kind::Dna,
    }
}

/// What live look-ups are told.
pub fn live(config: &Config) -> LiveConfig {
    let on = |system: &System| config.evidence.of(*system).0;
    let half = config.live.cache.0 / 2;
    LiveConfig {
        enabled: config.live.enabled,
        resolvers: config.live.resolver.clone(),
        wait: config.live.wait,
        systems: System::ALL.into_iter().filter(on).collect(),
        options: Arc::new(options(&config.evidence)),
        holds: Holds { stale: config.live.stale, ..Holds::default() },
        question_timeout: config.live.timeout,
        limit: config.live.limit,
        aliases: config.live.aliases as usize,
        questions_per_client: config.live.questions_per_client,
        questions_per_domain: config.live.questions_per_domain,
        questions_per_asker: config.live.questions_per_asker,
        questions_per_second: config.live.questions_per_second,
        questions_at_once: config.live.concurrent as usize,
        clients_at_once: config.live.clients as usize,
        clients_ahead: config.live.ahead as usize,
        question_cache_bytes: half,
        finding_cache_bytes: half,
    }
}

/// What the systems are told.
fn options(evidence: &Evidence) -> Options {
    let mut options = Options::default();
    options.csa.parents = evidence.csa.parents as usize;
    options.csa.use_reverse = evidence.csa.use_reverse;
    let services = evidence.dna.services.iter();
    options.dna.services = services.filter_map(|name| DnsName::parse(name.as_str())).collect();
    options.rmx.private_type = u16::try_from(evidence.rmx.private_type).ok().filter(|it| *it > 0);
    options.rmx.split = evidence.rmx.split;
    options.mtamark.perm = evidence.mtamark.perm;
    options.mtamark.contact = evidence.mtamark.contact;
    options.reverse_mx.strict = evidence.reverse_mx.strict;
    options.reverse_mx.slash8 = evidence.reverse_mx.slash8;
    options.apl.chain = evidence.apl.chain;
    options.drip.parents = evidence.drip.parents as usize;
    options
}

/// What each system may add to a verdict.
fn weights(evidence: &Evidence) -> Weights {
    let mut weights = Weights::default();
    for system in System::ALL {
        weights.set(system, evidence.of(system).1);
    }
    weights
}

/// The numbers of the policy.
pub fn policy(config: &Config) -> Policy {
    let policy = &config.policy;
    Policy {
        established_messages: policy.established_messages,
        established_days: policy.established_days,
        established_age_days: policy.established_age_days,
        strong_messages: policy.strong_messages,
        strong_days: policy.strong_days,
        strong_age_days: policy.strong_age_days,
        reporter_messages: policy.reporter_messages,
        families_window_days: policy.families_window_days,
        many_families_v4: policy.many_families_v4,
        many_families_v6: policy.many_families_v6,
        watch_families: policy.watch_families,
        watch_window_days: policy.watch_window_days,
        crowded_families: policy.crowded_families,
        crowded_window_days: policy.crowded_window_days,
        crowded_reporters: policy.crowded_reporters,
        crowded_young_days: policy.crowded_young_days,
        crowd_firm_reporters: policy.crowd_firm_reporters,
        known_messages: policy.known_messages,
        known_span_days: policy.known_span_days,
        farm_days: policy.farm_days,
        farm_age_days: policy.farm_age_days,
        safe_reporters: policy.safe_reporters,
        trusted_reporters: policy.trusted_reporters,
        provider_clients: policy.provider_clients,
        forwarder_percent: policy.forwarder_percent,
        known_points: policy.known_points,
        trusted_points: policy.trusted_points,
        suspect_points: policy.suspect_points,
        listed_points: policy.listed_points,
        crowded_warm_up_days: policy.crowded_warm_up_days,
        name_many_networks: policy.name_many_networks,
        junk_messages: policy.junk_messages,
        junk_days: policy.junk_days,
        points: Points {
            points_days: policy.points_days,
            points_messages: policy.points_messages,
            points_age: policy.points_age,
            points_network_days: policy.points_network_days,
            points_reporters: policy.points_reporters,
            points_same_family: policy.points_same_family,
            points_crowd: policy.points_crowd,
            points_second_family: policy.points_second_family,
            points_name_networks: policy.points_name_networks,
            points_traps: policy.points_traps,
            points_trap_share: policy.points_trap_share,
            points_reverse_agrees: policy.points_reverse_agrees,
            points_reverse_named: policy.points_reverse_named,
            points_reverse_generic: policy.points_reverse_generic,
            points_generic_name: policy.points_generic_name,
            points_unknown_tld: policy.points_unknown_tld,
            points_single: policy.points_single,
            points_reserved: policy.points_reserved,
            points_own_literal: policy.points_own_literal,
            points_unusable: policy.points_unusable,
            points_refused: policy.points_refused,
        },
        weights: weights(&config.evidence),
    }
}

/// How batches are cut.
pub fn batching(config: &Config) -> Batching {
    Batching {
        interval: config.ledger.commit_interval,
        observations: u64::from(config.ingest.batch),
    }
}

/// By which signs our own answers are known in a log.
pub fn ours(config: &Config) -> Ours {
    let origins = config.zones.iter().map(|zone| zone.origin.as_str());
    Ours::new(origins, config.ingest.our_replies.iter().map(String::as_str))
}

/// Which program's lines a source holds, and whose they are.
pub struct Lines<'a> {
    /// The program's format.
    pub format: FormatChoice,
    /// Who saw what they tell.
    pub reporter: &'a str,
    /// What sort of mail it sees.
    pub reporter_kind: ReporterKind,
    /// The time zone of stamps that do not say theirs; this machine's if there is none.
    pub time_zone: Option<&'a str>,
}

/// What is learned from a source. Of what is not understood one line of a kind is shown.
pub fn learning(config: &Config, lines: &Lines<'_>) -> anyhow::Result<Learning> {
    Ok(Learning {
        logins: config.ingest.logins,
        samples: 1,
        format: lines.format,
        reporter: lines.reporter.into(),
        reporter_kind: lines.reporter_kind,
        zone: time_zone(lines.time_zone)?,
        own: config.ingest.own.clone(),
        ours: ours(config),
        future_tolerance: config.ledger.future_tolerance,
        earliest: PLAUSIBLE_PAST,
    })
}

/// What is to be followed.
pub enum Place {
    /// A log file.
    File(PathBuf),
    /// A journal.
    Journal(journal::Setting),
    /// What other hosts send.
    Syslog(syslog::Setting),
}

/// What to follow, each with a label of its own: the file's name, numbered where two share it.
pub fn followed(config: &Config) -> anyhow::Result<Vec<(Followed, Place)>> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut label = |name: String| {
        let count = seen.entry(name.clone()).or_default();
        *count += 1;
        if *count == 1 { name } else { format!("{name}#{count}") }
    };
    let in_use = InUse::default();
    let mut all = Vec::new();
    for log in &config.logs {
        let name = log.path.file_name().unwrap_or(log.path.as_os_str());
        let label = label(name.to_string_lossy().into_owned());
        let learning = learning(config, &lines_of_log(log))?;
        let followed =
            Followed { label, learning, batching: batching(config), in_use: in_use.clone() };
        all.push((followed, Place::File(log.path.clone())));
    }
    for entry in &config.syslog {
        let label = label("syslog-listener".to_owned());
        let learning = learning(config, &lines_of_syslog(entry))?;
        let followed =
            Followed { label, learning, batching: batching(config), in_use: in_use.clone() };
        all.push((followed, Place::Syslog(syslog_setting(entry))));
    }
    for entry in &config.journals {
        let label = label("journald".to_owned());
        let learning = learning(config, &lines_of_journal(entry))?;
        let followed =
            Followed { label, learning, batching: batching(config), in_use: in_use.clone() };
        all.push((followed, Place::Journal(journal_setting(entry))));
    }
    Ok(all)
}

fn lines_of_log(log: &Log) -> Lines<'_> {
    Lines {
        format: log.format,
        reporter: &log.reporter,
        reporter_kind: log.reporter_kind,
        time_zone: log.time_zone.as_deref(),
    }
}

fn lines_of_syslog(syslog: &Syslog) -> Lines<'_> {
    Lines {
        format: syslog.format,
        // Each sender has its own, which the listener knows.
        reporter: syslog.reporter.as_deref().unwrap_or("syslog"),
        reporter_kind: syslog.reporter_kind,
        time_zone: syslog.time_zone.as_deref(),
    }
}

fn lines_of_journal(journal: &Journal) -> Lines<'_> {
    Lines {
        format: journal.format,
        reporter: &journal.reporter,
        reporter_kind: journal.reporter_kind,
        time_zone: journal.time_zone.as_deref(),
    }
}

fn syslog_setting(syslog: &Syslog) -> syslog::Setting {
    let over = |transport| {
        let used = syslog.transports.contains(&transport);
        if used { syslog.listen.clone() } else { Vec::new() }
    };
    let octets = |size: Size| usize::try_from(size.0).unwrap_or(usize::MAX);
    syslog::Setting {
        name: syslog.listen.first().map_or_else(String::new, ToString::to_string),
        udp: over(Transport::Udp),
        tcp: over(Transport::Tcp),
        allow: syslog.allow.clone(),
        reporter: syslog.reporter.as_deref().map(Into::into),
        reporters: syslog
            .reporters
            .iter()
            .map(|(sender, reporter)| (*sender, reporter.as_str().into()))
            .collect(),
        connections: syslog.connections as usize,
        senders: syslog.senders as usize,
        idle: syslog.idle,
        stall: syslog.stall,
        longest: octets(syslog.message_length),
        queue_bytes: octets(syslog.queue),
    }
}

fn journal_setting(journal: &Journal) -> journal::Setting {
    let name = match &journal.directory {
        Some(directory) => format!("{}@{}", journal.reporter, directory.display()),
        None => journal.reporter.clone(),
    };
    journal::Setting {
        name,
        units: journal.units.clone(),
        identifiers: journal.identifiers.clone(),
        directory: journal.directory.clone(),
    }
}

/// The zone of this name, or the system's.
pub fn time_zone(name: Option<&str>) -> anyhow::Result<TimeZone> {
    match name {
        Some(name) => Ok(TimeZone::get(name)?),
        None => Ok(TimeZone::system()),
    }
}

#[cfg(test)]
mod tests {
    use helostat_zones::operator;
    use helostat_zones::time::Time;

    use super::*;

    #[test]
    fn a_notice_is_one_text() {
        let notice = |since, text: &str| {
            let zone = config::DomainName::parse("bl.rep.test").expect("a name");
            let place = operator::Place::default();
            retired(&Ended { zone, since, text: text.to_owned(), place }).notice
        };
        let plain =
            "This zone ended and lists nobody any more: please take it out of your configuration.";
        assert_eq!(notice(None, ""), plain);
        let longest = "x".repeat(120);
        let said = notice(Some(Time(1_795_184_855)), &longest);
        assert!(said.starts_with("This zone ended on 2026-11-20 and ") && said.ends_with(&longest));
        assert!(said.len() <= 255, "{}", said.len());
    }
}
