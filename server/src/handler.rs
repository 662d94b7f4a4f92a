//! From a DNS request to its response.
//!
//! In go whole packets ([`Handler::respond`]) or hickory's `Request`s (its `RequestHandler`, for
//! other transports); out come responses. Nothing fails: what is wrong with a request is said in
//! the response, a fault of our own is SERVFAIL, and what must not be answered is counted.
//!
//! Rules:
//! - RFC 1035, RFC 6891: responses sent as questions are dropped, other opcodes NOTIMP, broken
//!   packets and any count of questions but one FORMERR, EDNS above version 0 BADVERS.
//! - RFC 8914: REFUSED says why (18 prohibited, 20 not authoritative).
//! - RFC 8482: ANY gets one RRset. RFC 9824: NXNAME as a question is FORMERR; other meta types are
//!   NOTIMP, transfers REFUSED.
//! - RFC 2308: a negative answer carries the SOA of the nearest zone, for no longer than it holds.
//! - RFC 8020: NXDOMAIN only where nothing lies below. In `pair` a client that is new may still
//!   bring a name that is known elsewhere, so names known to the whole ledger count there too.
//! - `whoami` and `_status` directly below every apex are ours: TXT on who asks, and on the data.
//! - RFC 6471 section 3.4: a zone that has ended lists nobody, not even its test points. It keeps SOA, NS, `whoami` and
//!   `_status`, and an origin the hosts of its name servers; TXT at the apex says that it has ended; nothing else exists,
//!   and that holds for long.
//! - Owner names are the question's own octets, so that 0x20 comes back as it came.

use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Guard};
use async_trait::async_trait;
use helostat_zones::answer::{Answer, Codes, Exists};
use helostat_zones::key::{Key, Kind};
use helostat_zones::lists::{self, ListAnswer, Wanted};
use helostat_zones::time::Time;
use hickory_proto::op::{Header, HeaderCounts, LowerQuery, Metadata, OpCode, ResponseCode};
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_proto::rr::rdata::{A, MX, TXT};
use hickory_proto::rr::{DNSClass, LowerName, Name, RData, Record, RecordType};
use hickory_server::net::runtime::{Time as Clock, TokioTime};
use hickory_server::net::xfer::Protocol;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;

use crate::access::Access;
use crate::catalog::{Authority, Catalog, ConfigError, Role, Zone};
use crate::config::DnsConfig;
use crate::cookie::{Cookies, Offered};
use crate::fast::{self, Fast, Texts};
use crate::judge::{Asker, Judge};
use crate::list::{Held, name_of};
use crate::metrics::Metrics;
use crate::wire::{self, ExtendedError, Outbox, Triage};

/// Extended errors (RFC 8914 section 4).
const PROHIBITED: u16 = 18;
const NOT_AUTHORITATIVE: u16 = 20;
const INVALID_QUERY_TYPE: u16 = 30;
/// The names by which a zone tells of itself.
const WHOAMI: &[u8] = b"whoami";
const STATUS: &[u8] = b"_status";
/// The pseudo-type NXNAME (RFC 9824 section 3.4).
const NXNAME: u16 = 128;

/// Answers questions about the zones of a catalog with the verdicts of a judge.
#[derive(Debug)]
pub struct Handler<J> {
    judge: Arc<J>,
    told: ArcSwap<Told>,
    cookies: Cookies,
    nsid: Box<[u8]>,
    metrics: Metrics,
    patience: Duration,
}

/// What the configuration says, swapped whole when it is read again.
#[derive(Debug)]
pub(crate) struct Told {
    catalog: Catalog,
    short: fast::Zones,
    access: Access,
}

impl Told {
    fn new(config: &DnsConfig) -> Result<Self, ConfigError> {
        let catalog = Catalog::new(&config.zones, &config.lists)?.without(&config.retired);
        let short = catalog.fast();
        Ok(Self { catalog, short, access: Access::new(&config.allow, &config.trusted) })
    }
}

