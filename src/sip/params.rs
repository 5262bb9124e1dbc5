//! Parameters after a semicolon, of headers and of URIs (RFC 3261 §25.1 `generic-param`, `uri-parameter`).

/// A list of `;name` and `;name=value`. Names are compared without case; the order is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(Vec<(String, Option<String>)>);

impl Params {
    /// No parameters.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The value of the first parameter `name`: `None` if it is absent or stands without a value. A quoted string
    /// is returned with its quotes; [`super::grammar::unquote`] removes them.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).and_then(|(_, v)| v)
    }

    /// Whether `name` is there, with or without a value.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.iter().any(|(n, _)| n.eq_ignore_ascii_case(name))
    }

    /// Adds `name`, or replaces its value.
    pub fn set(&mut self, name: &str, value: Option<&str>) {
        let value = value.map(str::to_owned);
        match self.0.iter_mut().find(|(n, _)| n.eq_ignore_ascii_case(name)) {
            Some(slot) => slot.1 = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// Removes `name`.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
    }

    /// All of them in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0.iter().map(|(n, v)| (n.as_str(), v.as_deref()))
    }

    /// Appends `;name=value` for each.
    pub(crate) fn write(&self, out: &mut String) {
        for (name, value) in self.iter() {
            out.push(';');
            out.push_str(name);
            if let Some(value) = value {
                out.push('=');
                out.push_str(value);
            }
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(String, Option<String>)> for Params {
    fn from_iter<I: IntoIterator<Item = (String, Option<String>)>>(items: I) -> Self {
        Self(items.into_iter().collect())
    }
}
