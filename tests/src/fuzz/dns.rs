//! Questions: whole packets, and the labels in them.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, LazyLock};

use helostat_server::config::{DnsConfig, ZoneConfig};
use helostat_server::handler::Handler;
use helostat_server::judge::{Asker, Judge};
use helostat_server::metrics::Metrics;
use helostat_zones::key::{Key, Kind};
use helostat_zones::name::{Name, NameKind};
use helostat_zones::time::Time;
use helostat_zones::verdict::{
    Class, ClientVerdict, ListCode, NameCode, NameVerdict, PairCode, PairVerdict, Rating, Reason,
};
use hickory_proto::op::{Message, ResponseCode};
use hickory_server::net::xfer::Protocol;
use tokio::runtime::Runtime;

/// The header of a DNS packet.
const HEADER: usize = 12;
/// The most that is ever sent over UDP.
const UDP_MAX: usize = 1232;

static SERVED: LazyLock<(Handler<Fake>, Runtime)> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let zones = vec![ZoneConfig::new("z", "ns.z")];
    let config = DnsConfig { zones, ..DnsConfig::default() };
    let metrics = Metrics::register(&prometheus::Registry::new()).expect("a fresh registry");
    let handler = Handler::new(Arc::new(Fake), &config, metrics).expect("sound zones");
    (handler, runtime.expect("a runtime"))
});

/// A packet, over UDP and TCP: silence for what is no question; else a sound response to this
/// question, the same over both, unless UDP says that it was cut.
pub fn dns_packet(packet: &[u8]) {
    let [udp, tcp] = [Protocol::Udp, Protocol::Tcp].map(|protocol| response(packet, protocol));
    let is_question =
        packet.len() >= HEADER && packet.get(2).is_some_and(|flags| flags & 0x80 == 0);
    assert_eq!((udp.is_some(), tcp.is_some()), (is_question, is_question), "silence");
    let (Some(udp), Some(tcp)) = (udp, tcp) else {
        return;
    };
    assert!(udp.len() <= UDP_MAX, "{} octets over UDP", udp.len());
    let (over_udp, over_tcp) = (sound(packet, &udp), sound(packet, &tcp));
    assert!(!over_tcp.metadata.truncation, "cut over TCP");
    if !over_udp.metadata.truncation {
        assert_eq!(udp, tcp, "UDP and TCP");
    }
}

fn response(packet: &[u8], protocol: Protocol) -> Option<Vec<u8>> {
    let (handler, runtime) = &*SERVED;
    let source = SocketAddr::from(([127, 0, 0, 1], 5353));
    runtime.block_on(handler.respond(packet.to_vec(), source, protocol))
}

fn sound(packet: &[u8], response: &[u8]) -> Message {
    let message = Message::from_vec(response);
    let message = message.unwrap_or_else(|error| panic!("{error}: {}", response.escape_ascii()));
    assert_eq!(response.get(..2), packet.get(..2), "the id");
    let [asked, answered] = [packet, response].map(|bytes| bytes.get(2).copied().unwrap_or(0));
    assert_eq!(answered & 0xf8, 0x80 | asked & 0x78, "QR and opcode");
    assert_ne!(message.metadata.response_code, ResponseCode::ServFail, "a fault of ours");
    if let [question] = message.queries.as_slice() {
        let end = HEADER + question.name().iter().map(|label| label.len() + 1).sum::<usize>() + 5;
        assert_eq!(response.get(HEADER..end), packet.get(HEADER..end), "the question");
        for record in &message.answers {
            assert_eq!(&record.name, question.name(), "the owner of an answer");
        }
    } else {
        assert!(message.answers.is_empty(), "an answer to no question");
    }
    message
}

