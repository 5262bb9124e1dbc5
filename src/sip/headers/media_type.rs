//! Media types: Content-Type, and the ranges of Accept (RFC 3261 §20.1, §20.15).

use crate::pieces::{concat, cut, pieces};
use crate::sip::grammar::{self, is_token, token};
use crate::sip::{Known, Params, ParseError};

/// `type/subtype;params` of Content-Type, or a range of Accept (RFC 3261 §20.1, §20.15).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaType {
    /// `type/subtype` in lower case.
    pub essence: String,
    /// `charset`, `boundary`, `q`, …
    pub params: Params,
}

impl MediaType {
    /// Reads the value.
    ///
    /// ```abnf
    /// media-type = m-type SLASH m-subtype *(SEMI m-parameter)
    /// ```
    ///
    /// # Errors
    /// [`ParseError::Header`].
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        const NAME: Known = Known::ContentType;
        let (kind, rest) = cut(text, b'/').ok_or(ParseError::Header(NAME))?;
        let kind = grammar::trim(kind);
        let (rest, subtype) = token(grammar::trim(rest)).map_err(|_| ParseError::Header(NAME))?;
        if !is_token(kind) {
            return Err(ParseError::Header(NAME));
        }
        let mut essence = concat(&[kind, "/", subtype]);
        essence.make_ascii_lowercase();
        Ok(Self { essence, params: grammar::params(rest, NAME)? })
    }

    /// Whether this range of an Accept header takes `essence`; `q=0` refuses.
    #[must_use]
    pub fn accepts(&self, essence: &str) -> bool {
        self.precision(essence).is_some() && !self.refuses()
    }

    /// How closely this range names `essence`: 2 itself, 1 its type, 0 everything; `None` if it does not.
    pub(crate) fn precision(&self, essence: &str) -> Option<u8> {
        if self.essence.eq_ignore_ascii_case(essence) {
            return Some(2);
        }
        let range = self.essence.strip_suffix("/*")?;
        let kind = pieces(essence, b'/').next()?;
        if range == "*" { Some(0) } else { range.eq_ignore_ascii_case(kind).then_some(1) }
    }

    /// Whether `q` is 0, however many digits it has.
    pub(crate) fn refuses(&self) -> bool {
        self.params
            .value("q")
            .is_some_and(|q| q.starts_with("0") && q.bytes().all(|b| matches!(b, b'0' | b'.')))
    }

    pub(crate) fn write(&self, out: &mut String) {
        out.push_str(&self.essence);
        self.params.write(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // pt-11
    #[test]
    fn the_essence_has_no_case_and_parameters_stay() {
        let value = MediaType::parse("application/PIDF+XML ; charset=utf-8").unwrap();
        assert_eq!(value.essence, "application/pidf+xml");
        assert_eq!(value.params.value("charset"), Some("utf-8"));
        assert_eq!(MediaType::parse(&value.to_string()), Ok(value));
        for bad in ["", "text", "text/", "/xml", "a/b c", "a/b/c"] {
            assert_eq!(MediaType::parse(bad), Err(ParseError::Header(Known::ContentType)), "{bad}");
        }
    }

    // 3261-20-a
    #[test]
    fn ranges_take_their_types_and_q_0_refuses() {
        let takes = |range, essence| MediaType::parse(range).unwrap().accepts(essence);
        assert!(takes("*/*", "text/plain"));
        assert!(takes("application/*;q=0.1", "application/pidf+xml"));
        assert!(takes("Application/PIDF+xml", "application/pidf+xml"));
        assert!(!takes("text/*", "application/pidf+xml"));
        assert!(!takes("text/plain", "text/html"));
        assert!(!takes("*/*;q=0", "text/plain"));
        assert!(!takes("text/plain;q=0.000", "text/plain"));
    }
}
