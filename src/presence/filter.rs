//! What of a document a watcher is shown (RFC 5025 §3.3, without its selection of single services, persons and devices).
//!
//! An element that is shown always has its `basic`, contact and timestamp (§3.3.2). A note inside an RPID element
//! follows its element. Filtering twice is filtering once (§4).

use super::{AttributeName, Component, Presence};

/// The transformations of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transformations {
    /// Whether services are shown (§3.3.1.2).
    pub services: bool,
    /// Whether persons are shown (§3.3.1.3).
    pub persons: bool,
    /// Whether devices are shown (§3.3.1.1).
    pub devices: bool,
    /// Which attributes are shown (§3.3.2).
    pub attributes: Attributes,
    /// Whether notes are shown (§3.3.2.13).
    pub notes: bool,
    /// How much of user-input is shown (§3.3.2.12).
    pub user_input: Detail,
    /// Whether elements are shown that nobody here knows (§3.3.2.14).
    pub unknown: bool,
}

/// Which attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attributes {
    /// All there are.
    All,
    /// These.
    Only(Vec<AttributeName>),
}

/// How much of user-input (§3.3.2.12), from nothing to all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// Nothing.
    False,
    /// `active` or `idle`.
    Bare,
    /// With the threshold.
    Thresholds,
    /// With the time of the last input.
    Full,
}

impl Transformations {
    /// Everything is shown.
    #[must_use]
    pub const fn all() -> Self {
        Self {
            services: true,
            persons: true,
            devices: true,
            attributes: Attributes::All,
            notes: true,
            user_input: Detail::Full,
            unknown: true,
        }
    }

    /// Nothing is shown.
    #[must_use]
    pub const fn nothing() -> Self {
        Self {
            services: false,
            persons: false,
            devices: false,
            attributes: Attributes::Only(Vec::new()),
            notes: false,
            user_input: Detail::False,
            unknown: false,
        }
    }

    /// What two rules give together: of each permission the larger (RFC 4745 §10.2).
    #[must_use]
    pub fn union(mut self, other: Self) -> Self {
        self.services |= other.services;
        self.persons |= other.persons;
        self.devices |= other.devices;
        self.notes |= other.notes;
        self.unknown |= other.unknown;
        self.user_input = self.user_input.max(other.user_input);
        self.attributes = match (self.attributes, other.attributes) {
            (Attributes::Only(mut names), Attributes::Only(more)) => {
                names.extend(more);
                names.sort_unstable();
                names.dedup();
                Attributes::Only(names)
            }
            (Attributes::All, _) | (_, Attributes::All) => Attributes::All,
        };
        self
    }

    /// What of `presence` is shown.
    #[must_use]
    pub fn apply(&self, mut presence: Presence) -> Presence {
        for (components, shown) in [
            (&mut presence.tuples, self.services),
            (&mut presence.persons, self.persons),
            (&mut presence.devices, self.devices),
        ] {
            if !shown {
                components.clear();
            }
            for component in components {
                self.reduce(component);
            }
        }
        if !self.notes {
            presence.notes.clear();
        }
        if !self.unknown {
            presence.extensions.clear();
        }
        presence
    }

