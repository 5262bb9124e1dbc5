//! Who notifies, and with something new: against replay and forgery where TLS to the own server is not enough
//! (RFC 3856 §9.4). May use: `presence`, `sip`, `random`, `time`.

use super::{Agent, Config};
use crate::presence::{Component, Presence};
use crate::random::Random;
use crate::sip::auth::{Algorithm, Denied, Verifier};
use crate::sip::{Known, Message, Uri};
use crate::time::{Duration, Instant};

/// How long a nonce is good.
const LIFETIME: Duration = Duration::from_secs(300);

/// What checks notifiers, if they have to prove something.
pub(super) fn verifier(config: &Config, random: &mut Random) -> Option<Verifier> {
    config.notifiers.is_some().then(|| {
        let secret = [random.token(), random.token()].concat();
        let algorithms = vec![Algorithm::Sha256, Algorithm::Md5];
        Verifier::new(config.aor.host.clone(), secret, algorithms, LIFETIME).with_integrity()
    })
}

impl Agent {
    /// Whether a NOTIFY may be taken: its sender has proved who it is, and that the body is its own. Otherwise it has
    /// been answered with a challenge.
    pub(super) fn is_proved(&mut self, notify: &Message, now: Instant) -> bool {
        let Some(verifier) = &mut self.verifier else { return true };
        let known = &self.config.notifiers;
        let target = notify.request_uri().map(|uri| uri.host.clone()).unwrap_or_default();
        let secret_of = |name: &str| known.as_ref()?.get(name).cloned();
        let is_target = |uri: &Uri| uri.host.eq_ignore_ascii_case(&target);
        let Err(denied) = verifier.verify(notify, &secret_of, &is_target, now) else { return true };
        let rows = verifier.challenges(denied == Denied::Stale, &self.random.token(), now);
        let rows: Vec<(Known, &str)> =
            rows.iter().map(|row| (Known::WwwAuthenticate, row.as_str())).collect();
        self.answer(notify, 401, &rows);
        false
    }
}

/// Whether `new` has something that is older than it was in `old`: it has been told before.
pub(super) fn is_stale(old: &Presence, new: &Presence) -> bool {
    let lists = [(&old.tuples, &new.tuples), (&old.persons, &new.persons), (&old.devices, &new.devices)];
    lists.into_iter().any(|(old, new)| new.iter().any(|new| old.iter().any(|old| is_older(new, old))))
}

fn is_older(new: &Component, old: &Component) -> bool {
    new.id == old.id && new.timestamp.is_some() && new.timestamp < old.timestamp
}
