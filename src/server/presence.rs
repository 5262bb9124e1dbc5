//! PUBLISH, and the documents of watchers: the compositor of the server's users (RFC 3856, RFC 3903).
//!
//! A user of whom nothing is published is offline, not unknown: the server would know. A politely blocked watcher
//! gets the same document, so that the two cannot be told apart.

use super::{ConnectionId, Event, Output, Server};
use crate::event::watchers::{Content, Notice};
use crate::presence::{Basic, Component, Contact, DocumentError, PIDF, Presence, compose, pidf};
use crate::sip::{Message, Name};
use crate::time::{Duration, Instant};

impl Server {
    /// PUBLISH, step by step as RFC 3903 §6 has them.
    pub(super) fn handle_publish(
        &mut self,
        connection: ConnectionId,
        user: &str,
        request: &Message,
        now: Instant,
    ) {
        match self.publish(user, request, now) {
            Ok((tag, expires)) => {
                let expires = expires.to_string();
                self.answer(connection, request, 200, &[(Name::Expires, &expires), (Name::SipETag, &tag)]);
                self.tell(Event::Published { user: user.to_owned() });
            }
            Err(status) => self.refuse(connection, request, status),
        }
    }

    fn publish(&mut self, user: &str, request: &Message, now: Instant) -> Result<(String, u32), u16> {
        match self.addressee(request) {
            None => return Err(404),
            Some(presentity) if presentity != user => return Err(403),
            Some(_) => {}
        }
        let event = request.event().map_err(|_| 400_u16)?.ok_or(489_u16)?;
        if !event.package.eq_ignore_ascii_case("presence") {
            return Err(489);
        }
        let mut tags = request.list(&Name::SipIfMatch).map(str::to_owned);
        let tag = tags.next();
        // One tag, in one row (RFC 3903 §11.3.2).
        if tags.next().is_some() || tag.as_ref().is_some_and(|tag| tag.contains(',')) {
            return Err(400);
        }
        let expires = self.grant(request.expires(), false)?;
        let document = match request.body.as_slice() {
            [] => None,
            body => {
                let media = request.content_type().map_err(|_| 400_u16)?;
                if media.is_none_or(|media| media.essence != PIDF) {
                    return Err(415);
                }
                let most = self.config.limits.publication;
                let limits = pidf::Limits { bytes: most, ..pidf::Limits::default() };
                let (document, _) = pidf::read(body, &limits).map_err(|error| match error {
                    DocumentError::Limit(_) => 413_u16,
                    DocumentError::Malformed
                    | DocumentError::Encoding
                    | DocumentError::Entity
                    | DocumentError::Root
                    | DocumentError::MediaType
                    | DocumentError::Attribute(_)
                    | DocumentError::Part
                    | DocumentError::Stale
                    | DocumentError::Version
                    | DocumentError::Patch(_) => 400,
                })?;
                // What is written can be larger than what was read, so that the bodies alone say too little.
                let mut all = self.publications.others(user, tag.as_deref());
                all.push(&document);
                let (whole, conflicts) = compose::compose(user, &all);
                if pidf::write(&whole).len() > most.saturating_mul(4) {
                    return Err(413);
                }
                // One is enough to know that there are some.
                if let Some(conflict) = conflicts.first() {
                    let what = conflict.to_string();
                    self.outputs.push_back(Output::Event(Event::Conflict { user: user.to_owned(), what }));
                }
                Some(document)
            }
        };
        let expires_at = now + Duration::from_secs(u64::from(expires));
        let changed = document.is_some() || expires == 0;
        let tag = match (tag, document) {
            (None, None) => return Err(400),
            (None, Some(_)) if expires == 0 => self.random.token(),
            // As long as a page answers those who watch its user, it alone knows (RFC 3261 §21.4.6).
            (None, Some(_)) if self.has_page(user, now) => return Err(405),
            (None, Some(document)) => {
                if self.publications.documents(user).len() >= self.config.limits.publications {
                    return Err(503);
                }
                self.publications.insert(user, document, expires_at, &mut self.random)
            }
            (Some(tag), _) if expires == 0 => {
                self.publications.remove(user, &tag).map_err(|_| 412_u16)?;
                self.random.token()
            }
            (Some(tag), document) => self
                .publications
                .update(user, &tag, document, expires_at, &mut self.random)
                .map_err(|_| 412_u16)?,
        };
        if changed {
            self.handle_change(user, now);
        }
        Ok((tag, expires))
    }

    /// The life that is granted. Too short is refused; a subscription's of an hour and more never is (RFC 6665 §4.2.1.1).
    pub(super) fn grant(&self, asked: Option<u32>, subscription: bool) -> Result<u32, u16> {
        let asked = asked.unwrap_or(3600);
        let brief = asked > 0 && asked < self.config.min_expires;
        if brief && !(subscription && asked >= 3600) {
            return Err(423);
        }
        Ok(asked.min(self.config.max_expires))
    }
}

impl Server {
    /// What a watcher is shown; `None` while it is pending.
    pub(super) fn presence_of(&self, notice: &Notice, now: Instant) -> Option<String> {
        let (watcher, presentity, entity) = self.watchers.who(notice.id)?;
        let presence = match notice.content {
            Content::Nothing => return None,
            Content::Polite => offline(entity),
            Content::Real => match self.publications.documents(presentity).as_slice() {
                [] => offline(entity),
                documents => {
                    let (whole, _) = compose::compose(entity, documents);
                    self.transformations(presentity, watcher, now).apply(whole)
                }
            },
        };
        Some(pidf::write(&presence))
    }
}

/// The document of a user of whom nothing is published.
fn offline(entity: &str) -> Presence {
    let tuple = Component {
        id: "t0".to_owned(),
        basic: Some(Basic::Closed),
        contact: Some(Contact { uri: entity.to_owned(), priority: None }),
        ..Component::default()
    };
    Presence { entity: entity.to_owned(), tuples: vec![tuple], ..Presence::default() }
}
