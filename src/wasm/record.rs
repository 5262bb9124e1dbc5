//! How a value crosses to JavaScript: as numbers and one text, in one call.
//!
//! A record is a row of 32-bit words and the concatenation of all its texts. `src/js/record.ts` reads it in the same
//! order and cuts the texts out of the one string, so that no field costs a crossing of its own.
//!
//! ```text
//! text      length in UTF-16 units
//! text?     0, or 1 + length
//! instant?  two words, high and low, of epoch milliseconds; 0 0 is none
//! list      count, then the items
//! enum      its place in the list of words that src/js/record.ts has for it
//! ```

use crate::agent::{Cause, Challenged, ConnectionState, Failure, FailureSource, View, Watching};
use crate::presence::{
    Activity, Basic, Contact, Device, Extension, Note, Person, Presence, Status, Summary, Tuple, UserInput,
};
use crate::time::Instant;

/// A record that is being written.
#[derive(Default)]
pub(super) struct Record {
    pub(super) words: Vec<u32>,
    pub(super) text: String,
}

/// The length of `text` as JavaScript counts it.
fn units(text: &str) -> u32 {
    let units = if text.is_ascii() { text.len() } else { text.chars().map(char::len_utf16).sum() };
    u32::try_from(units).unwrap_or(u32::MAX)
}

impl Record {
    pub(super) fn word(&mut self, word: u32) {
        self.words.push(word);
    }

    pub(super) fn text(&mut self, text: &str) {
        self.words.push(units(text));
        self.text.push_str(text);
    }

    fn optional(&mut self, text: Option<&str>) {
        self.words.push(text.map_or(0, |text| units(text).saturating_add(1)));
        self.text.push_str(text.unwrap_or_default());
    }

    #[allow(clippy::cast_possible_truncation)]
    fn instant(&mut self, at: Option<Instant>) {
        let ms = at.map_or(0, Instant::as_millis);
        self.words.push((ms >> 32) as u32);
        self.words.push(ms as u32);
    }

    fn list<T>(&mut self, items: &[T], write: impl Fn(&mut Self, &T)) {
        self.word(u32::try_from(items.len()).unwrap_or(u32::MAX));
        for item in items {
            write(self, item);
        }
    }

    pub(super) fn view(&mut self, view: &View) {
        self.text(&view.uri);
        self.summary(&view.summary);
        self.word(match view.subscription.state {
            Watching::Trying => 0,
            Watching::Pending => 1,
            Watching::Active => 2,
            Watching::Terminated => 3,
        });
        self.optional(view.subscription.reason.as_deref());
        self.instant(view.subscription.expires);
        self.instant(view.subscription.retry_at);
        self.word(u32::from(view.stale));
        self.instant(view.as_of);
        self.word(match view.cause {
            Cause::Initial => 0,
            Cause::Change => 1,
            Cause::Resync => 2,
            Cause::Expired => 3,
            Cause::Disconnect => 4,
            Cause::Local => 5,
        });
        self.word(u32::from(view.presence.is_some()));
        if let Some(presence) = &view.presence {
            self.presence(presence);
        }
    }

    fn summary(&mut self, summary: &Summary) {
        self.word(match summary.status {
            Status::Unknown => 0,
            Status::Offline => 1,
            Status::Available => 2,
            Status::Away => 3,
            Status::Busy => 4,
            Status::OnThePhone => 5,
            Status::DoNotDisturb => 6,
        });
        self.word(u32::from(summary.idle));
        self.word(u32::from(summary.out_of_office));
        self.list(&summary.activities, |record, activity| {
            record.text(match &activity.other {
                Some(text) if activity.name == "other" && !text.is_empty() => text,
                Some(_) | None => &activity.name,
            });
        });
        self.optional(summary.note.as_deref());
        self.instant(summary.until);
    }

    fn presence(&mut self, presence: &Presence) {
        self.text(&presence.entity);
        self.list(&presence.tuples, Self::tuple);
        self.list(&presence.persons, Self::person);
        self.list(&presence.devices, Self::device);
        self.list(&presence.notes, Self::note);
        self.list(&presence.extensions, Self::extension);
    }

