/** What stands both in Rust and in TypeScript says the same: numbers, words, and the names of fields and functions. All by text. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const read = (path) => readFileSync(join(root, path), "utf8");
const all = (text, pattern) => [...text.matchAll(pattern)].map(([, found]) => found);
const kebab = (name) => name.replace(/(?<!^)[A-Z]/g, (letter) => `-${letter}`).toLowerCase();
const camel = (name) => name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());

/** What stands in the file between `head` and `end`. */
function part(file, head, end) {
  const text = read(file);
  const start = text.indexOf(head);
  assert.notEqual(start, -1, `${file}: ${head} is nowhere`);
  return text.slice(start + head.length, text.indexOf(end, start + head.length));
}

/** Compares two lists; either is long enough to have been found. */
function same(rust, script, what, least = 2) {
  assert.ok(rust.length >= least && script.length >= least, `${what} is written in another way now, mend this test: ${rust} | ${script}`);
  assert.deepEqual(script, rust, `${what}: on the left TypeScript, on the right Rust`);
}

/** The names of a `const enum`, of a TypeScript list of words, and of the members of an interface. */
const scriptEnum = (file, name) => all(part(file, `const enum ${name} {`, "}"), /(\w+)/g);
const scriptList = (file, head) => all(part(file, head, ";").replace(/^.*?= /s, ""), /"([^"]+)"/g);
const members = (file, head) => all(part(file, head, "\n}"), /^ {2}(?:readonly )?(\w+)[?]?[(:<]/gm);
/** The arms of a `match` that gives numbers, in the order of the numbers. */
const numbered = (file, enumeration) => [...read(file).matchAll(new RegExp(`^ +${enumeration}::(\\w+)(?: \\{[^}]*\\})? => (?:\\{\\s*)?\\(?(\\d+)`, "gm"))]
  .sort(([, , one], [, , other]) => one - other)
  .map(([, name, number], at) => {
    assert.equal(Number(number), at, `${file}: the number of ${enumeration}::${name}`);
    return kebab(name);
  });

test("the numbers of verbs, events and subjects", () => {
  const page = "src/wasm/page.rs";
  const verbs = [...part(page, "pub mod verb {", "\n}").matchAll(/pub const (\w+): u32 = (\d+);/g)];
  verbs.forEach(([, name, number], at) => assert.equal(Number(number), at, name));
  const script = scriptEnum("src/js/core.ts", "Verb");
  same(verbs.map(([, name]) => name), script.map((name) => name.toUpperCase()), "Verb", 10);
  same(all(part(page, "\nenum Kind {", "\n}"), /^ {4}(\w+),$/gm), scriptEnum("src/js/core.ts", "Kind"), "Kind", 8);
  const subjects = scriptEnum("src/js/core.ts", "Subject");
  same(all(part(page, "const SUBJECTS", ";\n").split("= ")[1], /Subject::(\w+)/g), subjects, "Subject");
  assert.equal(all(part("src/js/agent.ts", "const MARKS = [", "]"), /"(.*?)"/g).length, subjects.length, "MARKS");
});

test("the words whose place crosses", () => {
  const [record, script] = ["src/wasm/record.rs", "src/js/record.ts"];
  for (const [enumeration, list] of [
    ["Status", "STATUSES"], ["Watching", "SUBSCRIPTION_STATES"], ["Cause", "CAUSES"], ["FailureSource", "SOURCES"], ["ConnectionState", "CONNECTION_STATES"],
  ]) same(numbered(record, enumeration), scriptList(script, `export const ${list}`), list, 4);
  same(numbered("src/wasm/audience.rs", "Status"), scriptList("src/js/audience.ts", "const STATUSES"), "the states of watchers", 4);
  const words = all(part("src/presence/status.rs", "pub const fn as_str", "\n    }"), /"([a-z-]+)"/g);
  same(words, scriptList(script, "export const STATUSES"), "the words of the status", 7);
});

test("the words of decisions, in the page and in the server", () => {
  const words = all(part("src/event/watchers.rs", "pub const fn as_str", "\n    }"), /"([a-z-]+)"/g).sort();
  for (const [file, head] of [["src/js/types.ts", "export type Policy ="], ["src/js/audience.ts", "const WORDS"]]) same(words, scriptList(file, head).sort(), `${file}: ${head}`);
  const [checked] = all(part("src/js/options.ts", "export function checkPolicy", "\n}"), /\^\(\?:([a-z|-]+)\)\$/g);
  same(words, checked.split("|").sort(), "checkPolicy");
  const decisions = all(part("src/event/watchers.rs", "pub enum Decision {", "\n}"), /^ {4}(\w+),$/gm).map(kebab);
  for (const head of ["export type Decision =", "const DECISIONS"]) same(decisions, scriptList("src/js/server.ts", head), head);
});

test("the fields that go to the core", () => {
  const core = "src/js/core.ts";
  const fields = (name) => all(part("src/wasm/fields.rs", `pub(super) fn ${name}(`, "\n}\n"), /^ +"(\w+)" =>/gm).sort();
  same(fields("config"), members(core, "export interface CoreOptions extends CoreCredentials {").sort(), "CoreOptions", 12);
  same(fields("publication"), members(core, "export interface CorePublication {").sort(), "CorePublication", 5);
  const credentials = all(part("src/wasm/fields.rs", "pub(super) fn credentials(", "\n}\n"), /name == "(\w+)"/g);
  same(credentials, members(core, "export interface CoreCredentials {"), "CoreCredentials");
});

test("the functions that call across", () => {
  /** The names that wasm-bindgen gives: those of the functions after an attribute, or what `js_name` says. */
  const named = (text, pattern) => [...text.matchAll(pattern)].map(([, name, rust]) => name ?? camel(rust));
  const host = ["src/wasm/page.rs", "src/wasm/audience.rs"]
    .flatMap((file) => named(part(file, 'extern "C" {', "\n}"), /#\[wasm_bindgen\(method(?:, js_name = (\w+))?\)\]\n    (?:pub\(super\) )?fn (\w+)/g)).sort();
  same(host, members("src/js/core.ts", "export interface CoreHost {").sort(), "CoreHost", 5);
  const exported = ["src/wasm/page.rs", "src/wasm/audience.rs"]
    .flatMap((file) => named(part(file, "\nimpl Core {", "\n}"), /(?:js_name = (\w+)\)\]\n)? {4}pub fn (\w+)/g)).filter((name) => name !== "new");
  // wasm-bindgen adds `free`.
  same([...exported, "free"].sort(), members("src/js/core.ts", "export interface Core {").sort(), "Core", 8);
});

test("the events of the server, and what the edit of rules can say", () => {
  const kinds = all(read("src/wasm/server.rs"), /\.host\.event\("(\w+)"/g);
  // Of its file the host tells itself.
  same([...kinds, "unsaved"].sort(), [...new Set(all(part("src/js/server.ts", "export type ServerEvent", ";\n\n"), /"(\w+)"/g))].sort(), "ServerEvent", 5);
  const codes = all(part("src/wasm/policy.rs", "pub fn edit_rules", "\n}"), /=> \("(\w+)"/g);
  same(codes, ["overruled", "unreadable"], "edit_rules");
  assert.ok(read("src/js/xcap.ts").includes('code === "overruled"'), "src/js/xcap.ts");
});
