//! What `src/js/audience.ts` and `src/js/xcap.ts` ask of the core: the spelling of an address, the edit of a ruleset, and
//! digest for HTTP. Nothing here has a state.

use super::clock::Clock;
use super::fields::credentials;
use crate::event::watchers::Decision;
use crate::presence::pres_rules::{self, EditError, Handling};
use crate::sip::Uri;
use crate::sip::auth::{Algorithm, Challenge, DigestCredentials, Protected};
use wasm_bindgen::prelude::*;

/// The one spelling of an address under which its policy is filed; nothing for what cannot be read.
#[wasm_bindgen(js_name = canonicalAddress)]
#[must_use]
pub fn canonical_address(uri: &str) -> Option<String> {
    Uri::parse(uri).ok().map(|uri| uri.canonical())
}

/// Changes a ruleset: see [`pres_rules::edit`]. `decision` is a word of [`Decision`]. Gives "" and the new text, or
/// `overruled` and the id of the rule, or `unreadable` and why.
#[wasm_bindgen(js_name = editRules)]
#[must_use]
pub fn edit_rules(text: &str, identity: &str, decision: &str) -> Vec<String> {
    let handling = match Decision::from_word(decision) {
        Some(Decision::Allow) => Handling::Allow,
        Some(Decision::PoliteBlock) => Handling::PoliteBlock,
        Some(Decision::Confirm) => Handling::Confirm,
        Some(Decision::Block) | None => Handling::Block,
    };
    let (code, detail) = match pres_rules::edit(text, identity, handling, Clock::default().now()) {
        Ok(text) => ("", text),
        Err(EditError::Overruled(id)) => ("overruled", id),
        Err(EditError::Document(error)) => ("unreadable", error.to_string()),
    };
    vec![code.to_owned(), detail]
}

/// The digest challenges in a WWW-Authenticate of HTTP: the realm of the first, `stale` or "", and the algorithms of all.
#[wasm_bindgen(js_name = readChallenge)]
#[must_use]
pub fn read_challenge(header: &str) -> Option<Vec<String>> {
    let challenges = digest(header);
    let first = challenges.first()?;
    let mut read = vec![first.realm.clone(), if first.stale { "stale" } else { "" }.to_owned()];
    let algorithms = challenges.iter().filter_map(|c| Algorithm::from_token(c.algorithm.as_deref()));
    read.extend(algorithms.map(|(algorithm, _)| algorithm.as_str().to_owned()));
    Some(read)
}

/// The Authorization that answers the first challenge in `header` that `user` can answer: fields, see [`credentials`].
/// `count` says how often the nonce has been used, this time included (RFC 7616 §3.4).
#[wasm_bindgen(js_name = answerChallenge)]
#[must_use]
pub fn answer_challenge(
    header: &str,
    user: &str,
    method: &str,
    uri: &str,
    body: &str,
    cnonce: &str,
    count: u32,
) -> Option<String> {
    let (username, secret) = credentials(user)?;
    let request = Protected { method, uri, body: body.as_bytes() };
    let challenges = digest(header);
    let mut answers = challenges
        .iter()
        .filter_map(|c| DigestCredentials::answer(c, &username, &secret, request, cnonce, count));
    answers.next().map(|answer| answer.to_string())
}

fn digest(header: &str) -> Vec<Challenge> {
    let mut challenges = Challenge::parse_all(header);
    challenges.retain(|c| c.scheme == "digest" && Algorithm::from_token(c.algorithm.as_deref()).is_some());
    challenges
}
