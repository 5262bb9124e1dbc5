//! Who watches: the subscriptions to one event package, who they are from, and what their watchers may see
//! (RFC 3857 §4.7.1, RFC 5025 §3.2.1).
//!
//! ```text
//!   SUBSCRIBE ──allow, polite──> active ──block, expiry, failed NOTIFY──> (gone)
//!       │                        ^    │
//!       └──nobody has said──> pending <┘ somebody has to say again
//!                                │
//!                                └──expiry, a fetch──> waiting ──somebody says, giveup──> (gone)
//! ```
//!
//! The set makes the NOTIFYs; the documents are its owner's. Each method that may have to tell somebody something
//! returns notices: the owner makes the document for each and gives both to [`Watchers::tell`]. Owners with many
//! resources and connections number and name them; others use one. May use: `dialog`, `sip`, `time`, and the machine
//! of one subscription.

mod changes;
mod states;
mod telling;

pub use changes::Changes;
pub use states::Admission;
pub use telling::holds;

use super::Notifier;
use super::partial::{Forms, Next, Partial};
use crate::sip::{Message, Reason};
use crate::time::{Duration, Instant, earliest};
use litemap::LiteMap;

/// Names a subscription, or what is left of one, in its set. Never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WatcherId(pub u32);

/// What a watcher gets (RFC 5025 §3.2.1), from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(
    feature = "server",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "kebab-case")
)]
pub enum Decision {
    /// Refused.
    Block,
    /// Waits until somebody decides.
    Confirm,
    /// Sees the presentity offline, whatever is true.
    PoliteBlock,
    /// Sees what is true.
    Allow,
}

impl Decision {
    /// The word of the JavaScript API; `ask` for [`Self::Confirm`].
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Confirm => "ask",
            Self::PoliteBlock => "polite-block",
            Self::Allow => "allow",
        }
    }

    /// The decision that this word says.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Block, Self::Confirm, Self::PoliteBlock, Self::Allow]
            .into_iter()
            .find(|decision| decision.as_str() == word)
    }

    /// Whether the watcher is told that its subscription is active.
    const fn accepts(self) -> bool {
        matches!(self, Self::PoliteBlock | Self::Allow)
    }
}

/// How a subscription stands, as watcher information has it (RFC 3857 §4.7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Status {
    Pending,
    Active,
    /// It has ended, and its watcher waits for a decision all the same.
    Waiting,
    Terminated,
}

impl Status {
    /// The token of RFC 3858.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Waiting => "waiting",
            Self::Terminated => "terminated",
        }
    }
}

/// What brought a subscription where it stands (RFC 3857 §4.7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Cause {
    Subscribe,
    Approved,
    Deactivated,
    Probation,
    Rejected,
    Timeout,
    Giveup,
    Noresource,
}

impl Cause {
    /// The token of RFC 3858.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Subscribe => "subscribe",
            Self::Approved => "approved",
            Self::Deactivated => "deactivated",
            Self::Probation => "probation",
            Self::Rejected => "rejected",
            Self::Timeout => "timeout",
            Self::Giveup => "giveup",
            Self::Noresource => "noresource",
        }
    }
}

/// A row of watcher information.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The subscription.
    pub id: WatcherId,
    /// Who watches: a proved address.
    pub uri: String,
    /// What the watcher calls itself.
    pub display: Option<String>,
    /// The resource that is watched.
    pub resource: String,
    /// How it stands.
    pub status: Status,
    /// What brought it there.
    pub cause: Cause,
    /// When it began.
    pub since: Instant,
    /// When it ends unless it is renewed.
    pub expires: Option<Instant>,
}

/// What the document of a NOTIFY is to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// No document.
    Nothing,
    /// What is seen of somebody who is not there.
    Polite,
    /// What is true.
    Real,
}

/// A NOTIFY that is due: see [`Watchers::tell`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// To whom.
    pub id: WatcherId,
    /// What its document says.
    pub content: Content,
    /// Whether changes will do, where the watcher takes them.
    pub next: Next,
    /// It is the last, for this reason, and after so many seconds the watcher may try again.
    pub end: Option<(Reason, Option<u32>)>,
}

