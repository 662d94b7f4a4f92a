//! Slow verdicts, faults, limits and the end.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, UdpSocket};
use std::time::{Duration, Instant};

use helostat_server::ask::{AskError, Transport, ask};
use helostat_server::config::{DnsConfig, Limits};
use hickory_proto::op::{Message, ResponseCode};

use crate::support::*;

fn limited(change: impl FnOnce(&mut Limits)) -> Server {
    let mut limits = Limits::default();
    change(&mut limits);
    Server::start(&DnsConfig { threads: 1, limits, ..config() })
}

fn id(response: &[u8]) -> u8 {
    response[1]
}

fn with_id(mut packet: Vec<u8>, id: u8) -> Vec<u8> {
    packet[1] = id;
    packet
}

#[test]
fn a_slow_verdict_holds_up_nobody() {
    let server = limited(|_| {});
    let slow = with_id(query("slow.example.com.ehlo.z", A), 1);
    let fast = with_id(query("2.0.0.127.bl.z", A), 2);

    let socket = server.udp_socket();
    let start = Instant::now();
    socket.send(&slow).expect("sent");
    socket.send(&fast).expect("sent");
    let ids = [receive(&socket), receive(&socket)].map(|response| id(&response.expect("udp")));
    assert_eq!(ids, [2, 1], "UDP");
    assert!(start.elapsed() >= SLOW, "the slow one was answered when it was ready");

    let mut stream = server.tcp_stream();
    send_framed(&mut stream, &slow);
    send_framed(&mut stream, &fast);
    let ids = [receive_framed(&mut stream), receive_framed(&mut stream)];
    assert_eq!(ids.map(|response| id(&response.expect("tcp"))), [2, 1], "TCP");
}

#[test]
fn what_is_too_much_is_shed_and_counted() {
    let server = limited(|limits| limits.waiting = 1);
    let socket = server.udp_socket();
    for number in 1..=3 {
        socket.send(&with_id(query("slow.example.com.ehlo.z", A), number)).expect("sent");
    }
    socket.send(&with_id(query("2.0.0.127.bl.z", A), 9)).expect("sent");
    let ids = [receive(&socket), receive(&socket)].map(|response| id(&response.expect("udp")));
    assert_eq!(ids, [9, 1]);
    socket.set_read_timeout(Some(SLOW)).expect("a limit");
    assert_eq!(receive(&socket), None, "the others were dropped");
    assert_eq!(server.count("helostat_dns_dropped_total", &[("why", "shed")]), 2.0);
}

#[test]
fn faults_are_servfail_and_never_an_address() {
    let server = limited(|limits| limits.answer = Duration::from_millis(200));
    for name in ["panic.example.com.ehlo.z", "stuck.example.com.ehlo.z"] {
        let packet = query(name, A);
        for response in [server.udp(&packet), server.tcp(&packet)] {
            let message = Message::from_vec(&response.expect(name)).expect("a sound answer");
            assert_eq!(message.metadata.response_code, ResponseCode::ServFail, "{name}");
            assert!(message.answers.is_empty(), "{name}");
            assert_eq!(message.queries.len(), 1, "{name}");
        }
        assert!(server.udp(&query("2.0.0.127.bl.z", A)).is_some(), "after {name}");
    }
    assert_eq!(server.count("helostat_dns_questions_total", &[("result", "servfail")]), 4.0);
}

