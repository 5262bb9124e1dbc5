/** What a page sees of a presence document, and that its TypeScript types say the same. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { createAgent } from "sip-presence";
import { answering } from "../common/answering.mjs";
import { until } from "../common/wait.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const BOB = "sip:bob@example.test";

/** An agent that has read `document`, and the state that its page got from it. */
async function open(t, document, options) {
  const agent = createAgent({
    server: "wss://server.test", aor: "sip:alice@example.test", webSocket: answering(document), full: options !== undefined,
  });
  t.after(() => agent.close());
  let state;
  agent.watch(BOB, (latest) => { state = latest; }, options);
  await until(() => state?.presence !== undefined, "the document is there");
  return { agent, state };
}

/** The state that a page gets from `document`. */
const read = async (t, document, options) => (await open(t, document, options)).state;

const note = `<r:note xml:lang="en">n</r:note>`;
const tokens = (name, value) => `<r:${name} from="2020-01-01T00:00:00Z" until="2100-01-01T00:00:00Z">${note}<r:${value}/><r:other>o</r:other><x:own/></r:${name}>`;
const attributes = `${tokens("activities", "meeting")}<r:class>c</r:class>${tokens("mood", "happy")}
  <r:place-is><r:audio><r:noisy/></r:audio></r:place-is><r:place-type><r:other>ship</r:other></r:place-type>
  ${tokens("privacy", "audio")}${tokens("relationship", "self")}${tokens("service-class", "electronic")}${tokens("sphere", "work")}
  <r:status-icon>https://x/i</r:status-icon><r:time-offset>120</r:time-offset>
  <t:timed-status from="2020-01-01T00:00:00Z"><t:basic>closed</t:basic><t:note>later</t:note></t:timed-status>
  <c:card>https://x/c</c:card><c:display-name xml:lang="de">Robert</c:display-name><c:homepage>https://x/h</c:homepage>
  <c:icon>https://x/i</c:icon><c:map>https://x/m</c:map><c:sound>https://x/s</c:sound>`;
const rest = `<r:user-input last-input="2020-01-01T00:00:00Z">idle</r:user-input><x:own xml:lang="en">text</x:own>`;
const lists = ["actor", "class", "duplex", "event-packages", "extensions", "methods", "priority", "mobility"]
  .map((name) => `<k:${name}><k:supported><k:yes/></k:supported><k:notsupported><k:no/></k:notsupported></k:${name}>`).join("");
const texts = ["application", "audio", "automata", "control", "data", "isfocus", "message", "text", "type", "video"]
  .map((name) => `<k:${name}>true</k:${name}>`).join("");
const capabilities = `<k:servcaps>${lists}${texts}<k:description xml:lang="en">d</k:description>
  <k:languages><k:supported><k:l>en</k:l></k:supported></k:languages><k:schemes><k:supported><k:s>sip</k:s></k:supported></k:schemes></k:servcaps>`;
const everything = `<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model"
  xmlns:r="urn:ietf:params:xml:ns:pidf:rpid" xmlns:t="urn:ietf:params:xml:ns:pidf:timed-status" xmlns:c="urn:ietf:params:xml:ns:pidf:cipid"
  xmlns:k="urn:ietf:params:xml:ns:pidf:caps" xmlns:x="urn:example:own" entity="${BOB}">
  <tuple id="t1"><status><basic>open</basic><d:digium_presence xmlns:d="http://www.digium.com" type="away" subtype="s">Lunch</d:digium_presence></status>
    ${attributes}${capabilities}<dm:deviceID>urn:x:1</dm:deviceID>${rest}<contact priority="0.8">sip:bob@x</contact><note>n</note>
    <timestamp>2020-01-01T00:00:00Z</timestamp></tuple><note>whole</note>
  <dm:person id="p1">${attributes}${rest}<dm:note xml:lang="en">n</dm:note><dm:timestamp>2020-01-01T00:00:00Z</dm:timestamp></dm:person>
  <dm:device id="d1">${rest}<dm:deviceID>urn:x:1</dm:deviceID><dm:note>n</dm:note><dm:timestamp>2020-01-01T00:00:00Z</dm:timestamp></dm:device>
  <x:own>text</x:own></presence>`;

