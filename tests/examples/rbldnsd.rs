//! Asks real rbldnsd and our own tables the same questions about the same made-up lists, and compares.
//!
//! What may differ: where a name lies above others, rbldnsd says that it does not exist (RFC 8020 is younger than
//! it). Records that did not fit into rbldnsd's packet are passed over. Everything else is an error, and is printed
//! with the question and both answers; the files stay where they are for a look.

use std::fs;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use helostat_zones::answer::Exists;
use helostat_zones::lists::{
    Format, ListAnswer, ListZone, LoadError, Loader, Options, Wanted, WireName,
};
use helostat_zones::time::Time;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, Record};

const HELP: &str = "\
Compares our answers from lists with those of real rbldnsd.

Usage: rbldnsd [--program PATH] [--rounds N] [--questions N] [--seed N]

  --program PATH   rbldnsd [default: rbldnsd]
  --rounds N       sets of made-up lists, each with every format [default: 20]
  --questions N    questions in each round [default: 20000]
  --seed N         the first round's seed [default: 1]
";
/// Who runs rbldnsd if we are root, as which it does not run.
const NOBODY: u32 = 65534;
/// Questions on their way at once.
const WINDOW: usize = 32;
const PATIENCE: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (ended, words) = match run(&args) {
        Ok(words) => (ExitCode::SUCCESS, words),
        Err(error) => (ExitCode::FAILURE, error),
    };
    if io::stdout().write_all(words.as_bytes()).is_err() { ExitCode::FAILURE } else { ended }
}

fn run(args: &[String]) -> Result<String, String> {
    if args.iter().any(|arg| arg == "--help") {
        return Ok(HELP.to_owned());
    }
    let value = |name: &str| {
        let place = args.iter().position(|arg| arg == name)?;
        args.get(place + 1).cloned()
    };
    let number = |name: &str, default: u64| match value(name) {
        Some(text) => text.parse().map_err(|_| format!("{name} {text} is no number")),
        None => Ok(default),
    };
    let program = value("--program").unwrap_or_else(|| "rbldnsd".to_owned());
    let (rounds, questions) = (number("--rounds", 20)?, number("--questions", 20_000)?);
    let first = number("--seed", 1)?;
    let mut total = Tally::default();
    for seed in first..first + rounds {
        round(&program, seed, questions, &mut total)
            .map_err(|error| format!("round {seed}: {error}"))?;
    }
    let Tally { asked, listed, above, unfit, refused } = total;
    Ok(format!(
        "{asked} questions, the same answers: {listed} listed, {above} above others where rbldnsd says there is \
         nothing, {unfit} too large for it; {refused} files refused by both\n"
    ))
}

#[derive(Default)]
struct Tally {
    asked: u64,
    listed: u64,
    above: u64,
    unfit: u64,
    refused: u64,
}

/// Numbers that look random and are the same for the same seed (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// True once in `times`.
    fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    fn pick<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len() as u64) as usize]
    }
}

/// A zone as both programs are told of it.
struct Zone {
    name: String,
    datasets: Vec<(Format, Vec<PathBuf>)>,
}

