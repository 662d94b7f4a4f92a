//! No packet makes the handler panic, and every response is sound.

use std::net::SocketAddr;
use std::sync::LazyLock;

use helostat_server::handler::Handler;
use hickory_proto::op::Message;
use hickory_server::net::xfer::Protocol;
use proptest::prelude::*;

use crate::support::*;

static SERVED: LazyLock<(std::sync::Arc<Handler<Tables>>, tokio::runtime::Runtime)> =
    LazyLock::new(|| {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        (handler(&config()).0, runtime)
    });

fn check(packet: &[u8], protocol: Protocol) -> Result<(), TestCaseError> {
    let (handler, runtime) = &*SERVED;
    let source = SocketAddr::from(([127, 0, 0, 1], 5353));
    let response = runtime.block_on(handler.respond(packet.to_vec(), source, protocol));
    let silent = packet.len() < 12 || packet[2] & 0x80 != 0;
    prop_assert_eq!(response.is_none(), silent, "{:02x?}", packet);
    let Some(response) = response else {
        return Ok(());
    };
    prop_assert_eq!(&response[..2], &packet[..2], "the id");
    prop_assert!(response.len() <= 1232, "{} octets", response.len());
    let message = Message::from_vec(&response);
    prop_assert!(message.is_ok(), "{:?} for {:02x?}", message, packet);
    let code = message.ok().map(|message| message.metadata.response_code);
    prop_assert_ne!(code, Some(hickory_proto::op::ResponseCode::ServFail), "{:02x?}", packet);
    Ok(())
}

fn ten_thousand() -> ProptestConfig {
    ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() }
}

fn sound() -> impl Strategy<Value = Vec<u8>> {
    let names = proptest::sample::select(vec![
        "7.2.0.192.bl.z",
        "mail.example.com.9.2.0.192.pair.z",
        "MaIl.example.com.ehlo.z",
        "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.bl.z",
        "z",
        "ns.z",
        "x.other",
    ]);
    let types = prop_oneof![Just(A), Just(TXT), Just(ANY), Just(AXFR), any::<u16>()];
    let options = proptest::collection::vec(any::<u8>(), 0..30);
    (names, types, any::<u16>(), any::<u16>(), proptest::option::of(options)).prop_map(
        |(name, rtype, size, flags, options)| match options {
            Some(options) => with_opt(query(name, rtype), size, 0, flags, &options),
            None => query(name, rtype),
        },
    )
}

proptest! {
    #![proptest_config(ten_thousand())]

    #[test]
    fn random_packets(packet in proptest::collection::vec(any::<u8>(), 0..600), tcp: bool) {
        check(&packet, if tcp { Protocol::Tcp } else { Protocol::Udp })?;
    }

    #[test]
    fn random_bodies_of_queries(body in proptest::collection::vec(any::<u8>(), 0..300), counts: [u8; 3]) {
        let [answers, authorities, additionals] = counts.map(|count| count % 4);
        let mut packet = vec![1, 2, 0, 0, 0, 1, 0, answers, 0, authorities, 0, additionals];
        packet.extend(body);
        check(&packet, Protocol::Udp)?;
    }

    #[test]
    fn mutated_queries(
        mut packet in sound(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        for (place, value) in changes {
            let place = place.index(packet.len());
            packet[place] = value;
        }
        if let Some(cut) = cut {
            packet.truncate(cut.index(packet.len()));
        }
        check(&packet, Protocol::Udp)?;
    }

    #[test]
    fn names_of_any_labels(
        labels in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..20), 0..9),
        kind in proptest::sample::select(vec!["bl", "wl", "score", "ehlo", "pair"]),
    ) {
        let mut packet = vec![1, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in labels.iter().map(Vec::as_slice).chain([kind.as_bytes(), b"z"]) {
            packet.push(label.len() as u8);
            packet.extend(label);
        }
        packet.extend([0, 0, 1, 0, 1]);
        check(&packet, Protocol::Udp)?;
    }
}
