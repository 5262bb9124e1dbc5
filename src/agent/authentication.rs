//! Answers challenges (RFC 3261 §22, RFC 7616, RFC 8760, RFC 8898) and remembers nonces, so that later requests carry their
//! credentials from the start.

#[cfg(feature = "full")]
mod notify;

use super::{Credentials, FailureCode};
use crate::pieces::concat;
use crate::random::Random;
use crate::sip::auth::{Algorithm, AuthenticationInfo, Challenge, DigestCredentials, Protected, Secret};
use crate::sip::{Message, Name};
use crate::time::{Duration, Instant};

/// Answers to one request at most, over all realms (RFC 3261 §22.1).
const MOST_ANSWERS: usize = 4;
/// The scheme of challenges that want a token (RFC 8898 §4).
const BEARER: &str = "bearer";
/// What stands before a token in a row of credentials (RFC 6750 §2.1).
const BEARER_PREFIX: &str = "Bearer ";
/// Realms remembered at most.
const MOST_SESSIONS: usize = 16;
/// How long fixed credentials that were refused, and have never been taken, are not sent again: a page with many watches
/// must not lock its user out.
const PAUSE: Duration = Duration::from_secs(60);
/// Fresh nonces for one request at most.
const MOST_STALE: usize = 2;

/// Who asks: a user agent server or registrar (401), or a proxy (407).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asker {
    Server,
    Proxy,
}

impl Asker {
    const fn challenge_header(self) -> Name {
        match self {
            Self::Server => Name::WwwAuthenticate,
            Self::Proxy => Name::ProxyAuthenticate,
        }
    }

    const fn credentials_header(self) -> Name {
        match self {
            Self::Server => Name::Authorization,
            Self::Proxy => Name::ProxyAuthorization,
        }
    }
}

/// The challenges that one request has had answered: who asked for which realm, and with which answer of the
/// application that was done.
#[derive(Clone, Debug, Default)]
pub(super) struct Attempt {
    answered: Vec<(Asker, String, u32)>,
    stale: usize,
    /// Tokens that were refused.
    refused: usize,
    /// See `notify.rs`.
    #[cfg(feature = "full")]
    watcher: Option<String>,
    #[cfg(feature = "full")]
    late: bool,
    #[cfg(feature = "full")]
    proofs: Vec<Session>,
}

impl Attempt {
    /// The same request, for which the application is asked again.
    pub(super) fn anew(self) -> Self {
        Self { refused: self.refused, ..Self::default() }
    }
}

/// What to do about a 401 or 407.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Send the request again; it gets its credentials on the way.
    Retry,
    /// Ask the application for the credentials of this realm.
    Ask { challenge: Box<Challenge>, algorithms: Vec<&'static str>, refused: Option<(String, Secret)> },
    /// See `audience/probe.rs`.
    #[cfg(feature = "full")]
    Hold,
    /// There is no answer.
    GiveUp(FailureCode),
}

/// What the application answered for a realm.
struct Known {
    realm: String,
    username: String,
    secret: Secret,
    /// Which answer it was, counted over all realms.
    number: u32,
}

/// The last challenge of a realm.
#[derive(Clone, Debug)]
struct Session {
    asker: Asker,
    /// Of whom the request was about. Who can answer requests about others there may be anybody: a row for a server there
    /// is for requests of that domain alone. A proxy is on the way of all.
    domain: String,
    challenge: Challenge,
    count: u32,
}

impl Session {
    fn serves(&self, domain: &str) -> bool {
        self.asker == Asker::Proxy || self.domain == domain
    }
}

/// The credentials, and the nonces they were used with.
pub(super) struct Authentication {
    credentials: Credentials,
    known: Vec<Known>,
    /// Answers of the application so far.
    learned: u32,
    /// Oldest first.
    sessions: Vec<Session>,
    /// The realm whose server has refused the fixed credentials, and until when it is not asked again.
    refused: Option<(String, Instant)>,
    /// NOTIFYs cannot wait for the challenge of a proxy: the page goes away.
    #[cfg(feature = "full")]
    pub(super) hurries: bool,
    /// Whether the proxy of this connection challenges NOTIFYs, once that is known.
    #[cfg(feature = "full")]
    proxy_challenges: Option<bool>,
    /// Credentials have been taken at least once.
    taken: bool,
    /// The authorization servers that are trusted; none where a token would go in the clear.
    trusted: Vec<String>,
    /// The user's own.
    domain: String,
}

impl Authentication {
    pub(super) const fn new(credentials: Credentials, trusted: Vec<String>, domain: String) -> Self {
        Self {
            credentials,
            known: Vec::new(),
            learned: 0,
            sessions: Vec::new(),
            refused: None,
            #[cfg(feature = "full")]
            hurries: false,
            #[cfg(feature = "full")]
            proxy_challenges: None,
            taken: false,
            trusted,
            domain,
        }
    }

