//! The page as presence agent: it takes SUBSCRIBEs for its own user, and says who sees what (RFC 3856 §6.6, §6.7;
//! RFC 3857; RFC 5025 §3.2.1).
//!
//! ```text
//!   SUBSCRIBE ──> who is it? ──> is it said what they get? ──yes──> answer, NOTIFY
//!                    │ 401                │ no
//!                                         └──> ask the application: at once ──> the same
//!                                                                   later ────> 200, pending; then what is decided
//! ```
//!
//! A request is checked in this order: dialog (481) or address (404), identity (401), Require (420), package (489),
//! body (415), Accept (406), length of life (423), policy (403). May use: `event`, `presence`, `sip`, `random`, `time`.

mod documents;
mod identity;
mod probe;
mod requests;
mod winfo;

pub use identity::Identities;

use super::authentication::{Attempt, Verdict};
use super::requests::Job;
use super::{Agent, Event, Failure, FailureCode, Output};
use crate::dialog;
use crate::event::partial::Forms;
use crate::event::watchers::{Changes, Limits, Notice, Row, WatcherId};
use crate::event::{Decision, Watchers};
use crate::presence::partial::{self, PIDF_DIFF};
use crate::presence::{PIDF, winfo as watcherinfo};
use crate::random::Random;
use crate::sip::auth::{Algorithm, Verifier};
use crate::sip::{Message, Name, Reason, Substate, Uri};
use crate::time::{Duration, Instant, earliest};
use litemap::LiteMap;
use requests::Question;

/// Partial presence (RFC 5262).
const PRESENCE: Forms =
    Forms { whole: PIDF, changes: PIDF_DIFF, full: partial::full, produce: partial::produce };
/// Watcher information has one form for both, and says inside which it is.
const WINFO: Forms =
    Forms { whole: watcherinfo::WATCHERINFO, changes: "", full: |_, _| None, produce: |_, _, _| None };

/// Policies and answers that are remembered at most.
const MOST_POLICIES: usize = 10_000;

/// The packages of a SUBSCRIBE, and of the NOTIFYs for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Package {
    Presence,
    Winfo,
}

/// Who may ask for this user's presence, and how it is known who they are.
#[derive(Clone, Debug)]
pub struct Audience {
    /// How it is known who a watcher is.
    pub identities: Identities,
    /// How many watchers are too many.
    pub limits: Limits,
    /// Shortest life of a subscription, in seconds.
    pub min_expires: u32,
    /// Longest life, in seconds.
    pub max_expires: u32,
    /// Between two notifications of changes to one watcher, at least (RFC 3856 §6.10).
    pub interval: Duration,
    /// How long a nonce is good.
    pub nonce_lifetime: Duration,
}

impl Audience {
    /// The defaults.
    #[must_use]
    pub fn new(identities: Identities) -> Self {
        Self {
            identities,
            limits: Limits::default(),
            min_expires: 60,
            max_expires: 3600,
            interval: Duration::from_secs(5),
            nonce_lifetime: Duration::from_secs(300),
        }
    }
}

/// The last NOTIFY of a subscription that has ended while there was no connection; see [`Agent::may_want_proof`] too.
struct Late {
    package: Package,
    id: WatcherId,
    notify: Message,
    watcher: Option<String>,
}

/// The presence agent of a page.
pub(super) struct Presentity {
    audience: Audience,
    /// The application knows that the server answers watchers itself.
    told_not_asked: bool,
    verifier: Verifier,
    watchers: Watchers,
    /// The user's own subscriptions to who watches.
    winfo: Watchers,
    tables: LiteMap<WatcherId, Changes>,
    /// By address.
    policies: LiteMap<String, Decision>,
    /// Since when those who are blocked politely see the user offline: it must not move, whatever is published.
    polite: LiteMap<String, Instant>,
    /// Answers that came when the watcher was gone: for its next SUBSCRIBE.
    answers: LiteMap<String, Decision>,
    questions: Vec<Question>,
    /// Last NOTIFYs that wait for a connection.
    late: Vec<Late>,
    /// NOTIFYs that were refused with 407: see `probe.rs`.
    held: Vec<(Box<Job>, Message)>,
    /// What the application was told last of who watches is not true any more.
    changed: bool,
    listened_to: bool,
    /// Nothing was published before.
    offline_since: Instant,
}

