//! What a presence server is made from: plain data, read from JSON.

use crate::event::Decision;
use crate::presence::AttributeName;
use crate::presence::filter::{Attributes, Detail, Transformations};
use crate::sip::Uri;
use crate::sip::auth::{Algorithm, Secret};
use core::fmt;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Everything a server needs to know at its start.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// The domain it serves: the host part of its users' addresses.
    pub domain: String,
    /// The protection domain of its challenges; the domain if it is empty.
    pub realm: String,
    /// Its users by name.
    pub users: BTreeMap<String, User>,
    /// Digest algorithms, most preferred first (RFC 8760 §2.3).
    pub algorithms: Vec<String>,
    /// Who may watch whom.
    pub rules: Rules,
    /// Shortest life of a subscription, publication or registration, in seconds.
    pub min_expires: u32,
    /// Longest life, in seconds.
    pub max_expires: u32,
    /// How long a nonce is good, in seconds.
    pub nonce_lifetime: u32,
    /// Shortest time between two notifications of changes to one watcher, in milliseconds (RFC 3856 §6.10).
    pub notify_interval: u32,
    /// How much is too much.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            domain: String::new(),
            realm: String::new(),
            users: BTreeMap::new(),
            algorithms: vec!["SHA-256".to_owned(), "MD5".to_owned()],
            rules: Rules::default(),
            min_expires: 10,
            max_expires: 3600,
            nonce_lifetime: 300,
            notify_interval: 5000,
            limits: Limits::default(),
        }
    }
}

/// What proves that someone is this user.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub enum User {
    /// The password.
    Password(String),
    /// Its hashes `H(user:realm:password)` by algorithm, so that the file holds no password.
    Hashes {
        /// Hexadecimal, by algorithm name.
        ha1: BTreeMap<String, String>,
    },
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("User(…)")
    }
}

impl User {
    /// The secret for digest.
    #[must_use]
    pub fn secret(&self) -> Secret {
        match self {
            Self::Password(password) => Secret::Password(password.clone()),
            Self::Hashes { ha1 } => Secret::Ha1(
                ha1.iter()
                    .filter_map(|(name, hash)| Some((Algorithm::from_token(Some(name))?.0, hash.clone())))
                    .collect(),
            ),
        }
    }
}

/// Who may watch whom.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Rules {
    /// For watchers that no rule names.
    #[serde(rename = "default")]
    pub otherwise: Decision,
    /// Rules by name; of several that match, the one that gives most holds (RFC 5025 §3.2.1).
    pub watchers: Vec<Rule>,
}

impl Default for Rules {
    fn default() -> Self {
        Self { otherwise: Decision::Confirm, watchers: Vec::new() }
    }
}

/// One rule.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// The user who is watched; every user if it is absent.
    #[serde(default)]
    pub presentity: Option<String>,
    /// The user who watches.
    pub watcher: String,
    /// What the watcher gets.
    pub decision: Decision,
    /// What of the document the watcher is shown; everything if it is absent.
    #[serde(default)]
    pub show: Option<Show>,
}

/// What of a document is shown (RFC 5025 §3.3). What is absent is not.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Show {
    /// Services.
    pub services: bool,
    /// Persons.
    pub persons: bool,
    /// Devices.
    pub devices: bool,
    /// Attributes by the names of their elements, such as `activities` and `mood`.
    pub attributes: Vec<String>,
    /// Notes.
    pub notes: bool,
    /// How much of user-input: `bare`, `thresholds` or `full`.
    pub user_input: Option<Input>,
    /// Elements that the server does not know.
    pub unknown: bool,
}

/// How much of user-input is shown (RFC 5025 §3.3.2.12).
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Input {
    /// Active or idle.
    Bare,
    /// With the threshold.
    Thresholds,
    /// With the time of the last input.
    Full,
}

impl Show {
    fn transformations(&self) -> Transformations {
        let wanted = |name: &AttributeName| self.attributes.iter().any(|wanted| wanted == name.as_str());
        Transformations {
            services: self.services,
            persons: self.persons,
            devices: self.devices,
            attributes: Attributes::Only(AttributeName::all().filter(wanted).collect()),
            notes: self.notes,
            user_input: match self.user_input {
                None => Detail::False,
                Some(Input::Bare) => Detail::Bare,
                Some(Input::Thresholds) => Detail::Thresholds,
                Some(Input::Full) => Detail::Full,
            },
            unknown: self.unknown,
        }
    }
}

/// How much is too much. Each bound is answered in its own way, see the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// Connections; one more is closed with 1013.
    pub connections: usize,
    /// Subscriptions of one connection; one more gets 503.
    pub subscriptions: usize,
    /// Publications of one user; one more gets 503.
    pub publications: usize,
    /// Bytes of a published document; a larger one gets 413, and so does one with which all of the user's together
    /// would make a document of more than four times this. Watchers may refuse what is too large.
    pub publication: usize,
    /// Bytes of the rules that a user makes; more get 413.
    pub ruleset: usize,
    /// Registered contacts of one user; one more gets 503.
    pub contacts: usize,
    /// Requests of one connection to other users that were not answered yet; one more gets 503.
    pub forwarded: usize,
    /// Bytes of a message; a larger one gets 513.
    pub message: usize,
    /// Malformed messages of one connection within an hour; one more closes it with 1002.
    pub malformed: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            subscriptions: 10_000,
            publications: 16,
            publication: 32 * 1024,
            ruleset: 64 * 1024,
            contacts: 16,
            forwarded: 64,
            message: 256 * 1024,
            malformed: 100,
        }
    }
}

