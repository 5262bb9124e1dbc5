//! Who a request comes from: digest, with the users of the configuration.

use super::config::Config;
use super::xcap;
use crate::random::Random;
use crate::sip::Message;
use crate::sip::auth::{Denied, Verifier};
use crate::time::{Duration, Instant};

pub(super) struct Authentication(Verifier);

impl Authentication {
    pub(super) fn new(config: &Config, random: &mut Random) -> Self {
        let secret = [random.token(), random.token()].concat();
        let lifetime = Duration::from_secs(u64::from(config.nonce_lifetime));
        Self(Verifier::new(config.realm.clone(), secret, config.algorithms(), lifetime))
    }

    /// The rows of WWW-Authenticate.
    pub(super) fn challenges(&self, stale: bool, random: &mut Random, now: Instant) -> Vec<String> {
        self.0.challenges(stale, &random.token(), now)
    }

    /// The name of the user whose credentials `request` carries.
    pub(super) fn verify(
        &mut self,
        request: &Message,
        config: &Config,
        now: Instant,
    ) -> Result<String, Denied> {
        let secret = |name: &str| config.users.get(name).map(super::User::secret);
        self.0.verify(request, &secret, &|uri| uri.host.eq_ignore_ascii_case(&config.domain), now)
    }

    /// The same of a request of HTTP.
    pub(super) fn verify_http(
        &mut self,
        request: &xcap::Request<'_>,
        config: &Config,
        now: Instant,
    ) -> Result<String, Denied> {
        let secret = |name: &str| config.users.get(name).map(super::User::secret);
        let authorization = request.authorization.ok_or(Denied::Challenge)?;
        self.0.verify_http(authorization, request.method, request.path, request.body, &secret, now)
    }
}
