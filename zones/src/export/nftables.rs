//! Two sets for nftables, one for each family: `nft -f FILE` puts them in the place of what was there, at once or not at all.
//!
//! ```text
//! table inet helostat {
//!   set bl_v4 { type ipv4_addr; flags interval; }
//!   set bl_v6 { type ipv6_addr; flags interval; }
//! }
//! flush set inet helostat bl_v4
//! flush set inet helostat bl_v6
//! add element inet helostat bl_v4 { 192.0.2.7, 198.51.100.0/24, ... }
//! ```
//!
//! No rules: what is done with who is in a set, the operator says in the table `inet helostat` or by a rule of that table. `wl` has whom
//! is trusted at level 2 or more, as for Postfix.
//!
//! 127.0.0.0/8 is left out, listed or not, and with it the test points: a rule must not cut a host off from itself.

use std::io::{self, Write};

use ipnet::IpNet;

use super::{At, Entry, Format, Head, Sheet, title};

/// The table in which the sets are.
const TABLE: &str = "inet helostat";
/// So many elements are added by one command: none becomes longer than some tens of kilobytes.
const AT_ONCE: usize = 1000;

/// Two sets.
#[derive(Default)]
pub(super) struct Nftables {
    /// The family and the number of elements of the command that is being written.
    begun: Option<(&'static str, usize)>,
}

impl Nftables {
    fn add(&mut self, net: IpNet, head: &Head, to: &mut dyn Write) -> io::Result<()> {
        let family = match net {
            IpNet::V4(_) => "v4",
            IpNet::V6(_) => "v6",
        };
        let count = match self.begun {
            Some((begun, count)) if begun == family && count < AT_ONCE => {
                write!(to, ",\n {net}")?;
                count + 1
            }
            begun => {
                if begun.is_some() {
                    writeln!(to, " }}")?;
                }
                write!(to, "add element {TABLE} {}_{family} {{ {net}", head.kind.label())?;
                1
            }
        };
        self.begun = Some((family, count));
        Ok(())
    }
}

impl Sheet for Nftables {
    fn head(&mut self, head: &Head, to: &mut dyn Write) -> io::Result<()> {
        let kind = head.kind.label();
        writeln!(to, "# {}", title(Format::Nftables, head))?;
        writeln!(to, "table {TABLE} {{")?;
        writeln!(to, "\tset {kind}_v4 {{ type ipv4_addr; flags interval; }}")?;
        writeln!(to, "\tset {kind}_v6 {{ type ipv6_addr; flags interval; }}")?;
        writeln!(to, "}}")?;
        writeln!(to, "flush set {TABLE} {kind}_v4")?;
        writeln!(to, "flush set {TABLE} {kind}_v6")
    }

    fn entry(&mut self, head: &Head, entry: &Entry<'_>, to: &mut dyn Write) -> io::Result<()> {
        let At::Clients(range) = entry.at else { return Ok(()) };
        if !super::postfix::is_member(head.kind, entry) {
            return Ok(());
        }
        let mut nets = range.without_loopback().flat_map(|range| range.prefixes(1));
        nets.try_for_each(|net| self.add(net, head, to))
    }

    fn end(&mut self, _: &Head, to: &mut dyn Write) -> io::Result<()> {
        if self.begun.is_some() { writeln!(to, " }}") } else { Ok(()) }
    }
}
