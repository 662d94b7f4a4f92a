//! A world as files: a table of observations, JSON lines, or the logs of MTAs.
//!
//! [`csv`] and [`json`] write one file with all sites; [`logs`] writes one file for each site, as its MTA would have.
//! All fail only where the file system does.

pub mod csv;
pub mod json;
pub mod logs;
