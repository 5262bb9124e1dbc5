//! The one timer of a shell: when the host's is to fire. JavaScript has it, and tells when it has fired.

use crate::time::{Duration, Instant};
use core::cell::Cell;

/// Longer waits are cut into pieces: `setTimeout` takes 31 bits, and a machine that slept is noticed within this.
const LONGEST: Duration = Duration::from_secs(600);

#[derive(Default)]
pub(super) struct Timer {
    armed: Cell<Option<Instant>>,
}

impl Timer {
    pub(super) fn handle_fired(&self) {
        self.armed.set(None);
    }

    /// The milliseconds after which the timer of the host has to fire, which it had not to before; so that it fires at
    /// `due` or earlier. A timer that is armed for an earlier time is left: an early call does no harm, and arming costs
    /// more than most messages.
    pub(super) fn arm(&self, due: Option<Instant>, now: Instant) -> Option<u32> {
        let due = due?.min(now + LONGEST);
        if self.armed.get().is_some_and(|at| at <= due) {
            return None;
        }
        self.armed.set(Some(due));
        u32::try_from(due.since(now).as_millis()).ok()
    }
}
