//! Where Postfix asks: `127.0.0.1:10040`, or `unix:PATH`.
//!
//! In goes an [`Endpoint`]; out comes a bound socket, which accepts once it is told to listen. A unix socket that a
//! daemon left behind is taken away, one that somebody serves is not, and anything else that has its name is left alone.
//! It goes when we end. Errors are sentences with the endpoint.

use std::fmt;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener as StdTcpListener};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener as StdUnixListener, UnixStream as StdUnixStream};
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::listen::bind_tcp;

/// Where Postfix asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Over TCP.
    Tcp(SocketAddr),
    /// At a file.
    Unix(PathBuf),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// It cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {endpoint} (policy service for Postfix)")]
pub struct BindError {
    /// Where.
    pub endpoint: Endpoint,
    /// What the system said.
    pub source: io::Error,
}

/// A bound socket.
#[derive(Debug)]
pub(super) struct Bound {
    /// Where, with the port that was taken for port 0.
    pub(super) endpoint: Endpoint,
    socket: Listener,
}

#[derive(Debug)]
enum Listener {
    Tcp(StdTcpListener),
    Unix(StdUnixListener, SocketFile),
}

/// The file of a unix socket; gone when dropped.
#[derive(Debug)]
pub(super) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody may have taken it away, which is as well.
        fs::remove_file(&self.0).ok();
    }
}

impl Bound {
    pub(super) fn new(endpoint: &Endpoint, mode: u32) -> Result<Self, BindError> {
        let failed = |source| BindError { endpoint: endpoint.clone(), source };
        match endpoint {
            Endpoint::Tcp(address) => {
                let socket = bind_tcp(*address).map_err(failed)?;
                let taken = socket.local_addr().map_err(failed)?;
                Ok(Self { endpoint: Endpoint::Tcp(taken), socket: Listener::Tcp(socket) })
            }
            Endpoint::Unix(path) => {
                let (socket, file) = bind_unix(path, mode).map_err(failed)?;
                Ok(Self { endpoint: endpoint.clone(), socket: Listener::Unix(socket, file) })
            }
        }
    }

    pub(super) fn listen(self) -> io::Result<Listening> {
        Ok(match self.socket {
            Listener::Tcp(socket) => Listening::Tcp(TcpListener::from_std(socket)?),
            Listener::Unix(socket, file) => {
                Listening::Unix { listener: UnixListener::from_std(socket)?, _file: file }
            }
        })
    }
}

fn bind_unix(path: &Path, mode: u32) -> io::Result<(StdUnixListener, SocketFile)> {
    clear(path)?;
    // The umask leaves it narrower than it will be, or as narrow: nobody comes in before the mode is set.
    let socket = StdUnixListener::bind(path)?;
    let file = SocketFile(path.to_owned());
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    socket.set_nonblocking(true)?;
    Ok((socket, file))
}

/// Takes a socket away that nobody serves.
fn clear(path: &Path) -> io::Result<()> {
    let is_socket = match fs::symlink_metadata(path) {
        Ok(meta) => meta.file_type().is_socket(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !is_socket {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "there is a file that is no socket",
        ));
    }
    match StdUnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(error),
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
    }
}

/// A socket that accepts.
#[derive(Debug)]
pub(super) enum Listening {
    Tcp(TcpListener),
    Unix { listener: UnixListener, _file: SocketFile },
}

/// A connection.
#[derive(Debug)]
pub(super) enum Plug {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Plug {
    pub(super) fn is_unix(&self) -> bool {
        matches!(self, Self::Unix(_))
    }
}

impl Listening {
    /// The next connection, and who is at its other end; over a unix socket that is this machine.
    pub(super) async fn accept(&self) -> io::Result<(Plug, IpAddr)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // Fails if the other end is gone already, which shows when it is read.
                stream.set_nodelay(true).ok();
                Ok((Plug::Tcp(stream), peer.ip().to_canonical()))
            }
            Self::Unix { listener, .. } => {
                let (stream, _) = listener.accept().await?;
                Ok((Plug::Unix(stream), Ipv4Addr::LOCALHOST.into()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(path: &Path) -> Result<Bound, BindError> {
        Bound::new(&Endpoint::Unix(path.to_owned()), 0o660)
    }

    #[test]
    fn a_socket_is_there_as_long_as_it_is_served() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("policy");
        let bound = bind(&path).expect("nobody has it");
        let mode = fs::metadata(&path).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o660);
        let error = bind(&path).expect_err("somebody has it");
        assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse, "{error}");
        drop(bound);
        assert!(!path.exists());
    }

    #[test]
    fn what_a_dead_daemon_left_is_taken_away_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("policy");
        drop(StdUnixListener::bind(&path).expect("a socket"));
        assert!(path.exists(), "it was left");
        drop(bind(&path).expect("a dead one is no hindrance"));
        fs::write(&path, "mine").expect("a file");
        let error = bind(&path).expect_err("a file");
        assert!(error.source.to_string().contains("no socket"), "{error}");
        assert_eq!(fs::read_to_string(&path).ok().as_deref(), Some("mine"));
        let nowhere = folder.path().join("no/policy");
        let error = bind(&nowhere).expect_err("no folder");
        let said =
            format!("cannot listen on unix:{} (policy service for Postfix)", nowhere.display());
        assert_eq!(error.to_string(), said);
    }
}
