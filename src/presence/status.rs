//! The status rule: one word for a whole document, and which part of the document gave it.

use super::{Activity, Presence};
use crate::time::Instant;

/// What a dot beside a name shows. Ordered from what says least to what says most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Status {
    /// Nothing is known. Not the same as offline.
    Unknown,
    Offline,
    Available,
    Away,
    Busy,
    OnThePhone,
    DoNotDisturb,
}

impl Status {
    /// The word of the JavaScript API: `available`, `do-not-disturb`, …
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Offline => "offline",
            Self::Available => "available",
            Self::Away => "away",
            Self::Busy => "busy",
            Self::OnThePhone => "on-the-phone",
            Self::DoNotDisturb => "do-not-disturb",
        }
    }

    /// The status that `word` names.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [
            Self::Unknown,
            Self::Offline,
            Self::Available,
            Self::Away,
            Self::Busy,
            Self::OnThePhone,
            Self::DoNotDisturb,
        ]
        .into_iter()
        .find(|s| s.as_str() == word)
    }
}

/// A document in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The word.
    pub status: Status,
    /// The device has not been used for a while.
    pub idle: bool,
    /// vacation, holiday or permanent-absence.
    pub out_of_office: bool,
    /// The activities that hold now, without repetition.
    pub activities: Vec<Activity>,
    /// The note to show.
    pub note: Option<String>,
    /// When the activity that gave the status ends.
    pub until: Option<Instant>,
    /// When the summary must be made again, because an activity starts or ends then.
    pub changes_at: Option<Instant>,
    /// Which rule of the table gave the status, and the id of the element it read.
    pub because: (&'static str, String),
}

/// Applies the rule to `presence` at the time `now`.
#[must_use]
pub fn summarize(presence: &Presence, now: Instant) -> Summary {
    let _ = (presence, now);
    todo!()
}
