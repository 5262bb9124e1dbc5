//! The side that asks: challenges, and the check of what is answered to them (RFC 3261 §22, RFC 7616, RFC 8760).
//!
//! A nonce carries its own time and proof, so that challenging costs no memory; only nonces that were answered
//! rightly are remembered, with the highest count seen, against replay.

use super::{Algorithm, Challenge, DigestCredentials, Protected, Qop, Secret};
use crate::sip::{Message, Name, Uri};
use crate::time::{Duration, Instant};
use litemap::LiteMap;

/// Nonces remembered at most. When there are more, older ones are refused as stale.
const MOST_USED: usize = 10_000;

/// One protection domain.
#[derive(Debug)]
pub struct Verifier {
    realm: String,
    secret: String,
    algorithms: Vec<Algorithm>,
    /// What the proof has to cover.
    qop: Qop,
    lifetime: Duration,
    /// By nonce, which begins with its time: the oldest is the first.
    used: LiteMap<String, Used>,
    /// Nonces up to this one are not remembered any more.
    forgotten: String,
}

#[derive(Debug)]
struct Used {
    count: u32,
    forget_at: Instant,
}

/// The answer is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// Challenge: there are no credentials, or they are wrong.
    Challenge,
    /// Challenge with `stale=true`: only the nonce is too old, or was used before.
    Stale,
}

impl Verifier {
    /// `secret` must be unguessable; `lifetime` is how long a nonce is good. The most preferred algorithm is the first.
    #[must_use]
    pub const fn new(realm: String, secret: String, algorithms: Vec<Algorithm>, lifetime: Duration) -> Self {
        Self {
            realm,
            secret,
            algorithms,
            qop: Qop::Auth,
            lifetime,
            used: LiteMap::new(),
            forgotten: String::new(),
        }
    }

    /// The same; the proof has to cover the body too.
    #[must_use]
    pub const fn with_integrity(mut self) -> Self {
        self.qop = Qop::AuthInt;
        self
    }

    /// The rows of WWW-Authenticate: one for each algorithm, the preferred on top (RFC 8760 §2.3). No two challenges
    /// have the same `salt`.
    #[must_use]
    pub fn challenges(&self, stale: bool, salt: &str, now: Instant) -> Vec<String> {
        let nonce = self.nonce(salt, now);
        let row = |algorithm: &Algorithm| Challenge {
            scheme: "digest".to_owned(),
            realm: self.realm.clone(),
            nonce: nonce.clone(),
            algorithm: Some(algorithm.as_str().to_owned()),
            qop: vec![self.qop],
            stale,
            ..Challenge::default()
        };
        self.algorithms.iter().map(|algorithm| row(algorithm).to_string()).collect()
    }

    fn nonce(&self, salt: &str, now: Instant) -> String {
        let time = now.as_millis().to_string();
        let proof = Algorithm::Sha256.hash([&self.secret, ":", &time, ":", salt].concat().as_bytes());
        [&time, ".", salt, ".", &proof].concat()
    }

    /// When the nonce was made, if we made it.
    fn made_at(&self, nonce: &str) -> Option<Instant> {
        let mut parts = nonce.split('.');
        let (time, salt) = (parts.next()?, parts.next()?);
        let at = Instant::from_millis(time.parse().ok()?);
        (self.nonce(salt, at) == nonce).then_some(at)
    }

