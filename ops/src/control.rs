//! Asking the running daemon from the command line, over its control socket.
//!
//! The socket lies in the ledger's directory and only its owner may use it: whoever may open the ledger
//! may ask its daemon, nobody else. What is spoken is HTTP/1.1, so that `curl --unix-socket` can do the
//! same. In go a path and a body, out comes the body of the answer; errors are sentences. An answer has
//! its length in its head or comes in chunks (RFC 9112 section 7.1): either way its end can be told from
//! the death of the daemon.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use helostat_ingest::sink::{Sink, SinkError};
use helostat_ingest::source::{self, names};
use helostat_zones::ledger::Batch;

/// How long the daemon may be silent: `explain` waits for live look-ups, a commit for a disk.
const PATIENCE: Duration = Duration::from_secs(60);

/// The control socket of the daemon that holds the ledger at `ledger`.
pub fn socket_path(ledger: &Path) -> PathBuf {
    ledger.join("control.sock")
}

/// A daemon that answers.
#[derive(Clone, Debug)]
pub struct Daemon {
    socket: PathBuf,
    /// Where it remembers which sources it follows.
    follows: Vec<Followed>,
}

/// Names of `source::memory`.
#[derive(Clone, Debug)]
enum Followed {
    /// A file's.
    One(String),
    /// Those of all logs that a pattern may lead to: they begin so.
    Beginning(String),
}

impl Followed {
    fn of(path: &Path) -> Self {
        if !names::is_pattern(path) {
            return Self::One(source::memory(path));
        }
        let plain = path.ancestors().find(|folder| !names::is_pattern(folder));
        Self::Beginning(source::memory(plain.unwrap_or(path)))
    }

    fn has(&self, memory: &str) -> bool {
        match self {
            Self::One(name) => memory == name,
            Self::Beginning(start) => memory.starts_with(start.as_str()),
        }
    }
}

impl Daemon {
    /// The daemon that holds the ledger at `ledger`, if one runs.
    pub fn of(ledger: &Path) -> Option<Self> {
        let socket = socket_path(ledger);
        UnixStream::connect(&socket).ok().map(|_| Self { socket, follows: Vec::new() })
    }

    /// The same daemon, of which it is known that it follows these logs.
    pub fn following<'a>(self, logs: impl Iterator<Item = &'a Path>) -> Self {
        Self { follows: logs.map(Followed::of).collect(), ..self }
    }

    /// Asks for `path`; the answer is read as it comes.
    pub fn get(&self, path: &str) -> io::Result<impl Read + use<>> {
        self.request("GET", path, &[])
    }

    /// Hands `body` to `path`.
    pub fn post(&self, path: &str, body: &[u8]) -> io::Result<impl Read + use<>> {
        self.request("POST", path, body)
    }

    fn request(&self, method: &str, path: &str, body: &[u8]) -> io::Result<Answer> {
        // Not as a broken pipe, which would pass for our own reader's leaving.
        self.exchange(method, path, body).map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => cut_short(),
            _ => error,
        })
    }

    fn exchange(&self, method: &str, path: &str, body: &[u8]) -> io::Result<Answer> {
        let mut stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: helostat\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )?;
        stream.write_all(body)?;
        let mut reader = BufReader::new(stream);
        let mut status = String::new();
        reader.read_line(&mut status)?;
        let mut header = String::new();
        let mut length = Length::ToTheEnd;
        loop {
            header.clear();
            reader.read_line(&mut header)?;
            if !header.ends_with('\n') {
                return Err(cut_short());
            }
            let Some((field, value)) = header.trim_end().split_once(':') else { break };
            if field.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().map_or(length, Length::Octets);
            } else if field.eq_ignore_ascii_case("transfer-encoding") {
                length = Length::Chunks { left: 0, first: true };
            }
        }
        let answer = Answer { reader, length };
        if status.split_ascii_whitespace().nth(1) == Some("200") {
            return Ok(answer);
        }
        let mut why = String::new();
        answer.take(4096).read_to_string(&mut why)?;
        Err(io::Error::other(format!("the daemon says: {}", why.trim())))
    }
}

/// The body of an answer. A daemon that dies in the middle of it is an error, never a shorter body.
struct Answer {
    reader: BufReader<UnixStream>,
    length: Length,
}

/// How much of an answer is still to come.
#[derive(Clone, Copy)]
enum Length {
    /// As much as the daemon sends before it hangs up.
    ToTheEnd,
    /// So many octets.
    Octets(u64),
    /// The rest of a chunk, and more chunks.
    Chunks { left: u64, first: bool },
}

