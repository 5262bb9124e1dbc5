//! XML patch operations (RFC 5261): `add`, `replace` and `remove` with the selectors of §4.1, applied to a tree.
//!
//! ```text
//!   operation ──selector──> exactly one node ──> a changed tree, to which the next operation is applied
//! ```
//!
//! The tree is the caller's own copy, so that a patch that fails has changed nothing. What a patch may cost is bounded.
//! May use: `xml`.

mod selector;

use self::selector::{Place, Selector};
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
            | DocumentError::Version
            | DocumentError::Patch(_) => Self::InvalidDiffFormat,
        }
    }
}

/// The document `target` after the operations in `patch`: children of its root, and of the root's namespace.
///
/// # Errors
/// [`PatchError`]; `target` must be well-formed and within `limits`, else [`PatchError::InvalidDiffFormat`] too.
pub fn patch(target: &[u8], patch: &[u8], limits: &Limits) -> Result<String, PatchError> {
    let unread = |error: DocumentError| PatchError::unread(&error);
    let mut document = xml::read_whole(target, limits, None).map_err(unread)?;
    let diff = xml::read_whole(patch, limits, None).map_err(unread)?;
    apply(&mut document, diff)?;
    Ok(xml::write_document(&document))
}

/// Applies the operations in `diff` to `document`, both read whole. After an error `document` is of no use any more.
pub(super) fn apply<'a>(document: &mut Element<'a>, diff: Element<'a>) -> Result<(), PatchError> {
    let mut root = None;
    for node in diff.children {
        if let Node::Element(element) = node {
            root = Some(element);
        }
    }
    let mut root = root.ok_or(PatchError::InvalidDiffFormat)?;
    let operations = core::mem::take(&mut root.children);
    let mut work = selector::MOST_WORK;
    for operation in operations {
        match operation {
            Node::Element(operation) => {
                Operation { root: &root, work: &mut work }.run(operation, document)?
            }
            Node::Text(text) if is_blank(text) => {}
            Node::Comment(_) | Node::Instruction(_) => {}
            Node::Text(_) | Node::CData(_) => return Err(PatchError::InvalidDiffFormat),
        }
    }
    Ok(())
}

struct Operation<'r, 'a> {
    /// Of the patch: its declarations hold in the selectors.
    root: &'r Element<'a>,
    /// What may still be spent on all operations together.
    work: &'r mut u32,
}

impl<'a> Operation<'_, 'a> {
    fn run(&mut self, mut operation: Element<'a>, document: &mut Element<'a>) -> Result<(), PatchError> {
        let attribute = |name: &str| {
            let attribute = operation.attributes.iter().find(|a| a.namespace.is_empty() && a.name == name);
            attribute.map(|attribute| attribute.value.trim())
        };
        let (kind, pos, ws) = (attribute("type"), attribute("pos"), attribute("ws"));
        let selector = unescaped(attribute("sel").ok_or(PatchError::InvalidDiffFormat)?);
        let mut scope: Scope<'_> = vec![xml::XML];
        scope.extend(xml::declared(self.root).chain(xml::declared(&operation)));
        let (path, place) =
            Selector::parse(&selector, &scope)?.locate(document, self.root.namespace, self.work)?;
        let children = core::mem::take(&mut operation.children);
        if operation.namespace != self.root.namespace {
            return Err(PatchError::InvalidPatchDirective);
        }
        match (split_name(operation.name).1, kind) {
            ("add", None) => add(document, &path, place, pos, children),
            ("add", Some(kind)) => {
                let [Node::Text(value)] = children.as_slice() else {
                    return Err(match kind.strip_prefix('@') {
                        Some(_) => PatchError::InvalidAttributeValue,
                        None => PatchError::InvalidNamespaceUri,
                    });
                };
                if pos.is_some() {
                    return Err(PatchError::InvalidPatchDirective);
                }
                add_attribute(document, &path, place, (kind, value), &scope)
            }
            ("replace", _) => replace(document, &path, place, children),
            ("remove", _) => remove(document, &path, place, ws),
            (_, _) => Err(PatchError::InvalidPatchDirective),
        }
    }
}

/// The element at the end of `path`.
fn at<'t, 'a>(document: &'t mut Element<'a>, path: &[usize]) -> Result<&'t mut Element<'a>, PatchError> {
    let mut element = document;
    for index in path {
        match element.children.get_mut(*index) {
            Some(Node::Element(child)) => element = child,
            Some(Node::Text(_) | Node::CData(_) | Node::Comment(_) | Node::Instruction(_)) | None => {
                return Err(PatchError::InvalidPatchDirective);
            }
        }
    }
    Ok(element)
}

