//! URIs: sip, sips, pres and tel with their rules of comparison; any other scheme is kept whole
//! (RFC 3261 §19.1, RFC 3859 §3, RFC 3966).

use super::grammar::{self, MAX_PARAMS};
use super::{Params, UriError};
use core::fmt::{self, Write as _};
use core::net::Ipv6Addr;

/// The scheme of a URI.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Scheme {
    Sip,
    Sips,
    Pres,
    Tel,
    /// Another scheme, in lower case; the URI's rest is then in [`Uri::host`].
    Other(String),
}

impl Scheme {
    fn from_text(text: &str) -> Self {
        for (name, scheme) in
            [("sip", Self::Sip), ("sips", Self::Sips), ("pres", Self::Pres), ("tel", Self::Tel)]
        {
            if text.eq_ignore_ascii_case(name) {
                return scheme;
            }
        }
        Self::Other(text.to_ascii_lowercase())
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

/// A URI, its parts as they stand in the text (still escaped).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uri {
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

impl Uri {
    /// Reads one URI; the whole text must be it.
    ///
    /// # Errors
    /// [`UriError`] says which part is wrong.
    pub fn parse(text: &str) -> Result<Self, UriError> {
        let (scheme, rest) = text.split_once(':').ok_or(UriError::NoScheme)?;
        let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
        if !is_scheme {
            return Err(UriError::NoScheme);
        }
        match Scheme::from_text(scheme) {
            Scheme::Tel => Self::parse_tel(rest),
            Scheme::Other(scheme) => {
                let opaque = |c: char| !c.is_ascii_control() && !matches!(c, ' ' | '<' | '>' | '"');
                if rest.is_empty() || !rest.chars().all(opaque) {
                    return Err(UriError::Host);
                }
                Ok(Self { scheme: Scheme::Other(scheme), ..Self::sip_host(rest) })
            }
            scheme @ (Scheme::Sip | Scheme::Sips | Scheme::Pres) => Self::parse_sip(scheme, rest),
        }
    }

    /// ```abnf
    /// SIP-URI = "sip:" [userinfo] hostport uri-parameters [headers]
    /// ```
    fn parse_sip(scheme: Scheme, rest: &str) -> Result<Self, UriError> {
        // No part behind the user may hold an unescaped "@", so that the first one ends it.
        let (userinfo, rest) = match rest.split_once('@') {
            Some((userinfo, rest)) => (Some(userinfo), rest),
            None => (None, rest),
        };
        let (user, password) = match userinfo.map(|info| info.split_once(':').ok_or(info)) {
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
        let (rest, port) = match rest.strip_prefix(':') {
            Some(rest) => {
                grammar::port(rest).map(|(rest, port)| (rest, Some(port))).map_err(|_| UriError::Port)?
            }
            None => (rest, None),
        };
        let (params, headers) = match rest.split_once('?') {
            Some((params, headers)) => (params, Some(headers)),
            None => (rest, None),
        };
        // What follows the host must be a delimiter, else the host itself is wrong.
        if !params.is_empty() && !params.starts_with(';') {
            return Err(UriError::Host);
        }
        if headers.is_some_and(|headers| !is_headers(headers)) {
            return Err(UriError::Parameter);
        }
        Ok(Self {
            scheme,
            user: user.map(str::to_owned),
            password: password.map(str::to_owned),
            host: host.to_owned(),
            port,
            params: parse_params(params)?,
            headers: headers.map(str::to_owned),
        })
    }

    /// ```abnf
    /// telephone-uri = "tel:" (global-number / local-number)   ; both with *(";" par)
    /// ```
    fn parse_tel(rest: &str) -> Result<Self, UriError> {
        let (number, params) = rest.split_at(rest.find(';').unwrap_or(rest.len()));
        let digits = number.strip_prefix('+').unwrap_or(number);
        let is_digit = |c: char| c.is_ascii_hexdigit() || matches!(c, '*' | '#');
        if !digits.chars().all(|c| is_digit(c) || is_visual_separator(c)) || !digits.contains(is_digit) {
            return Err(UriError::User);
        }
        Ok(Self {
            scheme: Scheme::Tel,
            user: Some(number.to_owned()),
            params: parse_params(params)?,
            ..Self::sip_host("")
        })
    }

    /// `sip:user@host`, with `user` escaped as far as needed.
    #[must_use]
    pub fn sip(user: &str, host: &str) -> Self {
        Self { user: Some(escape_user(user)), ..Self::sip_host(host) }
    }

    /// `sip:host`.
    #[must_use]
    pub fn sip_host(host: &str) -> Self {
        Self {
            scheme: Scheme::Sip,
            user: None,
            password: None,
            host: host.to_owned(),
            port: None,
            params: Params::new(),
            headers: None,
        }
    }

    /// Whether the two URIs are equal by RFC 3261 §19.1.4 (sip, sips), RFC 3859 (pres) or RFC 3966 (tel).
    /// The rule is not transitive: parameters that only one side has are mostly ignored.
    #[must_use]
    pub fn equivalent(&self, other: &Self) -> bool {
        if self.scheme != other.scheme {
            return false;
        }
        match self.scheme {
            Scheme::Tel => self.tel_key() == other.tel_key() && same_tel_params(&self.params, &other.params),
            Scheme::Other(_) => self.host == other.host,
            Scheme::Sip | Scheme::Sips | Scheme::Pres => {
                same_option(self.user.as_deref(), other.user.as_deref(), same_text)
                    && same_option(self.password.as_deref(), other.password.as_deref(), same_text)
                    && same_host(&self.host, &other.host)
                    && self.port == other.port
                    && same_sip_params(&self.params, &other.params)
                    && same_headers(self.headers.as_deref(), other.headers.as_deref())
            }
        }
    }

    /// The key under which a presentity is filed: scheme sips and pres as sip, user unescaped, host in lower case,
    /// port kept, parameters and password dropped: `sip:alice@example.com`. Two URIs with one key name one
    /// presentity (decision C10).
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
                let mut key = scheme.clone();
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
                if let Some(port) = self.port {
                    // Writing into a String cannot fail.
                    let _ = write!(key, ":{port}");
                }
                key
            }
        }
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
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.scheme.as_str())?;
        f.write_char(':')?;
        if let Some(user) = &self.user {
            f.write_str(user)?;
            if let Some(password) = &self.password {
                f.write_char(':')?;
                f.write_str(password)?;
            }
            if self.scheme != Scheme::Tel {
                f.write_char('@')?;
            }
        }
        f.write_str(&self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        fmt::Display::fmt(&self.params, f)?;
        if let Some(headers) = &self.headers {
            f.write_char('?')?;
            f.write_str(headers)?;
        }
        Ok(())
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
    if !text.contains('%') {
        return text.to_owned();
    }
    let plain = Unescaped(text.as_bytes()).map(|(byte, _)| byte).collect();
    String::from_utf8(plain).unwrap_or_else(|_| text.to_owned())
}

/// Appends `%HH`, in upper case as RFC 3986 §2.1 asks.
pub(super) fn push_escape(out: &mut String, byte: u8) {
    out.push('%');
    for digit in [byte >> 4, byte & 15] {
        out.push(char::from_digit(u32::from(digit), 16).unwrap_or('0').to_ascii_uppercase());
    }
}

/// The bytes of an escaped text; the flag tells an escaped byte from one that stands for itself.
struct Unescaped<'a>(&'a [u8]);

