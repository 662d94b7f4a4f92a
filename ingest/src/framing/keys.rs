//! The keys that tell something in the JSON of log writers, and in journald's export.
//!
//! One table for all, so that one pass over a line finds whatever is there; which framing it is shows then.

/// A key that tells something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    // Docker's json-file.
    Log,
    Stream,
    // When.
    AtTimestamp,
    Timestamp,
    TimeReported,
    TimeGenerated,
    Time,
    IsoDate,
    Date,
    // What.
    Message,
    Msg,
    // Which program.
    SyslogTag,
    Tag,
    Program,
    ProgramName,
    AppName,
    Ident,
    // Which process.
    ProcId,
    Pid,
    // Which host.
    HostName,
    Host,
    // journald's own.
    JournalMessage,
    JournalIdentifier,
    JournalCommand,
    JournalSyslogPid,
    JournalPid,
    JournalHost,
    JournalSource,
    JournalTime,
    JournalTransport,
    JournalContainer,
    JournalPartial,
}

/// How many keys there are.
pub(super) const KEYS: usize = Key::JournalPartial as usize + 1;

impl Key {
    /// What a key tells; syslog-ng's are in capitals.
    pub(super) fn of(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"log" => Self::Log,
            b"stream" => Self::Stream,
            b"@timestamp" => Self::AtTimestamp,
            b"timestamp" | b"TIMESTAMP" => Self::Timestamp,
            b"timereported" => Self::TimeReported,
            b"timegenerated" => Self::TimeGenerated,
            b"time" => Self::Time,
            b"isodate" | b"ISODATE" => Self::IsoDate,
            b"date" | b"DATE" => Self::Date,
            b"message" => Self::Message,
            b"msg" | b"MSG" => Self::Msg,
            b"syslogtag" => Self::SyslogTag,
            b"tag" => Self::Tag,
            b"program" | b"PROGRAM" => Self::Program,
            b"programname" => Self::ProgramName,
            b"appname" | b"app-name" | b"app_name" => Self::AppName,
            b"ident" => Self::Ident,
            b"procid" | b"proc_id" => Self::ProcId,
            b"pid" | b"PID" => Self::Pid,
            b"hostname" => Self::HostName,
            b"host" | b"HOST" => Self::Host,
            b"MESSAGE" => Self::JournalMessage,
            b"SYSLOG_IDENTIFIER" => Self::JournalIdentifier,
            b"_COMM" => Self::JournalCommand,
            b"SYSLOG_PID" => Self::JournalSyslogPid,
            b"_PID" => Self::JournalPid,
            b"_HOSTNAME" => Self::JournalHost,
            b"_SOURCE_REALTIME_TIMESTAMP" => Self::JournalSource,
            b"__REALTIME_TIMESTAMP" => Self::JournalTime,
            b"_TRANSPORT" => Self::JournalTransport,
            b"CONTAINER_ID" => Self::JournalContainer,
            b"CONTAINER_PARTIAL_MESSAGE" | b"CONTAINER_PARTIAL_ID" => Self::JournalPartial,
            _ => return None,
        })
    }
}
