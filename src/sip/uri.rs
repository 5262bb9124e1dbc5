//! URIs: sip, sips, pres and tel with their rules of comparison; any other scheme is kept whole
//! (RFC 3261 §19.1, RFC 3859 §3, RFC 3966).

mod compare;

use super::auth::hexadecimal;
use super::grammar::{self, MAX_PARAMS};
use super::text::push_port;
use super::{Params, UriError};
use crate::pieces::{concat, cut, holds, pieces};
use core::ops::{Deref, DerefMut};

/// The scheme of a URI.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Scheme {
    Sip,
    Sips,
    Pres,
    Tel,
    /// Another scheme, in lower case; the URI's rest is then in [`Uri::host`].
    Other(Box<str>),
}

impl Scheme {
    fn from_text(text: &str) -> Self {
        match () {
            () if text.eq_ignore_ascii_case("sip") => Self::Sip,
            () if text.eq_ignore_ascii_case("sips") => Self::Sips,
            () if text.eq_ignore_ascii_case("pres") => Self::Pres,
            () if text.eq_ignore_ascii_case("tel") => Self::Tel,
            () => Self::Other(text.to_ascii_lowercase().into()),
        }
    }

    /// The scheme as it is written, without the colon.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Sip => "sip",
            Self::Sips => "sips",
            Self::Pres => "pres",
            Self::Tel => "tel",
            Self::Other(text) => text,
        }
    }
}

/// A URI. It is handed on often and looked into seldom: its parts are elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uri(Box<UriParts>);

/// The parts of a URI as they stand in the text (still escaped).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UriParts {
    /// The scheme.
    pub scheme: Scheme,
    /// The user part; for `tel` the number. Escapes are kept.
    pub user: Option<String>,
    /// The password after `user:`. Never write one.
    pub password: Option<String>,
    /// The host; IPv6 in its brackets. Empty for `tel`; the whole rest for [`Scheme::Other`].
    pub host: String,
    /// The port, if one is written.
    pub port: Option<u16>,
    /// `;name=value` of the URI.
    pub params: Params,
    /// `?name=value&…`, as written.
    pub headers: Option<String>,
}

impl Deref for Uri {
    type Target = UriParts;

    fn deref(&self) -> &UriParts {
        &self.0
    }
}

impl DerefMut for Uri {
    fn deref_mut(&mut self) -> &mut UriParts {
        &mut self.0
    }
}

