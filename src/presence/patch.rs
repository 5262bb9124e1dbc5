//! XML patch operations (RFC 5261): `add`, `replace` and `remove` with the selectors of §4.1, applied to a tree.
//!
//! ```text
//!   operation ──selector──> exactly one node ──> an edit of the text, which the next operation reads again
//! ```
//!
//! Each operation is an edit of the text: what is not touched stays as it is, byte for byte, and after an error nothing has
//! changed. What a patch may cost is bounded. May use: `xml`.

mod selector;

use self::selector::{Found, Selector};
use super::DocumentError;
use super::pidf::Limits;
use super::xml::{self, Attribute, DECLARATION, Element, Node, Scope, split_name, unescaped};

/// Why a patch could not be applied: the conditions of RFC 5261 §5.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchError {
    /// `sel`, `type`, `pos` or `ws` has no allowed value, or a new attribute is there already or has no plain text.
    InvalidAttributeValue,
    /// The patch is not UTF-8.
    InvalidCharacterSet,
    /// The patch is not well-formed, or an operation has no `sel`.
    InvalidDiffFormat,
    /// A DOCTYPE, or an entity that is not declared.
    InvalidEntityDeclaration,
    /// A prefix that means nothing, or that is still used when its declaration is to be removed.
    InvalidNamespacePrefix,
    /// A namespace that cannot be declared.
    InvalidNamespaceUri,
    /// What is to replace a node is of another type, or not one node.
    InvalidNodeTypes,
    /// An operation that does not exist, or that cannot be done with such a node.
    InvalidPatchDirective,
    /// The root element cannot be removed and cannot get a sibling element.
    InvalidRootElementOperation,
    /// Text cannot stand outside of the root element.
    InvalidXmlPrologOperation,
    /// There is no white space to be removed.
    InvalidWhitespaceDirective,
    /// The selector locates no node, or more than one.
    UnlocatedNode,
    /// `id()` without an identifier.
    UnsupportedIdFunction,
    /// Only an `xml:id` has the identifier: presence documents have `id`.
    UnsupportedXmlId,
    /// A limit of ours: the patch, or the search for its nodes, is too large. RFC 5261 has no name for it.
    TooLarge,
}

impl PatchError {
    /// The name of the condition in RFC 5261 §5.1.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidAttributeValue => "invalid-attribute-value",
            Self::InvalidCharacterSet => "invalid-character-set",
            Self::InvalidDiffFormat => "invalid-diff-format",
            Self::InvalidEntityDeclaration => "invalid-entity-declaration",
            Self::InvalidNamespacePrefix => "invalid-namespace-prefix",
            Self::InvalidNamespaceUri => "invalid-namespace-uri",
            Self::InvalidNodeTypes => "invalid-node-types",
            Self::InvalidPatchDirective => "invalid-patch-directive",
            Self::InvalidRootElementOperation => "invalid-root-element-operation",
            Self::InvalidXmlPrologOperation => "invalid-xml-prolog-operation",
            Self::InvalidWhitespaceDirective => "invalid-whitespace-directive",
            Self::UnlocatedNode => "unlocated-node",
            Self::UnsupportedIdFunction => "unsupported-id-function",
            Self::UnsupportedXmlId => "unsupported-xml-id",
            Self::TooLarge => "too-large",
        }
    }

    /// What a patch that cannot be read is.
    pub(super) const fn unread(error: &DocumentError) -> Self {
        match error {
            DocumentError::Encoding => Self::InvalidCharacterSet,
            DocumentError::Entity => Self::InvalidEntityDeclaration,
            DocumentError::Limit(_) => Self::TooLarge,
            DocumentError::Malformed
            | DocumentError::Root
            | DocumentError::MediaType
            | DocumentError::Attribute(_)
            | DocumentError::Part
            | DocumentError::Stale
            | DocumentError::Version
            | DocumentError::Patch(_) => Self::InvalidDiffFormat,
        }
    }
}

