//! Not written yet.

use std::net::IpAddr;

use super::finding::{Finding, FindingResult};
use super::lookup::Holds;
use crate::name::Name;

pub fn evaluate(_ip: IpAddr, _name: &Name) -> Finding {
    Finding::plain(FindingResult::None, None, Holds::default().positive_max)
}
