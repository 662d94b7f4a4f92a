//! A master file (RFC 1035 section 5) for BIND, NSD, Knot, PowerDNS and whoever else serves zones.
//!
//! Owners are relative to an `$ORIGIN` that is the zone; a record stands on one line, but for the SOA, which has its serial on a line of
//! its own. Texts are quoted: `"` and `\` behind a backslash, what is not printable as `\DDD`.
//!
//! Wildcards (RFC 4592) say what is said of a whole network, or of any name from a client. A wildcard does not reach below a name that
//! exists, and a name exists as soon as something lies below it: whoever makes the entries makes one below each of these names, too
//! ([`At::PairBelow`]).
//!
//! A hole is a TXT alone: the name exists, so that no wildcard answers, and it has no A. The server's own answer differs in that it has
//! neither.

use std::io::{self, Write};

use super::{At, Entry, Format, Head, Sheet, pair_owner, title};

/// What a hole says to people.
const HOLE: &str = "nothing is said here";
/// The longest character-string (RFC 1035 section 3.3).
const STRING_MAX: usize = 255;

/// A master file.
pub(super) struct ZoneFile;

impl Sheet for ZoneFile {
    fn head(&mut self, head: &Head, to: &mut dyn Write) -> io::Result<()> {
        writeln!(to, "; {}", title(Format::Bind, head))?;
        writeln!(to, "$ORIGIN {}.", head.zone)?;
        writeln!(to, "$TTL {}", head.ttl)?;
        authority(head, to)
    }

    fn entry(&mut self, head: &Head, entry: &Entry<'_>, to: &mut dyn Write) -> io::Result<()> {
        let mut write = |owner: String| records(&owner, entry, to);
        match entry.at {
            At::Clients(range) => range.owners(write),
            At::PairsOf(range) => range.pair_owners(write),
            // The name exists, so no wildcard above it reaches below it.
            At::Below(_) | At::PairBelow(..) if entry.is_hole() => Ok(()),
            At::Name(name) => write(name.to_owned()),
            At::Below(name) => write(format!("*.{name}")),
            At::Pair(ip, name) => write(pair_owner(head.kind, ip, name)),
            At::PairBelow(ip, name) => write(format!("*.{}", pair_owner(head.kind, ip, name))),
        }
    }

    fn end(&mut self, _: &Head, _: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}

/// The SOA, with the serial on a line of its own, and the NS.
pub(super) fn authority(head: &Head, to: &mut dyn Write) -> io::Result<()> {
    let Head { soa, serial, ns_ttl, .. } = head;
    let [refresh, retry, expire, minimum] = soa.times;
    writeln!(to, "@ {} IN SOA {}. {}. (", soa.ttl, soa.mname, soa.rname)?;
    writeln!(to, "\t{serial} ; serial")?;
    writeln!(to, "\t{refresh} {retry} {expire} {minimum} )")?;
    for server in &head.name_servers {
        writeln!(to, "@ {ns_ttl} IN NS {server}.")?;
    }
    Ok(())
}

fn records(owner: &str, entry: &Entry<'_>, to: &mut dyn Write) -> io::Result<()> {
    for value in entry.a {
        writeln!(to, "{owner} A {value}")?;
    }
    let text = if entry.is_hole() { Some(HOLE) } else { entry.txt };
    let Some(text) = text else { return Ok(()) };
    write!(to, "{owner} TXT")?;
    if text.is_empty() {
        write!(to, " \"\"")?;
    }
    for string in text.as_bytes().chunks(STRING_MAX) {
        write!(to, " \"")?;
        for &octet in string {
            match octet {
                b'"' | b'\\' => write!(to, "\\{}", char::from(octet))?,
                0x20..0x7f => to.write_all(&[octet])?,
                _ => write!(to, "\\{octet:03}")?,
            }
        }
        write!(to, "\"")?;
    }
    writeln!(to)
}
