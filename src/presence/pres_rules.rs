//! Authorization rules for presence (RFC 4745, RFC 5025): what they give to one watcher, and how that is changed.
//!
//! ```text
//!   ruleset ──edit──> the same text, in which the rules of ours are replaced: one for each handling, with its watchers
//! ```
//!
//! Our rules have ids that begin with [`OURS`], and nothing in them that we would not write: one that somebody has changed
//! is theirs. What others have written stays as it is, byte for byte. Of all rules that hold for a watcher the one that
//! gives most counts (RFC 4745 §10.2): nothing of ours can take away what another rule gives. May use: `xml`, `decimal`.

#[cfg(feature = "server")]
mod ruleset;

#[cfg(feature = "server")]
pub use ruleset::Ruleset;

use super::DocumentError;
use super::pidf::{Limits, read_time};
use super::xml::{self, Attribute, Element, Node, push_attribute};
use crate::decimal::{decimal, number};
use crate::time::Instant;

/// The media type (RFC 5025 §9).
pub const AUTH_POLICY: &str = "application/auth-policy+xml";

/// What the ids of our rules begin with; the token of the handling follows, and a number where another rule has that id.
pub const OURS: &str = "sip-presence-";

const COMMON: &str = "urn:ietf:params:xml:ns:common-policy";
const RULES: &str = "urn:ietf:params:xml:ns:pres-rules";

/// A rule without transformations shows nothing (RFC 5025 §3.3).
const EVERYTHING: &str = "<transformations xmlns:pr=\"urn:ietf:params:xml:ns:pres-rules\">\
    <pr:provide-devices><pr:all-devices/></pr:provide-devices><pr:provide-persons><pr:all-persons/></pr:provide-persons>\
    <pr:provide-services><pr:all-services/></pr:provide-services><pr:provide-all-attributes/></transformations>";

const EMPTY: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
    <ruleset xmlns=\"urn:ietf:params:xml:ns:common-policy\"></ruleset>\n";

/// Of a ruleset; thousands of watchers have room.
const LIMITS: Limits =
    Limits { bytes: 1024 * 1024, depth: 32, elements: 50_000, attributes: 64, inherited: 512 };

/// What a watcher gets (RFC 5025 §3.2.1), from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Handling {
    /// The subscription is refused. So it is without a rule.
    Block,
    /// It waits until the presentity decides.
    Confirm,
    /// It is shown that the presentity is offline.
    PoliteBlock,
    /// It is shown what the transformations let through.
    Allow,
}

impl Handling {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Block, Self::Confirm, Self::PoliteBlock, Self::Allow];

    /// The token of RFC 5025.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Confirm => "confirm",
            Self::PoliteBlock => "polite-block",
            Self::Allow => "allow",
        }
    }

    /// The handling that `token` names.
    #[must_use]
    pub fn from_token(token: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|handling| handling.as_str() == token)
    }
}

/// Why a ruleset is not changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EditError {
    /// It cannot be read, or has no room.
    Document(DocumentError),
    /// The rule with this id is not ours, and gives the watcher more.
    Overruled(String),
}

impl From<DocumentError> for EditError {
    fn from(error: DocumentError) -> Self {
        Self::Document(error)
    }
}

/// What the rules in `text` give to the watcher `identity`, a URI; `None` if none holds for them, which blocks them.
/// A rule that depends on the sphere holds, and one that will be valid later too.
///
/// # Errors
/// [`DocumentError`]: `text` is no ruleset.
pub fn handling(text: &str, identity: &str, now: Instant) -> Result<Option<Handling>, DocumentError> {
    let root = read(text)?;
    Ok(rules(&root).filter_map(|rule| given(rule, identity, now)).max())
}

