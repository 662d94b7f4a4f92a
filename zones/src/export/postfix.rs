//! A `cidr` table for Postfix (cidr_table(5)), to be named in `check_client_access`.
//!
//! `bl` says `REJECT 5.7.1` and the text. `wl` says `permit_auth_destination` to whom is trusted at level 2 or more, as `docs/mta.md`
//! has it for DNS: who has earned trust may pass the checks behind it, and cannot relay because of it.
//!
//! Not done here: what else Postfix could do with it. Postfix reads the table when a process of it starts, and looks
//! through it from the beginning for each client: some ten thousand entries are enough.

use std::io::{self, Write};

use super::{At, Entry, Format, Head, Sheet, title};
use crate::key::Kind;

/// A table.
pub(super) struct Postfix(pub(super) Kind);

impl Sheet for Postfix {
    fn head(&mut self, head: &Head, to: &mut dyn Write) -> io::Result<()> {
        writeln!(to, "# {}", title(Format::PostfixCidr, head))
    }

    fn entry(&mut self, _: &Head, entry: &Entry<'_>, to: &mut dyn Write) -> io::Result<()> {
        let At::Clients(range) = entry.at else { return Ok(()) };
        if !is_member(self.0, entry) {
            return Ok(());
        }
        for net in range.prefixes(1) {
            match self.0 {
                Kind::Wl => writeln!(to, "{net} permit_auth_destination")?,
                _ => {
                    write!(to, "{net} REJECT 5.7.1 ")?;
                    for octet in entry.txt.unwrap_or("listed").bytes() {
                        to.write_all(&[if (0x20..0x7f).contains(&octet) { octet } else { b'?' }])?;
                    }
                    writeln!(to)?;
                }
            }
        }
        Ok(())
    }

    fn end(&mut self, _: &Head, _: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}

/// The least level of trust with which a client belongs into a set of trusted ones.
const TRUSTED: u8 = 2;

/// True if it belongs into a set of such clients: listed ones, or trusted ones.
pub(super) fn is_member(kind: Kind, entry: &Entry<'_>) -> bool {
    match kind {
        Kind::Wl => entry.a.iter().any(|value| value.octets()[3] >= TRUSTED),
        _ => !entry.a.is_empty(),
    }
}
