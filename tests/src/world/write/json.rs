//! Observations as JSON lines, as `helostat learn --to-json` writes them.

use std::io::{self, Write};

use helostat_ingest::heard::Heard;

use crate::world::World;

/// Writes all messages.
pub fn write(world: &World, out: &mut impl Write) -> io::Result<()> {
    for message in world.messages() {
        let seen = message.observation;
        let heard = Heard {
            time: seen.time,
            ip: seen.ip,
            name: Some(seen.name),
            rdns: seen.rdns,
            proto: None,
            outcome: seen.outcome,
            stage: seen.stage,
            reason: None,
            by_us: seen.by_us,
            supersedes: seen.supersedes,
            apart: None,
            reporter: seen.reporter,
            seq: None,
            label: None,
        };
        writeln!(out, "{}", heard.to_json())?;
    }
    Ok(())
}