/// The ruleset `text`, or a new one if that is empty, in which the watcher `identity`, a URI, gets `handling`.
///
/// # Errors
/// [`EditError`]
pub fn edit(text: &str, identity: &str, handling: Handling, now: Instant) -> Result<String, EditError> {
    let text = if text.trim().is_empty() { EMPTY } else { text };
    let root = read(text)?;
    let place = |part: &str| part.as_ptr().addr().saturating_sub(text.as_ptr().addr());
    let mut members: [Vec<String>; 4] = Default::default();
    let mut taken = Vec::new();
    let mut edited = String::with_capacity(text.len() + 1024);
    let mut copied = 0;
    for rule in rules(&root) {
        let id = rule.attribute("id").unwrap_or_default();
        if let Some((own, watchers)) = own(rule, &id) {
            members[own as usize].extend(watchers.into_iter().filter(|watcher| !is_same(watcher, identity)));
            let start = place(rule.source);
            edited.push_str(text.get(copied..start).unwrap_or_default());
            copied = start + rule.source.len();
        } else if given(rule, identity, now).is_some_and(|given| given > handling) {
            return Err(EditError::Overruled(id));
        } else {
            taken.push(id);
        }
    }
    members[handling as usize].push(identity.to_owned());
    let end = place(root.source) + root.source.len();
    // An end tag, or none.
    let (tail, is_empty) = match root.source.strip_suffix("/>") {
        Some(_) => (2, true),
        None => (root.source.len() - root.source.rfind("</").unwrap_or_default(), false),
    };
    edited.push_str(text.get(copied..end - tail).unwrap_or_default());
    if is_empty {
        edited.push('>');
    }
    for (handling, members) in Handling::ALL.into_iter().zip(&members) {
        push_rule(&free_id(handling, &taken), handling, members, &mut edited);
    }
    if is_empty {
        let tag = root.source.get(1..).unwrap_or_default();
        let name = tag.split(|c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>')).next();
        for part in ["</", name.unwrap_or_default(), ">"] {
            edited.push_str(part);
        }
        edited.push_str(text.get(end..).unwrap_or_default());
    } else {
        edited.push_str(text.get(end - tail..).unwrap_or_default());
    }
    // What is written must be readable the next time.
    read(&edited)?;
    Ok(edited)
}

/// Strictly: what is not understood is not written again.
fn read(text: &str) -> Result<Element<'_>, DocumentError> {
    if encoding(text).is_some_and(|encoding| !encoding.eq_ignore_ascii_case("UTF-8")) {
        return Err(DocumentError::Encoding);
    }
    let mut warnings = Vec::new();
    let root = xml::read(text.as_bytes(), &LIMITS, &mut warnings)?;
    if !warnings.is_empty() {
        return Err(DocumentError::Malformed);
    }
    if root.name != "ruleset" || root.namespace != COMMON {
        return Err(DocumentError::Root);
    }
    Ok(root)
}

/// What the XML declaration says of the encoding: what we add is in UTF-8.
fn encoding(text: &str) -> Option<&str> {
    let text = text.trim_start_matches('\u{feff}').trim_ascii_start();
    let (declaration, _) = text.strip_prefix("<?xml")?.split_once("?>")?;
    let (before, value) = declaration.split_once("encoding")?;
    // Otherwise it is another instruction.
    before.strip_prefix(|c: char| c.is_ascii_whitespace())?;
    let value = value.trim_ascii_start().strip_prefix('=')?.trim_ascii_start();
    let quote = |c: char| matches!(c, '"' | '\'');
    value.strip_prefix(quote)?.split(quote).next()
}

fn rules<'a, 'b>(root: &'b Element<'a>) -> impl Iterator<Item = &'b Element<'a>> {
    children(root, COMMON, "rule")
}

fn children<'a, 'b>(
    parent: &'b Element<'a>,
    namespace: &str,
    name: &str,
) -> impl Iterator<Item = &'b Element<'a>> {
    parent.elements().filter(move |child| child.name == name && child.namespace == namespace)
}

/// What a rule of ours gives, and to whom; `None` for a rule that is not, or no longer, as we write it.
fn own(rule: &Element<'_>, id: &str) -> Option<(Handling, Vec<String>)> {
    let name = id.strip_prefix(OURS)?;
    let handling = Handling::from_token(name).or_else(|| {
        let (token, digits) = name.rsplit_once('-')?;
        number(digits)?;
        Handling::from_token(token)
    })?;
    // In comments and the like nobody looks for rules, but somebody has written them.
    if rule.source.contains("<!") || rule.source.contains("<?") {
        return None;
    }
    let watchers = watchers(rule);
    let mut text = String::with_capacity(rule.source.len());
    push_rule(id, handling, &watchers, &mut text);
    let ours = xml::read(text.as_bytes(), &LIMITS, &mut Vec::new()).ok()?;
    is_alike(rule, &ours).then_some((handling, watchers))
}

/// Whether two elements say the same, however they are written.
fn is_alike(a: &Element<'_>, b: &Element<'_>) -> bool {
    let is_same = |(a, b): (&Attribute<'_>, &Attribute<'_>)| {
        (a.namespace, a.name) == (b.namespace, b.name)
            && xml::unescaped(a.value.trim_ascii()) == xml::unescaped(b.value.trim_ascii())
    };
    let is_alike = |nodes: (&Node<'_>, &Node<'_>)| matches!(nodes, (Node::Element(a), Node::Element(b)) if is_alike(a, b));
    (a.namespace, a.name, a.text.trim_ascii()) == (b.namespace, b.name, b.text.trim_ascii())
        && (a.attributes.len(), a.children.len()) == (b.attributes.len(), b.children.len())
        && a.attributes.iter().zip(&b.attributes).all(is_same)
        && a.children.iter().zip(&b.children).all(is_alike)
}

/// The identities that a rule of ours names.
fn watchers(rule: &Element<'_>) -> Vec<String> {
    let mut watchers = Vec::new();
    for conditions in children(rule, COMMON, "conditions") {
        for identity in children(conditions, COMMON, "identity") {
            watchers.extend(children(identity, COMMON, "one").filter_map(|one| one.attribute("id")));
        }
    }
    watchers
}

