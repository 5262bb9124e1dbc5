//! The publications of one event package, by resource and entity-tag (RFC 3903 §6).
//!
//! The machine keeps any kind of document. The caller checks the request (event, type, length of life) and reads the
//! body; what is stored here was accepted, completely or not at all.

use crate::random::Random;
use crate::time::{Instant, earliest};
use std::collections::BTreeMap;

/// Publications with the documents `D`.
#[derive(Debug)]
pub struct Compositor<D> {
    resources: BTreeMap<String, Vec<Publication<D>>>,
    /// Nothing expires before.
    earliest: Option<Instant>,
}

#[derive(Debug)]
struct Publication<D> {
    tag: String,
    document: D,
    expires_at: Instant,
}

/// No publication of the resource has this entity-tag: answer 412.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSuchTag;

impl<D> Default for Compositor<D> {
    fn default() -> Self {
        Self { resources: BTreeMap::new(), earliest: None }
    }
}

impl<D> Compositor<D> {
    /// Stores a new publication of `resource` and returns its entity-tag, which was never used before.
    pub fn insert(
        &mut self,
        resource: &str,
        document: D,
        expires_at: Instant,
        random: &mut Random,
    ) -> String {
        let tag = random.token();
        let publication = Publication { tag: tag.clone(), document, expires_at };
        self.earliest = earliest(self.earliest, Some(expires_at));
        self.resources.entry(resource.to_owned()).or_default().push(publication);
        tag
    }

    /// Prolongs the publication `tag`, with a new document if there is one. Returns the new entity-tag.
    ///
    /// # Errors
    /// [`NoSuchTag`].
    pub fn update(
        &mut self,
        resource: &str,
        tag: &str,
        document: Option<D>,
        expires_at: Instant,
        random: &mut Random,
    ) -> Result<String, NoSuchTag> {
        let publications = self.resources.get_mut(resource).ok_or(NoSuchTag)?;
        let publication = publications.iter_mut().find(|p| p.tag == tag).ok_or(NoSuchTag)?;
        publication.tag = random.token();
        publication.expires_at = expires_at;
        self.earliest = earliest(self.earliest, Some(expires_at));
        if let Some(document) = document {
            publication.document = document;
        }
        Ok(publication.tag.clone())
    }

    /// Removes the publication `tag`.
    ///
    /// # Errors
    /// [`NoSuchTag`].
    pub fn remove(&mut self, resource: &str, tag: &str) -> Result<(), NoSuchTag> {
        let publications = self.resources.get_mut(resource).ok_or(NoSuchTag)?;
        let at = publications.iter().position(|p| p.tag == tag).ok_or(NoSuchTag)?;
        publications.remove(at);
        if publications.is_empty() {
            self.resources.remove(resource);
        }
        Ok(())
    }

    /// The documents of `resource`, oldest first.
    #[must_use]
    pub fn documents(&self, resource: &str) -> Vec<&D> {
        self.others(resource, None)
    }

    /// The documents of `resource`, oldest first, but not that of the publication `tag`.
    #[must_use]
    pub fn others(&self, resource: &str, tag: Option<&str>) -> Vec<&D> {
        let publications = self.resources.get(resource).into_iter().flatten();
        publications.filter(|p| Some(p.tag.as_str()) != tag).map(|p| &p.document).collect()
    }

    /// Drops what has expired, and returns the resources concerned.
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<String> {
        let mut changed = Vec::new();
        if self.earliest.is_none_or(|at| at > now) {
            return changed;
        }
        self.resources.retain(|resource, publications| {
            let before = publications.len();
            publications.retain(|p| p.expires_at > now);
            if publications.len() < before {
                changed.push(resource.clone());
            }
            !publications.is_empty()
        });
        self.earliest = self.resources.values().flatten().map(|p| p.expires_at).min();
        changed
    }

    /// When the next publication expires, or a little earlier: one that was prolonged or removed is still counted, so
    /// that nobody has to look at all of them after each message.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.earliest.filter(|_| !self.resources.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    #[test]
    fn tags_are_never_used_again() {
        // 3903-6-g 3903-6-s 3903-6-i 3903-6-m
        let mut random = Random::new([1; 32]);
        let mut compositor = Compositor::default();
        let mut tag = compositor.insert("a", 0, at(10), &mut random);
        let mut used = BTreeSet::from([tag.clone()]);
        for n in 1..1000 {
            let next = compositor.update("a", &tag, Some(n), at(10), &mut random).unwrap();
            assert_eq!(compositor.update("a", &tag, Some(-1), at(10), &mut random), Err(NoSuchTag));
            assert!(used.insert(next.clone()));
            tag = next;
        }
        assert_eq!(compositor.documents("a"), [&999]);
        assert_eq!(compositor.update("b", &tag, None, at(10), &mut random), Err(NoSuchTag));
    }

    #[test]
    fn what_expires_leaves_the_composite() {
        // 3903-10.4-c
        let mut random = Random::new([1; 32]);
        let mut compositor = Compositor::default();
        compositor.insert("a", "short", at(10), &mut random);
        let long = compositor.insert("a", "long", at(20), &mut random);
        assert_eq!(compositor.poll_timeout(), Some(at(10)));
        assert!(compositor.handle_timeout(at(9)).is_empty());
        assert_eq!(compositor.handle_timeout(at(10)), ["a"]);
        assert_eq!(compositor.documents("a"), [&"long"]);
        assert_eq!(compositor.remove("a", &long), Ok(()));
        assert_eq!(compositor.remove("a", &long), Err(NoSuchTag));
        assert_eq!(compositor.poll_timeout(), None);
    }

    #[test]
    fn what_was_prolonged_is_looked_at_once_too_early_and_not_again() {
        // 3903-10.4-c
        let mut random = Random::new([1; 32]);
        let mut compositor = Compositor::default();
        let tag = compositor.insert("a", "one", at(10), &mut random);
        compositor.insert("b", "two", at(30), &mut random);
        let tag = compositor.update("a", &tag, None, at(20), &mut random).unwrap();
        assert!(compositor.handle_timeout(at(10)).is_empty());
        assert_eq!(compositor.poll_timeout(), Some(at(20)));
        // Shortened.
        compositor.update("a", &tag, None, at(15), &mut random).unwrap();
        assert_eq!(compositor.poll_timeout(), Some(at(15)));
        assert_eq!(compositor.handle_timeout(at(15)), ["a"]);
        assert_eq!(compositor.poll_timeout(), Some(at(30)));
    }
}