impl Uri {
    /// Reads one URI; the whole text must be it.
    ///
    /// # Errors
    /// [`UriError`] says which part is wrong.
    pub fn parse(text: &str) -> Result<Self, UriError> {
        let (scheme, rest) = cut(text, b':').ok_or(UriError::NoScheme)?;
        let is_scheme_char = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        if !scheme.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic())
            || !scheme.bytes().all(is_scheme_char)
        {
            return Err(UriError::NoScheme);
        }
        match Scheme::from_text(scheme) {
            Scheme::Tel => Self::parse_tel(rest),
            Scheme::Other(scheme) => {
                let opaque =
                    |byte: u8| !byte.is_ascii_control() && !matches!(byte, b' ' | b'<' | b'>' | b'"');
                if rest.is_empty() || !rest.bytes().all(opaque) {
                    return Err(UriError::Host);
                }
                let mut uri = Self::sip_host(rest);
                uri.scheme = Scheme::Other(scheme);
                Ok(uri)
            }
            scheme @ (Scheme::Sip | Scheme::Sips | Scheme::Pres) => Self::parse_sip(scheme, rest),
        }
    }

    /// ```abnf
    /// SIP-URI = "sip:" [userinfo] hostport uri-parameters [headers]
    /// ```
    fn parse_sip(scheme: Scheme, rest: &str) -> Result<Self, UriError> {
        // No part behind the user may hold an unescaped "@", so that the first one ends it.
        let (userinfo, rest) = match cut(rest, b'@') {
            Some((userinfo, rest)) => (Some(userinfo), rest),
            None => (None, rest),
        };
        let (user, password) = match userinfo.map(|info| cut(info, b':').ok_or(info)) {
            Some(Ok((user, password))) => (Some(user), Some(password)),
            Some(Err(user)) => (Some(user), None),
            None => (None, None),
        };
        if user.is_some_and(|user| user.is_empty() || !is_escaped_text(user, is_user_char))
            || password.is_some_and(|password| !is_escaped_text(password, is_password_char))
        {
            return Err(UriError::User);
        }
        let (rest, host) = grammar::host(rest).map_err(|_| UriError::Host)?;
        let (rest, port) = match rest.strip_prefix(":") {
            Some(rest) => {
                grammar::port(rest).map(|(rest, port)| (rest, Some(port))).map_err(|_| UriError::Port)?
            }
            None => (rest, None),
        };
        let (params, headers) = match cut(rest, b'?') {
            Some((params, headers)) => (params, Some(headers)),
            None => (rest, None),
        };
        // What follows the host must be a delimiter, else the host itself is wrong.
        if !params.is_empty() && !params.starts_with(";") {
            return Err(UriError::Host);
        }
        if headers.is_some_and(|headers| !is_headers(headers)) {
            return Err(UriError::Parameter);
        }
        Ok(Self(Box::new(UriParts {
            scheme,
            user: user.map(str::to_owned),
            password: password.map(str::to_owned),
            host: host.to_owned(),
            port,
            params: parse_params(params)?,
            headers: headers.map(str::to_owned),
        })))
    }

    /// ```abnf
    /// telephone-uri = "tel:" (global-number / local-number)   ; both with *(";" par)
    /// ```
    fn parse_tel(rest: &str) -> Result<Self, UriError> {
        let (params, number) = grammar::span(rest, |c| c != ';');
        let digits = number.strip_prefix("+").unwrap_or(number);
        let is_digit = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b'*' | b'#');
        if !digits.bytes().all(|byte| is_digit(byte) || is_visual_separator(char::from(byte)))
            || !digits.bytes().any(is_digit)
        {
            return Err(UriError::User);
        }
        let mut uri = Self::sip_host("");
        uri.scheme = Scheme::Tel;
        uri.user = Some(number.to_owned());
        uri.params = parse_params(params)?;
        Ok(uri)
    }

    /// `sip:user@host`, with `user` escaped as far as needed.
    #[must_use]
    pub fn sip(user: &str, host: &str) -> Self {
        let mut uri = Self::sip_host(host);
        uri.user = Some(escape_user(user));
        uri
    }

    /// `sip:host`.
    #[must_use]
    pub fn sip_host(host: &str) -> Self {
        Self(Box::new(UriParts {
            scheme: Scheme::Sip,
            user: None,
            password: None,
            host: host.to_owned(),
            port: None,
            params: Params::new(),
            headers: None,
        }))
    }

    /// The key under which a presentity is filed: scheme sips and pres as sip, user unescaped, host in lower case,
    /// port kept, parameters and password dropped: `sip:alice@example.com`. Two URIs with one key name one
    /// presentity.
    ///
    /// A `tel` keeps its number without separators and its `phone-context`; another scheme is kept whole.
    #[must_use]
    pub fn address_of_record(&self) -> String {
        match &self.scheme {
            Scheme::Tel => {
                let mut key = String::from("tel:");
                key.push_str(&self.tel_key());
                if let Some(context) = self.params.value("phone-context") {
                    key.push_str(";phone-context=");
                    key.push_str(&context.to_ascii_lowercase());
                }
                key
            }
            Scheme::Other(scheme) => {
                let mut key = String::from(&**scheme);
                key.push(':');
                key.push_str(&self.host);
                key
            }
            Scheme::Sip | Scheme::Sips | Scheme::Pres => {
                let mut key = String::from("sip:");
                if let Some(user) = &self.user {
                    key.push_str(&unescape(user));
                    key.push('@');
                }
                key.push_str(&self.host.to_ascii_lowercase());
                push_port(self.port, &mut key);
                key
            }
        }
    }

    /// The same as the text of a URI, with the escapes that its user needs: what is read from it has the same key.
    #[must_use]
    pub fn canonical(&self) -> String {
        match (&self.scheme, &self.user) {
            (Scheme::Sip | Scheme::Sips | Scheme::Pres, Some(user)) => {
                let mut text = concat(&["sip:", &escape_user(&unescape(user)), "@"]);
                text.push_str(&self.host.to_ascii_lowercase());
                push_port(self.port, &mut text);
                text
            }
            (Scheme::Sip | Scheme::Sips | Scheme::Pres | Scheme::Tel | Scheme::Other(_), _) => {
                self.address_of_record()
            }
        }
    }

    /// Drops what may not stand in a Request-URI: the method and the headers (RFC 3261 §19.1.1).
    pub fn clean(&mut self) {
        self.params.remove("method");
        self.headers = None;
    }

    /// Whether it is `sips`.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.scheme == Scheme::Sips
    }

    /// The number of a `tel` URI without visual separators, in lower case.
    fn tel_key(&self) -> String {
        let number = self.user.as_deref().unwrap_or_default();
        number.chars().filter(|c| !is_visual_separator(*c)).map(|c| c.to_ascii_lowercase()).collect()
    }

    pub(crate) fn write(&self, out: &mut String) {
        out.push_str(self.scheme.as_str());
        out.push(':');
        if let Some(user) = &self.user {
            out.push_str(user);
            if let Some(password) = &self.password {
                out.push(':');
                out.push_str(password);
            }
            if self.scheme != Scheme::Tel {
                out.push('@');
            }
        }
        out.push_str(&self.host);
        push_port(self.port, out);
        self.params.write(out);
        if let Some(headers) = &self.headers {
            out.push('?');
            out.push_str(headers);
        }
    }
}

