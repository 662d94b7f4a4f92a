//! How well scores separate ham from spam.
//!
//! In go scores (higher is better) with what each message was; out come the AUC, which is the chance that a ham message
//! scores higher than a spam message where ties count half, and the curve: for each threshold the share of ham and of
//! spam at or below it. Nothing fails; with only one label there is nothing to say.

/// Scores of messages whose label is known.
#[derive(Clone, Debug, Default)]
pub struct Scores {
    ham: Vec<f32>,
    spam: Vec<f32>,
}

/// A point of the curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The share of ham at or below the threshold: flagged by mistake.
    pub ham: f64,
    /// The share of spam at or below it: caught.
    pub spam: f64,
}

impl Scores {
    /// Adds a message. A score that is no number counts as the worst.
    pub fn add(&mut self, score: f32, is_spam: bool) {
        let score = if score.is_nan() { f32::NEG_INFINITY } else { score };
        if is_spam { self.spam.push(score) } else { self.ham.push(score) }
    }

    /// The AUC and the curve with at most about `points` points; `None` unless there is ham and spam.
    pub fn measure(&mut self, points: usize) -> Option<(f64, Vec<Point>)> {
        let Self { ham, spam } = self;
        if ham.is_empty() || spam.is_empty() {
            return None;
        }
        ham.sort_unstable_by(f32::total_cmp);
        spam.sort_unstable_by(f32::total_cmp);
        let (hams, spams) = (ham.len() as f64, spam.len() as f64);
        let least = 1.0 / points.max(1) as f64;
        let mut curve = vec![Point { ham: 0.0, spam: 0.0 }];
        let mut area = 0.0;
        let (mut h, mut s) = (0, 0);
        loop {
            // The next score that either has, and how many have it.
            let score = match (ham.get(h), spam.get(s)) {
                (Some(one), Some(other)) => one.min(*other),
                (Some(score), None) | (None, Some(score)) => *score,
                (None, None) => break,
            };
            let run = |of: &[f32], from: usize| {
                of.iter().skip(from).take_while(|other| **other <= score).count()
            };
            let (more_ham, more_spam) = (run(ham, h), run(spam, s));
            // Spam below beats this ham; spam level with it by half.
            area += more_ham as f64 * (s as f64 + more_spam as f64 / 2.0);
            (h, s) = (h + more_ham, s + more_spam);
            let point = Point { ham: h as f64 / hams, spam: s as f64 / spams };
            let last = curve.last().copied().unwrap_or(point);
            if point.ham - last.ham + point.spam - last.spam >= least
                || (h == ham.len() && s == spam.len())
            {
                curve.push(point);
            }
        }
        Some((area / (hams * spams), curve))
    }
}

/// The AUC of two histograms over the same bins, ascending; `None` unless both have something.
pub fn area_of(ham: &[u64], spam: &[u64]) -> Option<f64> {
    let (hams, spams) = (ham.iter().sum::<u64>(), spam.iter().sum::<u64>());
    if hams == 0 || spams == 0 {
        return None;
    }
    let mut below = 0.0;
    let mut area = 0.0;
    for (ham, spam) in ham.iter().zip(spam) {
        area += *ham as f64 * (below + *spam as f64 / 2.0);
        below += *spam as f64;
    }
    Some(area / (hams as f64 * spams as f64))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn naive(ham: &[u8], spam: &[u8]) -> f64 {
        let mut sum = 0.0;
        for one in ham {
            for other in spam {
                sum += match one.cmp(other) {
                    std::cmp::Ordering::Greater => 1.0,
                    std::cmp::Ordering::Equal => 0.5,
                    std::cmp::Ordering::Less => 0.0,
                };
            }
        }
        sum / (ham.len() * spam.len()) as f64
    }

    #[test]
    fn one_label_says_nothing() {
        let mut scores = Scores::default();
        scores.add(1.0, false);
        assert_eq!(scores.measure(10), None);
        assert_eq!(area_of(&[1, 2], &[0, 0]), None);
    }

    proptest! {
        #[test]
        fn as_counted_pair_by_pair(
            ham in proptest::collection::vec(0u8..12, 1..60),
            spam in proptest::collection::vec(0u8..12, 1..60),
        ) {
            let mut scores = Scores::default();
            let mut bins = [[0u64; 12]; 2];
            for (of, is_spam) in [(&ham, false), (&spam, true)] {
                for score in of {
                    scores.add(f32::from(*score), is_spam);
                    bins[usize::from(is_spam)][usize::from(*score)] += 1;
                }
            }
            let expected = naive(&ham, &spam);
            let (area, curve) = scores.measure(1000).expect("both");
            prop_assert!((area - expected).abs() < 1e-9, "{area} {expected}");
            let binned = area_of(&bins[0], &bins[1]).expect("both");
            prop_assert!((binned - expected).abs() < 1e-9);
            prop_assert_eq!(curve.first(), Some(&Point { ham: 0.0, spam: 0.0 }));
            prop_assert_eq!(curve.last(), Some(&Point { ham: 1.0, spam: 1.0 }));
            // The area under the curve itself, by trapezes, is the same.
            let under: f64 = curve.windows(2)
                .map(|two| (two[1].ham - two[0].ham) * (two[0].spam + two[1].spam) / 2.0).sum();
            prop_assert!((under - expected).abs() < 1e-9);
        }
    }
}
