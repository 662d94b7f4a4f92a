//! The policy service: what Postfix asks before it takes mail, over TCP and unix sockets.
//!
//! In go sockets, a [`Judge`] and what to do with each class; out comes one answer for each request, in the order of a
//! connection's requests. The protocol is that of [`helostat_zones::postfix`].
//!
//! - [`endpoint`]: where to listen; sockets that are bound before anything else is done
//! - [`counsel`]: from a request to its answer: verdict, action, words, and what is to be learned
//! - `connection`: the bytes of one connection, within limits
//! - [`metrics`]: what is counted
//!
//! Never in the way: what cannot be judged, or not in time, is `dunno`; so is who logged in. A client that sends garbage,
//! sends no end or takes no answer loses its connection without a word, as the protocol wants it, and nothing else; each such
//! end is counted. Nothing fails after the start.
//!
//! Postfix tries anew, after a pause, where it finds a connection closed. So connections are kept for longer than Postfix keeps
//! them itself (`smtpd_policy_service_max_ttl`, 1000 s), and it is always Postfix who closes one that is in order.

mod connection;
pub mod counsel;
pub mod endpoint;
pub mod metrics;

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use helostat_zones::answer::Caps;
use helostat_zones::observation::{Observation, Reporter};
use helostat_zones::postfix::Action;
use helostat_zones::verdict::Class;
use ipnet::IpNet;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::judge::Judge;

pub use counsel::Counsel;
pub use endpoint::{BindError, Endpoint};

use endpoint::{Bound, Listening};

/// How long answers under way may take at shutdown.
const DRAIN: Duration = Duration::from_millis(300);
/// The first pause after a failed accept (out of descriptors, mostly); it doubles up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LAST_PAUSE: Duration = Duration::from_secs(1);

/// Where to listen, to whom, and how much at once.
#[derive(Clone, Debug)]
pub struct PostfixConfig {
    /// Where Postfix asks.
    pub listen: Vec<Endpoint>,
    /// The permissions of unix sockets.
    pub mode: u32,
    /// Who may ask over TCP.
    pub allow: Vec<IpNet>,
    /// Connections open at once, at most.
    pub connections: usize,
    /// Octets of a request, at most.
    pub request_bytes: usize,
    /// A request that has begun must have ended after this time, and an answer must have been taken.
    pub stall: Duration,
    /// A connection that is silent between requests for so long is closed.
    pub idle: Duration,
    /// A verdict that takes longer is none.
    pub answer: Duration,
}

/// What is done with whom.
#[derive(Clone, Debug)]
pub struct Ways {
    /// With a trusted pair.
    pub trusted: Action,
    /// With a known one.
    pub known: Action,
    /// With a new one.
    pub new: Action,
    /// With a suspect one.
    pub suspect: Action,
    /// With a listed one.
    pub listed: Action,
    /// The name of the header.
    pub header: String,
    /// The page that explains; `{}` in it stands for the pair.
    pub page: Option<String>,
    /// The header is an Authentication-Results field instead.
    pub results: Option<Results>,
}

/// How an Authentication-Results field is written.
#[derive(Clone, Debug)]
pub struct Results {
    /// Who says it (RFC 8601 section 2.5).
    pub authserv_id: String,
    /// The zone of kind `wl` whose answer it tells.
    pub zone: String,
    /// What limits that zone's answers.
    pub caps: Caps,
}

impl Ways {
    /// What is done with a class.
    pub fn action(&self, class: Class) -> Action {
        match class {
            Class::Trusted => self.trusted,
            Class::Known => self.known,
            Class::New => self.new,
            Class::Suspect => self.suspect,
            Class::Listed => self.listed,
        }
    }

    /// Whether any class is given words.
    fn says_anything(&self) -> bool {
        let all = [self.trusted, self.known, self.new, self.suspect, self.listed];
        all.iter().any(|action| *action != Action::Dunno)
    }
}

/// Who learns from what is asked.
#[derive(Clone)]
pub struct Learning {
    /// Whose observations they are.
    pub reporter: Reporter,
    /// Takes one; false if there is no room for it. Must not wait.
    pub tell: Arc<dyn Fn(&Observation) -> bool + Send + Sync>,
}

/// Bound sockets that nobody reads yet.
#[derive(Debug)]
pub struct Sockets {
    bound: Vec<Bound>,
    config: PostfixConfig,
}

impl Sockets {
    /// Binds every address.
    ///
    /// # Errors
    ///
    /// The first that cannot be listened on.
    pub fn bind(config: PostfixConfig) -> Result<Self, BindError> {
        let bound = config.listen.iter().map(|endpoint| Bound::new(endpoint, config.mode));
        Ok(Self { bound: bound.collect::<Result<_, _>>()?, config })
    }

    /// Where Postfix asks, with the ports that were taken for port 0; empty if nowhere.
    pub fn endpoints(&self) -> Vec<String> {
        self.bound.iter().map(|bound| bound.endpoint.to_string()).collect()
    }

    /// Serves until `shutdown`; the handle ends when the last answer has left or was given up.
    ///
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// The runtime refuses a socket.
    pub fn serve<J: Judge>(
        self,
        counsel: Arc<Counsel<J>>,
        shutdown: CancellationToken,
    ) -> io::Result<JoinHandle<()>> {
        let mut listening = Vec::new();
        for bound in self.bound {
            listening.push(bound.listen()?);
        }
        let shared = Arc::new(Shared {
            counsel,
            places: Arc::new(Semaphore::new(self.config.connections)),
            config: self.config,
            tasks: TaskTracker::new(),
            stop: shutdown.clone(),
            give_up: CancellationToken::new(),
        });
        for listening in listening {
            shared.tasks.spawn(accept(listening, shared.clone()));
        }
        Ok(tokio::spawn(async move {
            shutdown.cancelled().await;
            shared.tasks.close();
            if tokio::time::timeout(DRAIN, shared.tasks.wait()).await.is_err() {
                shared.give_up.cancel();
                shared.tasks.wait().await;
            }
        }))
    }
}

/// What the tasks of all connections share.
struct Shared<J> {
    counsel: Arc<Counsel<J>>,
    config: PostfixConfig,
    /// Room for connections.
    places: Arc<Semaphore>,
    tasks: TaskTracker,
    /// Read nothing new.
    stop: CancellationToken,
    /// Leave at once.
    give_up: CancellationToken,
}

impl<J> Shared<J> {
    fn admits(&self, peer: IpAddr) -> bool {
        self.config.allow.iter().any(|net| net.contains(&peer))
    }
}

/// Accepts connections until told to stop.
async fn accept<J: Judge>(listening: Listening, shared: Arc<Shared<J>>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let accepted = tokio::select! {
            biased;
            () = shared.stop.cancelled() => return,
            accepted = listening.accept() => accepted,
        };
        let (plug, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "Accepting a connection of Postfix failed");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LAST_PAUSE);
                continue;
            }
        };
        pause = FIRST_PAUSE;
        if !plug.is_unix() && !shared.admits(peer) {
            shared.counsel.metrics().limit("allow");
            continue;
        }
        let Ok(place) = shared.places.clone().try_acquire_owned() else {
            shared.counsel.metrics().limit("connections");
            continue;
        };
        let of_connection = shared.clone();
        shared.tasks.spawn(async move {
            let give_up = of_connection.give_up.clone();
            let _open = of_connection.counsel.metrics().open();
            let work = connection::serve(plug, peer, &of_connection);
            // `None` says that it was given up.
            give_up.run_until_cancelled_owned(work).await.unwrap_or_default();
            drop(place);
        });
    }
}