test("a document with everything in it is plain frozen data", async (t) => {
  // 4480-3.2-a 4480-6-a 4480-3.13-a 4482-3.2-a 5196-4.1-a
  const { presence } = await read(t, everything);
  const [tuple] = presence.tuples;
  const [person] = presence.persons;
  const [start, end] = [Date.UTC(2020, 0, 1), Date.UTC(2100, 0, 1)];
  assert.deepEqual(person.activities, [
    { name: "meeting", from: start, until: end, note: { text: "n", lang: "en" } },
    { name: "other", text: "o", from: start, until: end, note: { text: "n", lang: "en" } },
    { name: "own", namespace: "urn:example:own", from: start, until: end, note: { text: "n", lang: "en" } },
  ]);
  assert.deepEqual(person.mood, [{
    values: [{ name: "happy" }, { name: "other", text: "o" }, { name: "own", namespace: "urn:example:own" }],
    from: start, until: end, notes: [{ text: "n", lang: "en" }],
  }]);
  assert.deepEqual(person.placeIs, [{ values: [{ name: "audio", text: "noisy" }] }]);
  assert.deepEqual(person.timeOffset, [{ text: "120" }]);
  assert.deepEqual(person.displayName, [{ text: "Robert", lang: "de" }]);
  assert.deepEqual(tuple.timedStatus, [{ basic: "closed", from: start, notes: [{ text: "later" }] }]);
  assert.deepEqual(tuple.digiumPresence, [{ values: [{ name: "away", text: "s" }], text: "Lunch" }]);
  assert.deepEqual(tuple.capabilities.find(({ name }) => name === "methods"), { name: "methods", supported: ["yes"], notSupported: ["no"] });
  assert.deepEqual(tuple.capabilities.find(({ name }) => name === "audio"), { name: "audio", text: "true" });
  assert.equal(tuple.capabilities.length, 21);
  assert.deepEqual([tuple.deviceIds, presence.devices[0].deviceIds], [["urn:x:1"], ["urn:x:1"]]);
  assert.deepEqual(presence.extensions, [{ namespace: "urn:example:own", name: "own", text: "text" }]);
  const visit = (value) => {
    if (typeof value !== "object") return;
    assert.ok(Object.isFrozen(value), JSON.stringify(value));
    Object.values(value).forEach(visit);
  };
  visit(presence);
});

test("the text of the document, and what was wrong in it, are there on demand", async (t) => {
  const text = `<presence xmlns="urn:ietf:params:xml:ns:pidf"><tuple id="a"><status><basic>open</basic></status><note>R & B</note></tuple></presence>`;
  const { agent, state } = await open(t, text);
  assert.equal(state.status, "available");
  assert.equal(agent.document(BOB), text);
  assert.deepEqual(agent.explain(BOB), {
    status: "available", rule: "open", element: "a",
    warnings: ["the XML is not well-formed and was repaired", "entity is missing"],
  });
  assert.equal(agent.document("sip:carol@example.test"), undefined);
  assert.throws(() => agent.document("carol"), TypeError);
});

const calls = `<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="0" state="full" entity="${BOB}">
  <dialog id="d1" call-id="c1" local-tag="l" remote-tag="r" direction="recipient"><state>confirmed</state>
    <local><identity display="Bob">${BOB}</identity><target uri="sip:bob@desk"/></local>
    <remote><identity display="Carol">sip:carol@example.test</identity></remote></dialog>
  <dialog id="d2"><state>early</state></dialog></dialog-info>`;

