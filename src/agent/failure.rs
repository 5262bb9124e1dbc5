//! Failures as data: a code, a sentence a developer can act on, and whose fault it is.

use crate::pieces::pieces;
use crate::time::Instant;

/// A failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong.
    pub code: FailureCode,
    /// The SIP status code or WebSocket close code, if one said it.
    pub status: Option<u16>,
    /// The reason phrase, or another detail.
    pub reason: Option<String>,
    /// When it is tried again without being asked.
    pub retry_at: Option<Instant>,
    /// The presentity it concerns.
    pub uri: Option<String>,
}

impl Failure {
    /// A failure without details.
    #[must_use]
    pub fn new(code: FailureCode) -> Box<Self> {
        Box::new(Self { code, status: None, reason: None, retry_at: None, uri: None })
    }
}

/// Whose fault a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum FailureSource {
    Server,
    Network,
    Application,
    Library,
}

impl FailureSource {
    /// The word of the JavaScript API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Network => "network",
            Self::Application => "application",
            Self::Library => "library",
        }
    }
}

macro_rules! failures {
    ($($variant:ident $code:literal $source:ident $sentence:literal;)*) => {
        /// What can go wrong. The catalogue in docs/errors.md has the same codes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)]
        pub enum FailureCode { $($variant,)* }

        impl FailureCode {
            /// All codes, for the catalogue.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable word.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                line(concat!($($code, "\n",)*), self)
            }

            /// What happened and what to do about it.
            #[must_use]
            pub fn explain(self) -> &'static str {
                line(concat!($($sentence, "\n",)*), self)
            }

            /// Whose fault it is.
            #[must_use]
            pub const fn source(self) -> FailureSource {
                const SOURCES: &[FailureSource] = &[$(FailureSource::$source,)*];
                SOURCES[self as usize]
            }
        }
    };
}

/// The line of `text` for `code`: a page would download an address and a length for each text of a list.
fn line(text: &'static str, code: FailureCode) -> &'static str {
    pieces(text, b'\n').nth(code as usize).unwrap_or_default()
}

failures! {
    ConnectionFailed "connection-failed" Network
        "The WebSocket could not be opened. Check the server URL, that the server runs, and the page's CSP (connect-src).";
    ConnectionLost "connection-lost" Network
        "The WebSocket was closed. It is opened again after a pause; states are stale until then.";
    SubProtocol "sub-protocol" Server
        "The server did not select the WebSocket sub-protocol `sip`: this URL is not SIP over WebSocket (RFC 7118).";
    Timeout "timeout" Network
        "The server did not answer a request within 32 seconds.";
    NoCredentials "no-credentials" Application
        "The server asks for a password and the agent was given none. Set `credentials`; a function must return them.";
    Unauthorized "unauthorized" Server
        "The server refused the credentials. Check user name, password and realm.";
    Algorithm "algorithm" Server
        "The server offers no authentication that this library knows (digest with MD5, SHA-256 or SHA-512-256).";
    Untrusted "untrusted" Application
        "The server wants a bearer token. One is sent only over wss:, for a server in `authorizationServers`.";
    Forbidden "forbidden" Server
        "The server refused the request (403). The presentity does not allow it, or the address is not yours.";
    NotFound "not-found" Server
        "The server does not know this address (404 or 604). Check its spelling.";
    Rejected "rejected" Server
        "The presentity does not want to be watched.";
    UnsupportedEvent "unsupported-event" Server
        "The server has not what was asked for, presence or another package, at this address (405, 489 or 501).";
    NoNotify "no-notify" Server
        "The server accepted the subscription and then sent no NOTIFY within 32 seconds.";
    Expired "expired" Network
        "The subscription was not renewed in time. It is made anew.";
    Deactivated "deactivated" Server
        "The server ended the subscription to move it. It is made anew at once.";
    Probation "probation" Server
        "The server ended the subscription for now. It is made anew later.";
    Giveup "giveup" Server
        "The server gave up waiting for the presentity's consent. It is asked again.";
    Noresource "noresource" Server
        "What was watched does not exist any more.";
    Invariant "invariant" Server
        "The server ended the subscription because the state never changes. The last state stays true.";
    BadFilter "badfilter" Server
        "The server cannot use the filter of the subscription.";
    Ended "ended" Server
        "The server ended the subscription without a known reason. It is made anew.";
    Unavailable "unavailable" Server
        "The server is overloaded or in maintenance (503). It is tried again after the time it named.";
    ServerError "server-error" Server
        "The server failed to process a request.";
    Refused "refused" Server
        "The server refused the request; `status` and `reason` say why.";
    BadResponse "bad-response" Server
        "The server's answer lacks what the standard demands.";
    BadMessage "bad-message" Server
        "Something arrived that is not a SIP message. It was ignored.";
    TooLarge "too-large" Server
        "A message arrived that is larger than the limit. It was ignored.";
    BadDocument "bad-document" Server
        "A presence document could not be read. The last good state was kept.";
    NoList "no-list" Server
        "The server gives no list (RFC 4662) for this address. Check the address; watch its members one by one.";
    TooManyWatches "too-many-watches" Application
        "The agent watches as many presentities as its limit allows.";
    NotAsked "not-asked" Application
        "The server takes publications and answers watchers itself: `authorize` is not asked. Make rules at the server.";
    SecureOnly "secure-only" Application
        "A sips: address cannot be reached over ws:. Use a wss: server.";
    Closed "closed" Application
        "The agent is closed. Make a new one.";
}
