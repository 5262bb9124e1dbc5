//! The clock: wall time that never goes back.
//!
//! `performance.now()` stands still while a machine sleeps, so it cannot tell that a subscription has expired. Wall
//! time can be set back by its user; then this clock goes on from where it was, and is ahead of the wall from then on:
//! one that stood still would leave every deadline waiting.

use crate::time::{Duration, Instant};
use core::cell::Cell;

#[derive(Default)]
pub(super) struct Clock {
    latest: Cell<Instant>,
    /// How far it is ahead of the wall.
    ahead: Cell<Duration>,
}

impl Clock {
    pub(super) fn now(&self) -> Instant {
        let (wall, latest) = (wall(), self.latest.get());
        let mut now = wall + self.ahead.get();
        if now < latest {
            self.ahead.set(latest.since(wall));
            now = latest;
        }
        self.latest.set(now);
        now
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn wall() -> Instant {
    Instant::from_millis(js_sys::Date::now() as u64)
}