impl<J: Judge> Handler<J> {
    /// From the configuration; fails if its zones are unsound.
    pub fn new(judge: Arc<J>, config: &DnsConfig, metrics: Metrics) -> Result<Self, ConfigError> {
        Ok(Self {
            judge,
            told: ArcSwap::from_pointee(Told::new(config)?),
            cookies: Cookies::draw().map_err(|error| ConfigError::Secret(error.to_string()))?,
            nsid: config.nsid.as_bytes().into(),
            metrics,
            patience: config.limits.answer,
        })
    }

    /// Answers by these zones and for these askers from now on; fails, and changes nothing, if the
    /// zones are unsound. Sockets and limits stay as they are.
    pub fn reload(&self, config: &DnsConfig) -> Result<(), ConfigError> {
        self.told.store(Arc::new(Told::new(config)?));
        Ok(())
    }

    /// The short way, by one configuration and at one moment.
    pub(crate) fn fast<'a>(&'a self, told: &'a Told, now: Time) -> Fast<'a, J> {
        let Told { short, access, .. } = told;
        let Self { judge, cookies, nsid, .. } = self;
        Fast { judge, zones: short, access, cookies, nsid, now }
    }

    /// What the configuration says now.
    pub(crate) fn told(&self) -> Guard<Arc<Told>> {
        self.told.load()
    }

    /// The moment.
    pub(crate) fn now(&self) -> Time {
        self.judge.now()
    }

    /// The counters, for the transports.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The whole response to a whole packet; `None` if it must not be answered.
    ///
    /// The future is ready at once unless the judge's is not.
    pub async fn respond(
        &self,
        packet: Vec<u8>,
        source: SocketAddr,
        protocol: Protocol,
    ) -> Option<Vec<u8>> {
        let start = Instant::now();
        let (header, if_broken) = match wire::triage(&packet) {
            Triage::Parse(header, if_broken) => (header, if_broken),
            Triage::Fail(header, code) => return Some(self.fail(&header, code, b"", start)),
            Triage::Drop(why) => {
                self.metrics.dropped(why);
                return None;
            }
        };
        let Some(request) = parse(packet, source, protocol) else {
            return Some(self.fail(&header, if_broken, b"", start));
        };
        let outbox = Outbox::new(&request);
        let answered = self.guarded(&request, &outbox).await;
        let response = outbox.take();
        if answered && !response.is_empty() {
            return Some(response);
        }
        Some(self.fail(&header, ResponseCode::ServFail, request.queries.as_bytes(), start))
    }

    /// A response without a zone's word in it.
    fn fail(
        &self,
        header: &wire::Header,
        code: ResponseCode,
        question: &[u8],
        start: Instant,
    ) -> Vec<u8> {
        self.metrics.answered("none", RecordType::ZERO, word(code), start.elapsed());
        wire::bare(header, code, question)
    }

    /// Handles the request; false if that took too long or panicked.
    async fn guarded(&self, request: &Request, outbox: &Outbox) -> bool {
        let mut answering = self.handle_request::<_, TokioTime>(request, outbox.clone());
        // A panic of the judge must cost one answer, not the task of a socket.
        let caught = poll_fn(|context| {
            let poll = || answering.as_mut().poll(context);
            match catch_unwind(AssertUnwindSafe(poll)) {
                Ok(Poll::Ready(_)) => Poll::Ready(true),
                Ok(Poll::Pending) => Poll::Pending,
                Err(_) => Poll::Ready(false),
            }
        });
        tokio::time::timeout(self.patience, caught).await.unwrap_or(false)
    }

