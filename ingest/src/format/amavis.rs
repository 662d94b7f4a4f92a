//! amavis: a content filter behind the MTA.
//!
//! In go framed lines tagged `amavis`; nothing comes out. `(05872-01) Passed CLEAN {RelayedInbound}, [192.0.2.7]:4711 <S> -> <R>,
//! Queue-ID: Q, ..` names the client that the MTA told it, but never a greeting, and the MTA's own lines tell of the same message:
//! to count both would count it twice. The verdict after the queue is not the client's to know.

use helostat_zones::time::Time;

use super::{Format, IRRELEVANT, Reading, SavedState};
use crate::framing::Frame;
use crate::heard::Heard;
use crate::stamps::Stamps;

/// Every line is known and says nothing that the MTA does not say.
#[derive(Debug)]
pub(crate) struct Amavis;

impl Format for Amavis {
    fn read(&mut self, _: &Frame<'_>, _: &mut Stamps, _: &mut Vec<Heard>) -> Reading {
        IRRELEVANT
    }

    fn sweep(&mut self, _: Time, _: &mut Vec<Heard>) {}

    fn close(&mut self, _: &mut Vec<Heard>) {}

    fn open_sessions(&self) -> usize {
        0
    }

    fn closed_early(&self) -> u64 {
        0
    }

    fn save(&self) -> SavedState {
        None
    }

    fn restore(&mut self, saved: SavedState) -> Result<(), String> {
        if saved.is_none() { Ok(()) } else { Err("amavis has no sessions".to_owned()) }
    }
}

/// True for the tags that amavis has by default: `amavis`, `amavisd`, `amavisd-new`.
pub(crate) fn is_tag(tag: &[u8]) -> bool {
    tag.starts_with(b"amavis")
}