/// The document `target` after the operations in `patch`: children of its root, and of the root's namespace.
///
/// # Errors
/// [`PatchError`]; `target` must be well-formed and within `limits`, else [`PatchError::InvalidDiffFormat`] too.
pub fn patch(target: &str, patch: &[u8], limits: &Limits) -> Result<String, PatchError> {
    let diff = read(patch, limits)?;
    let root = diff.root().ok_or(PatchError::InvalidDiffFormat)?;
    let mut text = target.to_owned();
    let mut work = selector::MOST_WORK;
    for node in &root.children {
        match node {
            Node::Element(operation) => {
                work = work.checked_sub(text.len() / 2).ok_or(PatchError::TooLarge)?;
                let document = read(text.as_bytes(), limits)?;
                let patch = Patch { root, operation, text: &text };
                let (from, to, with) = patch.edit(&document, &mut work)?;
                drop(document);
                text.replace_range(from..to, &with);
            }
            Node::Text(text) if is_blank(text) => {}
            Node::Comment(_) | Node::Instruction(_) => {}
            Node::Text(_) | Node::CData(_) => return Err(PatchError::InvalidDiffFormat),
        }
    }
    Ok(text)
}

fn read<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Element<'a>, PatchError> {
    xml::read_whole(bytes, limits).map_err(|error| PatchError::unread(&error))
}

/// What stands between two places of the text is to be replaced by another text.
type Edit = (usize, usize, String);

/// An operation that is being worked out.
struct Patch<'t, 'a> {
    /// Of the patch: its declarations hold in the operation.
    root: &'t Element<'a>,
    operation: &'t Element<'a>,
    /// The document that is changed.
    text: &'t str,
}

