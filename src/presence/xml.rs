//! Bytes to a tree of elements that borrows from them, namespaces resolved, strictly or laxly, within limits; and back.
//!
//! No DOCTYPE, no entity but XML's five and character references; the declared encoding is ignored, because the
//! bodies of SIP are UTF-8 (FreeSWITCH declares ISO-8859-1 and sends UTF-8). Texts stay escaped until somebody asks
//! for them, so that reading copies nothing.

mod write;

use super::pidf::Limits;
use super::vocabulary::Vocabulary;
use super::{DocumentError, Warning};
use crate::pieces::{cut, holds, pieces};
use quick_xml::parser::{ElementParser, Parser};
pub(super) use write::{Scope, XML, declared, meaning, push_attribute, write, write_document};

/// The namespace of declarations, which stand among the attributes of a document that was read whole.
pub(super) const DECLARATION: &str = "http://www.w3.org/2000/xmlns/";

/// What stands in an element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node<'a> {
    Element(Element<'a>),
    /// As in the source, references unresolved.
    Text(&'a str),
    CData(&'a str),
    /// With its delimiters; only in a document that was read whole.
    Comment(&'a str),
    /// A processing instruction, with its delimiters; only in a document that was read whole.
    Instruction(&'a str),
}

/// An element.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Element<'a> {
    /// Escaped as in the source.
    pub(super) namespace: &'a str,
    /// That of the namespace.
    pub(super) vocabulary: Vocabulary,
    /// The local name; with its prefix in a document that was read whole.
    pub(super) name: &'a str,
    pub(super) attributes: Vec<Attribute<'a>>,
    /// What stands before the first child, references unresolved: nearly every element has this or children.
    pub(super) text: &'a str,
    /// The rest; no text of blanks alone.
    pub(super) children: Vec<Node<'a>>,
    /// From the beginning of its start tag to the end of its end tag.
    pub(super) source: &'a str,
    /// `xml:lang` in scope.
    pub(super) lang: Option<&'a str>,
}

/// An attribute, a declaration of a namespace only in a document that was read whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attribute<'a> {
    /// Empty for attributes without prefix.
    pub(super) namespace: &'a str,
    /// The local name; with its prefix in a document that was read whole. Of a declaration the prefix it declares.
    pub(super) name: &'a str,
    /// Escaped as in the source.
    pub(super) value: &'a str,
}

impl<'a> Element<'a> {
    /// The value of the attribute `name` without a namespace, trimmed.
    pub(super) fn attribute(&self, name: &str) -> Option<String> {
        let found = self.attributes.iter().find(|a| a.namespace.is_empty() && a.name == name)?;
        Some(unescaped(found.value.trim_ascii()))
    }

    /// All text inside, children's included, trimmed.
    pub(super) fn text(&self) -> String {
        if self.children.is_empty() {
            return unescaped(self.text.trim_ascii());
        }
        let mut text = String::new();
        self.collect(&mut text);
        let end = text.trim_ascii_end().len();
        text.truncate(end);
        let start = text.len() - text.trim_ascii_start().len();
        text.drain(..start);
        text
    }

    /// All text inside, children's included, as it is.
    pub(super) fn collect(&self, into: &mut String) {
        unescape(self.text, into);
        for child in &self.children {
            match child {
                Node::Element(child) => child.collect(into),
                Node::Text(text) => unescape(text, into),
                Node::CData(text) => push_lines(text, into),
                Node::Comment(_) | Node::Instruction(_) => {}
            }
        }
    }

    /// The root element, of a document that was read whole.
    pub(super) fn root(&self) -> Option<&Self> {
        self.elements().next()
    }

    /// The elements directly inside.
    pub(super) fn elements(&self) -> impl Iterator<Item = &Element<'a>> {
        self.children.iter().filter_map(|child| match child {
            Node::Element(child) => Some(child),
            Node::Text(_) | Node::CData(_) | Node::Comment(_) | Node::Instruction(_) => None,
        })
    }
}

/// Whether a fault ends the reading or is read over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Strict,
    Lax,
}

/// What is kept of a document.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    /// What values are made of.
    Values,
    /// The same, and a DOCTYPE may stand there.
    OldValues,
    /// What can be written again.
    All,
}

/// Prefix, namespace and its vocabulary, innermost last.
type Scopes<'a> = Vec<(&'a str, &'a str, Vocabulary)>;

