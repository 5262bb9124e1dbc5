//! Challenges and credentials as header rows, both ways (RFC 7616 §3.3 to §3.5, RFC 3261 §25.1).

use super::{AuthenticationInfo, Challenge, DigestCredentials, Qop, count};
use crate::pieces::cut;
use crate::sip::grammar::{self, auth_params, quote};
use crate::sip::uri::{push_escape, unescape};
use crate::sip::{Known, ParseError};

impl Challenge {
    /// Reads one row. Of a scheme that is neither `digest` nor `bearer` only the scheme is kept.
    ///
    /// # Errors
    /// [`ParseError::Header`]: no scheme, a digest challenge without realm or nonce, or one whose `qop` offers
    /// nothing that this library knows, so that it cannot be answered.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let fault = ParseError::Header(Known::WwwAuthenticate);
        let (scheme, rest) = split_scheme(text).ok_or_else(|| fault.clone())?;
        let scheme = scheme.to_ascii_lowercase();
        let is_digest = scheme == "digest";
        let rest = if is_digest || scheme == "bearer" { rest } else { "" };
        let [realm, nonce, opaque, algorithm, offered, stale, userhash, scope, authz_server, error] = values(
            rest,
            [
                "realm",
                "nonce",
                "opaque",
                "algorithm",
                "qop",
                "stale",
                "userhash",
                "scope",
                "authz_server",
                "error",
            ],
        );
        let offered = offered.unwrap_or_default();
        let mut qop = Vec::new();
        for option in grammar::list(&offered) {
            qop.extend(Qop::from_token(option));
        }
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
            scope,
            authz_server,
            error,
        })
    }

    /// Reads the value of a WWW-Authenticate of HTTP, in which several challenges may stand (RFC 9110 §11.6.1). What
    /// cannot be read is left out.
    #[cfg(feature = "full")]
    #[must_use]
    pub fn parse_all(text: &str) -> Vec<Self> {
        let mut rows: Vec<String> = Vec::new();
        for item in grammar::list(text) {
            // A scheme is followed by a parameter, the name of a parameter by an equals sign.
            let begins = split_scheme(item).is_some_and(|(_, rest)| !grammar::trim(rest).starts_with('='));
            match rows.last_mut() {
                Some(row) if !begins => {
                    row.push_str(", ");
                    row.push_str(item);
                }
                Some(_) | None => rows.push(item.to_owned()),
            }
        }
        rows.iter().filter_map(|row| Self::parse(row).ok()).collect()
    }

    /// Quoted and unquoted as RFC 7616 §3.3 wants it.
    pub(crate) fn write(&self, out: &mut String) {
        let mut row = match self.scheme.as_str() {
            "digest" => Row::new("Digest", out),
            "bearer" => Row::new("Bearer", out),
            other => return out.push_str(other),
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
        let bearer = [("scope", &self.scope), ("authz_server", &self.authz_server), ("error", &self.error)];
        for (name, value) in bearer {
            if let Some(value) = value {
                row.quoted(name, value);
            }
        }
    }
}

impl DigestCredentials {
    /// Reads one row.
    ///
    /// # Errors
    /// [`ParseError::Header`]: another scheme, a part that is needed is absent, `nc` or `qop` is not one, or the
    /// user is named twice (`username` and `username*`).
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Self::read(text).ok_or(ParseError::Header(Known::Authorization))
    }

    fn read(text: &str) -> Option<Self> {
        let (scheme, rest) = split_scheme(text)?;
        if !scheme.eq_ignore_ascii_case("Digest") {
            return None;
        }
        let names = [
            "username",
            "username*",
            "realm",
            "nonce",
            "uri",
            "response",
            "algorithm",
            "cnonce",
            "opaque",
            "qop",
            "nc",
            "userhash",
        ];
        let [username, extended, realm, nonce, uri, response, algorithm, cnonce, opaque, qop, nc, userhash] =
            values(rest, names);
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

    /// Quoted and unquoted as RFC 7616 §3.4 wants it; a user name beyond ASCII as `username*`.
    pub(crate) fn write(&self, out: &mut String) {
        let mut row = Row::new("Digest", out);
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
    }
}

impl AuthenticationInfo {
    /// Reads the value, tolerating empty parameters (Kamailio 5.6 sends `qop=, … nc=`).
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut info = Self::default();
        for (name, value) in auth_params(text) {
            if value.is_empty() {
                continue;
            }
            if name.eq_ignore_ascii_case("nextnonce") {
                info.nextnonce.get_or_insert(value);
            } else if name.eq_ignore_ascii_case("rspauth") {
                info.rspauth.get_or_insert(value);
            }
        }
        info
    }
}