impl Read for Answer {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if to.is_empty() {
            return Ok(0);
        }
        if let Length::Chunks { left: 0, first } = self.length {
            self.length = match self.next_chunk(first)? {
                0 => Length::Octets(0),
                left => Length::Chunks { left, first: false },
            };
        }
        let (Length::Octets(left) | Length::Chunks { left, .. }) = &mut self.length else {
            return self.reader.read(to);
        };
        if *left == 0 {
            return Ok(0);
        }
        let most = usize::try_from(*left).unwrap_or(usize::MAX).min(to.len());
        let read = self.reader.read(to.get_mut(..most).unwrap_or_default())?;
        if read == 0 {
            return Err(cut_short());
        }
        *left -= read as u64;
        Ok(read)
    }
}

impl Answer {
    /// The length of the next chunk; 0 is the end.
    fn next_chunk(&mut self, first: bool) -> io::Result<u64> {
        let mut line = String::new();
        // The line end that closes the chunk before.
        if !first {
            self.reader.read_line(&mut line)?;
            line.clear();
        }
        self.reader.read_line(&mut line)?;
        if !line.ends_with('\n') {
            return Err(cut_short());
        }
        let digits = line.split(';').next().unwrap_or_default().trim();
        u64::from_str_radix(digits, 16)
            .map_err(|_| io::Error::other("the daemon's answer is garbled"))
    }
}

fn cut_short() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the daemon went away in the middle of its answer")
}

/// Lets `learn` hand its batches to the daemon that holds the ledger.
impl Sink for Daemon {
    fn commit(&self, batch: &Batch) -> Result<(), SinkError> {
        let done = self.post("/v1/batch", &batch.to_bytes());
        done.map(|_| ()).map_err(|error| SinkError(error.to_string()))
    }

    fn positions(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, SinkError> {
        // Source names are hexadecimal digits and '#', which a path must escape.
        let path = format!("/v1/positions?prefix={}", prefix.replace('#', "%23"));
        let mut body = Vec::new();
        self.get(&path)
            .and_then(|mut answer| answer.read_to_end(&mut body))
            .map_err(|error| SinkError(error.to_string()))?;
        serde_json::from_slice(&body).map_err(|error| SinkError(error.to_string()))
    }

    fn is_followed(&self, source: &str) -> Result<bool, SinkError> {
        let led_to = self.positions("log:")?;
        Ok(led_to.iter().any(|(log, id)| {
            id == source.as_bytes() && self.follows.iter().any(|followed| followed.has(log))
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    /// What comes of asking a daemon that says this and goes away.
    fn asked(answer: &'static str) -> Result<String, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = UnixListener::bind(socket_path(folder.path())).expect("a socket");
        let daemon = Daemon { socket: socket_path(folder.path()), follows: Vec::new() };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (stream, _) = listener.accept().expect("somebody asks");
                let mut reader = BufReader::new(stream);
                let mut line = String::new();
                while reader.read_line(&mut line).expect("a request") > 2 {
                    line.clear();
                }
                reader.get_mut().write_all(answer.as_bytes()).expect("somebody listens");
            });
            let mut body = String::new();
            let read = daemon.get("/").and_then(|mut answer| answer.read_to_string(&mut body));
            read.map(|_| body).map_err(|error| error.to_string())
        })
    }

    #[test]
    fn an_answer_that_is_cut_short_is_an_error() {
        let cut = "the daemon went away in the middle of its answer";
        for (answer, expected) in [
            ("HTTP/1.0 200 OK\r\ncontent-length: 4\r\n\r\nall\n", Ok("all\n")),
            ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", Ok("")),
            ("HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\nhalf", Err(cut)),
            ("HTTP/1.0 200 OK\r\nContent-Le", Err(cut)),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nall\n\r\nB;x=y\r\nand more of\r\n0\r\n\r\n",
                Ok("all\nand more of"),
            ),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Ok("")),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nall\n\r\n", Err(cut)),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf", Err(cut)),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
                Err("the daemon's answer is garbled"),
            ),
            ("", Err(cut)),
            ("HTTP/1.0 503 X\r\nContent-Length: 4\r\n\r\nwhy\n", Err("the daemon says: why")),
        ] {
            let expected = expected.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(asked(answer), expected, "{answer:?}");
        }
    }
}
