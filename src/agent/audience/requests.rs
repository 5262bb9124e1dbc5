//! SUBSCRIBEs, and the questions to the application that they raise.

use super::identity::Identity;
use super::{EVENTS, Package};
use crate::agent::{Agent, Event, QuestionId};
use crate::event::Decision;
use crate::event::watchers::{Admission, Changes, Notice, holds};
use crate::presence::partial::PIDF_DIFF;
use crate::presence::{PIDF, winfo::WATCHERINFO};
use crate::sip::auth::Denied;
use crate::sip::{Known, Message, Name, Params, Scheme, Uri};
use crate::time::{Duration, Instant};

/// What is granted to a watcher that does not say for how long (RFC 3856 §6.4).
const DEFAULT_EXPIRES: u32 = 3600;

/// The application was asked what somebody gets.
pub(super) struct Question {
    id: QuestionId,
    uri: String,
    /// The request, until it is known whether the answer comes at once: nobody may wait for people
    /// (RFC 6665 §4.2.1.1).
    held: Option<(Message, Option<String>, Instant)>,
    /// Nobody waits for the answer any more.
    until: Instant,
}

impl Question {
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        Some(self.held.as_ref().map_or(self.until, |(_, _, at)| *at))
    }

    /// Whether it is about `uri`, and its request has been answered already.
    pub(super) fn is_settled_by(&self, uri: &str) -> bool {
        self.uri == uri && self.held.is_none()
    }
}

impl Agent {
    pub(in crate::agent) fn handle_subscribe(&mut self, request: &Message, now: Instant) {
        let result = match request.to().is_ok_and(|to| to.tag().is_some()) {
            true => self.take_refresh(request, now),
            false => self.take_subscribe(request, now),
        };
        if let Err(status) = result {
            self.refuse_subscribe(request, status, now);
        }
    }

    fn refuse_subscribe(&mut self, request: &Message, status: u16, now: Instant) {
        let stale = status == STALE;
        if stale || status == 401 {
            let salt = self.random.token();
            let Some(presentity) = &self.presentity else { return };
            let rows = presentity.verifier.challenges(stale, &salt, now);
            let rows: Vec<(Known, &str)> =
                rows.iter().map(|row| (Known::WwwAuthenticate, row.as_str())).collect();
            return self.answer(request, 401, &rows);
        }
        let least = self.presentity.as_ref().map_or(0, |p| p.audience.min_expires).to_string();
        let unsupported: Vec<&str> = request.list(&Name::Require).collect();
        let unsupported = unsupported.join(", ");
        let accept = match package(request) {
            Some(Package::Winfo) => WATCHERINFO,
            Some(Package::Presence) | None => PRESENCE_FORMS,
        };
        let headers: &[(Known, &str)] = match status {
            406 => &[(Known::Accept, accept)],
            // No body means anything to us.
            415 => &[(Known::Accept, "")],
            420 => &[(Known::Unsupported, &unsupported)],
            423 => &[(Known::MinExpires, &least)],
            489 => &[(Known::AllowEvents, EVENTS)],
            503 => &[(Known::RetryAfter, "60")],
            _ => &[],
        };
        self.answer(request, status, headers);
    }

    /// What every SUBSCRIBE is checked for, once it is known what it belongs to: who sends it, and what is granted.
    fn check(&mut self, request: &Message, now: Instant) -> Result<(Identity, Package, u32), u16> {
        let identity = self.identify(request, now).map_err(|denied| match denied {
            Denied::Challenge => 401_u16,
            Denied::Stale => STALE,
        })?;
        if request.list(&Name::Require).next().is_some() {
            return Err(420);
        }
        request.event().map_err(|_| 400_u16)?;
        let package = package(request).ok_or(489_u16)?;
        let optional = request.header(&Name::ContentDisposition).is_some_and(|disposition| {
            disposition.to_ascii_lowercase().replace(' ', "").contains(";handling=optional")
        });
        if !request.body.is_empty() && !optional {
            return Err(415);
        }
        let accepted = match package {
            Package::Presence => request.accepts(PIDF, PIDF) || request.accepts(PIDF_DIFF, PIDF),
            Package::Winfo => request.accepts(WATCHERINFO, WATCHERINFO),
        };
        if !accepted {
            return Err(406);
        }
        let audience = self.presentity.as_ref().map(|p| &p.audience).ok_or(481_u16)?;
        let asked = request.expires().unwrap_or(DEFAULT_EXPIRES);
        // An hour is never too short (RFC 6665 §4.2.1.1).
        if asked > 0 && asked < audience.min_expires && asked < 3600 {
            return Err(423);
        }
        Ok((identity, package, asked.min(audience.max_expires)))
    }

