//! Several publications of one presentity become one document (RFC 3856 §6.11.1, RFC 3903 §10.3).
//!
//! The policy: everything that anyone published is in it, the newest first, so that of equals the newest is preferred.
//! An element that is published twice in the same words stands once. The same id for different things belongs to
//! different publishers (RFC 3903 §10.4): the older one is renamed. The status rule then picks; a watcher that wants
//! more has the whole document.

use super::{Component, Presence};
use crate::time::Instant;
use std::collections::BTreeMap;

/// Where publications disagree. Nothing is lost for it; somebody may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// Two elements had this id; the older one has another now.
    Id(String),
    /// Several persons who do different things: a presentity is one (RFC 4479 §3.2).
    Persons,
    /// Two services with this contact, one open and one closed (RFC 3863 §4.1.2).
    Service(String),
}

impl core::fmt::Display for Conflict {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Id(id) => write!(f, "two elements have the id {id}"),
            Self::Persons => f.write_str("several persons do different things"),
            Self::Service(contact) => write!(f, "{contact} is open and closed"),
        }
    }
}

/// The composite of `publications`, oldest first, for `entity`, and where they disagree.
#[must_use]
pub fn compose(entity: &str, publications: &[&Presence]) -> (Presence, Vec<Conflict>) {
    let mut whole = Presence { entity: entity.to_owned(), ..Presence::default() };
    let mut conflicts = Vec::new();
    let mut ids = Ids::new();
    for publication in publications.iter().rev() {
        merge(&publication.tuples, 't', &mut whole.tuples, &mut ids, &mut conflicts);
        merge(&publication.persons, 'p', &mut whole.persons, &mut ids, &mut conflicts);
        merge(&publication.devices, 'd', &mut whole.devices, &mut ids, &mut conflicts);
        whole.extensions.extend_from_slice(&publication.extensions);
        for note in &publication.notes {
            if !whole.notes.contains(note) {
                whole.notes.push(note.clone());
            }
        }
    }
    for components in [&mut whole.tuples, &mut whole.persons, &mut whole.devices] {
        // Stable: what has no time stays behind what has one, by the age of its publication.
        components.sort_by_key(|component| core::cmp::Reverse(component.timestamp.map(Instant::as_millis)));
    }
    if whole.persons.windows(2).any(|two| matches!(two, [one, other] if one.attributes != other.attributes)) {
        conflicts.push(Conflict::Persons);
    }
    let mut services: BTreeMap<&str, &Component> = BTreeMap::new();
    for tuple in whole.tuples.iter().filter(|tuple| tuple.basic.is_some()) {
        let Some(contact) = &tuple.contact else { continue };
        let first = services.entry(&contact.uri).or_insert(tuple);
        let conflict = Conflict::Service(contact.uri.clone());
        if first.basic != tuple.basic && !conflicts.contains(&conflict) {
            conflicts.push(conflict);
        }
    }
    (whole, conflicts)
}

/// The ids of the whole document: the next number to try for each, so that many equal ids cost no more than different
/// ones, and which element has it.
type Ids = BTreeMap<String, (u32, char, usize)>;

fn merge(
    components: &[Component],
    kind: char,
    whole: &mut Vec<Component>,
    ids: &mut Ids,
    conflicts: &mut Vec<Conflict>,
) {
    for component in components {
        let mut component = component.clone();
        if component.id.is_empty() {
            component.id.push(kind);
        } else if let Some((_, other, at)) = ids.get(&component.id) {
            if *other == kind && whole.get(*at) == Some(&component) {
                continue;
            }
            conflicts.push(Conflict::Id(component.id.clone()));
        }
        claim(&mut component.id, ids, (2, kind, whole.len()));
        whole.push(component);
    }
}

