//! Domain names of the configuration: origins, name servers, contacts.
//!
//! Text in, the name in lower case without a trailing dot out; the error is a reason that goes on
//! after "but is ...: ". Letters, digits, `-` and `_` only (RFC 1035 section 2.3.1, with the
//! underscore that real names have), so a name never needs escaping where it is shown. A name in
//! another script is written in its `xn--` form; this is not converted here.

use std::fmt;

/// The longest name in text form (RFC 1035 section 2.3.4, without the root's dot).
const NAME_MAX: usize = 253;
/// The longest label (RFC 1035 section 2.3.4).
const LABEL_MAX: usize = 63;

/// A domain name in lower case, without a trailing dot; never the root.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainName(Box<str>);

impl DomainName {
    /// Reads a name in any case, with or without a trailing dot.
    pub fn parse(text: &str) -> Result<Self, String> {
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        if name.is_empty() {
            return Err("it is empty".into());
        }
        if name.contains('@') {
            return Err("write a mail address with a dot for its @".into());
        }
        if !name.is_ascii() {
            return Err("write its xn-- form".into());
        }
        if name.len() > NAME_MAX {
            return Err(format!("it is longer than {NAME_MAX} characters"));
        }
        for label in name.split('.') {
            check_label(label)?;
        }
        // An address is no name; a top label of digits alone would look like one (RFC 3696 section 2).
        let top = name.rsplit('.').next().unwrap_or(&name);
        if top.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("its last label is a number".into());
        }
        Ok(Self(name.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True if this name is `apex` or lies below it.
    pub fn is_within(&self, apex: &str) -> bool {
        let above = self.0.strip_suffix(apex);
        above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn check_label(label: &str) -> Result<(), String> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if label.is_empty() {
        return Err("two dots stand together, or one at its start".into());
    }
    if label.len() > LABEL_MAX {
        return Err(format!("a label is longer than {LABEL_MAX} characters"));
    }
    if !label.bytes().all(good) {
        return Err("it has characters that no host name has".into());
    }
    if label.starts_with('-') || label.ends_with('-') {
        return Err("a label begins or ends with a hyphen".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names() {
        let long = format!("{}.test", "a".repeat(64));
        let longer = "abcdefg.".repeat(32);
        for (text, name) in [
            ("rep.example.net", Some("rep.example.net")),
            ("Rep.Example.NET.", Some("rep.example.net")),
            ("_rep.xn--strae-oqa.example", Some("_rep.xn--strae-oqa.example")),
            ("internal", Some("internal")),
            ("", None),
            (".", None),
            ("a..b", None),
            (".a", None),
            ("-a.test", None),
            ("a-.test", None),
            ("a b.test", None),
            ("192.0.2.7", None),
            ("straße.example", None),
            ("postmaster@example.net", None),
            (&long, None),
            (&longer, None),
        ] {
            let read = DomainName::parse(text).ok();
            assert_eq!(read.as_ref().map(DomainName::as_str), name, "{text:?}");
        }
    }

    #[test]
    fn knows_what_lies_below() {
        for (name, apex, within) in [
            ("bl.rep.test", "rep.test", true),
            ("rep.test", "rep.test", true),
            ("brep.test", "rep.test", false),
            ("test", "rep.test", false),
        ] {
            let read = DomainName::parse(name).expect(name);
            assert_eq!(read.is_within(apex), within, "{name} within {apex}");
        }
    }
}
