//! By which numbers a replay judges: those of the configuration, or of a file each.

use std::path::{Path, PathBuf};

use helostat_zones::policy::Policy;

use crate::config::{Config, ConfigErrors};
use crate::settings;

/// A policy and what it is called in the report.
#[derive(Clone, Debug)]
pub struct NamedPolicy {
    /// Its file, or where else it is from.
    pub name: String,
    /// Its numbers.
    pub policy: Policy,
}

/// The policies of these files; without any, that of the configuration.
pub fn policies(config: &Config, files: &[PathBuf]) -> Result<Vec<NamedPolicy>, ConfigErrors> {
    if files.is_empty() {
        let name = "the configuration's".to_owned();
        return Ok(vec![NamedPolicy { name, policy: settings::policy(config) }]);
    }
    let load = |path: &PathBuf| {
        let policy = load_policy(config, path)?;
        Ok(NamedPolicy { name: path.display().to_string(), policy })
    };
    files.iter().map(load).collect()
}

/// The policy of a file with the keys of `[policy]`; what it leaves out is at its default. Systems of evidence weigh
/// what the configuration says.
fn load_policy(config: &Config, path: &Path) -> Result<Policy, ConfigErrors> {
    let policy = Config::load_policy(path)?.policy;
    Ok(settings::policy(&Config { policy, ..config.clone() }))
}