/// How many are too many, of one resource.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Subscriptions, and what is left of some, in all.
    pub watchers: usize,
    /// Of one watcher.
    pub of_one: usize,
    /// Pending and waiting ones in all: strangers must not take the room of friends.
    pub undecided: usize,
    /// Pending and waiting ones of one watcher (RFC 3857 §4.7.1).
    pub undecided_of_one: usize,
    /// How long somebody may take to decide (RFC 3857 §4.7.1).
    pub giveup: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let giveup = Duration::from_secs(7 * 24 * 3600);
        Self { watchers: 1000, of_one: 50, undecided: 500, undecided_of_one: 20, giveup }
    }
}

#[derive(Debug)]
struct Watcher {
    uri: String,
    display: Option<String>,
    resource: String,
    /// The presentity's address as the watcher wrote it.
    entity: String,
    /// Event with its parameters.
    event: String,
    decision: Decision,
    status: Status,
    cause: Cause,
    since: Instant,
    giveup_at: Option<Instant>,
    /// `None` while it waits.
    usage: Option<Usage>,
    due: Option<Instant>,
}

#[derive(Debug)]
struct Usage {
    notifier: Notifier,
    partial: Partial,
    connection: u32,
    /// The watcher wants to hear of no changes (RFC 5839 §5.2, `*`).
    quenched: bool,
    /// What it was told last may not have arrived.
    missed: bool,
}

type Ids = LiteMap<WatcherId, ()>;

/// The set.
#[derive(Debug)]
pub struct Watchers {
    forms: &'static Forms,
    limits: Limits,
    // Vectors in order: boxes, because what comes after a gap is moved.
    all: LiteMap<WatcherId, Box<Watcher>>,
    by_dialog: LiteMap<(String, String), WatcherId>,
    by_resource: LiteMap<String, Ids>,
    by_connection: LiteMap<u32, Ids>,
    deadlines: LiteMap<(Instant, WatcherId), ()>,
    /// Rows that changed since they were asked for.
    news: Vec<Row>,
    next: u32,
}

impl Watchers {
    /// Nobody watches. `forms`: what the package's documents are.
    #[must_use]
    pub const fn new(forms: &'static Forms, limits: Limits) -> Self {
        Self {
            forms,
            limits,
            all: LiteMap::new(),
            by_dialog: LiteMap::new(),
            by_resource: LiteMap::new(),
            by_connection: LiteMap::new(),
            deadlines: LiteMap::new(),
            news: Vec::new(),
            next: 0,
        }
    }

    /// The subscription whose dialog `request` is in.
    #[must_use]
    pub fn find(&self, request: &Message) -> Option<WatcherId> {
        let tag = request.to().ok()?.tag()?.to_owned();
        self.by_dialog.get(&(request.call_id().to_owned(), tag)).copied()
    }

    /// How many are notified over a connection.
    #[must_use]
    pub fn over(&self, connection: u32) -> usize {
        self.by_connection.get(&connection).map_or(0, LiteMap::len)
    }

    /// How many there are, with those that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether nothing is left of a subscription.
    #[must_use]
    pub fn is_gone(&self, id: WatcherId) -> bool {
        !self.all.contains_key(&id)
    }

    /// Who watches, whom, and the same as the watcher wrote it.
    #[must_use]
    pub fn who(&self, id: WatcherId) -> Option<(&str, &str, &str)> {
        let watcher = self.all.get(&id)?;
        Some((&watcher.uri, &watcher.resource, &watcher.entity))
    }

    /// Whether somebody has a subscription.
    #[must_use]
    pub fn has_dialog(&self, uri: &str) -> bool {
        self.all.values().any(|watcher| watcher.uri == uri && watcher.usage.is_some())
    }

    /// What a watcher gets.
    #[must_use]
    pub fn decision(&self, id: WatcherId) -> Option<Decision> {
        self.all.get(&id).map(|watcher| watcher.decision)
    }

