//! One question to the recursive resolvers. This file and `wire` are the only ones that know hickory's types.
//!
//! In goes a name and a type, out comes an [`Answer`]; every failure is a value. Truncated answers
//! are asked again over TCP; a question without a good answer is sent again, to the next resolver if there
//! are several. Who answered last is asked first.
//!
//! Every message sent is paid for before it is sent ([`Toll`]): so the messages are sent by `wire`, one by one,
//! and hickory-resolver only reads the system's configuration. Its resolver and its server pool send again and
//! ask several servers at their own discretion, answer `localhost` and `invalid` by themselves, consult
//! `/etc/hosts`, take the target of an SRV record for the end of an alias chain, and do not say where a chain
//! ended or what DNSSEC says of an absence. Here the chain is followed by hand.
//!
//! Not done: DNSSEC validation. The resolver's AD bit is asked for (RFC 6840 section 5.7) and passed on;
//! it is worth as much as the path to that resolver.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use helostat_zones::evidence::lookup::{ALIAS_LINKS_MAX, Absent, Age, Denial, Found};
use helostat_zones::evidence::{
    Answer, DnsName, Failure, Holds, Publishing, RecordData, RecordType,
};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData};
use hickory_resolver::config::ProtocolConfig;
use hickory_resolver::system_conf::read_system_conf;
use tokio::time::timeout;

use super::config::{LiveConfig, LiveError};
use super::wire::{self, Question};

/// How often a question is sent at least, and at most, before there is no good answer.
const TRIES: std::ops::RangeInclusive<usize> = 2..=3;

/// What a message costs.
pub(super) trait Toll {
    /// Pays for a message about `name`, before it is sent; `first` is true for the first of a question. A
    /// failure says that it must not be sent.
    fn pay(&self, name: &DnsName, first: bool) -> Result<(), Failure>;
}

/// The recursive resolvers.
pub(super) struct Resolvers {
    servers: Vec<SocketAddr>,
    /// Which of them gave the last good answer.
    preferred: AtomicUsize,
    timeout: Duration,
    aliases: usize,
    holds: Holds,
}

impl Resolvers {
    /// Gets ready to ask the servers of the configuration, or those of the system if there are none. Opens no
    /// socket.
    pub(super) fn new(config: &LiveConfig) -> Result<Self, LiveError> {
        let servers = match config.resolvers.as_slice() {
            [] => of_the_system()?,
            named => named.to_vec(),
        };
        let preferred = AtomicUsize::new(0);
        let (timeout, aliases, holds) = (config.question_timeout, config.aliases, config.holds);
        Ok(Self { servers, preferred, timeout, aliases, holds })
    }

    /// Asks one question; takes at most the time limit.
    pub(super) async fn ask<T: Toll + Sync>(
        &self,
        name: &DnsName,
        kind: RecordType,
        publishing: Publishing,
        toll: &T,
    ) -> Answer {
        match timeout(self.timeout, self.follow(name, kind, publishing, toll)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(failure)) => Answer::Failed(failure),
            Err(_) => Answer::Failed(Failure::Timeout),
        }
    }

    /// Follows the aliases, within replies and from reply to reply.
    async fn follow<T: Toll + Sync>(
        &self,
        name: &DnsName,
        kind: RecordType,
        publishing: Publishing,
        toll: &T,
    ) -> Result<Answer, Failure> {
        let mut way = Way::from(name, self.aliases);
        let mut first = true;
        loop {
            let reply = self.exchange(&way.owner, kind, first, toll).await?;
            first = false;
            if let Some(answer) = way.follow(reply, kind, publishing, &self.holds)? {
                return Ok(answer);
            }
        }
    }

    /// One question to one resolver after the other, until one gives a good answer.
    async fn exchange<T: Toll + Sync>(
        &self,
        name: &DnsName,
        kind: RecordType,
        first: bool,
        toll: &T,
    ) -> Result<Reply, Failure> {
        let count = self.servers.len();
        let tries = count.clamp(*TRIES.start(), *TRIES.end());
        let patience = self.timeout / u32::try_from(tries).unwrap_or(1);
        let preferred = self.preferred.load(Ordering::Relaxed);
        let mut failed = Failure::Unreachable;
        for attempt in 0..tries {
            let at = (preferred + attempt) % count.max(1);
            let Some(&server) = self.servers.get(at) else { break };
            toll.pay(name, first && attempt == 0)?;
            match self.exchange_with(server, name, kind, patience, toll).await {
                Ok(reply) => {
                    if attempt > 0 {
                        self.preferred.store(at, Ordering::Relaxed);
                    }
                    return Ok(reply);
                }
                Err(Failure::Budget) => return Err(Failure::Budget),
                // That it failed is this resolver's answer; another may know better.
                Err(failure) if count == 1 && failure != Failure::Timeout => return Err(failure),
                Err(failure) => failed = failure,
            }
        }
        Err(failed)
    }

    async fn exchange_with<T: Toll>(
        &self,
        server: SocketAddr,
        name: &DnsName,
        kind: RecordType,
        patience: Duration,
        toll: &T,
    ) -> Result<Reply, Failure> {
        let question = Question::new(name, kind)?;
        let reply = timeout(patience, wire::over_udp(server, &question)).await;
        let reply = reply.map_err(|_| Failure::Timeout)??;
        if !reply.metadata.truncation {
            return Reply::of_message(&reply);
        }
        toll.pay(name, false)?;
        // Seldom needed, so not part of every question's future.
        let reply = Box::pin(timeout(self.timeout, wire::over_tcp(server, &question))).await;
        match reply {
            Ok(Ok(reply)) if !reply.metadata.truncation => Reply::of_message(&reply),
            Ok(Err(Failure::Malformed)) => Err(Failure::Malformed),
            _ => Err(Failure::Truncated),
        }
    }
}