/// `text` with the characters that a user part may not hold as `%HH` (RFC 3261 §19.1.2).
#[must_use]
pub fn escape_user(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_user_char(char::from(byte)) {
            escaped.push(char::from(byte));
        } else {
            push_escape(&mut escaped, byte);
        }
    }
    escaped
}

/// `text` with each `%HH` replaced once by its character; malformed escapes stay. Where the result would not be
/// UTF-8, `text` is returned as it is: two users must not become one.
#[must_use]
pub fn unescape(text: &str) -> String {
    if !holds(text, b'%') {
        return text.to_owned();
    }
    let plain = Unescaped(text.as_bytes()).map(|(byte, _)| byte).collect();
    String::from_utf8(plain).unwrap_or_else(|_| text.to_owned())
}

/// Appends `%HH`, in upper case as RFC 3986 §2.1 asks.
pub(super) fn push_escape(out: &mut String, byte: u8) {
    out.push('%');
    out.push_str(&hexadecimal(&[byte]).to_ascii_uppercase());
}

/// The bytes of an escaped text; the flag tells an escaped byte from one that stands for itself.
struct Unescaped<'a>(&'a [u8]);

impl Iterator for Unescaped<'_> {
    type Item = (u8, bool);

    fn next(&mut self) -> Option<Self::Item> {
        if let [b'%', high, low, rest @ ..] = self.0
            && let (Some(high), Some(low)) = (hexadecimal_digit(*high), hexadecimal_digit(*low))
        {
            self.0 = rest;
            return Some((high << 4 | low, true));
        }
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some((*first, false))
    }
}

fn hexadecimal_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Whether all of `text` is of characters that `allowed` takes and of well-formed escapes.
fn is_escaped_text(text: &str, allowed: fn(char) -> bool) -> bool {
    Unescaped(text.as_bytes()).all(|(byte, escaped)| escaped || allowed(char::from(byte)))
}

/// `unreserved = alphanum / mark`
const fn is_unreserved(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '!' | '~' | '*' | '\'' | '(' | ')')
}

/// `user = 1*(unreserved / escaped / user-unreserved)`
const fn is_user_char(c: char) -> bool {
    is_password_char(c) || matches!(c, ';' | '?' | '/')
}

/// `password = *(unreserved / escaped / "&" / "=" / "+" / "$" / ",")`
const fn is_password_char(c: char) -> bool {
    is_unreserved(c) || matches!(c, '&' | '=' | '+' | '$' | ',')
}

