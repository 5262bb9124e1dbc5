//! Addresses with a display name: From, To, Contact, Route, Record-Route, Path (RFC 3261 §20.10, §20.20).

use crate::pieces::holds;
use crate::sip::grammar::{
    self, Parsed, bracketed, is_blank, is_token_char, quote, quoted_string, span, unquote,
};
use crate::sip::{Known, Params, ParseError, Uri};
use nom::Parser;
use nom::branch::alt;

/// `"Display" <uri>;params`: From, To, Contact, Route, Record-Route, Path (RFC 3261 §20.10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAddr {
    /// The display name, unquoted and unescaped.
    pub display: Option<String>,
    /// The address.
    pub uri: Uri,
    /// Header parameters, such as `tag`, `expires`, `q`.
    pub params: Params,
}

impl NameAddr {
    /// `<uri>` and nothing else.
    #[must_use]
    pub const fn new(uri: Uri) -> Self {
        Self { display: None, uri, params: Params::new() }
    }

    /// The same with `;tag=`.
    #[must_use]
    pub fn with_tag(mut self, tag: &str) -> Self {
        self.params.set("tag", Some(tag));
        self
    }

    /// The `tag` parameter.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.params.value("tag")
    }

    /// Reads one value. `name` is the header it stands in, for the error.
    ///
    /// # Errors
    /// [`ParseError::Header`] with `name`; [`ParseError::TooMany`] for more than 128 parameters.
    pub fn parse(text: &str, name: Known) -> Result<Self, ParseError> {
        let fault = ParseError::Header(name);
        let text = grammar::trim(text);
        let (rest, display, uri) = match name_addr(text) {
            Ok((rest, (display, uri))) => (rest, display, uri),
            Err(_) => {
                let (rest, uri) = addr_spec(text).map_err(|_| fault.clone())?;
                (rest, "", uri)
            }
        };
        let uri = Uri::parse(uri).map_err(|_| fault)?;
        let display = grammar::trim(display);
        let display = (!display.is_empty()).then(|| unquote(display));
        Ok(Self { display, uri, params: grammar::params(rest, name)? })
    }

    /// Always with `<>`; the display name quoted.
    pub(crate) fn write(&self, out: &mut String) {
        if let Some(display) = &self.display {
            quote(display, out);
            out.push(' ');
        }
        out.push('<');
        self.uri.write(out);
        out.push('>');
        self.params.write(out);
    }
}

/// Quirks: characters beyond ASCII in a display name without quotes, as many phones send it.
///
/// ```abnf
/// name-addr    = [display-name] LAQUOT addr-spec RAQUOT
/// display-name = *(token LWS) / quoted-string
/// ```
fn name_addr(input: &str) -> Parsed<'_, (&str, &str)> {
    let words = |input| Ok(span(input, |c| is_token_char(c) || is_blank(c) || !c.is_ascii()));
    (alt((quoted_string, words)), bracketed).parse(input)
}

/// Without `<>` all parameters are the header's and the URI may hold neither `?` nor `,` (RFC 3261 §20.10).
fn addr_spec(input: &str) -> Parsed<'_, &str> {
    let (rest, uri) = span(input, |c| !is_blank(c) && !matches!(c, ';' | ',' | '"' | '<' | '>'));
    if holds(uri, b'?') { Err(nom::Err::Error(())) } else { Ok((rest, uri)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> NameAddr {
        let value = NameAddr::parse(text, Known::Contact).unwrap();
        assert_eq!(NameAddr::parse(&value.to_string(), Known::Contact).as_ref(), Ok(&value), "round trip");
        value
    }

    // 3261-20.10-a, 3261-20.10-b
    #[test]
    fn parameters_without_brackets_are_the_headers_and_inside_brackets_the_uris() {
        let outside = read("sip:u@h.example;x=1");
        assert_eq!((outside.params.value("x"), outside.uri.params.value("x")), (Some("1"), None));
        assert_eq!(outside.to_string(), "<sip:u@h.example>;x=1");
        let inside = read("<sip:u@h.example;x=1>");
        assert_eq!((inside.params.value("x"), inside.uri.params.value("x")), (None, Some("1")));
    }

    // 3261-20.10-c
    #[test]
    fn display_names_are_words_or_quoted_with_or_without_a_blank() {
        assert_eq!(read("caller<sip:u@h>").display.as_deref(), Some("caller"));
        assert_eq!(read("Two  Words <sip:u@h>").display.as_deref(), Some("Two  Words"));
        assert_eq!(read("\"q \\\"x\\\" \\\\\" <sip:u@h> ; tag = a").display.as_deref(), Some("q \"x\" \\"));
        assert_eq!(read("Zoë <sip:u@h>").display.as_deref(), Some("Zoë"));
        assert_eq!(read("\"\" <sip:u@h>").display.as_deref(), Some(""));
        assert_eq!(read("\"x\" <sip:u@h>;tag=a").tag(), Some("a"));
    }

    // 3261-7.3.1-i
    #[test]
    fn parameter_names_have_no_case() {
        assert_eq!(read("<sip:u@h>;ExPiReS=3600").params.value("expires"), Some("3600"));
    }

    #[test]
    fn what_the_grammar_refuses_is_an_error() {
        for bad in [
            "",
            "*",
            "sip:u@h?x=y",
            "\"open <sip:u@h>",
            "a, b <sip:u@h>",
            "< sip:u@h >",
            "<sip:u@h",
            "<sip:u@h> junk",
            "<sip:u@h>;;a",
            "<u@h>",
        ] {
            assert_eq!(NameAddr::parse(bad, Known::To), Err(ParseError::Header(Known::To)), "{bad}");
        }
    }
}