#[test]
fn connections_are_limited_and_counted() {
    let server = limited(|limits| limits.tcp_connections = 2);
    let packet = query("2.0.0.127.bl.z", A);
    let mut open: Vec<_> = (0..2).map(|_| server.tcp_stream()).collect();
    for stream in &mut open {
        send_framed(stream, &packet);
        assert!(receive_framed(stream).is_some());
    }
    assert_eq!(server.count("helostat_dns_tcp_connections", &[]), 2.0);
    let mut third = server.tcp_stream();
    let mut buffer = [0; 1];
    // Closed at once: an end, or a reset.
    assert!(matches!(third.read(&mut buffer), Ok(0) | Err(_)));
    assert_eq!(server.count("helostat_dns_dropped_total", &[("why", "tcp-limit")]), 1.0);
    drop(open);
    let deadline = Instant::now() + SOON;
    while server.count("helostat_dns_tcp_connections", &[]) > 0.0 {
        assert!(Instant::now() < deadline, "closed connections stay counted");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(server.tcp(&packet).is_some(), "room again");
}

#[test]
fn idle_and_malformed_connections_end() {
    let server = limited(|limits| limits.tcp_idle = Duration::from_millis(100));
    let packet = query("2.0.0.127.bl.z", A);
    let cut = [&[0, 200][..], &packet].concat();
    for (what, sent, why) in [
        ("nothing", &[][..], "tcp-idle"),
        ("half a length", &[0], "tcp-idle"),
        ("half a question", &cut, "tcp-idle"),
        ("no length", &[0, 0], "tcp-length"),
        ("too long", &[0xff, 0xff], "tcp-length"),
    ] {
        let before = server.count("helostat_dns_dropped_total", &[("why", why)]);
        let mut stream = server.tcp_stream();
        stream.write_all(sent).expect("sent");
        assert_eq!(receive_framed(&mut stream), None, "{what}");
        let after = server.count("helostat_dns_dropped_total", &[("why", why)]);
        assert_eq!(after - before, 1.0, "{what}");
    }
}

#[test]
fn many_questions_on_one_connection_are_all_answered() {
    let server = limited(|limits| limits.tcp_pipeline = 3);
    let mut stream = server.tcp_stream();
    let mut framed = Vec::new();
    for number in 0..200 {
        let packet = with_id(query("2.0.0.127.bl.z", A), number);
        framed.extend([0, packet.len() as u8]);
        framed.extend(packet);
    }
    stream.write_all(&framed).expect("sent");
    let mut ids: Vec<_> =
        (0..200).map(|_| id(&receive_framed(&mut stream).expect("an answer"))).collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..200).collect::<Vec<u8>>());
}

#[test]
fn answers_under_way_leave_before_the_end() {
    let mut server = limited(|_| {});
    let socket = server.udp_socket();
    socket.send(&query("slow.example.com.ehlo.z", A)).expect("sent");
    let mut stream = server.tcp_stream();
    send_framed(&mut stream, &query("slow.example.com.ehlo.z", A));
    std::thread::sleep(SLOW / 4);
    server.stop.cancel();
    let ended = server.ended.take().expect("running");
    let start = Instant::now();
    server.runtime.block_on(ended).expect("an orderly end");
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert!(receive(&socket).is_some(), "UDP");
    assert!(receive_framed(&mut stream).is_some(), "TCP");
    std::net::TcpStream::connect(server.address).expect_err("nobody listens");
}

#[test]
fn the_end_waits_for_nobody_longer_than_allowed() {
    let mut server = limited(|limits| limits.drain = Duration::from_millis(200));
    server.udp_socket().send(&query("stuck.example.com.ehlo.z", A)).expect("sent");
    let idle = server.tcp_stream();
    std::thread::sleep(Duration::from_millis(50));
    server.stop.cancel();
    let ended = server.ended.take().expect("running");
    let start = Instant::now();
    server.runtime.block_on(ended).expect("an orderly end");
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    drop(idle);
}

/// A server that cuts every datagram, ignores the first, and lies in between.
#[test]
fn the_client_repeats_checks_and_goes_to_tcp() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = listener.local_addr().expect("bound");
    let socket = UdpSocket::bind(address).expect("the same port");
    let served = std::thread::spawn(move || {
        let mut buffer = [0; 512];
        socket.recv_from(&mut buffer).expect("the first");
        let (length, source) = socket.recv_from(&mut buffer).expect("the second");
        let mut response = buffer[..length].to_vec();
        response[2] |= 0x82;
        let mut forged = response.clone();
        forged[0] ^= 1;
        socket.send_to(&forged, source).expect("sent");
        socket.send_to(&response, source).expect("sent");
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut question = receive_framed(&mut stream).expect("a question");
        question[2] |= 0x84;
        send_framed(&mut stream, &question);
    });
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let limit = Duration::from_secs(3);
    let reply = runtime.block_on(ask(address, "2.0.0.127.bl.z", "A", limit)).expect("an answer");
    assert_eq!((reply.over, reply.tc, reply.aa), (Transport::Tcp, false, true), "{reply}");
    served.join().expect("no fault");

    let silent = UdpSocket::bind(("127.0.0.1", 0)).expect("a free port");
    let address = silent.local_addr().expect("bound");
    let limit = Duration::from_millis(100);
    let error = runtime.block_on(ask(address, "z", "SOA", limit)).expect_err("silence");
    assert!(matches!(error, AskError::Timeout { .. }), "{error}");
}
