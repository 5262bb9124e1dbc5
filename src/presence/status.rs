//! The status rule: one word for a whole document, and which part of the document gave it.
//!
//! | # | rule | holds when | status |
//! |---|---|---|---|
//! | 1 | `closed` | at least one tuple is closed and none is open | offline |
//! | 2 | `do-not-disturb` | activity `other` "do-not-disturb"; Digium presence of type `dnd`; or rule 4 holds and a note of the same element is "do not disturb" or "dnd" | do-not-disturb |
//! | 3 | `on-the-phone` | activity `on-the-phone` | on-the-phone |
//! | 4 | `busy` | an activity that takes the person's attention: `busy`, `meeting`, `appointment`, … | busy |
//! | 5 | `away` | an activity elsewhere: `away`, `vacation`, `meal`, …, or Digium `away`, `xa` | away |
//! | 6 | `idle` | user-input says idle, and none says active | away |
//! | 7 | `open` | a tuple is open | available |
//! | 8 | `no-information` | none of these | unknown |
//!
//! The first rule that holds decides. Activities count while their `from` and `until` cover the present; they are
//! read from every person (ambiguity: the strongest) and from the preferred tuple: open before closed, then the higher
//! priority, then the newer timestamp, then document order. Rules 2 to 6 hold for a person without any tuple too.
//! An `away` beside user-input that says idle is of a device: it counts only while no other says active.
//! A tuple of a relationship other than `self` says nothing about the presentity (RFC 4480 §3.9). Notes never give a
//! status (RFC 3863 §4.1.6); one can only say what kind of busy it is.

use super::published::DO_NOT_DISTURB;
use super::vocabulary::is_one_of;
use super::{AttributeName, Basic, Component, Note, Presence};
use crate::time::{Instant, earliest};

/// Activities of a summary at most.
const MOST_ACTIVITIES: usize = 64;

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
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Unknown,
        Self::Offline,
        Self::Available,
        Self::Away,
        Self::Busy,
        Self::OnThePhone,
        Self::DoNotDisturb,
    ];

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
        Self::ALL.iter().find(|s| s.as_str() == word).copied()
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
    /// The activities that hold now, without repetition: tokens of RPID, or the text of `other`.
    pub activities: Vec<String>,
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
    let preferred = preferred_tuple(presence);
    let mut summary = Summary {
        status: Status::Unknown,
        idle: false,
        out_of_office: false,
        activities: Vec::new(),
        note: note(presence, preferred),
        until: None,
        changes_at: None,
        because: ("no-information", String::new()),
    };
    // One device in use is enough.
    let mut idle: Option<&Component> = None;
    let mut active = false;
    for component in presence.persons.iter().chain(preferred).chain(&presence.devices) {
        if let Some(input) = &component.user_input {
            active |= !input.idle;
            idle = idle.or(Some(component));
        }
    }
    idle = idle.filter(|_| !active);
    summary.idle = idle.is_some();
    // The strongest signal: its element, and when it ends.
    let mut best: Option<(Status, &Component, Option<Instant>)> = None;
    for component in presence.persons.iter().chain(preferred) {
        for attribute in component.attributes.iter().filter(|a| a.name == AttributeName::ACTIVITIES) {
            let (from, until) = (attribute.from, attribute.until);
            for edge in [from, until] {
                summary.changes_at = earliest(summary.changes_at, edge.filter(|at| *at > now));
            }
            if from.is_some_and(|from| from > now) || until.is_some_and(|until| until <= now) {
                continue;
            }
            for value in &attribute.values {
                let word =
                    if value.name == "other" && !value.text.is_empty() { &value.text } else { &value.name };
                // The user left this device, and is at another one.
                if active && word == "away" && component.user_input.as_ref().is_some_and(|input| input.idle) {
                    continue;
                }
                if summary.activities.len() < MOST_ACTIVITIES && !summary.activities.contains(word) {
                    summary.activities.push(word.clone());
                    summary.out_of_office |= is_one_of(word, OUT_OF_OFFICE);
                }
                let Some(mut status) = signal(word) else { continue };
                if status == Status::Busy && component.notes.iter().any(says_do_not_disturb) {
                    status = Status::DoNotDisturb;
                }
                if best.is_none_or(|(strongest, _, _)| status > strongest) {
                    best = Some((status, component, until));
                }
            }
        }
    }
    for tuple in &presence.tuples {
        let Some(status) = digium(tuple) else { continue };
        if best.is_none_or(|(strongest, _, _)| status > strongest) {
            best = Some((status, tuple, None));
        }
    }
    let is_open = |tuple: &&Component| tuple.basic == Some(Basic::Open);
    let open = preferred.filter(is_open);
    let closed = presence.tuples.iter().find(|t| is_own(t) && t.basic == Some(Basic::Closed));
    let (status, rule, element) = match (open, closed, best, idle) {
        (None, Some(tuple), _, _) => (Status::Offline, "closed", tuple),
        (_, _, Some((status, element, until)), _) => {
            summary.until = until;
            (status, status.as_str(), element)
        }
        (_, _, None, Some(element)) => (Status::Away, "idle", element),
        (Some(tuple), _, None, None) => (Status::Available, "open", tuple),
        (None, None, None, None) => return summary,
    };
    summary.status = status;
    summary.because = (rule, element.id.clone());
    summary
}

