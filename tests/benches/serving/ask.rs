//! Asks a list's server and checks every answer; never sleeps, so that the server pays for no waking of ours.
//!
//! In go the number of the list's lines and a port; out comes an [`Outcome`]. Without a rate a question leaves as soon as
//! an earlier one is answered, `window` at a time over all sockets; with one it leaves when it is due, and its wait
//! runs from that moment, so that a server that stalls is not spared the questions that it would have had meanwhile.

use std::io::{IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use helostat_tests::program::Random;
use nix::sys::socket::{
    MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg, setsockopt, sockopt,
};
use serde_json::{Value, json};

use super::data;

/// Datagrams with one call.
const BATCH: usize = 32;
/// Above any answer to these questions without EDNS.
const ROOM: usize = 512;
/// Questions of one socket that may be under way; an id is one of these places, and which of its turns it is.
const PLACES: u16 = 1024;
/// After which a question is lost.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two looks for lost ones.
const LOOK: Duration = Duration::from_millis(100);
/// The kernel gives what it allows; ours must not be what loses answers.
const RECEIVE_BUFFER: usize = 4 << 20;
/// Above the longest of these questions.
const QUESTION_MAX: usize = 64;
const SEED: u64 = 20_261_128;
const A: u8 = 1;
const TXT: u8 = 16;

/// What is asked of whom, and how.
pub(crate) struct Plan {
    pub(crate) port: u16,
    /// Lines of the list.
    pub(crate) lines: u32,
    /// Different questions.
    pub(crate) questions: u32,
    pub(crate) lasting: Duration,
    pub(crate) sockets: usize,
    /// Questions under way over all sockets.
    pub(crate) window: usize,
    /// Questions a second; 0 for as many as are answered.
    pub(crate) rate: u32,
    /// What comes back is the question.
    pub(crate) is_echo: bool,
}

/// What came of it.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) answered: u64,
    pub(crate) lost: u64,
    /// Answers that are not those that were due.
    pub(crate) bad: u64,
    /// From when a question was due to its answer, in order; with a rate only.
    pub(crate) waits: Vec<Duration>,
}

impl Outcome {
    /// For the process that measures.
    pub(crate) fn json(&self) -> Value {
        let wait = |share| crate::measure::at_share(&self.waits, share).as_secs_f64() * 1e6;
        json!({
            "answered": self.answered, "lost": self.lost, "bad": self.bad,
            "p50": wait(0.5), "p99": wait(0.99), "max": wait(1.0),
        })
    }
}

struct Question {
    octets: [u8; QUESTION_MAX],
    length: usize,
    is_listed: bool,
}

/// Half of them are listed, nine of ten ask for A and one for TXT.
fn questions(lines: u32, count: u32) -> Vec<Question> {
    let listed: Vec<u32> = data::listed(lines).collect();
    let mut others = data::unlisted();
    let mut random = Random(SEED);
    let questions = (0..count).map(|_| {
        let hit = usize::try_from(random.below(u64::from(lines))).expect("64 bits");
        let hit = listed.get(hit).copied().filter(|_| random.below(2) == 0);
        let address = hit.or_else(|| others.next()).expect("there are more addresses");
        let rtype = if random.below(10) == 0 { TXT } else { A };
        question(address, rtype, hit.is_some())
    });
    questions.collect()
}

fn question(address: u32, rtype: u8, is_listed: bool) -> Question {
    let [a, b, c, d] = Ipv4Addr::from(address).octets();
    let mut packet = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in format!("{d}.{c}.{b}.{a}.{}", data::ORIGIN).split('.') {
        packet.push(u8::try_from(label.len()).expect("a label"));
        packet.extend(label.as_bytes());
    }
    packet.extend([0, 0, rtype, 0, 1]);
    let mut octets = [0; QUESTION_MAX];
    octets.get_mut(..packet.len()).expect("room").copy_from_slice(&packet);
    Question { octets, length: packet.len(), is_listed }
}

/// One question under way.
#[derive(Clone, Copy, Default)]
struct Place {
    id: u16,
    is_listed: bool,
    /// When it was due; `None` if none is under way here.
    due: Option<Instant>,
}

struct Asker {
    socket: UdpSocket,
    places: Vec<Place>,
    free: Vec<u16>,
    sent: MultiHeaders<SockaddrStorage>,
    received: MultiHeaders<SockaddrStorage>,
    rooms: Box<[[u8; ROOM]; BATCH]>,
}

