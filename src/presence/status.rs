//! The status rule: one word for a whole document, and which part of the document gave it.
//!
//! | # | rule | holds when | status |
//! |---|---|---|---|
//! | 1 | `no-information` | no tuple has a basic status, and no person an activity that counts | unknown |
//! | 2 | `closed` | at least one tuple is closed and none is open | offline |
//! | 3 | `do-not-disturb` | activity `other` "do-not-disturb", or Digium presence of type `dnd` | do-not-disturb |
//! | 4 | `on-the-phone` | activity `on-the-phone` | on-the-phone |
//! | 5 | `busy` | an activity that takes the person's attention: `busy`, `meeting`, `appointment`, … | busy |
//! | 6 | `away` | an activity elsewhere: `away`, `vacation`, `meal`, …, or Digium `away`, `xa` | away |
//! | 7 | `open` | a tuple is open | available |
//! | 8 | `no-information` | none of these | unknown |
//!
//! The first rule that holds decides. Activities count while their `from` and `until` cover the present; they are
//! read from every person (ambiguity: the strongest) and from the preferred tuple: open before closed, then the higher
//! priority, then the newer timestamp, then document order. Rules 3 to 6 hold for a person without any tuple too.
//! A tuple of a relationship other than `self` says nothing about the presentity (RFC 4480 §3.9). Notes never give a
//! status (RFC 3863 §4.1.6).

use super::published::DO_NOT_DISTURB;
use super::{Activity, Basic, Note, Presence, Tuple};
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
        Self::ALL.into_iter().find(|s| s.as_str() == word)
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
    let preferred = preferred_tuple(presence);
    let mut changes_at = None;
    let mut current: Vec<(&Activity, &str)> = Vec::new();
    let persons = presence.persons.iter().map(|p| (p.activities.as_slice(), p.id.as_str()));
    let tuple = preferred.iter().map(|t| (t.activities.as_slice(), t.id.as_str()));
    for (activities, id) in persons.chain(tuple) {
        for activity in activities {
            for edge in [activity.from, activity.until].into_iter().flatten().filter(|at| *at > now) {
                changes_at = earliest(changes_at, Some(edge));
            }
            let holds =
                activity.from.is_none_or(|from| from <= now) && activity.until.is_none_or(|end| end > now);
            if holds {
                current.push((activity, id));
            }
        }
    }
    let (status, because, until) = decide(presence, preferred, &current);
    let mut activities: Vec<Activity> = Vec::new();
    for (activity, _) in &current {
        let known = |a: &Activity| a.name == activity.name && a.other == activity.other;
        if activities.len() < MOST_ACTIVITIES && !activities.iter().any(known) {
            activities.push((*activity).clone());
        }
    }
    let out_of_office =
        activities.iter().any(|a| matches!(a.name.as_str(), "vacation" | "holiday" | "permanent-absence"));
    let inputs = presence.persons.iter().filter_map(|p| p.user_input.as_ref());
    let inputs = inputs.chain(preferred.and_then(|t| t.user_input.as_ref()));
    let mut inputs = inputs.chain(presence.devices.iter().filter_map(|d| d.user_input.as_ref())).peekable();
    // Idle only if nothing says active: one device in use is enough.
    let idle = inputs.peek().is_some() && inputs.all(|input| input.idle);
    Summary {
        status,
        idle,
        out_of_office,
        activities,
        note: note(presence, preferred),
        until,
        changes_at,
        because,
    }
}

