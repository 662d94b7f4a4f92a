//! Writes made mail logs, as `helostat_tests::maillog` makes them: `maillog postfix|exim SEED MEGABYTES [FILES NAME]`.
//!
//! To standard output, or in FILES pieces of MEGABYTES each, `NAME.FILES` (the oldest) to `NAME.1`: what rotation
//! leaves behind. Lines go on from piece to piece, so sessions span them. The log begins a year before 2026-11-20 and
//! has as many lines a day as make it end about then, or a million.

use std::io::{self, BufWriter, Write};

use helostat_tests::maillog::{MailLog, Mta};
use helostat_zones::time::Time;

/// 2025-11-20T00:00:00Z.
const BEGIN: Time = Time(1_763_596_800);
/// What a line has in octets, about.
const LINE: u64 = 150;

fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |place: usize, default: u64| {
        args.get(place).map_or(default, |text| text.parse().expect("a whole number"))
    };
    let mta = match args.first().map(String::as_str) {
        Some("postfix") => Mta::Postfix,
        Some("exim") => Mta::Exim,
        _ => panic!("maillog postfix|exim SEED MEGABYTES [FILES NAME]"),
    };
    let (seed, octets, files) = (number(1, 1), number(2, 1) * 1_000_000, number(3, 0));
    let lines_a_day = (octets * files.max(1) / LINE / 365).max(1_000_000);
    let mut log = MailLog::new(mta, seed, 200_000, BEGIN, lines_a_day);
    let mut piece = |out: &mut dyn Write| {
        let mut text = Vec::with_capacity(1 << 21);
        let mut left = octets;
        while left > 0 {
            text.clear();
            log.write(&mut text, left.min(1 << 20) as usize);
            out.write_all(&text)?;
            left = left.saturating_sub(text.len() as u64);
        }
        out.flush()
    };
    if files == 0 {
        return piece(&mut BufWriter::new(io::stdout().lock()));
    }
    let name = args.get(4).expect("a name for the pieces");
    for file in (1..=files).rev() {
        piece(&mut std::fs::File::create(format!("{name}.{file}"))?)?;
    }
    Ok(())
}