    /// Whether a request outside a dialog is for this page: for its user, or for the address that was registered.
    fn is_for_us(&self, uri: &Uri, now: Instant) -> bool {
        let is_own = |own: &Uri| own.user == uri.user && own.host.eq_ignore_ascii_case(&uri.host);
        let gruu = self.gruu(now).and_then(|gruu| Uri::parse(gruu.trim_matches(['<', '>'])).ok());
        matches!(uri.scheme, Scheme::Sip | Scheme::Sips | Scheme::Pres)
            && (uri.address_of_record() == self.config.aor.address_of_record()
                || is_own(&self.contact.uri)
                || gruu.is_some_and(|gruu| is_own(&gruu)))
    }

    fn take_subscribe(&mut self, request: &Message, now: Instant) -> Result<(), u16> {
        let uri = request.request_uri().ok_or(400_u16)?;
        if !self.is_for_us(uri, now) {
            return Err(404);
        }
        if self.is_closing() {
            return Err(480);
        }
        let (identity, package, _) = self.check(request, now)?;
        let is_own = identity.uri == self.config.aor.canonical();
        let presentity = self.presentity.as_mut().ok_or(404_u16)?;
        let decision = match package {
            Package::Winfo if is_own => Some(Decision::Allow),
            // RFC 3857 §4.6 would show others their own row, which they know.
            Package::Winfo => Some(Decision::Block),
            Package::Presence if is_own => Some(Decision::Allow),
            Package::Presence => presentity
                .policies
                .get(&identity.uri)
                .copied()
                .or_else(|| presentity.answers.get(&identity.uri).copied()),
        };
        let asked = presentity.questions.iter().any(|question| question.uri == identity.uri);
        match decision {
            Some(decision) => {
                let uri = identity.uri.clone();
                let result = self.admit(request, package, identity, decision, now);
                // An answer that came late counts once; a request that could not be served has not used it up.
                if let Some(presentity) =
                    self.presentity.as_mut().filter(|_| matches!(result, Ok(()) | Err(403)))
                {
                    presentity.answers.remove(&uri);
                }
                result
            }
            None if asked => self.admit(request, package, identity, Decision::Confirm, now),
            None => self.ask_about(request, identity, now),
        }
    }

    fn ask_about(&mut self, request: &Message, identity: Identity, now: Instant) -> Result<(), u16> {
        self.next_id = self.next_id.wrapping_add(1);
        let id = QuestionId(self.next_id);
        let presentity = self.presentity.as_mut().ok_or(404_u16)?;
        if presentity.questions.len() >= presentity.audience.limits.undecided {
            return Err(503);
        }
        let Identity { uri, display } = identity;
        let held = Some((request.clone(), display.clone(), now));
        let until = now + presentity.audience.limits.giveup;
        presentity.questions.push(Question { id, uri: uri.clone(), held, until });
        self.tell(Event::Asked { question: id, uri, display });
        Ok(())
    }

    /// Answers [`Event::Asked`], and can do so twice: `None` says that the answer comes later.
    pub fn answer_question(&mut self, id: QuestionId, answer: Option<Decision>, now: Instant) {
        let Some(presentity) = &mut self.presentity else { return };
        let Some(at) = presentity.questions.iter().position(|question| question.id == id) else { return };
        let question = &mut presentity.questions[at];
        let (held, uri) = (question.held.take(), question.uri.clone());
        // What was said of somebody while the question was asked is the answer.
        let policy = presentity.policies.get(&uri).copied();
        let answer = policy.or(answer);
        if answer.is_some() {
            presentity.questions.remove(at);
        }
        let decision = answer.unwrap_or(Decision::Confirm);
        if let Some((request, display, _)) = held {
            let identity = Identity { uri, display };
            if let Err(status) = self.admit(&request, Package::Presence, identity, decision, now) {
                self.refuse_subscribe(&request, status, now);
            }
        } else if answer.is_some() {
            let Some(presentity) = &mut self.presentity else { return };
            let gone = !presentity.watchers.has_dialog(&uri);
            if gone && decision != Decision::Confirm && presentity.answers.len() < super::MOST_POLICIES {
                presentity.answers.insert(uri.clone(), decision);
            }
            let notices = presentity.watchers.decide("", &uri, decision, now);
            self.tell_watchers(Package::Presence, &notices, None, now);
        }
        self.run(now);
    }

    /// The page goes away: whoever it is asked about right now is not taken. What is answered to the questions counts for
    /// their next requests.
    pub(super) fn refuse_held(&mut self, now: Instant) {
        let questions = self.presentity.iter_mut().flat_map(|presentity| &mut presentity.questions);
        let held: Vec<Message> =
            questions.filter_map(|question| question.held.take()).map(|(request, _, _)| request).collect();
        for request in held {
            self.refuse_subscribe(&request, 480, now);
        }
    }

    /// Nobody has answered at once.
    pub(super) fn time_out_questions(&mut self, now: Instant) {
        let Some(presentity) = &self.presentity else { return };
        let held = |question: &&Question| question.held.as_ref().is_some_and(|(_, _, at)| *at <= now);
        let due: Vec<QuestionId> = presentity.questions.iter().filter(held).map(|q| q.id).collect();
        for id in due {
            self.answer_question(id, None, now);
        }
        if let Some(presentity) = &mut self.presentity {
            presentity.questions.retain(|question| question.held.is_some() || question.until > now);
        }
    }

