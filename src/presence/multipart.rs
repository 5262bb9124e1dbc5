//! `multipart/related` to its parts (RFC 2046 §5.1, RFC 2387): what a list's NOTIFY carries. May use: nothing.

use super::DocumentError;

/// The media type that [`read`] takes.
pub const RELATED: &str = "multipart/related";

/// One part of a multipart body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// Its Content-Type as written; empty if it has none.
    pub kind: String,
    /// Its Content-ID without `<>`; empty if it has none.
    pub id: String,
    /// What it carries.
    pub body: &'a [u8],
}

/// Whether `kind`, the value of a Content-Type, names the media type `essence`.
#[must_use]
pub fn is(kind: &str, essence: &str) -> bool {
    kind.split(';').next().is_some_and(|kind| kind.trim_ascii().eq_ignore_ascii_case(essence))
}

/// The parts of `body`, the root first: the one that the parameter `start` of `kind` names, else the first one. At most
/// `most` parts. What stands before the first boundary and after the last is ignored.
///
/// # Errors
/// [`DocumentError::Part`] without a boundary or a part, [`DocumentError::Limit`] for too many.
pub fn read<'a>(kind: &str, body: &'a [u8], most: usize) -> Result<Vec<Part<'a>>, DocumentError> {
    let boundary = parameter(kind, "boundary").filter(|boundary| !boundary.is_empty());
    let boundary = boundary.ok_or(DocumentError::Part)?.as_bytes();
    let mut parts = Vec::new();
    let (mut begin, mut at) = (None, 0);
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        let end = at + line.len();
        let delimiter = line.strip_prefix(b"--").and_then(|line| line.strip_prefix(boundary));
        // Blanks may follow (RFC 2046 §5.1.1); anything else makes it another boundary, or text.
        if let Some(rest @ (b"" | b"--")) = delimiter.map(<[u8]>::trim_ascii_end) {
            if let Some(begin) = begin.replace(end) {
                if parts.len() >= most {
                    return Err(DocumentError::Limit("parts"));
                }
                parts.push(part(body.get(begin..at).unwrap_or_default()));
            }
            if !rest.is_empty() {
                begin = None;
                break;
            }
        }
        at = end;
    }
    // The last boundary is missing: what is there is a part all the same.
    if let Some(rest) = begin.and_then(|begin| body.get(begin..)).filter(|rest| !rest.is_empty()) {
        parts.push(part(rest));
    }
    if parts.is_empty() {
        return Err(DocumentError::Part);
    }
    if let Some(start) = parameter(kind, "start") {
        let root = parts.iter().position(|part| part.id == bare(start));
        parts.swap(0, root.unwrap_or(0));
    }
    Ok(parts)
}

/// An identifier without `<>`: some servers leave them out (flexisip), some write them where they do not belong.
#[must_use]
pub fn bare(id: &str) -> &str {
    let id = id.trim_ascii();
    let id = id.strip_prefix('<').unwrap_or(id);
    id.strip_suffix('>').unwrap_or(id)
}

/// The parameter `name` of a media type, without its quotes: Asterisk writes the boundary without.
fn parameter<'a>(kind: &'a str, name: &str) -> Option<&'a str> {
    let (_, mut rest) = kind.split_once(';')?;
    loop {
        let (key, behind) = rest.split_once('=')?;
        let behind = behind.trim_ascii_start();
        let (value, behind) = match behind.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => behind.split_once(';').unwrap_or((behind, "")),
        };
        // What stands before a `;` is a parameter without a value.
        let key = key.as_bytes().rsplit(|byte| *byte == b';').next()?;
        if key.trim_ascii().eq_ignore_ascii_case(name.as_bytes()) {
            return Some(value.trim_ascii_end());
        }
        rest = behind;
    }
}

/// The headers that are read. A part's own Content-Length is not: the boundary says where it ends. Nor is its transfer
/// encoding: base64 is no XML.
const HEADERS: &[&str] = &["content-type", "content-id"];

