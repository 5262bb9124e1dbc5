//! What an agent is made from.

use crate::pieces::holds;
use crate::presence::pidf;
use crate::sip::auth::Secret;
use crate::sip::{Limits, Scheme, Uri};
use crate::time::Duration;
use core::fmt;
#[cfg(feature = "full")]
use litemap::LiteMap;

/// Everything an agent needs to know at its start.
#[derive(Clone, Debug)]
pub struct Config {
    /// WebSocket URLs, tried in order. `ws:` or `wss:`.
    pub servers: Vec<String>,
    /// The own address of record.
    pub aor: Uri,
    /// The own name, for From.
    pub display_name: Option<String>,
    /// With what challenges are answered.
    pub credentials: Credentials,
    /// The authorization servers that are trusted, as https URLs: only where a challenge names one of them, and no
    /// server is reached without TLS over a network, a bearer token is sent (RFC 8898 §2.1).
    pub authorization_servers: Vec<String>,
    /// Whether to REGISTER.
    pub register: bool,
    /// `urn:uuid:…` of this device, the same after a reload (RFC 5626 §4.1).
    pub instance: String,
    /// Seconds asked for in SUBSCRIBE, PUBLISH and REGISTER.
    pub expires: u32,
    /// Seconds between keep-alives (RFC 5626 §4.4). `None`: as the server asks; if it does not, it is asked for a sign
    /// of life after two minutes without one. 0: only as the server asks.
    pub keep_alive: Option<u32>,
    /// Route of requests outside a dialog, as the header has it: loose routers alone, `<sip:proxy.example.com;lr>`
    /// (RFC 3261 §8.1.1.1); none if empty.
    pub route: String,
    /// How often NOTIFYs are wished for, as parameters of the Event header: `;max-rate=0.2` (RFC 6446 §4.1).
    pub rates: String,
    /// How long a subscription goes on after its last watch ended.
    pub linger: Duration,
    /// The server that takes lists of addresses in a SUBSCRIBE (RFC 5367).
    pub list_server: Option<Uri>,
    /// How many SUBSCRIBE transactions may be open at once.
    pub window: usize,
    /// How many presentities may be watched.
    pub watches: usize,
    /// The User-Agent header; none if empty.
    pub user_agent: String,
    /// Whether each message is told as [`super::Event::Trace`].
    pub trace: bool,
    /// Makes the agent a presence agent: it takes SUBSCRIBEs.
    #[cfg(feature = "full")]
    pub audience: Option<super::Audience>,
    /// How large a SIP message may be.
    pub limits: Limits,
    /// Who may notify, where that has to be proved: the secrets of presence agents by user name. `None`: nothing has
    /// to be proved; a list that is empty: nobody may notify.
    #[cfg(feature = "full")]
    pub notifiers: Option<LiteMap<String, Secret>>,
    /// How large a presence document may be.
    pub document_limits: pidf::Limits,
}

impl Config {
    /// The defaults, for `aor` at `server`.
    #[must_use]
    pub fn new(server: &str, aor: Uri) -> Self {
        Self {
            servers: vec![server.to_owned()],
            aor,
            display_name: None,
            credentials: Credentials::None,
            authorization_servers: Vec::new(),
            register: false,
            instance: String::new(),
            expires: 3600,
            keep_alive: None,
            route: String::new(),
            rates: String::new(),
            linger: Duration::from_secs(2),
            list_server: None,
            window: 16,
            watches: 10_000,
            user_agent: String::new(),
            trace: false,
            #[cfg(feature = "full")]
            audience: None,
            limits: Limits::default(),
            #[cfg(feature = "full")]
            notifiers: None,
            document_limits: pidf::Limits::default(),
        }
    }
}

impl Config {
    /// Whether an agent can be made from it.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let is_websocket = |url: &String| url.starts_with("ws:") || url.starts_with("wss:");
        if self.servers.is_empty() || !self.servers.iter().all(is_websocket) {
            return Err(ConfigError::Server);
        }
        let has_user = self.aor.user.as_ref().is_some_and(|user| !user.is_empty());
        if !matches!(self.aor.scheme, Scheme::Sip | Scheme::Sips) || !has_user {
            return Err(ConfigError::Aor);
        }
        if self.aor.is_secure() && self.is_insecure() {
            return Err(ConfigError::Secure);
        }
        if self.expires == 0 {
            return Err(ConfigError::Expires);
        }
        Ok(())
    }

    /// The authorization servers that count: none, if a token could be read on its way.
    pub(super) fn trusted(&self) -> Vec<String> {
        if self.servers.iter().all(|url| url.starts_with("wss:") || is_loopback(url)) {
            return self.authorization_servers.clone();
        }
        Vec::new()
    }

    /// Whether a server would be reached without TLS.
    pub(super) fn is_insecure(&self) -> bool {
        self.servers.iter().any(|url| url.starts_with("ws:"))
    }
}

/// Whether a URL leads to this machine. One with a user name in it is not looked at.
fn is_loopback(url: &str) -> bool {
    let rest =
        |host| url.strip_prefix(host).is_some_and(|rest| matches!(rest.bytes().next(), Some(b':' | b'/')));
    ["ws://127.0.0.1", "ws://localhost", "ws://[::1]"].into_iter().any(rest) && !holds(url, b'@')
}

/// With what challenges are answered.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum Credentials {
    /// There are none: a challenge is a failure.
    None,
    /// Always these.
    Fixed { username: String, secret: Secret },
    /// Ask the application each time: [`super::Event::Challenged`].
    Ask,
}

/// Which field of a [`Config`] cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// No server, or a URL that is not `ws:` or `wss:`.
    Server,
    /// The own address is not sip or sips with user and host.
    Aor,
    /// The own address is `sips`, and a server is not `wss:` (RFC 7118 §9.2).
    Secure,
    /// Expires is 0.
    Expires,
}

impl ConfigError {
    /// What to give instead, beginning with the name of the field.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server: give a ws: or wss: URL",
            Self::Aor => "aor: give your own address, such as sip:alice@example.com",
            Self::Secure => "server: a sips: address needs a wss: server",
            Self::Expires => "expires: give a number of seconds above 0",
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl core::error::Error for ConfigError {}
