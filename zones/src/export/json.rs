//! JSON lines: the first tells of the zone, each further one of an entry.
//!
//! ```text
//! {"writer":"helostat 0.1.0","version":1,"zone":"bl.rep.example.net","kind":"bl","serial":42,"time":"...","ttl":300}
//! {"net":"192.0.2.7/32","a":["127.0.0.2","127.0.0.4"],"txt":"helostat: listed ...","until":"..."}
//! {"name":"bad.example","a":["127.0.1.2"],...}               in ehlo and dna; "below":"bad.example" for all names below it
//! {"client":"192.0.2.7","name":"mail.example.com",...}        in pair and fp; "below":"" for any other name of the client
//! {"net":"198.51.100.0/24","below":"",...}                    in pair and fp: any name from these addresses
//! ```
//!
//! The most specific line counts: a name before what is above it, and the longest `below` before others. A line with an empty `a` and
//! without a `txt` says that nothing is said there. `version` changes when a reader has to.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use serde::Serialize;

use super::{At, Entry, Head, Sheet, WRITER};
use crate::time::Time;

/// The version of the layout.
const VERSION: u32 = 1;

/// JSON lines.
pub(super) struct Json;

#[derive(Serialize)]
struct Title<'a> {
    writer: &'a str,
    version: u32,
    zone: &'a str,
    kind: &'a str,
    serial: u32,
    time: Time,
    ttl: u32,
}

#[derive(Serialize, Default)]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    net: Option<IpNet>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    below: Option<&'a str>,
    a: &'a [Ipv4Addr],
    #[serde(skip_serializing_if = "Option::is_none")]
    txt: Option<&'a str>,
    until: Time,
}

impl Sheet for Json {
    fn head(&mut self, head: &Head, to: &mut dyn Write) -> io::Result<()> {
        let Head { zone, kind, serial, time, ttl, .. } = head;
        let (serial, time, ttl) = (*serial, *time, *ttl);
        write(
            &Title {
                writer: WRITER,
                version: VERSION,
                zone,
                kind: kind.label(),
                serial,
                time,
                ttl,
            },
            to,
        )
    }

    fn entry(&mut self, _: &Head, entry: &Entry<'_>, to: &mut dyn Write) -> io::Result<()> {
        let Entry { a, txt, until, .. } = *entry;
        let line = Line { a, txt, until, ..Line::default() };
        let (range, below) = match entry.at {
            At::Clients(range) => (range, None),
            At::PairsOf(range) => (range, Some("")),
            At::Name(name) => return write(&Line { name: Some(name), ..line }, to),
            At::Below(name) => return write(&Line { below: Some(name), ..line }, to),
            At::Pair(ip, name) => {
                return write(&Line { client: Some(ip), name: Some(name), ..line }, to);
            }
            At::PairBelow(ip, name) => {
                return write(&Line { client: Some(ip), below: Some(name), ..line }, to);
            }
        };
        for net in range.prefixes(1) {
            write(&Line { net: Some(net), below, a, txt, until, ..Line::default() }, to)?;
        }
        Ok(())
    }

    fn end(&mut self, _: &Head, _: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}

fn write(line: &impl Serialize, to: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer(&mut *to, line)?;
    to.write_all(b"\n")
}
