//! The vocabularies of presence documents: which element belongs to which, where it may stand, and how it is built.

/// A vocabulary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Vocabulary {
    /// RFC 3863.
    Pidf,
    /// RFC 4479.
    DataModel,
    /// RFC 4480.
    Rpid,
    /// RFC 4481.
    Timed,
    /// RFC 4482.
    Cipid,
    /// RFC 5196.
    Caps,
    /// RFC 4589: the values of place-type.
    Places,
    #[default]
    Other,
}

/// The names that namespaces have behind `urn:ietf:params:xml:ns:`.
const NAMES: &[(Vocabulary, &str)] = &[
    // The last two in the drafts.
    (Vocabulary::Pidf, "pidf pidf: cpim-pidf cpim-pidf:"),
    (Vocabulary::DataModel, "pidf:data-model pidf:person"),
    (Vocabulary::Rpid, "pidf:rpid"),
    // Asterisk's chan_sip and those who learnt from it.
    (
        Vocabulary::Rpid,
        "pidf:rpid:rpid-person pidf:rid:rid-person pidf:status:rpid pidf:rpid:status:rpid-status \
         pidf:rpid:rpid-status",
    ),
    (Vocabulary::Timed, "pidf:timed-status"),
    (Vocabulary::Cipid, "pidf:cipid"),
    (Vocabulary::Caps, "pidf:caps"),
    (Vocabulary::Places, "location-type"),
];

/// Whether `word` stands in `words`, which have blanks between them.
pub(super) fn is_one_of(word: &str, words: &str) -> bool {
    words.as_bytes().split(|byte| *byte == b' ').any(|one| one == word.as_bytes())
}

impl Vocabulary {
    /// The vocabulary of `namespace`, old spellings included.
    pub(super) fn of(namespace: &str) -> Self {
        // RFC 3863 §4.1.1 prints a trailing colon once; no namespace at all is read with a warning.
        let Some(name) = namespace.strip_prefix("urn:ietf:params:xml:ns:") else {
            return match namespace {
                "" => Self::Pidf,
                // Prefixes that nobody declared.
                "dm" => Self::DataModel,
                "rpid" => Self::Rpid,
                _ => Self::Other,
            };
        };
        NAMES.iter().find(|(_, names)| is_one_of(name, names)).map_or(Self::Other, |(known, _)| *known)
    }

    /// The prefix we write, and the namespace without `urn:ietf:params:xml:ns:`.
    pub(super) const fn prefix(self) -> (&'static str, &'static str) {
        match self {
            Self::Pidf | Self::Other => ("", "pidf"),
            Self::DataModel => ("dm", "pidf:data-model"),
            Self::Rpid => ("rpid", "pidf:rpid"),
            Self::Timed => ("ts", "pidf:timed-status"),
            Self::Cipid => ("cipid", "pidf:cipid"),
            Self::Caps => ("caps", "pidf:caps"),
            Self::Places => ("lt", "location-type"),
        }
    }
}

/// How an attribute is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Elements whose names are the values.
    Tokens,
    /// An element for each medium, in it one that is the value.
    Media,
    /// Text.
    Text,
    /// `supported` and `notsupported`, with elements whose names are the values.
    Supported,
    /// The same, but the values are the texts of elements with this name.
    SupportedTexts(&'static str),
    /// `basic`, notes and activities.
    Timed,
}

/// The name of a presence attribute.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttributeName(u8);

const fn rpid(name: &'static str, shape: Shape) -> (Vocabulary, &'static str, Shape) {
    (Vocabulary::Rpid, name, shape)
}

const fn cipid(name: &'static str) -> (Vocabulary, &'static str, Shape) {
    (Vocabulary::Cipid, name, Shape::Text)
}

const fn caps(name: &'static str, shape: Shape) -> (Vocabulary, &'static str, Shape) {
    (Vocabulary::Caps, name, shape)
}

