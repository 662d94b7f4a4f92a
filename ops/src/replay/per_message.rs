//! `--per-message`: one line a message, so that anybody can compute figures of their own.
//!
//! Comma separated values with a heading (RFC 4180, but lines end with a line feed alone): `seq` as in the file, or the
//! message's place in the order of time where the file has none; what the policy says; then when, who reported it, the
//! address, the name in EHLO, and the score before it was rounded. With two policies the columns of the second follow;
//! with `--measures` one for each key of points, by how much the number is multiplied, and whether the network is crowded.

use std::io::{self, Write};
use std::net::IpAddr;

use helostat_zones::time::{DAY_SECONDS, Day, Time};

use super::account::first_reason;
use helostat_zones::measures::Measures;
use helostat_zones::policy::Points;
use helostat_zones::replay::Judged;

const HEADING: &str = "seq,score,class,confidence,reason,time,site,ip,name,logit";
const HEADING_SECOND: &str = ",score_2,class_2,confidence_2,reason_2,logit_2";

/// Writes the lines.
pub struct PerMessage {
    out: Box<dyn Write>,
    /// A day and its date.
    date: (Day, String),
}

/// What a line says beside the judgements.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// The number.
    pub seq: u64,
    /// When.
    pub time: Time,
    /// Who reported it.
    pub site: &'a str,
    /// The exact address.
    pub ip: IpAddr,
    /// The name, normalised.
    pub name: &'a str,
    /// What was measured, and whether the network is crowded, where that is asked for.
    pub measured: Option<(Measures, bool)>,
}

impl PerMessage {
    /// Begins with the heading.
    pub fn new(mut out: Box<dyn Write>, policies: usize, measures: bool) -> io::Result<Self> {
        let second = if policies > 1 { HEADING_SECOND } else { "" };
        write!(out, "{HEADING}{second}")?;
        if measures {
            Points::KEYS.iter().try_for_each(|(key, _)| write!(out, ",{key}"))?;
            out.write_all(b",crowded")?;
        }
        out.write_all(b"\n")?;
        Ok(Self { out, date: (Day(0), "1970-01-01".to_owned()) })
    }

    /// Writes a line.
    pub fn line(&mut self, line: &Line<'_>, judged: &[Judged]) -> io::Result<()> {
        let Line { seq, time, site, ip, name, measured } = *line;
        let Some((first, second)) = judged.split_first() else { return Ok(()) };
        if self.date.0 != time.day() {
            let text = time.to_string();
            self.date = (time.day(), text.get(..10).unwrap_or(&text).to_owned());
        }
        let out = &mut self.out;
        let Judged { score, class, confidence, .. } = first;
        write!(out, "{seq},{score},{class},{confidence},{},", first_reason(first))?;
        let second_of_day = time.0 % DAY_SECONDS;
        let (hour, minute) = (second_of_day / 3600, second_of_day / 60 % 60);
        write!(out, "{}T{hour:02}:{minute:02}:{:02}Z,", self.date.1, second_of_day % 60)?;
        field(out, site)?;
        write!(out, ",{ip},")?;
        field(out, name)?;
        write!(out, ",{:.4}", first.logit)?;
        for judged in second {
            let Judged { score, class, confidence, logit, .. } = judged;
            write!(out, ",{score},{class},{confidence},{},{logit:.4}", first_reason(judged))?;
        }
        if let Some((measures, crowded)) = measured {
            // Most of them are none.
            for amount in measures.amounts() {
                if amount == 0.0 { out.write_all(b",0")? } else { write!(out, ",{amount:.6}")? }
            }
            write!(out, ",{}", u8::from(crowded))?;
        }
        out.write_all(b"\n")
    }

    /// Everything is written.
    pub fn finish(mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Text, quoted where it must be.
fn field(out: &mut dyn Write, text: &str) -> io::Result<()> {
    if !text.contains([',', '"', '\n', '\r']) {
        return out.write_all(text.as_bytes());
    }
    write!(out, "\"{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use helostat_zones::verdict::Class;

    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("nobody panics").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_are_rows() {
        let out = Shared::default();
        let mut lines = PerMessage::new(Box::new(out.clone()), 1, false).expect("memory");
        let judged = [Judged {
            class: Class::Listed,
            score: 3,
            confidence: 40,
            reasons: vec![("junk", -40)],
            listed_for: Vec::new(),
            logit: -2.5,
        }];
        for (site, name) in [("mx", "a.example.com"), ("m,x", "say \"hi\", you")] {
            let line = Line {
                seq: 7,
                time: Time(1_795_184_855),
                site,
                ip: "192.0.2.7".parse().expect("an address"),
                name,
                measured: None,
            };
            lines.line(&line, &judged).expect("memory");
        }
        lines.finish().expect("memory");
        let text = String::from_utf8(out.0.lock().expect("nobody panics").clone()).expect("text");
        assert_eq!(
            text,
            "seq,score,class,confidence,reason,time,site,ip,name,logit\n\
             7,3,listed,40,junk,2026-11-20T14:27:35Z,mx,192.0.2.7,a.example.com,-2.5000\n\
             7,3,listed,40,junk,2026-11-20T14:27:35Z,\"m,x\",192.0.2.7,\"say \"\"hi\"\", you\",-2.5000\n"
        );
    }
}
