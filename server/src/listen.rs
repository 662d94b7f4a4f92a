//! The sockets: bound first, served later, ended in order.
//!
//! In go addresses and a [`Handler`]; out come answers, until a token says stop. Binding fails with
//! one sentence that names the address. Each address gets one TCP listener and `threads` UDP
//! sockets that share its port (the kernel spreads clients over them); port 0 takes the same free
//! port for both.
//!
//! Serving never fails: a broken packet costs a counter, a full limit costs the one who came last.
//! At shutdown nothing new is read, answers under way have `limits.drain` to leave, the rest is
//! dropped.

use std::io;
use std::net::{SocketAddr, TcpListener as StdTcpListener, UdpSocket as StdUdpSocket};
use std::sync::Arc;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{DnsConfig, Limits};
use crate::connections::Connections;
use crate::handler::Handler;
use crate::judge::Judge;
use crate::pace::Pace;
use crate::shared::Shared;
use crate::tcp;
use crate::udp;

/// Room for a burst while a task is busy; the kernel gives what its limits allow.
const RECEIVE_BUFFER: usize = 4 << 20;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 512;
/// How often a free port is looked for that TCP and UDP both have.
const FREE_PORT_TRIES: usize = 16;

/// An address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} ({transport})")]
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
pub struct Listeners {
    bound: Vec<Bound>,
    limits: Limits,
}

#[derive(Debug)]
struct Bound {
    address: SocketAddr,
    tcp: StdTcpListener,
    udp: Vec<StdUdpSocket>,
}

impl Listeners {
    /// Binds every address of the configuration.
    pub fn bind(config: &DnsConfig) -> Result<Self, BindError> {
        let mut bound = Vec::with_capacity(config.listen.len());
        for &address in &config.listen {
            bound.push(bind_address(address, config.threads.max(1))?);
        }
        Ok(Self { bound, limits: config.limits.clone() })
    }

    /// The addresses, with the ports that were taken for port 0.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.bound.iter().map(|bound| bound.address).collect()
    }

    /// Serves until `shutdown`; the handle ends when the last answer has left or was given up.
    ///
    /// Must be called within a tokio runtime; fails if that refuses a socket.
    pub fn serve<J: Judge>(
        self,
        handler: Arc<Handler<J>>,
        shutdown: CancellationToken,
    ) -> io::Result<JoinHandle<()>> {
        let drain = self.limits.drain;
        let gauge = handler.metrics().tcp_connections.clone();
        let shared = Arc::new(Shared {
            handler,
            pace: Pace::new(self.limits.answers_per_network, self.limits.slip),
            waiting: Arc::new(Semaphore::new(self.limits.waiting)),
            connections: Connections::new(&self.limits, gauge),
            limits: self.limits,
            tasks: TaskTracker::new(),
            stop: shutdown.clone(),
            give_up: CancellationToken::new(),
        });
        let mut udp_sockets = Vec::new();
        let runtime = Handle::current();
        let mut tcp_listeners = Vec::new();
        for bound in self.bound {
            tcp_listeners.push(TcpListener::from_std(bound.tcp)?);
            for socket in bound.udp {
                socket.set_nonblocking(false)?;
                socket.set_read_timeout(Some(udp::STOP_CHECK))?;
                udp_sockets.push(socket);
            }
        }
        for listener in tcp_listeners {
            shared.tasks.spawn(tcp::serve(listener, Arc::clone(&shared)));
        }
        for socket in udp_sockets {
            let (of_thread, runtime) = (Arc::clone(&shared), runtime.clone());
            shared.tasks.spawn_blocking(move || udp::serve(socket, &of_thread, &runtime));
        }
        Ok(tokio::spawn(async move {
            shutdown.cancelled().await;
            shared.tasks.close();
            if tokio::time::timeout(drain, shared.tasks.wait()).await.is_err() {
                tracing::warn!("Some DNS answers were given up at shutdown");
                shared.give_up.cancel();
                shared.tasks.wait().await;
            }
        }))
    }
}

fn bind_address(address: SocketAddr, sockets: usize) -> Result<Bound, BindError> {
    let mut tries = if address.port() == 0 { FREE_PORT_TRIES } else { 1 };
    loop {
        tries -= 1;
        let tcp =
            bind_tcp(address).map_err(|source| BindError { address, transport: "TCP", source })?;
        let taken =
            tcp.local_addr().map_err(|source| BindError { address, transport: "TCP", source })?;
        match bind_udp(taken, sockets) {
            Ok(udp) => return Ok(Bound { address: taken, tcp, udp }),
            // The free TCP port is somebody's UDP port: take another.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries > 0 => {}
            Err(source) => return Err(BindError { address: taken, transport: "UDP", source }),
        }
    }
}

/// A listener that does not block.
pub(crate) fn bind_tcp(address: SocketAddr) -> io::Result<StdTcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    only_its_family(&socket, address)?;
    // A restart must not wait for old connections in TIME_WAIT; a second listener still fails.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// With SO_REUSEPORT the kernel lets a second daemon of ours take half of the questions, without a
/// word. So the port is first taken without it, which fails if anybody has it.
fn bind_udp(address: SocketAddr, sockets: usize) -> io::Result<Vec<StdUdpSocket>> {
    if sockets == 1 {
        return Ok(vec![bind_one_udp(address, Sharing::Alone)?]);
    }
    drop(bind_one_udp(address, Sharing::Alone)?);
    (0..sockets).map(|_| bind_one_udp(address, Sharing::Shared)).collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    Alone,
    Shared,
}

fn bind_one_udp(address: SocketAddr, sharing: Sharing) -> io::Result<StdUdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    only_its_family(&socket, address)?;
    socket.set_reuse_port(sharing == Sharing::Shared)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.bind(&address.into())?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// `[::]` is all of IPv6 and nothing else, so that `0.0.0.0` can stand beside it.
fn only_its_family(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    if address.is_ipv6() { socket.set_only_v6(true) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(address: SocketAddr, threads: usize) -> DnsConfig {
        DnsConfig { listen: vec![address], threads, ..DnsConfig::default() }
    }

    fn loopback(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn a_taken_port_is_an_error_that_names_it() {
        for threads in [1, 3] {
            let first = Listeners::bind(&config(loopback(0), threads)).expect("a free port");
            let address = *first.local_addrs().first().expect("one address");
            assert_ne!(address.port(), 0);
            let error = Listeners::bind(&config(address, threads)).expect_err("taken");
            let said = error.to_string();
            assert_eq!(said, format!("cannot listen on {address} (TCP)"));
            drop(first);
            Listeners::bind(&config(address, threads)).expect("free again");
        }
    }

    #[test]
    fn a_port_shared_by_others_is_taken() {
        // Taken over UDP alone, by somebody who would share it.
        let other = bind_one_udp(loopback(0), Sharing::Shared).expect("a free port");
        let address = other.local_addr().expect("bound");
        for threads in [1, 2] {
            let error = Listeners::bind(&config(address, threads)).expect_err("taken");
            assert_eq!((error.transport, error.address), ("UDP", address), "{threads} threads");
        }
    }

    #[test]
    fn both_families_have_their_own_port() {
        let v4 = Listeners::bind(&config(loopback(0), 1)).expect("a free port");
        let port = v4.local_addrs().first().expect("one address").port();
        let v6 = SocketAddr::from(([0; 16], port));
        if let Err(error) = Listeners::bind(&config(v6, 2)) {
            // A machine without IPv6 says so; a clash between the families must not be.
            assert_ne!(error.source.kind(), io::ErrorKind::AddrInUse, "{error}");
        }
    }
}
