//! Digest authentication: challenges, credentials and the arithmetic (RFC 3261 §22, RFC 7616, RFC 8760).
//!
//! Which challenge is answered, and with whose password, is decided elsewhere (`agent`, `server`).

use super::ParseError;
use core::fmt;

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
        let _ = token;
        todo!()
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
        let _ = data;
        todo!()
    }
}

/// Quality of protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Qop {
    Auth,
    /// The body is covered too.
    AuthInt,
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
    /// Reads one row.
    ///
    /// # Errors
    /// [`ParseError::Header`].
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let _ = text;
        Err(ParseError::Header("WWW-Authenticate"))
    }
}

impl fmt::Display for Challenge {
    /// Quoted and unquoted as RFC 7616 §3.3 wants it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let _ = f;
        todo!()
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
        let _ = (algorithm, username, realm);
        todo!()
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
        let _ = (challenge, username, secret, request, cnonce, nc);
        todo!()
    }

    /// Whether the response is right for `ha1 = H(username:realm:password)`; the comparison takes the same time
    /// wherever the difference is.
    #[must_use]
    pub fn verify(&self, ha1: &str, request: Protected<'_>) -> bool {
        let _ = (ha1, request);
        todo!()
    }

    /// Reads one row.
    ///
    /// # Errors
    /// [`ParseError::Header`].
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let _ = text;
        Err(ParseError::Header("Authorization"))
    }
}

impl fmt::Display for DigestCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let _ = f;
        todo!()
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
        let _ = text;
        todo!()
    }
}
