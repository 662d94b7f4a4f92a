//! What other hosts send by syslog, over UDP and TCP: so that a mail server elsewhere needs only its own rsyslog.
//!
//! In: sockets, bound by [`Sockets::bind`] before anything else is done, and read from [`Sockets::listen`] on. Out: the
//! messages as the lines of a [`Source`], in the order in which each sender's came.
//!
//! - [`frames`]: messages out of the bytes of a connection
//! - `tcp`, `udp`: the threads that read; `queue`: what they have read and nobody has taken yet
//! - `drops`: what the kernel dropped
//!
//! **Who speaks is decided by the address it sends from**, never by the host name in a message: each sender has a
//! reporter of its own and sessions of its own, so none can speak as another. Whoever can forge addresses within `allow`
//! can forge senders over UDP; over TCP it cannot. Senders whose address is not in `allow` are counted, and nothing else.
//!
//! Every sender has one of [`Setting::senders`] seats, numbered from 0. Its open sessions are stored as
//! `syslog:NAME/SEAT`, where NAME is the setting's; the position stored with them says whose they are, as version (1)
//! and then the address as text. A sender for whom no seat is free takes that of the one not heard for longest,
//! whose open sessions end. So no number of senders needs more room, here or in the ledger.
//!
//! Syslog has no acknowledgements: what was received and not committed when the program is killed is lost, and so is
//! what the kernel drops. What has arrived when the program ends in order is read and committed first.

pub mod frames;

mod drops;
mod queue;
mod tcp;
mod udp;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use helostat_zones::observation::Reporter;
use ipnet::IpNet;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use self::queue::{Parcel, Queue};
use super::{Positions, Source, Step};
use crate::metrics::SyslogMetrics;

/// What the kernel is asked for, so that a burst is not lost while our thread does not run.
const RECEIVE_BYTES: usize = 8 << 20;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;
/// How long the end of the program waits for what has arrived.
const LAST_WORDS: Duration = Duration::from_millis(800);
/// The layout of a stored position.
const VERSION: u8 = 1;

/// What to listen to, and whom.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Under which name the senders are stored.
    pub name: String,
    /// Where datagrams come in.
    pub udp: Vec<SocketAddr>,
    /// Where connections come in.
    pub tcp: Vec<SocketAddr>,
    /// Who may send.
    pub allow: Vec<IpNet>,
    /// Who reports what a sender sends that `reporters` does not name; none is the sender's address.
    pub reporter: Option<Reporter>,
    /// Who reports what these senders send.
    pub reporters: BTreeMap<IpAddr, Reporter>,
    /// TCP connections open at once, at most.
    pub connections: usize,
    /// Senders whose sessions are kept, at most.
    pub senders: usize,
    /// A connection that is silent between messages for so long is closed.
    pub idle: Duration,
    /// A connection that is silent within a message for so long is closed.
    pub stall: Duration,
    /// Octets of a message, at most.
    pub longest: usize,
    /// Octets that wait to be read, at most.
    pub queue_bytes: usize,
}

/// An address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} (syslog over {transport})")]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// `UDP` or `TCP`.
    pub transport: &'static str,
    /// What the system said.
    pub source: io::Error,
}

/// Bound sockets that nobody reads yet.
#[derive(Debug)]
pub struct Sockets {
    setting: Setting,
    udp: Vec<UdpSocket>,
    tcp: Vec<TcpListener>,
}

impl Sockets {
    /// Binds every address.
    pub fn bind(setting: Setting) -> Result<Self, BindError> {
        let mut sockets = Self { udp: Vec::new(), tcp: Vec::new(), setting };
        for &address in &sockets.setting.udp {
            let socket = bind_udp(address);
            let failed = |source| BindError { address, transport: "UDP", source };
            sockets.udp.push(socket.map_err(failed)?);
        }
        for &address in &sockets.setting.tcp {
            let listener = bind_tcp(address);
            let failed = |source| BindError { address, transport: "TCP", source };
            sockets.tcp.push(listener.map_err(failed)?);
        }
        Ok(sockets)
    }

    /// Where datagrams come in, with the ports that were taken for port 0.
    pub fn udp_addresses(&self) -> Vec<SocketAddr> {
        self.udp.iter().filter_map(|socket| socket.local_addr().ok()).collect()
    }

