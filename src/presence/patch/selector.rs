//! Selectors: the part of XPath that RFC 5261 §4.1 allows, read and evaluated.
//!
//! ```abnf
//! selector  = ["/"] (id *("/" step) ["/" last] / *(step "/") last)
//! id        = "id(" literal ")"
//! step      = ("*" / QName) *predicate
//! last      = step / "@" QName / "namespace::" NCName
//!           / ("text()" / "comment()" / "processing-instruction(" [literal] ")") ["[" 1*DIGIT "]"]
//! predicate = "[" ("@" QName "=" literal / QName "=" literal / "." "=" literal / 1*DIGIT) "]"
//! ```

use super::PatchError;
use crate::presence::xml::{self, Attribute, DECLARATION, Element, Node, Scope, split_name, unescaped};

/// Nodes looked at and bytes compared for one patch, at most.
pub(super) const MOST_WORK: usize = 1_000_000;

/// What a selector located.
#[derive(Clone, Copy)]
pub(super) struct Found<'t, 'a> {
    /// The element it is in; without a source the document itself.
    pub(super) parent: &'t Element<'a>,
    /// An attribute or a declaration of it.
    pub(super) attribute: Option<&'t Attribute<'a>>,
    /// Otherwise its children from here: a node, or the pieces of a text.
    pub(super) from: usize,
    /// To before this one.
    pub(super) to: usize,
}

impl<'t, 'a> Found<'t, 'a> {
    pub(super) fn nodes(&self) -> &'t [Node<'a>] {
        self.parent.children.get(self.from..self.to).unwrap_or_default()
    }
}

/// A name of an element or attribute: its namespace, and what stands behind the prefix.
type Name<'s> = (&'s str, &'s str);

enum Test<'s> {
    Any,
    Element(Name<'s>),
    Text,
    Comment,
    Instruction(&'s str),
    Attribute(Name<'s>),
    Declaration(&'s str),
}

enum Predicate<'s> {
    Position(usize),
    Attribute(Name<'s>, &'s str),
    Child(Name<'s>, &'s str),
    Own(&'s str),
}

struct Step<'s> {
    test: Test<'s>,
    predicates: Vec<Predicate<'s>>,
}

pub(super) struct Selector<'s> {
    id: Option<&'s str>,
    steps: Vec<Step<'s>>,
}

impl<'s> Selector<'s> {
    /// Reads a selector; prefixes mean what they mean in `scope`.
    pub(super) fn parse(text: &'s str, scope: &Scope<'s>) -> Result<Self, PatchError> {
        let mut reader = Reader { rest: text, scope };
        let mut selector = Self { id: None, steps: Vec::new() };
        let _ = reader.eat("/");
        if reader.call("id") {
            let id = reader.literal().filter(|id| !id.is_empty()).ok_or(PatchError::UnsupportedIdFunction)?;
            reader.expect(")")?;
            selector.id = Some(id);
            if reader.rest.trim().is_empty() {
                return Ok(selector);
            }
            reader.expect("/")?;
        }
        loop {
            let step = reader.step()?;
            let is_element = matches!(step.test, Test::Any | Test::Element(_));
            selector.steps.push(step);
            if reader.rest.trim().is_empty() {
                return Ok(selector);
            }
            if !is_element {
                return Err(PatchError::InvalidAttributeValue);
            }
            reader.expect("/")?;
        }
    }

    /// The one node that is meant.
    pub(super) fn locate<'t, 'a>(
        &self,
        document: &'t Element<'a>,
        work: &mut usize,
    ) -> Result<Found<'t, 'a>, PatchError> {
        let mut search = Search { work, found: None, has_xml_id: false };
        match self.id {
            Some(id) => search.find_id(document, id, &self.steps)?,
            None => search.find(document, &self.steps)?,
        }
        let unlocated =
            if search.has_xml_id { PatchError::UnsupportedXmlId } else { PatchError::UnlocatedNode };
        search.found.ok_or(unlocated)
    }
}

/// Whether `name` can be a name in an operation, with or without a prefix.
pub(super) fn is_name(name: &str) -> bool {
    let is_local = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || !c.is_ascii())
            && name_end(name) == name.len()
    };
    let (prefix, local) = split_name(name);
    is_local(local) && (prefix.is_empty() && !name.contains(':') || is_local(prefix))
}

fn name_end(text: &str) -> usize {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') || !c.is_ascii();
    text.find(|c| !is_part(c)).unwrap_or(text.len())
}

struct Reader<'s, 'd> {
    rest: &'s str,
    scope: &'d Scope<'s>,
}

