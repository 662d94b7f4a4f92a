//! EHLO-forward: is the client's address one of the addresses of the name it said?
//!
//! One question: A (IPv4 client) or AAAA (IPv6 client) of the name. This is the "authentication" half
//! of CSV (draft-ietf-marid-csv-intro-02) and the comparison of RFC 5321 section 4.1.4, which says
//! that a mismatch alone must not be a reason to refuse mail: hosts behind NAT and pools mismatch.
//!
//! | finding | when |
//! |---|---|
//! | `pass` | the address is among them |
//! | `pass:literal` | an address literal that states the client's address |
//! | `fail:mismatch` | there are addresses of the family, none equal |
//! | `fail:literal-mismatch` | an address literal that states another |
//! | `none:noaddr` | no address of the family |
//! | `none:no-name` | what was said is neither a name that the DNS holds nor a literal |
//! | `temperror:*`, `permerror:alias-loop` | the question failed |

use std::net::IpAddr;

use super::dns_name::DnsName;
use super::finding::{Finding, FindingResult};
use super::inquiry::{HostAddresses, Inquiry};
use super::literal;
use super::lookup::Lookup;
use crate::name::{Name, NameKind};

/// What EHLO-forward says of the client at `ip` (canonical) that said `name`.
pub async fn evaluate<L: Lookup>(lookup: &L, ip: IpAddr, name: &Name) -> Finding {
    if name.kind() == NameKind::Literal {
        // A literal needs no question: it states an address itself.
        return literal::evaluate(ip, name);
    }
    let mut inquiry = Inquiry::new(lookup);
    let Some(host) = DnsName::of(name) else {
        return inquiry.conclude(FindingResult::None, Some("no-name"));
    };
    match inquiry.compare(&host, ip).await {
        HostAddresses::Include => inquiry.conclude(FindingResult::Pass, None),
        HostAddresses::Exclude => inquiry.conclude(FindingResult::Fail, Some("mismatch")),
        HostAddresses::Missing => inquiry.conclude(FindingResult::None, Some("noaddr")),
        HostAddresses::Failed(failure) => inquiry.give_up(failure),
    }
}