fn round(program: &str, seed: u64, questions: u64, total: &mut Tally) -> Result<(), String> {
    let folder =
        std::env::temp_dir().join(format!("helostat-rbldnsd-{}-{seed}", std::process::id()));
    fs::create_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    // rbldnsd may run as somebody else.
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).map_err(|e| e.to_string())?;
    let mut random = Random(seed.wrapping_mul(0x0123_4567_89AB_CDEF));
    let zones = make_zones(&folder, &mut random)?;
    let mut ours = Vec::new();
    let mut told = Vec::new();
    for zone in zones {
        match load(&zone) {
            Ok(loaded) => {
                ours.push((zone.name.clone(), loaded));
                told.push(zone);
            }
            // The real one must refuse it too.
            Err(error) => {
                let mut refused = Rbldnsd::start(program, &folder, &[&zone])?;
                if refused.ended_by_itself().is_none() {
                    return Err(format!(
                        "{} is loaded by rbldnsd, but not here: {error}",
                        zone.name
                    ));
                }
                total.refused += 1;
            }
        }
    }
    let real = Rbldnsd::start(program, &folder, &told.iter().collect::<Vec<_>>())?;
    let asker = Asker::new(real.address)?;
    asker.wait(&told[0].name)?;
    let mut batch = Vec::new();
    for zone in 0..ours.len() {
        let apex = |kind| Question { zone, labels: Vec::new(), kind };
        batch.extend([apex(Type::Soa), apex(Type::Ns)]);
    }
    for _ in 0..questions {
        let place = random.below(ours.len() as u64) as usize;
        let labels = make_question(&mut random);
        let kinds = [Type::A, Type::A, Type::Txt, Type::Txt, Type::Any, Type::Mx, Type::Aaaa];
        let kind = kinds[random.below(7) as usize];
        // With ANY the apex is asked for SOA and NS, which it may not have.
        let kind = if labels.is_empty() && kind == Type::Any { Type::A } else { kind };
        batch.push(Question { zone: place, labels, kind });
    }
    let mut answer = ListAnswer::default();
    for questions in batch.chunks(WINDOW) {
        let replies = asker.ask(questions, &ours)?;
        for (question, reply) in questions.iter().zip(replies) {
            let (name, zone) = &ours[question.zone];
            total.asked += 1;
            if let Err(why) = compare(question, zone, &reply, &mut answer, total) {
                let labels: Vec<_> =
                    question.labels.iter().map(|label| label.escape_ascii().to_string()).collect();
                return Err(format!(
                    "{:?} {}.{name}: {why}\nrbldnsd: {:?}, {:?}\nours: {answer:?}\nfiles: {}\n",
                    question.kind,
                    labels.join("."),
                    reply.metadata.response_code,
                    reply.answers,
                    folder.display(),
                ));
            }
        }
    }
    drop(real);
    fs::remove_dir_all(&folder).map_err(|error| error.to_string())
}

fn load(zone: &Zone) -> Result<ListZone, LoadError> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    let now = Time::from_unix(since.as_secs() as i64);
    let mut datasets = Vec::new();
    for (format, files) in &zone.datasets {
        let mut loader = Loader::new(*format, Options::new(now));
        for file in files {
            let stream = io::BufReader::new(fs::File::open(file).expect("a file of ours"));
            loader.read(&file.display().to_string(), stream)?;
        }
        datasets.push(Arc::new(loader.finish().dataset));
    }
    Ok(ListZone::new(datasets))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    A,
    Txt,
    Mx,
    Any,
    Aaaa,
    Soa,
    Ns,
}

impl Type {
    fn code(self) -> u16 {
        match self {
            Self::A => 1,
            Self::Ns => 2,
            Self::Soa => 6,
            Self::Mx => 15,
            Self::Txt => 16,
            Self::Aaaa => 28,
            Self::Any => 255,
        }
    }

    fn wanted(self) -> Wanted {
        match self {
            Self::A => Wanted::A,
            Self::Txt => Wanted::Txt,
            Self::Mx => Wanted::Mx,
            Self::Any => Wanted::Any,
            Self::Aaaa | Self::Soa | Self::Ns => Wanted::Other,
        }
    }
}

struct Question {
    zone: usize,
    labels: Vec<Vec<u8>>,
    kind: Type,
}

fn compare(
    question: &Question,
    zone: &ListZone,
    reply: &Message,
    answer: &mut ListAnswer,
    total: &mut Tally,
) -> Result<(), String> {
    match question.kind {
        Type::Soa => return compare_soa(zone, reply),
        Type::Ns => return compare_ns(zone, reply),
        _ => {}
    }
    let labels: Vec<&[u8]> = question.labels.iter().map(Vec::as_slice).collect();
    zone.ask(&labels, question.kind.wanted(), answer);
    let rcode = reply.metadata.response_code;
    if !reply.metadata.authoritative && rcode == ResponseCode::NoError {
        total.unfit += 1;
        return Ok(());
    }
    let mut theirs: Vec<_> = reply.answers.iter().filter_map(of_ours).collect();
    let mut ours: Vec<(u16, u32, Vec<u8>)> = Vec::new();
    ours.extend(answer.a.values.iter().map(|a| (1, answer.a.ttl, a.octets().to_vec())));
    ours.extend(answer.txt.values.iter().map(|text| (16, answer.txt.ttl, text.clone())));
    for mx in &answer.mx.values {
        let data = [&mx.preference.to_be_bytes()[..], mx.host.octets()].concat();
        ours.push((15, answer.mx.ttl, data));
    }
    theirs.sort();
    ours.sort();
    if ours != theirs {
        return Err("other records".to_owned());
    }
    match (answer.exists, rcode) {
        (Exists::NxDomain, ResponseCode::NXDomain) => {}
        (Exists::NoData, ResponseCode::NXDomain) => total.above += 1,
        (Exists::Exists | Exists::NoData, ResponseCode::NoError) => total.listed += 1,
        (ours, theirs) => return Err(format!("{ours:?} here, {theirs:?} there")),
    }
    Ok(())
}