impl<'s> Reader<'s, '_> {
    /// Takes `token` if it comes next; blanks may stand before it.
    fn eat(&mut self, token: &str) -> bool {
        match self.rest.trim_ascii_start().strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: &str) -> Result<(), PatchError> {
        if self.eat(token) { Ok(()) } else { Err(PatchError::InvalidAttributeValue) }
    }

    /// Takes `function` and its parenthesis, if they come next.
    fn call(&mut self, function: &str) -> bool {
        let before = self.rest;
        let found = self.eat(function) && self.eat("(");
        if !found {
            self.rest = before;
        }
        found
    }

    /// Takes a text in quotes, if one comes next.
    fn literal(&mut self) -> Option<&'s str> {
        for quote in ["'", "\""] {
            if self.eat(quote) {
                let (text, rest) = self.rest.split_once(quote)?;
                self.rest = rest;
                return Some(text);
            }
        }
        None
    }

    fn value(&mut self) -> Result<&'s str, PatchError> {
        self.expect("=")?;
        let value = self.literal().ok_or(PatchError::InvalidAttributeValue)?;
        self.expect("]")?;
        Ok(value)
    }

    /// Takes a name. One of an element without prefix is in the default namespace of the patch (RFC 5261 §4.2.1).
    fn name(&mut self, of_attribute: bool) -> Result<Name<'s>, PatchError> {
        let text = self.rest.trim_ascii_start();
        let mut end = name_end(text);
        // Not the beginning of an axis.
        if let Some(local) = text.get(end..).and_then(|rest| rest.strip_prefix(':')) {
            end += 1 + name_end(local);
        }
        let (name, rest) = text.split_at(end);
        if !is_name(name) {
            return Err(PatchError::InvalidAttributeValue);
        }
        self.rest = rest;
        let (prefix, local) = split_name(name);
        if of_attribute && prefix.is_empty() {
            return Ok(("", local));
        }
        let namespace = xml::meaning(prefix, self.scope).ok_or(PatchError::InvalidNamespacePrefix)?;
        Ok((namespace, local))
    }

    fn step(&mut self) -> Result<Step<'s>, PatchError> {
        let test = if self.eat("*") {
            Test::Any
        } else if self.eat("@") {
            Test::Attribute(self.name(true)?)
        } else if self.eat("namespace::") {
            let prefix = self.rest.trim_ascii();
            if !is_name(prefix) || prefix.contains(':') {
                return Err(PatchError::InvalidAttributeValue);
            }
            self.rest = "";
            Test::Declaration(prefix)
        } else if self.call("text") {
            self.expect(")")?;
            Test::Text
        } else if self.call("comment") {
            self.expect(")")?;
            Test::Comment
        } else if self.call("processing-instruction") {
            let target = self.literal().unwrap_or_default();
            self.expect(")")?;
            Test::Instruction(target)
        } else {
            Test::Element(self.name(false)?)
        };
        let mut step = Step { test, predicates: Vec::new() };
        let is_element = matches!(step.test, Test::Any | Test::Element(_));
        while self.eat("[") {
            let predicate = self.predicate()?;
            if !is_element && (!step.predicates.is_empty() || !matches!(predicate, Predicate::Position(_))) {
                return Err(PatchError::InvalidAttributeValue);
            }
            step.predicates.push(predicate);
        }
        Ok(step)
    }

    fn predicate(&mut self) -> Result<Predicate<'s>, PatchError> {
        if self.eat("@") {
            let name = self.name(true)?;
            return Ok(Predicate::Attribute(name, self.value()?));
        }
        if self.eat(".") {
            return Ok(Predicate::Own(self.value()?));
        }
        let text = self.rest.trim_ascii_start();
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        if digits > 0 {
            let (number, rest) = text.split_at(digits);
            self.rest = rest;
            self.expect("]")?;
            return number.parse().map(Predicate::Position).map_err(|_| PatchError::InvalidAttributeValue);
        }
        let name = self.name(false)?;
        Ok(Predicate::Child(name, self.value()?))
    }
}

struct Search<'r, 't, 'a> {
    work: &'r mut usize,
    found: Option<Found<'t, 'a>>,
    has_xml_id: bool,
}

