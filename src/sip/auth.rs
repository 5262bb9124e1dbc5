//! Digest authentication: challenges, credentials and the arithmetic (RFC 3261 §22, RFC 7616, RFC 8760).
//!
//! Which challenge is answered, and with whose password, is decided elsewhere (`agent`, `server`).

use super::ParseError;
use super::grammar::{self, auth_params, is_blank, quote};
use super::uri::{push_escape, unescape};
use core::fmt;
use md5::{Digest as _, Md5};
use sha2::{Sha256, Sha512_256};

/// A digest algorithm, strongest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Algorithm {
    Md5,
    Sha256,
    Sha512_256,
}

impl Algorithm {
    /// The algorithm and whether it is the `-sess` variant; `None` if this library does not know it. No text: MD5.
    #[must_use]
    pub fn from_token(token: Option<&str>) -> Option<(Self, bool)> {
        let token = token.unwrap_or("MD5");
        let (name, session) = match token.len().checked_sub(5).and_then(|at| token.split_at_checked(at)) {
            Some((name, suffix)) if suffix.eq_ignore_ascii_case("-sess") => (name, true),
            Some(_) | None => (token, false),
        };
        let known = [Self::Md5, Self::Sha256, Self::Sha512_256];
        known.into_iter().find(|a| name.eq_ignore_ascii_case(a.as_str())).map(|a| (a, session))
    }

    /// `MD5`, `SHA-256` or `SHA-512-256`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
            Self::Sha512_256 => "SHA-512-256",
        }
    }

    /// The hash of `data` in lower-case hexadecimal digits.
    #[must_use]
    pub fn hash(self, data: &[u8]) -> String {
        match self {
            Self::Md5 => hexadecimal(&Md5::digest(data)),
            Self::Sha256 => hexadecimal(&Sha256::digest(data)),
            Self::Sha512_256 => hexadecimal(&Sha512_256::digest(data)),
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect()
}

/// Quality of protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Qop {
    Auth,
    /// The body is covered too.
    AuthInt,
}

impl Qop {
    /// The option that `token` names, in any case.
    #[must_use]
    pub fn from_token(token: &str) -> Option<Self> {
        [Self::Auth, Self::AuthInt].into_iter().find(|qop| token.eq_ignore_ascii_case(qop.as_str()))
    }

    /// The token on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::AuthInt => "auth-int",
        }
    }
}

/// A challenge: one row of WWW-Authenticate or Proxy-Authenticate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The scheme in lower case: `digest`, `bearer`, …
    pub scheme: String,
    /// The protection domain, unescaped.
    pub realm: String,
    /// The nonce, unescaped.
    pub nonce: String,
    /// To be returned unchanged.
    pub opaque: Option<String>,
    /// As written; `None` means MD5. [`Algorithm::from_token`] reads it.
    pub algorithm: Option<String>,
    /// The options offered that this library knows; empty when the header has no `qop` (RFC 2069 form, C18).
    pub qop: Vec<Qop>,
    /// The nonce was too old, the password was right.
    pub stale: bool,
    /// The server takes a hashed user name.
    pub userhash: bool,
}

impl Challenge {
    /// Reads one row. Of a scheme that is neither `digest` nor `bearer` only the scheme is kept.
    ///
    /// # Errors
    /// [`ParseError::Header`]: no scheme, a digest challenge without realm or nonce, or one whose `qop` offers
    /// nothing that this library knows, so that it cannot be answered.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let fault = ParseError::Header("WWW-Authenticate");
        let (scheme, rest) = split_scheme(text).ok_or_else(|| fault.clone())?;
        let scheme = scheme.to_ascii_lowercase();
        let is_digest = scheme == "digest";
        let (mut realm, mut nonce, mut opaque, mut algorithm, mut offered) = (None, None, None, None, None);
        let (mut stale, mut userhash) = (None, None);
        let rest = if is_digest || scheme == "bearer" { rest } else { "" };
        for (name, value) in auth_params(rest) {
            let slot = match () {
                () if name.eq_ignore_ascii_case("realm") => &mut realm,
                () if name.eq_ignore_ascii_case("nonce") => &mut nonce,
                () if name.eq_ignore_ascii_case("opaque") => &mut opaque,
                () if name.eq_ignore_ascii_case("algorithm") => &mut algorithm,
                () if name.eq_ignore_ascii_case("qop") => &mut offered,
                () if name.eq_ignore_ascii_case("stale") => &mut stale,
                () if name.eq_ignore_ascii_case("userhash") => &mut userhash,
                () => continue,
            };
            slot.get_or_insert(value.into_owned());
        }
        let offered = offered.unwrap_or_default();
        let qop: Vec<Qop> = grammar::list(&offered).filter_map(Qop::from_token).collect();
        if is_digest && (realm.is_none() || nonce.is_none() || (qop.is_empty() && !offered.is_empty())) {
            return Err(fault);
        }
        Ok(Self {
            scheme,
            realm: realm.unwrap_or_default(),
            nonce: nonce.unwrap_or_default(),
            opaque,
            algorithm: algorithm.filter(|a| !a.is_empty()),
            qop,
            stale: is_true(stale.as_deref()),
            userhash: is_true(userhash.as_deref()),
        })
    }
}

