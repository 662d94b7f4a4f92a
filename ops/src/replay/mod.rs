//! `helostat replay`: old mail once more, each message judged by what was known before it. Try before you enforce.
//!
//! In the order in which the mail meets the parts:
//!
//! - [`read`]: logs into a [`reel`], which gives messages in the order of time; [`sites`]: who reports what sort of mail
//! - [`policies`]: by which numbers is judged
//! - [`play`]: each message to the [`helostat_zones::replay`], who judges and then learns, and to those who count
//! - [`account`], [`standing`], [`tracks`], [`compare`], [`roc`]: what is counted
//! - [`per_message`]: a line a message; [`keep`]: what was learned, as a ledger
//! - [`report`]: all figures as one value, with [`advice`]; [`text`], [`html`] and [`plot`] show it, JSON is the value itself
//!
//! Labels and later outcomes are never shown to the judge.

pub mod account;
pub mod advice;
pub mod compare;
pub mod html;
pub mod keep;
pub mod per_message;
pub mod play;
pub mod plot;
pub mod policies;
pub mod read;
pub mod reel;
pub mod report;
pub mod roc;
pub mod sites;
pub mod standing;
pub mod text;
pub mod tracks;