impl Iterator for Unescaped<'_> {
    type Item = (u8, bool);

    fn next(&mut self) -> Option<Self::Item> {
        let hex = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
        if let [b'%', high, low, rest @ ..] = self.0
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            self.0 = rest;
            return Some((high << 4 | low, true));
        }
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some((*first, false))
    }
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
    for param in text.split(';').skip(1) {
        let (name, value) = match param.split_once('=') {
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
    !text.is_empty() && is_escaped_text(text, is_header_char) && text.split('&').count() <= MAX_PARAMS
}

fn same_option(a: Option<&str>, b: Option<&str>, same: fn(&str, &str) -> bool) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => same(a, b),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// The bytes of `text` for comparison: an escape equals its character unless that is reserved.
fn compared(text: &str) -> impl Iterator<Item = (u8, bool)> {
    Unescaped(text.as_bytes()).map(|(byte, escaped)| (byte, escaped && b";/?:@&=+$,".contains(&byte)))
}

fn same_text(a: &str, b: &str) -> bool {
    compared(a).eq(compared(b))
}

fn same_text_any_case(a: &str, b: &str) -> bool {
    let lower = |(byte, escaped): (u8, bool)| (byte.to_ascii_lowercase(), escaped);
    compared(a).map(lower).eq(compared(b).map(lower))
}

/// IPv6 addresses are equal by value, not by text (RFC 5954 §3.2); quirk: `:::` is read as `::` (RFC 5118 §4.10).
fn same_host(a: &str, b: &str) -> bool {
    let address = |host: &str| -> Option<Ipv6Addr> {
        let inner = host.strip_prefix('[')?.strip_suffix(']')?;
        inner.replacen(":::", "::", 1).parse().ok()
    };
    a.eq_ignore_ascii_case(b) || address(a).is_some_and(|value| address(b) == Some(value))
}

/// Parameters that both have must agree; those with a default or that change where the request goes must stand in
/// both or in none; others that only one has are ignored.
fn same_sip_params(a: &Params, b: &Params) -> bool {
    let agree = |name: &str| {
        a.contains(name) == b.contains(name) && same_option(a.value(name), b.value(name), same_text_any_case)
    };
    ["transport", "user", "ttl", "method", "maddr"].iter().all(|name| agree(name))
        && a.iter().all(|(name, _)| !b.contains(name) || agree(name))
}

/// All parameters must be the same, in any order (RFC 3966 §4).
fn same_tel_params(a: &Params, b: &Params) -> bool {
    a.len() == b.len()
        && a.iter().all(|(name, value)| {
            b.contains(name) && same_option(value, b.value(name), |a, b| a.eq_ignore_ascii_case(b))
        })
}

/// The same header parts on both sides, in any order.
fn same_headers(a: Option<&str>, b: Option<&str>) -> bool {
    let (a, b) = (a.unwrap_or_default(), b.unwrap_or_default());
    let within = |a: &str, b: &str| a.split('&').all(|a| b.split('&').any(|b| same_text_any_case(a, b)));
    a.split('&').count() == b.split('&').count() && within(a, b) && within(b, a)
}
