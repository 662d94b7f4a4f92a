//! Writes a made-up world of mail with the truth beside it, as `helostat_tests::world` makes it.
//!
//! To standard error goes a table of what is in it, class by class, and of the sites that report.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use helostat::config::Config;
use helostat::settings;
use helostat_tests::maillog::Mta;
use helostat_tests::world::{Class, Mix, Settings, World, scoring, write};
use helostat_zones::policy::Policy;
use helostat_zones::time::Time;

const HELP: &str = "\
Writes a made-up world of mail: 24 classes of senders, several sites that report.

Usage: world [--seed N] [--days N] [--senders N] [--reporters N] [--bad-reporters SHARE] [--start TIME]
             [--refused SHARE] [--only CLASS[,CLASS...]] [--format csv|json|postfix|exim] [--out FILE|DIR]
             [--score] [--poison SHARE[,SHARE...]] [--policy FILE]

  --seed N               the same seed gives the same mail [default: 1]
  --days N               days of mail [default: 60]
  --senders N            the size: about 36 messages a day for each [default: 500]
  --reporters N          sites that report [default: 24]
  --bad-reporters SHARE  part of them that tells what never was, 0 to 1 [default: 0.04]
  --start TIME           when the first day begins [default: 2025-01-06T00:00:00Z]
  --refused SHARE        part of the bots' connections that sites refuse by themselves [default: 0.45];
                         0 lets all mail of every kind in
  --only CLASSES         these classes alone, by their words: single,snowshoe,...
  --format FORMAT        csv: a table with labels; json: observations as `helostat learn --to-json` writes them;
                         postfix, exim: a log for each site [default: csv]
  --out FILE|DIR         a file for csv and json, a folder for logs; without it only the summary is printed
  --score                judges the world, and prints tables in Markdown
  --poison SHARES        judges it once with each of these parts of bad reporters, with their lies and without
  --policy FILE          judges by this file (keys of `[policy]`) instead of the shipped policy

The summary goes to standard error, and so do cases of the score that somebody should look at.
";

/// What to write.
enum Format {
    Csv,
    Json,
    Logs(Mta),
}

/// What was asked for.
struct Request {
    settings: Settings,
    format: Format,
    out: Option<String>,
    score: bool,
    poison: Vec<f64>,
    policy: Policy,
}

fn main() -> Result<(), String> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.iter().any(|arg| arg == "--help" || arg == "-h") {
        return io::stdout().write_all(HELP.as_bytes()).map_err(|error| error.to_string());
    }
    let request = parse(&args)?;
    let world = World::new(&request.settings);
    if let Some(out) = &request.out {
        write(&world, &request.format, out).map_err(|error| format!("{out}: {error}"))?;
    }
    tell(&world).map_err(|error| error.to_string())?;
    let mut page = String::new();
    let policy = &request.policy;
    if request.score {
        let score = scoring::score(&world, policy);
        page += &score.to_string();
        io::stderr().write_all(score.cases().as_bytes()).map_err(|error| error.to_string())?;
    }
    drop(world);
    if !request.poison.is_empty() {
        let mut rows = Vec::new();
        for share in &request.poison {
            let settings = Settings { bad_reporters: *share, ..request.settings.clone() };
            let row = scoring::poison::poison(&settings, policy);
            let cases = row.cases.join("\n");
            writeln!(io::stderr(), "{share}:\n{cases}").map_err(|error| error.to_string())?;
            rows.push(row);
        }
        page += &scoring::table::of_poison(&rows);
    }
    io::stdout().write_all(page.as_bytes()).map_err(|error| error.to_string())
}

