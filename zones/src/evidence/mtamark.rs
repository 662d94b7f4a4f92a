//! Not written yet.

use std::net::IpAddr;

use super::finding::{Finding, FindingResult};
use super::inquiry::Inquiry;
use super::lookup::Lookup;
use super::options;

pub async fn evaluate<L: Lookup>(lookup: &L, _ip: IpAddr, _options: &options::Mtamark) -> Finding {
    Inquiry::rare(lookup).conclude(FindingResult::None, None)
}
