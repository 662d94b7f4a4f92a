//! Sizes of the ledger and what this program is, for `/metrics`. Counted when they are asked for.

use std::sync::Arc;

use helostat_zones::ledger::Ledger;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGauge, IntGaugeVec, Opts, Registry};

/// Registers the collector of a ledger and the build's information.
pub fn register(registry: &Registry, ledger: &Arc<Ledger>) -> prometheus::Result<()> {
    registry.register(Box::new(Sizes::new(ledger.clone())?))?;
    let build = IntGaugeVec::new(
        Opts::new("helostat_build_info", "Always 1; the version is a label."),
        &["version"],
    )?;
    build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
    registry.register(Box::new(build))
}

struct Sizes {
    ledger: Arc<Ledger>,
    rows: IntGaugeVec,
    commit: IntGauge,
}

impl Sizes {
    fn new(ledger: Arc<Ledger>) -> prometheus::Result<Self> {
        Ok(Self {
            ledger,
            rows: IntGaugeVec::new(
                Opts::new("helostat_ledger_rows", "Rows the ledger holds, by table."),
                &["table"],
            )?,
            commit: IntGauge::new(
                "helostat_ledger_sequence",
                "Sequence number of the last commit; grows with every change.",
            )?,
        })
    }
}

impl Collector for Sizes {
    fn desc(&self) -> Vec<&Desc> {
        let mut desc = self.rows.desc();
        desc.extend(self.commit.desc());
        desc
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let sizes = self.ledger.sizes();
        for (table, rows) in [
            ("clients", sizes.clients),
            ("names", sizes.names),
            ("networks", sizes.networks),
            ("pairs", sizes.pairs),
        ] {
            self.rows.with_label_values(&[table]).set(i64::try_from(rows).unwrap_or(i64::MAX));
        }
        self.commit.set(i64::try_from(self.ledger.seq()).unwrap_or(i64::MAX));
        let mut families = self.rows.collect();
        families.extend(self.commit.collect());
        families
    }
}