    /// What the response says of us.
    fn options_of<'a>(
        &'a self,
        request: &Request,
        error: Option<&'a ExtendedError>,
    ) -> wire::Options<'a> {
        let asked = |code| request.edns.as_ref().and_then(|edns| edns.option(code));
        let nsid = asked(EdnsCode::NSID).map(|_| &*self.nsid).filter(|nsid| !nsid.is_empty());
        let offered = offered(request).ok().flatten();
        let source = request.src().ip().to_canonical();
        let cookie = offered.map(|offered| self.cookies.answer(offered, source, self.judge.now()));
        wire::Options { nsid, cookie, error }
    }

    async fn reply(&self, request: &Request) -> Reply {
        let [question] = request.queries.queries() else {
            return Reply::fail(ResponseCode::FormErr);
        };
        if request.metadata.op_code != OpCode::Query {
            return Reply::fail(ResponseCode::NotImp);
        }
        if request.version() > 0 {
            return Reply::fail(ResponseCode::BADVERS);
        }
        if offered(request).is_err() {
            return Reply::fail(ResponseCode::FormErr);
        }
        let rtype = question.query_type();
        // The whole answer is by one configuration, even if it is read again meanwhile.
        let told = self.told.load_full();
        let zone = told.catalog.find(question.name(), rtype);
        let allow = zone.map_or(&[][..], |zone| &zone.allow);
        let Some(asker) = told.access.asker(request.src().ip(), allow) else {
            let page = zone.and_then(|zone| zone.caps.page.as_deref()).unwrap_or_default();
            return Reply::fail(ResponseCode::Refused).because(PROHIBITED, &page.replace("{}", ""));
        };
        if question.query_class() != DNSClass::IN {
            return Reply::fail(ResponseCode::Refused);
        }
        if let Some(refusal) = refuse_type(rtype) {
            return refusal;
        }
        let Some(zone) = zone else {
            return Reply::fail(ResponseCode::Refused).because(NOT_AUTHORITATIVE, "");
        };
        self.ask(zone, told.catalog.texts(), question, asker).await
    }

    async fn ask(&self, zone: &Zone, texts: &Texts, question: &LowerQuery, asker: Asker) -> Reply {
        let owner = question.original().name();
        let held = match &zone.role {
            Role::List(list) => Some(list.held()),
            Role::Origin { .. } | Role::Kind(_) => None,
        };
        let authority = held.as_ref().map_or_else(|| zone.authority(), |held| &held.authority);
        let of_ended = zone.ended.as_ref().map(|_| authority.of_ended());
        let authority = of_ended.as_ref().unwrap_or(authority);
        let rtype = question.query_type();
        let at = Place { zone, authority, owner, rtype, serial: self.judge.serial() };
        let left = owner.iter().count().saturating_sub(zone.labels);
        if left == 1
            && let Some(text) = self.of_ourselves(owner, &at, asker)
        {
            return at.text(text);
        }
        if let Some(notice) = &zone.ended {
            return at.in_ended(notice, left, question);
        }
        if let Some(held) = &held {
            return at.in_list(held, left, self.judge.now());
        }
        if left == 0 && at.rtype != RecordType::DS {
            return at.apex();
        }
        let kind = match &zone.role {
            Role::Origin { .. } => return at.in_origin(question),
            Role::Kind(kind) => *kind,
            // Answered above.
            Role::List(_) => return Reply::fail(ResponseCode::ServFail),
        };
        let labels: Vec<&[u8]> = owner.iter().take(left).collect();
        let key = Key::read(kind, &labels);
        let asker = Asker { in_words: at.rtype != RecordType::A, ..asker };
        let mut answer = self.answer(kind, &key, zone, texts, asker).await;
        if zone.is_dry && !matches!(key, Key::TestListed(_)) && answer.exists == Exists::Exists {
            self.metrics.would_have(kind.label());
            let ttl = zone.caps.negative_ttl;
            answer = Answer { exists: self.unlisted(&key), a: vec![], txt: None, ttl };
        }
        at.with(answer)
    }

    /// What every zone says of itself: `whoami` (who asks, and what it may) and `_status` (how old the data are).
    fn of_ourselves(&self, owner: &Name, at: &Place<'_>, asker: Asker) -> Option<String> {
        let label = owner.iter().next()?;
        if label.eq_ignore_ascii_case(WHOAMI) {
            let trusted = if asker.trusted { "yes" } else { "no" };
            return Some(format!("ip={} trusted={trusted}", asker.ip));
        }
        if !label.eq_ignore_ascii_case(STATUS) {
            return None;
        }
        let serial = at.authority.serial.unwrap_or(at.serial);
        let node = String::from_utf8_lossy(&self.nsid);
        let version = env!("CARGO_PKG_VERSION");
        Some(format!("helostat={version} node={node} serial={serial} now={}", self.judge.now()))
    }

    /// What a name is of whose key nothing is said.
    fn unlisted(&self, key: &Key) -> Exists {
        let below = match key {
            Key::Client(ip) => return Exists::unlisted(*ip),
            Key::Name(name) => self.judge.names_below(name.text()),
            Key::Pair(ip, name) => {
                self.judge.pair_names_below(*ip, name.text()) || self.judge.names_below(name.text())
            }
            _ => true,
        };
        if below { Exists::NoData } else { Exists::NxDomain }
    }

    /// What is said of a client as it was said before; `None` if it has to be judged.
    fn said(
        &self,
        kind: Kind,
        ip: IpAddr,
        zone: &Zone,
        texts: &Texts,
        asker: Asker,
    ) -> Option<Answer> {
        let IpAddr::V4(v4) = ip else { return None };
        let now = self.judge.now();
        let said = self.judge.standing(v4, now)?;
        let mut answer = Answer::of_codes(kind, ip, said.0, said.1, now, &zone.caps);
        if asker.in_words && !answer.a.is_empty() {
            let text = texts.find(zone.number, v4, said)?;
            answer.txt = Some(String::from_utf8_lossy(text.octets()).into_owned());
        }
        Some(answer)
    }

    async fn answer(
        &self,
        kind: Kind,
        key: &Key,
        zone: &Zone,
        texts: &Texts,
        asker: Asker,
    ) -> Answer {
        let caps = &zone.caps;
        if let Some(fixed) = Answer::fixed(kind, key, caps) {
            return fixed;
        }
        match key {
            Key::Client(ip) => {
                if let Some(said) = self.said(kind, *ip, zone, texts, asker) {
                    return said;
                }
                let verdict = self.judge.client(*ip, asker).await;
                let now = self.judge.now();
                let answer = Answer::of_client(kind, *ip, &verdict, now, caps);
                if let (IpAddr::V4(v4), true, Some(text)) = (*ip, asker.in_words, &answer.txt)
                    && let Some(said) = self.judge.standing(v4, now)
                    && said == (Codes::of(&verdict), verdict.until)
                {
                    texts.put(zone.number, v4, said, text);
                }
                answer
            }
            Key::Name(name) => {
                let verdict = self.judge.name(name, asker).await;
                let unlisted = self.unlisted(key);
                let of = match kind {
                    Kind::Dna => Answer::of_recommendation,
                    _ => Answer::of_name,
                };
                of(name, &verdict, unlisted, self.judge.now(), caps)
            }
            Key::Pair(ip, name) => {
                let verdict = self.judge.pair(*ip, name, asker).await;
                let unlisted = self.unlisted(key);
                Answer::of_pair(*ip, name, &verdict, unlisted, self.judge.now(), caps)
            }
            // The apex of a kind, asked for DS where no zone of ours is above.
            _ => Answer { exists: Exists::NoData, a: vec![], txt: None, ttl: caps.negative_ttl },
        }
    }
}