    /// Where connections come in, with the ports that were taken for port 0.
    pub fn tcp_addresses(&self) -> Vec<SocketAddr> {
        self.tcp.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// How many octets the kernel keeps for the UDP socket that got least, by its own count, in which a message
    /// costs more than its octets.
    pub fn receive_bytes(&self) -> Option<usize> {
        let given =
            self.udp.iter().filter_map(|socket| SockRef::from(socket).recv_buffer_size().ok());
        given.min()
    }

    /// Begins to read.
    pub fn listen(self, metrics: SyslogMetrics) -> io::Result<Listener> {
        let Self { setting, udp, tcp } = self;
        let shared = Arc::new(Shared {
            queue: Queue::new(setting.queue_bytes),
            connections: Connections::default(),
            ending: AtomicBool::new(false),
            metrics,
            setting,
        });
        let tcp: Vec<_> = tcp.into_iter().map(Arc::new).collect();
        let mut listener = Listener::new(shared.clone(), tcp.clone());
        let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
        for socket in udp {
            let shared = shared.clone();
            let reading = thread("syslog-udp").spawn(move || udp::serve(&socket, &shared))?;
            listener.threads.push(reading);
        }
        for socket in tcp {
            let shared = shared.clone();
            thread("syslog-accept").spawn(move || tcp::accept(&socket, &shared))?;
        }
        Ok(listener)
    }
}

fn bind_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // The kernel gives what its limits allow.
    socket.set_recv_buffer_size(RECEIVE_BYTES).ok();
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// What the threads of a listener share.
struct Shared {
    setting: Setting,
    queue: Queue,
    connections: Connections,
    /// Nothing new is to be taken.
    ending: AtomicBool,
    metrics: SyslogMetrics,
}

impl Shared {
    /// Whether this host may send; counts it if not.
    fn admits(&self, from: IpAddr) -> bool {
        let admitted = self.setting.allow.iter().any(|net| net.contains(&from));
        if !admitted {
            self.metrics.limit("allow");
        }
        admitted
    }
}

/// The connections that are open, so that they can be ended.
#[derive(Default)]
struct Connections(Mutex<(u64, HashMap<u64, Arc<TcpStream>>)>);

impl Connections {
    /// Notes one more, unless there are `most`; gives its number.
    fn enter(&self, stream: &Arc<TcpStream>, most: usize) -> Option<u64> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (number, streams) = &mut *open;
        if streams.len() >= most {
            return None;
        }
        *number += 1;
        streams.insert(*number, stream.clone());
        Some(*number)
    }

    fn leave(&self, number: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.remove(&number);
    }

    fn are_none(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.is_empty()
    }

    /// Lets each be read to the end of what has arrived, and no further.
    fn end(&self) {
        for stream in self.0.lock().unwrap_or_else(PoisonError::into_inner).1.values() {
            stream.shutdown(Shutdown::Read).ok();
        }
    }
}

/// A place for a sender.
#[derive(Clone, Debug)]
struct Seat {
    sender: IpAddr,
    /// By the number of a parcel, when it was last heard.
    heard: u64,
    /// Sessions of it were stored when we began.
    stored: bool,
}

/// What other hosts send, as a source.
pub struct Listener {
    shared: Arc<Shared>,
    tcp: Vec<Arc<TcpListener>>,
    threads: Vec<JoinHandle<()>>,
    /// Taken from the queue and not handed out yet.
    parcels: VecDeque<Parcel>,
    /// What is handed out now, and how much of it was.
    parcel: Option<(Parcel, usize)>,
    /// By number; not more than `Setting::senders`. None before the stored ones were looked for.
    seats: Option<Seats>,
    current: Option<Current>,
    /// How many parcels were taken.
    taken: u64,
    ending: Option<Instant>,
}

/// Who has which seat.
#[derive(Default)]
struct Seats {
    taken: BTreeMap<usize, Seat>,
    of: HashMap<IpAddr, usize>,
}

/// Whose messages come now.
struct Current {
    seat: usize,
    sender: IpAddr,
    id: String,
    reporter: Reporter,
    resumed: bool,
}

impl Listener {
    fn new(shared: Arc<Shared>, tcp: Vec<Arc<TcpListener>>) -> Self {
        Self {
            shared,
            tcp,
            threads: Vec::new(),
            parcels: VecDeque::new(),
            parcel: None,
            seats: None,
            current: None,
            taken: 0,
            ending: None,
        }
    }

    /// Turns to the sender of a parcel; true if it is another one than before.
    fn turn_to(&mut self, sender: IpAddr, positions: &dyn Positions) -> bool {
        self.taken += 1;
        let setting = &self.shared.setting;
        let seats = self.seats.get_or_insert_with(|| Seats::stored(setting, positions));
        let (number, seat) = seats.seat_of(sender, setting.senders, &self.shared.metrics);
        seat.heard = self.taken;
        if self.current.as_ref().is_some_and(|now| now.seat == number && now.sender == sender) {
            return false;
        }
        let known = setting.reporters.get(&sender).or(setting.reporter.as_ref());
        let reporter = known.cloned().unwrap_or_else(|| sender.to_string().into());
        let id = format!("{}{number}", prefix(&setting.name));
        let resumed = seat.stored;
        self.current = Some(Current { seat: number, sender, id, reporter, resumed });
        true
    }

