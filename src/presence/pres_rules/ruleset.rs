//! Rules as a server obeys them (RFC 4745 §7 to §10, RFC 5025 §3).
//!
//! What is not understood gives nothing: a condition that is not known does not hold, nor one on the sphere, which nobody
//! here knows; and of services, persons and devices that are selected one by one none is shown.

use super::{COMMON, Handling, RULES, children, domain_of, is_same, read, rules};
use crate::presence::filter::{Attributes, Detail, Transformations};
use crate::presence::pidf::read_time;
use crate::presence::xml::Element;
use crate::presence::{AttributeName, DocumentError};
use crate::time::Instant;

/// A ruleset that was understood.
#[derive(Clone, Debug)]
pub struct Ruleset(Vec<Rule>);

#[derive(Clone, Debug)]
struct Rule {
    conditions: Vec<Condition>,
    handling: Option<Handling>,
    shown: Transformations,
}

#[derive(Clone, Debug)]
enum Condition {
    /// One of these.
    Identity(Vec<Who>),
    /// In one of these spans, which end before their second point.
    Validity(Vec<(Instant, Instant)>),
    Never,
}

#[derive(Clone, Debug)]
enum Who {
    One(String),
    Many { domain: Option<String>, except: Vec<Except> },
}

#[derive(Clone, Debug)]
enum Except {
    One(String),
    Domain(String),
}

impl Ruleset {
    /// Reads a document (RFC 4745 §13).
    ///
    /// # Errors
    /// [`DocumentError`]: it is no ruleset, or a rule has no id of its own, or a handling that does not exist.
    pub fn read(text: &str) -> Result<Self, DocumentError> {
        let root = read(text)?;
        let mut ids = Vec::new();
        let mut all = Vec::new();
        for rule in rules(&root) {
            let id =
                rule.attribute("id").filter(|id| !id.is_empty()).ok_or(DocumentError::Attribute("id"))?;
            ids.push(id);
            all.push(read_rule(rule)?);
        }
        ids.sort_unstable();
        match ids.windows(2).any(|pair| pair[0] == pair[1]) {
            true => Err(DocumentError::Attribute("id")),
            false => Ok(Self(all)),
        }
    }

    /// What the watcher `identity`, a URI, gets `now`, and what of the document it is shown: what all rules that hold give
    /// together (RFC 4745 §10.2). `None` if none of them says anything of subscriptions.
    #[must_use]
    pub fn grant(&self, identity: &str, now: Instant) -> Option<(Handling, Transformations)> {
        let mut handling = None;
        let mut shown = Transformations::nothing();
        for rule in &self.0 {
            if rule.conditions.iter().all(|condition| condition.holds(identity, now)) {
                handling = handling.max(rule.handling);
                shown = shown.union(rule.shown.clone());
            }
        }
        Some((handling?, shown))
    }

    /// When another answer may be right: a rule begins or ends to be valid.
    #[must_use]
    pub fn next_change(&self, now: Instant) -> Option<Instant> {
        let mut next: Option<Instant> = None;
        for condition in self.0.iter().flat_map(|rule| &rule.conditions) {
            if let Condition::Validity(spans) = condition {
                let points = spans.iter().flat_map(|(from, until)| [*from, *until]);
                next = points.filter(|at| *at > now).chain(next).min();
            }
        }
        next
    }
}

impl Condition {
    fn holds(&self, identity: &str, now: Instant) -> bool {
        match self {
            Self::Identity(anyone) => anyone.iter().any(|who| who.is(identity)),
            Self::Validity(spans) => spans.iter().any(|(from, until)| *from <= now && now < *until),
            Self::Never => false,
        }
    }
}

impl Who {
    fn is(&self, identity: &str) -> bool {
        let is_in = |domain: &str| domain.eq_ignore_ascii_case(domain_of(identity));
        match self {
            Self::One(id) => is_same(id, identity),
            Self::Many { domain, except } => {
                domain.as_deref().is_none_or(is_in)
                    && !except.iter().any(|except| match except {
                        Except::One(id) => is_same(id, identity),
                        Except::Domain(domain) => is_in(domain),
                    })
            }
        }
    }
}

