//! `helostat filter opensmtpd`: runs under smtpd, and has it write the names that clients say to the mail log.
//!
//! smtpd starts it (smtpd.conf: `filter "helostat" proc-exec "/usr/bin/helostat filter opensmtpd"`) with the filter
//! protocol (smtpd-filters(7)) on standard input and output, and logs each line of its standard error. It only
//! asks for reports: it is never asked for a decision, so it cannot delay or refuse mail.
//!
//! smtpd ends when a filter ends. So this knows only one end, that of its input; whatever it is told, in
//! whatever version, costs at most that line. It has no configuration, opens nothing, and needs no rights.

use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::time::Duration;

use helostat_ingest::opensmtpd_filter::{EVENTS, write_line};

/// The longest line that is read whole: smtpd's own limit is the same.
const LINE_MAX: u64 = 64 * 1024;
/// How long to wait where input should wait by itself, and does not.
const NAP: Duration = Duration::from_millis(20);

/// Runs the command, until smtpd ends.
pub fn opensmtpd() {
    serve(&mut io::stdin().lock(), &mut io::stdout().lock(), &mut io::stderr().lock());
}

/// Answers the handshake on `answers` and writes what is reported to `log`.
fn serve(input: &mut impl BufRead, answers: &mut impl Write, log: &mut impl Write) {
    let mut line = Vec::new();
    let mut out = Vec::new();
    while next_line(input, &mut line) {
        if line == b"config|ready" {
            if register(answers).is_err() {
                // Nobody is there any more.
                return;
            }
            continue;
        }
        write_line(&line, &mut out);
        if !out.is_empty() {
            out.push(b'\n');
            // One line, one write. If it cannot be logged there is nobody to tell, and mail must go on.
            log.write_all(&out).and_then(|()| log.flush()).unwrap_or_default();
        }
    }
}

fn register(answers: &mut impl Write) -> io::Result<()> {
    let mut hello = String::new();
    for event in EVENTS {
        hello.push_str(&format!("register|report|smtp-in|{event}\n"));
    }
    hello.push_str("register|ready\n");
    answers.write_all(hello.as_bytes())?;
    answers.flush()
}

/// Reads a line without its line feed; of one that is too long only the beginning. False at the end.
fn next_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> bool {
    line.clear();
    loop {
        let room = LINE_MAX.saturating_sub(line.len() as u64);
        let whole = if room > 0 {
            read_some(input, room, line)
        } else {
            read_some(input, LINE_MAX, &mut Vec::new())
        };
        match whole {
            Some(true) => return true,
            Some(false) => {}
            // An unfinished line at the end is none.
            None => return false,
        }
    }
}

/// Appends to `line` up to a line feed, which is taken off, or up to `room`. `None` at the end of the input.
fn read_some(input: &mut impl BufRead, room: u64, line: &mut Vec<u8>) -> Option<bool> {
    loop {
        match input.by_ref().take(room).read_until(b'\n', line) {
            Ok(0) => return None,
            Ok(_) if line.last() == Some(&b'\n') => {
                line.pop();
                return Some(true);
            }
            Ok(_) => return Some(false),
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(NAP),
            Err(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(input: &[u8]) -> (String, String) {
        let (mut answers, mut log) = (Vec::new(), Vec::new());
        serve(&mut io::BufReader::with_capacity(7, input), &mut answers, &mut log);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        (text(answers), text(log))
    }

    #[test]
    fn greets_and_reports() {
        let (answers, log) = served(
            b"config|smtpd-version|7.8.0\nconfig|protocol|0.7\nconfig|ready\n\
              report|0.7|1.1|smtp-in|link-connect|00000000000000aa|a.example|pass|192.0.2.7:5|192.0.2.25:25\n\
              filter|0.7|1.1|smtp-in|connect|00000000000000aa|1111111111111111|x|192.0.2.7\n\
              \xff\xfe\n\n|||||\n\
              report|0.7|1.1|smtp-in|link-identify|00000000000000aa|EHLO|\xff\x00x\n\
              report|0.7|1.1|smtp-in|link-disconnect|00000000000000aa\n\
              report|0.7|1.1|smtp-in|link-discon",
        );
        assert!(answers.starts_with("register|report|smtp-in|link-connect\n"), "{answers}");
        assert!(
            answers.ends_with("register|report|smtp-in|tx-rollback\nregister|ready\n"),
            "{answers}"
        );
        assert_eq!(
            log,
            "00000000000000aa connect 192.0.2.7 a.example\n\
             00000000000000aa ehlo \\xff\\x00x\n\
             00000000000000aa disconnect\n"
        );
    }

    #[test]
    fn a_line_without_end_costs_only_itself() {
        let mut input = vec![b'x'; 200 * 1024];
        input.extend_from_slice(b"\nreport|0.7|1.1|smtp-in|link-tls|00000000000000aa|x\n");
        assert_eq!(served(&input).1, "00000000000000aa tls\n");
        let mut name = b"report|0.7|1.1|smtp-in|link-identify|00000000000000aa|EHLO|".to_vec();
        name.resize(200 * 1024, b'y');
        name.push(b'\n');
        assert_eq!(served(&name).1.len(), "00000000000000aa ehlo ...\n".len() + 400);
    }

    #[test]
    fn a_log_that_cannot_be_written_ends_nothing() {
        struct Broken;
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Err(ErrorKind::BrokenPipe.into())
            }
        }
        let mut answers = Vec::new();
        let input = b"report|0.7|1.1|smtp-in|link-tls|00000000000000aa|x\nconfig|ready\n";
        serve(&mut &input[..], &mut answers, &mut Broken);
        assert!(answers.ends_with(b"register|ready\n"));
    }
}