impl fmt::Display for Challenge {
    /// Quoted and unquoted as RFC 7616 §3.3 wants it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = match self.scheme.as_str() {
            "digest" => Row::new("Digest"),
            "bearer" => Row::new("Bearer"),
            other => return f.write_str(other),
        };
        row.quoted("realm", &self.realm);
        if self.scheme == "digest" {
            row.quoted("nonce", &self.nonce);
        }
        if let Some(opaque) = &self.opaque {
            row.quoted("opaque", opaque);
        }
        if let Some(algorithm) = &self.algorithm {
            row.plain("algorithm", algorithm);
        }
        if !self.qop.is_empty() {
            let mut offered = String::new();
            for qop in &self.qop {
                if !offered.is_empty() {
                    offered.push(',');
                }
                offered.push_str(qop.as_str());
            }
            row.quoted("qop", &offered);
        }
        if self.stale {
            row.plain("stale", "true");
        }
        if self.userhash {
            row.plain("userhash", "true");
        }
        f.write_str(&row.text)
    }
}

/// What a user knows: the password, or its hash `H(username:realm:password)` by algorithm.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// The password itself.
    Password(String),
    /// `(algorithm, hexadecimal hash)`.
    Ha1(Vec<(Algorithm, String)>),
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// `H(username:realm:password)`; `None` if only hashes of other algorithms are known.
    #[must_use]
    pub fn ha1(&self, algorithm: Algorithm, username: &str, realm: &str) -> Option<String> {
        match self {
            Self::Password(password) => Some(algorithm.hash(join(&[username, realm, password]).as_bytes())),
            Self::Ha1(hashes) => hashes
                .iter()
                .find(|(known, _)| *known == algorithm)
                .map(|(_, hash)| hash.to_ascii_lowercase()),
        }
    }
}

/// The request that credentials are for.
#[derive(Clone, Copy, Debug)]
pub struct Protected<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its Request-URI as sent.
    pub uri: &'a str,
    /// Its body.
    pub body: &'a [u8],
}

/// Credentials: one row of Authorization or Proxy-Authorization.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct DigestCredentials {
    pub username: String,
    pub realm: String,
    pub nonce: String,
    pub uri: String,
    pub response: String,
    /// As written; `None` means MD5.
    pub algorithm: Option<String>,
    pub cnonce: Option<String>,
    pub opaque: Option<String>,
    pub qop: Option<Qop>,
    /// The nonce count, from its 8 hexadecimal digits.
    pub nc: Option<u32>,
    /// `username` is `H(username:realm)`.
    pub userhash: bool,
}

impl DigestCredentials {
    /// The answer to `challenge`, with `qop=auth` where it is offered, else `auth-int`, else the RFC 2069 form.
    /// `None` if the algorithm or every offered qop is unknown, or the secret lacks the algorithm.
    #[must_use]
    pub fn answer(
        challenge: &Challenge,
        username: &str,
        secret: &Secret,
        request: Protected<'_>,
        cnonce: &str,
        nc: u32,
    ) -> Option<Self> {
        if challenge.scheme != "digest" {
            return None;
        }
        let (algorithm, session) = Algorithm::from_token(challenge.algorithm.as_deref())?;
        let ha1 = secret.ha1(algorithm, username, &challenge.realm)?;
        let qop = [Qop::Auth, Qop::AuthInt].into_iter().find(|qop| challenge.qop.contains(qop));
        let username = if challenge.userhash {
            algorithm.hash(join(&[username, &challenge.realm]).as_bytes())
        } else {
            username.to_owned()
        };
        let mut answer = Self {
            username,
            realm: challenge.realm.clone(),
            nonce: challenge.nonce.clone(),
            uri: request.uri.to_owned(),
            response: String::new(),
            algorithm: challenge.algorithm.clone(),
            // A session hash needs the client's nonce even in the form of RFC 2069.
            cnonce: (qop.is_some() || session).then(|| cnonce.to_owned()),
            opaque: challenge.opaque.clone(),
            qop,
            nc: qop.map(|_| nc),
            userhash: challenge.userhash,
        };
        answer.response = answer.proof(&ha1, request.method, request.body)?;
        Some(answer)
    }