/// Makes `id` unique in the document (RFC 4479 §3.5): a taken one gets a number.
fn claim(id: &mut String, taken: &mut Ids, entry: (u32, char, usize)) {
    let stem = id.clone();
    while taken.contains_key(id.as_str()) {
        let Some((number, _, _)) = taken.get_mut(&stem) else { break };
        *id = [stem.as_str(), "-", &number.to_string()].concat();
        *number = number.saturating_add(1);
    }
    taken.insert(id.clone(), entry);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presence::{Attribute, AttributeName, Basic, Contact, Note};

    fn part(id: &str, seconds: u64) -> Presence {
        let note = |text: &str| Note { lang: None, text: text.to_owned() };
        Presence {
            tuples: vec![Component {
                id: id.to_owned(),
                timestamp: Some(Instant::from_millis(seconds * 1000)),
                ..Component::default()
            }],
            persons: vec![Component {
                id: "p".to_owned(),
                notes: vec![note(&seconds.to_string())],
                ..Component::default()
            }],
            notes: vec![note("same")],
            ..Presence::default()
        }
    }

    fn ids(components: &[Component]) -> Vec<&str> {
        components.iter().map(|component| component.id.as_str()).collect()
    }

    #[test]
    fn nothing_is_lost_and_no_id_stands_twice() {
        // 3903-10.3-b 3903-10.4-b 3856-3-b 3856-6.11.1-a 3856-7.3-a 4479-3.5-a
        let (one, two) = (part("t1", 1), part("t1", 2));
        let (whole, conflicts) = compose("sip:a@b", &[&one, &two]);
        assert_eq!((ids(&whole.tuples), ids(&whole.persons)), (vec!["t1", "t1-2"], vec!["p", "p-2"]));
        assert_eq!(
            whole.tuples[0].timestamp, two.tuples[0].timestamp,
            "the newest keeps its id and comes first"
        );
        assert_eq!(whole.persons[0].notes, two.persons[0].notes);
        assert_eq!(whole.notes.len(), 1);
        assert_eq!(whole.entity, "sip:a@b");
        let told = |id: &str| Conflict::Id(id.to_owned());
        assert_eq!(conflicts, [told("t1"), told("p")]);
        let mut three = part("t1", 3);
        three.persons[0].attributes.push(Attribute::new(AttributeName::ACTIVITIES));
        assert!(compose("sip:a@b", &[&two, &three]).1.contains(&Conflict::Persons));
        // An id that looks like a number given before is not given twice.
        let parts = [("t", 5), ("t-2", 4), ("t", 3), ("t", 2), ("t-2", 1)].map(|(id, at)| part(id, at));
        let newest_last: Vec<&Presence> = parts.iter().rev().collect();
        let (whole, _) = compose("sip:a@b", &newest_last);
        assert_eq!(ids(&whole.tuples), ["t", "t-2", "t-3", "t-4", "t-2-2"]);
    }

    #[test]
    fn what_is_published_twice_stands_once() {
        // 4479-3.3-b 4479-3.8-a
        let one = part("t1", 1);
        let (whole, conflicts) = compose("sip:a@b", &[&one, &one]);
        assert_eq!((whole.tuples.len(), whole.persons.len(), conflicts.len()), (1, 1, 0));
        let (again, _) = compose("sip:a@b", &[&whole]);
        assert_eq!(again, whole, "a composite of one is that one");
    }

    #[test]
    fn elements_without_a_time_come_behind_by_the_age_of_their_publication() {
        let timeless = |id: &str| Presence {
            tuples: vec![Component { id: id.to_owned(), ..Component::default() }],
            ..Presence::default()
        };
        let (old, new, timed) = (timeless("old"), timeless("new"), part("timed", 1));
        let (whole, _) = compose("sip:a@b", &[&timed, &old, &new]);
        assert_eq!(ids(&whole.tuples), ["timed", "new", "old"]);
    }

    #[test]
    fn a_service_that_is_open_and_closed_is_told() {
        // 3863-4.1.2-e
        let service = |id: &str, basic| {
            let contact = Some(Contact { uri: "sip:a@b".to_owned(), priority: None });
            let tuple = Component { id: id.to_owned(), basic: Some(basic), contact, ..Component::default() };
            Presence { tuples: vec![tuple], ..Presence::default() }
        };
        let (one, two) = (service("t1", Basic::Open), service("t2", Basic::Closed));
        let (whole, conflicts) = compose("sip:a@b", &[&one, &two]);
        assert_eq!((whole.tuples.len(), conflicts), (2, vec![Conflict::Service("sip:a@b".to_owned())]));
        assert_eq!(compose("sip:a@b", &[&one]).1, []);
    }
}