fn add<'a>(
    document: &mut Element<'a>,
    path: &[usize],
    place: Place,
    pos: Option<&str>,
    mut nodes: Vec<Node<'a>>,
) -> Result<(), PatchError> {
    let Place::Nodes(from, to) = place else { return Err(PatchError::InvalidAttributeValue) };
    if path.is_empty() && matches!(pos, Some("before" | "after")) {
        // Around the root element.
        nodes.retain(|node| !matches!(node, Node::Text(text) if is_blank(text)));
        for node in &nodes {
            match node {
                Node::Element(_) => return Err(PatchError::InvalidRootElementOperation),
                Node::Text(_) | Node::CData(_) => return Err(PatchError::InvalidXmlPrologOperation),
                Node::Comment(_) | Node::Instruction(_) => {}
            }
        }
    }
    let parent = at(document, path)?;
    match pos {
        Some("before") => exchange(&mut parent.children, from, from, nodes),
        Some("after") => exchange(&mut parent.children, to, to, nodes),
        Some("prepend") => exchange(&mut at(parent, &[from])?.children, 0, 0, nodes),
        Some(_) => return Err(PatchError::InvalidAttributeValue),
        None => at(parent, &[from])?.children.append(&mut nodes),
    }
    Ok(())
}

/// `nodes` instead of those between `from` and `to`.
fn exchange<'a>(children: &mut Vec<Node<'a>>, from: usize, to: usize, mut nodes: Vec<Node<'a>>) {
    let mut behind = children.split_off(to.min(children.len()));
    children.truncate(from);
    children.append(&mut nodes);
    children.append(&mut behind);
}

/// Adds an attribute or a declaration: type and value.
fn add_attribute<'a>(
    document: &mut Element<'a>,
    path: &[usize],
    place: Place,
    (kind, value): (&'a str, &'a str),
    diff: &Scope<'a>,
) -> Result<(), PatchError> {
    let Place::Nodes(index, _) = place else { return Err(PatchError::InvalidAttributeValue) };
    let path = [path, &[index]].concat();
    let (namespace, name) = match (kind.strip_prefix('@'), kind.strip_prefix("namespace::")) {
        (Some(name), _) if selector::is_name(name) => {
            let prefix = split_name(name).0;
            let namespace = if prefix.is_empty() { Some("") } else { xml::meaning(prefix, diff) };
            (namespace.ok_or(PatchError::InvalidNamespacePrefix)?, name)
        }
        (_, Some(prefix)) if selector::is_name(prefix) && !prefix.contains(':') => (DECLARATION, prefix),
        (_, _) => return Err(PatchError::InvalidAttributeValue),
    };
    let is_declaration = namespace == DECLARATION;
    if is_declaration && value.trim().is_empty() {
        return Err(PatchError::InvalidNamespaceUri);
    }
    if !is_declaration && !namespace.is_empty() {
        // Where it comes to stand, its prefix may mean something else.
        let mut scope: Scope<'a> = vec![xml::XML];
        for length in 1..=path.len() {
            scope.extend(xml::declared(at(document, path.get(..length).unwrap_or_default())?));
        }
        let own = split_name(name).0;
        let element = at(document, &path)?;
        if xml::bound(element, own, namespace, &scope).is_none() && xml::meaning(own, &scope).is_some() {
            return Err(PatchError::InvalidNamespacePrefix);
        }
    }
    let element = at(document, &path)?;
    let local = split_name(name).1;
    if element.attributes.iter().any(|a| a.namespace == namespace && split_name(a.name).1 == local) {
        return Err(PatchError::InvalidAttributeValue);
    }
    if is_declaration && (matches!(name, "xml" | "xmlns") || rebind(element, name, None, true)) {
        return Err(PatchError::InvalidNamespacePrefix);
    }
    element.attributes.push(Attribute { namespace, name, value });
    Ok(())
}

