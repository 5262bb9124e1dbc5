//! Watcher information: who watches somebody (RFC 3858). Documents to values and back, and the table that a watcher of
//! watchers keeps.
//!
//! ```text
//!   full document ──────> the table is made anew
//!   partial document ───> rows changed and added; after a gap a refresh is wanted
//!   terminated row ─────> gone with the next full document, or after 60 seconds
//! ```
//!
//! May use: `pidf`, `table`, `xml`.

use super::DocumentError;
use super::pidf::{Limits, escape};
use super::table::Version;
pub use super::table::{Head, Merged};
use super::xml::{self, push_attribute};
use crate::time::{Duration, Instant};
use litemap::LiteMap;

/// The media type (RFC 3858 §5).
pub const WATCHERINFO: &str = "application/watcherinfo+xml";

const NAMESPACE: &str = "urn:ietf:params:xml:ns:watcherinfo";

/// How long a row that is over can still be seen.
const KEPT: Duration = Duration::from_secs(60);

/// Rows of a table at most.
const MOST_ROWS: usize = 5_000;

/// A document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatcherInfo {
    /// Its version, and whether it is full.
    pub head: Head,
    /// In the order of the document.
    pub watchers: Vec<Watcher>,
}

/// A watcher, and what it watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watcher {
    /// The resource that is watched: a URI.
    pub resource: String,
    /// The event package, as `presence`.
    pub package: String,
    /// Names the watcher among all of the subscription.
    pub id: String,
    /// The watcher's URI.
    pub uri: String,
    /// `pending`, `active`, `waiting`, `terminated`, or a word that we do not know.
    pub status: String,
    /// What brought it there: `subscribe`, `approved`, `deactivated`, `probation`, `rejected`, `timeout`, `giveup`,
    /// `noresource`, or a word that we do not know.
    pub event: String,
    /// For people.
    pub display_name: Option<String>,
    /// The language of the name.
    pub lang: Option<String>,
    /// Seconds until the subscription ends.
    pub expiration: Option<u64>,
    /// Seconds since it began.
    pub duration_subscribed: Option<u64>,
}

/// Reads a document. A watcher without id, status or event is left out; what is of another namespace too.
///
/// # Errors
/// [`DocumentError`]: it is no XML, another document, or a version, a state, a resource or a package is missing.
pub fn read(bytes: &[u8], limits: &Limits) -> Result<WatcherInfo, DocumentError> {
    let root = xml::read(bytes, limits, &mut Vec::new())?;
    if root.name != "watcherinfo" || root.namespace != NAMESPACE {
        return Err(DocumentError::Root);
    }
    let mut info = WatcherInfo { head: Head::read(&root)?, watchers: Vec::new() };
    for list in root.elements().filter(|list| list.name == "watcher-list" && list.namespace == NAMESPACE) {
        let resource = list.attribute("resource").ok_or(DocumentError::Attribute("resource"))?;
        let package = list.attribute("package").ok_or(DocumentError::Attribute("package"))?;
        for watcher in list.elements().filter(|w| w.name == "watcher" && w.namespace == NAMESPACE) {
            let attribute = |name| watcher.attribute(name);
            let number = |name| attribute(name).and_then(|text| text.parse().ok());
            let (Some(id), Some(status), Some(event)) =
                (attribute("id"), attribute("status"), attribute("event"))
            else {
                continue;
            };
            info.watchers.push(Watcher {
                resource: resource.clone(),
                package: package.clone(),
                id,
                uri: watcher.text(),
                status,
                event,
                display_name: attribute("display-name"),
                lang: watcher.lang.map(xml::unescaped),
                expiration: number("expiration"),
                duration_subscribed: number("duration-subscribed"),
            });
        }
    }
    Ok(info)
}