    fn tuple(&mut self, tuple: &Tuple) {
        self.text(&tuple.id);
        self.word(match tuple.basic {
            None => 0,
            Some(Basic::Open) => 1,
            Some(Basic::Closed) => 2,
        });
        self.contact(tuple.contact.as_ref());
        self.list(&tuple.notes, Self::note);
        self.instant(tuple.timestamp);
        self.list(&tuple.activities, Self::activity);
        self.user_input(tuple.user_input.as_ref());
        self.list(&tuple.extensions, Self::extension);
    }

    /// The priority is 0 without one, else 1 + thousandths.
    fn contact(&mut self, contact: Option<&Contact>) {
        self.optional(contact.map(|contact| contact.uri.as_str()));
        if let Some(contact) = contact {
            self.word(contact.priority.map_or(0, |thousandths| u32::from(thousandths) + 1));
        }
    }

    fn person(&mut self, person: &Person) {
        self.text(&person.id);
        self.list(&person.activities, Self::activity);
        self.user_input(person.user_input.as_ref());
        self.list(&person.notes, Self::note);
        self.instant(person.timestamp);
        self.list(&person.extensions, Self::extension);
    }

    fn device(&mut self, device: &Device) {
        self.text(&device.id);
        self.optional(device.device_id.as_deref());
        self.user_input(device.user_input.as_ref());
        self.list(&device.notes, Self::note);
        self.instant(device.timestamp);
        self.list(&device.extensions, Self::extension);
    }

    fn note(&mut self, note: &Note) {
        self.text(&note.text);
        self.optional(note.lang.as_deref());
    }

    fn activity(&mut self, activity: &Activity) {
        self.text(&activity.name);
        self.optional(activity.other.as_deref());
        self.instant(activity.from);
        self.instant(activity.until);
        self.word(u32::from(activity.note.is_some()));
        if let Some(note) = &activity.note {
            self.note(note);
        }
    }

    fn user_input(&mut self, input: Option<&UserInput>) {
        match input {
            None => self.word(0),
            Some(input) => {
                self.word(if input.idle { 2 } else { 1 });
                self.instant(input.last_input);
            }
        }
    }

    fn extension(&mut self, extension: &Extension) {
        self.text(&extension.namespace);
        self.text(&extension.name);
        self.text(&extension.text);
    }

    pub(super) fn failure(&mut self, failure: &Failure) {
        self.text(failure.code.as_str());
        self.text(failure.code.explain());
        self.word(match failure.code.source() {
            FailureSource::Server => 0,
            FailureSource::Network => 1,
            FailureSource::Application => 2,
            FailureSource::Library => 3,
        });
        self.word(failure.status.map_or(0, u32::from));
        self.optional(failure.reason.as_deref());
        self.instant(failure.retry_at);
        self.optional(failure.uri.as_deref());
    }

    pub(super) fn result(&mut self, failure: Option<&Failure>) {
        self.word(u32::from(failure.is_some()));
        if let Some(failure) = failure {
            self.failure(failure);
        }
    }

    pub(super) fn connection(&mut self, state: &ConnectionState) {
        let (word, attempt, retry_at, reason) = match state {
            ConnectionState::Connecting => (0, 0, None, None),
            ConnectionState::Online => (1, 0, None, None),
            ConnectionState::Reconnecting { attempt, retry_at, reason } => {
                (2, *attempt, Some(*retry_at), Some(reason))
            }
            ConnectionState::Closed { reason } => (3, 0, None, reason.as_ref()),
        };
        self.word(word);
        self.word(attempt);
        self.instant(retry_at);
        self.result(reason);
    }

    pub(super) fn challenge(&mut self, challenged: &Challenged) {
        self.text(&challenged.realm);
        self.text(&challenged.scheme);
        self.list(&challenged.algorithms, |record, algorithm| record.text(algorithm));
        self.word(u32::from(challenged.rejected));
    }
}
