//! Event: the event package of a subscription (RFC 6665 §8.2.1).

use crate::sip::grammar::{self, token, unquote};
use crate::sip::{Known, ParseError};

/// The Event header (RFC 6665 §8.2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventType {
    /// The package with its templates, such as `presence` or `presence.winfo`.
    pub package: String,
    /// The `id` parameter.
    pub id: Option<String>,
}

impl EventType {
    /// The package without an id.
    #[must_use]
    pub fn new(package: &str) -> Self {
        Self { package: package.to_owned(), id: None }
    }

    /// Reads the value; parameters but `id` are dropped.
    ///
    /// ```abnf
    /// Event = event-type *(SEMI event-param)   ; event-type = token, its templates after dots
    /// ```
    ///
    /// # Errors
    /// [`ParseError::Header`].
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let (rest, package) = token(grammar::trim(text)).map_err(|_| ParseError::Header(Known::Event))?;
        let params = grammar::params(rest, Known::Event)?;
        let id = params.value("id").filter(|id| !id.is_empty()).map(unquote);
        Ok(Self { package: package.to_owned(), id })
    }

    /// Whether both are the same event by RFC 6665 §8.2.1: package and id byte by byte.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self == other
    }

    pub(crate) fn write(&self, out: &mut String) {
        out.push_str(&self.package);
        let Some(id) = &self.id else { return };
        out.push_str(";id=");
        if grammar::is_token(id) {
            out.push_str(id);
        } else {
            grammar::quote(id, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // 6665-5.2-a, 6665-8.2.1-a
    #[test]
    fn packages_and_ids_are_read_written_and_compared_byte_by_byte() {
        let event = EventType::parse("presence.winfo ; x=y;id = 7a").unwrap();
        assert_eq!(event, EventType { package: "presence.winfo".into(), id: Some("7a".into()) });
        assert_eq!(event.to_string(), "presence.winfo;id=7a");
        assert!(event.matches(&EventType::parse("presence.winfo;id=7a").unwrap()));
        assert!(!event.matches(&EventType::parse("presence.winfo;id=7A").unwrap()));
        assert!(!event.matches(&EventType::parse("presence.winfo").unwrap()));
        let nested = EventType::parse("presence.winfo.winfo").unwrap();
        assert_eq!(nested.package.split('.').collect::<Vec<_>>(), ["presence", "winfo", "winfo"]);
        assert!(!nested.matches(&EventType::new("presence.winfo")));
        assert_eq!(EventType::parse("presence;id=").unwrap().id, None);
        let odd = EventType { package: "p".into(), id: Some("a b".into()) };
        assert_eq!(EventType::parse(&odd.to_string()), Ok(odd));
        for bad in ["", ";id=1", "a b", "presence, dialog"] {
            assert_eq!(EventType::parse(bad), Err(ParseError::Header(Known::Event)), "{bad}");
        }
    }
}
