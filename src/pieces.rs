//! Texts from pieces and pieces of texts, without the searching and joining of the standard library: a page does not
//! download it. Nothing is used.

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
