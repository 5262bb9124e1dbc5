//! What an agent tells its shell.

use super::{Details, Failure};
use crate::presence::{Presence, Summary};
use crate::sip::Substate;
use crate::sip::auth::Challenge;
use crate::time::Instant;
use std::rc::Rc;

/// A watched presentity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WatchId(pub u32);

/// A `fetch`, `publish` or `unpublish` that will be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId(pub u32);

/// A question for credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChallengeId(pub u32);

/// A question what a watcher gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QuestionId(pub u32);

/// One thing to do.
#[derive(Clone, Debug)]
pub enum Output {
    /// Open a WebSocket to this URL with sub-protocol `sip`. There is none open.
    Connect {
        /// The URL.
        url: String,
    },
    /// Send one WebSocket message: text if it is UTF-8, else binary (RFC 7118 §4.2).
    Send(Vec<u8>),
    /// Close the WebSocket; [`super::Agent::handle_disconnected`] need not be called.
    Close,
    /// Tell the application.
    Event(Event),
}

/// One thing to tell the application.
#[derive(Clone, Debug)]
pub enum Event {
    /// What is known of a watched presentity changed.
    State {
        /// The watch.
        watch: WatchId,
        /// The new view.
        view: Rc<View>,
    },
    /// What is known of a member of a watched list changed.
    Member {
        /// The watch of the list.
        list: WatchId,
        /// The new view, with the address of the member.
        view: Rc<View>,
    },
    /// The connection changed.
    Connection(ConnectionState),
    /// Something failed that no request waits for.
    Error(Box<Failure>),
    /// A message was sent or received.
    Trace {
        /// Which way.
        direction: Direction,
        /// The text without secrets.
        text: String,
    },
    /// The server wants credentials and [`super::Credentials::Ask`] is set.
    Challenged(Challenged),
    /// A publication was taken or withdrawn, or failed.
    Published {
        /// The request.
        request: RequestId,
        /// How it ended.
        result: Result<(), Box<Failure>>,
    },
    /// A fetch ended.
    Fetched {
        /// The request.
        request: RequestId,
        /// What was learnt, or why nothing.
        result: Result<Rc<View>, Box<Failure>>,
    },
    /// Somebody wants to watch, and nothing is said about them. Answer with `Agent::answer_question` before anything
    /// else happens, or the watcher is told that it is pending.
    #[cfg(feature = "full")]
    Asked {
        /// To be given back with the answer.
        question: QuestionId,
        /// The proved address.
        uri: String,
        /// What the watcher calls itself.
        display: Option<String>,
    },
    /// Who watches, all of them.
    #[cfg(feature = "full")]
    Watchers(Vec<crate::event::watchers::Row>),
    /// What [`super::Agent::restore`] is to be given at the next load of this tab; "" for nothing. It holds no password.
    Session(String),
    /// [`super::Agent::close`] is done. After it comes only the answer, [`super::FailureCode::Closed`], to each `watch`,
    /// `fetch`, `publish` and `unpublish` of an agent that is closed.
    Closed,
}

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Direction {
    Sent,
    Received,
}

/// A question for credentials.
#[derive(Clone, Debug)]
pub struct Challenged {
    /// To be given back with the answer.
    pub id: ChallengeId,
    /// The first challenge that could be answered: its realm is the protection domain.
    pub challenge: Box<Challenge>,
    /// The digest algorithms offered, in the server's order.
    pub algorithms: Vec<&'static str>,
    /// The last answer was refused.
    pub rejected: bool,
}

/// State of the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ConnectionState {
    /// After `attempt` failures in a row.
    Connecting {
        attempt: u32,
    },
    Online,
    /// Lost or refused; tried again at `retry_at` after `attempt` failures in a row.
    Reconnecting {
        attempt: u32,
        retry_at: Instant,
        reason: Box<Failure>,
    },
    Closed {
        reason: Option<Box<Failure>>,
    },
}

/// What is known of a presentity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The URI that was watched.
    pub uri: String,
    /// The document in short; status unknown without one.
    pub summary: Summary,
    /// The document.
    pub presence: Option<Rc<Presence>>,
    /// What was told beside it, or instead.
    pub details: Option<Rc<Details>>,
    /// How the subscription stands.
    pub subscription: SubscriptionView,
    /// The connection or the subscription is gone; this is the last known state.
    pub stale: bool,
    /// When this was known to be true; `None` if nothing is known.
    pub as_of: Option<Instant>,
    /// Why the view was made.
    pub cause: Cause,
}

/// How a subscription stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionView {
    /// `trying` before the first NOTIFY.
    pub state: Watching,
    /// Why it ended: the notifier's reason, or a failure's code.
    pub reason: Option<String>,
    /// The same in full, once it has ended.
    pub failure: Option<Rc<Failure>>,
    /// When it ends if it is not refreshed.
    pub expires: Option<Instant>,
    /// When it is tried again.
    pub retry_at: Option<Instant>,
}

/// The state of a subscription as the application sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Watching {
    Trying,
    Pending,
    Active,
    Terminated,
}

impl Watching {
    /// The word of the JavaScript API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trying => "trying",
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Terminated => "terminated",
        }
    }
}

impl From<&Substate> for Watching {
    fn from(state: &Substate) -> Self {
        match state {
            Substate::Active => Self::Active,
            Substate::Pending | Substate::Other(_) => Self::Pending,
            Substate::Terminated => Self::Terminated,
        }
    }
}

/// Why a view was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The first that is known.
    Initial,
    /// The presentity changed.
    Change,
    /// Learnt again after the connection or the subscription was lost: nobody moved.
    Resync,
    /// The subscription ended, or an activity's time did.
    Expired,
    /// The connection was lost.
    Disconnect,
    /// This application did it.
    Local,
}

impl Cause {
    /// The word of the JavaScript API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Change => "change",
            Self::Resync => "resync",
            Self::Expired => "expired",
            Self::Disconnect => "disconnect",
            Self::Local => "local",
        }
    }
}
