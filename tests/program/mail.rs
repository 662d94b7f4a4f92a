//! Mail logs: what our own runs of Postfix 3.7 and Exim 4.96 wrote (see ops/example and
//! ingest/testdata), with times and hosts of the test's choice.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::SystemTime;

use helostat_tests::program::project_file;
use helostat_zones::time::Time;

/// A moment this many days before now.
pub(crate) fn days_ago(days: u32) -> Time {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    Time(u32::try_from(now.as_secs()).expect("before 2106") - days * 86_400)
}

/// `2026-11-20T14:27:30`, and with a blank for the T.
fn stamps(time: Time) -> (String, String) {
    let iso = time.to_string().replace('Z', "");
    let spaced = iso.replace('T', " ");
    (iso, spaced)
}

/// A message that Postfix accepted from `ip`, which said `name`; with the helo_log of the manual.
pub(crate) fn postfix(time: Time, ip: &str, name: &str) -> String {
    let t = stamps(time).0;
    format!(
        "\
{t}.228574+00:00 mx1 postfix/smtpd[26]: connect from unknown[{ip}]
{t}.243151+00:00 mx1 postfix/smtpd[26]: 3B4B9996374: client=unknown[{ip}]
{t}.244004+00:00 mx1 postfix/smtpd[26]: 3B4B9996374: info: END-OF-MESSAGE from unknown[{ip}]: ; from=<post@example.dk> to=<ada@site.test> proto=ESMTP helo=<{name}>
{t}.244083+00:00 mx1 postfix/cleanup[29]: 3B4B9996374: message-id=<0000.476cb60a@example.dk>
{t}.249208+00:00 mx1 postfix/smtpd[26]: disconnect from unknown[{ip}] ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5
{t}.249970+00:00 mx1 postfix/qmgr[30]: 3B4B9996374: from=<post@example.dk>, size=1067, nrcpt=1 (queue active)
{t}.256381+00:00 mx1 postfix/discard[31]: 3B4B9996374: to=<ada@site.test>, relay=none, delay=1, delays=1/0.01/0/0, dsn=2.0.0, status=sent (site.test)
{t}.256507+00:00 mx1 postfix/qmgr[30]: 3B4B9996374: removed
"
    )
}

/// A recipient that Postfix refused to `ip`, which said `name`.
pub(crate) fn postfix_refused(time: Time, ip: &str, name: &str) -> String {
    let t = stamps(time).0;
    format!(
        "\
{t}.214454+00:00 mx1 postfix/smtpd[27]: connect from unknown[{ip}]
{t}.230680+00:00 mx1 postfix/smtpd[27]: NOQUEUE: reject: RCPT from unknown[{ip}]: 550 5.1.1 <x@site.test>: Recipient address rejected: User unknown in local recipient table; from=<a@example.net> to=<x@site.test> proto=ESMTP helo=<{name}>
{t}.245981+00:00 mx1 postfix/smtpd[27]: disconnect from unknown[{ip}] ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4
"
    )
}

/// A message that Exim accepted from `ip`, which said `name`.
pub(crate) fn exim(time: Time, ip: &str, name: &str) -> String {
    let t = stamps(time).1;
    format!(
        "\
{t} 1xJsim-00000x-0M <= orders@example.com H=({name}) [{ip}] P=esmtp S=2441 id=0008.8419e21f@example.com
{t} 1xJsim-00000x-0M => grace <grace@site.test> R=nowhere T=devnull
{t} 1xJsim-00000x-0M Completed
"
    )
}

/// Five messages on five days, from eight to four days ago: what makes a pair established.
pub(crate) fn established(ip: &str, name: &str) -> String {
    (4..9).rev().map(|days| postfix(days_ago(days), ip, name)).collect()
}

/// About `lines` lines of a real Postfix log, none like the other.
pub(crate) fn long_postfix(lines: usize) -> String {
    repeated(&project_file("ingest/testdata/postfix-3.7.iso.log"), lines, |time| stamps(time).0)
}

/// About `lines` lines of a real Exim log, none like the other.
pub(crate) fn long_exim(lines: usize) -> String {
    repeated(&project_file("ingest/testdata/exim-4.96-a.mainlog"), lines, |time| stamps(time).1)
}

/// An extract of a minute again and again: every copy an hour later, from other addresses and, in
/// part, other domains.
fn repeated(extract: &str, lines: usize, stamp: fn(Time) -> String) -> String {
    let begin = days_ago(30);
    let mut text = String::new();
    for copy in 0..(lines / extract.lines().count()).max(1) as u32 {
        let domain = format!("example{}.net", copy % 7);
        for line in extract.lines() {
            let (time, rest) = line.split_at(19);
            let time = Time(begin.0 + copy * 3600 + seconds_of_day(time) % 3600);
            text.push_str(&stamp(time));
            text.push_str(&moved(rest, copy).replace("example.net", &domain));
            text.push('\n');
        }
    }
    text
}

/// The seconds since midnight of `....-..-...HH:MM:SS`.
fn seconds_of_day(stamp: &str) -> u32 {
    let part = |at: usize| stamp.get(at..at + 2).and_then(|digits| digits.parse::<u32>().ok());
    let time = [11, 14, 17].map(|at| part(at).unwrap_or_else(|| panic!("{stamp} is no time")));
    (time[0] * 60 + time[1]) * 60 + time[2]
}

/// A line with every address in brackets replaced; the loopback stays, for nothing is learned of it.
fn moved(line: &str, copy: u32) -> String {
    let mut parts = line.split('[');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push('[');
        let (inside, rest) = part.split_once(']').unwrap_or((part, ""));
        let address = inside.parse().ok().filter(|ip: &IpAddr| !ip.is_loopback());
        match address {
            Some(IpAddr::V4(ip)) => {
                let ip = Ipv4Addr::from_bits(ip.to_bits().wrapping_add(copy * 257));
                text.push_str(&format!("{ip}]{rest}"));
            }
            Some(IpAddr::V6(ip)) => {
                let ip = Ipv6Addr::from_bits(ip.to_bits().wrapping_add(u128::from(copy) << 64));
                text.push_str(&format!("{ip}]{rest}"));
            }
            None => text.push_str(part),
        }
    }
    text
}