/// What one message makes of a question, whatever its identifier: for tests that have octets and no network.
/// `None` if it is no reply to the question, or an alias that leads out of it.
#[doc(hidden)]
pub fn read_reply(name: &DnsName, kind: RecordType, octets: &[u8]) -> Option<Answer> {
    let read = || {
        let question = Question::new(name, kind)?.guessed_by(octets);
        let Some(message) = question.reply_in(&mut octets.to_vec())? else { return Ok(None) };
        if message.metadata.truncation {
            return Err(Failure::Truncated);
        }
        let reply = Reply::of_message(&message)?;
        let mut way = Way::from(name, ALIAS_LINKS_MAX);
        way.follow(reply, kind, Publishing::Common, &Holds::default())
    };
    read().unwrap_or_else(|failure| Some(Answer::Failed(failure)))
}

/// How far the aliases have led, and what the replies on the way allow.
struct Way {
    owner: DnsName,
    /// How many more are followed.
    links_left: usize,
    ttl: u32,
    secure: bool,
}

impl Way {
    fn from(name: &DnsName, links_left: usize) -> Self {
        Self { owner: name.clone(), links_left, ttl: u32::MAX, secure: true }
    }

    /// Follows the aliases within a reply; `None` if its end is to be asked for.
    fn follow(
        &mut self,
        reply: Reply,
        kind: RecordType,
        publishing: Publishing,
        holds: &Holds,
    ) -> Result<Option<Answer>, Failure> {
        self.secure &= reply.secure;
        let asked = self.owner.clone();
        while let Some((target, ttl)) = reply.alias(&self.owner) {
            self.links_left = self.links_left.checked_sub(1).ok_or(Failure::AliasLoop)?;
            self.owner = target.clone();
            self.ttl = self.ttl.min(ttl);
        }
        let (owner, secure, age) = (self.owner.clone(), self.secure, Age::Fresh);
        let (records, ttl) = reply.records(&owner, kind);
        if !records.is_empty() {
            let ttl = holds.positive(self.ttl.min(ttl));
            return Ok(Some(Answer::Found(Found { owner, records, ttl, secure, age })));
        }
        // An alias that leads out of the reply: the reply says nothing about its target yet.
        if owner != asked && reply.denial == Denial::NoData && reply.zone.is_none() {
            return Ok(None);
        }
        let negative = reply.negative_ttl.map(|own| own.min(self.ttl));
        let ttl = holds.negative(negative, publishing);
        let Reply { zone, denial, .. } = reply;
        Ok(Some(Answer::Absent(Absent { owner, zone, denial, ttl, secure, age })))
    }
}

/// The resolvers of `/etc/resolv.conf`.
fn of_the_system() -> Result<Vec<SocketAddr>, LiveError> {
    let (config, _) =
        read_system_conf().map_err(|error| LiveError::SystemResolvers(error.to_string()))?;
    let mut servers = Vec::new();
    for server in config.into_parts().2 {
        let udp = |protocol: &ProtocolConfig| matches!(protocol, ProtocolConfig::Udp);
        let ports = server.connections.iter().filter(|connection| udp(&connection.protocol));
        servers.extend(ports.map(|connection| SocketAddr::new(server.ip, connection.port)));
    }
    match servers.is_empty() {
        true => Err(LiveError::SystemResolvers("it names no server".to_owned())),
        false => Ok(servers),
    }
}

/// What one message said, in our own words.
struct Reply {
    aliases: Vec<(DnsName, DnsName, u32)>,
    records: Vec<(DnsName, RecordData, u32)>,
    denial: Denial,
    zone: Option<DnsName>,
    negative_ttl: Option<u32>,
    secure: bool,
}