/// Reads the options.
fn parse(args: &[String]) -> Result<Request, String> {
    let mut request = Request {
        settings: Settings::default(),
        format: Format::Csv,
        out: None,
        score: false,
        poison: Vec::new(),
        policy: Policy::default(),
    };
    let settings = &mut request.settings;
    let mut args = args.iter();
    while let Some(option) = args.next() {
        if option == "--score" {
            request.score = true;
            continue;
        }
        let value = args.next().ok_or_else(|| format!("{option} needs a value; see --help"))?;
        match option.as_str() {
            "--seed" => settings.seed = number(option, value)?,
            "--days" => settings.days = number(option, value)?,
            "--senders" => settings.senders = number(option, value)?,
            "--reporters" => settings.reporters = number(option, value)?,
            "--bad-reporters" => settings.bad_reporters = share(option, value)?,
            "--poison" => {
                let shares = value.split(',').map(|one| share(option, one));
                request.poison = shares.collect::<Result<_, _>>()?;
            }
            "--policy" => {
                let loaded = Config::load_policy(Path::new(value));
                let loaded = loaded.map_err(|errors| errors.to_string())?;
                request.policy = settings::policy(&loaded);
            }
            "--refused" => refuse(settings, share(option, value)?),
            "--start" => {
                let time = Time::parse(value);
                settings.start =
                    time.ok_or_else(|| format!("{option} {value}: not like 2025-01-06T00:00:00Z"))?;
            }
            "--only" => settings.mix = only(value)?,
            "--format" => {
                request.format = match value.as_str() {
                    "csv" => Format::Csv,
                    "json" => Format::Json,
                    "postfix" => Format::Logs(Mta::Postfix),
                    "exim" => Format::Logs(Mta::Exim),
                    _ => return Err(format!("{option} {value}: csv, json, postfix or exim")),
                };
            }
            "--out" => request.out = Some(value.clone()),
            _ => return Err(format!("{option} is not known; see --help")),
        }
    }
    if request.settings.days == 0 || request.settings.reporters == 0 {
        return Err("a world needs a day and a reporter at least".to_owned());
    }
    // Places of sites are kept in sixteen bits.
    if request.settings.reporters > 1000 {
        return Err("--reporters: 1000 at most".to_owned());
    }
    Ok(request)
}

fn number<T: std::str::FromStr>(option: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{option} {value}: a whole number is needed"))
}

fn share(option: &str, value: &str) -> Result<f64, String> {
    let share = value.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| format!("{option} {value}: a number from 0 to 1 is needed"))
}

/// The bots' part is as asked; nothing is refused at all if that is nothing.
fn refuse(settings: &mut Settings, bots: f64) {
    let refused = &mut settings.refused;
    refused.bots = bots;
    if bots == 0.0 {
        (refused.rented, refused.relayed, refused.ham) = (0.0, 0.0, 0.0);
    }
}

/// The default parts of these classes, and none of the others.
fn only(words: &str) -> Result<Mix, String> {
    let (all, mut mix) = (Mix::default(), Mix::empty());
    for word in words.split(',') {
        let class = Class::parse(word).ok_or_else(|| {
            format!("--only {word}: one of {}", Class::ALL.map(Class::word).join(", "))
        })?;
        mix = mix.with(class, all.share(class));
    }
    Ok(mix)
}

fn write(world: &World, format: &Format, out: &str) -> io::Result<()> {
    let file = || File::create(out).map(|file| BufWriter::with_capacity(1 << 20, file));
    match format {
        Format::Csv => {
            let mut file = file()?;
            write::csv::write(world, &mut file)?;
            file.flush()
        }
        Format::Json => {
            let mut file = file()?;
            write::json::write(world, &mut file)?;
            file.flush()
        }
        Format::Logs(mta) => {
            fs::create_dir_all(out)?;
            write::logs::write(world, *mta, Path::new(out))
        }
    }
}

/// The tables.
fn tell(world: &World) -> io::Result<()> {
    let mut out = io::stderr().lock();
    writeln!(out, "{}", world.summary())?;
    writeln!(out, "{:<28}{:<12}{:<6}{:<6}{:>10}", "site", "kind", "ipv6", "bad", "messages")?;
    for (site, messages) in world.sites().iter().zip(world.volumes()) {
        let word = |is: bool| if is { "yes" } else { "" };
        let (kind, ipv6, bad) = (site.kind.word(), word(site.ipv6), word(site.bad));
        writeln!(out, "{:<28}{kind:<12}{ipv6:<6}{bad:<6}{messages:>10}", &*site.reporter)?;
    }
    Ok(())
}
