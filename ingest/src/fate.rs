//! What became of a line: nothing is silent, every line ends in one of these words.

use std::fmt;

/// The program that wrote a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Program {
    /// Any of Postfix' programs.
    Postfix,
    /// Exim.
    Exim,
    /// Sendmail.
    Sendmail,
    /// OpenSMTPD, its log and what its report filters are told.
    OpenSmtpd,
    /// Haraka.
    Haraka,
    /// rspamd, its log and its history.
    Rspamd,
    /// Stalwart.
    Stalwart,
    /// Microsoft Exchange, its receive protocol log.
    Exchange,
    /// hMailServer.
    HMailServer,
    /// MailEnable.
    MailEnable,
    /// PowerMTA, its accounting file.
    PowerMta,
    /// qmail and the programs around it: tcpserver, rblsmtpd, recordio.
    Qmail,
    /// amavis.
    Amavis,
    /// Our own JSON lines.
    Json,
    /// Observations as a table: CSV with a header.
    Csv,
    /// Another, or nobody knows.
    Other,
}

impl Program {
    /// Each, in the order of `index`.
    pub const ALL: [Self; 16] = [
        Self::Postfix,
        Self::Exim,
        Self::Sendmail,
        Self::OpenSmtpd,
        Self::Haraka,
        Self::Rspamd,
        Self::Stalwart,
        Self::Exchange,
        Self::HMailServer,
        Self::MailEnable,
        Self::PowerMta,
        Self::Qmail,
        Self::Amavis,
        Self::Json,
        Self::Csv,
        Self::Other,
    ];

    /// The word for it in the configuration and in metric labels.
    pub fn word(self) -> &'static str {
        match self {
            Self::Postfix => "postfix",
            Self::Exim => "exim",
            Self::Sendmail => "sendmail",
            Self::OpenSmtpd => "opensmtpd",
            Self::Haraka => "haraka",
            Self::Rspamd => "rspamd",
            Self::Stalwart => "stalwart",
            Self::Exchange => "exchange",
            Self::HMailServer => "hmailserver",
            Self::MailEnable => "mailenable",
            Self::PowerMta => "powermta",
            Self::Qmail => "qmail",
            Self::Amavis => "amavis",
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Other => "other",
        }
    }

    /// Its place in arrays of counts.
    pub fn index(self) -> usize {
        self as usize
    }
}

/// What became of one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// It gave at least one observation.
    Observed,
    /// It is part of a session that is being followed.
    Session,
    /// Understood; says nothing of a client.
    Irrelevant,
    /// Two readings are possible: the name or the line was dropped.
    Ambiguous,
    /// Of no known shape.
    NotUnderstood,
}

impl Fate {
    /// Each, in the order of `index`.
    pub const ALL: [Self; 5] =
        [Self::Observed, Self::Session, Self::Irrelevant, Self::Ambiguous, Self::NotUnderstood];

    /// The word for it in metric labels.
    pub fn word(self) -> &'static str {
        match self {
            Self::Observed => "observed",
            Self::Session => "session",
            Self::Irrelevant => "irrelevant",
            Self::Ambiguous => "ambiguous",
            Self::NotUnderstood => "not-understood",
        }
    }

    /// Its place in arrays of counts.
    pub fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What became of one line, for the counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineReading {
    /// Whose line it is.
    pub program: Program,
    /// What became of it.
    pub fate: Fate,
    /// A short reason word where the fate is `Ambiguous` or `NotUnderstood`.
    pub why: Option<&'static str>,
}
