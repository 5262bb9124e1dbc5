//! Rules of users, kept here (RFC 4825, RFC 5025): a user reads, writes and removes the whole document of rules about who
//! may watch. Nothing else of XCAP is here: no parts of documents, no other applications.
//!
//! A request is checked in this order: path (404), method (405), credentials (401), whose path it is (403, or 404 for
//! nobody's: strangers do not learn who is a user), size (413), conditions (412), media type (415), document (409).

use super::rules::UserRules;
use super::{Event, Server};
use crate::presence::DocumentError;
use crate::presence::pres_rules::AUTH_POLICY;
use crate::sip::Uri;
use crate::sip::auth::{Denied, DigestCredentials};
use crate::sip::uri::unescape;
use crate::time::Instant;

/// What is allowed for a document.
const ALLOW: &str = "GET, HEAD, PUT, DELETE";
/// The media type of a refusal (RFC 4825 §15.2.2).
const XCAP_ERROR: &str = "application/xcap-error+xml";

/// A request of HTTP.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// GET, HEAD, PUT or DELETE.
    pub method: &'a str,
    /// What follows the XCAP root, as it came: `/pres-rules/users/sip:alice@example.com/index`.
    pub path: &'a str,
    /// Header Authorization.
    pub authorization: Option<&'a str>,
    /// Header Content-Type.
    pub content_type: Option<&'a str>,
    /// Header If-Match.
    pub if_match: Option<&'a str>,
    /// Header If-None-Match.
    pub if_none_match: Option<&'a str>,
    /// The body; more than the limit and one byte need not be given.
    pub body: &'a [u8],
}

/// The answer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Names and values.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
}

impl Answer {
    const fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: String::new() }
    }

    fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// 409 says in a document what is wrong (RFC 4825 §11).
    fn conflict(error: &DocumentError) -> Self {
        let condition = match error {
            DocumentError::Encoding => "not-utf-8",
            DocumentError::Malformed | DocumentError::Entity => "not-well-formed",
            DocumentError::Limit(_) => "constraint-failure",
            DocumentError::Root
            | DocumentError::Attribute(_)
            | DocumentError::MediaType
            | DocumentError::Part
            | DocumentError::Stale
            | DocumentError::Version
            | DocumentError::Patch(_) => "schema-validation-error",
        };
        // The phrase is of our own words, which need no escapes.
        let mut answer = Self::new(409).with("Content-Type", XCAP_ERROR.to_owned());
        answer.body = [
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<xcap-error xmlns=\"urn:ietf:params:xml:ns:xcap-error\"><",
            condition,
            " phrase=\"",
            &error.to_string(),
            "\"/></xcap-error>\n",
        ]
        .concat();
        answer
    }
}

impl Server {
    /// A request below the XCAP root. What it changes counts at once, and is in [`Self::state`].
    pub fn handle_xcap(&mut self, request: &Request<'_>, now: Instant) -> Answer {
        let mut claimed = None;
        let answer = self.xcap(request, &mut claimed, now);
        if !matches!(answer.status, 200..=399 | 404 | 412) && (answer.status != 401 || claimed.is_some()) {
            let method = request.method.chars().take(16).collect();
            let user = claimed.filter(|_| answer.status == 401);
            self.tell(Event::Refused { method, status: answer.status, user });
        }
        answer
    }

    fn xcap(&mut self, request: &Request<'_>, claimed: &mut Option<String>, now: Instant) -> Answer {
        let Some(address) = self.address_in(request.path) else { return Answer::new(404) };
        let owner = self.local_user(&address);
        let is_read = matches!(request.method, "GET" | "HEAD");
        if !is_read && !matches!(request.method, "PUT" | "DELETE") {
            return Answer::new(405).with("Allow", ALLOW.to_owned());
        }
        let owner = match (self.authentication.verify_http(request, &self.config, now), owner) {
            (Ok(user), Some(owner)) if user == owner => owner,
            (Ok(_), Some(_)) => return Answer::new(403),
            (Ok(_), None) => return Answer::new(404),
            (Err(denied), _) => {
                let stale = denied == Denied::Stale;
                let claims = request.authorization.and_then(|row| DigestCredentials::parse(row).ok());
                *claimed = claims.filter(|_| !stale).map(|row| row.username);
                let rows = self.authentication.challenges(stale, &mut self.random, now);
                let answer = Answer::new(401);
                return rows.into_iter().fold(answer, |answer, row| answer.with("WWW-Authenticate", row));
            }
        };
        if request.body.len() > self.config.limits.ruleset {
            return Answer::new(413);
        }
        let tag = self.rules.get(&owner).map(|rules| rules.tag.clone());
        if request.if_match.is_some_and(|tags| !names(tags, tag.as_deref(), false)) {
            return Answer::new(412);
        }
        if request.if_none_match.is_some_and(|tags| names(tags, tag.as_deref(), true)) {
            return tag
                .filter(|_| is_read)
                .map_or(Answer::new(412), |tag| Answer::new(304).with("ETag", tag));
        }
        match request.method {
            "PUT" => self.put(&owner, request, now),
            "DELETE" if tag.is_none() => Answer::new(404),
            "DELETE" => {
                self.change_rules(&owner, None, now);
                self.tell(Event::Ruled { user: owner });
                Answer::new(200)
            }
            _ => self.rules.get(&owner).map_or(Answer::new(404), |rules| {
                let answer = Answer::new(200).with("Content-Type", AUTH_POLICY.to_owned());
                Answer { body: rules.text.clone(), ..answer.with("ETag", rules.tag.clone()) }
            }),
        }
    }

    /// Whose rules the path names, of this domain: `/pres-rules/users/<address>/index`.
    fn address_in(&self, path: &str) -> Option<Uri> {
        let rest = path.strip_prefix("/pres-rules/users/")?;
        let (address, document) = rest.split_once('/')?;
        let uri = Uri::parse(&unescape(address)).ok().filter(|_| document == "index")?;
        let is_here = uri.user.is_some() && uri.host.eq_ignore_ascii_case(&self.config.domain);
        // One spelling, one document.
        (is_here && uri.port.is_none() && uri.params.is_empty() && uri.headers.is_none()).then_some(uri)
    }

    fn put(&mut self, owner: &str, request: &Request<'_>, now: Instant) -> Answer {
        let media = request.content_type.and_then(|text| text.split(';').next()).unwrap_or_default();
        if !media.trim().eq_ignore_ascii_case(AUTH_POLICY) {
            return Answer::new(415);
        }
        let text = core::str::from_utf8(request.body).map_err(|_| DocumentError::Encoding);
        match text.and_then(|text| UserRules::read(text, now)) {
            Ok(rules) => {
                let tag = rules.tag.clone();
                let is_new = self.change_rules(owner, Some(rules), now);
                self.tell(Event::Ruled { user: owner.to_owned() });
                Answer::new(if is_new { 201 } else { 200 }).with("ETag", tag)
            }
            Err(error) => Answer::conflict(&error),
        }
    }
}

/// Whether a list of entity-tags names this one (RFC 9110 §13.1); `*` names any. Ours are strong: a weak one is the same
/// only where that is enough.
fn names(tags: &str, tag: Option<&str>, weakly: bool) -> bool {
    let Some(tag) = tag else { return false };
    tags.trim() == "*"
        || tags.split(',').map(str::trim).any(|one| match one.strip_prefix("W/") {
            Some(weak) => weakly && weak == tag,
            None => one == tag,
        })
}
