//! An address literal: does it state the client's own address (RFC 5321 section 4.1.3)?
//!
//! No question is asked. A host without a name is told to say its address in brackets, and then there is
//! nothing to look up: the address is the client's or it is not. A host behind NAT that states its inner
//! address is wrong too, so that a mismatch is a bad sign and no proof.
//!
//! | finding | when |
//! |---|---|
//! | `pass:literal` | it states the client's address |
//! | `fail:literal-mismatch` | it states another, or one of the other family |
//! | `none` | anything else was said, a bare address too (see [`super::syntax`]) |
//!
//! Addresses are compared in binary, and an IPv4-mapped one is the IPv4 address (RFC 7208 section 5).

use std::net::IpAddr;

use super::finding::{Finding, FindingResult};
use super::lookup::Holds;
use crate::name::{Name, NameKind};

/// What a literal says of the client at `ip` (canonical) that said `name`.
pub fn evaluate(ip: IpAddr, name: &Name) -> Finding {
    let (result, reason) = match stated(name) {
        None => (FindingResult::None, None),
        Some(stated) if stated == ip => (FindingResult::Pass, Some("literal")),
        Some(_) => (FindingResult::Fail, Some("literal-mismatch")),
    };
    // What was said stays said.
    Finding::plain(result, reason, Holds::default().positive_max)
}

/// The address inside the brackets.
fn stated(name: &Name) -> Option<IpAddr> {
    if name.kind() != NameKind::Literal {
        return None;
    }
    name.ip().map(|ip| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_compared_in_binary() {
        for (said, ip, expected) in [
            ("[192.0.2.7]", "192.0.2.7", "pass:literal"),
            ("[192.0.2.8]", "192.0.2.7", "fail:literal-mismatch"),
            ("[192.0.2.7] hello", "192.0.2.7", "pass:literal"),
            ("[IPv6:2001:DB8:0:0::7]", "2001:db8::7", "pass:literal"),
            ("[IPv6:2001:db8::8]", "2001:db8::7", "fail:literal-mismatch"),
            ("[IPv6:2001:db8::7]", "192.0.2.7", "fail:literal-mismatch"),
            ("[IPv6:::ffff:192.0.2.7]", "192.0.2.7", "pass:literal"),
            ("[192.0.2.300]", "192.0.2.7", "none"),
            ("192.0.2.7", "192.0.2.7", "none"),
            ("mail.example.com", "192.0.2.7", "none"),
            ("", "192.0.2.7", "none"),
        ] {
            let found = evaluate(ip.parse().expect(ip), &Name::parse(said.as_bytes()));
            assert_eq!(found.to_string(), expected, "{said:?} from {ip}");
        }
    }
}
