//! What every parser of untrusted bytes owes to any bytes at all: one function for each.
//!
//! In go bytes; nothing comes out, and a law that is broken is a panic which names it. The functions
//! are run over a corpus and its mutations by `cargo test` (`tests/fuzz_main.rs`, [`mutate`]), and by
//! libFuzzer where somebody has the time (`tests/fuzz/README.md`). They keep nothing between two calls,
//! so an input that fails once fails always.
//!
//! How an input is read where it is not one parser's bytes alone (lines of a log, labels of a name,
//! records of a store) is said at each target. Checksums are added here: a fuzzer finds none.

mod dns;
mod evidence;
mod ledger;
mod lists;
mod logs;
pub mod mutate;
mod postfix;
mod reply;
mod syslog;

use std::net::IpAddr;

use helostat::config::{Config, ConfigErrors};
use helostat_zones::name::{Name, NameKind};

pub use dns::{dns_key, dns_packet};
pub use evidence::{evidence_lines, evidence_pool};
pub use ledger::{ledger_batch, ledger_record};
pub use lists::list_file;
pub use logs::{framing, gz_history, log_line, position, reader_state, wrapped_text};
pub use postfix::postfix_requests;
pub use reply::dns_reply;
pub use syslog::syslog_frames;

/// A function that holds any bytes against the laws of one parser.
pub type Target = fn(&[u8]);

/// Every target, by the name of its corpus.
pub const TARGETS: [(&str, Target); 18] = [
    ("config", config),
    ("dns_key", dns_key),
    ("dns_packet", dns_packet),
    ("dns_reply", dns_reply),
    ("ehlo_name", ehlo_name),
    ("evidence_lines", evidence_lines),
    ("evidence_pool", evidence_pool),
    ("framing", framing),
    ("gz_history", gz_history),
    ("ledger_batch", ledger_batch),
    ("ledger_record", ledger_record),
    ("list_file", list_file),
    ("log_line", log_line),
    ("position", position),
    ("postfix_requests", postfix_requests),
    ("reader_state", reader_state),
    ("syslog_frames", syslog_frames),
    ("wrapped_text", wrapped_text),
];

/// An EHLO argument: every input has a reading, and its text means the same when it is read again.
pub fn ehlo_name(said: &[u8]) {
    let name = Name::parse(said);
    let text = name.text();
    assert_eq!(Name::parse(text.as_bytes()), name, "read again");
    assert!(text.bytes().all(|byte| matches!(byte, 0x20..=0x7e)), "printable: {text:?}");
    assert!(text.len() <= 253, "{} octets", text.len());
    assert_eq!(text.is_empty(), name.kind() == NameKind::Absent, "{name:?}");
    let says_address = matches!(name.kind(), NameKind::Literal | NameKind::BareIp);
    assert_eq!(name.ip().is_some(), says_address, "{name:?}");
    let family_fits = |family: &str| text == family || text.ends_with(&format!(".{family}"));
    assert_eq!(name.family().is_some_and(family_fits), name.is_fqdn(), "{name:?}");
    // A client that adds a line end or speaks in capitals says the same name.
    assert_eq!(Name::parse(&[said, b"\r\n"].concat()), name, "with a line end");
    if name.kind() != NameKind::Malformed {
        assert_eq!(Name::parse(&said.to_ascii_uppercase()), name, "in capitals");
    }
    if let Some(IpAddr::V4(ip)) = name.ip() {
        assert!(contains(said, ip.to_string().as_bytes()), "{ip} was not said");
    }
}

/// A configuration file: what is wrong has a place in the file, what is right survives printing.
pub fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match Config::parse(text, "/etc/fuzz.toml") {
        Ok(config) => {
            let printed = config.to_toml();
            let again = Config::parse(&printed, "/etc/fuzz.toml");
            let again = again.unwrap_or_else(|errors| panic!("printed:\n{printed}\n{errors}"));
            assert_eq!(again, config, "printed:\n{printed}");
            assert_eq!(again.warnings(), config.warnings());
            assert!(config.restart_needed(&again).is_empty(), "{printed}");
        }
        Err(ConfigErrors::Wrong(errors)) => {
            assert!(!errors.is_empty(), "an error that says nothing");
            for error in errors {
                let line = text.split('\n').nth(error.place.line.saturating_sub(1));
                let line = line.unwrap_or_else(|| panic!("{error} is in no line"));
                let columns = 1..=line.chars().count() + 1;
                assert!(columns.contains(&error.place.column), "{error} is beside its line");
                assert!(!error.sentence.is_empty(), "{error:?}");
            }
        }
        Err(other) => panic!("text is never {other}"),
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
