//! What the tasks of all sockets share: the handler, the limits, and the way to an orderly end.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Limits;
use crate::connections::Connections;
use crate::handler::Handler;
use crate::judge::Judge;
use crate::pace::Pace;

/// What the tasks of all sockets share.
pub(crate) struct Shared<J> {
    pub(crate) handler: Arc<Handler<J>>,
    pub(crate) limits: Limits,
    /// How many answers a network gets.
    pub(crate) pace: Option<Pace>,
    /// Permits of UDP answers that wait for a verdict.
    pub(crate) waiting: Arc<Semaphore>,
    /// Who has how many TCP connections.
    pub(crate) connections: Arc<Connections>,
    /// Every task of the sockets, so that the end can wait for them.
    pub(crate) tasks: TaskTracker,
    /// Read nothing new.
    pub(crate) stop: CancellationToken,
    /// Leave at once.
    pub(crate) give_up: CancellationToken,
}

impl<J: Judge> Shared<J> {
    /// Runs `work` beside the others, until it ends or all is given up.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let give_up = self.give_up.clone();
        self.tasks.spawn(async move {
            // `None` says that it was given up, which the log says once for all.
            give_up.run_until_cancelled_owned(work).await.unwrap_or_default();
        });
    }
}
