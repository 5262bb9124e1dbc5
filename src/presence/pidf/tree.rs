//! Bytes to a small tree of elements with their namespaces resolved, strictly or laxly, within limits.
//!
//! No DOCTYPE, no entity but XML's five and character references; the declared encoding is ignored, because the
//! bodies of SIP are UTF-8 (FreeSWITCH declares ISO-8859-1 and sends UTF-8).

use super::Limits;
use crate::presence::{DocumentError, Warning};
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};

/// An element.
#[derive(Debug, Default)]
pub(in crate::presence) struct Element {
    pub(in crate::presence) namespace: String,
    pub(in crate::presence) name: String,
    pub(in crate::presence) attributes: Vec<Attribute>,
    pub(in crate::presence) children: Vec<Self>,
    /// The text directly inside, references resolved.
    pub(in crate::presence) text: String,
    /// `xml:lang` in scope.
    pub(in crate::presence) lang: Option<String>,
}

/// An attribute that is not a namespace declaration.
#[derive(Debug)]
pub(in crate::presence) struct Attribute {
    /// Empty for attributes without prefix.
    pub(in crate::presence) namespace: String,
    pub(in crate::presence) name: String,
    pub(in crate::presence) value: String,
}

impl Element {
    /// The value of the attribute `name` without a namespace.
    pub(in crate::presence) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|a| a.namespace.is_empty() && a.name == name).map(|a| a.value.as_str())
    }

    /// All text inside, children's included, trimmed.
    pub(in crate::presence) fn all_text(&self) -> String {
        let mut text = String::new();
        self.collect(&mut text);
        text.trim().to_owned()
    }

    fn collect(&self, into: &mut String) {
        into.push_str(&self.text);
        for child in &self.children {
            child.collect(into);
        }
    }
}

/// Whether a fault ends the reading or is read over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Strict,
    Lax,
}

/// Prefix and namespace, innermost last.
type Scope = Vec<(String, String)>;

struct Open {
    element: Element,
    /// Length of the scope outside of the element.
    scope: usize,
    /// The name as written, with its prefix.
    raw_name: String,
}

/// The root element of a document: read strictly, and where that fails laxly with a warning.
pub(in crate::presence) fn read(
    bytes: &[u8],
    limits: &Limits,
    warnings: &mut Vec<Warning>,
) -> Result<Element, DocumentError> {
    if bytes.len() > limits.bytes {
        return Err(DocumentError::Limit("bytes"));
    }
    let text = core::str::from_utf8(bytes).map_err(|_| DocumentError::Encoding)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim_start();
    match parse(text, limits, Mode::Strict) {
        Err(DocumentError::Malformed) => {
            warnings.push(Warning::Lax);
            parse(text, limits, Mode::Lax)
        }
        result => result,
    }
}

