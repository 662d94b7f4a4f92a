//! Lists beside rbldnsd: `cargo bench -p helostat-tests --bench lists -- [JOB] [--NAME VALUE]...`
//!
//! - `all`: every format below, ours and rbldnsd, each in a process of its own, `--rounds` (3) times
//! - `ours FORMAT`, `rbldnsd FORMAT`: one of them
//!
//! A list of `--lines` (10 million) addresses in random order, most of which share four values, is written once for
//! each format under `--folder`, then loaded. Processor time of the load, of our own thread and of the whole other process;
//! memory beyond what the process had before, or has with an empty list. Then questions to our tables, half of which are
//! hits. `--rbldnsd` names the program. docs/benchmarks.md has the numbers.

#[expect(dead_code, reason = "the other benches need the rest")]
mod measure;
#[expect(dead_code, reason = "the other benches need the rest")]
mod options;
#[expect(dead_code, reason = "the other benches need the rest")]
mod report;

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{BufReader, BufWriter, Write};
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use helostat_zones::lists::{Format, ListAnswer, ListZone, Loader, Options as ListOptions, Wanted};
use helostat_zones::time::Time;

use crate::options::Options;
use crate::report::{Bar, Report};

/// The allocator of the program, which is measured.
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

const FORMATS: [Format; 3] = [Format::Ip4Set, Format::Ip4Tset, Format::Ip4Trie];
/// Who runs rbldnsd if we are root, as which it does not run.
const NOBODY: u32 = 65534;
const QUESTIONS: u32 = 2_000_000;

fn main() {
    let options = Options::read();
    match options.job() {
        None | Some("all") => {
            for _ in 0..options.number("rounds", 3) {
                for format in FORMATS {
                    list(&options, format, lines(&options));
                    for job in ["rbldnsd", "ours"] {
                        let mut again = options.again(job);
                        again.arg("--format").arg(format.word());
                        assert!(again.status().expect("this bench starts").success(), "{job}");
                    }
                }
            }
        }
        Some("ours") => ours(&options, format(&options)),
        Some("rbldnsd") => theirs(&options, format(&options)),
        Some(job) => panic!("no job has the name {job}: all, ours, rbldnsd"),
    }
}

fn format(options: &Options) -> Format {
    let word = options.text("format").unwrap_or_else(|| "ip4set".to_owned());
    Format::parse(&word).unwrap_or_else(|| panic!("--format {word} is none"))
}

fn lines(options: &Options) -> u32 {
    options.number("lines", 10_000_000)
}

/// The n-th address of a sequence that looks random and says none twice, outside of 0/8, 127/8 and above 223.
fn address(n: u32) -> Option<u32> {
    let mut mixed = n;
    mixed = (mixed ^ mixed >> 16).wrapping_mul(0x7feb_352d);
    mixed = (mixed ^ mixed >> 15).wrapping_mul(0x846c_a68b);
    mixed ^= mixed >> 16;
    (!matches!(mixed >> 24, 0 | 127 | 224..)).then_some(mixed)
}

/// Writes the list, unless it is there.
fn list(options: &Options, format: Format, lines: u32) -> PathBuf {
    // Not in the folder of the build: somebody else has to read it.
    let folder = options.text("lists").map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = folder.join("helostat-bench-lists");
    fs::create_dir_all(&folder).expect("a folder for the lists");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("a folder of ours");
    let path = folder.join(format!("{}-{lines}", format.word()));
    if path.exists() {
        return path;
    }
    let file = File::create(&path).expect("a place for the list");
    let mut file = BufWriter::with_capacity(1 << 20, file);
    let mut left = lines;
    let mut addresses = (0..).filter_map(address);
    for (value, share) in [(2, 0.70), (3, 0.15), (4, 0.10), (5, 1.0)] {
        let count = left.min((f64::from(lines) * share) as u32);
        left -= count;
        writeln!(file, ":127.0.0.{value}:Listed, see https://lists.example.org/?$").expect("room");
        for address in addresses.by_ref().take(count as usize) {
            writeln!(file, "{}", Ipv4Addr::from(address)).expect("room");
        }
    }
    file.flush().expect("room");
    path
}