fn part(raw: &[u8]) -> Part<'_> {
    let mut values = [const { String::new() }; HEADERS.len() + 1];
    let (mut slot, mut at) = (HEADERS.len(), 0);
    for line in raw.split_inclusive(|byte| *byte == b'\n') {
        at += line.len();
        let mut text = core::str::from_utf8(line).unwrap_or_default();
        if line.trim_ascii_end().is_empty() {
            break;
        }
        if !line.starts_with(b" ") && !line.starts_with(b"\t") {
            let (name, value) = text.split_once(':').unwrap_or_default();
            let known = HEADERS.iter().position(|known| known.eq_ignore_ascii_case(name.trim_ascii_end()));
            slot = known.unwrap_or(HEADERS.len());
            text = value;
        }
        if let Some(value) = values.get_mut(slot) {
            value.push_str(text.trim_ascii());
        }
    }
    let [kind, id, _] = values;
    // The line end before a boundary belongs to the boundary.
    let body = raw.get(at..).unwrap_or_default();
    let body = body.strip_suffix(b"\n").map_or(body, |body| body.strip_suffix(b"\r").unwrap_or(body));
    Part { kind, id: bare(&id).to_owned(), body }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: &str =
        "multipart/related; boundary=\"b:1\"; type=\"application/rlmi+xml\"; start=\"<root@x>\"";

    fn parts<'a>(kind: &str, body: &'a str) -> Vec<(String, String, &'a str)> {
        let parts = read(kind, body.as_bytes(), 100).unwrap();
        parts.into_iter().map(|p| (p.kind, p.id, core::str::from_utf8(p.body).unwrap())).collect()
    }

    fn row<'a>(kind: &str, id: &str, body: &'a str) -> (String, String, &'a str) {
        (kind.to_owned(), id.to_owned(), body)
    }

    // 4662-mime-a 4662-mime-c
    #[test]
    fn the_root_comes_first_and_what_is_around_the_parts_is_ignored() {
        let body = "preamble\r\n--b:1\r\nContent-Type: text/plain\r\n\r\none\r\n\r\n--b:1 \t\r\nCONTENT-TYPE:\r\n \
            application/rlmi+xml;\r\n\tcharset=\"UTF-8\"\r\nContent-ID: <root@x>\r\nContent-Transfer-Encoding: Binary\r\n\
            \r\n<list/>\r\n--b:1\r\n\r\nwithout headers\r\n--b:1-- \r\nepilogue\r\n--b:1\r\n\r\nafter the end";
        assert_eq!(
            parts(KIND, body),
            [
                row("application/rlmi+xml;charset=\"UTF-8\"", "root@x", "<list/>"),
                row("text/plain", "", "one\r\n"),
                row("", "", "without headers"),
            ]
        );
        // Without `start`, or with one that names nothing, the first part is the root.
        assert_eq!(parts("a/b;boundary=b:1", body)[0].2, "one\r\n");
        assert_eq!(parts("a/b;boundary=b:1;start=nobody", body)[0].2, "one\r\n");
    }

    // 4662-mime-a
    #[test]
    fn the_boundary_may_stand_without_quotes_and_the_body_begin_with_a_line_end() {
        // Asterisk: five letters, no `start`, a padded Content-Length of its own in each part.
        let body = "\r\n--qwxyz\r\nContent-ID: <a@b>\r\nContent-Type: application/rlmi+xml\r\nContent-Length:   615\r\n\r\n\
            <list/>\r\n--qwxyz\r\nContent-ID: <c@d>\r\nContent-Type: application/pidf+xml\r\nContent-Length:     3\r\n\r\n\
            <presence/>\r\n--qwxyz--\r\n";
        let read = parts("multipart/related;type=\"application/rlmi+xml\";boundary=qwxyz", body);
        assert_eq!(read[0].2, "<list/>");
        assert_eq!(read[1], row("application/pidf+xml", "c@d", "<presence/>"));
        // flexisip: Content-Id and `start` without `<>`.
        let body = body.replace(['<', '>'], "");
        let read = parts("multipart/related;start=c@d;boundary=\"qwxyz\"", &body);
        assert_eq!((read[0].1.as_str(), read[0].2), ("c@d", "presence/"));
    }

    // 4662-mime-a
    #[test]
    fn bare_line_feeds_and_a_missing_last_boundary_are_read_over() {
        let read = parts("a/b; x; boundary = q ;z", "--q\nContent-ID:<1>\n\none\n--qq\n--q-\n--q\n\ntwo");
        assert_eq!(read, [row("", "1", "one\n--qq\n--q-"), row("", "", "two")]);
    }

    #[test]
    fn what_is_no_multipart_is_an_error() {
        let error = |kind, body: &[u8]| read(kind, body, 2).unwrap_err();
        for kind in
            ["multipart/related", "multipart/related;boundary=", "m/r;boundary=\"q", "m/r;type=boundary"]
        {
            assert_eq!(error(kind, b"--\r\n\r\n--"), DocumentError::Part, "{kind}");
        }
        for body in ["", "--q", "--q--", "--q--\r\n--q\r\n\r\nx", "no boundary at all", "\u{0}\u{1}"] {
            assert_eq!(error("m/r;boundary=q;start=a", body.as_bytes()), DocumentError::Part, "{body}");
        }
        assert_eq!(error("m/r;boundary=q", b"--q\n--q\n--q\n--q--"), DocumentError::Limit("parts"));
        assert!(is("Multipart/RELATED ;x", RELATED) && !is("multipart/mixed", RELATED) && !is("", RELATED));
    }

    #[cfg(not(target_arch = "wasm32"))]
    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]

        // 4662-mime-a
        #[test]
        fn reading_undoes_writing(bodies in proptest::collection::vec("[ -~\\n\u{e9}]{0,40}", 1..6), root in 0..6_usize) {
            let mut text = "\r\n".to_owned();
            for (at, body) in bodies.iter().enumerate() {
                text.push_str(&["--q\r\nContent-ID: <", &at.to_string(), ">\r\n\r\n", body, "\r\n"].concat());
            }
            text.push_str("--q--");
            let kind = ["m/r;start=\"<", &root.to_string(), ">\";boundary=q"].concat();
            let mut read = parts(&kind, &text);
            let root = if root < read.len() { root } else { 0 };
            read.swap(0, root);
            let expected: Vec<_> = bodies.iter().enumerate().map(|(at, body)| row("", &at.to_string(), body)).collect();
            proptest::prop_assert_eq!(read, expected);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(
            kind in "(m/r;)?(boundary=\"?q\"?;)?(start=x)?[;=\" a-zé]{0,9}",
            pieces in proptest::collection::vec(proptest::sample::select(vec!["--q", "--", "\r\n", "\n", " ", ":", "é", "Content-Type: a/b", "x"]), 0..30),
        ) {
            let _ = read(&kind, pieces.concat().as_bytes(), 5).map(|parts| assert!((1..=6).contains(&parts.len())));
        }
    }
}
