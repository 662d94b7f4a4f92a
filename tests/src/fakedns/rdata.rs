//! Record data in master-file form (RFC 1035 section 5.1), for the types that evidence asks for.
//!
//! In goes a type and the rest of a line; out comes data or a sentence that says what is wrong. All
//! names are absolute. No parentheses, no comments, no `@`: test data does not need them.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use helostat_zones::evidence::{DnsName, RecordData, RecordType};
use ipnet::IpNet;

/// Reads the data of a record of type `kind`.
pub(super) fn parse(kind: RecordType, text: &str) -> Result<RecordData, String> {
    let mut fields = Fields(text.split_ascii_whitespace());
    let data = match kind {
        RecordType::A => RecordData::A(fields.number::<Ipv4Addr>("an IPv4 address")?),
        RecordType::Aaaa => RecordData::Aaaa(fields.number::<Ipv6Addr>("an IPv6 address")?),
        RecordType::Ptr => RecordData::Ptr(fields.name()?),
        RecordType::Mx => {
            RecordData::Mx { preference: fields.number("a preference")?, exchange: fields.name()? }
        }
        RecordType::Rp => RecordData::Rp { mailbox: fields.name()?, text: fields.name()? },
        RecordType::Srv => RecordData::Srv {
            priority: fields.number("a priority")?,
            weight: fields.number("a weight")?,
            port: fields.number("a port")?,
            target: fields.name()?,
        },
        RecordType::Txt => return Ok(RecordData::Txt(strings(text)?)),
        RecordType::Apl if text.trim_start().starts_with("\\#") => {
            return generic(text).map(|octets| RecordData::Apl(octets.into()));
        }
        RecordType::Apl => return prefixes(text).map(|octets| RecordData::Apl(octets.into())),
        RecordType::Private(number) => {
            return generic(text).map(|octets| RecordData::Private(number, octets.into()));
        }
    };
    fields.end()?;
    Ok(data)
}

/// Reads the one name that is the data of a CNAME or DNAME.
pub(super) fn parse_target(text: &str) -> Result<DnsName, String> {
    let mut fields = Fields(text.split_ascii_whitespace());
    let name = fields.name()?;
    fields.end()?;
    Ok(name)
}

struct Fields<'a>(std::str::SplitAsciiWhitespace<'a>);

impl Fields<'_> {
    fn number<T: FromStr>(&mut self, what: &str) -> Result<T, String> {
        let word = self.0.next().ok_or_else(|| format!("{what} is missing"))?;
        word.parse().map_err(|_| format!("'{word}' is not {what}"))
    }

    fn name(&mut self) -> Result<DnsName, String> {
        let word = self.0.next().ok_or("a name is missing")?;
        DnsName::parse(word).ok_or_else(|| format!("'{word}' is not a name"))
    }

    fn end(&mut self) -> Result<(), String> {
        self.0.next().map_or(Ok(()), |word| Err(format!("'{word}' is one word too many")))
    }
}

/// Quoted strings or bare words, each at most 255 octets.
fn strings(text: &str) -> Result<Vec<Box<[u8]>>, String> {
    let mut strings: Vec<Box<[u8]>> = Vec::new();
    let mut rest = text.trim_ascii_start().bytes().peekable();
    while let Some(first) = rest.next() {
        let quoted = first == b'"';
        let mut string = Vec::new();
        let mut next = if quoted { rest.next() } else { Some(first) };
        loop {
            match next {
                None if quoted => return Err("a quote is not closed".to_owned()),
                None => break,
                Some(b'"') if quoted => break,
                Some(byte) if !quoted && byte.is_ascii_whitespace() => break,
                Some(b'\\') => string.push(escaped(&mut rest)?),
                Some(byte) => string.push(byte),
            }
            next = rest.next();
        }
        if string.len() > 255 {
            return Err(format!("a string of {} octets does not fit", string.len()));
        }
        strings.push(string.into());
        while rest.next_if(u8::is_ascii_whitespace).is_some() {}
    }
    if strings.is_empty() {
        return Err("a string is missing".to_owned());
    }
    Ok(strings)
}