impl<'t, 'a> Search<'_, 't, 'a> {
    fn spend(&mut self, work: usize) -> Result<(), PatchError> {
        *self.work = self.work.checked_sub(work).ok_or(PatchError::TooLarge)?;
        Ok(())
    }

    fn hit(&mut self, found: Found<'t, 'a>) -> Result<(), PatchError> {
        if self.found.is_some() {
            return Err(PatchError::UnlocatedNode);
        }
        self.found = Some(found);
        Ok(())
    }

    /// Looks for what `steps` mean from `element`.
    fn find(&mut self, element: &'t Element<'a>, steps: &[Step<'_>]) -> Result<(), PatchError> {
        let Some((step, rest)) = steps.split_first() else { return Ok(()) };
        self.spend(1 + element.children.len() + element.attributes.len())?;
        let (namespace, name) = match &step.test {
            Test::Attribute(name) => *name,
            Test::Declaration(prefix) => (DECLARATION, *prefix),
            Test::Any | Test::Element(_) | Test::Text | Test::Comment | Test::Instruction(_) => {
                return self.find_nodes(element, step, rest);
            }
        };
        let mut attributes = element.attributes.iter();
        match attributes.find(|a| a.namespace == namespace && split_name(a.name).1 == name) {
            None => Ok(()),
            attribute => self.hit(Found { parent: element, attribute, from: 0, to: 0 }),
        }
    }

    fn find_nodes(
        &mut self,
        element: &'t Element<'a>,
        step: &Step<'_>,
        rest: &[Step<'_>],
    ) -> Result<(), PatchError> {
        let mut nodes = Vec::new();
        let mut after_text = false;
        for (index, node) in element.children.iter().enumerate() {
            let is_text = matches!(node, Node::Text(_) | Node::CData(_));
            match (nodes.last_mut(), after_text && is_text) {
                // Texts side by side are one node.
                (Some((_, end)), true) if matches!(step.test, Test::Text) => *end = index + 1,
                _ if meets(element, node, &step.test) => nodes.push((index, index + 1)),
                _ => {}
            }
            after_text = is_text;
        }
        for predicate in &step.predicates {
            let mut kept = Vec::new();
            for (place, node) in nodes.iter().enumerate() {
                let holds = match (predicate, element.children.get(node.0)) {
                    (Predicate::Position(number), _) => place + 1 == *number,
                    (predicate, Some(Node::Element(child))) => self.holds(child, predicate)?,
                    (_, _) => false,
                };
                if holds {
                    kept.push(*node);
                }
            }
            self.spend(nodes.len())?;
            nodes = kept;
        }
        for (from, to) in nodes {
            match element.children.get(from) {
                Some(Node::Element(child)) if !rest.is_empty() => self.find(child, rest)?,
                _ => self.hit(Found { parent: element, attribute: None, from, to })?,
            }
        }
        Ok(())
    }

    fn holds(&mut self, element: &Element<'_>, predicate: &Predicate<'_>) -> Result<bool, PatchError> {
        match predicate {
            Predicate::Position(_) => Ok(false),
            Predicate::Attribute((namespace, name), value) => {
                let mut attributes = element.attributes.iter();
                let found = attributes.find(|a| a.namespace == *namespace && split_name(a.name).1 == *name);
                self.spend(1 + found.map_or(0, |attribute| attribute.value.len()))?;
                Ok(found.is_some_and(|attribute| unescaped(attribute.value) == *value))
            }
            Predicate::Child(name, value) => {
                self.spend(element.children.len())?;
                for child in element.elements() {
                    if is_called(child, *name) && self.text_is(child, value)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Predicate::Own(value) => self.text_is(element, value),
        }
    }

    fn text_is(&mut self, element: &Element<'_>, value: &str) -> Result<bool, PatchError> {
        let mut text = String::new();
        element.collect(&mut text);
        self.spend(1 + text.len() + element.children.len())?;
        Ok(text == *value)
    }

    /// Looks for `steps` from the element whose `id` is this.
    fn find_id(&mut self, element: &'t Element<'a>, id: &str, steps: &[Step<'_>]) -> Result<(), PatchError> {
        self.spend(1 + element.children.len())?;
        for (index, child) in element.children.iter().enumerate() {
            let Node::Element(child) = child else { continue };
            let has =
                |name: &str| child.attributes.iter().any(|a| a.name == name && unescaped(a.value) == id);
            self.has_xml_id |= has("xml:id");
            let is_meant = has("id");
            self.spend(child.attributes.len())?;
            if is_meant && steps.is_empty() {
                self.hit(Found { parent: element, attribute: None, from: index, to: index + 1 })?;
            } else if is_meant {
                self.find(child, steps)?;
            }
            self.find_id(child, id, steps)?;
        }
        Ok(())
    }
}

fn meets(parent: &Element<'_>, node: &Node<'_>, test: &Test<'_>) -> bool {
    match (node, test) {
        (Node::Element(_), Test::Any)
        | (Node::Text(_) | Node::CData(_), Test::Text)
        | (Node::Comment(_), Test::Comment) => true,
        (Node::Element(element), Test::Element(name)) => {
            // The root of a partial document is called as that of a whole one, too (RFC 5262 §6).
            let is_either = |name: &str| matches!(name, "presence" | "pidf-full");
            let is_root = parent.source.is_empty();
            is_called(element, *name)
                || (is_root && is_either(name.1) && is_either(split_name(element.name).1))
        }
        (Node::Instruction(source), Test::Instruction(target)) => {
            let name = source.trim_start_matches("<?");
            target.is_empty() || name.get(..name_end(name)) == Some(target)
        }
        (_, _) => false,
    }
}

fn is_called(element: &Element<'_>, (namespace, name): Name<'_>) -> bool {
    element.namespace == namespace && split_name(element.name).1 == name
}
