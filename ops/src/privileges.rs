//! What the daemon may do beyond an ordinary user: nothing, once its sockets are bound.
//!
//! A port below 1024 takes a capability (CAP_NET_BIND_SERVICE, as the unit gives it). [`drop_all`] is called when every
//! socket is bound and before there is a second thread, since capabilities are each thread's own. Out comes what it did, for
//! the log. Whoever starts the daemon as root keeps what root has: without it root could not read the logs of others, which
//! would surprise later and in another place. That is said, too.

use caps::{CapSet, Capability};

/// What became of the privileges.
#[derive(Debug, PartialEq, Eq)]
pub enum Dropped {
    /// There were none.
    None,
    /// These were given up.
    These(Vec<Capability>),
    /// The program runs as root and keeps them.
    Root,
}

/// Gives up every capability for good, and lets no program that is started from here gain one.
///
/// # Errors
///
/// The system refuses, in words.
pub fn drop_all() -> Result<Dropped, String> {
    if nix::unistd::geteuid().is_root() {
        return Ok(Dropped::Root);
    }
    nix::sys::prctl::set_no_new_privs().map_err(|error| error.to_string())?;
    let had = caps::read(None, CapSet::Permitted).map_err(|error| error.to_string())?;
    for set in [CapSet::Ambient, CapSet::Effective, CapSet::Inheritable, CapSet::Permitted] {
        caps::clear(None, set).map_err(|error| error.to_string())?;
    }
    if had.is_empty() {
        return Ok(Dropped::None);
    }
    let mut had: Vec<_> = had.into_iter().collect();
    had.sort_by_key(Capability::index);
    Ok(Dropped::These(had))
}
