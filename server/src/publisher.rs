//! Judges ahead of questions: keeps what is published of clients fresh, within a share of one core.
//!
//! In: a judge, again and again all shards of its [`Published`](crate::published::Published) table. Out: codes in the table for
//! every client that can be judged from what is known; who needs a look-up is left to whoever asks. Nothing fails.
//!
//! - It begins when the program begins, and works for half of the time until all have been judged once; likewise when most
//!   have to be judged anew (another policy). Then it looks for what will soon have to be judged anew, and takes at most
//!   [`SHARE`] of the time, however many clients there are: what it does not reach is judged when it is asked for.
//! - After each round the guards ([`crate::guard`]) learn how many are listed.
//! - It judges few clients at a time, so that it holds up nobody.
//!
//! It runs in a thread of its own, which ends soon after [`Publisher`] is dropped.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use crate::ledger_judge::LedgerJudge;
use crate::published::Counts;

/// The share of a core while there is nothing to catch up with: one part of so many.
const SHARE: u32 = 50;
/// The same while there is.
const CATCHING_UP: u32 = 2;
/// Between two rests.
const STINT: Duration = Duration::from_millis(2);
/// A round over all shards takes at least this long.
const ROUND: Duration = Duration::from_secs(60);
/// Who has to be judged anew within this time is judged now.
const AHEAD: Duration = Duration::from_secs(90);

/// The thread; it ends when this is dropped.
pub struct Publisher {
    _stop: Sender<()>,
}

impl Publisher {
    /// Begins. Fails if the system has no thread for it.
    pub fn start(judge: Arc<LedgerJudge>) -> std::io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let rest = move |span| stopped.recv_timeout(span) == Err(RecvTimeoutError::Timeout);
        thread::Builder::new().name("publisher".into()).spawn(move || publish(&judge, rest))?;
        Ok(Self { _stop: stop })
    }
}

/// Gives everybody a place, and goes round until `rest` says that it is over.
fn publish(judge: &LedgerJudge, rest: impl Fn(Duration) -> bool) {
    judge.publish_all();
    let mut parts = CATCHING_UP;
    loop {
        let round = Instant::now();
        let mut all = Counts::default();
        let mut stint = Instant::now();
        for shard in judge.shards() {
            let Counts { clients, listed, judged } = judge.publish(shard, AHEAD);
            all.clients += clients;
            all.listed += listed;
            all.judged += judged;
            let took = stint.elapsed();
            if took > STINT {
                if !rest(took * (parts - 1)) {
                    return;
                }
                stint = Instant::now();
            }
        }
        judge.look(all.listed);
        parts = if all.judged * 2 > all.clients { CATCHING_UP } else { SHARE };
        if !rest(ROUND.saturating_sub(round.elapsed()).max(STINT)) {
            return;
        }
    }
}
