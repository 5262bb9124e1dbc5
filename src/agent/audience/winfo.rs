//! Watcher information (RFC 3857, RFC 3858): who watches, for the user's own subscriptions to that.

use crate::agent::Agent;
use crate::event::partial::Next;
use crate::event::watchers::{Content, Notice, Row};
use crate::presence::table::Head;
use crate::presence::winfo::{Watcher, WatcherInfo, fitting, write};
use crate::time::Instant;

/// Bytes of rows in one document: Kamailio, which may stand between, closes a WebSocket over more than 64 KiB.
const MOST_TOLD: usize = 48 * 1024;

impl Agent {
    /// Everything after a SUBSCRIBE, otherwise what changed (RFC 3857 §4.3). What is too much for one document stays in
    /// the table; if nothing comes after it, the document does not say that it is all.
    pub(super) fn watcher_information(&mut self, notice: &Notice, now: Instant) -> Option<String> {
        let resource = self.config.aor.to_string();
        let presentity = self.presentity.as_mut()?;
        let table = presentity.tables.get_mut(&notice.id)?;
        // An end that nobody has asked for brings what is not told yet.
        let asked = notice.content != Content::Nothing;
        if !asked && table.is_empty() {
            return None;
        }
        let full = asked && notice.next == Next::Whole;
        let (version, changed) = table.take();
        let rows: Vec<Row> = if full { presentity.watchers.rows("").collect() } else { changed };
        let mut watchers: Vec<Watcher> = rows.iter().map(|row| described(row, &resource, now)).collect();
        watchers.truncate(fitting(&watchers, MOST_TOLD));
        table.put_back(&rows[watchers.len()..]);
        let full = full && (notice.end.is_none() || !table.is_cut());
        Some(write(&WatcherInfo { head: Head { version, full }, watchers }))
    }
}

fn described(row: &Row, resource: &str, now: Instant) -> Watcher {
    Watcher {
        resource: resource.to_owned(),
        package: "presence".to_owned(),
        id: ["w", &row.id.0.to_string()].concat(),
        uri: row.uri.clone(),
        status: row.status.as_str().to_owned(),
        event: row.cause.as_str().to_owned(),
        display_name: row.display.clone(),
        lang: None,
        expiration: row.expires.map(|at| at.since(now).as_secs()),
        duration_subscribed: Some(now.since(row.since).as_secs()),
    }
}
