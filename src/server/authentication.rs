//! Who a request comes from: digest challenges, and the check of their answers (RFC 3261 §22, RFC 7616, RFC 8760).
//!
//! A nonce carries its own time and proof, so that challenging costs no memory; only nonces that were answered
//! rightly are remembered, with the highest count seen, against replay.

use super::config::Config;
use crate::random::Random;
use crate::sip::auth::{Algorithm, Challenge, DigestCredentials, Protected, Qop};
use crate::sip::{Message, Name, Uri};
use crate::time::{Duration, Instant};
use std::collections::BTreeMap;

pub(super) struct Authentication {
    realm: String,
    secret: String,
    algorithms: Vec<Algorithm>,
    lifetime: Duration,
    /// By nonce, which begins with its time: the oldest is the first.
    used: BTreeMap<String, Used>,
}

struct Used {
    count: u32,
    forget_at: Instant,
}

/// The answer is not good.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// Challenge: there are no credentials, or they are wrong.
    Challenge,
    /// Challenge with `stale=true`: only the nonce is too old, or was used before.
    Stale,
}

impl Authentication {
    pub(super) fn new(config: &Config, random: &mut Random) -> Self {
        Self {
            realm: config.realm.clone(),
            secret: [random.token(), random.token()].concat(),
            algorithms: config.algorithms(),
            lifetime: Duration::from_secs(u64::from(config.nonce_lifetime)),
            used: BTreeMap::new(),
        }
    }

    /// The rows of WWW-Authenticate: one for each algorithm, the preferred on top (RFC 8760 §2.3).
    pub(super) fn challenges(&self, stale: bool, random: &mut Random, now: Instant) -> Vec<String> {
        let nonce = self.nonce(&random.token(), now);
        let row = |algorithm: &Algorithm| Challenge {
            scheme: "digest".to_owned(),
            realm: self.realm.clone(),
            nonce: nonce.clone(),
            algorithm: Some(algorithm.as_str().to_owned()),
            qop: vec![Qop::Auth],
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

    /// The name of the user whose credentials `request` carries.
    pub(super) fn verify(
        &mut self,
        request: &Message,
        config: &Config,
        now: Instant,
    ) -> Result<String, Denied> {
        let rows = request.credentials(&Name::Authorization);
        let rows = rows.into_iter().chain(request.credentials(&Name::ProxyAuthorization));
        let mut denied = Denied::Challenge;
        for row in rows {
            if row.realm != self.realm {
                continue;
            }
            match self.verify_row(&row, request, config, now) {
                Ok(user) => return Ok(user),
                Err(Denied::Stale) => denied = Denied::Stale,
                Err(Denied::Challenge) => {}
            }
        }
        Err(denied)
    }

    fn verify_row(
        &mut self,
        row: &DigestCredentials,
        request: &Message,
        config: &Config,
        now: Instant,
    ) -> Result<String, Denied> {
        let (Some(made_at), Some(count), Some(_)) = (self.made_at(&row.nonce), row.nc, row.qop) else {
            return Err(Denied::Challenge);
        };
        let (algorithm, _) = Algorithm::from_token(row.algorithm.as_deref()).ok_or(Denied::Challenge)?;
        if !self.algorithms.contains(&algorithm) {
            return Err(Denied::Challenge);
        }
        let secret = config.users.get(&row.username).ok_or(Denied::Challenge)?.secret();
        let ha1 = secret.ha1(algorithm, &row.username, &self.realm).ok_or(Denied::Challenge)?;
        let method = request.method();
        let protected = Protected { method: method.as_str(), uri: &row.uri, body: &request.body };
        // The proof covers its own `uri`, which must name something of ours, though not the same as the Request-URI
        // (RFC 3261 §22.4 item 5).
        let ours = Uri::parse(&row.uri).is_ok_and(|uri| uri.host.eq_ignore_ascii_case(&config.domain));
        if !ours || !row.verify(&ha1, protected) {
            return Err(Denied::Challenge);
        }
        let forget_at = made_at + self.lifetime;
        let replayed = self.used.get(&row.nonce).is_some_and(|used| count <= used.count);
        if forget_at <= now || replayed {
            return Err(Denied::Stale);
        }
        while let Some(oldest) = self.used.first_entry().filter(|oldest| oldest.get().forget_at <= now) {
            oldest.remove();
        }
        self.used.insert(row.nonce.clone(), Used { count, forget_at });
        Ok(row.username.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::User;
    use crate::sip::Method;
    use crate::sip::auth::Secret;

    #[test]
    fn a_nonce_is_remembered_against_replay_as_long_as_it_is_good_and_no_longer() {
        // dig-7616-p
        let mut config =
            Config { domain: "h".to_owned(), realm: "h".to_owned(), nonce_lifetime: 60, ..Config::default() };
        config.users.insert("bob".to_owned(), User::Password("pw".to_owned()));
        let mut random = Random::new([1; 32]);
        let mut authentication = Authentication::new(&config, &mut random);
        let uri = Uri::parse("sip:h").unwrap();
        for second in 0..600 {
            let now = Instant::from_millis(1_767_225_600_000) + Duration::from_secs(second);
            let rows = authentication.challenges(false, &mut random, now);
            let mut request = Message::request(Method::Options, uri.clone());
            request.push(Name::WwwAuthenticate, rows[0].clone());
            let challenge = request.challenges(&Name::WwwAuthenticate).remove(0);
            let secret = Secret::Password("pw".to_owned());
            let protected = Protected { method: "OPTIONS", uri: "sip:h", body: b"" };
            let row = DigestCredentials::answer(&challenge, "bob", &secret, protected, "c", 1).unwrap();
            request.push(Name::Authorization, row.to_string());
            assert_eq!(authentication.verify(&request, &config, now), Ok("bob".to_owned()));
            for later in [0, 59, 60] {
                let later = now + Duration::from_secs(later);
                assert_eq!(authentication.verify(&request, &config, later), Err(Denied::Stale));
            }
        }
        assert_eq!(authentication.used.len(), 60);
    }
}
