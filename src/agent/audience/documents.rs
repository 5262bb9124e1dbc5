//! What watchers are shown. Who is blocked politely sees what everybody sees of a user who has published nothing.

use super::{MOST_POLICIES, Package, Presentity};
use crate::agent::Agent;
use crate::event::Decision;
use crate::event::watchers::{Content, Notice};
use crate::presence::{Basic, Component, Contact, Presence, pidf};
use crate::time::Instant;

impl Agent {
    /// The document of a NOTIFY, whole.
    pub(super) fn document(&mut self, package: Package, notice: &Notice, now: Instant) -> Option<String> {
        if package == Package::Winfo {
            return self.watcher_information(notice, now);
        }
        let presentity = self.presentity.as_mut()?;
        let (uri, _, entity) = presentity.watchers.who(notice.id)?;
        let (uri, entity) = (uri.to_owned(), entity.to_owned());
        let published = match notice.content {
            Content::Nothing => return None,
            Content::Polite => None,
            Content::Real => self.publication.document.as_ref(),
        };
        let document = match published {
            Some(published) => shown(published, &entity),
            None => {
                let since = match notice.content {
                    Content::Polite => presentity.polite_since(&uri),
                    Content::Nothing | Content::Real => presentity.offline_since,
                };
                offline(&entity, self.publication.device(), since)
            }
        };
        Some(pidf::write(&document))
    }
}

impl Presentity {
    /// Since when somebody who is blocked politely sees the user offline. It stays, whatever the user really does.
    fn polite_since(&mut self, uri: &str) -> Instant {
        if let Some(since) = self.polite.get(uri) {
            return *since;
        }
        let since = self.offline_since;
        self.note_polite(uri, since);
        since
    }

    /// Somebody gets this from now on: whoever is blocked politely sees the user go now.
    pub(super) fn note_decision(&mut self, uri: &str, decision: Decision, now: Instant) {
        if decision != Decision::PoliteBlock {
            self.polite.remove(uri);
        } else if !self.polite.contains_key(uri) {
            self.note_polite(uri, now);
        }
    }

    fn note_polite(&mut self, uri: &str, since: Instant) {
        if self.polite.len() < MOST_POLICIES {
            self.polite.insert(uri.to_owned(), since);
        }
    }
}

/// What is published, for the address that was asked for. Where it says no more than that the user is offline, nothing
/// tells it from [`offline`].
fn shown(published: &Presence, entity: &str) -> Presence {
    let mut document = published.clone();
    document.entity = entity.to_owned();
    let closed = document.tuples.iter().all(|tuple| tuple.basic == Some(Basic::Closed));
    for tuple in &mut document.tuples {
        if let Some(contact) = &mut tuple.contact {
            contact.uri = entity.to_owned();
        }
    }
    document.persons.retain(|person| !closed || says_something(person));
    document
}

fn says_something(person: &Component) -> bool {
    !person.attributes.is_empty() || !person.notes.is_empty()
}

fn offline(entity: &str, device: &str, since: Instant) -> Presence {
    let tuple = Component {
        id: ["t", device].concat(),
        basic: Some(Basic::Closed),
        contact: Some(Contact { uri: entity.to_owned(), priority: None }),
        timestamp: Some(since),
        ..Component::default()
    };
    Presence { entity: entity.to_owned(), tuples: vec![tuple], ..Presence::default() }
}