impl Presentity {
    pub(super) fn new(audience: Audience, realm: &str, random: &mut Random, now: Instant) -> Self {
        let secret = [random.token(), random.token()].concat();
        let algorithms = vec![Algorithm::Sha256, Algorithm::Md5];
        Self {
            verifier: Verifier::new(realm.to_owned(), secret, algorithms, audience.nonce_lifetime),
            watchers: Watchers::new(&PRESENCE, audience.limits),
            winfo: Watchers::new(&WINFO, Limits { watchers: 20, of_one: 20, ..audience.limits }),
            audience,
            told_not_asked: false,
            tables: LiteMap::new(),
            policies: LiteMap::new(),
            polite: LiteMap::new(),
            answers: LiteMap::new(),
            questions: Vec::new(),
            late: Vec::new(),
            held: Vec::new(),
            changed: false,
            listened_to: false,
            offline_since: now,
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let questions = self.questions.iter().filter_map(Question::poll_timeout).min();
        earliest(earliest(self.watchers.poll_timeout(), self.winfo.poll_timeout()), questions)
    }

    fn keep(&mut self, late: Late) {
        if self.late.len() < self.audience.limits.watchers {
            self.late.push(late);
        }
    }

    const fn set(&mut self, package: Package) -> &mut Watchers {
        match package {
            Package::Presence => &mut self.watchers,
            Package::Winfo => &mut self.winfo,
        }
    }
}

impl Agent {
    /// Tells once that the server has taken a publication: then it answers watchers by itself (RFC 3903 §3).
    pub(super) fn tell_not_asked(&mut self) {
        let told = self.presentity.as_mut().map(|presentity| &mut presentity.told_not_asked);
        if told.is_some_and(|told| !core::mem::replace(told, true)) {
            self.tell(Event::Error(Failure::new(FailureCode::NotAsked)));
        }
    }

    /// Whether the server does not know yet that this page is a presence agent: it would take a publication, and show it
    /// to whom it likes. One that it has is renewed and withdrawn all the same.
    pub(super) fn waits_to_be_asked(&self, now: Instant) -> bool {
        let is_first = self.presentity.is_some() && self.publication.publisher.tag().is_empty();
        let registration = self.registration.as_ref().filter(|_| is_first);
        registration.is_some_and(|registration| registration.is_awaited(now))
    }

    /// From now on `uri` gets this, whatever the application would answer; those who watch already at once. Whether
    /// there was room for it: otherwise, and where nobody can watch, nothing is changed.
    pub fn set_policy(&mut self, uri: &Uri, decision: Decision, now: Instant) -> bool {
        let uri = uri.canonical();
        let Some(presentity) = &mut self.presentity else { return false };
        if presentity.policies.len() >= MOST_POLICIES && !presentity.policies.contains_key(&uri) {
            return false;
        }
        presentity.policies.insert(uri.clone(), decision);
        presentity.answers.remove(&uri);
        presentity.note_decision(&uri, decision, now);
        presentity.questions.retain(|question| !question.is_settled_by(&uri));
        let notices = presentity.watchers.decide("", &uri, decision, now);
        self.tell_watchers(Package::Presence, &notices, None, now);
        self.run(now);
        true
    }

    /// Who watches, now and on each change from now on, by [`Event::Watchers`].
    pub fn listen(&mut self) {
        let Some(presentity) = &mut self.presentity else { return };
        presentity.listened_to = true;
        presentity.changed = true;
        self.tell_list();
    }

    /// Who watches.
    #[must_use]
    pub fn watchers(&self) -> Vec<Row> {
        self.presentity.iter().flat_map(|presentity| presentity.watchers.rows("")).collect()
    }