/// The request, unless its packet is broken. The parser is not ours, so that a panic in it must not
/// cost more than this packet either.
fn parse(packet: Vec<u8>, source: SocketAddr, protocol: Protocol) -> Option<Request> {
    let parse = || Request::from_bytes(packet, source, protocol).ok();
    let request = catch_unwind(AssertUnwindSafe(parse)).ok().flatten()?;
    wire::question_is_plain(&request).then_some(request)
}

/// The cookie that came; fails if its length is wrong.
fn offered(request: &Request) -> Result<Option<Offered>, ()> {
    let option = request.edns.as_ref().and_then(|edns| edns.option(EdnsCode::Cookie));
    match option {
        Some(EdnsOption::Unknown(_, data)) => Offered::read(data).map(Some).ok_or(()),
        _ => Ok(None),
    }
}

/// What is answered to a type that is no type of data.
fn refuse_type(rtype: RecordType) -> Option<Reply> {
    match (rtype, u16::from(rtype)) {
        (RecordType::ANY, _) => None,
        (RecordType::AXFR | RecordType::IXFR, _) => Some(Reply::fail(ResponseCode::Refused)),
        (RecordType::OPT, _) => Some(Reply::fail(ResponseCode::FormErr)),
        (_, NXNAME) => Some(Reply::fail(ResponseCode::FormErr).because(INVALID_QUERY_TYPE, "")),
        // RFC 6895 section 3.1: 128 to 255 are for questions and meta-data.
        (_, 129..=255) => Some(Reply::fail(ResponseCode::NotImp)),
        _ => None,
    }
}