/// The labels of a name in a zone: the kind in one octet, then labels as on the wire, leftmost first.
/// A key means itself, in any case of its letters, and nothing lies below what does not exist.
pub fn dns_key(bytes: &[u8]) {
    let Some((&kind, rest)) = bytes.split_first() else {
        return;
    };
    let Some(kind) = Kind::ALL.into_iter().cycle().nth(kind.into()) else {
        return;
    };
    let labels = labels(rest);
    let key = Key::read(kind, &labels);
    let capitals: Vec<Vec<u8>> = labels.iter().map(|label| label.to_ascii_uppercase()).collect();
    let capitals: Vec<&[u8]> = capitals.iter().map(Vec::as_slice).collect();
    assert_eq!(Key::read(kind, &capitals), key, "in capitals");
    assert_eq!(key == Key::Apex, labels.is_empty(), "{key:?}");
    match &key {
        Key::Client(ip) => spells_itself(kind, &key, Some(*ip), None),
        Key::Name(name) => spells_itself(kind, &key, None, Some(name)),
        Key::Pair(ip, name) => spells_itself(kind, &key, Some(*ip), Some(name)),
        _ => {}
    }
    if let Some((_, above)) = labels.split_first()
        && matches!(Key::read(kind, above), Key::Impossible | Key::TestUnlisted)
    {
        let nothing = matches!(key, Key::Impossible | Key::TestUnlisted);
        assert!(nothing, "{key:?} below what does not exist");
    }
}

fn labels(mut rest: &[u8]) -> Vec<&[u8]> {
    let mut labels = Vec::new();
    while let Some((&length, after)) = rest.split_first() {
        let (label, after) = after.split_at(usize::from(length % 64).min(after.len()));
        if label.is_empty() {
            break;
        }
        labels.push(label);
        rest = after;
    }
    labels
}

/// The key's own spelling is read as the key.
fn spells_itself(kind: Kind, key: &Key, ip: Option<IpAddr>, name: Option<&Name>) {
    let mut spelling = Vec::new();
    if let Some(name) = name {
        let is_key = [NameKind::Fqdn, NameKind::Single, NameKind::Reserved].contains(&name.kind());
        assert!(is_key, "{name:?} is no key");
        spelling.extend(name.text().split('.').map(str::to_owned));
    }
    match ip {
        None => {}
        Some(IpAddr::V4(ip)) => spelling.extend(ip.octets().iter().rev().map(u8::to_string)),
        Some(IpAddr::V6(ip)) => {
            assert_eq!(ip.to_ipv4_mapped(), None, "an IPv4-mapped address");
            let digits = format!("{:032x}", u128::from(ip));
            spelling.extend(digits.chars().rev().map(String::from));
        }
    }
    let labels: Vec<&[u8]> = spelling.iter().map(String::as_bytes).collect();
    assert_eq!(&Key::read(kind, &labels), key, "read again");
}

/// Knows 192.0.2.7 and `mail.example.com`, has much to say of them, and trusts nobody.
struct Fake;

const NOW: Time = Time(1_795_184_855);
const UNTIL: Time = Time(NOW.0 + 86_400);

fn is_known(ip: IpAddr) -> bool {
    ip == IpAddr::from([192, 0, 2, 7])
}

fn reasons() -> Vec<Reason> {
    vec![Reason { word: "many-families", points: -40, text: "7 families in 24 h ".repeat(20) }]
}

impl Judge for Fake {
    async fn client(&self, ip: IpAddr, _: Asker) -> ClientVerdict {
        let known = is_known(ip);
        ClientVerdict {
            class: Class::New,
            score: known.then_some(3),
            confidence: 0,
            reasons: if known { reasons() } else { Vec::new() },
            listings: if known { vec![ListCode::ManyFamilies] } else { Vec::new() },
            trust: None,
            ..ClientVerdict::unknown(UNTIL)
        }
    }

    async fn name(&self, name: &Name, _: Asker) -> NameVerdict {
        let known = name.text() == "mail.example.com";
        let codes = if known { vec![NameCode::ManyNetworks, NameCode::Bad] } else { Vec::new() };
        let rating = known.then_some(Rating::D);
        NameVerdict { rating, codes, reasons: reasons(), ..NameVerdict::unknown(UNTIL) }
    }

    async fn pair(&self, ip: IpAddr, _: &Name, _: Asker) -> PairVerdict {
        PairVerdict {
            class: Class::New,
            code: is_known(ip).then_some(PairCode::Confirmed),
            listings: Vec::new(),
            reasons: reasons(),
            ..PairVerdict::unknown(UNTIL)
        }
    }

    fn names_below(&self, suffix: &str) -> bool {
        "mail.example.com".ends_with(&format!(".{suffix}"))
    }

    fn pair_names_below(&self, ip: IpAddr, suffix: &str) -> bool {
        is_known(ip) && self.names_below(suffix)
    }

    fn now(&self) -> Time {
        NOW
    }

    fn serial(&self) -> u32 {
        2_026_112_001
    }
}
