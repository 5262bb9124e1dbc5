//! Answers challenges to NOTIFYs. These go to whoever watches, and a stranger may refuse one with any challenge: so no
//! NOTIFY has credentials that nobody has asked for (but the last of a page that goes away, for its proxy), none has a token, and a challenge to one leaves nothing behind
//! (RFC 3856 §9.3, §9.4).

use super::{Asker, Attempt, Authentication, Credentials, Session, Verdict, algorithm, fits};
use crate::agent::FailureCode;
use crate::random::Random;
use crate::sip::auth::{Challenge, Qop};
use crate::sip::{Message, Name, Uri};

impl Attempt {
    /// Of a NOTIFY to somebody who may want proof of who sends it, at this host; `None`: who may not.
    pub(in crate::agent) fn of_notify(watcher: Option<String>) -> Self {
        Self { watcher, ..Self::default() }
    }

    /// The same, of a NOTIFY that was kept for this connection. It is not kept for another.
    pub(in crate::agent) fn of_late_notify(watcher: Option<String>) -> Self {
        Self { watcher, late: true, ..Self::default() }
    }

    /// Whether the NOTIFY was kept for this connection.
    pub(in crate::agent) const fn is_late(&self) -> bool {
        self.late
    }

    /// The host of the watcher, if it may want proof.
    pub(in crate::agent) fn watcher(&self) -> Option<&str> {
        self.watcher.as_deref()
    }
}

impl Session {
    /// Whether a proxy has challenged the user's own requests, and no answer to it can be looked up in a table: a nonce
    /// of ours is in it.
    fn is_of_proxy(&self) -> bool {
        self.asker == Asker::Proxy && !self.challenge.qop.is_empty() && algorithm(&self.challenge).is_some()
    }
}

impl Authentication {
    /// What to do about a NOTIFY that was refused with 401 or 407: where it is sent again, [`Self::prove`] puts the answer on
    /// it. A watcher, known to be at the host `watcher`, and a proxy are answered once each.
    pub(in crate::agent) fn handle_notify_challenge(
        &self,
        response: &Message,
        watcher: Option<&str>,
        attempt: &mut Attempt,
    ) -> Verdict {
        let no = Verdict::GiveUp(FailureCode::Unauthorized);
        let asker = if response.status() == Some(407) { Asker::Proxy } else { Asker::Server };
        if attempt.proofs.iter().any(|proof| proof.asker == asker) {
            return no;
        }
        let may_answer = |challenge: &Challenge| match asker {
            Asker::Server => self.may_prove_to(watcher, challenge),
            Asker::Proxy => self.has_met(challenge),
        };
        let has_answer = |challenge: &Challenge| {
            self.user(&challenge.realm).is_some_and(|(_, secret)| fits(secret, challenge))
        };
        let challenges = response.challenges(&asker.challenge_header());
        let is_digest = |challenge: &Challenge| algorithm(challenge).is_some();
        let found = challenges.into_iter().find(|c| is_digest(c) && may_answer(c) && has_answer(c));
        let Some(mut challenge) = found else { return no };
        match (asker, self.proxy_challenges) {
            (Asker::Server, _) => challenge.qop = vec![Qop::AuthInt],
            (Asker::Proxy, None) => return Verdict::Hold,
            (Asker::Proxy, Some(false)) => return no,
            (Asker::Proxy, Some(true)) => {}
        }
        attempt.proofs.push(Session { asker, domain: String::new(), challenge, count: 0 });
        Verdict::Retry
    }

    /// What a NOTIFY to the user's own address got, which meets nobody but the own server: whether its proxy is who
    /// challenges NOTIFYs.
    pub(in crate::agent) fn learn_of_proxy(&mut self, response: Option<&Message>) {
        let challenged = response.filter(|response| response.status() == Some(407));
        let challenges = challenged.map(|response| response.challenges(&Name::ProxyAuthenticate));
        self.proxy_challenges = Some(challenges.into_iter().flatten().any(|c| self.has_met(&c)));
    }

    /// Another connection may lead to another proxy.
    pub(in crate::agent) const fn forget_proxy(&mut self) {
        self.proxy_challenges = None;
    }

    /// A watcher gets what covers the document too, and is good in its own domain alone. The application is not asked.
    fn may_prove_to(&self, watcher: Option<&str>, challenge: &Challenge) -> bool {
        matches!(self.credentials, Credentials::Fixed { .. })
            && watcher.is_some_and(|host| host.eq_ignore_ascii_case(&challenge.realm))
            && challenge.qop.contains(&Qop::AuthInt)
    }

    /// A watcher can send 407 as well: what is answered is a proxy that has challenged the user's own requests, with no
    /// weaker algorithm, and with a nonce of ours in the answer. See `audience/probe.rs` for who it is from.
    fn has_met(&self, challenge: &Challenge) -> bool {
        let is_same = |session: &Session| {
            session.is_of_proxy()
                && session.challenge.realm == challenge.realm
                && algorithm(&session.challenge) == algorithm(challenge)
        };
        !challenge.qop.is_empty() && self.sessions.iter().any(is_same)
    }

    /// Puts the answers to the challenges of this NOTIFY on it, and nothing else.
    /// But where the page goes away, the proxy of the user's own requests is answered from the start: nobody will be there
    /// for its challenge.
    pub(in crate::agent) fn prove(
        &mut self,
        notify: &mut Message,
        attempt: &mut Attempt,
        random: &mut Random,
    ) {
        let Some(uri) = notify.request_uri().map(Uri::text) else { return };
        if self.hurries && self.proxy_challenges == Some(true) {
            let mut sessions = core::mem::take(&mut self.sessions);
            for session in sessions.iter_mut().filter(|session| session.is_of_proxy()) {
                if let Some((name, row)) = self.row(session, notify, &uri, random) {
                    notify.push(name, row);
                }
            }
            self.sessions = sessions;
        }
        for proof in &mut attempt.proofs {
            if let Some((name, row)) = self.row(proof, notify, &uri, random) {
                notify.push(name, row);
            }
        }
    }
}
