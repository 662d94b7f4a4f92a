//! Logs as Postfix and Exim write them, one file for each site: `SITE.log`.
//!
//! Each message is a session of its own; sessions do not interleave. A refusal is of a recipient: an unknown user for
//! wanted mail, a block list for spam, greylisting for what is put off. What a bad reporter makes up stands in its log
//! like everything else.
//!
//! Postfix's log tells all that the site saw. Exim's, as it is by default, does not: it shows no name in a refusal of
//! a client that says its reverse name, nor where sessions of one address begin and end.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use helostat_zones::observation::{Observation, Outcome};

use crate::maillog::{Act, Client, Mta, Session};
use crate::world::{Message, World};

/// The users that mail is for.
const USERS: [&str; 5] = ["ada", "bob", "carol", "dave", "erin"];

/// Writes a log for each site that saw mail into an existing folder.
pub fn write(world: &World, mta: Mta, folder: &Path) -> io::Result<()> {
    let mut files: Vec<_> = world.sites().iter().map(|site| (site, None)).collect();
    let mut text = Vec::new();
    for message in world.messages() {
        let seen = &message.observation;
        let Some((_, file)) = files.iter_mut().find(|(site, _)| site.reporter == seen.reporter)
        else {
            continue;
        };
        let file = match file {
            Some(file) => file,
            None => {
                let path = folder.join(format!("{}.log", seen.reporter));
                file.insert(BufWriter::new(File::create(path)?))
            }
        };
        text.clear();
        session(mta, &message, &mut text);
        file.write_all(&text)?;
    }
    for (_, file) in files {
        if let Some(mut file) = file {
            file.flush()?;
        }
    }
    Ok(())
}

/// The lines of one message.
pub fn session(mta: Mta, message: &Message<'_>, out: &mut Vec<u8>) {
    let seen = &message.observation;
    let client = Client {
        address: seen.ip.to_string().into_bytes(),
        name: seen.name.text().as_bytes().to_vec(),
        rdns: seen.rdns.as_deref().map(|rdns| rdns.as_bytes().to_vec()),
    };
    let user = USERS[(message.seq % USERS.len() as u64) as usize].as_bytes();
    let act = act(seen, message.truth.good);
    let session = Session { client: &client, act, user, message: message.seq, process: 2600 };
    session.write(mta, seen.time, out);
}

fn act(seen: &Observation, good: bool) -> Act {
    match (seen.outcome, good) {
        (Outcome::Accepted | Outcome::Partial, _) => Act::Message,
        (Outcome::Deferred, _) => Act::Greylisted,
        (Outcome::Rejected | Outcome::Refused, true) => Act::UnknownUser,
        (Outcome::Rejected | Outcome::Refused, false) => Act::Blocked,
        (Outcome::Aborted, _) => Act::Lost,
        (Outcome::None, _) => Act::Nothing,
    }
}