    /// What is handed out next: a message of the parcel in hand, or nothing in it.
    fn step(&mut self, positions: &dyn Positions) -> Next {
        loop {
            if let Some((parcel, done)) = &mut self.parcel {
                if *done < parcel.messages() {
                    *done += 1;
                    return Next::Message(*done - 1);
                }
                self.parcel = None;
            }
            if self.parcels.is_empty() {
                self.parcels = self.shared.queue.take();
            }
            let Some(parcel) = self.parcels.pop_front() else { return Next::Nothing };
            let from = parcel.from;
            self.parcel = Some((parcel, 0));
            if self.turn_to(from, positions) {
                return Next::Sender;
            }
        }
    }
}

enum Next {
    Sender,
    Message(usize),
    Nothing,
}

impl Source for Listener {
    fn next(&mut self, positions: &dyn Positions) -> Step<'_> {
        match self.step(positions) {
            Next::Sender => Step::NewSender,
            Next::Nothing => Step::Idle,
            Next::Message(number) => match &self.parcel {
                Some((parcel, _)) => Step::Line(parcel.line(number)),
                None => Step::Idle,
            },
        }
    }

    fn id(&self) -> Option<&str> {
        self.current.as_ref().map(|current| current.id.as_str())
    }

    fn position(&self) -> Vec<u8> {
        let sender = self.current.as_ref().map(|current| current.sender.to_string());
        let mut position = vec![VERSION];
        position.extend_from_slice(sender.unwrap_or_default().as_bytes());
        position
    }

    fn resumed(&self) -> bool {
        self.current.as_ref().is_some_and(|current| current.resumed)
    }

    fn reporter(&self) -> Option<&Reporter> {
        self.current.as_ref().map(|current| &current.reporter)
    }

    fn lag_bytes(&self) -> u64 {
        self.shared.queue.bytes() as u64
    }

    fn is_lasting(&self) -> bool {
        false
    }

    fn finish(&mut self) -> bool {
        let since = *self.ending.get_or_insert_with(|| {
            self.shared.ending.store(true, Ordering::Relaxed);
            for listener in &self.tcp {
                // Wakes who waits for a connection.
                SockRef::from(&**listener).shutdown(Shutdown::Both).ok();
            }
            self.shared.connections.end();
            Instant::now()
        });
        let read = self.threads.iter().all(JoinHandle::is_finished)
            && self.shared.connections.are_none()
            && self.shared.queue.bytes() == 0
            && self.parcels.is_empty()
            && self.parcel.as_ref().is_none_or(|(parcel, done)| *done >= parcel.messages());
        read || since.elapsed() >= LAST_WORDS
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.finish();
        self.shared.queue.close();
    }
}

impl Seats {
    /// The seats that are stored.
    fn stored(setting: &Setting, positions: &dyn Positions) -> Self {
        let mut seats = Self::default();
        let prefix = prefix(&setting.name);
        for (id, position) in positions.find(&prefix) {
            let number = id.strip_prefix(&prefix).and_then(|number| number.parse::<usize>().ok());
            let Some(number) = number.filter(|&number| number < setting.senders) else { continue };
            let Some(sender) = sender_at(&position) else { continue };
            seats.taken.insert(number, Seat { sender, heard: 0, stored: true });
            seats.of.insert(sender, number);
        }
        seats
    }

    /// The seat of a sender, which is given one if it has none.
    fn seat_of(
        &mut self,
        sender: IpAddr,
        most: usize,
        metrics: &SyslogMetrics,
    ) -> (usize, &mut Seat) {
        let number = match self.of.get(&sender) {
            Some(&number) => number,
            None => self.free(most, metrics),
        };
        self.of.insert(sender, number);
        let newcomer = Seat { sender, heard: 0, stored: false };
        let seat = self.taken.entry(number).or_insert(newcomer);
        (number, seat)
    }

    /// A seat that nobody has, or that of who was not heard for longest.
    fn free(&mut self, most: usize, metrics: &SyslogMetrics) -> usize {
        if let Some(number) = (0..most).find(|number| !self.taken.contains_key(number)) {
            return number;
        }
        let longest = self.taken.iter().min_by_key(|(_, seat)| seat.heard);
        let number = longest.map_or(0, |(&number, _)| number);
        if let Some(gone) = self.taken.remove(&number) {
            self.of.remove(&gone.sender);
            metrics.limit("senders");
        }
        number
    }
}

/// What the sources of a listener's senders begin with.
fn prefix(name: &str) -> String {
    format!("syslog:{name}/")
}

/// Whose sessions are stored with this position.
fn sender_at(position: &[u8]) -> Option<IpAddr> {
    let (&VERSION, text) = position.split_first()? else { return None };
    std::str::from_utf8(text).ok()?.parse().ok()
}