    fn reduce(&self, component: &mut Component) {
        if let Attributes::Only(names) = &self.attributes {
            // How the service reaches people is no secret of the person (§3.3.2).
            let always = |name: AttributeName| name.as_str() == "service-class";
            component
                .attributes
                .retain(|attribute| always(attribute.name) || names.contains(&attribute.name));
        }
        if !self.notes {
            component.notes.clear();
        }
        if !self.unknown {
            component.extensions.clear();
        }
        match self.user_input {
            Detail::False => component.user_input = None,
            Detail::Bare | Detail::Thresholds | Detail::Full => {}
        }
        if let Some(input) = &mut component.user_input {
            if self.user_input < Detail::Full {
                input.last_input = None;
            }
            if self.user_input < Detail::Thresholds {
                input.threshold = None;
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::presence::pidf::{self, Limits};

    const DOCUMENT: &str = "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\" \
        xmlns:r=\"urn:ietf:params:xml:ns:pidf:rpid\" entity=\"sip:a@b\"><tuple id=\"t\"><status><basic>open</basic></status>\
        <r:service-class><r:electronic/></r:service-class><r:class>forms</r:class><x xmlns=\"urn:x\">y</x>\
        <contact priority=\"0.5\">sip:a@b</contact><note>n</note><timestamp>2020-01-01T00:00:00Z</timestamp></tuple><note>whole</note>\
        <dm:person id=\"p\"><r:activities><r:note>in</r:note><r:busy/></r:activities><r:mood><r:sad/></r:mood>\
        <r:user-input idle-threshold=\"60\" last-input=\"2020-01-01T00:00:00Z\">idle</r:user-input><dm:note>n</dm:note></dm:person>\
        <dm:device id=\"d\"><dm:deviceID>urn:x:1</dm:deviceID></dm:device></presence>";

    fn document() -> Presence {
        pidf::read(DOCUMENT.as_bytes(), &Limits::default()).unwrap().0
    }

    fn names(component: &Component) -> Vec<&str> {
        component.attributes.iter().map(|attribute| attribute.name.as_str()).collect()
    }

    #[test]
    fn what_no_rule_gives_is_not_shown() {
        // 5025-3.3.1-a 5025-3.3.2-a 5025-3.3.2-b 5025-3.3.2-d
        assert_eq!(Transformations::all().apply(document()), document());
        let empty = Transformations::nothing().apply(document());
        assert_eq!(empty, Presence { entity: "sip:a@b".to_owned(), ..Presence::default() });
        let bare =
            Transformations { services: true, persons: true, devices: true, ..Transformations::nothing() }
                .apply(document());
        let (tuple, whole) = (&bare.tuples[0], &document().tuples[0]);
        assert_eq!(
            (&tuple.basic, &tuple.contact, &tuple.timestamp),
            (&whole.basic, &whole.contact, &whole.timestamp)
        );
        assert_eq!(names(tuple), ["service-class"]);
        assert!(tuple.notes.is_empty() && tuple.extensions.is_empty() && bare.notes.is_empty());
        assert!(names(&bare.persons[0]).is_empty());
        assert_eq!(bare.devices[0].device_ids, ["urn:x:1"]);
        let activities = Attributes::Only(vec![AttributeName::ACTIVITIES]);
        let some = Transformations { persons: true, attributes: activities, ..Transformations::nothing() }
            .apply(document());
        assert_eq!(names(&some.persons[0]), ["activities"]);
        assert_eq!(some.persons[0].attributes[0].notes[0].text, "in", "its note follows the element");
    }

    #[test]
    fn user_input_is_shown_in_four_degrees() {
        // 5025-3.3.2-c
        let input = |user_input| {
            let mut shown =
                Transformations { persons: true, user_input, ..Transformations::nothing() }.apply(document());
            shown
                .persons
                .remove(0)
                .user_input
                .map(|input| (input.threshold.is_some(), input.last_input.is_some()))
        };
        assert_eq!(input(Detail::False), None);
        assert_eq!(input(Detail::Bare), Some((false, false)));
        assert_eq!(input(Detail::Thresholds), Some((true, false)));
        assert_eq!(input(Detail::Full), Some((true, true)));
    }

    #[test]
    fn filtering_twice_is_filtering_once_and_a_further_rule_takes_nothing() {
        // 5025-4-a 4745-10-a
        let mood = AttributeName::all().find(|name| name.as_str() == "mood").unwrap();
        let one = Transformations {
            persons: true,
            attributes: Attributes::Only(vec![mood]),
            ..Transformations::nothing()
        };
        let other = Transformations {
            services: true,
            attributes: Attributes::Only(vec![AttributeName::ACTIVITIES]),
            user_input: Detail::Bare,
            ..Transformations::nothing()
        };
        for transformations in
            [one.clone(), other.clone(), one.clone().union(other.clone()), Transformations::all()]
        {
            let once = transformations.apply(document());
            assert_eq!(transformations.apply(once.clone()), once);
        }
        let both = one.clone().union(other.clone());
        assert_eq!(both, other.clone().union(one.clone()));
        assert_eq!(names(&both.apply(document()).persons[0]), ["activities", "mood"]);
        assert_eq!(one.union(Transformations::all()), Transformations::all());
    }
}
