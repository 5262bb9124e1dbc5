//! Who decides what a watcher gets: the program that runs the server, then the user who is watched, then the configuration.
//!
//! ```text
//!   set_policy ──nothing said──> the user's own rules (RFC 5025) ──none holds──> rules of the configuration ──> default
//! ```

use super::Server;
use super::watchers::Package;
use crate::event::Decision;
use crate::presence::DocumentError;
use crate::presence::filter::Transformations;
use crate::presence::pres_rules::{Handling, Ruleset};
use crate::sip::Uri;
use crate::sip::auth::Algorithm;
use crate::time::{Instant, earliest};
use core::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// The rules that a user has made.
pub(super) struct UserRules {
    /// As it came.
    pub(super) text: String,
    /// Entity-tag: follows from the text, so that it is the same after a restart.
    pub(super) tag: String,
    ruleset: Ruleset,
    /// What watchers get by it until another rule holds: they may have many subscriptions, and the rules many lines.
    known: RefCell<BTreeMap<String, Permission>>,
    /// What was true then has been obeyed.
    looked_at: Instant,
    /// Another rule holds then.
    due: Option<Instant>,
}

impl UserRules {
    /// Reads a document.
    pub(super) fn read(text: &str, now: Instant) -> Result<Self, DocumentError> {
        let ruleset = Ruleset::read(text)?;
        let hash = Algorithm::Sha256.hash(text.as_bytes());
        let tag = ["\"", hash.get(..32).unwrap_or_default(), "\""].concat();
        let due = ruleset.next_change(now);
        let known = RefCell::default();
        Ok(Self { text: text.to_owned(), tag, ruleset, known, looked_at: now, due })
    }
}

/// What somebody gets and is shown, if the rules say anything of it.
type Permission = Option<(Handling, Transformations)>;

impl UserRules {
    fn grant(&self, identity: &str, at: Instant) -> Permission {
        if self.due.is_some_and(|due| due <= at) {
            return self.ruleset.grant(identity, at);
        }
        if let Some(known) = self.known.borrow().get(identity) {
            return known.clone();
        }
        let permission = self.ruleset.grant(identity, at);
        self.known.borrow_mut().insert(identity.to_owned(), permission.clone());
        permission
    }
}

/// The rules of all users.
#[derive(Default)]
pub(super) struct AllRules {
    pub(super) by_user: BTreeMap<String, UserRules>,
    /// The earliest of all.
    due: Option<Instant>,
}

impl AllRules {
    pub(super) fn get(&self, user: &str) -> Option<&UserRules> {
        self.by_user.get(user)
    }

    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    /// Brings the deadline up to date.
    pub(super) fn settle(&mut self) {
        self.due = self.by_user.values().fold(None, |due, rules| earliest(due, rules.due));
    }
}

impl Server {
    /// What `watcher` gets of `presentity` and is shown; both are user names.
    fn permission(
        &self,
        presentity: &str,
        watcher: &str,
        now: Instant,
    ) -> (Decision, Option<Transformations>) {
        let own = self.rules.get(presentity).filter(|_| presentity != watcher);
        let own = own.and_then(|own| own.grant(&self.address(watcher), now));
        let (decision, shown) = match own {
            Some((Handling::Block, _)) => (Decision::Block, None),
            Some((Handling::Confirm, _)) => (Decision::Confirm, None),
            Some((Handling::PoliteBlock, _)) => (Decision::PoliteBlock, None),
            Some((Handling::Allow, shown)) => (Decision::Allow, Some(shown)),
            None => (self.config.decide(presentity, watcher), None),
        };
        let policy = self.policies.get(presentity).and_then(|watchers| watchers.get(watcher));
        (policy.copied().unwrap_or(decision), shown)
    }

    fn address(&self, user: &str) -> String {
        Uri::sip(user, &self.config.domain).to_string()
    }

    pub(super) fn decide(&self, presentity: &str, watcher: &str, now: Instant) -> Decision {
        self.permission(presentity, watcher, now).0
    }

    /// What of the document of `presentity` an allowed `watcher` is shown.
    pub(super) fn transformations(&self, presentity: &str, watcher: &str, now: Instant) -> Transformations {
        let (_, shown) = self.permission(presentity, watcher, now);
        shown.unwrap_or_else(|| self.config.transformations(presentity, watcher))
    }

    /// From now on `watcher` gets this of `presentity`, whatever the rules say; who watches is told at once. Both are
    /// user names; false if one of them is not. [`Self::state`] has it then.
    pub fn set_policy(&mut self, presentity: &str, watcher: &str, decision: Decision, now: Instant) -> bool {
        if [presentity, watcher].iter().any(|name| !self.config.users.contains_key(*name)) {
            return false;
        }
        self.policies.entry(presentity.to_owned()).or_default().insert(watcher.to_owned(), decision);
        let notices = self.watchers.decide(presentity, watcher, decision, now);
        self.tell_watchers(Package::Presence, &notices, None, now);
        self.check_edges(presentity, Some(watcher), now);
        self.share_news(now);
        true
    }

    /// The user has made these rules, or removed them; who watches is told at once. Whether there were none.
    pub(super) fn change_rules(&mut self, user: &str, rules: Option<UserRules>, now: Instant) -> bool {
        let before = self.granted(user, now);
        let old = match rules {
            Some(rules) => self.rules.by_user.insert(user.to_owned(), rules),
            None => self.rules.by_user.remove(user),
        };
        self.rules.settle();
        self.obey(user, before, now);
        self.share_news(now);
        old.is_none()
    }

    /// Who watches `user`, and what they got at that time.
    fn granted(&self, user: &str, at: Instant) -> BTreeMap<String, (Decision, Transformations)> {
        let watchers: BTreeSet<String> = self.watchers.rows(user).map(|row| row.uri).collect();
        let grant = |watcher: String| {
            let grant = (self.decide(user, &watcher, at), self.transformations(user, &watcher, at));
            (watcher, grant)
        };
        watchers.into_iter().map(grant).collect()
    }

    fn obey(&mut self, user: &str, before: BTreeMap<String, (Decision, Transformations)>, now: Instant) {
        for (watcher, (old, old_shown)) in before {
            let decision = self.decide(user, &watcher, now);
            let mut notices = self.watchers.decide(user, &watcher, decision, now);
            let is_shown = decision == Decision::Allow && old == Decision::Allow;
            if is_shown && self.transformations(user, &watcher, now) != old_shown {
                notices.extend(self.watchers.handle_change_for(user, &watcher, now));
            }
            self.tell_watchers(Package::Presence, &notices, None, now);
        }
        self.check_edges(user, None, now);
    }

    /// Rules begin and end to be valid.
    pub(super) fn time_out_rules(&mut self, now: Instant) {
        if self.rules.due.is_none_or(|due| due > now) {
            return;
        }
        let is_due = |rules: &UserRules| rules.due.is_some_and(|due| due <= now);
        let due = self.rules.by_user.iter().filter(|(_, rules)| is_due(rules));
        let due: Vec<(String, Instant)> = due.map(|(user, rules)| (user.clone(), rules.looked_at)).collect();
        for (user, looked_at) in due {
            let before = self.granted(&user, looked_at);
            if let Some(rules) = self.rules.by_user.get_mut(&user) {
                (rules.looked_at, rules.due) = (now, rules.ruleset.next_change(now));
                rules.known.borrow_mut().clear();
            }
            self.obey(&user, before, now);
        }
        self.rules.settle();
    }
}