fn read_rule(rule: &Element<'_>) -> Result<Rule, DocumentError> {
    // Conditions that are misspelt would leave a rule for everybody.
    let is_part = |part: &Element<'_>| {
        part.namespace == COMMON && matches!(part.name, "conditions" | "actions" | "transformations")
    };
    if !rule.elements().all(is_part) {
        return Err(DocumentError::Attribute("rule"));
    }
    let conditions =
        children(rule, COMMON, "conditions").flat_map(Element::elements).map(condition).collect();
    let mut handling = None;
    for actions in children(rule, COMMON, "actions") {
        for action in children(actions, RULES, "sub-handling") {
            let token = Handling::from_token(action.text().trim_ascii());
            handling = handling.max(Some(token.ok_or(DocumentError::Attribute("sub-handling"))?));
        }
    }
    let mut shown = Transformations::nothing();
    for permission in children(rule, COMMON, "transformations").flat_map(Element::elements) {
        if permission.namespace == RULES {
            permit(permission, &mut shown);
        }
    }
    Ok(Rule { conditions, handling, shown })
}

fn condition(element: &Element<'_>) -> Condition {
    match (element.namespace == COMMON, element.name) {
        (true, "identity") => Condition::Identity(element.elements().filter_map(who).collect()),
        (true, "validity") => {
            let time = |element: &Element<'_>| read_time(element.text().trim_ascii()).map(|(at, _)| at);
            let starts = children(element, COMMON, "from").map(time);
            let ends = children(element, COMMON, "until").map(time);
            // One that cannot be read is in no pair, and moves no other into its place.
            Condition::Validity(starts.zip(ends).filter_map(|(from, until)| Some((from?, until?))).collect())
        }
        (true | false, _) => Condition::Never,
    }
}

fn who(element: &Element<'_>) -> Option<Who> {
    if element.namespace != COMMON {
        return None;
    }
    match element.name {
        "one" => element.attribute("id").map(Who::One),
        // An exception that is not understood leaves nobody.
        "many" => {
            let except: Option<Vec<Except>> = element.elements().map(exception).collect();
            Some(Who::Many { domain: element.attribute("domain"), except: except? })
        }
        _ => None,
    }
}

fn exception(element: &Element<'_>) -> Option<Except> {
    let is_known = (element.namespace, element.name) == (COMMON, "except");
    let one = element.attribute("id").map(Except::One);
    let domain = element.attribute("domain").map(Except::Domain);
    // With both it is not clear what is meant.
    one.xor(domain).filter(|_| is_known)
}

/// Adds a permission (RFC 5025 §3.3.1, §3.3.2).
fn permit(permission: &Element<'_>, shown: &mut Transformations) {
    let has = |all: &str| children(permission, RULES, all).next().is_some();
    let text = permission.text();
    let is_true = matches!(text.trim_ascii(), "true" | "1");
    match permission.name {
        "provide-services" => shown.services |= has("all-services"),
        "provide-persons" => shown.persons |= has("all-persons"),
        "provide-devices" => shown.devices |= has("all-devices"),
        "provide-all-attributes" => {
            shown.attributes = Attributes::All;
            shown.notes = true;
            shown.user_input = Detail::Full;
            shown.unknown = true;
        }
        "provide-note" => shown.notes |= is_true,
        "provide-user-input" => {
            let degree = match text.trim_ascii() {
                "full" => Detail::Full,
                "thresholds" => Detail::Thresholds,
                "bare" => Detail::Bare,
                _ => Detail::False,
            };
            shown.user_input = shown.user_input.max(degree);
        }
        other => {
            let name = other.strip_prefix("provide-").filter(|_| is_true);
            let known = AttributeName::all().find(|known| name == Some(known.as_str()));
            if let (Some(known), Attributes::Only(names)) = (known, &mut shown.attributes) {
                names.push(known);
            }
        }
    }
}
