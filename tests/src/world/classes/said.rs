//! What bots say in EHLO, in the parts that were measured.
//!
//! Measured for each address and name of 32,995 spam messages at one site in 2007, in percent.

use std::net::{IpAddr, Ipv4Addr};

use crate::world::draws::Draws;
use crate::world::names::{anyone, letters, mta, windows, word};
use crate::world::reporters::Site;

/// What sort of thing a bot says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    OwnReverse,
    SameDomain,
    OtherName,
    Local,
    Word,
    HexOrNumber,
    OwnLiteral,
    Windows,
    Receiver,
    OwnAddress,
    Invalid,
    WellKnown,
}

/// How often, in percent.
pub(super) const MEASURED: [(f64, Said); 12] = [
    (39.0, Said::OwnReverse),
    (5.0, Said::SameDomain),
    (16.0, Said::OtherName),
    (10.0, Said::Local),
    (8.0, Said::Word),
    (7.0, Said::HexOrNumber),
    (5.0, Said::OwnLiteral),
    (3.0, Said::Windows),
    (2.6, Said::Receiver),
    (1.5, Said::OwnAddress),
    (0.6, Said::Invalid),
    (0.3, Said::WellKnown),
];

/// The part of bots whose address has a reverse name though they do not say it.
pub(super) const HAS_REVERSE: f64 = 0.6;

/// What a bot says that says such a thing; `reverse` is its reverse name.
pub(super) fn say(
    draws: &mut Draws,
    said: Said,
    ip: Ipv4Addr,
    reverse: &str,
    site: &Site,
) -> String {
    match said {
        Said::OwnReverse => reverse.to_owned(),
        Said::SameDomain => {
            let domain = reverse.split_once('.').map_or(reverse, |(_, domain)| domain);
            format!("{}.{domain}", word(draws))
        }
        Said::OtherName => {
            let domain = anyone(draws);
            if draws.chance(0.5) { mta(draws, &domain) } else { domain }
        }
        Said::Local => match draws.below(5) {
            0 => "localhost".to_owned(),
            1 => "friend".to_owned(),
            2 => "localhost.localdomain".to_owned(),
            3 => format!("{}.localdomain", word(draws)),
            _ => format!("{}.lan", word(draws)),
        },
        Said::Word => word(draws),
        Said::HexOrNumber => match draws.chance(0.7) {
            true => format!("{:08x}", draws.bits() as u32),
            false => draws.below(1_000_000).to_string(),
        },
        Said::OwnLiteral => format!("[{ip}]"),
        Said::Windows => windows(draws),
        Said::Receiver => receiver(draws, site),
        Said::OwnAddress => ip.to_string(),
        Said::Invalid => match draws.below(4) {
            0 => format!("{}..com", word(draws)),
            1 => format!("-{}.net", word(draws)),
            2 => format!("{}!", word(draws)),
            _ => format!("10.{}.{}.999", draws.below(256), draws.below(256)),
        },
        Said::WellKnown => draws.pick(&["aol.com", "163.com", "yahoo.com"]).to_string(),
    }
}

/// The receiver's own address, host or domain.
pub(super) fn receiver(draws: &mut Draws, site: &Site) -> String {
    target(
        draws.weighted(&[(0.6, Target::Address), (0.2, Target::Host), (0.2, Target::Domain)]),
        site,
    )
}

/// Which of its own names the receiver is told.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    Address,
    Host,
    Domain,
}

/// What names a receiver in this way.
pub(super) fn target(target: Target, site: &Site) -> String {
    match (target, site.ip) {
        (Target::Address, IpAddr::V4(ip)) => ip.to_string(),
        (Target::Address, IpAddr::V6(_)) | (Target::Host, _) => site.host.clone(),
        (Target::Domain, _) => site.reporter.to_string(),
    }
}

/// What a bot says that knows neither its address nor its reverse name.
pub(super) fn behind_nat(draws: &mut Draws) -> String {
    match draws.below(10) {
        0..4 => windows(draws),
        4..6 => word(draws),
        6 => format!("{:08x}", draws.bits() as u32),
        7 => format!("{}.lan", word(draws)),
        8 => letters(draws, 10, true),
        _ => {
            let domain = anyone(draws);
            mta(draws, &domain)
        }
    }
}