/// Writes a document. Watchers of one resource and package that follow each other stand in one list.
#[must_use]
pub fn write(info: &WatcherInfo) -> String {
    let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<watcherinfo".to_owned();
    push_attribute("xmlns", NAMESPACE, &mut text);
    push_attribute("version", &info.head.version.to_string(), &mut text);
    push_attribute("state", if info.head.full { "full" } else { "partial" }, &mut text);
    text.push('>');
    let mut before: Option<&Watcher> = None;
    for watcher in &info.watchers {
        if before.is_none_or(|b| b.resource != watcher.resource || b.package != watcher.package) {
            if before.is_some() {
                text.push_str("</watcher-list>");
            }
            text.push_str("<watcher-list");
            push_attribute("resource", &watcher.resource, &mut text);
            push_attribute("package", &watcher.package, &mut text);
            text.push('>');
        }
        before = Some(watcher);
        push_watcher(watcher, &mut text);
    }
    if before.is_some() {
        text.push_str("</watcher-list>");
    }
    text.push_str("</watcherinfo>");
    text
}

/// How many of the first of `watchers` are told in one document: as many as have `most` bytes, at least one. Peers close a
/// WebSocket whose messages are larger than they take. The others follow as changes: who merges documents (RFC 3858 §4)
/// has all in the end.
#[must_use]
pub fn fitting(watchers: &[Watcher], most: usize) -> usize {
    let mut text = String::new();
    let fits = |watcher: &&Watcher| {
        push_watcher(watcher, &mut text);
        text.len() <= most
    };
    watchers.iter().take_while(fits).count().max(1)
}

fn push_watcher(watcher: &Watcher, text: &mut String) {
    text.push_str("<watcher");
    push_attribute("id", &watcher.id, text);
    push_attribute("status", &watcher.status, text);
    push_attribute("event", &watcher.event, text);
    for (name, value) in [("display-name", &watcher.display_name), ("xml:lang", &watcher.lang)] {
        if let Some(value) = value {
            push_attribute(name, value, text);
        }
    }
    let numbers = [("expiration", watcher.expiration), ("duration-subscribed", watcher.duration_subscribed)];
    for (name, value) in numbers {
        if let Some(value) = value {
            push_attribute(name, &value.to_string(), text);
        }
    }
    text.push('>');
    escape(&watcher.uri, text);
    text.push_str("</watcher>");
}

#[derive(Clone, Debug)]
struct Row {
    watcher: Watcher,
    told_at: Instant,
    /// When a row that is over goes.
    gone_at: Option<Instant>,
}

/// All watchers that one subscription has told of.
#[derive(Clone, Debug, Default)]
pub struct Table {
    version: Version,
    /// By resource, package and id.
    rows: LiteMap<(String, String, String), Box<Row>>,
}

impl Table {
    /// Takes a document in.
    ///
    /// # Errors
    /// [`DocumentError::Limit`]: the table would have too many rows. It is as it was.
    pub fn handle(&mut self, info: WatcherInfo, now: Instant) -> Result<Merged, DocumentError> {
        let kept = if info.head.full { 0 } else { self.rows.len() };
        if kept + info.watchers.len() > MOST_ROWS {
            return Err(DocumentError::Limit("watchers"));
        }
        let merged = self.version.handle(info.head);
        if merged == Merged::Discarded {
            return Ok(merged);
        }
        if info.head.full {
            self.rows.clear();
        }
        for watcher in info.watchers {
            let gone_at = (watcher.status == "terminated").then_some(now + KEPT);
            let key = (watcher.resource.clone(), watcher.package.clone(), watcher.id.clone());
            self.rows.insert(key, Box::new(Row { watcher, told_at: now, gone_at }));
        }
        Ok(merged)
    }

    /// When the next row goes.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.rows.values().filter_map(|row| row.gone_at).min()
    }

    /// Drops the rows whose time has come. Returns whether there were some.
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        let before = self.rows.len();
        self.rows.retain(|_, row| row.gone_at.is_none_or(|at| at > now));
        self.rows.len() < before
    }

    /// The rows, by resource, package and id.
    pub fn watchers(&self) -> impl Iterator<Item = &Watcher> {
        self.rows().map(|(watcher, _)| watcher)
    }

    /// The same, each with the time at which it was told: its spans count from then.
    pub fn rows(&self) -> impl Iterator<Item = (&Watcher, Instant)> {
        self.rows.values().map(|row| (&row.watcher, row.told_at))
    }
}