/// The activities that say a status.
const SIGNALS: &[(Status, &str)] = &[
    (Status::DoNotDisturb, DO_NOT_DISTURB),
    (Status::OnThePhone, "on-the-phone"),
    (Status::Busy, "busy meeting appointment presentation performance steering worship spectator"),
    (Status::Away, OUT_OF_OFFICE),
    (Status::Away, "away meal breakfast lunch dinner sleeping shopping in-transit travel tv playing"),
];
const OUT_OF_OFFICE: &str = "vacation holiday permanent-absence";

/// What an activity says, if it says anything.
fn signal(activity: &str) -> Option<Status> {
    SIGNALS.iter().find(|(_, words)| is_one_of(activity, words)).map(|(status, _)| *status)
}

/// FreeSWITCH has only a note for it, beside the activity `busy`.
fn says_do_not_disturb(note: &Note) -> bool {
    let text = note.text.trim_ascii();
    ["do not disturb", "dnd", DO_NOT_DISTURB].iter().any(|words| text.eq_ignore_ascii_case(words))
}

/// What Asterisk says of the user behind `tuple`.
fn digium(tuple: &Component) -> Option<Status> {
    let attribute = tuple.attributes.iter().find(|a| a.name == AttributeName::DIGIUM)?;
    match attribute.values.first()?.name.as_str() {
        "dnd" => Some(Status::DoNotDisturb),
        "away" | "xa" => Some(Status::Away),
        _ => None,
    }
}

/// Whether a tuple is the presentity's own (RFC 4480 §3.9).
fn is_own(tuple: &Component) -> bool {
    let mut relationships = tuple.attributes.iter().filter(|a| a.name == AttributeName::RELATIONSHIP);
    relationships.all(|a| a.values.iter().all(|value| value.name == "self"))
}

fn preferred_tuple(presence: &Presence) -> Option<&Component> {
    let rank = |tuple: &Component| {
        let basic = match tuple.basic {
            Some(Basic::Open) => 2_u8,
            Some(Basic::Closed) => 1,
            None => 0,
        };
        let priority = tuple.contact.as_ref().and_then(|contact| contact.priority);
        (basic, priority, tuple.timestamp)
    };
    let mut best: Option<&Component> = None;
    for tuple in presence.tuples.iter().filter(|tuple| is_own(tuple)) {
        // Of equals the first wins.
        if best.is_none_or(|best| rank(tuple) > rank(best)) {
            best = Some(tuple);
        }
    }
    best
}

/// The person's note, else the preferred tuple's, else Digium's text, else the document's: beside what a user has said,
/// Asterisk's is about the telephone.
fn note(presence: &Presence, preferred: Option<&Component>) -> Option<String> {
    let person = presence.persons.iter().find_map(|person| first_text(&person.notes));
    let found = person.or_else(|| first_text(&preferred?.notes));
    let found = found.or_else(|| presence.tuples.iter().find_map(digium_text));
    found.or_else(|| first_text(&presence.notes)).map(str::to_owned)
}

fn digium_text(tuple: &Component) -> Option<&str> {
    let attribute = tuple.attributes.iter().find(|a| a.name == AttributeName::DIGIUM)?;
    first_text(attribute.text.as_slice())
}

fn first_text(notes: &[Note]) -> Option<&str> {
    notes.iter().map(|note| note.text.trim_ascii()).find(|text| !text.is_empty())
}