fn replace<'a>(
    document: &mut Element<'a>,
    path: &[usize],
    place: Place,
    nodes: Vec<Node<'a>>,
) -> Result<(), PatchError> {
    let parent = at(document, path)?;
    let (from, to) = match place {
        Place::Nodes(from, to) => (from, to),
        Place::Attribute(index) => {
            let value = match nodes.as_slice() {
                [] => "",
                [Node::Text(value)] => value,
                _ => return Err(PatchError::InvalidAttributeValue),
            };
            let Some(attribute) = parent.attributes.get_mut(index) else { return Ok(()) };
            attribute.value = value;
            if attribute.namespace == DECLARATION {
                if value.trim().is_empty() {
                    return Err(PatchError::InvalidNamespaceUri);
                }
                let prefix = attribute.name;
                rebind(parent, prefix, Some(value), true);
            }
            return Ok(());
        }
    };
    let fits = match (parent.children.get(from), nodes.as_slice()) {
        (Some(Node::Text(_) | Node::CData(_)), nodes) => nodes.iter().all(is_text),
        (Some(Node::Element(_)), [Node::Element(_)])
        | (Some(Node::Comment(_)), [Node::Comment(_)])
        | (Some(Node::Instruction(_)), [Node::Instruction(_)]) => true,
        (_, _) => false,
    };
    if !fits {
        return Err(PatchError::InvalidNodeTypes);
    }
    exchange(&mut parent.children, from, to, nodes);
    Ok(())
}

fn remove(
    document: &mut Element<'_>,
    path: &[usize],
    place: Place,
    ws: Option<&str>,
) -> Result<(), PatchError> {
    let (before, after) = match ws {
        None => (false, false),
        Some("before") => (true, false),
        Some("after") => (false, true),
        Some("both") => (true, true),
        Some(_) => return Err(PatchError::InvalidAttributeValue),
    };
    let parent = at(document, path)?;
    let (mut from, mut to) = match place {
        Place::Nodes(from, to) => (from, to),
        Place::Attribute(index) => {
            if before || after {
                return Err(PatchError::InvalidWhitespaceDirective);
            }
            let attribute = parent.attributes.get(index).ok_or(PatchError::UnlocatedNode)?;
            let prefix = attribute.name;
            if attribute.namespace == DECLARATION && rebind(parent, prefix, None, true) {
                return Err(PatchError::InvalidNamespacePrefix);
            }
            parent.attributes.remove(index);
            return Ok(());
        }
    };
    if path.is_empty() && matches!(parent.children.get(from), Some(Node::Element(_))) {
        return Err(PatchError::InvalidRootElementOperation);
    }
    let located = (from, to);
    let is_text_at = |at: usize| parent.children.get(at).is_some_and(is_text);
    let has_text = is_text_at(from);
    while before && from > 0 && is_text_at(from - 1) {
        from -= 1;
    }
    while after && is_text_at(to) {
        to += 1;
    }
    let blank = |from: usize, to: usize| {
        parent.children.get(from..to).unwrap_or_default().iter().all(|node| match node {
            Node::Text(text) => is_blank(text),
            Node::CData(text) => text.trim_ascii().is_empty(),
            Node::Element(_) | Node::Comment(_) | Node::Instruction(_) => false,
        })
    };
    let missing = (before && from == located.0) || (after && to == located.1);
    let is_wrong = missing || !blank(from, located.0) || !blank(located.1, to);
    if (before || after) && (has_text || is_wrong) {
        return Err(PatchError::InvalidWhitespaceDirective);
    }
    exchange(&mut parent.children, from, to, Vec::new());
    Ok(())
}

fn is_text(node: &Node<'_>) -> bool {
    matches!(node, Node::Text(_) | Node::CData(_))
}

fn is_blank(text: &str) -> bool {
    unescaped(text).trim_ascii().is_empty()
}

/// Whether a name in `element` has `prefix` by a declaration at the element. Gives all of them the namespace `uri`.
fn rebind<'a>(element: &mut Element<'a>, prefix: &str, uri: Option<&'a str>, is_top: bool) -> bool {
    if !is_top && xml::declared(element).any(|(declared, _)| declared == prefix) {
        return false;
    }
    let mut used = split_name(element.name).0 == prefix;
    if let Some(uri) = uri.filter(|_| used) {
        element.namespace = uri;
    }
    for attribute in element.attributes.iter_mut().filter(|a| a.namespace != DECLARATION) {
        if split_name(attribute.name).0 == prefix {
            used = true;
            attribute.namespace = uri.unwrap_or(attribute.namespace);
        }
    }
    for child in &mut element.children {
        if let Node::Element(child) = child {
            used |= rebind(child, prefix, uri, false);
        }
    }
    used
}
