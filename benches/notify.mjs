// How long a NOTIFY takes from the WebSocket to the callback, beside what other libraries need to read its headers.
// `node benches/notify.mjs`: needs a build. Ratios of one run are what counts; the machine's speed drifts.
import { createRequire } from "node:module";
import { createAgent } from "sip-presence";
import { Parser } from "sip.js/lib/core/messages/parser.js";

const JsSIP = createRequire(import.meta.url)("jssip/lib/Parser.js");
const MESSAGES = 2000;
const ROUNDS = 7;

/** A WebSocket whose other end is this program. */
class Pipe {
  static latest;
  readyState = 1;
  protocol = "sip";
  constructor() {
    Pipe.latest = this;
    queueMicrotask(() => this.onopen?.());
  }
  send(text) { this.sent = text; }
  close() {}
}

function header(text, name) {
  return new RegExp(`^${name}: (.*)\r$`, "m").exec(text)[1];
}

function notify(subscribe, number) {
  const busy = number % 2 === 0;
  const body = `<?xml version="1.0" encoding="UTF-8"?>
<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid" entity="sip:bob@example.com">
  <tuple id="tdesk"><status><basic>open</basic></status><contact priority="0.8">sip:bob@192.0.2.7:5060;transport=ws</contact><note>At the desk &amp; working, no ${number}</note><timestamp>2026-01-01T00:00:00Z</timestamp></tuple>
  <tuple id="tphone"><status><basic>${busy ? "open" : "closed"}</basic></status><contact priority="0.2">tel:+15551234567</contact></tuple>
  <dm:person id="pbob"><rpid:activities>${busy ? "<rpid:meeting/>" : "<rpid:away/>"}</rpid:activities><dm:note>Gr\u00fc\u00dfe ${number}</dm:note><dm:timestamp>2026-01-01T00:00:00Z</dm:timestamp></dm:person>
</presence>
`;
  return [
    `NOTIFY ${/<(.*)>/.exec(header(subscribe, "Contact"))[1]} SIP/2.0`,
    `Via: SIP/2.0/WSS proxy.example.com;branch=z9hG4bKproxy${number}`,
    `Via: SIP/2.0/TCP pa.example.com:5060;branch=z9hG4bKpa${number};received=192.0.2.1`,
    "Record-Route: <sip:proxy.example.com;transport=ws;lr>",
    "Max-Forwards: 69",
    `From: <sip:bob@example.com>;tag=notifier`,
    `To: ${header(subscribe, "From")}`,
    `Call-ID: ${header(subscribe, "Call-ID")}`,
    `CSeq: ${number + 1} NOTIFY`,
    "Contact: <sip:pa.example.com:5060;transport=tcp>",
    "Event: presence",
    "Subscription-State: active;expires=3599",
    "Allow-Events: presence",
    "User-Agent: bench",
    "Content-Type: application/pidf+xml",
    `Content-Length: ${Buffer.byteLength(body)}`,
    "",
    body,
  ].join("\r\n");
}

const agent = createAgent({ server: "wss://example.com/", aor: "sip:alice@example.com", webSocket: Pipe });
let calls = 0;
let last;
agent.watch("sip:bob@example.com", (state) => {
  calls++;
  last = state;
});
while (Pipe.latest?.sent === undefined) await new Promise((resolve) => setTimeout(resolve, 1));
const subscribe = Pipe.latest.sent;

let number = 0;
const batch = () => Array.from({ length: MESSAGES }, () => notify(subscribe, ++number));
const quiet = { error() {}, warn() {}, log() {}, debug() {} };
const ua = { logger: quiet };

/** Microseconds of CPU for each message. */
function measure(texts, act) {
  const start = process.cpuUsage();
  for (const text of texts) act(text);
  const { user, system } = process.cpuUsage(start);
  return (user + system) / texts.length;
}

const cases = {
  "sip-presence: NOTIFY to callback, 200 OK sent": (text) => Pipe.latest.onmessage({ data: text }),
  "JSON.parse of the same state": (() => {
    let json;
    return () => JSON.parse(json ??= JSON.stringify(last));
  })(),
  "SIP.js: headers only": (text) => Parser.parseMessage(text, quiet),
  "JsSIP: headers only": (text) => JsSIP.parseMessage(text, ua),
};
const times = Object.fromEntries(Object.keys(cases).map((name) => [name, []]));
for (let round = 0; round < ROUNDS; round++) {
  for (const [name, act] of Object.entries(cases)) {
    const texts = batch();
    const before = calls;
    times[name].push(measure(name.startsWith("SIP.js") ? texts.slice(0, 200) : texts, act));
    if (name.startsWith("sip-presence") && calls - before !== MESSAGES) throw new Error(`${calls - before} calls`);
  }
}
if (!Pipe.latest.sent.startsWith("SIP/2.0 200")) throw new Error(Pipe.latest.sent);
const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];
const ours = median(times[Object.keys(cases)[0]]);
for (const [name, list] of Object.entries(times)) {
  console.log(`${name.padEnd(48)}${median(list).toFixed(1).padStart(9)} µs${(median(list) / ours).toFixed(2).padStart(9)} of ours`);
}
await agent.close();
