//! Who a SUBSCRIBE comes from (RFC 3856 §9.2): by digest, or as the server says. The From header alone proves nothing.

use super::Presentity;
use crate::agent::{Agent, Credentials};
use crate::sip::auth::{Denied, Secret};
use crate::sip::grammar;
use crate::sip::{Known, Message, NameAddr, Uri};
use crate::time::Instant;
use core::fmt;
use litemap::LiteMap;

/// How it is known who a watcher is. The own user is known by digest too, with the own password.
#[derive(Clone, Default)]
pub enum Identities {
    /// By digest alone: the secrets of watchers by user name. A name without a host is one of the own domain.
    #[default]
    Own,
    /// The same, with those of others.
    Digest(LiteMap<String, Secret>),
    /// The server proves who somebody is, and says so in P-Asserted-Identity (RFC 3325), which it takes away from
    /// others' requests.
    Asserted,
    /// The server lets nobody send a From that is not theirs.
    From,
}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Own => "Own",
            Self::Digest(_) => "Digest(…)",
            Self::Asserted => "Asserted",
            Self::From => "From",
        })
    }
}

/// A proved address, and what its owner is called.
pub(super) struct Identity {
    pub(super) uri: String,
    pub(super) display: Option<String>,
}

impl Agent {
    /// Who sent `request`.
    pub(super) fn identify(&mut self, request: &Message, now: Instant) -> Result<Identity, Denied> {
        let presentity = self.presentity.as_mut().ok_or(Denied::Challenge)?;
        let (aor, contact) = (&self.config.aor, &self.contact.uri);
        let Presentity { verifier, audience, .. } = presentity;
        let own = match &self.config.credentials {
            Credentials::Fixed { username, secret } => Some((username.as_str(), secret)),
            Credentials::None | Credentials::Ask => None,
        };
        let known = match &audience.identities {
            Identities::Digest(known) => Some(known),
            Identities::Own | Identities::Asserted | Identities::From => None,
        };
        let secret_of = |name: &str| {
            let own = own.filter(|(own, _)| *own == name).map(|(_, secret)| secret);
            own.or_else(|| known?.get(name)).cloned()
        };
        let is_ours = |uri: &Uri| {
            uri.host.eq_ignore_ascii_case(&aor.host) || uri.host.eq_ignore_ascii_case(&contact.host)
        };
        let from = request.from().map_err(|_| Denied::Challenge)?;
        let claimed = from.uri.canonical();
        let named = |uri: String, asserted: Option<String>| {
            let display = asserted.or_else(|| from.display.clone().filter(|_| claimed == uri));
            Identity { uri, display }
        };
        let denied = match verifier.verify(request, &secret_of, &is_ours, now) {
            Ok(username) if own.is_some_and(|(own, _)| own == username) => {
                return Ok(named(aor.canonical(), None));
            }
            Ok(username) => {
                let uri = match username.contains('@') {
                    true => Uri::parse(&["sip:", &username].concat()).ok(),
                    false => Some(Uri::sip(&username, &aor.host)),
                };
                return uri.map(|uri| named(uri.canonical(), None)).ok_or(Denied::Challenge);
            }
            Err(denied) => denied,
        };
        match &audience.identities {
            Identities::Own | Identities::Digest(_) => Err(denied),
            Identities::From => Ok(named(claimed.clone(), None)),
            Identities::Asserted => {
                let asserted = asserted(request).ok_or(denied)?;
                Ok(named(asserted.uri.canonical(), asserted.display))
            }
        }
    }
}

/// The first SIP address of P-Asserted-Identity (RFC 3325 §9.1).
fn asserted(request: &Message) -> Option<NameAddr> {
    for (name, row) in request.headers() {
        if !name.as_str().eq_ignore_ascii_case("P-Asserted-Identity") {
            continue;
        }
        let mut rest = Some(row);
        while let Some(list) = rest {
            let (value, more) = grammar::split_list(list);
            rest = more;
            // The name is for the error, which nobody sees.
            let address = NameAddr::parse(value, Known::From).ok();
            if let Some(address) = address.filter(|address| address.uri.user.is_some()) {
                return Some(address);
            }
        }
    }
    None
}