struct Open<'a> {
    /// Its source begins with it and has no end yet.
    element: Element<'a>,
    /// Length of the scope outside of the element.
    scope: usize,
    /// The name as written, with its prefix.
    raw_name: &'a str,
}

/// The root element of a document: read strictly, and where that fails laxly with a warning.
pub(super) fn read<'a>(
    bytes: &'a [u8],
    limits: &Limits,
    warnings: &mut Vec<Warning>,
) -> Result<Element<'a>, DocumentError> {
    read_root(bytes, limits, warnings, Keep::Values)
}

/// The same, of a document that may have a DOCTYPE: it is passed over if it declares nothing.
pub(super) fn read_old<'a>(
    bytes: &'a [u8],
    limits: &Limits,
    warnings: &mut Vec<Warning>,
) -> Result<Element<'a>, DocumentError> {
    read_root(bytes, limits, warnings, Keep::OldValues)
}

fn read_root<'a>(
    bytes: &'a [u8],
    limits: &Limits,
    warnings: &mut Vec<Warning>,
    keep: Keep,
) -> Result<Element<'a>, DocumentError> {
    match read_nodes(bytes, limits, Some(warnings), keep)?.pop() {
        Some(Node::Element(root)) => Ok(root),
        _ => Err(DocumentError::Malformed),
    }
}

/// A document with all that [`write`] needs: an element without a name, in which the root and what stands around it
/// are; comments, processing instructions, prefixes, declarations and sources are kept. Never laxly.
pub(super) fn read_whole<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Element<'a>, DocumentError> {
    let children = read_nodes(bytes, limits, None, Keep::All)?;
    Ok(Element { children, ..Element::default() })
}

fn read_nodes<'a>(
    bytes: &'a [u8],
    limits: &Limits,
    warnings: Option<&mut Vec<Warning>>,
    what: Keep,
) -> Result<Vec<Node<'a>>, DocumentError> {
    if bytes.len() > limits.bytes {
        return Err(DocumentError::Limit("bytes"));
    }
    let text = core::str::from_utf8(bytes).map_err(|_| DocumentError::Encoding)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim_ascii_start();
    if holds(text, b'\0') {
        let is_utf16 = text.starts_with("<\0") || text.starts_with("\0<");
        return Err(if is_utf16 { DocumentError::Encoding } else { DocumentError::Malformed });
    }
    match (parse(text, limits, Mode::Strict, what), warnings) {
        (Err(DocumentError::Malformed), Some(warnings)) => {
            warnings.push(Warning::Lax);
            parse(text, limits, Mode::Lax, what)
        }
        (result, _) => result,
    }
}

