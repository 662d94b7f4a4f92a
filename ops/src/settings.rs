//! From the configuration to what each crate is told: the only place that knows both shapes.

use std::collections::HashMap;

use helostat_ingest::learner::{Learning, PLAUSIBLE_PAST};
use helostat_ingest::ours::Ours;
use helostat_ingest::pipeline::{Batching, Followed, InUse};
use helostat_server::config::{DnsConfig, Limits, NameServer, ZoneConfig};
use helostat_server::live::LiveConfig;
use helostat_zones::answer::Caps;
use helostat_zones::evidence::System;
use helostat_zones::key::Kind;
use helostat_zones::ledger::{Bounds, hash_of_text};
use helostat_zones::policy::Policy;
use jiff::tz::TimeZone;

use crate::config::{Config, Log, Zone, ZoneKind};

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
        allow: if config.dns.allow.is_empty() { everybody } else { config.dns.allow.clone() },
        trusted: config.live.trust.clone(),
        limits: Limits {
            waiting: config.dns.pending as usize,
            tcp_connections: config.dns.tcp_connections as usize,
            tcp_idle: config.dns.tcp_idle,
            ..Limits::default()
        },
    }
}

fn zone(zone: &Zone) -> ZoneConfig {
    let seconds = |span: std::time::Duration| u32::try_from(span.as_secs()).unwrap_or(u32::MAX);
    ZoneConfig {
        origin: zone.origin.to_string(),
        kinds: zone.kinds.iter().map(|kind| self::kind(*kind)).collect(),
        name_servers: zone
            .ns
            .iter()
            .map(|name| NameServer { name: name.to_string(), addresses: zone.ns_address.clone() })
            .collect(),
        rname: Some(zone.contact.to_string()),
        caps: Caps {
            positive_ttl: seconds(zone.ttl),
            negative_ttl: seconds(zone.negative_ttl),
            page: zone.page.clone(),
        },
    }
}

fn kind(kind: ZoneKind) -> Kind {
    match kind {
        ZoneKind::Bl => Kind::Bl,
        ZoneKind::Wl => Kind::Wl,
        ZoneKind::Score => Kind::Score,
        ZoneKind::Ehlo => Kind::Ehlo,
        ZoneKind::Pair => Kind::Pair,
    }
}

/// What live look-ups are told.
pub fn live(config: &Config) -> LiveConfig {
    let evidence = &config.evidence;
    let systems = [
        (System::Csa, evidence.csa.enabled),
        (System::Fcrdns, evidence.fcrdns.enabled),
        (System::Forward, evidence.ehlo_forward.enabled),
    ];
    LiveConfig {
        enabled: config.live.enabled,
        resolvers: config.live.resolver.clone(),
        wait: config.live.wait,
        systems: systems.into_iter().filter_map(|(system, on)| on.then_some(system)).collect(),
        question_timeout: config.live.timeout,
        questions_per_client: config.live.questions_per_client,
        questions_at_once: config.live.concurrent as usize,
        ..LiveConfig::default()
    }
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
        crowded_warm_up_days: policy.crowded_warm_up_days,
        name_many_networks: policy.name_many_networks,
        junk_messages: policy.junk_messages,
        junk_days: policy.junk_days,
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

/// What is learned from a log of the configuration.
pub fn learning(config: &Config, log: &Log) -> anyhow::Result<Learning> {
    Ok(Learning {
        logins: config.ingest.logins,
        samples: 1,
        format: log.format,
        reporter: log.reporter.as_str().into(),
        reporter_kind: log.reporter_kind,
        zone: time_zone(log.time_zone.as_deref())?,
        own: config.ingest.own.clone(),
        ours: ours(config),
        future_tolerance: config.ledger.future_tolerance,
        earliest: PLAUSIBLE_PAST,
    })
}

/// The logs to follow, each with a label of its own: the file's name, numbered where two share it.
pub fn followed(config: &Config) -> anyhow::Result<Vec<Followed>> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let in_use = InUse::default();
    config
        .logs
        .iter()
        .map(|log| {
            let name = log.path.file_name().unwrap_or(log.path.as_os_str());
            let name = name.to_string_lossy().into_owned();
            let count = seen.entry(name.clone()).or_default();
            *count += 1;
            let label = if *count == 1 { name } else { format!("{name}#{count}") };
            Ok(Followed {
                label,
                path: log.path.clone(),
                learning: learning(config, log)?,
                batching: batching(config),
                in_use: in_use.clone(),
            })
        })
        .collect()
}

/// The zone of this name, or the system's.
pub fn time_zone(name: Option<&str>) -> anyhow::Result<TimeZone> {
    match name {
        Some(name) => Ok(TimeZone::get(name)?),
        None => Ok(TimeZone::system()),
    }
}
