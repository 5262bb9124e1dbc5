//! What changed between two documents, as a `pidf-diff` (RFC 5262 §3, §4): operations by ids where there are ids. A
//! `pidf-full` where that is no longer.

use super::{NAMESPACE, PIDF};
use crate::presence::pidf::{Limits, escape};
use crate::presence::xml::{self, Attribute, DECLARATION, Element, Node, Scope, split_name, unescaped};

/// Our own documents are as large as they are.
const UNLIMITED: Limits = Limits {
    bytes: usize::MAX,
    depth: 64,
    elements: usize::MAX,
    attributes: usize::MAX,
    inherited: usize::MAX,
};

/// The document that makes `new` of `old`, both the texts of PIDF documents. `None` if one of them is none.
#[must_use]
pub fn produce(old: &str, new: &str, version: u32) -> Option<String> {
    let full = full(new, version)?;
    let old = xml::read_whole(old.as_bytes(), &UNLIMITED).ok()?;
    let new = xml::read_whole(new.as_bytes(), &UNLIMITED).ok()?;
    let diff = diff(old.root()?, new.root()?, version);
    Some(diff.filter(|diff| diff.len() < full.len()).unwrap_or(full))
}

/// The PIDF document `text` as a `pidf-full`. `None` if it is none.
#[must_use]
pub fn full(text: &str, version: u32) -> Option<String> {
    let version = version.to_string();
    let mut document = xml::read_whole(text.as_bytes(), &UNLIMITED).ok()?;
    for node in &mut document.children {
        let Node::Element(root) = node else { continue };
        if root.namespace != PIDF || split_name(root.name).1 != "presence" {
            return None;
        }
        root.namespace = NAMESPACE;
        root.name = "p:pidf-full";
        root.attributes.retain(|a| a.name != "version");
        root.attributes.push(Attribute { namespace: "", name: "version", value: &version });
    }
    Some([DECLARATION_OF_XML, &xml::write_document(&document)].concat())
}

/// More children than this are not matched with each other: that takes time.
const MOST_SIBLINGS: usize = 64;

const DECLARATION_OF_XML: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

fn diff<'a>(old: &'a Element<'a>, new: &'a Element<'a>, version: u32) -> Option<String> {
    if !same_attributes(old, new) || old.namespace != PIDF {
        return None;
    }
    let mut writer =
        Writer { operations: String::new(), scope: vec![xml::XML, ("", PIDF), ("p", NAMESPACE)] };
    writer.children(old, new, "*")?;
    let mut text = [DECLARATION_OF_XML, "<p:pidf-diff"].concat();
    for (prefix, namespace) in writer.scope.iter().skip(1) {
        text.push_str(if prefix.is_empty() { " xmlns" } else { " xmlns:" });
        text.push_str(prefix);
        text.push_str("=\"");
        text.push_str(namespace);
        text.push('"');
    }
    if let Some(entity) = new.attribute("entity") {
        text.push_str(" entity=\"");
        escape(&entity, &mut text);
        text.push('"');
    }
    text.push_str(" version=\"");
    text.push_str(&version.to_string());
    text.push_str("\">");
    text.push_str(&writer.operations);
    text.push_str("</p:pidf-diff>");
    Some(text)
}

/// What an element is known by among its siblings: name, id, and which of several of these it is.
#[derive(Clone, PartialEq, Eq)]
struct Key<'a> {
    namespace: &'a str,
    name: &'a str,
    id: Option<String>,
    ordinal: usize,
}

struct Writer<'a> {
    operations: String,
    /// What the root of the document will declare.
    scope: Scope<'a>,
}

impl<'a> Writer<'a> {
    /// Operations for an element that is in both documents.
    fn element(&mut self, old: &'a Element<'a>, new: &'a Node<'a>, selector: &str) -> Option<()> {
        let Node::Element(element) = new else { return None };
        if is_same(old, element) {
            return Some(());
        }
        let (from, declared) = (self.operations.len(), self.scope.len());
        let mut whole = String::new();
        open("replace", selector, None, &mut whole);
        xml::write(core::slice::from_ref(new), &mut self.scope, &mut whole);
        whole.push_str("</p:replace>");
        let inside =
            self.attributes(old, element, selector).and_then(|()| self.children(old, element, selector));
        if inside.is_none() || self.operations.len() - from > whole.len() {
            self.operations.truncate(from);
            self.scope.truncate(declared);
            self.operations.push_str(&whole);
        }
        Some(())
    }