    fn admit(
        &mut self,
        request: &Message,
        package: Package,
        identity: Identity,
        decision: Decision,
        now: Instant,
    ) -> Result<(), u16> {
        let tag = self.random.token();
        let entity = self.entity(request);
        let contact = self.contact.clone();
        let presentity = self.presentity.as_mut().ok_or(404_u16)?;
        let asked = request.expires().unwrap_or(DEFAULT_EXPIRES);
        let expires = asked.min(presentity.audience.max_expires);
        let interval = presentity.audience.interval;
        let admission = Admission {
            subscribe: request,
            tag: &tag,
            contact,
            uri: identity.uri,
            display: identity.display,
            resource: String::new(),
            entity,
            decision,
            expires: Duration::from_secs(u64::from(expires)),
            interval,
            connection: 0,
        };
        let notice = presentity.set(package).admit(admission, now)?;
        if package == Package::Winfo {
            presentity.tables.insert(notice.id, Changes::default());
        }
        self.accept_subscribe(request, &tag, 200, expires, now);
        self.tell_watchers(package, &[notice], Some(request), now);
        Ok(())
    }

    /// The presentity as the watcher wrote it: the Request-URI may be the contact that it was routed to.
    fn entity(&self, request: &Message) -> String {
        let own = self.config.aor.address_of_record();
        let mut uri = match request.to() {
            Ok(to) if to.uri.address_of_record() == own => to.uri,
            Ok(_) | Err(_) => self.config.aor.clone(),
        };
        uri.params = Params::new();
        uri.to_string()
    }

    fn take_refresh(&mut self, request: &Message, now: Instant) -> Result<(), u16> {
        let presentity = self.presentity.as_ref().ok_or(481_u16)?;
        let found = [(Package::Presence, &presentity.watchers), (Package::Winfo, &presentity.winfo)]
            .into_iter()
            .find_map(|(package, set)| Some((package, set.find(request)?)));
        let (package, id) = found.ok_or(481_u16)?;
        let (identity, _, expires) = self.check(request, now)?;
        let presentity = self.presentity.as_mut().ok_or(481_u16)?;
        if presentity.set(package).who(id).is_none_or(|(uri, _, _)| uri != identity.uri) {
            return Err(403);
        }
        let span = Duration::from_secs(u64::from(expires));
        let notice = presentity.set(package).handle_subscribe(id, request, span, 0, now)?;
        // The list says when it ends.
        presentity.changed = true;
        let tag = request.to().ok().and_then(|to| to.tag().map(str::to_owned)).unwrap_or_default();
        if self.suppresses(package, &notice, request, now) {
            self.accept_subscribe(request, &tag, 204, expires, now);
        } else {
            self.accept_subscribe(request, &tag, 200, expires, now);
            self.tell_watchers(package, &[notice], Some(request), now);
        }
        Ok(())
    }

    /// Whether the watcher has everything already and wants no NOTIFY then (RFC 5839 §6.3). Watcher information has a
    /// version, so that no document is there twice.
    fn suppresses(&mut self, package: Package, notice: &Notice, request: &Message, now: Instant) -> bool {
        if package == Package::Winfo || request.header(&Name::SuppressIfMatch).is_none() {
            return false;
        }
        let document = self.document(package, notice, now);
        let holds = holds(request, document.as_deref());
        if let Some(presentity) = self.presentity.as_mut().filter(|_| holds) {
            presentity.watchers.suppress(notice, request);
        }
        holds
    }

    fn accept_subscribe(&mut self, request: &Message, tag: &str, status: u16, expires: u32, now: Instant) {
        let expires = expires.to_string();
        let contact = self.gruu(now).map_or_else(|| self.contact.to_string(), str::to_owned);
        let routes: Vec<String> = request.rows(&Name::RecordRoute).map(str::to_owned).collect();
        let mut headers: Vec<(Known, &str)> =
            routes.iter().map(|r| (Known::RecordRoute, r.as_str())).collect();
        headers.push((Known::Contact, &contact));
        headers.push((Known::Expires, &expires));
        headers.push((Known::AllowEvents, EVENTS));
        self.answer_with_tag(request, status, tag, &headers);
    }
}

/// 401 with `stale=true`.
const STALE: u16 = 1401;

/// What presence is written in.
const PRESENCE_FORMS: &str = "application/pidf+xml, application/pidf-diff+xml";

/// The package that `request` names.
fn package(request: &Message) -> Option<Package> {
    match request.event().ok().flatten()?.package.as_str() {
        "presence" => Some(Package::Presence),
        "presence.winfo" => Some(Package::Winfo),
        _ => None,
    }
}