/// What `rule` gives to `identity`; `None` if it does not hold for them, or says nothing of subscriptions.
fn given(rule: &Element<'_>, identity: &str, now: Instant) -> Option<Handling> {
    for conditions in children(rule, COMMON, "conditions") {
        // All must hold (RFC 4745 §6).
        if !conditions.elements().all(|condition| holds(condition, identity, now)) {
            return None;
        }
    }
    let actions = children(rule, COMMON, "actions");
    let handlings = actions.flat_map(|actions| children(actions, RULES, "sub-handling"));
    handlings.filter_map(|handling| Handling::from_token(&handling.text())).max()
}

/// Whether a condition can hold for `identity`. One that is not known does not (RFC 4745 §7).
fn holds(condition: &Element<'_>, identity: &str, now: Instant) -> bool {
    if condition.namespace != COMMON {
        return false;
    }
    match condition.name {
        "identity" => condition.elements().any(|child| names(child, identity)),
        "validity" => {
            let ends = children(condition, COMMON, "until");
            ends.filter_map(|until| read_time(&until.text())).any(|(until, _)| until > now)
        }
        "sphere" => true,
        _ => false,
    }
}

/// Whether a child of `identity` means the watcher `identity`.
fn names(child: &Element<'_>, identity: &str) -> bool {
    if child.namespace != COMMON {
        return false;
    }
    let is_in = |element: &Element<'_>| {
        element.attribute("domain").is_some_and(|domain| domain.eq_ignore_ascii_case(domain_of(identity)))
    };
    let is_it = |element: &Element<'_>| element.attribute("id").is_some_and(|id| is_same(&id, identity));
    match child.name {
        "one" => is_it(child),
        "many" => {
            (child.attribute("domain").is_none() || is_in(child))
                && !children(child, COMMON, "except").any(|except| is_it(except) || is_in(except))
        }
        _ => false,
    }
}

/// Whether two URIs are the same; of scheme and host the case does not count, and an escaped character is the same as the
/// character (RFC 3261 §19.1.4). No scheme is another one (RFC 5025 §3.1.1).
fn is_same(a: &str, b: &str) -> bool {
    let ((scheme_a, user_a, host_a), (scheme_b, user_b, host_b)) = (split(a), split(b));
    scheme_a.eq_ignore_ascii_case(scheme_b)
        && Unescaped(user_a.as_bytes()).eq(Unescaped(user_b.as_bytes()))
        && host_a.eq_ignore_ascii_case(host_b)
}

/// The bytes of a text in which some are escaped.
struct Unescaped<'a>(&'a [u8]);

impl Iterator for Unescaped<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let digit = |byte: &u8| char::from(*byte).to_digit(16);
        let (first, rest) = self.0.split_first()?;
        let escaped = match rest {
            [high, low, ..] if *first == b'%' => digit(high).zip(digit(low)),
            _ => None,
        };
        let escaped = escaped.and_then(|(high, low)| u8::try_from(high << 4 | low).ok());
        self.0 = if escaped.is_some() { rest.get(2..)? } else { rest };
        Some(escaped.unwrap_or(*first))
    }
}

/// Scheme and user with their signs, and the host with what follows it.
fn split(uri: &str) -> (&str, &str, &str) {
    let (scheme, rest) = uri.split_at(uri.find(':').map_or(0, |at| at + 1));
    let (user, host) = rest.split_at(rest.rfind('@').map_or(0, |at| at + 1));
    (scheme, user, host)
}

fn domain_of(uri: &str) -> &str {
    let (_, _, host) = split(uri);
    let host = host.split([';', '?']).next().unwrap_or_default();
    match host.rsplit_once(':') {
        // A port; in brackets it is a part of the address.
        Some((name, _)) if !host.ends_with(']') => name,
        Some(_) | None => host,
    }
}

/// The id of a rule of ours that gives `handling`, where others have `taken` some.
fn free_id(handling: Handling, taken: &[String]) -> String {
    let mut id = [OURS, handling.as_str()].concat();
    let length = id.len();
    let mut count = 1;
    while taken.contains(&id) {
        count += 1;
        id.truncate(length);
        id.push('-');
        id.push_str(&decimal(count));
    }
    id
}

/// Writes the rule of ours that gives `handling`; without members none, for a rule without an identity is for everybody.
fn push_rule(id: &str, handling: Handling, members: &[String], into: &mut String) {
    if members.is_empty() {
        return;
    }
    into.push_str("<rule");
    push_attribute("xmlns", COMMON, into);
    push_attribute("id", id, into);
    into.push_str("><conditions><identity>");
    for member in members {
        into.push_str("<one");
        push_attribute("id", member, into);
        into.push_str("/>");
    }
    into.push_str("</identity></conditions><actions><sub-handling");
    push_attribute("xmlns", RULES, into);
    into.push('>');
    into.push_str(handling.as_str());
    into.push_str("</sub-handling></actions>");
    if handling == Handling::Allow {
        into.push_str(EVERYTHING);
    }
    into.push_str("</rule>");
}