    fn attributes(&mut self, old: &'a Element<'a>, new: &'a Element<'a>, selector: &str) -> Option<()> {
        for attribute in plain(old) {
            let name = self.attribute_name(attribute)?;
            let selector = [selector, "/@", &name].concat();
            match find(new, attribute) {
                None => {
                    open("remove", &selector, None, &mut self.operations);
                    self.operations.push_str("</p:remove>");
                }
                Some(now) if unescaped(now.value) != unescaped(attribute.value) => {
                    self.operation("replace", &selector, None, &unescaped(now.value));
                }
                Some(_) => {}
            }
        }
        for attribute in plain(new).filter(|attribute| find(old, attribute).is_none()) {
            let name = ["@", &self.attribute_name(attribute)?].concat();
            if attribute.value.is_empty() {
                return None;
            }
            self.operation("add", selector, Some(("type", &name)), &unescaped(attribute.value));
        }
        Some(())
    }

    fn operation(&mut self, name: &str, selector: &str, more: Option<(&str, &str)>, text: &str) {
        open(name, selector, more, &mut self.operations);
        escape(text, &mut self.operations);
        self.close(name);
    }

    fn close(&mut self, name: &str) {
        self.operations.push_str("</p:");
        self.operations.push_str(name);
        self.operations.push('>');
    }

    /// `None`: what is inside can only be replaced as a whole.
    fn children(&mut self, old: &'a Element<'a>, new: &'a Element<'a>, selector: &str) -> Option<()> {
        let has_other =
            |element: &Element<'_>| element.children.iter().any(|n| !matches!(n, Node::Element(_)));
        let is_leaf = |element: &Element<'_>| {
            element.children.iter().all(|node| matches!(node, Node::Text(_) | Node::CData(_)))
        };
        if is_leaf(old) && is_leaf(new) && !(old.children.is_empty() && new.children.is_empty()) {
            self.text(old, new, selector);
            return Some(());
        }
        let most = old.children.len().max(new.children.len());
        if has_other(old) || has_other(new) || most > MOST_SIBLINGS {
            return None;
        }
        let (old_keys, new_keys) = (keys(old)?, keys(new)?);
        let same_name = |a: &Key<'_>, b: &Key<'_>| a.namespace == b.namespace && a.name == b.name;
        let is_mixed = |key: &Key<'_>| {
            let mut all = old_keys.iter().chain(&new_keys);
            key.id.is_none() && all.any(|other| same_name(key, other) && other.id.is_some())
        };
        if old_keys.iter().chain(&new_keys).any(is_mixed) {
            return None;
        }
        let has_several = |key: &Key<'_>| {
            let mut all = old_keys.iter().chain(&new_keys);
            all.any(|other| same_name(key, other) && key.id == other.id && other.ordinal > 0)
        };
        let places: Vec<Option<usize>> =
            new_keys.iter().map(|key| old_keys.iter().position(|old| old == key)).collect();
        if !places.iter().flatten().is_sorted() {
            return None;
        }
        // From the last, so that the ordinals of the others stay.
        for (at, key) in old_keys.iter().enumerate().rev() {
            if !places.contains(&Some(at)) {
                let selector = self.step(selector, key, has_several(key), old.children.get(at)?)?;
                open("remove", &selector, None, &mut self.operations);
                self.close("remove");
            }
        }
        let mut before: Option<String> = None;
        let mut at = 0;
        while let (Some(key), Some(place)) = (new_keys.get(at), places.get(at)) {
            let here = self.step(selector, key, has_several(key), new.children.get(at)?)?;
            if let Some(place) = place {
                let Some(Node::Element(was)) = old.children.get(*place) else { return None };
                self.element(was, new.children.get(at)?, &here)?;
                before = Some(here);
                at += 1;
                continue;
            }
            let mut end = at;
            while places.get(end) == Some(&None) {
                end += 1;
            }
            let (target, pos) = match &before {
                _ if end == places.len() => (selector, None),
                None => (selector, Some(("pos", "prepend"))),
                Some(before) => (before.as_str(), Some(("pos", "after"))),
            };
            open("add", target, pos, &mut self.operations);
            xml::write(new.children.get(at..end)?, &mut self.scope, &mut self.operations);
            self.close("add");
            at = end;
            let last = new_keys.get(end - 1)?;
            before = Some(self.step(selector, last, has_several(last), new.children.get(end - 1)?)?);
        }
        Some(())
    }

    fn text(&mut self, old: &Element<'_>, new: &Element<'_>, selector: &str) {
        let [mut before, mut now] = [String::new(), String::new()];
        old.collect(&mut before);
        new.collect(&mut now);
        let texts = [selector, "/text()"].concat();
        if before.is_empty() && !now.is_empty() {
            self.operation("add", selector, None, &now);
        } else if before != now {
            self.operation(if now.is_empty() { "remove" } else { "replace" }, &texts, None, &now);
        }
    }

    /// The selector of a child: by its id, else by its name and which one it is.
    fn step(&mut self, parent: &str, key: &Key<'a>, has_several: bool, node: &Node<'a>) -> Option<String> {
        let Node::Element(element) = node else { return None };
        let prefix = self.prefix(element.name, key.namespace)?;
        let mut step = [parent, "/", prefix, if prefix.is_empty() { "" } else { ":" }, key.name].concat();
        if let Some(id) = &key.id {
            let quote = if id.contains('\'') { "\"" } else { "'" };
            if id.contains(quote) {
                return None;
            }
            step = [&step, "[@id=", quote, id, quote, "]"].concat();
        }
        if has_several {
            step = [&step, "[", &(key.ordinal + 1).to_string(), "]"].concat();
        }
        Some(step)
    }

    /// A prefix for `namespace` in selectors.
    fn prefix(&mut self, name: &'a str, namespace: &'a str) -> Option<&'a str> {
        if let Some((prefix, _)) = self.scope.iter().find(|(_, declared)| *declared == namespace) {
            return Some(prefix);
        }
        let own = split_name(name).0;
        if own.is_empty() || namespace.is_empty() || self.scope.iter().any(|(prefix, _)| *prefix == own) {
            return None;
        }
        self.scope.push((own, namespace));
        Some(own)
    }

    fn attribute_name(&mut self, attribute: &Attribute<'a>) -> Option<String> {
        let local = split_name(attribute.name).1;
        if attribute.namespace.is_empty() {
            return Some(local.to_owned());
        }
        let prefix = self.prefix(attribute.name, attribute.namespace).filter(|prefix| !prefix.is_empty())?;
        Some([prefix, ":", local].concat())
    }
}