test("calls are plain frozen data, and a busy lamp", async (t) => {
  // 4235-4-b
  const { agent, state } = await open(t, calls, { package: "dialog" });
  assert.equal(state.status, "on-the-phone");
  const nobody = { identities: [] };
  assert.deepEqual(state.dialogs, [
    {
      id: "d1", state: "confirmed", direction: "recipient", callId: "c1", localTag: "l", remoteTag: "r",
      local: { identities: [{ uri: BOB, displayName: "Bob" }], target: "sip:bob@desk" },
      remote: { identities: [{ uri: "sip:carol@example.test", displayName: "Carol" }] },
    },
    { id: "d2", state: "early", local: nobody, remote: nobody },
  ]);
  assert.ok(Object.isFrozen(state.dialogs) && Object.isFrozen(state.dialogs[0].remote.identities[0]));
  assert.equal(agent.snapshot(BOB, { package: "dialog" }), state);
  assert.equal(agent.snapshot(BOB).status, "unknown", "presence is another matter");
  assert.equal(agent.explain(BOB, { package: "dialog" }).rule, "on-the-phone");
  assert.equal(agent.document(BOB, { package: "dialog" }), calls);
  for await (const first of agent.changes(BOB, { package: "dialog" })) {
    assert.equal(first, state);
    break;
  }
  await agent.close();
  assert.equal(agent.explain(BOB, { package: "dialog" }).rule, "on-the-phone", "also of a closed agent");
});

const watcherinfo = `<watcherinfo xmlns="urn:ietf:params:xml:ns:watcherinfo" version="0" state="full">
  <watcher-list resource="sip:alice@example.test" package="presence">
    <watcher id="w1" status="active" event="subscribe" display-name="Bob" duration-subscribed="60" expiration="3540">${BOB}</watcher>
    <watcher id="w2" status="pending" event="subscribe">sip:carol@example.test</watcher>
    <watcher id="w3" status="terminated" event="timeout">sip:dave@example.test</watcher>
  </watcher-list></watcherinfo>`;

test("who watches is asked of the server where the page is no presence agent", async (t) => {
  // 3858-3-i 3858-6-a
  const agent = createAgent({
    server: "wss://server.test", aor: "sip:alice@example.test", webSocket: answering(watcherinfo), full: true,
  });
  t.after(() => agent.close());
  const lists = [];
  const before = Date.now();
  const end = agent.watchers((watchers) => lists.push(watchers));
  assert.deepEqual(lists, [[]], "at once what is known");
  await until(() => lists.length > 1, "the watchers");
  const [bob, carol] = lists[1];
  assert.equal(lists[1].length, 2, "who is gone is not told");
  const readAt = bob.since + 60_000;
  assert.ok(before <= readAt && readAt <= Date.now(), JSON.stringify(bob));
  assert.equal(bob.expires, readAt + 3_540_000);
  const { since, expires, ...rest } = bob;
  assert.deepEqual(rest, { id: "w1", uri: BOB, displayName: "Bob", status: "active", event: "subscribe" });
  assert.deepEqual(carol, { id: "w2", uri: "sip:carol@example.test", status: "pending", event: "subscribe" });
  assert.ok(Object.isFrozen(lists[1]) && Object.isFrozen(bob));
  end();
  assert.throws(() => agent.watchers(), TypeError);
});

test("a package that is wrong, or that the module has not, is a wrong argument", async () => {
  const agent = createAgent({ server: "wss://server.test", aor: "sip:alice@example.test", webSocket: answering("") });
  const ask = (options) => () => agent.watch(BOB, () => {}, options);
  assert.throws(ask({ package: "message-summary" }), { name: "TypeError", message: /package: give "presence" or "dialog", not "message-summary"/ });
  assert.throws(ask({ package: "dialog" }), { name: "TypeError", message: /full: true/ });
  assert.throws(ask({ pakage: "dialog" }), { name: "TypeError", message: /pakage: there is no such option; give package/ });
  assert.throws(ask("dialog"), { name: "TypeError", message: /options of a watch: give an object with package/ });
  assert.throws(() => agent.changes(BOB, { signl: undefined }), { name: "TypeError", message: /signl: there is no such option; give package, signal/ });
  assert.throws(() => agent.changes(BOB, 5), TypeError);
  assert.throws(() => agent.changes(BOB, { package: "dialog" }), { name: "TypeError", message: /full: true/ });
  assert.throws(ask(null), TypeError);
  for (const uri of [undefined, null, 5, {}]) {
    assert.throws(() => agent.watch(uri, () => {}), { name: "TypeError", message: /uri: give an address/ });
  }
  assert.throws(() => agent.snapshot(BOB, { package: "dialog" }), TypeError);
  assert.throws(() => agent.fetch(BOB, { package: "dialog" }), TypeError);
  assert.throws(() => agent.watchers(() => {}), { name: "TypeError", message: /full: true/ });
  await agent.close();
});