/// The root element of `text`.
fn parse(text: &str, limits: &Limits, mode: Mode) -> Result<Element, DocumentError> {
    let mut reader = Reader::from_str(text);
    let config = reader.config_mut();
    config.expand_empty_elements = true;
    config.check_end_names = false;
    config.allow_dangling_amp = mode == Mode::Lax;
    config.allow_unmatched_ends = true;
    let mut scope: Scope = vec![("xml".to_owned(), "http://www.w3.org/XML/1998/namespace".to_owned())];
    let mut open: Vec<Open> = Vec::new();
    let mut root = None;
    let mut count = 0_usize;
    loop {
        let event = match reader.read_event() {
            Ok(event) => event,
            // Laxly, what came before the fault is kept.
            Err(_) if mode == Mode::Lax && (!open.is_empty() || root.is_some()) => break,
            Err(_) => return Err(DocumentError::Malformed),
        };
        match event {
            Event::Start(start) => {
                count += 1;
                if count > limits.elements {
                    return Err(DocumentError::Limit("elements"));
                }
                if open.len() >= limits.depth {
                    return Err(DocumentError::Limit("depth"));
                }
                if root.is_some() {
                    if mode == Mode::Strict {
                        return Err(DocumentError::Malformed);
                    }
                    break;
                }
                let outer = open.last().and_then(|open| open.element.lang.clone());
                open.push(start_element(&start, &mut scope, outer, limits, mode)?);
            }
            Event::End(end) => {
                let name = end.name();
                let matches = open.last().is_some_and(|open| open.raw_name == name.as_ref());
                if !matches && mode == Mode::Strict {
                    return Err(DocumentError::Malformed);
                }
                // An unmatched end tag closes up to its start, or is dropped if there is none.
                if open.iter().any(|open| open.raw_name == name.as_ref()) {
                    while let Some(closed) = open.pop() {
                        let done = closed.raw_name == name.as_ref();
                        close(closed, &mut open, &mut root, &mut scope);
                        if done {
                            break;
                        }
                    }
                }
            }
            Event::Text(text) => add_text(&mut open, &text, mode)?,
            Event::CData(text) => add_text(&mut open, &text, mode)?,
            Event::GeneralRef(reference) => {
                let text = resolve(&reference, mode)?;
                add_text(&mut open, &text, mode)?;
            }
            Event::DocType(_) => return Err(DocumentError::Entity),
            Event::Eof => break,
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
    if !open.is_empty() && mode == Mode::Strict {
        return Err(DocumentError::Malformed);
    }
    while let Some(closed) = open.pop() {
        close(closed, &mut open, &mut root, &mut scope);
    }
    root.ok_or(DocumentError::Malformed)
}

fn close(closed: Open, open: &mut [Open], root: &mut Option<Element>, scope: &mut Scope) {
    scope.truncate(closed.scope);
    match open.last_mut() {
        Some(parent) => parent.element.children.push(closed.element),
        None => *root = Some(closed.element),
    }
}

fn add_text(open: &mut [Open], text: &str, mode: Mode) -> Result<(), DocumentError> {
    if text.contains('\0') {
        return Err(DocumentError::Malformed);
    }
    match open.last_mut() {
        Some(open) => open.element.text.push_str(text),
        None if mode == Mode::Strict
            && !text.trim_matches(['\u{feff}', ' ', '\t', '\r', '\n']).is_empty() =>
        {
            return Err(DocumentError::Malformed);
        }
        None => {}
    }
    Ok(())
}

/// A character reference or one of XML's five entities.
fn resolve(reference: &BytesRef<'_>, mode: Mode) -> Result<String, DocumentError> {
    if let Ok(Some(character)) = reference.resolve_char_ref() {
        return Ok(character.to_string());
    }
    let name: &str = reference;
    if let Some(text) = resolve_predefined_entity(name) {
        return Ok(text.to_owned());
    }
    if name.starts_with('#') && mode == Mode::Lax {
        return Ok(String::new());
    }
    Err(if name.starts_with('#') { DocumentError::Malformed } else { DocumentError::Entity })
}

fn start_element(
    start: &BytesStart<'_>,
    scope: &mut Scope,
    outer_lang: Option<String>,
    limits: &Limits,
    mode: Mode,
) -> Result<Open, DocumentError> {
    let outside = scope.len();
    let mut keys: Vec<&str> = Vec::new();
    let mut plain: Vec<(&str, String)> = Vec::new();
    let mut rest = start.attributes_raw().trim_ascii_start();
    while !rest.is_empty() {
        let (key, value) = match next_attribute(&mut rest) {
            Some(attribute) => attribute,
            None if mode == Mode::Lax => break,
            None => return Err(DocumentError::Malformed),
        };
        if keys.len() >= limits.attributes {
            return Err(DocumentError::Limit("attributes"));
        }
        if mode == Mode::Strict && keys.contains(&key) {
            return Err(DocumentError::Malformed);
        }
        keys.push(key);
        let value = unescape_attribute(value, mode)?;
        if value.len() > limits.inherited && (key.starts_with("xmlns") || key == "xml:lang") {
            return Err(DocumentError::Limit("inherited"));
        }
        match key.strip_prefix("xmlns") {
            Some("") => scope.push((String::new(), value)),
            Some(colon) => match colon.strip_prefix(':') {
                Some(prefix) => scope.push((prefix.to_owned(), value)),
                None => plain.push((key, value)),
            },
            None => plain.push((key, value)),
        }
    }
    let mut element = Element { lang: outer_lang, ..Element::default() };
    for (key, value) in plain {
        let (prefix, name) = key.split_once(':').unwrap_or(("", key));
        let namespace = if prefix.is_empty() { String::new() } else { lookup(scope, prefix, mode)? };
        if name == "lang" && prefix == "xml" {
            element.lang = Some(value.clone()).filter(|lang| !lang.is_empty());
        }
        element.attributes.push(Attribute { namespace, name: name.to_owned(), value });
    }
    let name = start.name();
    let raw_name = name.as_ref().to_owned();
    let (prefix, local) = raw_name.split_once(':').unwrap_or(("", &raw_name));
    element.namespace = if prefix.is_empty() {
        scope.iter().rev().find(|(p, _)| p.is_empty()).map(|(_, ns)| ns.clone()).unwrap_or_default()
    } else {
        lookup(scope, prefix, mode)?
    };
    element.name = local.to_owned();
    Ok(Open { element, scope: outside, raw_name })
}

/// The namespace of `prefix`. Laxly, an undeclared prefix stands for itself.
fn lookup(scope: &Scope, prefix: &str, mode: Mode) -> Result<String, DocumentError> {
    match scope.iter().rev().find(|(p, _)| p == prefix) {
        Some((_, namespace)) => Ok(namespace.clone()),
        None if mode == Mode::Lax => Ok(prefix.to_owned()),
        None => Err(DocumentError::Malformed),
    }
}

/// Takes the first attribute off `rest`, and the blanks behind it; `None` if what stands there is none.
///
/// ```abnf
/// Attribute = Name [S] "=" [S] (DQUOTE *(AttValue) DQUOTE / "'" *(AttValue) "'")
/// ```
fn next_attribute<'a>(rest: &mut &'a str) -> Option<(&'a str, &'a str)> {
    let (key, after) = rest.split_once('=')?;
    let key = key.trim_ascii_end();
    let after = after.trim_ascii_start();
    let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let (value, after) = after.get(1..)?.split_once(quote)?;
    *rest = after.trim_ascii_start();
    (!key.is_empty() && !key.contains(|c: char| c.is_ascii_whitespace())).then_some((key, value))
}

fn unescape_attribute(value: &str, mode: Mode) -> Result<String, DocumentError> {
    let mut text = String::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('&') {
        text.push_str(before);
        rest = after;
        let resolved = match after.split_once(';') {
            Some((name, behind)) => resolve(&BytesRef::new(name), mode).map(|resolved| (resolved, behind)),
            None => Err(DocumentError::Malformed),
        };
        match resolved {
            Ok((resolved, behind)) => {
                text.push_str(&resolved);
                rest = behind;
            }
            // `?a=1&b=2;c` in a URI is not an entity.
            Err(_) if mode == Mode::Lax => text.push('&'),
            Err(error) => return Err(error),
        }
    }
    text.push_str(rest);
    if text.contains('\0') {
        return Err(DocumentError::Malformed);
    }
    Ok(text)
}
