// What the presence server needs to tell a change to many watchers, without sockets: PUBLISH in, a NOTIFY for each
// watcher out, and its 200 OK in. `node benches/server.mjs`: needs a build. The time for one watcher should not depend on
// how many there are; the clients' own work is in it.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { initSync, ServerCore } from "../pkg/wasm/server/sip_presence.js";

const REALM = "example.test";
const PRESENTITY = `sip:alice@${REALM}`;
const CHANGES = 40;

initSync({ module: readFileSync(new URL("../pkg/wasm/server/sip_presence_bg.wasm", import.meta.url)) });
const encoder = new TextEncoder();
const hash = (text) => createHash("sha256").update(text).digest("hex");
const rows = (message, name) => message.match(new RegExp(`^${name}: .*\r\n`, "gm")).join("");

/** A server whose clients are connections of this program: what it sends them is kept by connection. */
class Bench {
  inbox = new Map();
  nonces = new Map();
  sent = 0;

  constructor(users) {
    const config = {
      domain: REALM, users: Object.fromEntries(users.map((user) => [user, "secret"])), algorithms: ["SHA-256"],
      rules: { default: "allow" }, notifyInterval: 0,
    };
    const close = (connection, code, reason) => { throw new Error(`closed ${code} ${reason}`); };
    const send = (connection, text) => this.inbox.get(connection).push(text);
    this.core = new ServerCore(JSON.stringify(config), { send, close, sendBinary: close, event() {}, arm() {} });
  }

  connect(connection) {
    this.inbox.set(connection, []);
    this.core.connected(connection);
  }

  tell(connection, text) {
    this.core.message(connection, encoder.encode(text));
  }

  /** Sends a request as `user`, with credentials as soon as there is a nonce, and gives the 200. */
  request(connection, user, method, headers, body = "") {
    for (let attempt = 0; attempt < 2; attempt++) {
      const inbox = this.inbox.get(connection);
      this.sent += 1;
      this.tell(connection, [
        `${method} ${PRESENTITY} SIP/2.0`, `Via: SIP/2.0/WS client.invalid;branch=z9hG4bK${this.sent}`,
        `From: <sip:${user}@${REALM}>;tag=from${connection}`, `To: <${PRESENTITY}>`, `Call-ID: ${method}${connection}`,
        `CSeq: ${this.sent} ${method}`, "Contact: <sip:client@client.invalid;transport=ws>", "Max-Forwards: 70", "Event: presence",
        "Expires: 3600", ...headers, ...this.#authorization(connection, user, method), `Content-Length: ${Buffer.byteLength(body)}`,
        "", body,
      ].join("\r\n"));
      const at = inbox.findIndex((text) => text.startsWith("SIP/2.0 "));
      const [response] = inbox.splice(at, 1);
      if (response.startsWith("SIP/2.0 200 ")) return response;
      const nonce = /nonce="([^"]*)"/.exec(response)?.[1];
      if (nonce === undefined) throw new Error(response);
      this.nonces.set(connection, { nonce, count: 0 });
    }
    throw new Error(`${user} is refused`);
  }

  #authorization(connection, user, method) {
    const known = this.nonces.get(connection);
    if (known === undefined) return [];
    const count = (++known.count).toString(16).padStart(8, "0");
    const secret = hash(`${user}:${REALM}:secret`);
    const response = hash(`${secret}:${known.nonce}:${count}:client:auth:${hash(`${method}:${PRESENTITY}`)}`);
    return [`Authorization: Digest username="${user}", realm="${REALM}", nonce="${known.nonce}", uri="${PRESENTITY}", ` +
      `response="${response}", algorithm=SHA-256, cnonce="client", qop=auth, nc=${count}`];
  }

  /** Answers the NOTIFYs of a connection. */
  answer(connection) {
    const notifies = this.inbox.get(connection).splice(0).filter((text) => text.startsWith("NOTIFY "));
    for (const text of notifies) {
      const copied = ["Via", "From", "To", "Call-ID", "CSeq"].map((name) => rows(text, name)).join("");
      this.tell(connection, `SIP/2.0 200 OK\r\n${copied}Content-Length: 0\r\n\r\n`);
    }
    return notifies.length;
  }
}

const pidf = (number) => `<?xml version="1.0" encoding="UTF-8"?>
<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid" entity="${PRESENTITY}">
  <tuple id="t1"><status><basic>${number % 2 === 0 ? "open" : "closed"}</basic></status><contact priority="0.8">${PRESENTITY}</contact><note>Number ${number}</note></tuple>
  <dm:person id="p1"><rpid:activities><rpid:meeting/></rpid:activities></dm:person>
</presence>
`;

/** Median microseconds for one watcher of a change, with `count` watchers. */
function measure(count) {
  const watchers = Array.from({ length: count }, (_, at) => at + 1);
  const bench = new Bench(["alice", ...watchers.map((watcher) => `watcher${watcher}`)]);
  bench.connect(0);
  for (const watcher of watchers) {
    bench.connect(watcher);
    bench.request(watcher, `watcher${watcher}`, "SUBSCRIBE", ["Accept: application/pidf+xml"]);
    bench.answer(watcher);
  }
  let condition = [];
  const times = [];
  for (let number = 0; number < CHANGES; number++) {
    const start = performance.now();
    const response = bench.request(0, "alice", "PUBLISH", ["Content-Type: application/pidf+xml", ...condition], pidf(number));
    const told = watchers.reduce((sum, watcher) => sum + bench.answer(watcher), 0);
    times.push((performance.now() - start) * 1000 / count);
    if (told !== count) throw new Error(`${told} of ${count} watchers were told`);
    condition = [`SIP-If-Match: ${/^SIP-ETag: (.*)\r$/m.exec(response)[1]}`];
  }
  return times.sort((a, b) => a - b)[CHANGES / 2];
}

measure(100);
const few = measure(100);
for (const count of [100, 1000, 5000]) {
  const time = count === 100 ? few : measure(count);
  console.log(`${String(count).padStart(5)} watchers: ${time.toFixed(1).padStart(6)} µs for each ${(time / few).toFixed(2).padStart(8)} of 100's`);
}
