//! The direction of dependencies: which module of `src/` may use which, what must not be mentioned below `wasm`, and
//! how long a file may be. Each fault is a sentence with file and line.
//!
//! It reads text, not syntax: a path is what follows `crate::` or a row of `super::`. Comments, strings and the test
//! module at the end of a file do not count.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

/// What each module may use besides itself. `wasm` and the root of the crate may use everything.
const LAYERS: &[(&str, &[&str])] = &[
    ("time", &[]),
    ("decimal", &[]),
    ("pieces", &[]),
    ("random", &[]),
    ("sip", &["decimal", "pieces", "time"]),
    ("presence", &["decimal", "pieces", "time"]),
    ("transaction", &["sip", "time"]),
    ("dialog", &["sip"]),
    ("event", &["dialog", "transaction", "sip", "random", "decimal", "time"]),
    ("agent", &["event", "dialog", "transaction", "presence", "sip", "random", "decimal", "pieces", "time"]),
    ("server", &["event", "dialog", "transaction", "presence", "sip", "random", "time"]),
];

/// The core has no clock, no JavaScript, no random order and nothing that waits.
const ONLY_IN_WASM: &[&str] = &[
    "wasm_bindgen",
    "wasm_bindgen_futures",
    "js_sys",
    "web_sys",
    "std::time",
    "HashMap",
    "HashSet",
    "async",
];

const MOST_LINES: usize = 800;

#[test]
fn every_dependency_points_down() {
    let sources = files_under("src", &["rs"]);
    assert!(sources.len() > 40, "{} files: is this the right folder?", sources.len());
    let faults: Vec<String> = sources.iter().flat_map(|(path, text)| faults(path, text)).collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn no_file_is_too_long() {
    let code = ["rs", "ts", "js", "mjs", "html", "css"];
    let faults: Vec<String> = ["src", "tests", "www"]
        .into_iter()
        .flat_map(|folder| files_under(folder, &code))
        .filter_map(|(path, text)| too_long(&path, &text))
        .collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// What is wrong with the file `path` (from the root of the repository).
fn faults(path: &str, text: &str) -> Vec<String> {
    let place = module_path(path);
    let layer = place.first().copied().unwrap_or_default();
    if layer == "wasm" {
        return Vec::new();
    }
    let code = code_of(text);
    let line = |at: usize| code[..at].matches('\n').count() + 1;
    let mut faults = Vec::new();
    for word in ONLY_IN_WASM {
        for at in words(&code, word) {
            faults.push(format!("{path}:{}: only src/wasm may mention {word}", line(at)));
        }
    }
    if layer.is_empty() {
        return faults;
    }
    let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
        faults.push(format!(
            "{path}:1: the module {layer} has no layer: say in tests/layers.rs what it may use"
        ));
        return faults;
    };
    for (at, used) in dependencies(&code, &place) {
        if used != layer && !allowed.contains(&used.as_str()) {
            faults.push(format!("{path}:{}: {layer} may not use {used}", line(at)));
        }
    }
    faults
}

fn too_long(path: &str, text: &str) -> Option<String> {
    let lines = text.lines().count();
    (lines > MOST_LINES).then(|| format!("{path}:{lines}: a file has at most {MOST_LINES} lines"))
}

/// The modules around the code of a file: `src/event/mod.rs` and `src/event.rs` are `event`.
fn module_path(path: &str) -> Vec<&str> {
    let path = path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    path.split('/').filter(|name| *name != "lib").collect()
}

/// `text` with comments and the insides of strings blanked, and without the test module at its end. Offsets and lines
/// are those of the text.
fn code_of(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod ").unwrap_or(text.len());
    let mut code = String::with_capacity(end);
    for line in text[..end].split_inclusive('\n') {
        let mut in_string = false;
        let mut in_comment = false;
        let mut before = ' ';
        for (at, c) in line.char_indices() {
            in_comment |= !in_string && line[at..].starts_with("//");
            let quote = c == '"' && before != '\\' && before != '\'' && !in_comment;
            in_string ^= quote;
            let hidden = (in_string || in_comment) && c != '\n';
            code.extend(core::iter::repeat_n(
                if hidden { ' ' } else { c },
                if hidden { c.len_utf8() } else { 1 },
            ));
            before = if before == '\\' { ' ' } else { c };
        }
    }
    code
}

/// Where `word` stands in `code` as a whole word.
fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let in_a_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).map(|(at, _)| at).filter(move |at| {
        !code[..*at].ends_with(in_a_word) && !code[at + word.len()..].starts_with(in_a_word)
    })
}