    /// All rows about `resource` but those that are over.
    pub fn rows(&self, resource: &str) -> impl Iterator<Item = Row> {
        let ids = self.by_resource.get(resource).into_iter().flat_map(LiteMap::keys);
        let watchers = ids.filter_map(|id| Some((*id, self.all.get(id)?)));
        watchers
            .filter(|(_, watcher)| watcher.status != Status::Terminated)
            .map(|(id, watcher)| watcher.row(id))
    }

    /// The rows that have changed since the last call, those that are over too; a row may be there twice.
    pub fn news(&mut self) -> Vec<Row> {
        core::mem::take(&mut self.news)
    }

    /// When [`Self::handle_timeout`] has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.first().map(|((at, _), ())| *at)
    }

    fn insert(&mut self, watcher: Watcher) -> WatcherId {
        let id = WatcherId(self.next);
        self.next = self.next.wrapping_add(1);
        if let Some(usage) = &watcher.usage {
            self.by_dialog.insert(usage.notifier.key(), id);
            self.by_connection.entry(usage.connection).or_default().insert(id, ());
        }
        self.by_resource.entry(watcher.resource.clone()).or_default().insert(id, ());
        self.all.insert(id, Box::new(watcher));
        self.settle(id);
        id
    }

    /// Brings the deadline up to date with a subscription that has changed.
    fn settle(&mut self, id: WatcherId) {
        let Some(watcher) = self.all.get_mut(&id) else { return };
        let due = watcher.usage.as_ref().and_then(|usage| usage.notifier.poll_timeout());
        let due = earliest(due, watcher.giveup_at);
        if let Some(old) = core::mem::replace(&mut watcher.due, due) {
            self.deadlines.remove(&(old, id));
        }
        if let Some(due) = due {
            self.deadlines.insert((due, id), ());
        }
    }

    /// The dialog is over; a row that is over goes with it.
    fn end_usage(&mut self, id: WatcherId) {
        let Some(watcher) = self.all.get_mut(&id) else { return };
        let is_over = watcher.status == Status::Terminated;
        if let Some(usage) = watcher.usage.take() {
            self.unfile(id, &usage);
        }
        if is_over {
            self.remove(id);
        } else {
            self.settle(id);
        }
    }

    fn remove(&mut self, id: WatcherId) {
        let Some(watcher) = self.all.remove(&id) else { return };
        if let Some(usage) = &watcher.usage {
            self.unfile(id, usage);
        }
        if let Some(due) = watcher.due {
            self.deadlines.remove(&(due, id));
        }
        if let Some(ids) = self.by_resource.get_mut(&watcher.resource) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_resource.remove(&watcher.resource);
            }
        }
    }

    fn unfile(&mut self, id: WatcherId, usage: &Usage) {
        self.by_dialog.remove(&usage.notifier.key());
        self.leave(id, usage.connection);
    }

    fn leave(&mut self, id: WatcherId, connection: u32) {
        if let Some(ids) = self.by_connection.get_mut(&connection) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_connection.remove(&connection);
            }
        }
    }

    /// The subscriptions to `resource`.
    #[must_use]
    pub fn ids(&self, resource: &str) -> Vec<WatcherId> {
        self.by_resource.get(resource).into_iter().flat_map(LiteMap::keys).copied().collect()
    }
}

impl Watcher {
    fn row(&self, id: WatcherId) -> Row {
        Row {
            id,
            uri: self.uri.clone(),
            display: self.display.clone(),
            resource: self.resource.clone(),
            status: self.status,
            cause: self.cause,
            since: self.since,
            expires: self.usage.as_ref().map(|usage| usage.notifier.expires_at()),
        }
    }

    const fn is_undecided(&self) -> bool {
        matches!(self.status, Status::Pending | Status::Waiting)
    }

    const fn content(&self) -> Content {
        match self.decision {
            Decision::Block | Decision::Confirm => Content::Nothing,
            Decision::PoliteBlock => Content::Polite,
            Decision::Allow => Content::Real,
        }
    }
}
