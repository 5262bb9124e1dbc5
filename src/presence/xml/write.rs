//! A tree that was read whole back to text. An element that came from another document gets the prefix that its
//! namespace has where it stands now, or a declaration (RFC 5261 §4.2.3). Texts are escaped anew: none becomes markup.

use super::{DECLARATION, Element, Node, split_name, unescaped};
use crate::presence::pidf::escape;

/// Prefix and namespace, innermost last.
pub(in crate::presence) type Scope<'a> = Vec<(&'a str, &'a str)>;

/// The prefix that is always declared.
pub(in crate::presence) const XML: (&str, &str) = ("xml", "http://www.w3.org/XML/1998/namespace");

/// A document that was read whole as text.
pub(in crate::presence) fn write_document(document: &Element<'_>) -> String {
    let mut text = String::with_capacity(1024);
    write(&document.children, &mut vec![XML], &mut text);
    text
}

/// Writes `nodes` where the declarations of `scope` hold.
pub(in crate::presence) fn write<'a>(nodes: &'a [Node<'a>], scope: &mut Scope<'a>, into: &mut String) {
    for node in nodes {
        match node {
            Node::Element(element) => write_element(element, scope, into),
            Node::Text(text) => escape(&unescaped(text), into),
            Node::CData(text) => {
                into.push_str("<![CDATA[");
                into.push_str(text);
                into.push_str("]]>");
            }
            Node::Comment(source) | Node::Instruction(source) => into.push_str(source),
        }
    }
}

fn write_element<'a>(element: &'a Element<'a>, scope: &mut Scope<'a>, into: &mut String) {
    let outside = scope.len();
    scope.extend(declared(element));
    // What stands in the scope behind this is still to be declared here.
    let own = scope.len();
    let prefix = prefix_for(element, element.name, element.namespace, scope);
    let name_at = into.len();
    into.push('<');
    push_name(prefix, element.name, into);
    let name_end = into.len();
    for attribute in &element.attributes {
        if attribute.namespace == DECLARATION {
            declare(attribute.name, attribute.value, into);
        } else {
            let prefix = if attribute.namespace.is_empty() {
                ""
            } else {
                prefix_for(element, attribute.name, attribute.namespace, scope)
            };
            into.push(' ');
            push_name(prefix, attribute.name, into);
            push_value(attribute.value, into);
        }
    }
    for (prefix, namespace) in scope.get(own..).unwrap_or_default() {
        declare(prefix, namespace, into);
    }
    if element.children.is_empty() {
        into.push_str("/>");
    } else {
        into.push('>');
        write(&element.children, scope, into);
        into.push_str("</");
        into.extend_from_within(name_at + 1..name_end);
        into.push('>');
    }
    scope.truncate(outside);
}

/// The prefix with which something of `namespace` in `element` is written: its own where that means the same, another
/// one that does, else its own, declared anew.
fn prefix_for<'a>(
    element: &Element<'a>,
    name: &'a str,
    namespace: &'a str,
    scope: &mut Scope<'a>,
) -> &'a str {
    let own = split_name(name).0;
    bound(element, own, namespace, scope).unwrap_or_else(|| {
        scope.push((own, namespace));
        own
    })
}

/// The prefix that means `namespace` in `scope`: `own`, else one that is not empty and that `element` does not use for
/// something else.
pub(in crate::presence) fn bound<'a>(
    element: &Element<'a>,
    own: &'a str,
    namespace: &str,
    scope: &Scope<'a>,
) -> Option<&'a str> {
    if meaning(own, scope) == Some(namespace) {
        return Some(own);
    }
    let taken = |prefix: &str, name: &str, other: &str| split_name(name).0 == prefix && other != namespace;
    let others = scope.iter().rev().map(|(prefix, _)| *prefix);
    others.filter(|prefix| !prefix.is_empty() && meaning(prefix, scope) == Some(namespace)).find(|prefix| {
        !taken(prefix, element.name, element.namespace)
            && !element.attributes.iter().any(|a| taken(prefix, a.name, a.namespace))
    })
}

/// What `prefix` means in `scope`.
pub(in crate::presence) fn meaning<'a>(prefix: &str, scope: &Scope<'a>) -> Option<&'a str> {
    let found = scope.iter().rev().find(|(declared, _)| *declared == prefix).map(|(_, namespace)| *namespace);
    found.or(if prefix.is_empty() { Some("") } else { None })
}

/// What `element` declares: prefix and namespace.
pub(in crate::presence) fn declared<'a>(element: &Element<'a>) -> impl Iterator<Item = (&'a str, &'a str)> {
    element.attributes.iter().filter(|a| a.namespace == DECLARATION).map(|a| (a.name, a.value))
}

fn push_name(prefix: &str, name: &str, into: &mut String) {
    if !prefix.is_empty() {
        into.push_str(prefix);
        into.push(':');
    }
    into.push_str(split_name(name).1);
}

fn declare(prefix: &str, namespace: &str, into: &mut String) {
    into.push_str(if prefix.is_empty() { " xmlns" } else { " xmlns:" });
    into.push_str(prefix);
    push_value(namespace, into);
}

fn push_value(value: &str, into: &mut String) {
    into.push_str("=\"");
    escape(&unescaped(value), into);
    into.push('"');
}

/// Writes an attribute whose value is plain text.
pub(in crate::presence) fn push_attribute(name: &str, value: &str, into: &mut String) {
    into.push(' ');
    into.push_str(name);
    into.push_str("=\"");
    escape(value, into);
    into.push('"');
}
