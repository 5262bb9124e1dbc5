//! Who is due when. The numbers are those of watches or of subscriptions.

use crate::time::Instant;
use litemap::LiteMap;

/// Deadlines in order, one to a number.
#[derive(Default)]
pub(super) struct Deadlines(LiteMap<(Instant, u32), ()>);

impl Deadlines {
    /// The deadline of `number` was `old` and is `new` from now on.
    pub(super) fn change(&mut self, number: u32, old: Option<Instant>, new: Option<Instant>) {
        if old == new {
            return;
        }
        if let Some(old) = old {
            self.0.remove(&(old, number));
        }
        if let Some(new) = new {
            self.0.insert((new, number), ());
        }
    }

    /// The numbers whose deadlines have passed, the earliest first.
    pub(super) fn due(&self, now: Instant) -> impl Iterator<Item = u32> {
        self.0.keys().take_while(move |(at, _)| *at <= now).map(|(_, number)| *number)
    }

    /// The earliest.
    pub(super) fn first(&self) -> Option<(Instant, u32)> {
        self.0.first().map(|(key, ())| *key)
    }
}
