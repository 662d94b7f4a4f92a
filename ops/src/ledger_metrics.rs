//! Sizes of the ledger and what this program is, for `/metrics`. Counted when they are asked for.

use std::sync::Arc;

use helostat_zones::ledger::{Forgotten, JournalSize, Ledger};
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

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
    memory: IntGauge,
    limit: IntGauge,
    forgotten: IntCounterVec,
    commit: IntGauge,
    journal_entries: IntGauge,
    journal_bytes: IntGauge,
    disk: IntGaugeVec,
}

/// The counts are the ledger's own and outlive this process: each answer gets a counter of its own.
fn forgotten() -> prometheus::Result<IntCounterVec> {
    IntCounterVec::new(
        Opts::new(
            "helostat_ledger_forgotten_pairs_total",
            "Pairs forgotten since the ledger was made, by why.",
        ),
        &["why"],
    )
}

impl Sizes {
    fn new(ledger: Arc<Ledger>) -> prometheus::Result<Self> {
        Ok(Self {
            ledger,
            rows: IntGaugeVec::new(
                Opts::new("helostat_ledger_rows", "Rows the ledger holds, by table."),
                &["table"],
            )?,
            memory: IntGauge::new(
                "helostat_ledger_memory_bytes",
                "Octets that the ledger's tables and indexes take.",
            )?,
            limit: IntGauge::new(
                "helostat_ledger_memory_limit_bytes",
                "Octets that they may take.",
            )?,
            forgotten: forgotten()?,
            commit: IntGauge::new(
                "helostat_ledger_sequence",
                "Sequence number of the last commit; grows with every change.",
            )?,
            journal_entries: IntGauge::new(
                "helostat_ledger_journal_entries",
                "Commits that are not folded into the tables' records yet.",
            )?,
            journal_bytes: IntGauge::new("helostat_ledger_journal_bytes", "Their octets.")?,
            disk: IntGaugeVec::new(
                Opts::new("helostat_ledger_disk_bytes", "Octets in the ledger's folder, by what."),
                &["what"],
            )?,
        })
    }
}

impl Collector for Sizes {
    fn desc(&self) -> Vec<&Desc> {
        let mut desc = self.rows.desc();
        desc.extend(self.memory.desc());
        desc.extend(self.limit.desc());
        desc.extend(self.forgotten.desc());
        desc.extend(self.commit.desc());
        desc.extend(self.journal_entries.desc());
        desc.extend(self.journal_bytes.desc());
        desc.extend(self.disk.desc());
        desc
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let sizes = self.ledger.sizes();
        for (table, rows) in [
            ("clients", sizes.clients),
            ("names", sizes.names),
            ("networks", sizes.networks),
            ("pairs", sizes.pairs),
            ("families", sizes.families),
            ("crowds", sizes.crowds),
        ] {
            self.rows.with_label_values(&[table]).set(i64::try_from(rows).unwrap_or(i64::MAX));
        }
        self.memory.set(i64::try_from(sizes.bytes).unwrap_or(i64::MAX));
        self.limit.set(i64::try_from(self.ledger.bounds().memory).unwrap_or(i64::MAX));
        self.commit.set(i64::try_from(self.ledger.seq()).unwrap_or(i64::MAX));
        // While a commit does not end, the last that was known stays.
        if let Some(JournalSize { entries, bytes }) = self.ledger.journal() {
            self.journal_entries.set(i64::try_from(entries).unwrap_or(i64::MAX));
            self.journal_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        }
        let disk = self.ledger.disk();
        for (what, bytes) in [
            ("database", disk.database),
            ("snapshots", disk.snapshots),
            ("set-aside", disk.set_aside),
        ] {
            self.disk.with_label_values(&[what]).set(i64::try_from(bytes).unwrap_or(i64::MAX));
        }
        let mut families = self.rows.collect();
        families.extend(self.journal_entries.collect());
        families.extend(self.journal_bytes.collect());
        families.extend(self.disk.collect());
        families.extend(self.memory.collect());
        families.extend(self.limit.collect());
        families.extend(self.commit.collect());
        // Made once already, with the same words.
        if let Ok(counter) = forgotten() {
            for (why, pairs) in Forgotten::ALL.into_iter().zip(self.ledger.forgotten()) {
                counter.with_label_values(&[why.word()]).inc_by(pairs);
            }
            families.extend(counter.collect());
        }
        families
    }
}
