//! Digest authentication: challenges, credentials and the arithmetic (RFC 3261 §22, RFC 7616, RFC 8760); challenges
//! that want a bearer token (RFC 8898).
//!
//! Which challenge is answered, and with whose password, is decided elsewhere (`agent`, `server`).

mod rows;
mod verifier;

pub use verifier::{Denied, Verifier};

use crate::pieces::joined;
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
        let known = &[Self::Md5, Self::Sha256, Self::Sha512_256];
        known.iter().find(|a| name.eq_ignore_ascii_case(a.as_str())).map(|a| (*a, session))
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

/// Two lower-case digits for each byte.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        for digit in &[byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(*digit), 16).unwrap_or('0'));
        }
    }
    text
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
        let known = &[Self::Auth, Self::AuthInt];
        known.iter().find(|qop| token.eq_ignore_ascii_case(qop.as_str())).copied()
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// Bearer: what a token must be good for, words with blanks between them (RFC 8898 §4).
    pub scope: Option<String>,
    /// Bearer: where tokens are to be had, an https URL.
    pub authz_server: Option<String>,
    /// Bearer: why the last token was refused, such as `invalid_token`.
    pub error: Option<String>,
}

/// What a user has: the password, its hash `H(username:realm:password)` by algorithm, or a token.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// The password itself.
    Password(String),
    /// `(algorithm, hexadecimal hash)`.
    Ha1(Vec<(Algorithm, String)>),
    /// A bearer token (RFC 6750 §2.1), which has no line ends.
    Token(String),
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
            Self::Token(_) => None,
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
        let qop = [Qop::Auth, Qop::AuthInt].iter().find(|qop| challenge.qop.contains(qop)).copied();
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

    /// The request digest (RFC 7616 §3.4.1; without qop that of RFC 2069).
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
}

/// What Authentication-Info tells (RFC 7616 §3.5).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthenticationInfo {
    /// The nonce to use from now on.
    pub nextnonce: Option<String>,
    /// The server's proof.
    pub rspauth: Option<String>,
}