/// The modules at the root of the crate that `code` inside `place` names, and where.
fn dependencies(code: &str, place: &[&str]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for at in words(code, "crate") {
        if let Some(rest) = code[at + "crate".len()..].strip_prefix("::") {
            found.extend(first_names(rest).into_iter().map(|name| (at, name)));
        }
    }
    for at in words(code, "super").filter(|at| !code[..*at].ends_with("super::")) {
        let mut rest = &code[at..];
        let mut outside = place;
        while let Some(inner) = rest.strip_prefix("super::") {
            rest = inner;
            outside = &outside[..outside.len().saturating_sub(1)];
        }
        if outside.is_empty() {
            found.extend(first_names(rest).into_iter().map(|name| (at, name)));
        }
    }
    found.sort();
    found
}

/// The first name of a path, or of each path in a group in braces.
fn first_names(path: &str) -> Vec<String> {
    let Some(group) = path.strip_prefix('{') else {
        return vec![path.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()];
    };
    let mut names = Vec::new();
    let mut depth = 0_usize;
    let mut start = 0;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                names.push(group[start..at].trim().split([':', ' ']).next().unwrap_or_default().to_owned());
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// The files below a folder of the repository whose names end so, with their text.
fn files_under(folder: &str, extensions: &[&str]) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join(folder)];
    let mut found: Vec<PathBuf> = Vec::new();
    while let Some(folder) = folders.pop() {
        // A folder that is not there has no faults.
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            let ends_so = path.extension().is_some_and(|e| extensions.iter().any(|wanted| e == *wanted));
            if path.is_dir() && !path.ends_with("node_modules") {
                folders.push(path);
            } else if ends_so {
                found.push(path);
            }
        }
    }
    found.sort();
    let relative = |path: &Path| path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
    found.iter().map(|path| (relative(path), fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn each_kind_of_fault_is_found_and_named() {
    for (path, text, fault) in [
        (
            "src/sip/uri.rs",
            "use crate::time;\nuse crate::event::Backoff;",
            "src/sip/uri.rs:2: sip may not use event",
        ),
        ("src/presence/model.rs", "fn f() { crate::sip::x() }", ":1: presence may not use sip"),
        ("src/transaction.rs", "use super::dialog::Dialog;", ":1: transaction may not use dialog"),
        ("src/dialog.rs", "\n\nuse crate::time::Instant;", ":3: dialog may not use time"),
        ("src/event/mod.rs", "use super::presence;", ":1: event may not use presence"),
        ("src/event/subscriber.rs", "use super::super::presence;", ":1: event may not use presence"),
        (
            "src/agent/watch.rs",
            "use crate::{\n    time,\n    server::{Server, Rule},\n};",
            "agent may not use server",
        ),
        ("src/server/mod.rs", "use crate::{sip, agent};", ":1: server may not use agent"),
        ("src/random.rs", "use crate::wasm::seed;", ":1: random may not use wasm"),
        (
            "src/agent/mod.rs",
            "let s = \"\"; use wasm_bindgen::JsValue;",
            "only src/wasm may mention wasm_bindgen",
        ),
        ("src/time.rs", "/// A clock.\nuse std::time::Instant;", ":2: only src/wasm may mention std::time"),
        ("src/server/mod.rs", "x: HashMap<u8, u8>,", "only src/wasm may mention HashMap"),
        ("src/lib.rs", "use std::collections::HashSet;", "src/lib.rs:1: only src/wasm may mention HashSet"),
        ("src/agent/mod.rs", "pub async fn watch() {}", "only src/wasm may mention async"),
        ("src/media.rs", "", "src/media.rs:1: the module media has no layer"),
    ] {
        let found = faults(path, text);
        assert_eq!(found.len(), 1, "{path} {text}: {found:?}");
        assert!(found[0].contains(fault), "{}", found[0]);
    }
    let long = "\n".repeat(MOST_LINES + 1);
    assert!(too_long("www/app.js", &long).unwrap().starts_with("www/app.js:801: "));
    assert_eq!(too_long("www/app.js", &long[1..]), None);
}

#[test]
fn what_is_allowed_is_no_fault() {
    for (path, text) in [
        (
            "src/sip/uri/compare.rs",
            "use super::{Scheme, Uri};\nuse super::super::headers;\nuse crate::sip::Name;",
        ),
        ("src/event/publisher.rs", "use crate::{dialog, random::Random, sip::{CSeq, Uri}, time};"),
        (
            "src/agent/mod.rs",
            "use crate::presence::Status; // crate::server\n/// HashMap, async, [`crate::wasm`]\n",
        ),
        ("src/agent/mod.rs", "let text = \"async // \\\" HashMap\"; let quote = '\"'; asynchronous();"),
        ("src/wasm/mod.rs", "use crate::{agent, server}; use wasm_bindgen::prelude::*; async fn f() {}"),
        ("src/lib.rs", "pub mod wasm;"),
        ("src/sip/mod.rs", "fn f() {}\n\n#[cfg(test)]\nmod tests {\n    use crate::event;\n}\n"),
    ] {
        assert_eq!(faults(path, text), Vec::<String>::new(), "{path} {text}");
    }
}