    /// Whether the response is right for `ha1 = H(username:realm:password)`; the comparison takes the same time
    /// wherever the difference is.
    ///
    /// The hash covers the `uri` of the credentials, which a proxy may have left different from the Request-URI:
    /// whether it names something served is for the caller to check (RFC 3261 §22.4 item 5).
    #[must_use]
    pub fn verify(&self, ha1: &str, request: Protected<'_>) -> bool {
        self.proof(ha1, request.method, request.body)
            .is_some_and(|proof| same_time_equal(&proof, &self.response))
    }

    /// The server's proof for `Authentication-Info: rspauth=`, over the body of the response (RFC 7616 §3.5).
    /// `None` for an unknown algorithm or credentials that lack what their form needs.
    #[must_use]
    pub fn rspauth(&self, ha1: &str, body: &[u8]) -> Option<String> {
        self.proof(ha1, "", body)
    }

    /// The request digest (RFC 7616 §3.4.1; without qop that of RFC 2069, decision C18).
    fn proof(&self, ha1: &str, method: &str, body: &[u8]) -> Option<String> {
        let (algorithm, session) = Algorithm::from_token(self.algorithm.as_deref())?;
        let hash = |parts: &[&str]| algorithm.hash(join(parts).as_bytes());
        let cnonce = self.cnonce.as_deref();
        let ha1 = if session { hash(&[ha1, &self.nonce, cnonce?]) } else { ha1.to_ascii_lowercase() };
        let ha2 = match self.qop {
            Some(Qop::AuthInt) => hash(&[method, &self.uri, &algorithm.hash(body)]),
            Some(Qop::Auth) | None => hash(&[method, &self.uri]),
        };
        Some(match self.qop {
            Some(qop) => hash(&[&ha1, &self.nonce, &count(self.nc?), cnonce?, qop.as_str(), &ha2]),
            None => hash(&[&ha1, &self.nonce, &ha2]),
        })
    }

    /// Reads one row.
    ///
    /// # Errors
    /// [`ParseError::Header`]: another scheme, a part that is needed is absent, `nc` or `qop` is not one, or the
    /// user is named twice (`username` and `username*`).
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Self::read(text).ok_or(ParseError::Header("Authorization"))
    }

    fn read(text: &str) -> Option<Self> {
        let (scheme, rest) = split_scheme(text)?;
        if !scheme.eq_ignore_ascii_case("Digest") {
            return None;
        }
        let (mut username, mut extended, mut realm, mut nonce, mut uri) = (None, None, None, None, None);
        let (mut response, mut algorithm, mut cnonce, mut opaque) = (None, None, None, None);
        let (mut qop, mut nc, mut userhash) = (None, None, None);
        for (name, value) in auth_params(rest) {
            let slot = match () {
                () if name.eq_ignore_ascii_case("username") => &mut username,
                () if name.eq_ignore_ascii_case("username*") => &mut extended,
                () if name.eq_ignore_ascii_case("realm") => &mut realm,
                () if name.eq_ignore_ascii_case("nonce") => &mut nonce,
                () if name.eq_ignore_ascii_case("uri") => &mut uri,
                () if name.eq_ignore_ascii_case("response") => &mut response,
                () if name.eq_ignore_ascii_case("algorithm") => &mut algorithm,
                () if name.eq_ignore_ascii_case("cnonce") => &mut cnonce,
                () if name.eq_ignore_ascii_case("opaque") => &mut opaque,
                () if name.eq_ignore_ascii_case("qop") => &mut qop,
                () if name.eq_ignore_ascii_case("nc") => &mut nc,
                () if name.eq_ignore_ascii_case("userhash") => &mut userhash,
                () => continue,
            };
            slot.get_or_insert(value.into_owned());
        }
        let userhash = is_true(userhash.as_deref());
        let username = match (username, extended) {
            (Some(username), None) => username,
            (None, Some(extended)) if !userhash => extended_value(&extended)?,
            (Some(_) | None, Some(_)) | (None, None) => return None,
        };
        let qop = match qop.filter(|qop| !qop.is_empty()) {
            Some(qop) => Some(Qop::from_token(&qop)?),
            None => None,
        };
        let nc = match nc.filter(|nc| !nc.is_empty()) {
            Some(nc) if nc.len() == 8 && nc.bytes().all(|b| b.is_ascii_hexdigit()) => {
                Some(u32::from_str_radix(&nc, 16).ok()?)
            }
            Some(_) => return None,
            None => None,
        };
        Some(Self {
            username,
            realm: realm?,
            nonce: nonce?,
            uri: uri?,
            response: response?,
            algorithm: algorithm.filter(|a| !a.is_empty()),
            cnonce,
            opaque,
            qop,
            nc,
            userhash,
        })
    }
}