    /// Whether a challenge that wants a token names an authorization server that is trusted (RFC 8898 §2.1.1).
    fn is_trusted(&self, challenge: &Challenge) -> bool {
        let named = without_slashes(challenge.authz_server.as_deref().unwrap_or_default());
        self.trusted.iter().any(|trusted| without_slashes(trusted) == named)
    }

    fn user(&self, realm: &str) -> Option<(&str, &Secret)> {
        match &self.credentials {
            Credentials::None => None,
            Credentials::Fixed { username, secret } => Some((username, secret)),
            Credentials::Ask => self.known(realm).map(|known| (known.username.as_str(), &known.secret)),
        }
    }

    fn known(&self, realm: &str) -> Option<&Known> {
        self.known.iter().find(|known| known.realm == realm)
    }

    /// Takes what the application answered for `realm`.
    pub(super) fn learn(&mut self, realm: &str, username: String, secret: Secret) {
        self.forget(realm);
        self.learned = self.learned.wrapping_add(1);
        self.known.push(Known { realm: realm.to_owned(), username, secret, number: self.learned });
        if self.known.len() > MOST_SESSIONS {
            self.known.remove(0);
        }
    }

    fn forget(&mut self, realm: &str) -> Option<(String, Secret)> {
        let at = self.known.iter().position(|known| known.realm == realm)?;
        let known = self.known.remove(at);
        Some((known.username, known.secret))
    }

    /// Puts a row of credentials on `request` for each realm that is known to want one (RFC 3261 §22.2, §22.3). Each
    /// use of a nonce counts up (RFC 7616 §3.4).
    pub(super) fn authorize(&mut self, request: &mut Message, random: &mut Random) {
        let Some(uri) = request.request_uri().map(crate::sip::Uri::text) else { return };
        for asker in [Asker::Server, Asker::Proxy] {
            request.remove(&asker.credentials_header());
        }
        let domain = domain(request);
        let mut sessions = core::mem::take(&mut self.sessions);
        for session in sessions.iter_mut().filter(|session| session.serves(&domain)) {
            if let Some((name, row)) = self.row(session, request, &uri, random) {
                request.push(name, row);
            }
        }
        self.sessions = sessions;
    }

    /// The row of credentials that answers the challenge of `session` once more.
    fn row(
        &self,
        session: &mut Session,
        request: &Message,
        uri: &str,
        random: &mut Random,
    ) -> Option<(Name, String)> {
        let (username, secret) = self.user(&session.challenge.realm)?;
        let header = session.asker.credentials_header();
        if let Secret::Token(token) = secret {
            return (session.challenge.scheme == BEARER).then(|| (header, concat(&[BEARER_PREFIX, token])));
        }
        session.count += 1;
        let method = request.method();
        let protected = Protected { method: method.as_str(), uri, body: &request.body };
        let (challenge, cnonce) = (&session.challenge, random.token());
        let answer =
            DigestCredentials::answer(challenge, username, secret, protected, &cnonce, session.count)?;
        Some((header, answer.text()))
    }

    /// A success may bring the next nonce (RFC 7616 §3.5).
    pub(super) fn handle_success(&mut self, response: &Message) {
        self.taken |= !self.sessions.is_empty();
        let Some(info) = response.header(&Name::AuthenticationInfo) else { return };
        let Some(next) = AuthenticationInfo::parse(info).nextnonce.filter(|next| !next.is_empty()) else {
            return;
        };
        // The header names no realm: it can only be meant for a lone session.
        if let [session] = self.sessions.as_mut_slice() {
            session.challenge.nonce = next;
            session.count = 0;
        }
    }

