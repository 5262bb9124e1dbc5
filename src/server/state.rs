//! What a server keeps over a restart, as a text: what was said of watchers, and the rules of users. Where the text is kept is the host's affair.
//!
//! Publications and registrations are not in it: pages send theirs again within seconds, and one that a page has ended
//! meanwhile would show its user where nobody is any more.

use super::rules::UserRules;
use super::{Event, Server};
use crate::event::Decision;
use crate::time::Instant;
use core::fmt;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The form of the text.
const VERSION: u32 = 1;

/// By user who is watched, and by watcher.
pub(super) type Policies = BTreeMap<String, BTreeMap<String, Decision>>;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    version: u32,
    policies: Policies,
    /// The documents that users have made.
    #[serde(default)]
    rules: BTreeMap<String, String>,
}

/// Why a state cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateError(String);

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for StateError {}

impl Server {
    /// What is to be kept: JSON, for [`Self::restore`].
    ///
    /// # Errors
    /// [`StateError`]: it cannot be written as text.
    pub fn state(&self) -> Result<String, StateError> {
        let rules = self.rules.by_user.iter().map(|(user, rules)| (user.clone(), rules.text.clone()));
        let kept = Kept { version: VERSION, policies: self.policies.clone(), rules: rules.collect() };
        let text = serde_json::to_string_pretty(&kept).map_err(|error| StateError(error.to_string()))?;
        Ok([&text, "\n"].concat())
    }

    /// Takes over what [`Self::state`] gave; to be called before the first connection. What is in it about names that are
    /// no users now has no effect, is told, and is kept: they may be users again.
    ///
    /// # Errors
    /// [`StateError`] says what is wrong with `text`; nothing of it was taken over.
    pub fn restore(&mut self, text: &str, now: Instant) -> Result<(), StateError> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let kept: Result<Kept, _> = serde_path_to_error::deserialize(&mut reader);
        let kept = kept.map_err(|error| StateError(error.to_string()))?;
        reader.end().map_err(|error| StateError(error.to_string()))?;
        if kept.version != VERSION {
            let text = ["version: ", &kept.version.to_string(), " is none that is known here"].concat();
            return Err(StateError(text));
        }
        let mut rules = BTreeMap::new();
        for (user, text) in kept.rules {
            let read = UserRules::read(&text, now);
            let read =
                read.map_err(|error| StateError(["rules.", &user, ": ", &error.to_string()].concat()))?;
            rules.insert(user, read);
        }
        (self.policies, self.rules.by_user) = (kept.policies, rules);
        self.rules.settle();
        let decided = self.policies.iter().flat_map(|(user, watchers)| watchers.keys().chain([user]));
        let named: BTreeSet<&String> = decided.chain(self.rules.by_user.keys()).collect();
        for name in named.into_iter().filter(|name| !self.config.users.contains_key(*name)) {
            self.outputs.push_back(super::Output::Event(Event::Ignored { user: name.clone() }));
        }
        Ok(())
    }
}
