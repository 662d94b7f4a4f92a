//! Mail logs without end: what a busy Postfix or Exim writes, from a seed, faster than a disk takes it.
//!
//! In: a seed, how many clients there are, when the log begins and how many lines a day has. Out: lines, appended
//! to a buffer in pieces of any size; the same settings give the same lines. The lines have the shapes of the real
//! logs in ingest/testdata: Postfix with rsyslog's ISO stamps and the `INFO` line of the manual that names EHLO at
//! the end of each message, Exim's mainlog as it is by default (the `<=` line names EHLO).
//!
//! A few sessions run at once, so their lines interleave. Of a hundred sessions about 62 bring a message, 14 are
//! refused for an unknown recipient, 9 deferred (greylisting), 6 refused by a list, 5 leave in the middle and 4
//! bring nothing. Few clients come often and many seldom. A client always has one address, one name, and in two of
//! three cases a reverse name that leads back. Every eleventh is an IPv6 client.
//!
//! What is not done: hostile names (the formats' tests have them), logins, TLS lines of Postfix.

use helostat_zones::time::Time;

use crate::program::Random;

/// How many sessions run at once.
const AT_ONCE: usize = 6;
/// What hosts are called, and domains.
const HOSTS: [&str; 8] = ["mx", "mail", "smtp", "out", "relay", "mta", "srv", "web"];
const DOMAINS: [&str; 12] = [
    "alpha", "birch", "cedar", "delta", "ember", "fjord", "golf", "hotel", "india", "juliet",
    "kilo", "lima",
];
const ENDS: [&str; 6] =
    ["example", "example.com", "example.net", "example.org", "shop.test", "isp.test"];
const USERS: [&str; 8] = ["ada", "bob", "carol", "dave", "erin", "frank", "grace", "heidi"];

/// Which program's log it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mta {
    /// With the `INFO` line at the end of each message.
    Postfix,
    /// The mainlog with the default `log_selector`.
    Exim,
}

impl Mta {
    /// The stamp of a second.
    fn stamp(self, time: Time) -> Vec<u8> {
        let text = time.to_string().replace('Z', "");
        match self {
            Self::Postfix => text.into_bytes(),
            Self::Exim => text.replace('T', " ").into_bytes(),
        }
    }

    /// What stands between the stamp of a second and the text.
    fn after_stamp(self, micros: u64, out: &mut Vec<u8>) {
        if self == Self::Postfix {
            out.push(b'.');
            digits(out, micros, 6);
            out.extend_from_slice(b"+00:00 mx1 ");
        } else {
            out.push(b' ');
        }
    }
}

/// A log that goes on for as long as somebody asks for more.
pub struct MailLog {
    mta: Mta,
    random: Random,
    clients: u64,
    /// Microseconds since the epoch.
    clock: u64,
    /// Microseconds from one line to the next, on the average.
    step: u64,
    /// The stamp of `second`, without its fraction.
    stamp: Vec<u8>,
    second: u64,
    sessions: Vec<Running>,
    messages: u64,
    lines: u64,
}

/// What a session still has to write.
#[derive(Debug, Default)]
struct Running {
    text: Vec<u8>,
    done: usize,
}

/// Who comes.
pub(crate) struct Client {
    pub(crate) address: Vec<u8>,
    /// What it says in EHLO.
    pub(crate) name: Vec<u8>,
    /// Its reverse name, if that leads back.
    pub(crate) rdns: Option<Vec<u8>>,
}

/// What comes of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// A message is taken.
    Message,
    /// There is no such recipient.
    UnknownUser,
    /// It shall come again later.
    Greylisted,
    /// It is on a list.
    Blocked,
    /// It leaves in the middle.
    Lost,
    /// It brings nothing.
    Nothing,
}

impl Act {
    /// What the session of this number out of a hundred comes to.
    fn of(class: u64) -> Self {
        match class {
            0..62 => Self::Message,
            62..76 => Self::UnknownUser,
            76..85 => Self::Greylisted,
            85..91 => Self::Blocked,
            91..96 => Self::Lost,
            _ => Self::Nothing,
        }
    }
}

/// One session.
pub(crate) struct Session<'a> {
    pub(crate) client: &'a Client,
    pub(crate) act: Act,
    /// The recipient.
    pub(crate) user: &'a [u8],
    /// The number of the message; ids are made of it.
    pub(crate) message: u64,
    /// The number of the process.
    pub(crate) process: u64,
}