    /// Decides about a 401 or 407 to `request`.
    pub(super) fn handle_challenge(
        &mut self,
        request: &Message,
        response: &Message,
        attempt: &mut Attempt,
        now: Instant,
    ) -> Verdict {
        let asker = if response.status() == Some(407) { Asker::Proxy } else { Asker::Server };
        let mut challenges = response.challenges(&asker.challenge_header());
        let domain = domain(request);
        // A server elsewhere gets no token, whoever it says has made it (RFC 8898 §2.1.2).
        let is_own = asker == Asker::Proxy || self.domain == domain;
        let wants_token = challenges.iter().any(|challenge| challenge.scheme == BEARER);
        challenges.retain(|challenge| match challenge.scheme == BEARER {
            true => is_own && self.is_trusted(challenge),
            false => algorithm(challenge).is_some(),
        });
        let Some(first) = challenges.first() else {
            // FreeSWITCH refuses a password, and a nonce that it has dropped, with a 401 that asks for nothing, though it
            // asks with a 407: once more, without credentials.
            let signed = request.header(&Name::Authorization).is_some()
                || request.header(&Name::ProxyAuthorization).is_some();
            let silent = response.header(&asker.challenge_header()).is_none();
            if silent {
                self.sessions.clear();
            }
            return match silent && signed {
                true => Verdict::Retry,
                false if wants_token => Verdict::GiveUp(FailureCode::Untrusted),
                false => Verdict::GiveUp(FailureCode::Algorithm),
            };
        };
        if matches!(self.credentials, Credentials::None) {
            return Verdict::GiveUp(FailureCode::NoCredentials);
        }
        // The topmost of any realm that we have a usable secret for (RFC 8760 §2.4).
        let usable = challenges.iter().position(|challenge| {
            self.user(&challenge.realm).is_some_and(|(_, secret)| fits(secret, challenge))
        });
        let ask = |mut challenges: Vec<Challenge>, refused| Verdict::Ask {
            algorithms: challenges.iter().filter_map(algorithm).map(Algorithm::as_str).collect(),
            challenge: Box::new(challenges.swap_remove(0)),
            refused,
        };
        let asks = matches!(self.credentials, Credentials::Ask);
        let Some((at, challenge)) = usable.and_then(|at| Some((at, challenges.get(at)?))) else {
            // An answer that does not fit is not asked for again: it would be the same for ever.
            return match asks && self.forget(&first.realm).is_none() {
                true => ask(challenges, None),
                false => Verdict::GiveUp(FailureCode::Algorithm),
            };
        };
        // A refusal that comes late does not concern what the application has answered since.
        let number = self.known(&challenge.realm).map_or(0, |known| known.number);
        let key = (asker, challenge.realm.clone(), number);
        if attempt.answered.len() >= MOST_ANSWERS {
            return Verdict::GiveUp(FailureCode::Unauthorized);
        }
        // A token is refused if it was sent; what is in force may be newer.
        let is_token = challenge.scheme == BEARER;
        let refused = match self.user(&challenge.realm) {
            Some((_, Secret::Token(token))) => {
                let header = asker.credentials_header();
                request.rows(&header).any(|row| row.strip_prefix(BEARER_PREFIX) == Some(token))
            }
            Some((_, Secret::Password(_) | Secret::Ha1(_))) | None => attempt.answered.contains(&key),
        };
        if refused && !is_token && challenge.stale && attempt.stale < MOST_STALE {
            attempt.stale += 1;
        } else if refused {
            self.end_session(asker, &domain, &challenge.realm);
            let answer = self.forget(&challenge.realm);
            // Nobody types a token: who asks for one again and again would do so for ever.
            attempt.refused += usize::from(is_token);
            if !asks && !self.taken {
                self.refused = Some((challenge.realm.clone(), now + PAUSE));
            }
            return match asks && attempt.refused < 2 {
                true => ask(challenges, answer),
                false => Verdict::GiveUp(FailureCode::Unauthorized),
            };
        }
        if self.refused.as_ref().is_some_and(|(realm, until)| *realm == challenge.realm && now < *until) {
            return Verdict::GiveUp(FailureCode::Unauthorized);
        }
        attempt.answered.push(key);
        self.end_session(asker, &domain, &challenge.realm);
        if self.sessions.len() >= MOST_SESSIONS {
            self.sessions.remove(0);
        }
        self.sessions.push(Session { asker, domain, challenge: challenges.swap_remove(at), count: 0 });
        Verdict::Retry
    }

    fn end_session(&mut self, asker: Asker, domain: &str, realm: &str) {
        self.sessions.retain(|session| {
            session.asker != asker || session.challenge.realm != realm || !session.serves(domain)
        });
    }
}

/// The domain of whom a request is about; in a dialog its target is an address of a device, which says nothing.
fn domain(request: &Message) -> String {
    request.to().map(|to| to.uri.host.to_ascii_lowercase()).unwrap_or_default()
}

/// The algorithm of a digest challenge, if it is known.
fn algorithm(challenge: &Challenge) -> Option<Algorithm> {
    let named = Algorithm::from_token(challenge.algorithm.as_deref());
    named.filter(|_| challenge.scheme == "digest").map(|(algorithm, _)| algorithm)
}

/// Whether `challenge` can be answered with `secret`.
fn fits(secret: &Secret, challenge: &Challenge) -> bool {
    let algorithm = algorithm(challenge);
    match secret {
        Secret::Password(_) => algorithm.is_some(),
        Secret::Ha1(hashes) => hashes.iter().any(|(known, _)| algorithm == Some(*known)),
        Secret::Token(_) => challenge.scheme == BEARER,
    }
}

/// `url` without the slashes at its end.
fn without_slashes(url: &str) -> &str {
    let end = url.bytes().rposition(|byte| byte != b'/').map_or(0, |last| last + 1);
    url.get(..end).unwrap_or_default()
}
