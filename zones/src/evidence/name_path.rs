//! Not written yet.

use std::net::IpAddr;

use super::finding::{Finding, FindingResult};
use super::inquiry::Inquiry;
use super::lookup::Lookup;
use super::options;
use crate::name::Name;

pub async fn evaluate<L: Lookup>(
    lookup: &L,
    _ip: IpAddr,
    _name: &Name,
    _options: &options::NamePath,
) -> Finding {
    Inquiry::rare(lookup).conclude(FindingResult::None, None)
}
