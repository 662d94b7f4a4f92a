//! The runs: one row each. `asserted` is switched on once a format is understood.

use std::net::IpAddr;

use helostat_ingest::fate::Program;
use helostat_ingest::reader::FormatChoice;

pub(crate) struct Run {
    /// Under `logs/real`.
    pub(crate) folder: &'static str,
    pub(crate) log: &'static str,
    /// Only sessions whose listener begins so.
    pub(crate) listeners: &'static str,
    pub(crate) format: FormatChoice,
    /// Where the MTA writes a client's name: `{name}`, `{ip}`; parts that all must be there are apart by ` .. `.
    pub(crate) marks: &'static [&'static str],
    /// How the MTA writes addresses.
    pub(crate) addresses: fn(IpAddr) -> Vec<String>,
    /// The listeners whose MTA keeps the first word of the argument only.
    pub(crate) cuts_words: &'static [&'static str],
    /// The lines do not end sessions and show neither process nor port: `RDNS [IP]` may be the address in
    /// brackets, and what is told is the reverse name.
    pub(crate) reverse_for_literal: bool,
    /// A client that goes away after its recipients were refused looks the same in the middle of a message.
    pub(crate) hides_loss: bool,
    /// How many seconds after its end a session's lines may come.
    pub(crate) slack: u32,
    pub(crate) asserted: bool,
}

const POSTFIX: Run = Run {
    folder: "postfix/seed-1",
    log: "mail.iso.log",
    listeners: "",
    format: FormatChoice::Auto,
    marks: &["helo=<{name}>", ": ehlo {name}\\r\\n", ": helo {name}\\r\\n"],
    addresses: plain,
    cuts_words: &["postscreen"],
    reverse_for_literal: false,
    hides_loss: false,
    slack: 0,
    asserted: true,
};

const EXIM: Run = Run {
    folder: "exim/seed-1",
    log: "mail.iso.log",
    marks: &[
        "({name}) [{ip}]",
        "helo=<{name}>",
        "rejected ehlo or helo {name}: ",
        "h={name} [{ip}] .. p=esmtp",
        "h={name} [{ip}]: .. p=esmtp",
    ],
    cuts_words: &[],
    reverse_for_literal: true,
    hides_loss: true,
    ..POSTFIX
};

const SENDMAIL: Run = Run {
    folder: "sendmail/seed-1",
    marks: &["helo=<{name}>", "<-- ehlo {name}", "<-- helo {name}"],
    addresses: |ip| {
        let mut forms = plain(ip);
        if let IpAddr::V6(ip) = ip {
            forms.push(ip.segments().map(|part| format!("{part:x}")).join(":"));
        }
        forms
    },
    cuts_words: &[],
    ..POSTFIX
};

const OPENSMTPD: Run = Run {
    folder: "opensmtpd/seed-1",
    // Not `failed-command="EHLO {name}"`: that greeting was refused, and which one was in force does not show.
    marks: &["|ehlo|{name}", "|helo|{name}", "helo=<{name}>", "helo={name}"],
    cuts_words: &[],
    asserted: false,
    ..POSTFIX
};

const HARAKA: Run = Run {
    folder: "haraka/seed-1",
    log: "haraka.log",
    marks: &["helo={name} ", "helo=\"{name}\""],
    cuts_words: &[""],
    asserted: false,
    ..POSTFIX
};

const RSPAMD: Run = Run {
    folder: "rspamd/seed-1",
    log: "rspamd.log",
    marks: &["helo=<{name}>"],
    cuts_words: &[],
    // It waits before it answers what it defers, and the truth holds when it was asked.
    slack: 10,
    ..POSTFIX
};

pub(crate) const RUNS: &[Run] = &[
    POSTFIX,
    Run { log: "mail.trad.log", ..POSTFIX },
    Run { log: "mail.5424.log", ..POSTFIX },
    Run { log: "mail.json.log", ..POSTFIX },
    Run { folder: "postfix/seed-3", log: "mail.native.log", ..POSTFIX },
    Run { folder: "postfix/seed-3", log: "docker-json.log", ..POSTFIX },
    Run { log: "a-mainlog", listeners: "a", ..EXIM },
    Run { log: "b-mainlog", listeners: "b", hides_loss: false, ..EXIM },
    Run { log: "c-mainlog", listeners: "c", ..EXIM },
    EXIM,
    Run { log: "mail.trad.log", ..EXIM },
    Run { log: "mail.5424.log", ..EXIM },
    Run { log: "mail.json.log", ..EXIM },
    SENDMAIL,
    Run { log: "mail.trad.log", ..SENDMAIL },
    Run { log: "mail.5424.log", ..SENDMAIL },
    Run { log: "mail.json.log", ..SENDMAIL },
    OPENSMTPD,
    Run { log: "mail.trad.log", ..OPENSMTPD },
    Run { log: "mail.5424.log", ..OPENSMTPD },
    Run { log: "mail.json.log", ..OPENSMTPD },
    Run { log: "report.raw", asserted: true, ..OPENSMTPD },
    HARAKA,
    RSPAMD,
];

/// Extracts in `testdata`, each with its truth.
pub(crate) const EXTRACTS: &[(Run, &str)] = &[
    (Run { log: "postfix-3.7.iso.log", ..POSTFIX }, "postfix-3.7.truth.jsonl"),
    (Run { log: "exim-4.96-a.mainlog", ..EXIM }, "exim-4.96-a.truth.jsonl"),
    (
        Run { log: "exim-4.96-c.mainlog", format: FormatChoice::Only(Program::Exim), ..EXIM },
        "exim-4.96-c.truth.jsonl",
    ),
];

/// A run, another log of the same lines, and whether it must say the same.
pub(crate) const SAME: &[(Run, &str, bool)] = &[
    (POSTFIX, "mail.trad.log", true),
    (POSTFIX, "mail.5424.log", true),
    (POSTFIX, "mail.json.log", true),
    (POSTFIX, "journal.json.log", true),
    (POSTFIX, "journal.export.log", true),
    (POSTFIX, "journal.short.log", false),
    (EXIM, "mail.trad.log", true),
    (EXIM, "mail.5424.log", true),
    (EXIM, "mail.json.log", true),
    (EXIM, "journal.json.log", true),
    (EXIM, "journal.export.log", true),
    (EXIM, "journal.short.log", false),
];

fn plain(ip: IpAddr) -> Vec<String> {
    vec![ip.to_string()]
}