/// `a:b:c`, what the hashes are of.
fn join(parts: &[&str]) -> String {
    joined(parts, ":")
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

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: &str = "dcd98b7102dd2f0e8b11d0f600bfb0c093";

    fn challenge(algorithm: &str, qop: &[Qop]) -> Challenge {
        Challenge {
            scheme: "digest".into(),
            realm: "biloxi.com".into(),
            nonce: NONCE.into(),
            algorithm: Some(algorithm.into()),
            qop: qop.to_vec(),
            ..Challenge::default()
        }
    }

    fn password(text: &str) -> Secret {
        Secret::Password(text.into())
    }

    /// method, algorithm, qop, response; computed with another implementation.
    const VECTORS: [(&str, &str, Option<Qop>, &str); 26] = [
        ("SUBSCRIBE", "MD5", None, "cdfb218434f69e090524d894c9785e13"),
        ("SUBSCRIBE", "MD5", Some(Qop::Auth), "86090166f96ba62fbdd1fc68cd9de8bf"),
        ("SUBSCRIBE", "MD5", Some(Qop::AuthInt), "6f4add4021ff290ac82faccf6b72927b"),
        ("SUBSCRIBE", "MD5-sess", Some(Qop::Auth), "6ad4b238bce47fb5dd2964c0666d064b"),
        ("SUBSCRIBE", "MD5-sess", Some(Qop::AuthInt), "5f6467b88ba7a79ee36caa8e7b0a9c26"),
        (
            "SUBSCRIBE",
            "SHA-256",
            Some(Qop::Auth),
            "cadc8c6048210e7bdabf42e942fd412e2bb7453a1b1b8df05c8c70d5770e9cb8",
        ),
        (
            "SUBSCRIBE",
            "SHA-256",
            Some(Qop::AuthInt),
            "f6dfb2132cf70e13f2119a7859de208d140002179fff7baaf697ed5182bbcb82",
        ),
        (
            "SUBSCRIBE",
            "SHA-256-sess",
            Some(Qop::Auth),
            "334c0f3b0aff51d1180183a723e39b0fe6e531ae78f3d1bf86d7e94a7025bc50",
        ),
        (
            "SUBSCRIBE",
            "SHA-256-sess",
            Some(Qop::AuthInt),
            "7fc0639b33e50284435dc182063d0b5057514e93eff9c2e5835243f49fcac1bd",
        ),
        (
            "SUBSCRIBE",
            "SHA-512-256",
            Some(Qop::Auth),
            "eb82b4272f42f0ea2d3eef483a37163e8b65d852d9d7b1a6b989857a7ab3da5c",
        ),
        (
            "SUBSCRIBE",
            "SHA-512-256",
            Some(Qop::AuthInt),
            "d1b5231e85582ae55c7c92f8d78dd22efcd3b86300362a03cf2ab36d7f9441e9",
        ),
        (
            "SUBSCRIBE",
            "SHA-512-256-sess",
            Some(Qop::Auth),
            "3bc584c18693bf7d0a223fe32ea7551fcecca87bb1d02a9af3ed41c8b71b344e",
        ),
        (
            "SUBSCRIBE",
            "SHA-512-256-sess",
            Some(Qop::AuthInt),
            "d448c313569a434bdd40687ee417cec410deb0068a9433ee8685a4a794a9b0ad",
        ),
        ("PUBLISH", "MD5", None, "7af22b8234ba97c71c57c8208612bcbe"),
        ("PUBLISH", "MD5", Some(Qop::Auth), "ac90a29f055dc9f825fd3deba5377455"),
        ("PUBLISH", "MD5", Some(Qop::AuthInt), "e1f4ce6e20c37da975c4a15e3b4b9794"),
        ("PUBLISH", "MD5-sess", Some(Qop::Auth), "0cc483df8eba20bd3b0e2f3554dabd51"),
        ("PUBLISH", "MD5-sess", Some(Qop::AuthInt), "dd8c2bef10ad0f1c167468f39190e1c9"),
        (
            "PUBLISH",
            "SHA-256",
            Some(Qop::Auth),
            "86517f0f31e8aa4316f8d0a020e3a8b93bada224e27cd3c56a40c2e1822750d4",
        ),
        (
            "PUBLISH",
            "SHA-256",
            Some(Qop::AuthInt),
            "5f40373e2bae52ba5a0497e26af420995a007b16be4d3e6299d61e32f644a462",
        ),
        (
            "PUBLISH",
            "SHA-256-sess",
            Some(Qop::Auth),
            "6869f188a85336caa20ef951a9ca43c68f0d27e98128e4d20e77d62f0114b2d0",
        ),
        (
            "PUBLISH",
            "SHA-256-sess",
            Some(Qop::AuthInt),
            "45412bef088ba3d39c3432b8631acf374cbd601e1243cbc133f71299c0b2d349",
        ),
        (
            "PUBLISH",
            "SHA-512-256",
            Some(Qop::Auth),
            "6667fca9cb449c03d6dfad681afb6bbc220a9ea4a5efb76c45cf73646dbd7e6b",
        ),
        (
            "PUBLISH",
            "SHA-512-256",
            Some(Qop::AuthInt),
            "5030599d0aa857c2735eb037f131b4af286bed050e4151cc4dbec92601009ec0",
        ),
        (
            "PUBLISH",
            "SHA-512-256-sess",
            Some(Qop::Auth),
            "494d188653aad97eb7814d5969beb5bd5644d21ac0ee002be77519f4ac5b09bd",
        ),
        (
            "PUBLISH",
            "SHA-512-256-sess",
            Some(Qop::AuthInt),
            "42808f67d33ab768e288472fbe55950dbf13f09242a5282f5fb271a63aa3a557",
        ),
    ];

    // dig-7616-a, dig-7616-c, dig-7616-n, dig-22.4-b, dig-22.4-d, dig-8760-g
    #[test]
    fn responses_are_those_of_an_independent_implementation() {
        for (method, algorithm, qop, response) in VECTORS {
            let body: &[u8] = if method == "PUBLISH" { b"<presence/>" } else { b"" };
            let request = Protected { method, uri: "sip:bob@biloxi.com", body };
            let offered: Vec<Qop> = qop.into_iter().collect();
            let challenge = challenge(algorithm, &offered);
            let answer =
                DigestCredentials::answer(&challenge, "bob", &password("zanzibar"), request, "0a4f113b", 1)
                    .unwrap();
            assert_eq!(answer.response, response, "{method} {algorithm} {qop:?}");
            assert_eq!(answer.qop, qop);
            assert_eq!((answer.cnonce.is_some(), answer.nc), (qop.is_some(), qop.map(|_| 1)));
            let read = DigestCredentials::parse(&answer.to_string()).unwrap();
            assert_eq!(read, answer);
            let (known, _) = Algorithm::from_token(Some(algorithm)).unwrap();
            let ha1 = password("zanzibar").ha1(known, "bob", "biloxi.com").unwrap();
            assert!(read.verify(&ha1, request));
            assert!(!read.verify(&known.hash(b"bob:biloxi.com:wrong"), request));
            assert!(!read.verify(&ha1, Protected { method: "NOTIFY", ..request }));
            let covers_body = qop == Some(Qop::AuthInt);
            assert_eq!(read.verify(&ha1, Protected { body: b"other", ..request }), !covers_body);
        }
    }

    // dig-7616-a; the second line is corrected: RFC 7616 §3.9.2 prints a truncated SHA-512
    #[test]
    fn the_examples_of_rfc_7616() {
        let http = Protected { method: "GET", uri: "/dir/index.html", body: b"" };
        for (algorithm, response) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let challenge = Challenge {
                realm: "http-auth@example.org".into(),
                nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v".into(),
                ..challenge(algorithm, &[Qop::Auth, Qop::AuthInt])
            };
            let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
            let answer =
                DigestCredentials::answer(&challenge, "Mufasa", &password("Circle of Life"), http, cnonce, 1)
                    .unwrap();
            assert_eq!(answer.response, response);
        }
    }

    // dig-7616-i
    #[test]
    fn a_user_hash_is_sent_where_it_is_asked_for() {
        let challenge = Challenge {
            realm: "api@example.org".into(),
            nonce: "5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK".into(),
            opaque: Some("HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS".into()),
            userhash: true,
            ..challenge("SHA-512-256", &[Qop::Auth])
        };
        let request = Protected { method: "GET", uri: "/doe.json", body: b"" };
        let cnonce = "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v";
        let user = "J\u{e4}s\u{f8}n Doe";
        let answer =
            DigestCredentials::answer(&challenge, user, &password("Secret, or not?"), request, cnonce, 1)
                .unwrap();
        assert_eq!(answer.username, "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b");
        assert_eq!(answer.response, "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5");
        assert_eq!(DigestCredentials::parse(&answer.to_string()), Ok(answer));
    }

    // dig-7616-b, dig-8760-c
    #[test]
    fn what_cannot_be_answered_is_not() {
        let request = Protected { method: "SUBSCRIBE", uri: "sip:h", body: b"" };
        let answer = |c: &Challenge, s: &Secret| DigestCredentials::answer(c, "bob", s, request, "c", 1);
        assert_eq!(answer(&challenge("FOO", &[]), &password("p")), None);
        assert_eq!(
            answer(&Challenge { scheme: "bearer".into(), ..challenge("MD5", &[]) }, &password("p")),
            None
        );
        let hashes = Secret::Ha1(vec![(Algorithm::Sha256, "AB".into())]);
        assert_eq!(answer(&challenge("MD5", &[]), &hashes), None);
        assert!(answer(&challenge("SHA-256", &[]), &hashes).is_some());
        assert_eq!(hashes.ha1(Algorithm::Sha256, "x", "y").as_deref(), Some("ab"));
        assert!(answer(&Challenge { algorithm: None, ..challenge("", &[]) }, &password("p")).is_some());
        assert_eq!(format!("{:?}", password("p")), "Secret(…)");
    }

    #[test]
    fn algorithms_have_no_case_and_the_stronger_is_greater() {
        assert_eq!(Algorithm::from_token(None), Some((Algorithm::Md5, false)));
        assert_eq!(Algorithm::from_token(Some("sha-256-SESS")), Some((Algorithm::Sha256, true)));
        assert_eq!(Algorithm::from_token(Some("SHA-512-256")), Some((Algorithm::Sha512_256, false)));
        for unknown in ["", "-sess", "SHA-512", "é-ses", "MD5-sess-sess"] {
            assert_eq!(Algorithm::from_token(Some(unknown)), None, "{unknown}");
        }
        assert!(Algorithm::Md5 < Algorithm::Sha256 && Algorithm::Sha256 < Algorithm::Sha512_256);
    }

    // dig-7616-m
    #[test]
    fn authentication_info_is_read_and_the_servers_proof_can_be_made() {
        let read = AuthenticationInfo::parse("qop=, nextnonce=\"a b\", rspauth=\"0f\", cnonce=\"\", nc=");
        assert_eq!((read.nextnonce.as_deref(), read.rspauth.as_deref()), (Some("a b"), Some("0f")));
        assert_eq!(AuthenticationInfo::parse("nextnonce=\"\""), AuthenticationInfo::default());
        let request = Protected { method: "SUBSCRIBE", uri: "sip:h", body: b"" };
        let answer =
            DigestCredentials::answer(&challenge("MD5", &[Qop::Auth]), "u", &password("p"), request, "c", 1);
        let answer = answer.unwrap();
        let ha1 = password("p").ha1(Algorithm::Md5, "u", "biloxi.com").unwrap();
        let hash = |text: String| Algorithm::Md5.hash(text.as_bytes());
        let expected = hash(format!("{ha1}:{NONCE}:00000001:c:auth:{}", hash(":sip:h".into())));
        assert_eq!(answer.rspauth(&ha1, b""), Some(expected));
    }
}
