//! `helostat ask`: a small dig, so that nobody needs one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use helostat_server::ask;

use crate::cli::{AskArgs, ConfigArgs};
use crate::command::{config_path, load_config};
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::out;

/// Longer than a daemon may wait for live look-ups.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs the command.
pub fn run(config: &ConfigArgs, args: &AskArgs) -> Result<(), Failure> {
    let server = match args.server {
        Some(server) => server,
        None => server_of(config)?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let reply = runtime.block_on(ask::ask(server, &args.question, &args.rtype, PATIENCE)).map_err(
        |error| match error {
            ask::AskError::Name(_) | ask::AskError::Type(_) => Failure::new(Exit::Usage, error),
            error => Failure::new(Exit::Failed, error),
        },
    )?;
    if args.json { Ok(out::json(&reply)?) } else { Ok(out::line(reply)?) }
}

/// Where the daemon of the configuration listens; without a configuration where one would by default.
fn server_of(args: &ConfigArgs) -> Result<SocketAddr, Failure> {
    let config = if args.config.is_none() && !args.example && !config_path(args).exists() {
        Config::default()
    } else {
        load_config(args)?
    };
    let Some(address) = config.dns.listen.first() else {
        return Err(Failure::say(
            Exit::Usage,
            "dns.listen is empty: name the server with --server",
        ));
    };
    // A daemon that listens everywhere is asked here.
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    Ok(SocketAddr::new(ip, address.port()))
}