impl Session<'_> {
    /// Appends all of its lines, written at this moment.
    pub(crate) fn write(&self, mta: Mta, time: Time, out: &mut Vec<u8>) {
        let mut text = Vec::new();
        self.lines(mta, &mut text);
        let stamp = mta.stamp(time);
        let begin = self.message * 7919 % 900_000;
        for (number, line) in (0_u64..).zip(text.split_inclusive(|octet| *octet == b'\n')) {
            out.extend_from_slice(&stamp);
            mta.after_stamp(begin + 731 * number, out);
            out.extend_from_slice(line);
        }
    }

    /// Appends all of its lines without their stamps.
    fn lines(&self, mta: Mta, out: &mut Vec<u8>) {
        match mta {
            Mta::Postfix => postfix(out, self),
            Mta::Exim => exim(out, self),
        }
    }
}

impl MailLog {
    /// A log with these settings.
    pub fn new(mta: Mta, seed: u64, clients: u64, begin: Time, lines_a_day: u64) -> Self {
        Self {
            mta,
            random: Random(seed ^ 0x6d61_696c),
            clients: clients.max(1),
            clock: u64::from(begin.0) * 1_000_000,
            step: 86_400_000_000 / lines_a_day.max(1),
            stamp: Vec::new(),
            second: 0,
            sessions: (0..AT_ONCE).map(|_| Running::default()).collect(),
            messages: seed << 20,
            lines: 0,
        }
    }

    /// Appends lines until `out` has at least `octets` more than now.
    pub fn write(&mut self, out: &mut Vec<u8>, octets: usize) {
        let end = out.len() + octets;
        while out.len() < end {
            self.line(out);
        }
    }

    /// Appends the next line.
    pub fn line(&mut self, out: &mut Vec<u8>) {
        let place = self.random.below(AT_ONCE as u64) as usize;
        if self.sessions[place].done == self.sessions[place].text.len() {
            self.begin(place);
        }
        self.clock += 1 + self.random.below(2 * self.step);
        let second = self.clock / 1_000_000;
        if second != self.second {
            self.second = second;
            self.stamp = self.mta.stamp(Time(second as u32));
        }
        out.extend_from_slice(&self.stamp);
        self.mta.after_stamp(self.clock % 1_000_000, out);
        let session = &mut self.sessions[place];
        let rest = &session.text[session.done..];
        let line = memchr(rest) + 1;
        out.extend_from_slice(&rest[..line]);
        session.done += line;
        self.lines += 1;
    }

    /// The lines so far.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// When the last line was written.
    pub fn now(&self) -> Time {
        Time((self.clock / 1_000_000) as u32)
    }

    /// Writes down all lines of a new session at `place`, without their stamps.
    fn begin(&mut self, place: usize) {
        let client = self.client();
        let act = Act::of(self.random.below(100));
        let user = USERS[self.random.below(8) as usize].as_bytes();
        self.messages += 1;
        let message = self.messages;
        let running = &mut self.sessions[place];
        running.text.clear();
        running.done = 0;
        let session = Session { client: &client, act, user, message, process: 2600 + place as u64 };
        session.lines(self.mta, &mut running.text);
    }