/// Where a question points: everything that its records need.
struct Place<'a> {
    zone: &'a Zone,
    authority: &'a Authority,
    owner: &'a Name,
    rtype: RecordType,
    serial: u32,
}

impl Place<'_> {
    fn apex(&self) -> Reply {
        match self.rtype {
            RecordType::SOA | RecordType::ANY => {
                Reply::data(self, vec![self.authority.soa(self.owner.clone(), self.serial)])
            }
            RecordType::NS => Reply::data(self, self.authority.ns(self.owner)),
            _ => self.negative(Exists::NoData, self.authority.negative_ttl()),
        }
    }

    fn in_origin(&self, question: &LowerQuery) -> Reply {
        let ttl = match self.zone.ended {
            Some(_) => self.authority.negative_ttl(),
            None => self.zone.caps.negative_ttl,
        };
        let Some(records) = self.zone.role.host(question.name(), self.owner) else {
            return self.negative(Exists::NxDomain, ttl);
        };
        let first = records.first().map(Record::record_type);
        let wanted = if self.rtype == RecordType::ANY { first } else { Some(self.rtype) };
        let found = records.into_iter().filter(|record| Some(record.record_type()) == wanted);
        let found: Vec<_> = found.collect();
        if found.is_empty() { self.negative(Exists::NoData, ttl) } else { Reply::data(self, found) }
    }

    /// What a zone says that has ended; `left` labels stand left of the apex.
    fn in_ended(&self, notice: &str, left: usize, question: &LowerQuery) -> Reply {
        if left > 0 {
            // Without the addresses of its name servers nobody would learn that there is nothing.
            return self.in_origin(question);
        }
        if self.rtype != RecordType::TXT {
            return self.apex();
        }
        let data = RData::TXT(TXT::new(vec![notice.to_owned()]));
        let ttl = self.authority.negative_ttl();
        Reply::data(self, vec![Record::from_rdata(self.owner.clone(), ttl, data)])
    }

    /// A text of the moment, which nobody should keep.
    fn text(&self, text: String) -> Reply {
        if !matches!(self.rtype, RecordType::TXT | RecordType::ANY) {
            return self.negative(Exists::NoData, 0);
        }
        let data = RData::TXT(TXT::new(vec![text]));
        Reply::data(self, vec![Record::from_rdata(self.owner.clone(), 0, data)])
    }

    /// What lists say; `left` labels stand left of the apex.
    fn in_list(&self, held: &Held, left: usize, now: Time) -> Reply {
        // What was never read, or may be told no more, is no reason to say "not listed".
        let Some(lists) = held.zone(now) else { return Reply::fail(ResponseCode::ServFail) };
        if left == 0 && matches!(self.rtype, RecordType::SOA | RecordType::NS | RecordType::ANY) {
            return self.apex();
        }
        let wanted = match self.rtype {
            RecordType::A => Wanted::A,
            RecordType::TXT => Wanted::Txt,
            RecordType::MX => Wanted::Mx,
            RecordType::ANY => Wanted::Any,
            _ => Wanted::Other,
        };
        let labels: Vec<&[u8]> = self.owner.iter().take(left).collect();
        let mut answer = ListAnswer::default();
        lists.ask(&labels, wanted, &mut answer);
        let ListAnswer { exists, a, txt, mx } = answer;
        // RFC 8482: ANY gets one RRset.
        let (ttl, data): (u32, Vec<RData>) = if !a.values.is_empty() {
            (a.ttl, a.values.into_iter().map(|value| RData::A(A(value))).collect())
        } else if !txt.values.is_empty() {
            let text = |octets: Vec<u8>| RData::TXT(TXT::from_bytes(vec![&octets]));
            (txt.ttl, txt.values.into_iter().map(text).collect())
        } else {
            let host = |mx: lists::Mx| RData::MX(MX::new(mx.preference, name_of(&mx.host)));
            (mx.ttl, mx.values.into_iter().map(host).collect())
        };
        if data.is_empty() {
            let exists = if exists == Exists::Exists { Exists::NoData } else { exists };
            return self.negative(exists, self.authority.negative_ttl());
        }
        let record = |data| Record::from_rdata(self.owner.clone(), ttl, data);
        Reply::data(self, data.into_iter().map(record).collect())
    }

    fn with(&self, answer: Answer) -> Reply {
        if answer.exists != Exists::Exists {
            return self.negative(answer.exists, answer.ttl);
        }
        let data: Vec<RData> = match (self.rtype, answer.txt) {
            (RecordType::A | RecordType::ANY, _) if !answer.a.is_empty() => {
                answer.a.into_iter().map(|value| RData::A(A(value))).collect()
            }
            (RecordType::ANY, Some(text)) => vec![RData::TXT(TXT::new(vec![text]))],
            (RecordType::TXT, Some(text)) => vec![RData::TXT(TXT::new(vec![text]))],
            _ => return self.negative(Exists::NoData, answer.ttl),
        };
        let record = |data| Record::from_rdata(self.owner.clone(), answer.ttl, data);
        Reply::data(self, data.into_iter().map(record).collect())
    }

    fn negative(&self, exists: Exists, ttl: u32) -> Reply {
        // NXDOMAIN would hide a zone of ours that lies below (RFC 8020).
        let leads_to_another = || self.zone.leads_to_another(&LowerName::new(self.owner));
        let (code, result) = match exists {
            Exists::NxDomain if !leads_to_another() => (ResponseCode::NXDomain, "nxdomain"),
            _ => (ResponseCode::NoError, "nodata"),
        };
        // The question's spelling of the apex: shorter on the wire, and 0x20 stays whole.
        let apex = self.owner.trim_to(self.zone.labels);
        Reply {
            code,
            zone: self.zone.word(),
            result,
            answers: Vec::new(),
            soa: Some(self.authority.negative_soa(apex, self.serial, ttl)),
            error: None,
        }
    }
}