/// Type, TTL and data of a record that lists may have.
fn of_ours(record: &Record) -> Option<(u16, u32, Vec<u8>)> {
    match &record.data {
        RData::A(a) => Some((1, record.ttl, a.0.octets().to_vec())),
        RData::TXT(txt) => Some((16, record.ttl, txt.txt_data.concat())),
        RData::MX(mx) => {
            let mut data = mx.preference.to_be_bytes().to_vec();
            for label in mx.exchange.iter() {
                data.push(label.len() as u8);
                data.extend_from_slice(label);
            }
            Some((15, record.ttl, data))
        }
        _ => None,
    }
}

fn compare_soa(zone: &ListZone, reply: &Message) -> Result<(), String> {
    let theirs = reply.answers.iter().find_map(|record| match &record.data {
        RData::SOA(soa) => Some((record.ttl, soa)),
        _ => None,
    });
    match (zone.soa(), theirs) {
        (None, None) => Ok(()),
        (Some(ours), Some((ttl, theirs))) => {
            let numbers = [
                (ours.ttl, ttl),
                (ours.refresh, theirs.refresh as u32),
                (ours.retry, theirs.retry as u32),
                (ours.expire, theirs.expire as u32),
                (ours.minimum, theirs.minimum),
            ];
            let same = numbers.iter().all(|(ours, theirs)| ours == theirs)
                && (ours.serial == theirs.serial || ours.serial == 0)
                && same_name(&ours.origin, &theirs.mname)
                && same_name(&ours.person, &theirs.rname);
            if same { Ok(()) } else { Err(format!("{ours:?} here, {theirs:?} there")) }
        }
        (ours, theirs) => Err(format!("{ours:?} here, {theirs:?} there")),
    }
}

/// Capitals may differ: rbldnsd writes the end of a name as a pointer to another one that differs in them.
fn same_name(ours: &WireName, theirs: &Name) -> bool {
    let theirs: Vec<Vec<u8>> = theirs.iter().map(<[u8]>::to_ascii_lowercase).collect();
    ours.labels().map(<[u8]>::to_ascii_lowercase).eq(theirs)
}

fn compare_ns(zone: &ListZone, reply: &Message) -> Result<(), String> {
    let mut theirs: Vec<Vec<Vec<u8>>> = Vec::new();
    for record in &reply.answers {
        if let RData::NS(ns) = &record.data {
            theirs.push(ns.0.iter().map(<[u8]>::to_vec).collect());
        }
    }
    let mut ours: Vec<Vec<Vec<u8>>> = Vec::new();
    for name in zone.ns().iter().flat_map(|ns| &ns.names) {
        ours.push(name.labels().map(<[u8]>::to_vec).collect());
    }
    theirs.sort();
    ours.sort();
    ours.dedup();
    if ours == theirs { Ok(()) } else { Err(format!("{ours:?} here, {theirs:?} there")) }
}

/// A running rbldnsd; it ends with this value.
struct Rbldnsd {
    child: Child,
    address: SocketAddr,
}

impl Rbldnsd {
    fn start(program: &str, folder: &Path, zones: &[&Zone]) -> Result<Self, String> {
        // A port that was free a moment ago.
        let socket =
            UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| error.to_string())?;
        let address = socket.local_addr().map_err(|error| error.to_string())?;
        drop(socket);
        let mut command = Command::new(program);
        command.arg("-n").arg("-b").arg(format!("127.0.0.1/{}", address.port()));
        for zone in zones {
            for (format, files) in &zone.datasets {
                let files: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
                command.arg(format!("{}:{}:{}", zone.name, format.word(), files.join(",")));
            }
        }
        let log =
            fs::File::create(folder.join("rbldnsd.log")).map_err(|error| error.to_string())?;
        let both = log.try_clone().map_err(|error| error.to_string())?;
        command.stdin(Stdio::null()).stdout(log).stderr(both);
        if fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0) {
            command.uid(NOBODY).gid(NOBODY);
        }
        let child = command.spawn().map_err(|error| format!("{program}: {error}"))?;
        Ok(Self { child, address })
    }

    /// How it ended, if it does so soon.
    fn ended_by_itself(&mut self) -> Option<std::process::ExitStatus> {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(300) {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    }
}

