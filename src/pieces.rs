//! Texts from pieces and pieces of texts, without the searching and joining of the standard library: a page does not
//! download it. May use: nothing.

/// The parts one after the other, with `separator` between them.
pub(crate) fn joined(parts: &[&str], separator: &str) -> String {
    let mut text = String::new();
    let mut between = "";
    for part in parts {
        text.push_str(between);
        text.push_str(part);
        between = separator;
    }
    text
}

/// The parts one after the other.
pub(crate) fn concat(parts: &[&str]) -> String {
    joined(parts, "")
}

/// What stands before and behind the first `byte`, which is ASCII.
pub(crate) fn cut(text: &str, byte: u8) -> Option<(&str, &str)> {
    let (before, rest) = text.split_at_checked(text.bytes().position(|b| b == byte)?)?;
    Some((before, rest.get(1..)?))
}

/// Whether `byte`, which is ASCII, stands in `text`.
pub(crate) fn holds(text: &str, byte: u8) -> bool {
    // To the end, which is faster than to look for a reason to stop.
    text.bytes().fold(false, |found, b| found | (b == byte))
}

/// What stands before, between and behind the bytes `byte`, which is ASCII.
pub(crate) const fn pieces(text: &str, byte: u8) -> Pieces<'_> {
    Pieces { rest: Some(text), byte }
}

pub(crate) struct Pieces<'a> {
    rest: Option<&'a str>,
    byte: u8,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let text = self.rest?;
        let (piece, rest) = cut(text, self.byte).map_or((text, None), |(piece, rest)| (piece, Some(rest)));
        self.rest = rest;
        Some(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_joined_and_cut_as_the_standard_library_does_it() {
        for text in ["", "a", ":", "a:b", ":a::é:", "é:", "::"] {
            let parts: Vec<&str> = pieces(text, b':').collect();
            assert_eq!(parts, text.split(':').collect::<Vec<_>>(), "{text}");
            assert_eq!(joined(&parts, ":"), text);
            assert_eq!(concat(&parts), parts.concat());
            assert_eq!(cut(text, b':'), text.split_once(':'));
            assert_eq!(holds(text, b':'), text.contains(':'));
        }
        assert_eq!(joined(&[], ", "), "");
    }
}
