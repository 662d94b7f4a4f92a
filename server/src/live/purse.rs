//! How many questions one look-up may put on the wire, shared fairly among its systems.
//!
//! All systems of a pair run at once and draw on one budget. Who asks first would win, and a domain
//! with a long SPF record could starve every other system. So each system has a few questions of its
//! own; the rest is common; and what a system leaves when it ends becomes common too. A system that
//! needs more than there is waits while others may still leave something, and only then is told that
//! nothing is left. Nothing here waits for anything but the other systems of the same look-up.

use parking_lot::Mutex;
use tokio::sync::Notify;

use helostat_zones::evidence::System;

const SYSTEMS: usize = System::ALL.len();

/// The questions left to one look-up.
#[derive(Debug)]
pub(super) struct Purse {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    common: u32,
    own: [u32; SYSTEMS],
    /// Systems that have ended, or wait for what others leave: they leave nothing any more.
    spent: [bool; SYSTEMS],
    /// Questions that are taken and may come back.
    held: u32,
}

/// What a system that wants to ask is told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Ask,
    Wait,
    Nothing,
}

/// A question that is taken: it goes back unless it is spent.
#[derive(Debug)]
pub(super) struct Coin<'a>(&'a Purse);

impl Coin<'_> {
    /// It was put on the wire.
    pub(super) fn spend(self) {
        self.0.let_go(0);
        std::mem::forget(self);
    }
}

impl Drop for Coin<'_> {
    fn drop(&mut self) {
        self.0.let_go(1);
    }
}

impl Purse {
    /// A purse of `questions` for `systems`.
    pub(super) fn new(questions: u32, systems: &[System]) -> Self {
        let count = u32::try_from(systems.len().max(1)).unwrap_or(u32::MAX);
        let each = questions / count;
        let mut own = [0; SYSTEMS];
        let mut spent = [true; SYSTEMS];
        for system in systems {
            own[system.index()] = each;
            spent[system.index()] = false;
        }
        let state = State { common: questions - each * count, own, spent, held: 0 };
        Self { state: Mutex::new(state), changed: Notify::new() }
    }

    /// Takes one question for `system`; `None` if there is none and none will come.
    pub(super) async fn take(&self, system: System) -> Option<Coin<'_>> {
        loop {
            let changed = self.changed.notified();
            let (told, news) = self.state.lock().ask(system.index());
            if news {
                // The others may be waiting for what this one will not leave.
                self.changed.notify_waiters();
            }
            match told {
                Told::Ask => return Some(Coin(self)),
                Told::Nothing => return None,
                Told::Wait if news => {}
                Told::Wait => changed.await,
            }
        }
    }

    /// Takes one more for a question that has begun; waits for nobody.
    pub(super) fn take_more(&self, system: System) -> bool {
        self.state.lock().draw(system.index())
    }

    /// The system has ended: what it leaves is for all.
    pub(super) fn end(&self, system: System) {
        let mut state = self.state.lock();
        let at = system.index();
        state.common += state.own[at];
        state.own[at] = 0;
        state.spent[at] = true;
        drop(state);
        self.changed.notify_waiters();
    }

    fn let_go(&self, back: u32) {
        let mut state = self.state.lock();
        state.held -= 1;
        state.common += back;
        drop(state);
        self.changed.notify_waiters();
    }
}

impl State {
    fn draw(&mut self, at: usize) -> bool {
        for left in [&mut self.own[at], &mut self.common] {
            if *left > 0 {
                *left -= 1;
                return true;
            }
        }
        false
    }

    /// What the system is told, and whether that is news for the others: it leaves nothing any more.
    fn ask(&mut self, at: usize) -> (Told, bool) {
        if self.draw(at) {
            self.held += 1;
            self.spent[at] = false;
            return (Told::Ask, false);
        }
        let news = !std::mem::replace(&mut self.spent[at], true);
        let more = self.own.iter().zip(&self.spent).any(|(own, spent)| *own > 0 && !spent);
        (if more || self.held > 0 { Told::Wait } else { Told::Nothing }, news)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    /// Takes one and spends it.
    async fn ask(purse: &Purse, system: System) -> bool {
        let coin = purse.take(system).await;
        coin.map(Coin::spend).is_some()
    }

    #[tokio::test]
    async fn every_system_has_its_own_and_the_rest_is_common() {
        let purse = Purse::new(5, &[System::Csa, System::Spf]);
        for _ in 0..3 {
            assert!(ask(&purse, System::Spf).await);
        }
        // Two of its own and the common one are gone; the other system's are not touched.
        let more = timeout(Duration::from_millis(20), ask(&purse, System::Spf)).await;
        assert!(more.is_err(), "it waits for what the other leaves");
        assert!(ask(&purse, System::Csa).await);
        purse.end(System::Csa);
        assert!(ask(&purse, System::Spf).await, "the other left one");
        assert!(!purse.take_more(System::Spf));
        assert!(!ask(&purse, System::Spf).await, "and no more");
    }

    #[tokio::test]
    async fn what_is_not_spent_comes_back() {
        let purse = Purse::new(1, &[System::Csa]);
        drop(purse.take(System::Csa).await.expect("one"));
        assert!(ask(&purse, System::Csa).await);
        assert!(!ask(&purse, System::Csa).await);
    }

    #[tokio::test]
    async fn those_who_all_want_more_do_not_wait_for_each_other() {
        let systems = [System::Csa, System::Spf, System::Mx];
        let purse = Arc::new(Purse::new(9, &systems));
        let mut greedy = tokio::task::JoinSet::new();
        for system in systems {
            let purse = Arc::clone(&purse);
            greedy.spawn(async move {
                let mut taken = 0;
                while let Some(coin) = purse.take(system).await {
                    tokio::task::yield_now().await;
                    coin.spend();
                    taken += 1;
                }
                purse.end(system);
                taken
            });
        }
        let all = timeout(Duration::from_secs(5), greedy.join_all()).await.expect("no deadlock");
        assert_eq!(all, [3, 3, 3]);
    }
}
