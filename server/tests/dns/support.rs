//! A judge made of tables, a server on a free port, and questions by hand.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use helostat_server::config::{DnsConfig, NameServer, ZoneConfig};
use helostat_server::handler::Handler;
use helostat_server::judge::{Asker, Judge};
use helostat_server::listen::Listeners;
use helostat_server::metrics::Metrics;
use helostat_zones::name::Name;
use helostat_zones::time::Time;
use helostat_zones::verdict::{
    Class, ClientVerdict, ListCode, NameCode, NameVerdict, PairCode, PairVerdict, Rating, Reason,
    Trust,
};
use hickory_proto::op::Message;
use hickory_proto::rr::RData;
use prometheus::Registry;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Time limit of everything that should happen.
pub(crate) const SOON: Duration = Duration::from_secs(5);
/// How long the slow name takes.
pub(crate) const SLOW: Duration = Duration::from_millis(400);

/// Knows 192.0.2.7 and 2001:db8::7 (listed), 192.0.2.9 (trusted), `mail.example.com` (bad) and its
/// pair with 192.0.2.9; `slow.`, `stuck.` and `panic.example.com` behave as they are called.
#[derive(Debug)]
pub(crate) struct Tables;

const NOW: Time = Time(1_795_184_855);
const UNTIL: Time = Time(NOW.0 + 86_400);

impl Judge for Tables {
    async fn client(&self, ip: IpAddr, _: Asker) -> ClientVerdict {
        let mut verdict = ClientVerdict {
            class: Class::New,
            score: None,
            confidence: 0,
            reasons: Vec::new(),
            listings: Vec::new(),
            trust: None,
            ..ClientVerdict::unknown(UNTIL)
        };
        match ip.to_string().as_str() {
            "192.0.2.7" | "2001:db8::7" => {
                let text = "7 families in 24 h ".repeat(20);
                verdict.reasons = vec![Reason { word: "many-families", points: -40, text }];
                verdict.listings = vec![ListCode::ManyFamilies];
                verdict.score = Some(3);
            }
            "192.0.2.9" => {
                verdict.trust = Some(Trust { category: 4, level: 2 });
                verdict.score = Some(93);
            }
            _ => {}
        }
        verdict
    }

    async fn name(&self, name: &Name, asker: Asker) -> NameVerdict {
        let mut codes = Vec::new();
        match name.text() {
            "mail.example.com" => codes = vec![NameCode::ManyNetworks, NameCode::Bad],
            "trusted-only.example.com" if asker.trusted => codes = vec![NameCode::Junk],
            "slow.example.com" => tokio::time::sleep(SLOW).await,
            "stuck.example.com" => std::future::pending().await,
            "panic.example.com" => panic!("a judge's fault, made for the test"),
            _ => {}
        }
        let rating = codes.first().map(|_| Rating::D);
        NameVerdict { rating, codes, reasons: Vec::new(), ..NameVerdict::unknown(UNTIL) }
    }

    async fn pair(&self, ip: IpAddr, name: &Name, _: Asker) -> PairVerdict {
        let text = "steady for 90 days ".repeat(20);
        let known = ip == IpAddr::from([192, 0, 2, 9]) && name.text().ends_with("example.com");
        PairVerdict {
            class: if known { Class::Trusted } else { Class::New },
            code: known.then_some(PairCode::Confirmed),
            listings: Vec::new(),
            reasons: vec![Reason { word: "established", points: 40, text }],
            ..PairVerdict::unknown(UNTIL)
        }
    }

    fn names_below(&self, suffix: &str) -> bool {
        "mail.example.com".ends_with(&format!(".{suffix}"))
    }

    fn pair_names_below(&self, ip: IpAddr, suffix: &str) -> bool {
        ip == IpAddr::from([192, 0, 2, 9]) && self.names_below(suffix)
    }

    fn now(&self) -> Time {
        NOW
    }

    fn serial(&self) -> u32 {
        2_026_112_001
    }
}

/// All kinds below `z.`, on a free port of the loopback.
pub(crate) fn config() -> DnsConfig {
    let mut zone = ZoneConfig::new("z", "ns.z");
    zone.caps.page = Some("https://z.example/i/{}".to_owned());
    zone.name_servers = vec![
        NameServer {
            name: "ns.z".to_owned(),
            addresses: vec![IpAddr::from([192, 0, 2, 53]), "2001:db8::53".parse().expect("an ip")],
        },
        NameServer { name: "ns.example.net".to_owned(), addresses: Vec::new() },
    ];
    DnsConfig {
        listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
        threads: 2,
        zones: vec![zone],
        ..DnsConfig::default()
    }
}

pub(crate) fn handler(config: &DnsConfig) -> (Arc<Handler<Tables>>, Registry) {
    let registry = Registry::new();
    let metrics = Metrics::register(&registry).expect("a fresh registry");
    (Arc::new(Handler::new(Arc::new(Tables), config, metrics).expect("sound zones")), registry)
}

/// A running server; ends when it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) registry: Registry,
    pub(crate) stop: CancellationToken,
    pub(crate) ended: Option<JoinHandle<()>>,
    pub(crate) runtime: tokio::runtime::Runtime,
}