impl fmt::Display for DigestCredentials {
    /// Quoted and unquoted as RFC 7616 §3.4 wants it; a user name beyond ASCII as `username*`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = Row::new("Digest");
        if self.username.is_ascii() || self.userhash {
            row.quoted("username", &self.username);
        } else {
            row.plain("username*", &extend_value(&self.username));
        }
        row.quoted("realm", &self.realm);
        row.quoted("nonce", &self.nonce);
        row.quoted("uri", &self.uri);
        row.quoted("response", &self.response);
        if let Some(algorithm) = &self.algorithm {
            row.plain("algorithm", algorithm);
        }
        if let Some(cnonce) = &self.cnonce {
            row.quoted("cnonce", cnonce);
        }
        if let Some(opaque) = &self.opaque {
            row.quoted("opaque", opaque);
        }
        if let Some(qop) = self.qop {
            row.plain("qop", qop.as_str());
        }
        if let Some(nc) = self.nc {
            row.plain("nc", &count(nc));
        }
        if self.userhash {
            row.plain("userhash", "true");
        }
        f.write_str(&row.text)
    }
}

/// What Authentication-Info tells (RFC 7616 §3.5).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthenticationInfo {
    /// The nonce to use from now on.
    pub nextnonce: Option<String>,
    /// The server's proof.
    pub rspauth: Option<String>,
}

impl AuthenticationInfo {
    /// Reads the value, tolerating empty parameters (Kamailio 5.6 sends `qop=, … nc=`).
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut info = Self::default();
        for (name, value) in auth_params(text).filter(|(_, value)| !value.is_empty()) {
            if name.eq_ignore_ascii_case("nextnonce") {
                info.nextnonce.get_or_insert(value.into_owned());
            } else if name.eq_ignore_ascii_case("rspauth") {
                info.rspauth.get_or_insert(value.into_owned());
            }
        }
        info
    }
}

/// One row in the making.
struct Row {
    text: String,
    separator: &'static str,
}

impl Row {
    fn new(scheme: &str) -> Self {
        Self { text: scheme.to_owned(), separator: " " }
    }

    fn name(&mut self, name: &str) {
        self.text.push_str(self.separator);
        self.separator = ", ";
        self.text.push_str(name);
        self.text.push('=');
    }

    fn quoted(&mut self, name: &str, value: &str) {
        self.name(name);
        quote(value, &mut self.text);
    }

    /// A token that the RFC wants without quotes; anything else in it is quoted, so that it adds no parameter.
    fn plain(&mut self, name: &str, value: &str) {
        self.name(name);
        if grammar::is_token(value) {
            self.text.push_str(value);
        } else {
            quote(value, &mut self.text);
        }
    }
}

/// The scheme of a challenge or of credentials, and its parameters.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = grammar::token(grammar::trim(text)).ok().map(|(rest, scheme)| (scheme, rest))?;
    (rest.is_empty() || rest.starts_with(is_blank)).then_some((scheme, rest))
}

fn is_true(value: Option<&str>) -> bool {
    value.is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// `a:b:c`, what the hashes are of.
fn join(parts: &[&str]) -> String {
    parts.join(":")
}

/// The nonce count: 8 hexadecimal digits.
fn count(nc: u32) -> String {
    hexadecimal(&nc.to_be_bytes())
}

/// Whether both are equal, in a time that does not depend on where they differ.
fn same_time_equal(a: &str, b: &str) -> bool {
    a.len() == b.len()
        && core::hint::black_box(a.bytes().zip(b.bytes()).fold(0, |all, (a, b)| all | (a ^ b))) == 0
}

/// `UTF-8''Zo%C3%AB` (RFC 8187 §3.2).
fn extend_value(text: &str) -> String {
    let mut extended = String::from("UTF-8''");
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!+".contains(&byte) {
            extended.push(char::from(byte));
        } else {
            push_escape(&mut extended, byte);
        }
    }
    extended
}

fn extended_value(text: &str) -> Option<String> {
    let (charset, rest) = text.split_once('\'')?;
    let (_language, value) = rest.split_once('\'')?;
    charset.eq_ignore_ascii_case("UTF-8").then(|| unescape(value))
}