    /// Something else is published, or nothing.
    pub(super) fn handle_own_change(&mut self, now: Instant) {
        let is_published = self.publication.document.is_some();
        let Some(presentity) = &mut self.presentity else { return };
        if !is_published {
            presentity.offline_since = now;
        }
        let notices = presentity.watchers.handle_change("", now);
        self.tell_watchers(Package::Presence, &notices, None, now);
    }

    pub(super) fn time_out_watchers(&mut self, now: Instant) {
        self.time_out_questions(now);
        for package in [Package::Presence, Package::Winfo] {
            let Some(presentity) = &mut self.presentity else { return };
            let notices = presentity.set(package).handle_timeout(now);
            self.tell_watchers(package, &notices, None, now);
        }
    }

    /// Ends all subscriptions: the watchers may look for another presence agent (RFC 6665 §4.1.3).
    pub(super) fn leave_watchers(&mut self, now: Instant) {
        self.refuse_held(now);
        for package in [Package::Presence, Package::Winfo] {
            let Some(presentity) = &mut self.presentity else { return };
            let notices = presentity.set(package).end(&Reason::Deactivated, None);
            self.tell_watchers(package, &notices, None, now);
            self.share_news(now);
        }
    }

    /// A NOTIFY was lost with the connection: over the next, what is true then is told again; a refusal once more.
    pub(super) fn lose_notify(
        &mut self,
        package: Package,
        id: WatcherId,
        notify: &Message,
        attempt: &Attempt,
    ) {
        let Some(presentity) = &mut self.presentity else { return };
        let state = notify.subscription_state().ok().flatten();
        if matches!(state.and_then(|state| state.reason), Some(Reason::Rejected | Reason::Giveup)) {
            let number = notify.cseq().map_or(1, |cseq| cseq.number.saturating_add(1));
            let watcher = attempt.watcher().map(str::to_owned);
            if !attempt.is_late() {
                presentity.keep(Late { package, id, notify: dialog::retry(notify, number), watcher });
            }
            return;
        }
        presentity.set(package).miss(id);
    }

    pub(super) fn lose_watchers(&mut self) {
        if let Some(presentity) = &mut self.presentity {
            presentity.watchers.handle_disconnected();
            presentity.winfo.handle_disconnected();
        }
        self.forget_proxy();
    }

    /// The connection is back.
    pub(super) fn regain_watchers(&mut self, now: Instant) {
        let late = self.presentity.as_mut().map(|presentity| core::mem::take(&mut presentity.late));
        for Late { package, id, notify, watcher } in late.into_iter().flatten() {
            self.send_notify(package, id, notify, Attempt::of_late_notify(watcher), now);
        }
        for package in [Package::Presence, Package::Winfo] {
            let Some(presentity) = &mut self.presentity else { return };
            let notices = presentity.set(package).handle_connected();
            self.tell_watchers(package, &notices, None, now);
        }
    }

    /// Sends what is due; `subscribe` is the request that it follows.
    fn tell_watchers(
        &mut self,
        package: Package,
        notices: &[Notice],
        subscribe: Option<&Message>,
        now: Instant,
    ) {
        let online = self.link.is_online();
        for notice in notices {
            // Whoever still watches is told what is true when the connection is back.
            if !online && notice.end.is_none() {
                let Some(presentity) = &mut self.presentity else { return };
                presentity.set(package).miss(notice.id);
                continue;
            }
            let document = self.document(package, notice, now);
            let watcher = self.may_want_proof(package, notice.id);
            let Some(presentity) = &mut self.presentity else { return };
            let Some((_, mut notify)) = presentity.set(package).tell(notice, document, subscribe, now) else {
                continue;
            };
            if package == Package::Winfo && notice.end.is_some() {
                presentity.tables.remove(&notice.id);
            }
            notify.push(Name::AllowEvents, EVENTS);
            let expired = matches!(notice.end, Some((Reason::Timeout, _)));
            if online {
                self.send_notify(package, notice.id, notify, Attempt::of_notify(watcher), now);
            } else if !expired {
                presentity.keep(Late { package, id: notice.id, notify, watcher });
            }
        }
    }