impl Reply {
    fn of_message(message: &Message) -> Result<Self, Failure> {
        let denial = match message.metadata.response_code {
            ResponseCode::NoError => Denial::NoData,
            ResponseCode::NXDomain => Denial::NxDomain,
            _ => return Err(Failure::Servfail),
        };
        let mut reply = Self {
            aliases: Vec::new(),
            records: Vec::new(),
            denial,
            zone: None,
            negative_ttl: None,
            secure: message.metadata.authentic_data,
        };
        for record in &message.answers {
            let Some(owner) = our_name(&record.name) else {
                continue;
            };
            if let RData::CNAME(target) = &record.data {
                if let Some(target) = our_name(&target.0) {
                    reply.aliases.push((owner, target, record.ttl));
                }
            } else if let Some(data) = our_data(&record.data) {
                reply.records.push((owner, data, record.ttl));
            } else if let RData::Update0(_) = record.data {
                // No data where its type has some: passed over, it would look as if nothing were published.
                return Err(Failure::Malformed);
            }
        }
        let mut referral = false;
        for record in &message.authorities {
            if let RData::SOA(soa) = &record.data {
                reply.zone = our_name(&record.name);
                reply.negative_ttl = Some(record.ttl.min(soa.minimum));
            }
            referral |= matches!(record.data, RData::NS(_));
        }
        // Name servers in place of an SOA: a referral, from something that does not recurse.
        if referral && reply.zone.is_none() && message.answers.is_empty() {
            return Err(Failure::Servfail);
        }
        Ok(reply)
    }

    fn alias(&self, owner: &DnsName) -> Option<(&DnsName, u32)> {
        let alias = self.aliases.iter().find(|(from, ..)| from == owner);
        alias.map(|(_, target, ttl)| (target, *ttl))
    }

    fn records(&self, owner: &DnsName, kind: RecordType) -> (Vec<RecordData>, u32) {
        let mut ttl = u32::MAX;
        let mut records = Vec::new();
        for (at, data, record_ttl) in &self.records {
            if at == owner && data.kind() == kind {
                ttl = ttl.min(*record_ttl);
                records.push(data.clone());
            }
        }
        (records, ttl)
    }
}

fn our_name(name: &Name) -> Option<DnsName> {
    DnsName::from_labels(name.iter())
}

/// The data, or `None` if it is of another type or breaks its type's form.
fn our_data(data: &RData) -> Option<RecordData> {
    Some(match data {
        RData::A(ip) => RecordData::A(ip.0),
        RData::AAAA(ip) => RecordData::Aaaa(ip.0),
        RData::PTR(name) => RecordData::Ptr(our_name(&name.0)?),
        RData::MX(mx) => {
            RecordData::Mx { preference: mx.preference, exchange: our_name(&mx.exchange)? }
        }
        RData::TXT(txt) => RecordData::Txt(txt.txt_data.to_vec()),
        RData::SRV(srv) => RecordData::Srv {
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            target: our_name(&srv.target)?,
        },
        // hickory does not know these types: their octets are read here.
        RData::Unknown { code, rdata } if u16::from(*code) == RecordType::Apl.number() => {
            RecordData::Apl(rdata.anything.clone().into())
        }
        RData::Unknown { code, rdata } if u16::from(*code) == RecordType::Rp.number() => {
            let (mailbox, rest) = plain_name(&rdata.anything)?;
            let (text, rest) = plain_name(rest)?;
            rest.is_empty().then_some(RecordData::Rp { mailbox, text })?
        }
        RData::Unknown { code, rdata } if is_private(u16::from(*code)) => {
            RecordData::Private(u16::from(*code), rdata.anything.clone().into())
        }
        RData::Update0(code) if is_private(u16::from(*code)) => {
            RecordData::Private(u16::from(*code), Box::default())
        }
        // Data of no octets: for APL that is a valid, empty list.
        RData::Update0(code) if u16::from(*code) == RecordType::Apl.number() => {
            RecordData::Apl(Box::default())
        }
        _ => return None,
    })
}

/// The types of private use (RFC 6895 section 3.1).
fn is_private(number: u16) -> bool {
    (65_280..=65_534).contains(&number)
}

/// An uncompressed name at the front, and what follows it. Compression is left unread: pointers
/// lead out of the data.
fn plain_name(octets: &[u8]) -> Option<(DnsName, &[u8])> {
    let mut labels = Vec::new();
    let mut rest = octets;
    loop {
        let (&length, after) = rest.split_first()?;
        if length == 0 {
            return Some((DnsName::from_labels(labels)?, after));
        }
        let (label, after) = after.split_at_checked(usize::from(length))?;
        labels.push(label);
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn uncompressed_names_are_read() {
        let (name, rest) = plain_name(b"\x01a\x07example\x00rest").expect("a name");
        assert_eq!((name.to_string().as_str(), rest), ("a.example.", &b"rest"[..]));
        for octets in [&b""[..], b"\x01", b"\x05abc\x00", b"\xc0\x0c"] {
            assert!(plain_name(octets).is_none(), "{octets:?}");
        }
    }

    proptest! {
        #[test]
        fn no_octets_break_the_reader(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Some((_, rest)) = plain_name(&octets) {
                prop_assert!(rest.len() < octets.len());
            }
        }

        #[test]
        fn no_message_breaks_the_reader(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(message) = Message::from_vec(&octets)
                && let Ok(reply) = Reply::of_message(&message)
            {
                prop_assert!(reply.records.len() + reply.aliases.len() <= message.answers.len());
            }
        }
    }
}