fn escaped(rest: &mut impl Iterator<Item = u8>) -> Result<u8, String> {
    let first = rest.next().ok_or("a backslash ends the line")?;
    if !first.is_ascii_digit() {
        return Ok(first);
    }
    let digits: String =
        [Some(first), rest.next(), rest.next()].into_iter().flatten().map(char::from).collect();
    digits.parse().map_err(|_| format!("'\\{digits}' is not an octet"))
}

/// `\# length hex` (RFC 3597 section 5).
fn generic(text: &str) -> Result<Vec<u8>, String> {
    let wrong = || format!("'{text}' is not \\# LENGTH HEX");
    let mut words = text.split_ascii_whitespace();
    if words.next() != Some("\\#") {
        return Err(wrong());
    }
    let length: usize = words.next().and_then(|word| word.parse().ok()).ok_or_else(wrong)?;
    let digits: Vec<u8> = words.flat_map(str::bytes).collect();
    let octets: Option<Vec<u8>> = digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    octets.filter(|octets| octets.len() == length && digits.len() == 2 * length).ok_or_else(wrong)
}

/// APL items, `[!]afi:address/prefix`, as the octets of RFC 3123 section 4.
fn prefixes(text: &str) -> Result<Vec<u8>, String> {
    let mut octets = Vec::new();
    for item in text.split_ascii_whitespace() {
        let wrong = || format!("'{item}' is not an APL item");
        let positive = item.strip_prefix('!');
        let negation = if positive.is_some() { 0x80 } else { 0 };
        let (family, prefix) = positive.unwrap_or(item).split_once(':').ok_or_else(wrong)?;
        let prefix: IpNet = prefix.parse().map_err(|_| wrong())?;
        let (number, address) = match prefix {
            IpNet::V4(prefix) => (1u16, prefix.addr().octets().to_vec()),
            IpNet::V6(prefix) => (2u16, prefix.addr().octets().to_vec()),
        };
        if family != number.to_string() {
            return Err(wrong());
        }
        let kept = address.iter().rposition(|&octet| octet != 0).map_or(0, |last| last + 1);
        let length = u8::try_from(kept).map_err(|_| wrong())?;
        octets.extend(number.to_be_bytes());
        octets.extend([prefix.prefix_len(), negation | length]);
        octets.extend(address.iter().take(kept));
    }
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_data_is_read() {
        for (kind, text, shown) in [
            (RecordType::A, "192.0.2.7", "192.0.2.7"),
            (RecordType::Aaaa, "2001:db8::7", "2001:db8::7"),
            (RecordType::Srv, "1 2 0 mail.example.com.", "1 2 0 mail.example.com."),
            (RecordType::Mx, "0 .", "0 ."),
            (RecordType::Rp, "a.example. .", "a.example. ."),
            (RecordType::Txt, r#""a b" c "" "\"\065""#, r#""a b" "c" "" "\"A""#),
            // The examples of the RFC's layout.
            (RecordType::Apl, "1:192.0.2.0/24", "\\# 7 00 01 18 03 C0 00 02"),
            (RecordType::Apl, "!1:192.0.2.7/32", "\\# 8 00 01 20 84 C0 00 02 07"),
            (RecordType::Apl, "2:2001:db8::/32", "\\# 8 00 02 20 04 20 01 0D B8"),
            (RecordType::Apl, "1:0.0.0.0/0", "\\# 4 00 01 00 00"),
            (RecordType::Apl, "", "\\# 0"),
        ] {
            let data = parse(kind, text).expect(text);
            assert_eq!(data.to_string(), shown, "{kind} {text}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for (kind, text) in [
            (RecordType::A, "192.0.2.300"),
            (RecordType::A, ""),
            (RecordType::A, "192.0.2.7 192.0.2.8"),
            (RecordType::Srv, "1 2 mail.example.com."),
            (RecordType::Ptr, "a..b."),
            (RecordType::Txt, "\"open"),
            (RecordType::Txt, ""),
            (RecordType::Apl, "2:192.0.2.0/24"),
            (RecordType::Apl, "1:192.0.2.0/33"),
        ] {
            assert!(parse(kind, text).is_err(), "{kind} {text:?}");
        }
    }
}