    /// The name of the user whose credentials `request` carries. `secret_of` has the secrets by user name; `is_ours`
    /// says whether what the credentials name is served here.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn verify(
        &mut self,
        request: &Message,
        secret_of: &dyn Fn(&str) -> Option<Secret>,
        is_ours: &dyn Fn(&Uri) -> bool,
        now: Instant,
    ) -> Result<String, Denied> {
        let rows = request.credentials(&Name::Authorization);
        let rows = rows.into_iter().chain(request.credentials(&Name::ProxyAuthorization));
        let mut denied = Denied::Challenge;
        let method = request.method();
        // The proof covers its own `uri`, which must name something of ours, though not the same as the Request-URI
        // (RFC 3261 §22.4 item 5).
        let names_ours = |uri: &str| Uri::parse(uri).is_ok_and(|uri| is_ours(&uri));
        for row in rows {
            if row.realm != self.realm {
                continue;
            }
            match self.verify_row(&row, method.as_str(), &request.body, secret_of, &names_ours, now) {
                Ok(()) => return Ok(row.username),
                Err(Denied::Stale) => denied = Denied::Stale,
                Err(Denied::Challenge) => {}
            }
        }
        Err(denied)
    }

    /// The same for a request of HTTP: `authorization` is its header. A proxy may have cut off the front of the path, so
    /// the proof must cover a `uri` that ends with `path`, which is to say enough.
    ///
    /// # Errors
    /// [`Denied`].
    #[cfg(feature = "server")]
    pub fn verify_http(
        &mut self,
        authorization: &str,
        method: &str,
        path: &str,
        body: &[u8],
        secret_of: &dyn Fn(&str) -> Option<Secret>,
        now: Instant,
    ) -> Result<String, Denied> {
        let row = DigestCredentials::parse(authorization).ok().filter(|row| row.realm == self.realm);
        let row = row.ok_or(Denied::Challenge)?;
        self.verify_row(&row, method, body, secret_of, &|uri| uri.ends_with(path), now)?;
        Ok(row.username)
    }

    fn verify_row(
        &mut self,
        row: &DigestCredentials,
        method: &str,
        body: &[u8],
        secret_of: &dyn Fn(&str) -> Option<Secret>,
        is_ours: &dyn Fn(&str) -> bool,
        now: Instant,
    ) -> Result<(), Denied> {
        let (Some(made_at), Some(count), Some(qop)) = (self.made_at(&row.nonce), row.nc, row.qop) else {
            return Err(Denied::Challenge);
        };
        if self.qop == Qop::AuthInt && qop != Qop::AuthInt {
            return Err(Denied::Challenge);
        }
        let (algorithm, _) = Algorithm::from_token(row.algorithm.as_deref()).ok_or(Denied::Challenge)?;
        if !self.algorithms.contains(&algorithm) {
            return Err(Denied::Challenge);
        }
        let secret = secret_of(&row.username).ok_or(Denied::Challenge)?;
        let ha1 = secret.ha1(algorithm, &row.username, &self.realm).ok_or(Denied::Challenge)?;
        let protected = Protected { method, uri: &row.uri, body };
        if !is_ours(&row.uri) || !row.verify(&ha1, protected) {
            return Err(Denied::Challenge);
        }
        let forget_at = made_at + self.lifetime;
        let replayed = self.used.get(&row.nonce).is_some_and(|used| count <= used.count);
        if forget_at <= now || replayed || row.nonce <= self.forgotten {
            return Err(Denied::Stale);
        }
        self.used.insert(row.nonce.clone(), Used { count, forget_at });
        // What is too old goes, and the oldest if there are too many.
        while let Some((nonce, oldest)) = self.used.first() {
            let is_over = oldest.forget_at <= now;
            if !is_over && self.used.len() <= MOST_USED {
                break;
            }
            let nonce = nonce.clone();
            self.used.remove(&nonce);
            if !is_over {
                self.forgotten = nonce;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::Method;

    const START: Instant = Instant::from_millis(1_767_225_600_000);

    fn verifier() -> Verifier {
        let lifetime = Duration::from_secs(60);
        Verifier::new("h".to_owned(), "secret".to_owned(), vec![Algorithm::Sha256], lifetime)
    }

    /// Bob's answer to a challenge made `now`.
    fn answered(verifier: &Verifier, salt: &str, count: u32, now: Instant) -> Message {
        let mut request = Message::request(Method::Options, Uri::parse("sip:h").unwrap());
        request.push(Name::WwwAuthenticate, verifier.challenges(false, salt, now).remove(0));
        let challenge = request.challenges(&Name::WwwAuthenticate).remove(0);
        let protected = Protected { method: "OPTIONS", uri: "sip:h", body: b"" };
        let secret = Secret::Password("pw".to_owned());
        let row = DigestCredentials::answer(&challenge, "bob", &secret, protected, "c", count).unwrap();
        request.push(Name::Authorization, row.to_string());
        request
    }

    fn verify(verifier: &mut Verifier, request: &Message, now: Instant) -> Result<String, Denied> {
        let secret = |name: &str| (name == "bob").then(|| Secret::Password("pw".to_owned()));
        verifier.verify(request, &secret, &|uri| uri.host == "h", now)
    }

    #[test]
    fn a_nonce_is_remembered_against_replay_as_long_as_it_is_good_and_no_longer() {
        // dig-7616-p
        let mut verifier = verifier();
        for second in 0..600 {
            let now = START + Duration::from_secs(second);
            let request = answered(&verifier, "salt", 1, now);
            assert_eq!(verify(&mut verifier, &request, now), Ok("bob".to_owned()));
            for later in [0, 59, 60] {
                let later = now + Duration::from_secs(later);
                assert_eq!(verify(&mut verifier, &request, later), Err(Denied::Stale));
            }
        }
        assert_eq!(verifier.used.len(), 60);
    }

    #[test]
    fn the_count_of_a_nonce_only_goes_up() {
        // dig-7616-p
        let mut verifier = verifier();
        for (count, expected) in [(1, true), (1, false), (3, true), (2, false), (3, false), (4, true)] {
            let request = answered(&verifier, "salt", count, START);
            assert_eq!(verify(&mut verifier, &request, START).is_ok(), expected, "{count}");
        }
    }

    #[test]
    fn what_is_remembered_has_a_bound_and_what_was_forgotten_is_not_good_again() {
        let mut verifier = verifier();
        let first = answered(&verifier, "0", 1, START);
        assert!(verify(&mut verifier, &first, START).is_ok());
        for n in 1..=MOST_USED as u64 {
            let now = START + Duration::from_millis(n);
            let request = answered(&verifier, "s", 1, now);
            assert!(verify(&mut verifier, &request, now).is_ok());
        }
        assert_eq!(verifier.used.len(), MOST_USED);
        assert_eq!(verify(&mut verifier, &first, START), Err(Denied::Stale));
    }
}
