//! Observations as a table: `seq,t,ip,helo,rdns,rdns_forged,label,site,class,sender,outcome`.
//!
//! `label` is `ham` or `spam` by the truth; `rdns` is the reverse name whether it leads back (`rdns_forged` 0) or not
//! (1), empty if there is none; `site` is the reporter. The last three are ours: the word of the class, the number of
//! the sender, and what the site did. The program reads such tables as mail that was taken, and passes over columns
//! it does not know: who wants only what was taken leaves out the other rows, or makes a world that refuses nothing.
//! RFC 4180 quoting.

use std::io::{self, Write};

use crate::world::World;

/// The heading.
pub const HEADING: &str = "seq,t,ip,helo,rdns,rdns_forged,label,site,class,sender,outcome";

/// Writes all messages.
pub fn write(world: &World, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{HEADING}")?;
    for message in world.messages() {
        let (seen, truth) = (&message.observation, &message.truth);
        let (seq, time, ip, helo) = (message.seq, seen.time, seen.ip, field(seen.name.text()));
        let rdns = truth.pair.dns.rdns.as_deref().unwrap_or_default();
        let forged = u8::from(!rdns.is_empty() && !truth.pair.dns.confirmed);
        let label = if truth.good { "ham" } else { "spam" };
        let (site, class, sender) = (&seen.reporter, truth.class, truth.sender.id);
        let outcome = seen.outcome;
        writeln!(
            out,
            "{seq},{time},{ip},{helo},{rdns},{forged},{label},{site},{class},{sender},{outcome}"
        )?;
    }
    Ok(())
}

/// A field, in quotes if it needs them.
fn field(text: &str) -> String {
    if text.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::field;

    #[test]
    fn quotes_only_what_needs_it() {
        for (text, expected) in [
            ("mail.example.com", "mail.example.com"),
            ("a,b", "\"a,b\""),
            ("a\"b", "\"a\"\"b\""),
            ("a b", "a b"),
        ] {
            assert_eq!(field(text), expected);
        }
    }
}