type Verdict = (Status, (&'static str, String), Option<Instant>);

fn decide(presence: &Presence, preferred: Option<&Tuple>, current: &[(&Activity, &str)]) -> Verdict {
    let open = preferred.is_some_and(|tuple| tuple.basic == Some(Basic::Open));
    let tuple_id = preferred.map(|tuple| tuple.id.clone()).unwrap_or_default();
    let closed = presence.tuples.iter().find(|t| is_own(t) && t.basic == Some(Basic::Closed));
    if let (false, Some(closed)) = (open, closed) {
        return (Status::Offline, ("closed", closed.id.clone()), None);
    }
    let mut best: Option<(Status, &str, Option<Instant>)> = None;
    for (activity, id) in current {
        let Some(status) = signal(activity) else { continue };
        if best.is_none_or(|(strongest, _, _)| status > strongest) {
            best = Some((status, id, activity.until));
        }
    }
    let digium = presence.tuples.iter().find_map(|tuple| {
        let (kind, _, _) = tuple.digium.as_ref()?;
        let status = match kind.as_str() {
            "dnd" => Status::DoNotDisturb,
            "away" | "xa" => Status::Away,
            _ => return None,
        };
        Some((status, tuple.id.as_str(), None))
    });
    if let Some(digium) =
        digium.filter(|(status, _, _)| best.is_none_or(|(strongest, _, _)| *status > strongest))
    {
        best = Some(digium);
    }
    match best {
        Some((status, id, until)) => {
            let rule = match status {
                Status::DoNotDisturb => "do-not-disturb",
                Status::OnThePhone => "on-the-phone",
                Status::Busy => "busy",
                Status::Away => "away",
                Status::Unknown | Status::Offline | Status::Available => "open",
            };
            (status, (rule, id.to_owned()), until)
        }
        None if open => (Status::Available, ("open", tuple_id), None),
        None => (Status::Unknown, ("no-information", String::new()), None),
    }
}

/// What an activity says, if it says anything.
fn signal(activity: &Activity) -> Option<Status> {
    match activity.name.as_str() {
        "other" if activity.other.as_deref() == Some(DO_NOT_DISTURB) => Some(Status::DoNotDisturb),
        "on-the-phone" => Some(Status::OnThePhone),
        "busy" | "meeting" | "appointment" | "presentation" | "performance" | "steering" | "worship"
        | "spectator" => Some(Status::Busy),
        "away" | "vacation" | "holiday" | "permanent-absence" | "meal" | "breakfast" | "lunch" | "dinner"
        | "sleeping" | "shopping" | "in-transit" | "travel" | "tv" | "playing" => Some(Status::Away),
        _ => None,
    }
}

/// Whether a tuple is the presentity's own (RFC 4480 §3.9).
fn is_own(tuple: &Tuple) -> bool {
    !tuple.extensions.iter().any(|e| e.name == "relationship" && !e.text.is_empty() && e.text != "self")
}

fn preferred_tuple(presence: &Presence) -> Option<&Tuple> {
    let rank = |tuple: &Tuple| {
        let basic = match tuple.basic {
            Some(Basic::Open) => 2_u8,
            Some(Basic::Closed) => 1,
            None => 0,
        };
        let priority = tuple.contact.as_ref().and_then(|contact| contact.priority);
        (basic, priority, tuple.timestamp)
    };
    let mut best: Option<&Tuple> = None;
    for tuple in presence.tuples.iter().filter(|tuple| is_own(tuple)) {
        // Of equals the first wins.
        if best.is_none_or(|best| rank(tuple) > rank(best)) {
            best = Some(tuple);
        }
    }
    best
}

/// The person's note, else the preferred tuple's, else the document's, else Digium's text.
fn note(presence: &Presence, preferred: Option<&Tuple>) -> Option<String> {
    let person = presence.persons.iter().find_map(|person| first_text(&person.notes));
    let found = person
        .or_else(|| first_text(&preferred?.notes))
        .or_else(|| first_text(&presence.notes))
        .or_else(|| presence.tuples.iter().find_map(|tuple| not_empty(&tuple.digium.as_ref()?.2)));
    found.map(str::to_owned)
}

fn first_text(notes: &[Note]) -> Option<&str> {
    notes.iter().find_map(|note| not_empty(&note.text))
}

fn not_empty(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}