/// The root element of `text`, and if it is read whole also what stands before and after it.
fn parse<'a>(text: &'a str, limits: &Limits, mode: Mode, what: Keep) -> Result<Vec<Node<'a>>, DocumentError> {
    let whole = what == Keep::All;
    let mut scope: Scopes<'a> =
        vec![(XML.0, XML.1, Vocabulary::Other), ("xmlns", DECLARATION, Vocabulary::Other)];
    let mut open: Vec<Open<'a>> = Vec::with_capacity(8);
    let mut outside = Vec::new();
    let mut has_root = false;
    let mut count = 0_usize;
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(characters) =
            take(&mut rest, |rest| place(rest, |byte| byte == b'<').unwrap_or(rest.len()))
                .filter(|characters| !characters.is_empty())
        {
            check_references(characters, mode)?;
            add(&mut open, Node::Text(characters), mode, whole)?;
            continue;
        }
        let (opening, kind) = Markup::of(rest);
        let Some(source) = kind.take(&mut rest) else {
            // Laxly, what came before the fault is kept.
            if mode == Mode::Lax && has_root {
                break;
            }
            return Err(DocumentError::Malformed);
        };
        let inside = source.get(opening..source.len() - kind.end().len()).unwrap_or_default();
        match kind {
            Markup::Comment if whole => keep(&mut open, &mut outside, Node::Comment(source)),
            Markup::Instruction if whole && !is_declaration(inside) => {
                keep(&mut open, &mut outside, Node::Instruction(source));
            }
            Markup::Comment | Markup::Instruction => {}
            Markup::CData => add(&mut open, Node::CData(inside), mode, whole)?,
            Markup::Declaration if what == Keep::OldValues && !holds(source, b'[') => {}
            Markup::Declaration => return Err(DocumentError::Entity),
            Markup::End => {
                let name = inside.trim_ascii_end();
                let depth = open.iter().rposition(|open| open.raw_name == name);
                if depth.is_none_or(|depth| depth + 1 != open.len()) && mode == Mode::Strict {
                    return Err(DocumentError::Malformed);
                }
                // An unmatched end tag closes up to its start, or is dropped if there is none.
                while depth.is_some_and(|depth| depth < open.len()) {
                    let Some(closed) = open.pop() else { break };
                    close(closed, &mut open, &mut outside, &mut scope, rest);
                }
            }
            Markup::Start => {
                count += 1;
                if count > limits.elements {
                    return Err(DocumentError::Limit("elements"));
                }
                if open.len() >= limits.depth {
                    return Err(DocumentError::Limit("depth"));
                }
                if has_root && open.is_empty() {
                    if mode == Mode::Strict {
                        return Err(DocumentError::Malformed);
                    }
                    break;
                }
                has_root = true;
                let tag = inside.strip_suffix("/").unwrap_or(inside);
                let lang = open.last().and_then(|open| open.element.lang);
                let mut started = start_element(tag, &mut scope, lang, limits, mode, whole)?;
                let from = text.len() - rest.len() - source.len();
                started.element.source = text.get(from..).unwrap_or_default();
                if tag.len() < inside.len() {
                    close(started, &mut open, &mut outside, &mut scope, rest);
                } else {
                    open.push(started);
                }
            }
        }
    }
    if !open.is_empty() && mode == Mode::Strict {
        return Err(DocumentError::Malformed);
    }
    while let Some(closed) = open.pop() {
        close(closed, &mut open, &mut outside, &mut scope, rest);
    }
    if has_root { Ok(outside) } else { Err(DocumentError::Malformed) }
}

/// What begins with `<`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Markup {
    Start,
    End,
    Comment,
    CData,
    Instruction,
    /// DOCTYPE, or what stands in one.
    Declaration,
}

impl Markup {
    /// What `rest` begins with, and how many bytes say so.
    fn of(rest: &str) -> (usize, Self) {
        let kinds = [
            ("</", Self::End),
            ("<!--", Self::Comment),
            ("<![CDATA[", Self::CData),
            ("<?", Self::Instruction),
            ("<!", Self::Declaration),
        ];
        let found = kinds.iter().find(|(opening, _)| rest.starts_with(opening));
        found.map_or((1, Self::Start), |(opening, kind)| (opening.len(), *kind))
    }

    /// How it ends.
    const fn end(self) -> &'static str {
        match self {
            Self::Start | Self::End | Self::Declaration => ">",
            Self::Comment => "-->",
            Self::CData => "]]>",
            Self::Instruction => "?>",
        }
    }

    /// Takes all of it off `rest`; `None` if it has no end.
    fn take<'a>(self, rest: &mut &'a str) -> Option<&'a str> {
        let bytes = rest.as_bytes();
        let end = self.end().as_bytes();
        let at = match self {
            Self::Start => ElementParser::Outside.feed(bytes),
            // A declaration is refused, whatever is in it.
            Self::End | Self::Comment | Self::CData | Self::Instruction | Self::Declaration => {
                bytes.windows(end.len()).position(|window| window == end)
            }
        }?;
        take(rest, |_| at + end.len())
    }
}

/// Takes so many bytes off `rest`.
fn take<'a>(rest: &mut &'a str, count: impl FnOnce(&str) -> usize) -> Option<&'a str> {
    let (taken, behind) = rest.split_at_checked(count(rest))?;
    *rest = behind;
    Some(taken)
}

/// Whether an instruction is the declaration of XML.
fn is_declaration(inside: &str) -> bool {
    inside
        .strip_prefix("xml")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(|c: char| c.is_ascii_whitespace()))
}

/// Ends an element, behind which `rest` stands.
fn close<'a>(
    mut closed: Open<'a>,
    open: &mut [Open<'a>],
    outside: &mut Vec<Node<'a>>,
    scope: &mut Scopes<'a>,
    rest: &str,
) {
    scope.truncate(closed.scope);
    let source = closed.element.source;
    closed.element.source = source.get(..source.len().saturating_sub(rest.len())).unwrap_or_default();
    keep(open, outside, Node::Element(closed.element));
}

