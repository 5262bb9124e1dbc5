//! The page as presence agent, as JavaScript drives it: questions out, answers and policies in.

use super::page::{Core, Host, Shell};
use super::record::Record;
use crate::agent::{Agent, Audience, Identities, QuestionId};
use crate::event::Decision;
use crate::event::watchers::{Row, Status};
use crate::sip::Uri;
use crate::sip::auth::{Algorithm, Secret};
use js_sys::Promise;
use litemap::LiteMap;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};

#[wasm_bindgen]
extern "C" {
    /// The word for what a watcher gets, or a promise of it.
    #[wasm_bindgen(method)]
    fn authorize(this: &Host, words: &[u32], text: &str) -> JsValue;
}

#[wasm_bindgen]
impl Core {
    /// From now on `uri` gets this: `allow`, `block`, `polite-block` or `ask`. Whether it is remembered: not what cannot be
    /// read, and not what has no room.
    pub fn policy(&self, uri: &str, word: &str) -> bool {
        let (Ok(uri), Some(decision)) = (Uri::parse(uri), Decision::from_word(word)) else { return false };
        self.0.tell(|agent, now| agent.set_policy(&uri, decision, now))
    }

    /// Tells who watches, now and on each change from now on.
    pub fn listen(&self) {
        self.0.tell(|agent, _| Agent::listen(agent));
    }
}

/// Asks what a watcher gets.
pub(super) fn ask(shell: &Rc<Shell>, question: QuestionId, uri: &str, display: Option<&str>) {
    let mut record = Record::default();
    record.text(uri);
    record.optional(display);
    let answer = shell.host.authorize(&record.words, &record.text);
    match answer.dyn_into::<Promise>() {
        Err(word) => settle(shell, question, &word),
        Ok(promise) => {
            let shell = Rc::clone(shell);
            spawn_local(async move {
                settle(&shell, question, &JsFuture::from(promise).await.unwrap_or_default());
                // The host acts on it by its timer: what is thrown there does not get lost.
                shell.hurry();
            });
        }
    }
}

fn settle(shell: &Shell, question: QuestionId, word: &JsValue) {
    let answer = word.as_string().and_then(|word| Decision::from_word(&word));
    shell.tell(|agent, now| agent.answer_question(question, answer, now));
}

/// Who watches, as `src/js/audience.ts` reads it.
pub(super) fn list(record: &mut Record, rows: &[Row]) {
    record.list(rows, |record, row| {
        record.word(row.id.0);
        record.text(&row.uri);
        record.optional(row.display.as_deref());
        record.word(match row.status {
            Status::Pending => 0,
            Status::Active => 1,
            Status::Waiting => 2,
            Status::Terminated => 3,
        });
        record.text(row.cause.as_str());
        record.instant(Some(row.since));
        record.instant(row.expires);
    });
}

/// Adds a field of the options: how watchers are known, by a word or by the secret of each (`name:kind secret`).
pub(super) fn identify(audience: &mut Option<Audience>, value: &str) {
    let audience = audience.get_or_insert_with(|| Audience::new(Identities::Own));
    match value {
        "asserted" => audience.identities = Identities::Asserted,
        "from" => audience.identities = Identities::From,
        _ => {
            if !matches!(audience.identities, Identities::Digest(_)) {
                audience.identities = Identities::Digest(LiteMap::new());
            }
            if let Identities::Digest(known) = &mut audience.identities {
                learn(known, value);
            }
        }
    }
}

/// Adds the secret of somebody: `name:kind secret`, where the kind is empty for a password, else the algorithm of a hash.
/// Nothing is added for what cannot be read, and for an empty text, which only says that there is a list.
pub(super) fn learn(known: &mut LiteMap<String, Secret>, value: &str) {
    let Some((name, secret)) = value.split_once(':') else { return };
    let Some((kind, secret)) = secret.split_once(' ') else { return };
    let secret = secret.to_owned();
    match (Algorithm::from_token(Some(kind)), known.get_mut(name)) {
        _ if kind.is_empty() => drop(known.insert(name.to_owned(), Secret::Password(secret))),
        (Some((algorithm, _)), Some(Secret::Ha1(hashes))) => hashes.push((algorithm, secret)),
        (Some((algorithm, _)), _) => {
            known.insert(name.to_owned(), Secret::Ha1(vec![(algorithm, secret)]));
        }
        (None, _) => {}
    }
}