/// A response before it is encoded.
struct Reply {
    code: ResponseCode,
    zone: &'static str,
    result: &'static str,
    answers: Vec<Record>,
    soa: Option<Record>,
    error: Option<ExtendedError>,
}

impl Reply {
    fn data(at: &Place<'_>, answers: Vec<Record>) -> Self {
        let code = ResponseCode::NoError;
        Self { code, zone: at.zone.word(), result: "data", answers, soa: None, error: None }
    }

    fn fail(code: ResponseCode) -> Self {
        let result = word(code);
        Self { code, zone: "none", result, answers: Vec::new(), soa: None, error: None }
    }

    fn because(self, code: u16, text: &str) -> Self {
        Self { error: Some(ExtendedError { code, text: text.to_owned() }), ..self }
    }
}

/// The word for a failure in metrics.
fn word(code: ResponseCode) -> &'static str {
    match code {
        ResponseCode::FormErr => "formerr",
        ResponseCode::NotImp => "notimp",
        ResponseCode::Refused => "refused",
        ResponseCode::BADVERS => "badvers",
        _ => "servfail",
    }
}

#[async_trait]
impl<J: Judge> RequestHandler for Handler<J> {
    async fn handle_request<R: ResponseHandler, T: Clock>(
        &self,
        request: &Request,
        mut out: R,
    ) -> ResponseInfo {
        let start = Instant::now();
        let reply = self.reply(request).await;
        let mut metadata = Metadata::response_from_request(&request.metadata);
        if metadata.op_code != OpCode::Query {
            // They mean something in queries only.
            (metadata.recursion_desired, metadata.checking_disabled) = (false, false);
        }
        metadata.response_code = reply.code;
        metadata.authoritative =
            matches!(reply.code, ResponseCode::NoError | ResponseCode::NXDomain);
        let edns = wire::edns_of(request, self.options_of(request, reply.error.as_ref()));
        let response = MessageResponseBuilder::new(&request.queries, edns.as_ref()).build(
            metadata,
            &reply.answers,
            [],
            &reply.soa,
            [],
        );
        let rtype =
            request.queries.queries().first().map_or(RecordType::ZERO, LowerQuery::query_type);
        match out.send_response(response).await {
            Ok(info) => {
                self.metrics.answered(reply.zone, rtype, reply.result, start.elapsed());
                info
            }
            Err(error) => {
                // Only our own records can fail to encode; `respond` answers SERVFAIL.
                tracing::error!(%error, "A response could not be encoded");
                metadata.response_code = ResponseCode::ServFail;
                Header { metadata, counts: HeaderCounts::default() }.into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use helostat_zones::name::Name as EhloName;
    use helostat_zones::time::Time;
    use helostat_zones::verdict::{ClientVerdict, NameVerdict, PairVerdict};
    use prometheus::Registry;

    use super::*;
    use crate::config::ZoneConfig;

    /// Knows nothing.
    struct Nothing;

    impl Judge for Nothing {
        async fn client(&self, _: IpAddr, _: Asker) -> ClientVerdict {
            ClientVerdict::unknown(Time(20))
        }

        async fn name(&self, _: &EhloName, _: Asker) -> NameVerdict {
            NameVerdict::unknown(Time(20))
        }

        async fn pair(&self, _: IpAddr, _: &EhloName, _: Asker) -> PairVerdict {
            PairVerdict::unknown(Time(20))
        }

        fn names_below(&self, _: &str) -> bool {
            false
        }

        fn pair_names_below(&self, _: IpAddr, _: &str) -> bool {
            false
        }

        fn now(&self) -> Time {
            Time(10)
        }

        fn serial(&self) -> u32 {
            1
        }
    }

    async fn reply(flags: u8, name: &str) -> Reply {
        let zones = vec![ZoneConfig::new("z", "ns.z")];
        let config = DnsConfig { zones, ..DnsConfig::default() };
        let metrics = Metrics::register(&Registry::new()).expect("a fresh registry");
        let handler = Handler::new(Arc::new(Nothing), &config, metrics).expect("sound zones");
        let mut packet = vec![0, 0, flags, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            packet.push(label.len() as u8);
            packet.extend(label.as_bytes());
        }
        packet.extend([0, 0, 1, 0, 1]);
        let source = SocketAddr::from(([127, 0, 0, 1], 53));
        let request = Request::from_bytes(packet, source, Protocol::Udp).expect("sound");
        handler.reply(&request).await
    }

    #[tokio::test]
    async fn requests_of_other_transports_are_checked_too() {
        for (flags, code) in [(0x00, ResponseCode::NXDomain), (0x20, ResponseCode::NotImp)] {
            assert_eq!(reply(flags, "8.2.0.192.bl.z").await.code, code, "{flags:#x}");
        }
    }

    #[tokio::test]
    async fn not_listed_holds_no_longer_than_the_verdict() {
        for (name, ttl) in [
            ("8.2.0.192.bl.z", 10),
            ("a.example.ehlo.z", 10),
            ("a.b.8.2.0.192.pair.z", 10),
            ("x.bl.z", 60),
        ] {
            let soa = reply(0, name).await.soa;
            assert_eq!(soa.map(|record| record.ttl), Some(ttl), "{name}");
        }
    }
}