/// `paramchar = param-unreserved / unreserved / escaped`; quirk: "=" inside a value, as base64 has it.
const fn is_param_char(c: char) -> bool {
    is_unreserved(c) || matches!(c, '[' | ']' | '/' | ':' | '&' | '+' | '$' | '=')
}

/// `hnv-unreserved / unreserved / escaped`, and the "=" and "&" between them; quirks: ";", "," and "@".
const fn is_header_char(c: char) -> bool {
    is_param_char(c) || matches!(c, '?' | ';' | ',' | '@')
}

const fn is_visual_separator(c: char) -> bool {
    matches!(c, '-' | '.' | '(' | ')')
}

/// ```abnf
/// uri-parameters = *(";" pname ["=" pvalue])
/// ```
fn parse_params(text: &str) -> Result<Params, UriError> {
    let mut params = Params::new();
    let Some(text) = text.strip_prefix(";") else { return Ok(params) };
    for param in pieces(text, b';') {
        let (name, value) = match cut(param, b'=') {
            Some((name, value)) => (name, Some(value)),
            None => (param, None),
        };
        if params.len() == MAX_PARAMS
            || name.is_empty()
            || params.contains(name)
            || !is_escaped_text(param, is_param_char)
        {
            return Err(UriError::Parameter);
        }
        params.set(name, value);
    }
    Ok(params)
}