impl Asker {
    fn new(port: u16) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        socket.connect((Ipv4Addr::LOCALHOST, port)).expect("loopback");
        setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER).expect("a buffer");
        Self {
            socket,
            places: (0..PLACES).map(|id| Place { id, ..Place::default() }).collect(),
            free: (0..PLACES).collect(),
            sent: MultiHeaders::preallocate(BATCH, None),
            received: MultiHeaders::preallocate(BATCH, None),
            rooms: Box::new([[0; ROOM]; BATCH]),
        }
    }

    fn under_way(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Sends a batch that was due at these moments; how many left.
    fn send<'a>(
        &mut self,
        questions: impl Iterator<Item = &'a Question>,
        due: impl Fn(usize) -> Instant,
        count: usize,
    ) -> usize {
        let mut taken = [0; BATCH];
        let mut lengths = [0; BATCH];
        let mut length = 0;
        let rooms = self.rooms.iter_mut().zip(&mut taken).zip(&mut lengths);
        for ((question, ((room, taken), length_of)), number) in
            questions.zip(rooms).zip(0..count.min(BATCH))
        {
            let Some(place_number) = self.free.pop() else { break };
            let Some(place) = self.places.get_mut(usize::from(place_number)) else { break };
            place.id = place.id.wrapping_add(PLACES);
            place.is_listed = question.is_listed;
            place.due = Some(due(number));
            let octets = question.octets.get(..question.length).unwrap_or_default();
            if let Some(room) = room.get_mut(..octets.len()) {
                room.copy_from_slice(octets);
                if let Some(id) = room.first_chunk_mut() {
                    *id = place.id.to_be_bytes();
                }
            }
            (*taken, *length_of) = (place_number, octets.len());
            length += 1;
        }
        let slices: [[IoSlice<'_>; 1]; BATCH] = std::array::from_fn(|number| {
            let length = lengths.get(number).copied().unwrap_or_default();
            let room = self.rooms.get(number).and_then(|room| room.get(..length));
            [IoSlice::new(room.unwrap_or_default())]
        });
        // The socket is connected.
        let nobody = [None; BATCH];
        let sent = sendmmsg(
            self.socket.as_raw_fd(),
            &mut self.sent,
            slices.iter().take(length),
            nobody,
            [],
            MsgFlags::MSG_DONTWAIT,
        );
        // What the system does not take now is tried again.
        let sent = sent.map_or(0, Iterator::count);
        for &place in taken.get(sent..length).unwrap_or_default() {
            self.give_back(place);
        }
        sent
    }

    fn give_back(&mut self, place: u16) {
        if let Some(it) = self.places.get_mut(usize::from(place)) {
            it.due = None;
            self.free.push(place);
        }
    }

    fn receive(&mut self, plan: &Plan, outcome: &mut Outcome) {
        let mut lengths = [0; BATCH];
        {
            let mut slices = self.rooms.each_mut().map(|room| [IoSliceMut::new(room)]);
            let flags = MsgFlags::MSG_DONTWAIT;
            let fd = self.socket.as_raw_fd();
            let Ok(messages) = recvmmsg(fd, &mut self.received, slices.iter_mut(), flags, None)
            else {
                return;
            };
            for (length, message) in lengths.iter_mut().zip(messages) {
                *length = message.bytes;
            }
        }
        let now = Instant::now();
        for (number, length) in lengths.into_iter().enumerate().filter(|(_, length)| *length > 0) {
            let answer = self.rooms.get(number).and_then(|room| room.get(..length));
            let Some(&[high, low, flags, code, _, _, _, answers, ..]) = answer else {
                outcome.bad += 1;
                continue;
            };
            let id = u16::from_be_bytes([high, low]);
            let place = self.places.get(usize::from(id % PLACES));
            let Some((due, place)) =
                place.filter(|place| place.id == id).and_then(|place| Some((place.due?, place)))
            else {
                // It came after it was given up.
                continue;
            };
            let said = match (code & 15, answers) {
                (0, 1..) => Some(true),
                (3, 0) => Some(false),
                _ => None,
            };
            let is_due = flags & 0x80 != 0 && (plan.is_echo || said == Some(place.is_listed));
            outcome.bad += u64::from(!is_due);
            outcome.answered += 1;
            if plan.rate > 0 {
                outcome.waits.push(now.saturating_duration_since(due));
            }
            self.give_back(id % PLACES);
        }
    }

    /// Gives up what waits for too long.
    fn give_up(&mut self, now: Instant, patience: Duration, outcome: &mut Outcome) {
        for number in 0..PLACES {
            let place = self.places.get(usize::from(number)).copied().unwrap_or_default();
            if place.due.is_some_and(|due| now.saturating_duration_since(due) >= patience) {
                outcome.lost += 1;
                self.give_back(number);
            }
        }
    }
}

pub(crate) fn ask(plan: &Plan) -> Outcome {
    let questions = questions(plan.lines, plan.questions);
    let mut next = questions.iter().cycle();
    let mut askers: Vec<Asker> = (0..plan.sockets).map(|_| Asker::new(plan.port)).collect();
    let each = plan.window / plan.sockets;
    let mut outcome = Outcome::default();
    let start = Instant::now();
    let end = start + plan.lasting;
    let (mut sent, mut looked) = (0_u64, start);
    loop {
        let now = Instant::now();
        if now >= end {
            let nothing = askers.iter().all(|asker| asker.under_way() == 0);
            if nothing || now > end + PATIENCE {
                break;
            }
        }
        for (number, asker) in askers.iter_mut().enumerate() {
            if plan.rate > 0 {
                let when = Duration::from_secs_f64(sent as f64 / f64::from(plan.rate));
                let due = start + when;
                // The sockets take turns.
                let is_its_turn = sent % plan.sockets as u64 == number as u64;
                if is_its_turn && due <= now && due < end {
                    sent += asker.send(next.by_ref(), |_| due, 1) as u64;
                }
            } else if now < end {
                let count = each.saturating_sub(asker.under_way()).min(BATCH);
                if count > 0 {
                    sent += asker.send(next.by_ref(), |_| now, count) as u64;
                }
            }
            if asker.under_way() > 0 {
                asker.receive(plan, &mut outcome);
            }
        }
        if now > looked + LOOK {
            looked = now;
            for asker in &mut askers {
                asker.give_up(now, PATIENCE, &mut outcome);
            }
        }
    }
    for asker in &mut askers {
        asker.give_up(Instant::now(), Duration::ZERO, &mut outcome);
    }
    outcome.waits.sort_unstable();
    outcome
}
