//! The reverse tree: the names of an address, and the nodes above it.
//!
//! Every system that looks at reverse names looks at the same ones: at most so many, in sorted order,
//! so that the outcome does not depend on the order of an answer.

use std::net::IpAddr;

use super::dns_name::DnsName;
use super::inquiry::Inquiry;
use super::lookup::{Answer, Failure, Lookup, RecordData, RecordType};

/// The node of the reverse tree for the first `prefix` bits of an address; `prefix` is a multiple of 8
/// (IPv4) or 4 (IPv6) and at most the address's length.
pub(super) fn node(ip: IpAddr, prefix: usize) -> DnsName {
    let label_bits = if ip.is_ipv4() { 8 } else { 4 };
    DnsName::reverse(ip).ancestor(2 + prefix / label_bits)
}

/// The reverse names of an address, sorted, at most `limit`; none if there are none.
pub(super) async fn names<L: Lookup>(
    inquiry: &mut Inquiry<'_, L>,
    ip: IpAddr,
    limit: usize,
) -> Result<Vec<DnsName>, Failure> {
    let records = match inquiry.ask_common(&DnsName::reverse(ip), RecordType::Ptr).await {
        Answer::Found(found) => found.records,
        Answer::Absent(_) => return Ok(Vec::new()),
        Answer::Failed(failure) => return Err(failure),
    };
    let mut hosts: Vec<DnsName> = records
        .into_iter()
        .filter_map(|data| match data {
            RecordData::Ptr(host) => Some(host),
            _ => None,
        })
        .collect();
    hosts.sort();
    hosts.dedup();
    hosts.truncate(limit);
    Ok(hosts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_those_of_the_documents() {
        for (ip, prefix, expected) in [
            ("192.0.2.7", 32, "7.2.0.192.in-addr.arpa."),
            ("192.0.2.7", 24, "2.0.192.in-addr.arpa."),
            ("192.0.2.7", 16, "0.192.in-addr.arpa."),
            ("2001:db8::7", 64, "0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa."),
            ("2001:db8::7", 48, "0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa."),
            ("2001:db8::7", 32, "8.b.d.0.1.0.0.2.ip6.arpa."),
        ] {
            assert_eq!(node(ip.parse().expect(ip), prefix).to_string(), expected, "{ip}/{prefix}");
        }
    }
}