/// ```abnf
/// headers = "?" header *("&" header)
/// ```
fn is_headers(text: &str) -> bool {
    !text.is_empty()
        && is_escaped_text(text, is_header_char)
        && text.bytes().filter(|byte| *byte == b'&').count() < MAX_PARAMS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Uri {
        let uri = Uri::parse(text).unwrap();
        assert_eq!(Uri::parse(&uri.to_string()).as_ref(), Ok(&uri), "round trip");
        uri
    }

    // 3261-19.1.1-a
    #[test]
    fn every_part_of_a_sip_uri_is_found_and_written_again() {
        let text = "sips:a;b=c,d/e?f%40:p&q@Host.Example:5061;transport=ws;lr;x=[/:&+$]?Subject=a%20b&Priority=urgent";
        let uri = read(text);
        assert_eq!(uri.to_string(), text);
        assert_eq!(uri.scheme, Scheme::Sips);
        assert!(uri.is_secure());
        assert_eq!(uri.user.as_deref(), Some("a;b=c,d/e?f%40"));
        assert_eq!(uri.password.as_deref(), Some("p&q"));
        assert_eq!((uri.host.as_str(), uri.port), ("Host.Example", Some(5061)));
        assert_eq!(uri.params.len(), 3);
        assert_eq!(uri.params.value("transport"), Some("ws"));
        assert!(uri.params.contains("lr"));
        assert_eq!(uri.headers.as_deref(), Some("Subject=a%20b&Priority=urgent"));
        assert_eq!(read("SIP:h").to_string(), "sip:h");
        assert_eq!(read("pres:b@h").scheme, Scheme::Pres);
        assert_eq!(read("sip:u:@h").password.as_deref(), Some(""));
    }

    // 3261-25-f
    #[test]
    fn an_ipv6_host_needs_its_brackets_to_have_a_port() {
        let uri = read("sip:u@[2001:db8::10]:5070");
        assert_eq!((uri.host.as_str(), uri.port), ("[2001:db8::10]", Some(5070)));
        let uri = read("sip:[2001:db8::10:5070]");
        assert_eq!((uri.host.as_str(), uri.port), ("[2001:db8::10:5070]", None));
    }

    #[test]
    fn telephone_numbers_and_other_schemes_are_kept() {
        let uri = read("tel:+1-(201)-555.0123;ext=7;phone-context=Example.com");
        assert_eq!((uri.user.as_deref(), uri.host.as_str()), (Some("+1-(201)-555.0123"), ""));
        assert_eq!(uri.params.value("ext"), Some("7"));
        assert_eq!(uri.address_of_record(), "tel:+12015550123;phone-context=example.com");
        let uri = read("Soap.Beep://host/path?x=");
        assert_eq!(
            (uri.scheme.clone(), uri.host.as_str()),
            (Scheme::Other("soap.beep".into()), "//host/path?x=")
        );
    }

    // 3261-19.1.1-b, 3261-19.1.2-b
    #[test]
    fn what_is_wrong_with_a_uri_is_told() {
        for (text, error) in [
            ("", UriError::NoScheme),
            ("alice@example.com", UriError::NoScheme),
            ("<sip:a@b>", UriError::NoScheme),
            ("1a:b", UriError::NoScheme),
            ("sip:", UriError::Host),
            ("sip:a@", UriError::Host),
            ("sip:a@b@c", UriError::Host),
            ("sip:a@h%61", UriError::Host),
            ("sip:a@[::1", UriError::Host),
            ("sip:a@[]", UriError::Host),
            ("sip:a@h h", UriError::Host),
            ("mailto:", UriError::Host),
            ("urn:a b", UriError::Host),
            ("sip:@h", UriError::User),
            ("sip:a b@h", UriError::User),
            ("sip:a%4@h", UriError::User),
            ("sip:é@h", UriError::User),
            ("sip:a:p:q@h", UriError::User),
            ("tel:", UriError::User),
            ("tel:+", UriError::User),
            ("tel:zz", UriError::User),
            ("sip:h:", UriError::Port),
            ("sip:h:65536", UriError::Port),
            ("sip:2001:db8::10", UriError::Port),
            ("sip:h:x", UriError::Port),
            ("sip:h;", UriError::Parameter),
            ("sip:h;a;a", UriError::Parameter),
            ("sip:h;A=1;a=2", UriError::Parameter),
            ("sip:h;a=\"b\"", UriError::Parameter),
            ("sip:h?", UriError::Parameter),
            ("sip:h?a=b c", UriError::Parameter),
            ("tel:1;;", UriError::Parameter),
        ] {
            assert_eq!(Uri::parse(text), Err(error), "{text}");
        }
        assert_eq!(
            Uri::parse(&format!("sip:h{}", (0..129).map(|n| format!(";p{n}")).collect::<String>())),
            Err(UriError::Parameter)
        );
        assert_eq!(Uri::parse(&format!("sip:h?{}a=b", "a=b&".repeat(128))), Err(UriError::Parameter));
    }

    // 3261-19.1.1-c
    #[test]
    fn unknown_parameters_are_kept() {
        assert_eq!(read("sip:h;new=%6C%72;gr=urn:uuid:1").params.value("NEW"), Some("%6C%72"));
    }

    // 3261-19.1.2-a
    #[test]
    fn a_user_is_escaped_as_far_as_needed() {
        assert_eq!(Uri::sip("j@s0n", "example.com").to_string(), "sip:j%40s0n@example.com");
        assert_eq!(escape_user("a.b;c=d%é\r\n:"), "a.b;c=d%25%C3%A9%0D%0A%3A");
        assert_eq!(read(&Uri::sip("x y:z", "h").to_string()).user.as_deref(), Some("x%20y%3Az"));
    }

    // 3261-19.1.2-b
    #[test]
    fn escapes_are_undone_once_and_never_make_two_users_one() {
        for (text, plain) in [
            ("%25%34%31", "%41"),
            ("a%00b", "a\0b"),
            ("%C3%a9", "é"),
            ("%", "%"),
            ("%4", "%4"),
            ("%zz", "%zz"),
            ("%+1", "%+1"),
            ("%FF", "%FF"),
            ("plain", "plain"),
        ] {
            assert_eq!(unescape(text), plain);
        }
    }

    #[test]
    fn one_presentity_has_one_key() {
        for text in [
            "sip:alice@example.com",
            "SIPS:%61lice@EXAMPLE.com",
            "pres:alice@example.com",
            "sip:alice:secret@example.com;transport=ws?Subject=x",
        ] {
            assert_eq!(read(text).address_of_record(), "sip:alice@example.com");
        }
        assert_eq!(read("sip:Alice@h:5060").address_of_record(), "sip:Alice@h:5060");
        assert_eq!(read("sip:H").address_of_record(), "sip:h");
        assert_eq!(read("urn:X:y").address_of_record(), "urn:X:y");
    }
}
