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

#[cfg(feature = "full")]
use crate::agent::Details;
use crate::agent::{Cause, Challenged, ConnectionState, Failure, FailureSource, View, Watching};
#[cfg(feature = "full")]
use crate::presence::dialog_info::Dialog;
#[cfg(feature = "full")]
use crate::presence::winfo::Watcher;
use crate::presence::{
    Attribute, Basic, Component, Contact, Extension, Note, Presence, Status, Summary, UserInput, Value,
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

    pub(super) fn optional(&mut self, text: Option<&str>) {
        self.words.push(text.map_or(0, |text| units(text).saturating_add(1)));
        self.text.push_str(text.unwrap_or_default());
    }

    #[allow(clippy::cast_possible_truncation)]
    pub(super) fn instant(&mut self, at: Option<Instant>) {
        let ms = at.map_or(0, Instant::as_millis);
        self.words.push((ms >> 32) as u32);
        self.words.push(ms as u32);
    }

    pub(super) fn list<T>(&mut self, items: &[T], write: impl Fn(&mut Self, &T)) {
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
        self.result(view.subscription.failure.as_deref());
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
        match view.details.as_deref() {
            None => self.word(0),
            #[cfg(not(feature = "full"))]
            Some(nothing) => match *nothing {},
            #[cfg(feature = "full")]
            Some(Details::Dialogs(dialogs)) => {
                self.word(1);
                self.list(dialogs, Self::dialog);
            }
            #[cfg(feature = "full")]
            Some(Details::Watchers(watchers)) => {
                self.word(2);
                self.list(watchers, Self::watcher);
            }
        }
    }

    #[cfg(feature = "full")]
    fn dialog(&mut self, dialog: &Dialog) {
        self.text(&dialog.id);
        self.text(&dialog.state);
        for text in [&dialog.direction, &dialog.call_id, &dialog.local_tag, &dialog.remote_tag] {
            self.optional(text.as_deref());
        }
        for participant in [&dialog.local, &dialog.remote] {
            self.list(&participant.identities, |record, identity| {
                record.text(&identity.uri);
                record.optional(identity.display.as_deref());
            });
            self.optional(participant.target.as_ref().map(|(uri, _)| uri.as_str()));
        }
    }

    #[cfg(feature = "full")]
    fn watcher(&mut self, (watcher, told_at): &(Watcher, Instant)) {
        self.text(&watcher.id);
        self.text(&watcher.uri);
        self.optional(watcher.display_name.as_deref());
        self.text(&watcher.status);
        self.text(&watcher.event);
        let ms = |seconds: u64| seconds.saturating_mul(1000);
        let ago = |seconds| told_at.as_millis().saturating_sub(ms(seconds));
        self.instant(watcher.duration_subscribed.map(|span| Instant::from_millis(ago(span))));
        let later = |seconds| told_at.as_millis().saturating_add(ms(seconds));
        self.instant(watcher.expiration.map(|span| Instant::from_millis(later(span))));
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
        self.list(&summary.activities, |record, activity| record.text(activity));
        self.optional(summary.note.as_deref());
        self.instant(summary.until);
    }

    fn presence(&mut self, presence: &Presence) {
        self.text(&presence.entity);
        self.list(&presence.tuples, Self::component);
        self.list(&presence.persons, Self::component);
        self.list(&presence.devices, Self::component);
        self.list(&presence.notes, Self::note);
        self.list(&presence.extensions, Self::extension);
    }

    fn component(&mut self, component: &Component) {
        self.text(&component.id);
        self.basic(component.basic);
        self.contact(component.contact.as_ref());
        self.list(&component.device_ids, |record, id| record.text(id));
        self.list(&component.attributes, Self::attribute);
        self.user_input(component.user_input.as_ref());
        self.list(&component.notes, Self::note);
        self.instant(component.timestamp);
        self.list(&component.extensions, Self::extension);
    }

    fn basic(&mut self, basic: Option<Basic>) {
        self.word(match basic {
            None => 0,
            Some(Basic::Open) => 1,
            Some(Basic::Closed) => 2,
        });
    }

    fn attribute(&mut self, attribute: &Attribute) {
        self.word(u32::from(attribute.name.index()));
        self.basic(attribute.basic);
        self.word(u32::from(attribute.text.is_some()));
        if let Some(text) = &attribute.text {
            self.note(text);
        }
        self.instant(attribute.from);
        self.instant(attribute.until);
        self.list(&attribute.notes, Self::note);
        self.list(&attribute.values, Self::value);
    }

    fn value(&mut self, value: &Value) {
        self.text(&value.name);
        self.text(&value.namespace);
        self.text(&value.text);
        self.word(u32::from(value.excluded));
    }

    /// The priority is 0 without one, else 1 + thousandths.
    fn contact(&mut self, contact: Option<&Contact>) {
        self.optional(contact.map(|contact| contact.uri.as_str()));
        if let Some(contact) = contact {
            self.word(contact.priority.map_or(0, |thousandths| u32::from(thousandths) + 1));
        }
    }

    fn note(&mut self, note: &Note) {
        self.text(&note.text);
        self.optional(note.lang.as_deref());
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
            ConnectionState::Connecting { attempt } => (0, *attempt, None, None),
            ConnectionState::Online => (1, 0, None, None),
            ConnectionState::Reconnecting { attempt, retry_at, reason } => {
                (2, *attempt, Some(*retry_at), Some(reason))
            }
            ConnectionState::Closed { reason } => (3, 0, None, reason.as_ref()),
        };
        self.word(word);
        self.word(attempt);
        self.instant(retry_at);
        self.result(reason.map(|reason| &**reason));
    }

    pub(super) fn challenge(&mut self, challenged: &Challenged) {
        let challenge = &challenged.challenge;
        self.text(&challenge.realm);
        self.text(&challenge.scheme);
        self.optional(challenge.scope.as_deref());
        self.optional(challenge.authz_server.as_deref());
        self.optional(challenge.error.as_deref());
        self.list(&challenged.algorithms, |record, algorithm| record.text(algorithm));
        self.word(u32::from(challenged.rejected));
    }
}