    fn client(&mut self) -> Client {
        // The least of three: the first clients come by far the most often.
        let number = (0..3).map(|_| self.random.below(self.clients)).min().unwrap_or(0);
        let mut of = Random(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let bits = of.below(u64::MAX);
        let mut address = Vec::with_capacity(40);
        if number % 11 == 10 {
            address.extend_from_slice(b"2001:db8:");
            for shift in [0, 16] {
                hex(&mut address, (bits >> shift) & 0xffff | 0x1000);
                address.push(b':');
            }
            address.push(b':');
            hex(&mut address, (bits >> 32) & 0xffff | 1);
        } else {
            decimal(&mut address, 11 + (bits & 0xff) % 112);
            for shift in [8, 16, 24] {
                address.push(b'.');
                decimal(&mut address, (bits >> shift) & 0xff);
            }
        }
        let bits = of.below(u64::MAX);
        let mut name = Vec::with_capacity(40);
        name.extend_from_slice(HOSTS[(bits & 7) as usize].as_bytes());
        decimal(&mut name, (bits >> 3) & 63);
        name.push(b'.');
        name.extend_from_slice(DOMAINS[((bits >> 9) % 12) as usize].as_bytes());
        decimal(&mut name, number / 3);
        name.push(b'.');
        name.extend_from_slice(ENDS[((bits >> 20) % 6) as usize].as_bytes());
        let rdns = match (bits >> 30) % 6 {
            0 | 1 => None,
            2 => Some([b"host-".as_slice(), &name].concat()),
            _ => Some(name.clone()),
        };
        Client { address, name, rdns }
    }
}

fn put(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

fn postfix(out: &mut Vec<u8>, session: &Session<'_>) {
    let Session { client, act, user, message, process } = *session;
    let (name, ip) = (client.name.as_slice(), client.address.as_slice());
    let host = client.rdns.as_deref().unwrap_or(b"unknown");
    let mut id = Vec::with_capacity(12);
    hex(&mut id, 0x3B_0000_0000 + message);
    id.make_ascii_uppercase();
    let mut pid = Vec::with_capacity(6);
    decimal(&mut pid, process);
    let end = |out: &mut Vec<u8>, counts: &[u8]| {
        put(
            out,
            &[
                b"postfix/smtpd[",
                &pid,
                b"]: disconnect from ",
                host,
                b"[",
                ip,
                b"] ",
                counts,
                b"\n",
            ],
        );
    };
    put(out, &[b"postfix/smtpd[", &pid, b"]: connect from ", host, b"[", ip, b"]\n"]);
    let refuse = |out: &mut Vec<u8>, reply: &[&[u8]]| {
        put(
            out,
            &[b"postfix/smtpd[", &pid, b"]: NOQUEUE: reject: RCPT from ", host, b"[", ip, b"]: "],
        );
        put(out, reply);
        put(
            out,
            &[
                b"; from=<post@",
                name,
                b"> to=<",
                user,
                b"@site.test> proto=ESMTP helo=<",
                name,
                b">\n",
            ],
        );
    };
    match act {
        Act::Message => {
            put(out, &[b"postfix/smtpd[", &pid, b"]: ", &id, b": client=", host, b"[", ip, b"]\n"]);
            put(
                out,
                &[
                    b"postfix/smtpd[",
                    &pid,
                    b"]: ",
                    &id,
                    b": info: END-OF-MESSAGE from ",
                    host,
                    b"[",
                    ip,
                ],
            );
            put(
                out,
                &[
                    b"]: ; from=<post@",
                    name,
                    b"> to=<",
                    user,
                    b"@site.test> proto=ESMTP helo=<",
                    name,
                    b">\n",
                ],
            );
            put(
                out,
                &[b"postfix/cleanup[2700]: ", &id, b": message-id=<", &id, b"@", name, b">\n"],
            );
            end(out, b"ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5");
            put(out, &[b"postfix/qmgr[2701]: ", &id, b": from=<post@", name, b">, size="]);
            decimal(out, 700 + message * 7919 % 60_000);
            put(out, &[b", nrcpt=1 (queue active)\npostfix/lmtp[2702]: ", &id, b": to=<", user]);
            put(out, &[b"@site.test>, relay=mda.site.test[private/lmtp], delay=0.4, delays=0.3/0.01/0/0.09, dsn=2.0.0, status=sent (250 2.0.0 Ok: saved)\n"]);
            put(out, &[b"postfix/qmgr[2701]: ", &id, b": removed\n"]);
        }
        Act::UnknownUser => {
            refuse(out, &[b"550 5.1.1 <", user, b"@site.test>: Recipient address rejected: User unknown in virtual mailbox table"]);
            end(out, b"ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4");
        }
        Act::Greylisted => {
            refuse(
                out,
                &[
                    b"450 4.2.0 <",
                    user,
                    b"@site.test>: Recipient address rejected: Greylisted, try again later",
                ],
            );
            end(out, b"ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4");
        }
        Act::Blocked => {
            refuse(
                out,
                &[
                    b"554 5.7.1 Service unavailable; Client host [",
                    ip,
                    b"] blocked using bl.example.org",
                ],
            );
            end(out, b"ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4");
        }
        Act::Lost => {
            put(
                out,
                &[
                    b"postfix/smtpd[",
                    &pid,
                    b"]: lost connection after EHLO from ",
                    host,
                    b"[",
                    ip,
                    b"]\n",
                ],
            );
            end(out, b"ehlo=1 commands=1");
        }
        Act::Nothing => end(out, b"ehlo=1 quit=1 commands=2"),
    }
}

fn exim(out: &mut Vec<u8>, session: &Session<'_>) {
    let Session { client, act, user, message, .. } = *session;
    let (name, ip) = (client.name.as_slice(), client.address.as_slice());
    let mut id = vec![b'1'];
    let mut rest = message;
    for _ in 0..15 {
        id.push(
            b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"[(rest % 62) as usize],
        );
        rest /= 62;
    }
    // 1abcde-000abc-12: six, six and two digits.
    id[6] = b'-';
    id[13] = b'-';
    // A name that is the client's own address in brackets is not shown.
    let literal = name.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]")) == Some(ip);
    let host = match &client.rdns {
        Some(rdns) if rdns == name || literal => [rdns.as_slice(), b" [", ip, b"]"].concat(),
        Some(rdns) => [rdns.as_slice(), b" (", name, b") [", ip, b"]"].concat(),
        None if literal => [b"[".as_slice(), ip, b"]"].concat(),
        None => [b"(".as_slice(), name, b") [", ip, b"]"].concat(),
    };
    if client.rdns.is_none() && message.is_multiple_of(4) {
        put(out, &[b"no host name found for IP address ", ip, b"\n"]);
    }
    let refuse = |out: &mut Vec<u8>, how: &[&[u8]]| {
        put(out, &[b"H=", &host, b" F=<post@", name, b"> "]);
        put(out, how);
        out.push(b'\n');
    };
    match act {
        Act::Message => {
            put(out, &[&id, b" <= post@", name, b" H=", &host, b" "]);
            if message.is_multiple_of(2) {
                put(out, &[b"P=esmtps X=TLS1.3:ECDHE_X25519__RSA_PSS_RSAE_SHA256__AES_256_GCM:256 CV=no S="]);
            } else {
                put(out, &[b"P=esmtp S="]);
            }
            decimal(out, 700 + message * 7919 % 60_000);
            put(out, &[b" id=", &id, b"@", name, b"\n"]);
            put(
                out,
                &[
                    &id,
                    b" => ",
                    user,
                    b" <",
                    user,
                    b"@site.test> R=virtual T=lmtp C=\"250 2.0.0 Ok: saved\"\n",
                ],
            );
            put(out, &[&id, b" Completed\n"]);
        }
        Act::UnknownUser => refuse(out, &[b"rejected RCPT <", user, b"@site.test>: Unknown user"]),
        Act::Greylisted => {
            refuse(out, &[b"temporarily rejected RCPT <", user, b"@site.test>: greylisted"])
        }
        Act::Blocked => {
            refuse(out, &[b"rejected RCPT <", user, b"@site.test>: blocked using bl.example.org"])
        }
        Act::Lost => put(out, &[b"SMTP connection from ", &host, b" lost D=1s\n"]),
        Act::Nothing => {
            put(out, &[b"no MAIL in SMTP connection from ", &host, b" D=0s C=EHLO,QUIT\n"])
        }
    }
}

/// Where the line ends.
fn memchr(text: &[u8]) -> usize {
    text.iter().position(|octet| *octet == b'\n').expect("a session is whole lines")
}

fn decimal(out: &mut Vec<u8>, number: u64) {
    let mut width = 1;
    let mut limit = 10;
    while number >= limit {
        width += 1;
        limit *= 10;
    }
    digits(out, number, width);
}

fn digits(out: &mut Vec<u8>, mut number: u64, width: usize) {
    let begin = out.len();
    out.resize(begin + width, b'0');
    for place in out[begin..].iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

fn hex(out: &mut Vec<u8>, number: u64) {
    let width = (64 - number.max(1).leading_zeros()).div_ceil(4);
    for place in (0..width).rev() {
        out.push(b"0123456789abcdef"[(number >> (4 * place) & 15) as usize]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_lines_in_pieces_of_any_size() {
        for mta in [Mta::Postfix, Mta::Exim] {
            let log = || MailLog::new(mta, 7, 500, Time(1_700_000_000), 100_000);
            let (mut whole, mut pieces) = (Vec::new(), Vec::new());
            log().write(&mut whole, 200_000);
            let mut again = log();
            while pieces.len() < whole.len() {
                again.line(&mut pieces);
            }
            assert!(whole == pieces, "{mta:?}");
            assert_eq!(whole.iter().filter(|octet| **octet == b'\n').count() as u64, again.lines());
            let mut other = Vec::new();
            MailLog::new(mta, 8, 500, Time(1_700_000_000), 100_000).write(&mut other, 200_000);
            assert!(whole != other, "{mta:?}");
        }
    }
}
