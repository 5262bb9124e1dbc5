//! How long to wait before another try: longer with each failure in a row, and never all at the same moment.

use crate::random::Random;
use crate::time::Duration;

/// Counts failures in a row and spreads the tries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Longest wait.
    pub const MOST: Duration = Duration::from_secs(300);

    /// The wait after one more failure: `base` doubled for each failure before it, at most `most`; then at random
    /// between half of that and the whole.
    pub fn next(&mut self, base: Duration, most: Duration, random: &mut Random) -> Duration {
        let factor = 1_u64 << self.failures.min(16);
        self.failures = self.failures.saturating_add(1);
        let whole = base.times(factor).min(most).as_millis();
        Duration::from_millis(whole / 2 + random.below(whole / 2 + 1))
    }

    /// Failures in a row so far.
    #[must_use]
    pub const fn failures(self) -> u32 {
        self.failures
    }

    /// It worked: the next failure is the first.
    pub const fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_are_spread_and_end_at_the_limit() {
        let mut random = Random::new([3; 32]);
        let (base, most) = (Duration::from_secs(1), Duration::from_secs(30));
        let mut backoff = Backoff::default();
        for expected in [1, 2, 4, 8, 16, 30, 30] {
            let wait = backoff.next(base, most, &mut random).as_millis();
            assert!((expected * 500..=expected * 1000).contains(&wait), "{wait} of {expected} s");
        }
        assert_eq!(backoff.failures(), 7);
        backoff.reset();
        assert!(backoff.next(base, most, &mut random) <= base);
    }
}