impl<'a> Patch<'_, 'a> {
    fn edit(&self, document: &Element<'_>, work: &mut usize) -> Result<Edit, PatchError> {
        let operation = self.operation;
        let attribute = |name: &str| {
            let attribute = operation.attributes.iter().find(|a| a.namespace.is_empty() && a.name == name);
            attribute.map(|attribute| attribute.value.trim())
        };
        let selector = unescaped(attribute("sel").ok_or(PatchError::InvalidDiffFormat)?);
        let scope = self.scope();
        let found = Selector::parse(&selector, &scope)?.locate(document, work)?;
        if operation.namespace != self.root.namespace {
            return Err(PatchError::InvalidPatchDirective);
        }
        match (split_name(operation.name).1, attribute("type")) {
            ("add", None) => self.add(&found, attribute("pos")),
            ("add", Some(_)) if attribute("pos").is_some() => Err(PatchError::InvalidPatchDirective),
            ("add", Some(kind)) => self.add_attribute(&found, kind, &scope),
            ("replace", _) => self.replace(&found),
            ("remove", _) => self.remove(&found, attribute("ws")),
            (_, _) => Err(PatchError::InvalidPatchDirective),
        }
    }

    /// What prefixes mean in the operation.
    fn scope(&self) -> Scope<'a> {
        let mut scope: Scope<'a> = vec![xml::XML, ("", "")];
        for element in [self.root, self.operation] {
            scope.extend(xml::declared(element));
        }
        scope
    }

    /// Where `node` of the document begins and ends.
    fn span(&self, node: &Node<'_>) -> (usize, usize) {
        let (source, before, after) = match node {
            Node::Element(element) => (element.source, 0, 0),
            Node::CData(text) => (*text, "<![CDATA[".len(), "]]>".len()),
            Node::Text(source) | Node::Comment(source) | Node::Instruction(source) => (*source, 0, 0),
        };
        let from = self.place(source);
        (from - before, from + source.len() + after)
    }

    /// Where `part` of the document begins.
    fn place(&self, part: &str) -> usize {
        part.as_ptr().addr().saturating_sub(self.text.as_ptr().addr())
    }

    /// The content of the operation. Its elements get the declarations that hold here.
    fn content(&self) -> String {
        let mut content = String::new();
        for node in &self.operation.children {
            match node {
                Node::Element(element) => {
                    let (tag, rest) = element.source.split_at(1 + element.name.len());
                    content.push_str(tag);
                    let scope = self.scope();
                    for (at, (prefix, namespace)) in scope.iter().enumerate().skip(1) {
                        let mut later = scope.iter().skip(at + 1).copied().chain(xml::declared(element));
                        let is_used = prefix.is_empty() || element.source.contains(prefix);
                        if is_used && later.all(|(other, _)| other != *prefix) {
                            content.push_str(if prefix.is_empty() { " xmlns" } else { " xmlns:" });
                            content.push_str(prefix);
                            push_value(namespace, &mut content);
                        }
                    }
                    content.push_str(rest);
                }
                Node::CData(text) => {
                    content.push_str("<![CDATA[");
                    content.push_str(text);
                    content.push_str("]]>");
                }
                Node::Text(source) | Node::Comment(source) | Node::Instruction(source) => {
                    content.push_str(source);
                }
            }
        }
        content
    }

    fn add(&self, found: &Found<'_, '_>, pos: Option<&str>) -> Result<Edit, PatchError> {
        let nodes = found.nodes();
        let (from, to) = self.range(nodes);
        if found.attribute.is_some() || !matches!(pos, None | Some("before" | "after" | "prepend")) {
            return Err(PatchError::InvalidAttributeValue);
        }
        if matches!(pos, Some("before" | "after")) {
            for node in self.operation.children.iter().filter(|_| found.parent.source.is_empty()) {
                // Around the root element.
                match node {
                    Node::Element(_) => return Err(PatchError::InvalidRootElementOperation),
                    Node::Text(text) if is_blank(text) => {}
                    Node::Text(_) | Node::CData(_) => return Err(PatchError::InvalidXmlPrologOperation),
                    Node::Comment(_) | Node::Instruction(_) => {}
                }
            }
            let at = if pos == Some("before") { from } else { to };
            return Ok((at, at, self.content()));
        }
        let [Node::Element(element)] = nodes else { return Err(PatchError::InvalidPatchDirective) };
        let content = self.content();
        if element.source.ends_with("/>") && element.children.is_empty() {
            return Ok((to - 2, to, [">", &content, "</", element.name, ">"].concat()));
        }
        let end = from + element.source.rfind("</").unwrap_or_default();
        let first = element.children.first().filter(|_| pos.is_some());
        let at = first.map_or(end, |node| self.span(node).0);
        Ok((at, at, content))
    }

    /// From the beginning of the first to the end of the last.
    fn range(&self, nodes: &[Node<'_>]) -> (usize, usize) {
        let from = nodes.first().map_or(0, |node| self.span(node).0);
        (from, nodes.last().map_or(from, |node| self.span(node).1))
    }

    /// Adds an attribute or a declaration.
    fn add_attribute(
        &self,
        found: &Found<'_, '_>,
        kind: &str,
        scope: &Scope<'_>,
    ) -> Result<Edit, PatchError> {
        let declared = kind.strip_prefix("namespace::");
        let name = declared.or_else(|| kind.strip_prefix('@')).filter(|name| selector::is_name(name));
        let (prefix, local) = split_name(name.ok_or(PatchError::InvalidAttributeValue)?);
        if found.attribute.is_some() || prefix == "xmlns" || local == "xmlns" {
            return Err(PatchError::InvalidAttributeValue);
        }
        let value = match self.operation.children.as_slice() {
            [Node::Text(value)] if declared.is_none() || !value.trim().is_empty() => *value,
            _ if declared.is_some() => return Err(PatchError::InvalidNamespaceUri),
            _ => return Err(PatchError::InvalidAttributeValue),
        };
        let [Node::Element(element)] = found.nodes() else { return Err(PatchError::InvalidPatchDirective) };
        // What has to be declared at the element: prefix and namespace.
        let (wanted, namespace) = match (declared, prefix) {
            (Some(_), "") => (local, value),
            (Some(_), _) => return Err(PatchError::InvalidAttributeValue),
            (None, "") => ("", ""),
            (None, _) => (prefix, xml::meaning(prefix, scope).ok_or(PatchError::InvalidNamespacePrefix)?),
        };
        let is_there = |a: &Attribute<'_>| match declared {
            Some(_) => a.namespace == DECLARATION && a.name == local,
            None => a.namespace == namespace && split_name(a.name).1 == local,
        };
        if element.attributes.iter().any(is_there) {
            return Err(PatchError::InvalidAttributeValue);
        }
        let mut text = String::new();
        if !wanted.is_empty() && (declared.is_some() || wanted != "xml") {
            let known = xml::declared(element).find(|(prefix, _)| *prefix == wanted);
            // The prefix may mean something else there.
            if wanted == "xml"
                || known.is_some_and(|(_, known)| known != namespace)
                || uses(element, wanted, Some(namespace), true)
            {
                return Err(PatchError::InvalidNamespacePrefix);
            }
            if known.is_none() {
                text.push_str(" xmlns:");
                text.push_str(wanted);
                push_value(namespace, &mut text);
            }
        }
        if declared.is_none() {
            text.push(' ');
            text.push_str(kind.trim_start_matches('@'));
            push_value(value, &mut text);
        }
        let at = self.place(element.name) + element.name.len();
        Ok((at, at, text))
    }

    fn replace(&self, found: &Found<'_, '_>) -> Result<Edit, PatchError> {
        let (nodes, children) = (found.nodes(), self.operation.children.as_slice());
        if let Some(attribute) = found.attribute {
            let value = match children {
                [] => "",
                [Node::Text(value)] => value,
                _ => return Err(PatchError::InvalidAttributeValue),
            };
            if attribute.namespace == DECLARATION && value.trim().is_empty() {
                return Err(PatchError::InvalidNamespaceUri);
            }
            let from = self.place(attribute.value);
            let mut text = String::new();
            push_value(value, &mut text);
            // Its quotes, but not its equals sign.
            text.remove(0);
            return Ok((from - 1, from + attribute.value.len() + 1, text));
        }
        let fits = match (nodes, children) {
            ([Node::Text(_) | Node::CData(_), ..], children) => children.iter().all(is_text),
            ([Node::Element(_)], [Node::Element(_)])
            | ([Node::Comment(_)], [Node::Comment(_)])
            | ([Node::Instruction(_)], [Node::Instruction(_)]) => true,
            (_, _) => false,
        };
        if !fits {
            return Err(PatchError::InvalidNodeTypes);
        }
        let (from, to) = self.range(nodes);
        Ok((from, to, self.content()))
    }

    fn remove(&self, found: &Found<'_, '_>, ws: Option<&str>) -> Result<Edit, PatchError> {
        let (before, after) = match ws {
            None => (false, false),
            Some("before") => (true, false),
            Some("after") => (false, true),
            Some("both") => (true, true),
            Some(_) => return Err(PatchError::InvalidAttributeValue),
        };
        let nodes = found.nodes();
        if let Some(attribute) = found.attribute {
            if before || after {
                return Err(PatchError::InvalidWhitespaceDirective);
            }
            let is_declaration = attribute.namespace == DECLARATION;
            if is_declaration && uses(found.parent, attribute.name, None, true) {
                return Err(PatchError::InvalidNamespacePrefix);
            }
            // From the blanks before its name.
            let end = self.place(attribute.value) + attribute.value.len() + 1;
            let name = self.text.get(..self.place(attribute.name)).unwrap_or_default();
            let name = if is_declaration { name.strip_suffix("xmlns:").unwrap_or(name) } else { name };
            return Ok((name.trim_ascii_end().len(), end, String::new()));
        }
        if found.parent.source.is_empty() && matches!(nodes, [Node::Element(_)]) {
            return Err(PatchError::InvalidRootElementOperation);
        }
        let (mut from, mut to) = (found.from, found.to);
        let siblings = &found.parent.children;
        let is_text_at = |at: usize| siblings.get(at).is_some_and(is_text);
        while before && from > 0 && is_text_at(from - 1) {
            from -= 1;
        }
        while after && is_text_at(to) {
            to += 1;
        }
        let missing = (before && from == found.from) || (after && to == found.to);
        let removed = siblings.get(from..to).unwrap_or_default();
        let blank = removed.iter().all(|node| match node {
            Node::Text(text) => is_blank(text),
            Node::CData(text) => text.trim_ascii().is_empty(),
            Node::Element(_) | Node::Comment(_) | Node::Instruction(_) => true,
        });
        if (before || after) && (nodes.iter().any(is_text) || missing || !blank) {
            return Err(PatchError::InvalidWhitespaceDirective);
        }
        let (from, to) = self.range(removed);
        Ok((from, to, String::new()))
    }
}

fn is_text(node: &Node<'_>) -> bool {
    matches!(node, Node::Text(_) | Node::CData(_))
}

fn is_blank(text: &str) -> bool {
    unescaped(text).trim_ascii().is_empty()
}

/// Whether a name in `element` has `prefix` by a declaration at the element or outside of it, and means another namespace
/// than `but`.
fn uses(element: &Element<'_>, prefix: &str, but: Option<&str>, is_top: bool) -> bool {
    if !is_top && xml::declared(element).any(|(declared, _)| declared == prefix) {
        return false;
    }
    let differs = |name: &str, namespace: &str| split_name(name).0 == prefix && but != Some(namespace);
    differs(element.name, element.namespace)
        || element.attributes.iter().any(|a| a.namespace != DECLARATION && differs(a.name, a.namespace))
        || element.elements().any(|child| uses(child, prefix, but, false))
}

/// An equals sign and `value`, escaped as the content of an element is, in quotes.
fn push_value(value: &str, into: &mut String) {
    into.push_str("=\"");
    into.push_str(&value.replace('"', "&quot;"));
    into.push('"');
}