    /// The final response to a NOTIFY, `None` for none in time.
    pub(super) fn handle_notified(
        &mut self,
        package: Package,
        id: WatcherId,
        response: Option<&Message>,
        now: Instant,
    ) {
        let Some(presentity) = &mut self.presentity else { return };
        let notice = presentity.set(package).handle_answer(id, response, now);
        // What was too much for one document follows when that was taken.
        let taken = matches!(response.and_then(Message::status), Some(200..=299));
        let cut = package == Package::Winfo && presentity.tables.get(&id).is_some_and(Changes::is_cut);
        let notice = notice.or_else(|| presentity.set(package).more(id).filter(|_| taken && cut));
        self.tell_watchers(package, notice.as_slice(), None, now);
    }

    /// The host of a watcher, if the user may prove to it who notifies: only to who sees everything, since an answer
    /// helps to guess the password.
    fn may_want_proof(&mut self, package: Package, id: WatcherId) -> Option<String> {
        let set = self.presentity.as_mut()?.set(package);
        let (uri, _, _) = set.who(id).filter(|_| set.decision(id) == Some(Decision::Allow))?;
        Uri::parse(uri).ok().map(|uri| uri.host.clone())
    }

    /// What to do about a NOTIFY that was refused with 401 or 407.
    pub(super) fn judge_notify(
        &mut self,
        package: Package,
        id: WatcherId,
        response: &Message,
        attempt: &mut Attempt,
    ) -> Verdict {
        let decision = self.presentity.as_mut().and_then(|presentity| presentity.set(package).decision(id));
        // Of who is gone it was known when it was told.
        let allowed = decision.is_none_or(|decision| decision == Decision::Allow);
        let watcher = attempt.watcher().filter(|_| allowed).map(str::to_owned);
        self.authentication.handle_notify_challenge(response, watcher.as_deref(), attempt)
    }

    /// Instead of a NOTIFY that was challenged: what is true now, with the next CSeq. `None` if something newer has been
    /// told since. Watcher information is told as it was: each document builds on the one before.
    pub(super) fn renotify(
        &mut self,
        package: Package,
        id: WatcherId,
        notify: &Message,
        now: Instant,
    ) -> Option<Message> {
        let number = notify.cseq().ok()?.number;
        let state = notify.subscription_state().ok().flatten();
        if state.is_some_and(|state| state.state == Substate::Terminated) {
            // Nothing comes after it.
            return Some(dialog::retry(notify, number.saturating_add(1)));
        }
        let mut next = match package {
            Package::Presence => {
                let notice = self.presentity.as_mut()?.watchers.again(id, number)?;
                let document = self.document(package, &notice, now);
                self.presentity.as_mut()?.watchers.tell(&notice, document, None, now)?.1
            }
            Package::Winfo => self.presentity.as_mut()?.winfo.repeat(id, notify, now)?,
        };
        next.push(Name::AllowEvents, EVENTS);
        Some(next)
    }

    /// Tells the changes of rows to those who watch the watchers, and to the application.
    pub(super) fn share_news(&mut self, now: Instant) {
        let Some(presentity) = &mut self.presentity else { return };
        let news = presentity.watchers.news();
        // Nobody watches who watches the watchers.
        for row in presentity.winfo.news() {
            if presentity.winfo.is_gone(row.id) {
                presentity.tables.remove(&row.id);
            }
        }
        if news.is_empty() {
            return self.tell_list();
        }
        presentity.changed = true;
        for (_, table) in presentity.tables.iter_mut() {
            for row in &news {
                table.note(row);
            }
        }
        let notices = presentity.winfo.handle_change("", now);
        self.tell_watchers(Package::Winfo, &notices, None, now);
        self.tell_list();
    }

    fn tell_list(&mut self) {
        let Some(presentity) = &mut self.presentity else { return };
        if presentity.listened_to && core::mem::take(&mut presentity.changed) {
            let rows = presentity.watchers.rows("").collect();
            self.output(Output::Event(Event::Watchers(rows)));
        }
    }
}

/// The packages that are served.
pub(super) const EVENTS: &str = "presence, presence.winfo";