impl Server {
    pub(crate) fn start(config: &DnsConfig) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let listeners = Listeners::bind(config).expect("a free port");
        let address = *listeners.local_addrs().first().expect("one address");
        let (handler, registry) = handler(config);
        let stop = CancellationToken::new();
        let guard = runtime.enter();
        let ended = listeners.serve(handler, stop.clone()).expect("sockets");
        drop(guard);
        Self { address, registry, stop, ended: Some(ended), runtime }
    }

    /// Asks over UDP and over TCP; both must say the same, but for the id.
    pub(crate) fn ask(&self, packet: &[u8]) -> Message {
        let udp = self.udp(packet).expect("an answer over UDP");
        let tcp = self.tcp(packet).expect("an answer over TCP");
        assert_eq!(udp, tcp, "UDP and TCP differ for {packet:02x?}");
        Message::from_vec(&udp).expect("a sound answer")
    }

    pub(crate) fn udp(&self, packet: &[u8]) -> Option<Vec<u8>> {
        self.udp_within(packet, SOON)
    }

    pub(crate) fn udp_within(&self, packet: &[u8], limit: Duration) -> Option<Vec<u8>> {
        let socket = self.udp_socket();
        socket.set_read_timeout(Some(limit)).expect("a limit");
        socket.send(packet).expect("sent");
        receive(&socket)
    }

    pub(crate) fn udp_socket(&self) -> UdpSocket {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a free port");
        socket.connect(self.address).expect("connected");
        socket.set_read_timeout(Some(SOON)).expect("a limit");
        socket
    }

    pub(crate) fn tcp(&self, packet: &[u8]) -> Option<Vec<u8>> {
        let mut stream = self.tcp_stream();
        send_framed(&mut stream, packet);
        receive_framed(&mut stream)
    }

    pub(crate) fn tcp_stream(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("connected");
        stream.set_read_timeout(Some(SOON)).expect("a limit");
        stream
    }

    /// The value of a counter or gauge, summed over the series that have all these labels.
    pub(crate) fn count(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let families = self.registry.gather();
        let Some(family) = families.iter().find(|family| family.name() == name) else {
            return 0.0;
        };
        let has = |metric: &&prometheus::proto::Metric| {
            labels.iter().all(|(name, value)| {
                metric.get_label().iter().any(|pair| pair.name() == *name && pair.value() == *value)
            })
        };
        let value = |metric: &prometheus::proto::Metric| {
            metric.get_counter().get_value() + metric.get_gauge().get_value()
        };
        family.get_metric().iter().filter(has).map(value).sum()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(ended) = self.ended.take() {
            self.runtime.block_on(ended).expect("an orderly end");
        }
    }
}

pub(crate) fn receive(socket: &UdpSocket) -> Option<Vec<u8>> {
    let mut buffer = [0; 65_535];
    let length = socket.recv(&mut buffer).ok()?;
    Some(buffer[..length].to_vec())
}

pub(crate) fn send_framed(stream: &mut TcpStream, packet: &[u8]) {
    let mut framed = u16::try_from(packet.len()).expect("short").to_be_bytes().to_vec();
    framed.extend_from_slice(packet);
    stream.write_all(&framed).expect("sent");
}

/// `None` at the end of the connection.
pub(crate) fn receive_framed(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut packet = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut packet).expect("the whole answer");
    Some(packet)
}

pub(crate) const A: u16 = 1;
pub(crate) const NS: u16 = 2;
pub(crate) const SOA: u16 = 6;
pub(crate) const TXT: u16 = 16;
pub(crate) const AAAA: u16 = 28;
pub(crate) const DS: u16 = 43;
pub(crate) const IXFR: u16 = 251;
pub(crate) const AXFR: u16 = 252;
pub(crate) const ANY: u16 = 255;

/// A query without OPT, octet by octet.
pub(crate) fn query(name: &str, rtype: u16) -> Vec<u8> {
    let mut packet = vec![0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    packet.extend(question(name, rtype));
    packet
}

/// The question section of `query`.
pub(crate) fn question(name: &str, rtype: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(u8::try_from(label.len()).expect("a label"));
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes.extend(rtype.to_be_bytes());
    bytes.extend([0, 1]);
    bytes
}

/// Adds an OPT record: size, version, flags, options as they stand on the wire.
pub(crate) fn with_opt(
    mut packet: Vec<u8>,
    size: u16,
    version: u8,
    flags: u16,
    options: &[u8],
) -> Vec<u8> {
    packet[11] += 1;
    packet.extend([0, 0, 41]);
    packet.extend(size.to_be_bytes());
    packet.extend([0, version]);
    packet.extend(flags.to_be_bytes());
    packet.extend(u16::try_from(options.len()).expect("short").to_be_bytes());
    packet.extend(options);
    packet
}

/// The A records, as text.
pub(crate) fn addresses(message: &Message) -> Vec<String> {
    let address = |data: &RData| match data {
        RData::A(a) => Some(a.to_string()),
        RData::AAAA(a) => Some(a.to_string()),
        _ => None,
    };
    message.answers.iter().filter_map(|record| address(&record.data)).collect()
}

/// The codes of the extended errors.
pub(crate) fn extended_errors(message: &Message) -> Vec<u16> {
    use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
    let Some(edns) = &message.edns else {
        return Vec::new();
    };
    let found = edns.options().get_all(EdnsCode::from(15));
    let code = |option: &EdnsOption| match option {
        EdnsOption::Unknown(_, data) => u16::from_be_bytes([data[0], data[1]]),
        other => panic!("no extended error: {other:?}"),
    };
    found.into_iter().map(code).collect()
}
