//! The guards before publishing, as `/metrics`, `/healthz` and `helostat publish` tell of them.
//!
//! In: a judge. Out: gauges that are read when they are asked for, and sentences. What guards do is
//! [`helostat_server::guard`]'s.

use std::sync::Arc;

use helostat_server::guard::{Cause, Standing};
use helostat_server::ledger_judge::LedgerJudge;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGauge, IntGaugeVec, Opts, Registry};

/// Registers the gauges of a judge's guards.
pub fn register(registry: &Registry, judge: &Arc<LedgerJudge>) -> prometheus::Result<()> {
    let gauge = |name, help| IntGauge::new(name, help);
    registry.register(Box::new(Gauges {
        judge: judge.clone(),
        holds: IntGaugeVec::new(
            Opts::new("helostat_guard_holds", "1 while a guard holds new listings back."),
            &["guard"],
        )?,
        listed: gauge("helostat_published_listed", "Clients listed at the last look at all.")?,
        new: gauge("helostat_guard_new_listings", "Clients newly listed within the window.")?,
        held: gauge("helostat_guard_held_back", "Clients that would be listed and are not.")?,
    }))
}

struct Gauges {
    judge: Arc<LedgerJudge>,
    holds: IntGaugeVec,
    listed: IntGauge,
    new: IntGauge,
    held: IntGauge,
}

impl Collector for Gauges {
    fn desc(&self) -> Vec<&Desc> {
        let mut desc = self.holds.desc();
        for gauge in [&self.listed, &self.new, &self.held] {
            desc.extend(gauge.desc());
        }
        desc
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let standing = self.judge.guarding();
        for cause in Cause::ALL {
            let holds = standing.causes.contains(&cause);
            self.holds.with_label_values(&[cause.word()]).set(i64::from(holds));
        }
        let mut families = self.holds.collect();
        for (gauge, value) in [
            (&self.listed, standing.listed),
            (&self.new, standing.new),
            (&self.held, standing.held_back),
        ] {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
            families.extend(gauge.collect());
        }
        families
    }
}

/// What somebody should look at; nothing while nothing is held back.
pub fn warning(standing: &Standing) -> Option<String> {
    let since = standing.since.filter(|_| !standing.causes.is_empty())?;
    let words: Vec<_> = standing.causes.iter().map(|cause| cause.word()).collect();
    Some(format!(
        "new listings are held back since {since} ({}), {} clients now: see helostat publish",
        words.join(", "),
        standing.held_back
    ))
}