/// All attributes; the place in it is what crosses to JavaScript (`src/js/record.ts` has the same order). Those of a
/// vocabulary stand together, the capabilities in the order of their schema.
const ATTRIBUTES: &[(Vocabulary, &str, Shape)] = &[
    rpid("activities", Shape::Tokens),
    rpid("class", Shape::Text),
    rpid("mood", Shape::Tokens),
    rpid("place-is", Shape::Media),
    rpid("place-type", Shape::Tokens),
    rpid("privacy", Shape::Tokens),
    rpid("relationship", Shape::Tokens),
    rpid("service-class", Shape::Tokens),
    rpid("sphere", Shape::Tokens),
    rpid("status-icon", Shape::Text),
    rpid("time-offset", Shape::Text),
    (Vocabulary::Timed, "timed-status", Shape::Timed),
    cipid("card"),
    cipid("display-name"),
    cipid("homepage"),
    cipid("icon"),
    cipid("map"),
    cipid("sound"),
    // In no vocabulary of the IETF: what Asterisk says of a user.
    (Vocabulary::Other, "digium_presence", Shape::Text),
    caps("actor", Shape::Supported),
    caps("application", Shape::Text),
    caps("audio", Shape::Text),
    caps("automata", Shape::Text),
    caps("class", Shape::Supported),
    caps("control", Shape::Text),
    caps("data", Shape::Text),
    caps("description", Shape::Text),
    caps("duplex", Shape::Supported),
    caps("event-packages", Shape::Supported),
    caps("extensions", Shape::Supported),
    caps("isfocus", Shape::Text),
    caps("message", Shape::Text),
    caps("methods", Shape::Supported),
    caps("languages", Shape::SupportedTexts("l")),
    caps("priority", Shape::Supported),
    caps("schemes", Shape::SupportedTexts("s")),
    caps("text", Shape::Text),
    caps("type", Shape::Text),
    caps("video", Shape::Text),
    caps("mobility", Shape::Supported),
];

impl AttributeName {
    /// RPID activities (RFC 4480 §3.2).
    pub const ACTIVITIES: Self = Self(0);
    /// RPID place-type (RFC 4480 §3.7).
    pub(super) const PLACE_TYPE: Self = Self(4);
    /// RPID relationship (RFC 4480 §3.9).
    pub const RELATIONSHIP: Self = Self(6);
    /// RPID time-offset (RFC 4480 §3.13).
    pub(super) const TIME_OFFSET: Self = Self(10);
    /// What Asterisk says of a user: one value, `type` its name and `subtype` its text.
    pub const DIGIUM: Self = Self(18);

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        (0_u8..).take(ATTRIBUTES.len()).map(Self)
    }

    /// Its place in the list of all.
    #[must_use]
    pub const fn index(self) -> u8 {
        self.0
    }

    fn entry(self) -> (Vocabulary, &'static str, Shape) {
        ATTRIBUTES.get(usize::from(self.0)).copied().unwrap_or((Vocabulary::Other, "", Shape::Text))
    }

    /// The local name of its element.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.entry().1
    }

    pub(super) fn vocabulary(self) -> Vocabulary {
        self.entry().0
    }

    pub(super) fn shape(self) -> Shape {
        self.entry().2
    }

    /// The attribute whose element has this name.
    pub(super) fn find(vocabulary: Vocabulary, name: &str) -> Option<Self> {
        let place = ATTRIBUTES.iter().position(|entry| entry.0 == vocabulary && entry.1 == name)?;
        u8::try_from(place).ok().map(Self)
    }
}

impl core::fmt::Debug for AttributeName {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_attributes_have_their_names() {
        for (name, text) in [
            (AttributeName::ACTIVITIES, "activities"),
            (AttributeName::PLACE_TYPE, "place-type"),
            (AttributeName::RELATIONSHIP, "relationship"),
            (AttributeName::TIME_OFFSET, "time-offset"),
            (AttributeName::DIGIUM, "digium_presence"),
        ] {
            assert_eq!(name.as_str(), text);
        }
        for name in AttributeName::all() {
            assert_eq!(AttributeName::find(name.vocabulary(), name.as_str()), Some(name));
        }
    }
}
