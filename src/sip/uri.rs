//! URIs: sip, sips, pres and tel with their rules of comparison; any other scheme is kept whole
//! (RFC 3261 §19.1, RFC 3859 §3, RFC 3966).

use super::{Params, UriError};
use core::fmt;

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
        let _ = text;
        todo!()
    }

    /// `sip:user@host`, with `user` escaped as far as needed.
    #[must_use]
    pub fn sip(user: &str, host: &str) -> Self {
        let _ = (user, host);
        todo!()
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
    #[must_use]
    pub fn equivalent(&self, other: &Self) -> bool {
        let _ = other;
        todo!()
    }

    /// The key under which a presentity is filed: scheme sips and pres as sip, user unescaped, host in lower case,
    /// port kept, parameters and password dropped: `sip:alice@example.com`. Two URIs with one key name one
    /// presentity (decision C10).
    #[must_use]
    pub fn address_of_record(&self) -> String {
        todo!()
    }

    /// Whether it is `sips`.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.scheme == Scheme::Sips
    }
}

/// `text` with the characters that a user part may not hold as `%HH` (RFC 3261 §19.1.2).
#[must_use]
pub fn escape_user(text: &str) -> String {
    let _ = text;
    todo!()
}

/// `text` with each `%HH` replaced once by its character; malformed escapes stay.
#[must_use]
pub fn unescape(text: &str) -> String {
    let _ = text;
    todo!()
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let _ = f;
        todo!()
    }
}
