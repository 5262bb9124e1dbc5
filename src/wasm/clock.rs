//! The clock: wall time that never goes back.
//!
//! `performance.now()` stands still while a machine sleeps, so it cannot tell that a subscription has expired. Wall
//! time can be set back by its user; then this clock stands until the wall has caught up.

use crate::time::Instant;
use core::cell::Cell;

#[derive(Default)]
pub(super) struct Clock {
    latest: Cell<Instant>,
}

impl Clock {
    pub(super) fn now(&self) -> Instant {
        self.latest.set(self.latest.get().max(instant(js_sys::Date::now())));
        self.latest.get()
    }
}

/// A time of JavaScript, in epoch milliseconds; what is no such time is the epoch.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(super) const fn instant(milliseconds: f64) -> Instant {
    Instant::from_millis(milliseconds as u64)
}
