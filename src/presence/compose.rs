//! Several publications of one presentity become one document (RFC 3856 §6.11.1, RFC 3903 §10.3).
//!
//! The policy: everything that anyone published is in it. The status rule then picks; a watcher that wants more has
//! the whole document.

use super::Presence;
use std::collections::BTreeMap;

/// The composite of `publications`, oldest first: all tuples, persons, devices and notes; ids that clash between
/// publications are renamed; the document is for `entity`.
#[must_use]
pub fn compose(entity: &str, publications: &[&Presence]) -> Presence {
    let mut whole = Presence { entity: entity.to_owned(), ..Presence::default() };
    let mut ids = BTreeMap::new();
    for publication in publications {
        let mut part = (*publication).clone();
        let tuples = part.tuples.iter_mut().map(|t| (&mut t.id, 't'));
        let persons = part.persons.iter_mut().map(|p| (&mut p.id, 'p'));
        let devices = part.devices.iter_mut().map(|d| (&mut d.id, 'd'));
        for (id, kind) in tuples.chain(persons).chain(devices) {
            claim(id, kind, &mut ids);
        }
        whole.tuples.append(&mut part.tuples);
        whole.persons.append(&mut part.persons);
        whole.devices.append(&mut part.devices);
        whole.extensions.append(&mut part.extensions);
        for note in part.notes {
            if !whole.notes.contains(&note) {
                whole.notes.push(note);
            }
        }
    }
    whole
}

/// Makes `id` unique in the document (RFC 4479 §3.5): a taken one gets a number. `taken` has the next number to try
/// for each id, so that many equal ids cost no more than different ones.
fn claim(id: &mut String, kind: char, taken: &mut BTreeMap<String, u32>) {
    if id.is_empty() {
        id.push(kind);
    }
    let stem = id.clone();
    while taken.contains_key(id.as_str()) {
        let number = taken.entry(stem.clone()).or_insert(2);
        *id = [stem.as_str(), "-", &number.to_string()].concat();
        *number = number.saturating_add(1);
    }
    taken.insert(id.clone(), 2);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presence::{Component, Note};

    fn part(id: &str) -> Presence {
        Presence {
            tuples: vec![Component { id: id.to_owned(), ..Component::default() }],
            persons: vec![Component { id: "p".to_owned(), ..Component::default() }],
            notes: vec![Note { lang: None, text: "same".to_owned() }],
            ..Presence::default()
        }
    }

    #[test]
    fn nothing_is_lost_and_no_id_stands_twice() {
        // 3903-10.4-b 3856-7.3-a 4479-3.5-a
        let (one, two) = (part("t1"), part("t1"));
        let whole = compose("sip:a@b", &[&one, &two]);
        let ids: Vec<&str> = whole.tuples.iter().map(|t| t.id.as_str()).collect();
        assert_eq!(ids, ["t1", "t1-2"]);
        assert_eq!(whole.persons.iter().map(|p| p.id.as_str()).collect::<Vec<_>>(), ["p", "p-2"]);
        assert_eq!(whole.notes.len(), 1);
        assert_eq!(whole.entity, "sip:a@b");
        // An id that looks like a number given before is not given twice.
        let parts = ["t", "t-2", "t", "t", "t-2"].map(part);
        let whole = compose("sip:a@b", &parts.iter().collect::<Vec<_>>());
        let ids: Vec<&str> = whole.tuples.iter().map(|t| t.id.as_str()).collect();
        assert_eq!(ids, ["t", "t-2", "t-3", "t-4", "t-2-2"]);
    }
}