fn open(name: &str, selector: &str, more: Option<(&str, &str)>, into: &mut String) {
    into.push_str("<p:");
    into.push_str(name);
    into.push_str(" sel=\"");
    // Apostrophes need no escape in quotes, and selectors have many.
    let mut pieces = selector.split('\'');
    escape(pieces.next().unwrap_or_default(), into);
    for piece in pieces {
        into.push('\'');
        escape(piece, into);
    }
    into.push('"');
    if let Some((key, value)) = more {
        into.push(' ');
        into.push_str(key);
        into.push_str("=\"");
        into.push_str(value);
        into.push('"');
    }
    into.push('>');
}

/// The keys of the elements in `element`, which has nothing else.
fn keys<'a>(element: &'a Element<'a>) -> Option<Vec<Key<'a>>> {
    let mut keys: Vec<Key<'a>> = Vec::new();
    for child in element.elements() {
        let id = child.attributes.iter().find(|a| a.name == "id").map(|a| unescaped(a.value));
        let name = split_name(child.name).1;
        let mut key = Key { namespace: child.namespace, name, id, ordinal: 0 };
        while keys.contains(&key) {
            key.ordinal += 1;
        }
        keys.push(key);
    }
    (keys.len() == element.children.len()).then_some(keys)
}

/// The attributes that are no declarations.
fn plain<'e, 'a>(element: &'e Element<'a>) -> impl Iterator<Item = &'e Attribute<'a>> {
    element.attributes.iter().filter(|attribute| attribute.namespace != DECLARATION)
}

fn find<'e, 'a>(element: &'e Element<'a>, wanted: &Attribute<'_>) -> Option<&'e Attribute<'a>> {
    let local = split_name(wanted.name).1;
    plain(element).find(|a| a.namespace == wanted.namespace && split_name(a.name).1 == local)
}

fn same_attributes(a: &Element<'_>, b: &Element<'_>) -> bool {
    let is_in = |attribute: &Attribute<'_>, element| {
        find(element, attribute).is_some_and(|other| unescaped(other.value) == unescaped(attribute.value))
    };
    plain(a).count() == plain(b).count() && plain(a).all(|attribute| is_in(attribute, b))
}

/// Whether two elements say the same: by names with their namespaces, prefixes aside.
fn is_same(a: &Element<'_>, b: &Element<'_>) -> bool {
    let is_called = a.namespace == b.namespace && split_name(a.name).1 == split_name(b.name).1;
    is_called && same_attributes(a, b) && {
        let (mut a, mut b) = (pieces(a), pieces(b));
        loop {
            match (a.next(), b.next()) {
                (None, None) => return true,
                (Some(Node::Element(a)), Some(Node::Element(b))) if is_same(a, b) => {}
                (Some(a), Some(b))
                    if !matches!((a, b), (Node::Element(_), _)) && text_of(a) == text_of(b) => {}
                (_, _) => return false,
            }
        }
    }
}

fn pieces<'e, 'a>(element: &'e Element<'a>) -> core::slice::Iter<'e, Node<'a>> {
    element.children.iter()
}