/// The first value of each of these parameters.
fn values<const N: usize>(text: &str, names: [&str; N]) -> [Option<String>; N] {
    let mut values = [const { None }; N];
    for (name, value) in auth_params(text) {
        let named = names.iter().zip(&mut values).find(|(known, _)| name.eq_ignore_ascii_case(known));
        if let Some((_, slot)) = named {
            slot.get_or_insert(value);
        }
    }
    values
}

/// One row in the making.
struct Row<'a> {
    text: &'a mut String,
    separator: &'static str,
}

impl<'a> Row<'a> {
    fn new(scheme: &str, text: &'a mut String) -> Self {
        text.push_str(scheme);
        Self { text, separator: " " }
    }

    fn name(&mut self, name: &str) {
        self.text.push_str(self.separator);
        self.separator = ", ";
        self.text.push_str(name);
        self.text.push('=');
    }

    fn quoted(&mut self, name: &str, value: &str) {
        self.name(name);
        quote(value, self.text);
    }

    /// A token that the RFC wants without quotes; anything else in it is quoted, so that it adds no parameter.
    fn plain(&mut self, name: &str, value: &str) {
        self.name(name);
        if grammar::is_token(value) {
            self.text.push_str(value);
        } else {
            quote(value, self.text);
        }
    }
}

/// The scheme of a challenge or of credentials, and its parameters.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = grammar::token(grammar::trim(text)).ok().map(|(rest, scheme)| (scheme, rest))?;
    (rest.is_empty() || grammar::begins_with_blank(rest)).then_some((scheme, rest))
}

fn is_true(value: Option<&str>) -> bool {
    value.is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// `UTF-8''Zo%C3%AB` (RFC 8187 §3.2).
fn extend_value(text: &str) -> String {
    let mut extended = String::from("UTF-8''");
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'!' | b'+') {
            extended.push(char::from(byte));
        } else {
            push_escape(&mut extended, byte);
        }
    }
    extended
}

