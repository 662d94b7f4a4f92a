//! What `run --example` prints once it has learned: what it knows, and five questions worth asking.

use std::io;
use std::net::SocketAddr;

use helostat_zones::ledger::Ledger;

use crate::config::Config;
use crate::out;

/// Clients of the sample that show the five kinds of answers: what is asked, of which type, and why.
const QUESTIONS: [(&str, &str, &str); 5] = [
    ("10.2.0.192.wl.rep.test", "A", "a steady sender: 127.0.4.3, trust level 3 of 3"),
    (
        "130.100.51.198.bl.rep.test",
        "TXT",
        "a client that says names of six families: listed, and why",
    ),
    (
        "mail.example.com.10.2.0.192.pair.rep.test",
        "A",
        "the steady pair: 127.0.2.4, authorised by its publisher (CSA)",
    ),
    (
        "mail.example.com.200.100.51.198.pair.rep.test",
        "TXT",
        "the same name said by a thief: what is held against the pair",
    ),
    ("99.113.0.203.score.rep.test", "A", "who was never seen: no answer, which is not a bad one"),
];

/// Prints it.
pub fn print(
    config: &Config,
    ledger: &Ledger,
    dns: Option<SocketAddr>,
    http: Option<SocketAddr>,
) -> io::Result<()> {
    let sizes = ledger.sizes();
    let newest = ledger.newest().map_or_else(|| "never".to_owned(), |time| time.to_string());
    out::line(format!(
        "\nhelostat learned {} clients, {} names and {} pairs from {} sample logs (dates moved, newest {newest}).",
        sizes.clients,
        sizes.names,
        sizes.pairs,
        config.logs.len(),
    ))?;
    for log in &config.logs {
        out::line(format!("  It goes on following {}", log.path.display()))?;
    }
    let Some(dns) = dns else { return Ok(()) };
    out::line(format!("It answers DNS on {dns} (UDP and TCP). Five questions worth asking:\n"))?;
    for (name, rtype, why) in QUESTIONS {
        out::line(format!("  # {why}"))?;
        out::line(format!("  dig @{} -p {} +short {name} {rtype}", dns.ip(), dns.port()))?;
    }
    out::line(
        "\nWithout dig: helostat ask --example NAME TYPE. In words: helostat explain --example 198.51.100.130",
    )?;
    if let Some(http) = http {
        out::line(format!("In a browser: http://{http}/?ip=198.51.100.130. Ctrl-C ends it."))?;
    }
    Ok(())
}