fn keep<'a>(open: &mut [Open<'a>], outside: &mut Vec<Node<'a>>, node: Node<'a>) {
    open.last_mut().map_or(outside, |open| &mut open.element.children).push(node);
}

fn add<'a>(open: &mut [Open<'a>], node: Node<'a>, mode: Mode, whole: bool) -> Result<(), DocumentError> {
    let is_blank = matches!(node, Node::Text(text) if text.bytes().all(|byte| byte.is_ascii_whitespace()));
    match (open.last_mut().map(|open| &mut open.element), node) {
        (Some(element), node) if whole => element.children.push(node),
        (Some(element), Node::Text(text)) if element.children.is_empty() && element.text.is_empty() => {
            element.text = text;
        }
        (Some(element), node) if !is_blank => element.children.push(node),
        (None, Node::Text(text)) if is_blank || text.trim_ascii() == "\u{feff}" => {}
        (None, _) if mode == Mode::Strict => return Err(DocumentError::Malformed),
        (Some(_) | None, _) => {}
    }
    Ok(())
}

/// The entities that every document has (XML 1.0 §4.6).
const ENTITIES: &[(&str, char)] = &[("lt", '<'), ("gt", '>'), ("amp", '&'), ("apos", '\''), ("quot", '"')];

/// The character of a character reference or of one of XML's five entities.
fn resolve(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix("#") {
        let (radix, digits) = number.strip_prefix("x").map_or((10, number), |hex| (16, hex));
        let code = digits
            .chars()
            .try_fold(0_u32, |sum, digit| sum.checked_mul(radix)?.checked_add(digit.to_digit(radix)?));
        return char::from_u32(code?).filter(|c| *c != '\0');
    }
    ENTITIES.iter().find(|(known, _)| *known == name).map(|(_, character)| *character)
}

/// Laxly, a reference to no character is left out, and an ampersand with no name behind it stands for itself.
fn check_reference(name: &str, mode: Mode) -> Result<(), DocumentError> {
    if resolve(name).is_some() {
        return Ok(());
    }
    // `?a=1&b=2;c` in a URI and `you & me; both` in a note are no entities.
    let is_name =
        name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.') || b >= 0x80);
    if !is_name || name.is_empty() {
        return if mode == Mode::Lax { Ok(()) } else { Err(DocumentError::Malformed) };
    }
    Err(DocumentError::Entity)
}

/// Text or an attribute's value: no `<`, and references that are known.
fn check_references(value: &str, mode: Mode) -> Result<(), DocumentError> {
    if !value.bytes().any(|byte| matches!(byte, b'<' | b'&')) {
        return Ok(());
    }
    if holds(value, b'<') && mode == Mode::Strict {
        return Err(DocumentError::Malformed);
    }
    let mut rest = value;
    while let Some((_, after)) = cut(rest, b'&') {
        match cut(after, b';') {
            Some((name, _)) => check_reference(name, mode)?,
            None if mode == Mode::Strict => return Err(DocumentError::Malformed),
            None => {}
        }
        rest = after;
    }
    Ok(())
}

/// `escaped` with its references resolved.
pub(super) fn unescaped(escaped: &str) -> String {
    if !escaped.bytes().any(|byte| matches!(byte, b'&' | b'\r')) {
        return escaped.to_owned();
    }
    let mut text = String::with_capacity(escaped.len());
    unescape(escaped, &mut text);
    text
}

fn unescape(escaped: &str, into: &mut String) {
    let mut rest = escaped;
    while let Some((before, after)) = cut(rest, b'&') {
        push_lines(before, into);
        rest = after;
        if let Some((name, after)) = cut(after, b';') {
            let character = resolve(name);
            into.extend(character);
            if character.is_some() || name.starts_with("#") {
                rest = after;
                continue;
            }
        }
        into.push('&');
    }
    push_lines(rest, into);
}

/// Every end of a line is one line feed (XML 1.0 §2.11).
fn push_lines(text: &str, into: &mut String) {
    let mut pieces = pieces(text, b'\r');
    into.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        if !piece.starts_with("\n") {
            into.push('\n');
        }
        into.push_str(piece);
    }
}

