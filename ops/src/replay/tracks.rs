//! What is known of each pair over the whole replay, whatever a policy says of it: counts, days, labels.
//!
//! Acceptance by a trap, or by who takes everything, says nothing for a sender, and neither does acceptance of what
//! somebody has labelled spam: neither counts as accepted here.

use helostat_ingest::heard::Label;
use helostat_zones::observation::{Outcome, ReporterKind};
use helostat_zones::time::Time;
use serde::Serialize;

use super::reel::Message;

/// What became of a message, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Taken, by somebody whose taking it means something.
    Accepted,
    /// Refused for good, and not by our own answer.
    Rejected,
    /// Anything else.
    Other,
}

/// How it counts that a message ended so at a reporter of this kind.
pub fn end_of(message: &Message, kind: ReporterKind) -> End {
    if message.outcome.is_accepted() {
        let counts = kind.builds_standing() && message.label() != Some(Label::Spam);
        return if counts { End::Accepted } else { End::Other };
    }
    let refused = matches!(message.outcome, Outcome::Rejected | Outcome::Refused);
    if refused && !message.by_us() { End::Rejected } else { End::Other }
}

/// One pair, all its messages.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Track {
    /// All messages.
    pub messages: u32,
    /// Those accepted.
    pub accepted: u32,
    /// Those refused for good.
    pub rejected: u32,
    /// Those labelled ham.
    pub ham: u32,
    /// Those labelled spam.
    pub spam: u32,
    /// The first.
    pub first: Time,
    /// The last.
    pub last: Time,
}

impl Track {
    /// Adds a message.
    pub fn add(&mut self, message: &Message, end: End) {
        if self.messages == 0 {
            self.first = message.time;
        }
        self.messages += 1;
        self.last = message.time;
        match end {
            End::Accepted => self.accepted += 1,
            End::Rejected => self.rejected += 1,
            End::Other => {}
        }
        match message.label() {
            Some(Label::Ham) => self.ham += 1,
            Some(Label::Spam) => self.spam += 1,
            None => {}
        }
    }
}