fn extended_value(text: &str) -> Option<String> {
    let (charset, rest) = cut(text, b'\'')?;
    let (_language, value) = cut(rest, b'\'')?;
    charset.eq_ignore_ascii_case("UTF-8").then(|| unescape(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::auth::{Protected, Secret};

    fn challenge(algorithm: &str, qop: &[Qop]) -> Challenge {
        let mut challenge = Challenge::parse("Digest realm=\"biloxi.com\", nonce=\"n0\"").unwrap();
        challenge.algorithm = Some(algorithm.into());
        challenge.qop = qop.to_vec();
        challenge
    }

    fn password(text: &str) -> Secret {
        Secret::Password(text.into())
    }

    // dig-7616-f, dig-7616-g, dig-22.4-c
    #[test]
    fn credentials_quote_what_the_rfc_quotes_and_nothing_else() {
        let challenge =
            Challenge { opaque: Some(String::new()), ..challenge("MD5", &[Qop::AuthInt, Qop::Auth]) };
        let request = Protected { method: "SUBSCRIBE", uri: "sip:bob@biloxi.com", body: b"" };
        let answer =
            DigestCredentials::answer(&challenge, "bob", &password("zanzibar"), request, "0a4f113b", 26);
        let text = answer.unwrap().to_string();
        let (before, after) = text.split_once("response=\"").unwrap();
        assert_eq!(
            before,
            "Digest username=\"bob\", realm=\"biloxi.com\", nonce=\"n0\", \
             uri=\"sip:bob@biloxi.com\", "
        );
        assert_eq!(
            after.split_once('"').unwrap().1,
            ", algorithm=MD5, cnonce=\"0a4f113b\", opaque=\"\", qop=auth, nc=0000001a"
        );
    }

    // dig-7616-d, dig-7616-f
    #[test]
    fn challenges_are_read_whatever_their_quoting_and_written_with_the_right_one() {
        let text = "digest  REALM=\"a \\\"b\\\", c\", qop = \"auth, new,auth-int\" , algorithm=\"SHA-256\",nonce=n1, \
                    Stale=TRUE, domain=\"x\", opaque=\"\", userhash=true";
        let read = Challenge::parse(text).unwrap();
        assert_eq!(read.realm, "a \"b\", c");
        assert_eq!((read.nonce.as_str(), read.opaque.as_deref()), ("n1", Some("")));
        assert_eq!(read.qop, [Qop::Auth, Qop::AuthInt]);
        assert!(read.stale && read.userhash);
        assert_eq!(
            read.to_string(),
            "Digest realm=\"a \\\"b\\\", c\", nonce=\"n1\", opaque=\"\", algorithm=SHA-256, \
             qop=\"auth,auth-int\", stale=true, userhash=true"
        );
        assert_eq!(Challenge::parse(&read.to_string()), Ok(read));
        let plain = Challenge::parse("Digest realm=\"r\",nonce=\"n\"").unwrap();
        assert_eq!((plain.algorithm, plain.qop, plain.stale), (None, vec![], false));
    }

    #[cfg(feature = "full")]
    #[test]
    fn several_challenges_may_stand_in_one_value() {
        let text = "Digest realm=\"a, Basic b\", qop=\"auth,auth-int\",nonce = \"1\", algorithm=SHA-256, , Basic realm=\"b\", \
                    Negotiate, digest realm=c,nonce=2, Digest realm=\"none\"";
        let read = Challenge::parse_all(text);
        let short: Vec<_> =
            read.iter().map(|c| (c.scheme.as_str(), c.realm.as_str(), c.nonce.as_str())).collect();
        assert_eq!(
            short,
            [("digest", "a, Basic b", "1"), ("basic", "", ""), ("negotiate", "", ""), ("digest", "c", "2")]
        );
        assert_eq!((read[0].qop.len(), read[0].algorithm.as_deref()), (2, Some("SHA-256")));
        assert_eq!(Challenge::parse_all(&read[3].to_string()), [read[3].clone()]);
        for odd in ["", ",", "=", "a=b", "Digest", "Digest ,realm=x", "\"", "Digest realm=\"a"] {
            assert!(Challenge::parse_all(odd).iter().all(|challenge| challenge.scheme != "digest"), "{odd}");
        }
    }

    #[test]
    fn other_schemes_are_named_and_digest_without_its_parts_is_an_error() {
        let other = Challenge::parse("NoOne opaque-data=here//==").unwrap();
        assert_eq!((other.scheme.as_str(), other.realm.as_str()), ("noone", ""));
        for bad in [
            "",
            "Digest",
            "Digest realm=\"r\"",
            "Digest nonce=\"n\"",
            "Digest realm=r, nonce=n, qop=\"new\"",
            "=",
            "a=b",
        ] {
            assert_eq!(Challenge::parse(bad), Err(ParseError::Header(Known::WwwAuthenticate)), "{bad}");
        }
    }

    // 8898-4-a
    #[test]
    fn a_challenge_for_a_token_says_which_in_any_order() {
        let text = "BEARER error = invalid_token , Scope=\"a  b\",unknown=1, realm=\"r\",AUTHZ_SERVER=\"https://as.example.com/x?y=1,2\"";
        let read = Challenge::parse(text).unwrap();
        assert_eq!((read.scheme.as_str(), read.realm.as_str()), ("bearer", "r"));
        assert_eq!(read.scope.as_deref(), Some("a  b"));
        assert_eq!(read.authz_server.as_deref(), Some("https://as.example.com/x?y=1,2"));
        assert_eq!(read.error.as_deref(), Some("invalid_token"));
        assert_eq!(
            read.to_string(),
            "Bearer realm=\"r\", scope=\"a  b\", authz_server=\"https://as.example.com/x?y=1,2\", error=\"invalid_token\""
        );
        assert_eq!(Challenge::parse(&read.to_string()), Ok(read));
        let bare = Challenge::parse("Bearer").unwrap();
        assert_eq!((bare.realm.as_str(), bare.scope, bare.authz_server, bare.error), ("", None, None, None));
    }

    // dig-7616-j
    #[test]
    fn a_user_beyond_ascii_goes_as_an_extended_value_and_never_twice() {
        let request = Protected { method: "SUBSCRIBE", uri: "sip:h", body: b"" };
        let answer =
            DigestCredentials::answer(&challenge("MD5", &[]), "Zoë %", &password("p"), request, "c", 1)
                .unwrap();
        let text = answer.to_string();
        assert!(text.starts_with("Digest username*=UTF-8''Zo%C3%AB%20%25, "), "{text}");
        assert_eq!(DigestCredentials::parse(&text), Ok(answer));
        let twice =
            "Digest username=\"a\", username*=UTF-8''a, realm=\"r\", nonce=\"n\", uri=\"u\", response=\"00\"";
        assert!(DigestCredentials::parse(twice).is_err());
    }

    #[test]
    fn credentials_that_lack_a_part_or_have_a_wrong_one_are_errors() {
        let good = "Digest username=u, realm=r, nonce=n, uri=\"sip:h\", response=00, qop=\"auth\", nc=0000000F, cnonce=c";
        assert_eq!(DigestCredentials::parse(good).unwrap().nc, Some(15));
        for (part, other) in [
            ("Digest", "Basic"),
            ("username", "x"),
            ("realm", "x"),
            ("nonce=n", "x=n"),
            ("uri", "x"),
            ("response", "x"),
            ("\"auth\"", "new"),
            ("0000000F", "F"),
            ("0000000F", "+000000F"),
        ] {
            let bad = good.replacen(part, other, 1);
            assert_eq!(
                DigestCredentials::parse(&bad),
                Err(ParseError::Header(Known::Authorization)),
                "{bad}"
            );
        }
        let no_count = DigestCredentials::parse(&good.replace("nc=", "x=")).unwrap();
        assert!(!no_count.verify("00", Protected { method: "X", uri: "sip:h", body: b"" }));
    }
}