impl Drop for Rbldnsd {
    fn drop(&mut self) {
        let ended = self.child.kill().and_then(|()| self.child.wait());
        drop(ended);
    }
}

struct Asker {
    socket: UdpSocket,
}

impl Asker {
    fn new(address: SocketAddr) -> Result<Self, String> {
        let socket =
            UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| error.to_string())?;
        socket.connect(address).map_err(|error| error.to_string())?;
        Ok(Self { socket })
    }

    /// Waits until it answers.
    fn wait(&self, zone: &str) -> Result<(), String> {
        let begun = Instant::now();
        let timeout = |time| self.socket.set_read_timeout(Some(time)).map_err(|e| e.to_string());
        timeout(Duration::from_millis(20))?;
        let mut buffer = [0; 4096];
        while begun.elapsed() < PATIENCE {
            let sent = self.socket.send(&packet(u16::MAX, &[], zone, Type::A));
            if sent.is_ok() && self.socket.recv(&mut buffer).is_ok() {
                timeout(PATIENCE)?;
                // Answers to what was asked in vain before it was there.
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err("rbldnsd does not answer".to_owned())
    }

    fn ask(
        &self,
        questions: &[Question],
        zones: &[(String, ListZone)],
    ) -> Result<Vec<Message>, String> {
        for (id, question) in questions.iter().enumerate() {
            let zone = &zones[question.zone].0;
            let packet = packet(id as u16, &question.labels, zone, question.kind);
            self.socket.send(&packet).map_err(|error| error.to_string())?;
        }
        let mut replies: Vec<Option<Message>> = questions.iter().map(|_| None).collect();
        let mut buffer = [0; 4096];
        while replies.iter().any(Option::is_none) {
            let length =
                self.socket.recv(&mut buffer).map_err(|error| format!("no answer: {error}"))?;
            let message =
                Message::from_vec(&buffer[..length]).map_err(|error| error.to_string())?;
            if let Some(place) = replies.get_mut(usize::from(message.metadata.id)) {
                *place = Some(message);
            }
        }
        Ok(replies.into_iter().flatten().collect())
    }
}

/// A question, with room for 4,096 octets of answer.
fn packet(id: u16, labels: &[Vec<u8>], zone: &str, kind: Type) -> Vec<u8> {
    let mut packet = id.to_be_bytes().to_vec();
    packet.extend([0, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
    let below = zone.split('.').map(str::as_bytes);
    for label in labels.iter().map(Vec::as_slice).chain(below) {
        packet.push(label.len() as u8);
        packet.extend_from_slice(label);
    }
    packet.push(0);
    packet.extend(kind.code().to_be_bytes());
    packet.extend([0, 1]);
    packet.extend([0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0]);
    packet
}

// --- made-up lists ---

fn make_zones(folder: &Path, random: &mut Random) -> Result<Vec<Zone>, String> {
    let mut zones = Vec::new();
    let alone = Format::ALL.into_iter().filter(|&format| format != Format::Dnhash);
    for format in alone {
        let name = format!("{}.test", format.word());
        let files = 1 + random.below(2);
        let datasets = vec![make_dataset(folder, &name, format, files, random)?];
        zones.push(Zone { name, datasets });
    }
    // Several datasets in one zone.
    for place in 0..4 {
        let name = format!("several{place}.test");
        let mut datasets = Vec::new();
        for which in 0..2 + random.below(3) {
            let format = Format::ALL[random.below(9) as usize];
            let format = if format == Format::Dnhash { Format::Dnset } else { format };
            datasets.push(make_dataset(folder, &format!("{name}-{which}"), format, 1, random)?);
        }
        zones.push(Zone { name, datasets });
    }
    Ok(zones)
}

fn make_dataset(
    folder: &Path,
    name: &str,
    format: Format,
    files: u64,
    random: &mut Random,
) -> Result<(Format, Vec<PathBuf>), String> {
    let mut paths = Vec::new();
    for file in 0..files {
        let path = folder.join(format!("{name}-{file}"));
        fs::write(&path, make_file(format, random)).map_err(|error| error.to_string())?;
        paths.push(path);
    }
    Ok((format, paths))
}

fn make_file(format: Format, random: &mut Random) -> Vec<u8> {
    let mut text = Vec::new();
    let lines = random.below(120);
    let mut of = format;
    if format == Format::Combined {
        for _ in 0..random.below(4) {
            make_special(random, &mut text);
        }
        if !random.once_in(20) {
            of = begin_part(random, &mut text);
        }
    }
    for _ in 0..lines {
        match random.below(20) {
            0 => make_special(random, &mut text),
            1 => text.extend_from_slice(
                random.pick(&["# remark\n", "; remark\n", "\n", " \t \n", "  # x\n"]).as_bytes(),
            ),
            2 | 3 => make_default(random, &mut text),
            4 | 5 if format == Format::Combined => of = begin_part(random, &mut text),
            _ => make_entry(of, random, &mut text),
        }
    }
    if random.once_in(8) {
        text.extend_from_slice(b"192.0.2.77 the last line without an end");
    }
    text
}

fn begin_part(random: &mut Random, text: &mut Vec<u8>) -> Format {
    let format = Format::ALL[random.below(8) as usize];
    let format = if format == Format::Dnhash { Format::Dnset } else { format };
    let subzones = ["@", "a", "b", "b.a", "c.b.a", "e.d", "10", "1", "A.", "# none", "bad\\999"];
    let mut line = format!("$DATASET {}{}", format.word(), random.pick(&["", ":name", ":"]));
    for _ in 0..random.below(4) {
        line.push_str(random.pick(&[" ", "\t "]));
        line.push_str(random.pick(&subzones));
    }
    text.extend_from_slice(line.as_bytes());
    text.push(b'\n');
    format
}

fn make_special(random: &mut Random, text: &mut Vec<u8>) {
    let sign = random.pick(&["$", "$", "$", "#$", ";$", ":$", "  $"]);
    let special = random.pick(&[
        "TTL 300",
        "TTL 1h",
        "ttl 0",
        "TTL 30 # seconds",
        "TTL",
        "TTL 4294967296",
        "TTL 2w",
        "TTL 77s",
        "1 one",
        "1 other",
        "2   two $ three",
        "9 \"quotes\"",
        "0 $$",
        "1",
        "x y",
        "= framed $= for $ by $1",
        "= $=",
        "MAXRANGE4 /24",
        "MAXRANGE4 70000",
        "MAXRANGE4 /33",
        "MAXRANGE4 0",
        "SOA 1d ns.Example.com admin.example.com 7 2h 1h 1w 10m",
        "SOA 0 a\\.b.example.com. . 0 1 2 3 4",
        "SOA 1d ns.example.com admin.example.com 7 2h 1h 1w",
        "NS 1w ns1.example.com ns2.example.com",
        "NS 0 -ns1.example.com ns2.example.com ns2.example.com",
        "NS",
        "NAMESERVER 60 ns3.example.com",
        "TIMESTAMP 2005:01:01",
        "TIMESTAMP 2005-01-01-00 2037:01:01",
        "TIMESTAMP 0 -",
        "TIMESTAMP x",
        "TIMESTAMP 2037:01:01x",
        "unknown thing",
        "",
    ]);
    text.extend_from_slice(sign.as_bytes());
    text.extend_from_slice(special.as_bytes());
    text.push(b'\n');
}

fn make_default(random: &mut Random, text: &mut Vec<u8>) {
    let value = random.pick(&[
        ":2:default",
        ":127.0.0.3:default $ of $1",
        ":4",
        ":127.0.1.5:",
        ": 6 : blanks ",
        ":0:no",
        ":x:",
        "::",
        ":7:=bare $",
        ":8 text",
        ":1.2.3:short",
        ":9.8:short",
        ":256:x",
        ":127.0.0.3:default $ of $1",
    ]);
    text.extend_from_slice(value.as_bytes());
    text.push(b'\n');
}

fn make_value(random: &mut Random, text: &mut Vec<u8>) {
    let long = format!(" :2:{}$", "0123456789 ".repeat(25));
    let value = random.pick(&[
        "",
        "",
        "",
        "",
        "",
        " ",
        " # remark",
        ";remark",
        " :2:two",
        ":3:$ is three",
        " :4",
        " :5:",
        " :0:x",
        " :x",
        " :127.0.0.6:$1 $2 $3 $$ $= $x $",
        " text for $",
        "\t= bare $$",
        " :7 junk",
        " : 8 : blanks",
        " : 1.2 :",
        " text with # in it",
        &long,
        " :2:two",
        " :9:\x01\u{e9}\"\\",
    ]);
    text.extend_from_slice(value.as_bytes());
}

fn make_entry(format: Format, random: &mut Random, text: &mut Vec<u8>) {
    text.extend_from_slice(random.pick(&["", "", "", "", " ", "\t"]).as_bytes());
    let exclusions = !matches!(format, Format::Ip4Tset | Format::Generic);
    if exclusions && random.once_in(5) || random.once_in(50) {
        text.extend_from_slice(random.pick(&["!", "! "]).as_bytes());
    }
    match format {
        Format::Generic => return make_record(random, text),
        Format::Ip4Set | Format::Ip4Tset | Format::Ip4Trie => make_v4_entry(format, random, text),
        Format::Ip6Tset | Format::Ip6Trie => make_v6_entry(format, random, text),
        _ => {
            text.extend_from_slice(random.pick(&["", "", "", ".", "*.", "*.", "*"]).as_bytes());
            text.extend_from_slice(make_name(random).as_bytes());
            // Only a blank ends a name.
            text.extend_from_slice(random.pick(&[" ", " ", " ", ""]).as_bytes());
        }
    }
    make_value(random, text);
    text.push(b'\n');
}

/// Few addresses, so that entries meet each other and questions.
fn make_v4(random: &mut Random) -> u32 {
    let [first, second, third, fourth] =
        [&[1, 2, 10, 192, 127, 0][..], &[0, 1, 9, 255], &[0, 1, 128, 254], &[0, 1, 2, 3, 128, 255]]
            .map(|octets| octets[random.below(octets.len() as u64) as usize]);
    u32::from_be_bytes([first, second, third, fourth])
}

fn make_v4_entry(format: Format, random: &mut Random, text: &mut Vec<u8>) {
    let ip = make_v4(random);
    let address = Ipv4Addr::from(ip);
    let [a, b, c, d] = address.octets();
    let sorts = if format == Format::Ip4Tset { 7 } else { 20 };
    let entry = match random.below(sorts) {
        0..5 => address.to_string(),
        5 => format!("{a:03}.{b}.{c}.{d:02}"),
        6 => random
            .pick(&[
                "1.2.3",
                "x",
                "1.2.3.4.5",
                "1.2.3.",
                "256.1.1.1",
                "1.2.3.4-",
                "-",
                "1.2.3.4x",
                "1..2",
            ])
            .to_owned(),
        7 => format!("{a}.{b}.{c}"),
        8 => format!("{a}.{b}"),
        9 => format!("{a}"),
        10..14 => {
            let bits = random.below(34) as u32;
            let mask = u32::MAX.checked_shl(32 - bits.min(32)).unwrap_or(0);
            format!("{}/{bits}", Ipv4Addr::from(ip & mask))
        }
        14 => format!("{a}.{b}/{}", 14 + random.below(4)),
        15 => format!("{address}-{}", d.saturating_add(random.below(9) as u8)),
        16 => format!("{a}.{b}.{c}-{}", c.saturating_add(random.below(9) as u8)),
        17 => format!("{a}-{}", a.saturating_add(random.below(2) as u8)),
        18 => {
            format!("{address}-{}", Ipv4Addr::from(ip.saturating_add(random.below(200_000) as u32)))
        }
        _ => format!("{a}.{b}-{a}.{}", b.saturating_add(random.below(3) as u8)),
    };
    text.extend_from_slice(entry.as_bytes());
}

fn make_v6(random: &mut Random) -> u128 {
    if random.once_in(6) {
        return 0xffff << 32 | u128::from(make_v4(random));
    }
    if random.once_in(6) {
        return 0x2002_u128 << 112
            | u128::from(make_v4(random)) << 80
            | u128::from(random.below(2));
    }
    let word =
        |random: &mut Random| u128::from(*random.pick(&[&0_u16, &0, &0, &1, &0xff00, &0xabc]));
    let mut ip = 0x2001;
    for _ in 1..8 {
        ip = ip << 16 | word(random);
    }
    ip
}

fn make_v6_entry(format: Format, random: &mut Random, text: &mut Vec<u8>) {
    let ip = make_v6(random);
    let words: Vec<String> =
        (0..8).map(|place| format!("{:x}", ip >> (112 - 16 * place) & 0xffff)).collect();
    let entry = match random.below(if format == Format::Ip6Tset { 9 } else { 16 }) {
        0..4 => words[..4].join(":"),
        4 | 5 => words.join(":"),
        6 => {
            std::net::Ipv6Addr::from(ip).segments().map(|word| format!("{word:04X}"))[..].join(":")
        }
        7 => format!("{}::{}", words[..3].join(":"), words[7]),
        8 => random
            .pick(&[
                "x",
                "1:2:",
                "1::2:",
                "::",
                "2001:",
                "12345:1",
                "1:2:3:4:5:6:7:8:9",
                "2001",
                "1::2::3",
            ])
            .to_owned(),
        9 => words[..1 + random.below(7) as usize].join(":"),
        _ => {
            let bits = random.below(130) as u32;
            let mask = u128::MAX.checked_shl(128 - bits.min(128)).unwrap_or(0);
            let ip = ip & mask;
            let words: Vec<String> =
                (0..8).map(|place| format!("{:x}", ip >> (112 - 16 * place) & 0xffff)).collect();
            format!("{}/{bits}", words.join(":"))
        }
    };
    text.extend_from_slice(entry.as_bytes());
}

fn make_name(random: &mut Random) -> String {
    let mut name = String::new();
    for _ in 0..random.below(4) {
        name.push_str(random.pick(&["a", "b", "www", "mail", "X", "*", "a\\.b", "10", "1"]));
        name.push_str(random.pick(&[".", ".", ".", ".."]));
    }
    name.push_str(random.pick(&[
        "example.com",
        "Example.COM.",
        "com",
        "net",
        "a",
        "b.a",
        "10",
        "1",
        "e\\101",
    ]));
    name
}

fn make_record(random: &mut Random, text: &mut Vec<u8>) {
    let name = if random.once_in(4) { "@".to_owned() } else { make_name(random) };
    let ttl = random.pick(&["", "", "", " 300", " 1h", " 0"]);
    let class = random.pick(&["", "", " IN", " in"]);
    let record = random.pick(&[
        " A 127.0.0.8",
        " a 1.2.3",
        " A 7 junk",
        " A x",
        " TXT text",
        " TXT \"quoted $ text\"",
        " TXT \"",
        " txt \"\"",
        " MX 10 mx.Example.com",
        " MX 0 .",
        " MX 70000 x",
        " CNAME x",
        " A",
        " TXT one two",
        " MX x y",
    ]);
    text.extend_from_slice(format!("{name}{ttl}{class}{record}\n").as_bytes());
}

// --- questions ---

fn make_question(random: &mut Random) -> Vec<Vec<u8>> {
    let mut labels: Vec<String> = match random.below(10) {
        0..4 => {
            let [a, b, c, d] = make_v4(random).to_be_bytes();
            if random.once_in(10) {
                vec![format!("{d:02}"), format!("{c:03}"), b.to_string(), a.to_string()]
            } else {
                [d, c, b, a].iter().map(u8::to_string).collect()
            }
        }
        4..6 => {
            let ip = make_v6(random);
            (0..32).map(|place| format!("{:x}", ip >> (4 * place) & 0xf)).collect()
        }
        6 => {
            let octets = ["1", "2", "10", "192", "256", "x", "f", "0", "0001", "00", "03"];
            (0..random.below(7)).map(|_| random.pick(&octets).to_owned()).collect()
        }
        _ => make_name(random)
            .split('.')
            .filter(|label| !label.is_empty())
            .map(str::to_owned)
            .collect(),
    };
    if random.once_in(12) && !labels.is_empty() {
        labels.remove(0);
    }
    if random.once_in(12) {
        labels.insert(0, random.pick(&["x", "1", "f", "www"]).to_owned());
    }
    // Subzones of combined datasets.
    if random.once_in(3) {
        labels.extend(
            random
                .pick(&[&["a"][..], &["b"], &["b", "a"], &["c", "b", "a"], &["d"], &["e", "d"]])
                .iter()
                .map(|&label| label.to_owned()),
        );
    }
    let flip = random.once_in(5);
    labels
        .into_iter()
        .map(
            |label| if flip { label.to_ascii_uppercase().into_bytes() } else { label.into_bytes() },
        )
        .collect()
}