/// Reads what stands between `<` and `>`.
fn start_element<'a>(
    tag: &'a str,
    scope: &mut Scopes<'a>,
    lang: Option<&'a str>,
    limits: &Limits,
    mode: Mode,
    whole: bool,
) -> Result<Open<'a>, DocumentError> {
    let outside = scope.len();
    let (raw_name, rest) = tag.split_at(place(tag, |byte| byte.is_ascii_whitespace()).unwrap_or(tag.len()));
    let mut element = Element { lang, ..Element::default() };
    let mut rest = rest.trim_ascii_start();
    let mut count = 0;
    while !rest.is_empty() {
        let (key, value) = match next_attribute(&mut rest) {
            Some(attribute) => attribute,
            None if mode == Mode::Lax => break,
            None => return Err(DocumentError::Malformed),
        };
        count += 1;
        if count > limits.attributes {
            return Err(DocumentError::Limit("attributes"));
        }
        check_references(value, mode)?;
        let (prefix, name) = split_name(key);
        if value.len() > limits.inherited && (prefix == "xmlns" || key == "xmlns" || key == "xml:lang") {
            return Err(DocumentError::Limit("inherited"));
        }
        let declared = if key == "xmlns" { "" } else { name };
        if key == "xmlns" || prefix == "xmlns" {
            let twice = scope.iter().skip(outside).any(|(prefix, _, _)| *prefix == declared);
            if twice && mode == Mode::Strict {
                return Err(DocumentError::Malformed);
            }
            scope.push((declared, value, Vocabulary::of(value)));
            if whole {
                element.attributes.push(Attribute { namespace: "xmlns", name: declared, value });
            }
            continue;
        }
        let name = if whole { key } else { name };
        if element.attributes.iter().any(|a| a.namespace == prefix && a.name == name) && mode == Mode::Strict
        {
            return Err(DocumentError::Malformed);
        }
        if key == "xml:lang" {
            element.lang = Some(value).filter(|lang| !lang.is_empty());
        }
        // The prefix, until all declarations of this element are known.
        element.attributes.push(Attribute { namespace: prefix, name, value });
    }
    for attribute in &mut element.attributes {
        if !attribute.namespace.is_empty() {
            attribute.namespace = lookup(scope, attribute.namespace, mode)?.0;
        }
    }
    let (prefix, name) = split_name(raw_name);
    (element.namespace, element.vocabulary) = lookup(scope, prefix, mode)?;
    element.name = if whole { raw_name } else { name };
    Ok(Open { element, scope: outside, raw_name })
}

/// The namespace of `prefix`. Laxly, an undeclared prefix stands for itself.
fn lookup<'a>(
    scope: &Scopes<'a>,
    prefix: &'a str,
    mode: Mode,
) -> Result<(&'a str, Vocabulary), DocumentError> {
    match scope.iter().rev().find(|(p, _, _)| *p == prefix) {
        Some((_, namespace, vocabulary)) => Ok((namespace, *vocabulary)),
        None if prefix.is_empty() || mode == Mode::Lax => Ok((prefix, Vocabulary::of(prefix))),
        None => Err(DocumentError::Malformed),
    }
}

/// Takes the first attribute off `rest`, and the blanks behind it; `None` if what stands there is none.
///
/// ```abnf
/// Attribute = Name [S] "=" [S] (DQUOTE *(AttValue) DQUOTE / "'" *(AttValue) "'")
/// ```
fn next_attribute<'a>(rest: &mut &'a str) -> Option<(&'a str, &'a str)> {
    let (key, after) = cut(rest, b'=')?;
    let key = key.trim_ascii_end();
    let after = after.trim_ascii_start();
    let quote = after.bytes().next().filter(|byte| matches!(byte, b'"' | b'\''))?;
    let (value, after) = cut(after.get(1..)?, quote)?;
    *rest = after.trim_ascii_start();
    (!key.is_empty() && place(key, |byte| byte.is_ascii_whitespace()).is_none()).then_some((key, value))
}

/// Where the first such byte is. For names and values, which are short, faster than a search for a character.
fn place(text: &str, is_it: impl Fn(u8) -> bool) -> Option<usize> {
    text.bytes().position(is_it)
}

/// Prefix and local name.
pub(super) fn split_name(name: &str) -> (&str, &str) {
    cut(name, b':').unwrap_or(("", name))
}