/// Why a configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(String);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for ConfigError {}

impl Config {
    /// Reads JSON; an unknown field is an error.
    ///
    /// # Errors
    /// [`ConfigError`] names the place.
    pub fn from_json(json: &str) -> Result<Self, ConfigError> {
        let mut reader = serde_json::Deserializer::from_str(json);
        let config = serde_path_to_error::deserialize(&mut reader);
        let config = config.map_err(|error| ConfigError(error.to_string()))?;
        reader.end().map_err(|error| ConfigError(error.to_string()))?;
        Ok(config)
    }

    pub(super) fn check(&mut self) -> Result<(), ConfigError> {
        let error = |text: &str| Err(ConfigError(text.to_owned()));
        if self.domain.is_empty() {
            return error("domain: give the host part of your users' addresses, such as \"example.com\"");
        }
        let parsed = Uri::parse(&["sip:user@", &self.domain].concat());
        if !parsed.is_ok_and(|uri| uri.host.eq_ignore_ascii_case(&self.domain) && uri.port.is_none()) {
            return error("domain: give a host alone, such as \"example.com\"");
        }
        self.domain.make_ascii_lowercase();
        if self.realm.is_empty() {
            self.realm.clone_from(&self.domain);
        }
        if self.algorithms().is_empty() {
            return error("algorithms: give at least one of \"SHA-512-256\", \"SHA-256\", \"MD5\"");
        }
        if self.users.is_empty() {
            return error("users: give at least one");
        }
        for (name, user) in &self.users {
            if name.is_empty() || name.contains([':', '@', '"']) {
                return Err(ConfigError(
                    ["users: \"", name, "\" is no user name: give what stands before the @"].concat(),
                ));
            }
            self.check_user(name, user)?;
        }
        if self.nonce_lifetime == 0 {
            return error("nonceLifetime: no nonce would be good");
        }
        let named = self.rules.watchers.iter().flat_map(|rule| rule.presentity.iter().chain([&rule.watcher]));
        if let Some(name) = named.into_iter().find(|name| !self.users.contains_key(*name)) {
            return Err(ConfigError(["rules: there is no user \"", name, "\""].concat()));
        }
        if self.min_expires > self.max_expires || self.max_expires == 0 {
            return error("minExpires, maxExpires: the least must not be above the most, and the most not 0");
        }
        for name in
            self.rules.watchers.iter().filter_map(|rule| rule.show.as_ref()).flat_map(|show| &show.attributes)
        {
            if !AttributeName::all().any(|known| known.as_str() == name) {
                return Err(ConfigError(["rules: no attribute is called \"", name, "\""].concat()));
            }
        }
        Ok(())
    }

    /// Whether a user could ever sign in.
    fn check_user(&self, name: &str, user: &User) -> Result<(), ConfigError> {
        let ha1 = match user {
            User::Hashes { ha1 } => ha1,
            User::Password(password) if password.is_empty() => {
                return Err(ConfigError(["users.", name, ": the password must not be empty"].concat()));
            }
            User::Password(_) => return Ok(()),
        };
        let algorithms = self.algorithms();
        let mut usable = false;
        for (algorithm, hash) in ha1 {
            let Some((known, false)) = Algorithm::from_token(Some(algorithm)) else {
                let text = ["users.", name, ".ha1: no algorithm is called \"", algorithm, "\""].concat();
                return Err(ConfigError(text));
            };
            if hash.len() != known.hash(b"").len() || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                let text =
                    ["users.", name, ".ha1: this is no hash of ", algorithm, " in hexadecimal"].concat();
                return Err(ConfigError(text));
            }
            usable |= algorithms.contains(&known);
        }
        match usable {
            true => Ok(()),
            false => {
                Err(ConfigError(["users.", name, ".ha1: give a hash for one of the algorithms"].concat()))
            }
        }
    }

    /// The algorithms of the challenges.
    pub(super) fn algorithms(&self) -> Vec<Algorithm> {
        let known = self.algorithms.iter().filter_map(|name| Algorithm::from_token(Some(name)));
        known.filter(|(_, session)| !session).map(|(algorithm, _)| algorithm).collect()
    }

    /// What `watcher` gets from `presentity`; both are user names.
    pub(super) fn decide(&self, presentity: &str, watcher: &str) -> Decision {
        if presentity == watcher {
            return Decision::Allow;
        }
        self.matching(presentity, watcher).map(|rule| rule.decision).max().unwrap_or(self.rules.otherwise)
    }

    /// What of the document of `presentity` an allowed `watcher` is shown: what the rules that allow give together.
    pub(super) fn transformations(&self, presentity: &str, watcher: &str) -> Transformations {
        if presentity == watcher {
            return Transformations::all();
        }
        self.matching(presentity, watcher)
            .filter(|rule| rule.decision == Decision::Allow)
            .map(|rule| rule.show.as_ref().map_or_else(Transformations::all, Show::transformations))
            .reduce(Transformations::union)
            .unwrap_or_else(Transformations::all)
    }

    fn matching<'a>(&'a self, presentity: &str, watcher: &str) -> impl Iterator<Item = &'a Rule> {
        self.rules.watchers.iter().filter(move |rule| {
            rule.watcher == watcher && rule.presentity.as_deref().is_none_or(|name| name == presentity)
        })
    }
}
