//! Numbers by chance, and moments of a day on which people write mail.

use helostat_zones::time::{DAY_SECONDS, Time};

use super::truth::Span;
use crate::program::Random;

/// How likely mail is in each hour of the sender's day, against its busiest one.
const HOURS: [f64; 24] = [
    0.15, 0.12, 0.10, 0.10, 0.12, 0.15, 0.25, 0.45, 0.80, 1.0, 1.0, 1.0, 0.85, 0.95, 1.0, 0.95,
    0.9, 0.7, 0.5, 0.45, 0.4, 0.35, 0.3, 0.2,
];
/// How much of a working day's mail comes on a Saturday or Sunday.
const WEEKEND: f64 = 0.35;

/// A source of chance.
pub(super) struct Draws(Random);

impl Draws {
    /// One for each purpose, so that a change of one class changes no other.
    pub(super) fn new(seed: u64, purpose: u64) -> Self {
        let mut random = Random(seed ^ 0x77_6f72_6c64);
        let mixed =
            random.below(u64::MAX).wrapping_add(purpose.wrapping_mul(0xA24B_AED4_963E_E407));
        Self(Random(mixed))
    }

    /// A whole number below `limit`, which is not 0.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0.below(limit as u64) as usize
    }

    /// All 64 bits.
    pub(super) fn bits(&mut self) -> u64 {
        self.0.below(u64::MAX)
    }

    /// From 0 to less than 1.
    pub(super) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True in this part of all cases.
    pub(super) fn chance(&mut self, part: f64) -> bool {
        self.unit() < part
    }

    /// Somewhere in a range.
    pub(super) fn within(&mut self, (least, most): (f64, f64)) -> f64 {
        least + (most - least) * self.unit()
    }

    /// A whole number of a closed range.
    pub(super) fn whole(&mut self, (least, most): (f64, f64)) -> u32 {
        self.within((least, most + 1.0)).min(most) as u32
    }

    /// Somewhere in a range, each doubling as likely as the next: most is small, little is large.
    pub(super) fn skewed(&mut self, (least, most): (f64, f64)) -> f64 {
        least * (most / least).powf(self.unit())
    }

    /// A whole number of a closed range, skewed.
    pub(super) fn skewed_whole(&mut self, range: (f64, f64)) -> u32 {
        self.skewed(range).round() as u32
    }

    /// How often a thing happens that happens `mean` times on the average.
    pub(super) fn poisson(&mut self, mean: f64) -> u32 {
        if mean > 30.0 {
            // A normal distribution is near enough: the sum of twelve even draws.
            let sum: f64 = (0..12).map(|_| self.unit()).sum();
            return (mean + mean.sqrt() * (sum - 6.0)).round().max(0.0) as u32;
        }
        let limit = (-mean).exp();
        let (mut product, mut count) = (self.unit(), 0);
        while product > limit {
            product *= self.unit();
            count += 1;
        }
        count
    }

    /// One of them.
    pub(super) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// One of them, by weight.
    pub(super) fn weighted<T: Copy>(&mut self, of: &[(f64, T)]) -> T {
        let mut left = self.unit() * of.iter().map(|(weight, _)| weight).sum::<f64>();
        for (weight, one) in of {
            if left < *weight {
                return *one;
            }
            left -= weight;
        }
        of[of.len() - 1].1
    }

    /// Any moment of a span.
    pub(super) fn moment(&mut self, span: Span) -> Time {
        Time(span.from.0 + self.below(span.seconds().max(1) as usize) as u32)
    }

    /// A moment of a span at which people write, where the sun is `zone` hours ahead.
    pub(super) fn working(&mut self, span: Span, zone: u32) -> Time {
        loop {
            let time = self.moment(span);
            let local = time.0 + zone * 3600;
            // 1970-01-01 was a Thursday.
            let weekend = (local / DAY_SECONDS + 3) % 7 >= 5;
            let hour = HOURS[(local % DAY_SECONDS / 3600) as usize];
            if self.chance(hour * if weekend { WEEKEND } else { 1.0 }) {
                return time;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_and_ranges_are_what_was_asked_for() {
        let mut draws = Draws::new(1, 1);
        for mean in [0.5, 4.0, 200.0] {
            let sum: u32 = (0..4000).map(|_| draws.poisson(mean)).sum();
            let found = f64::from(sum) / 4000.0;
            assert!((found / mean - 1.0).abs() < 0.06, "{found} for {mean}");
        }
        for _ in 0..1000 {
            assert!((2..=90).contains(&draws.skewed_whole((2.0, 90.0))));
            assert!((3..=5).contains(&draws.whole((3.0, 5.0))));
        }
        let found = (0..10_000).filter(|_| draws.weighted(&[(1.0, true), (3.0, false)])).count();
        assert!((2300..2700).contains(&found), "{found}");
    }

    #[test]
    fn people_work_by_day() {
        let mut draws = Draws::new(1, 2);
        let week = Span { from: Time(1_736_121_600), until: Time(1_736_121_600 + 7 * DAY_SECONDS) };
        let times: Vec<_> = (0..5000).map(|_| draws.working(week, 0)).collect();
        let day = |time: &&Time| (8..18).contains(&(time.0 % DAY_SECONDS / 3600));
        let by_day = times.iter().filter(day).count();
        assert!((3000..4200).contains(&by_day), "{by_day}");
        let weekend = times.iter().filter(|time| time.0 >= week.from.0 + 5 * DAY_SECONDS).count();
        assert!((400..800).contains(&weekend), "{weekend}");
    }
}
