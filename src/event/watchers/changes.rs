//! What one subscription to watcher information has been told (RFC 3857 §4.7.2, RFC 3858 §3).

use super::Row;
use litemap::LiteMap;

/// The version of the next document, and what it has to tell.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    version: u32,
    /// By number of the row.
    changed: LiteMap<u32, Row>,
    /// The last document had no room for all.
    cut: bool,
}

impl Changes {
    /// Rows have changed.
    pub fn note(&mut self, row: &Row) {
        self.changed.insert(row.id.0, row.clone());
    }

    /// Whether there is something to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty()
    }

    /// `rows` had no room in the document that was made now: they follow, see [`super::Watchers::more`].
    pub fn put_back(&mut self, rows: &[Row]) {
        self.cut = !rows.is_empty();
        rows.iter().for_each(|row| self.note(row));
    }

    /// Whether the last document had no room for all.
    #[must_use]
    pub const fn is_cut(&self) -> bool {
        self.cut
    }

    /// The version of a document that is made now, and the rows that have changed since the last.
    pub fn take(&mut self) -> (u32, Vec<Row>) {
        let version = self.version;
        self.version = version.saturating_add(1);
        (
            version,
            core::mem::take(&mut self.changed).into_tuple_vec().into_iter().map(|(_, row)| row).collect(),
        )
    }
}