/// The text of a node that is no element, and what kind it is.
fn text_of(node: &Node<'_>) -> Option<(bool, String)> {
    match node {
        Node::Element(_) => None,
        Node::Text(text) => Some((true, unescaped(text))),
        Node::CData(text) => Some((true, (*text).to_owned())),
        Node::Comment(source) | Node::Instruction(source) => Some((false, (*source).to_owned())),
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use crate::presence::patch;
    use proptest::prelude::*;

    /// A tree in words in which prefixes, order of attributes and pieces of texts do not count.
    fn canonical(element: &Element<'_>, into: &mut String) {
        let name = |namespace: &str, name: &str| format!("{{{namespace}}}{}", split_name(name).1);
        let mut attributes: Vec<String> = plain(element)
            .map(|a| format!(" {}={:?}", name(a.namespace, a.name), unescaped(a.value)))
            .collect();
        attributes.sort();
        into.push_str(&format!("<{}{}>", name(element.namespace, element.name), attributes.concat()));
        let mut text = String::new();
        for node in &element.children {
            match node {
                Node::Text(piece) => text.push_str(&unescaped(piece)),
                Node::CData(piece) => text.push_str(piece),
                Node::Element(_) | Node::Comment(_) | Node::Instruction(_) => {
                    into.push_str(&format!("{:?}", core::mem::take(&mut text)));
                }
            }
            match node {
                Node::Element(child) => canonical(child, into),
                Node::Comment(source) | Node::Instruction(source) => into.push_str(source),
                Node::Text(_) | Node::CData(_) => {}
            }
        }
        into.push_str(&format!("{text:?}</>"));
    }

    fn words(text: &str) -> String {
        let document = xml::read_whole(text.as_bytes(), &UNLIMITED).unwrap();
        let mut words = String::new();
        canonical(document.root().unwrap(), &mut words);
        words
    }

    fn element() -> impl Strategy<Value = String> {
        let select = |words: &'static [&'static str]| prop::sample::select(words);
        let leaf = prop_oneof![
            "[a-z\"'&<é \n]{1,6}".prop_map(|text| {
                let mut escaped = String::new();
                escape(&text, &mut escaped);
                escaped
            }),
            select(&["<!--c-->", "<![CDATA[a<b]]>", "<?pi x?>", "", "<note/>"]).prop_map(str::to_owned),
        ];
        let attributes = (
            select(&["", "", " id=\"1\"", " id=\"2\"", " id=\"it's\"", " id=\"&quot;'\""]),
            select(&["", "", " k=\"\"", " k=\"1\"", " k=\"&lt;&quot;\""]),
            select(&["", "", " x:k=\"1\"", " y:k=\"2\"", " xml:lang=\"en\""]),
            select(&[
                "",
                "",
                "",
                " xmlns:x=\"urn:other\"",
                " xmlns=\"urn:deep\"",
                " xmlns=\"\"",
                " xmlns:p=\"urn:p\"",
            ]),
        );
        let tag = (select(&["a", "b", "x:a", "y:b", "tuple"]), attributes);
        leaf.prop_recursive(4, 24, 4, move |inner| {
            (tag.clone(), prop::collection::vec(inner, 0..4)).prop_map(
                |((name, (id, k, more, ns)), inside)| {
                    format!("<{name}{ns}{id}{k}{more}>{}</{name}>", inside.concat())
                },
            )
        })
    }

    fn document(parts: &[String]) -> String {
        format!(
            "<presence xmlns=\"{PIDF}\" xmlns:x=\"urn:x\" xmlns:y=\"urn:y\" entity=\"sip:a@b\">{}</presence>",
            parts.concat()
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1_000, ..Default::default() })]

        // 5261-4.2-b 5263-4.4-d
        #[test]
        fn any_tree_becomes_any_other(
            old in prop::collection::vec(element(), 0..5), other in prop::collection::vec(element(), 0..5),
            from in 0..5_usize, to in 0..5_usize,
        ) {
            // Part of the old, part of another: mostly small changes.
            let mut new = old.clone();
            let (from, to) = (from.min(new.len()), to.min(new.len()));
            new.splice(from.min(to)..to.max(from), other);
            let (old, new) = (document(&old), document(&new));
            let trees = [&old, &new].map(|text| xml::read_whole(text.as_bytes(), &UNLIMITED).unwrap());
            // By changes alone, however long they are.
            if let Some(changes) = diff(trees[0].root().unwrap(), trees[1].root().unwrap(), 2) {
                let patched = patch::patch(&old, changes.as_bytes(), &UNLIMITED);
                prop_assert_eq!(patched.as_deref().map(words), Ok(words(&new)), "{}", changes);
            }
            let produced = produce(&old, &new, 2).unwrap();
            prop_assert!(produced.len() <= full(&new, 2).unwrap().len());
        }
    }
}