fn ours(options: &Options, format: Format) {
    let lines = lines(options);
    let path = list(options, format, lines);
    let report = Report::begin(options, &format!("ours, {}, {lines} lines", format.word()));
    let stream = BufReader::with_capacity(1 << 16, File::open(&path).expect("the list"));
    let (rss, peak) = (measure::rss(), measure::peak_rss());
    let begin = measure::thread_cpu();
    let mut loader = Loader::new(format, ListOptions::new(Time(1_800_000_000)));
    loader.read("list", stream).expect("a good list");
    let read = measure::thread_cpu();
    let loaded = loader.finish();
    let load = measure::thread_cpu();
    let (rss, peak) = (measure::rss() - rss, measure::peak_rss() - peak);
    let dataset = loaded.dataset;
    let each = |octets: u64| octets as f64 / f64::from(lines);
    assert_eq!((dataset.entries(), loaded.complaints.count), (lines as usize, 0));
    report.tell("load, processor time", (load - begin).as_secs_f64(), "s");
    report.tell("  of which the reading of lines", (read - begin).as_secs_f64(), "s");
    report.judge("tables", each(dataset.memory() as u64), "octets/entry", Bar::Most(6.0));
    report.tell("memory at the most, while loading", each(peak), "octets/entry");
    report.tell("memory afterwards", each(rss), "octets/entry");
    // The allocator gives back what has been free for a while, when it is called.
    let before = measure::rss() - rss;
    std::thread::sleep(Duration::from_secs(2));
    for _ in 0..100 {
        drop(black_box(vec![1_u8; 1 << 20]));
    }
    let later = measure::rss().saturating_sub(before);
    report.tell("memory two seconds later", each(later), "octets/entry");

    let zone = ListZone::new(vec![Arc::new(dataset)]);
    // Every second one is listed: those behind the list's last are not.
    let mut asked = Vec::new();
    let mut listed = (0..lines).filter_map(address).cycle();
    let mut others = (3_500_000_000..).filter_map(address);
    let mut mix = 1_u32;
    for _ in 0..QUESTIONS / 2 {
        mix = mix.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        listed.nth((mix >> 26) as usize);
        asked.extend(listed.next().into_iter().chain(others.next()));
    }
    let mut answer = ListAnswer::default();
    let mut hits = 0_u32;
    let begin = measure::thread_cpu();
    for &address in &asked {
        zone.ask_client(IpAddr::from(Ipv4Addr::from(address)), Wanted::A, &mut answer);
        hits += u32::from(!answer.a.values.is_empty());
    }
    let spent = measure::thread_cpu() - begin;
    let of_each = |spent: Duration| spent.as_nanos() as f64 / asked.len() as f64;
    report.tell("hits", f64::from(hits) / asked.len() as f64, "of all");
    report.tell("a client's A records", of_each(spent), "ns");
    let names: Vec<[Vec<u8>; 4]> = asked
        .iter()
        .map(|address| {
            let [a, b, c, d] = address.to_be_bytes();
            [d, c, b, a].map(|octet| octet.to_string().into_bytes())
        })
        .collect();
    for (what, wanted) in [("a name's A records", Wanted::A), ("a name's A and TXT", Wanted::Any)] {
        let begin = measure::thread_cpu();
        for name in &names {
            let labels = name.each_ref().map(Vec::as_slice);
            zone.ask(&labels, wanted, &mut answer);
            black_box(&answer);
        }
        report.tell(what, of_each(measure::thread_cpu() - begin), "ns");
    }
}

fn theirs(options: &Options, format: Format) {
    let lines = lines(options);
    let path = list(options, format, lines);
    let empty = list(options, format, 0);
    let report = Report::begin(options, &format!("rbldnsd, {}, {lines} lines", format.word()));
    let (idle, rss_idle, _) = loaded(options, format, &empty);
    let (load, rss, peak) = loaded(options, format, &path);
    let each = |octets: u64| octets as f64 / f64::from(lines);
    report.tell("load, processor time", load.saturating_sub(idle).as_secs_f64(), "s");
    report.tell("memory at the most, while loading", each(peak - rss_idle), "octets/entry");
    report.tell("memory afterwards", each(rss - rss_idle), "octets/entry");
}

/// Processor time and memory of an rbldnsd that has loaded a list; and the most memory it had.
fn loaded(options: &Options, format: Format, path: &std::path::Path) -> (Duration, u64, u64) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = socket.local_addr().expect("a port").port();
    drop(socket);
    let program = options.text("rbldnsd").unwrap_or_else(|| "/usr/sbin/rbldnsd".to_owned());
    let mut command = Command::new(&program);
    command.arg("-n").arg("-b").arg(format!("127.0.0.1/{port}"));
    command.arg(format!("bench.test:{}:{}", format.word(), path.display()));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0) {
        command.uid(NOBODY).gid(NOBODY);
    }
    let child = Running(command.spawn().unwrap_or_else(|error| panic!("{program}: {error}")));
    let asker = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    asker.connect((Ipv4Addr::LOCALHOST, port)).expect("loopback");
    asker.set_read_timeout(Some(Duration::from_millis(50))).expect("a time");
    let question = b"\0\x01\0\0\0\x01\0\0\0\0\0\0\x05bench\x04test\0\0\x01\0\x01";
    let begun = Instant::now();
    // It binds first and answers once all is loaded.
    while asker.send(question).is_err() || asker.recv(&mut [0; 512]).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(120), "rbldnsd does not answer");
        std::thread::sleep(Duration::from_millis(20));
    }
    let read = |file: &str| {
        fs::read_to_string(format!("/proc/{}/{file}", child.0.id())).unwrap_or_default()
    };
    let spent = read("schedstat").split_whitespace().next().and_then(|nanos| nanos.parse().ok());
    let status = read("status");
    let memory = |field| measure::value(&status, field) << 10;
    (Duration::from_nanos(spent.unwrap_or_default()), memory("VmRSS:"), memory("VmHWM:"))
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let ended = self.0.kill().and_then(|()| self.0.wait());
        drop(ended);
    }
}