test("the names of the attributes are those of the core, in its order", () => {
  const source = readFileSync(join(root, "src", "presence", "vocabulary.rs"), "utf8");
  const table = /const ATTRIBUTES[^=]*= &\[(.*?)\n\];/s.exec(source)[1];
  const names = [...table.matchAll(/"([a-z_-]+)", Shape|cipid\("([a-z-]+)"\)/g)].map(([, first, second]) => first ?? second);
  const camel = (name) => name.replace(/[-_]([a-z])/g, (_, letter) => letter.toUpperCase());
  assert.equal(names.length, 40);
  const record = readFileSync(join(root, "src", "js", "record.ts"), "utf8");
  const list = (name) => [...new RegExp(`const ${name}[^=]*= \\[(.*?)\\]`, "s").exec(record)[1].matchAll(/"([^"]+)"/g)].map(([, word]) => word);
  assert.deepEqual(list("ATTRIBUTES"), names.slice(0, 19).map(camel));
  assert.deepEqual(list("CAPABILITIES"), names.slice(19));
});

test("the types agree with the data: each property has a type, and each type a property", async (t) => {
  const { presence } = await read(t, everything);
  const state = { ...await read(t, calls, { package: "dialog" }), presence };
  const folder = mkdtempSync(join(tmpdir(), "sip-presence-types-"));
  try {
    const file = join(folder, "state.ts");
    const types = JSON.stringify(join(root, "pkg", "index.js"));
    writeFileSync(file, `import type { PresenceState } from ${types};\nexport const state: PresenceState = ${JSON.stringify(state)};\n`);
    const tsc = join(root, "node_modules", ".bin", "tsc");
    const check = () => execFileSync(tsc, ["--noEmit", "--strict", "--target", "es2022", "--module", "nodenext", "--skipLibCheck", "--ignoreConfig", file],
      { cwd: root, encoding: "utf8" });
    assert.equal(check(), "");
    // A property without a type is found.
    const wrong = JSON.stringify(state).replace('"placeIs"', '"placeWas"');
    writeFileSync(file, `import type { PresenceState } from ${types};\nexport const state: PresenceState = ${wrong};\n`);
    assert.throws(check, ({ stdout }) => stdout.includes("placeWas"));
  } finally {
    rmSync(folder, { recursive: true });
  }
  const source = readFileSync(join(root, "src", "js", "types.ts"), "utf8");
  const parts = ["Note", "AttributeValue", "Activity", "PresenceAttribute", "Capability", "PresenceAttributes", "Extension",
    "UserInput", "Tuple", "Person", "Device", "Presence", "Dialog", "Participant", "Identity"];
  const declared = new Set(parts.flatMap((part) => {
    const body = new RegExp(`export interface ${part}(?: extends [^{]*)? \\{\n(.*?)\n\\}`, "s").exec(source)[1];
    return [...body.matchAll(/readonly (\w+)\??:/g)].map(([, name]) => name);
  }));
  const seen = new Set();
  const collect = (value) => {
    if (Array.isArray(value)) value.forEach(collect);
    else if (typeof value === "object") for (const [name, inner] of Object.entries(value)) { seen.add(name); collect(inner); }
  };
  collect([state.presence, state.dialogs]);
  assert.deepEqual([...declared].filter((name) => !seen.has(name)), []);
});
