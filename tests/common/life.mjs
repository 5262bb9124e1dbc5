/** A page with an agent that its address describes, and what it says over a relay. */

export const addressOf = (name) => `sip:${name}@example.test`;

const html = (title, more = "") => `<!doctype html><meta charset="utf-8"><title>${title}</title><link rel="icon" href="data:,">${more}`;

/** Opens an agent as the address of the page says. */
const SCRIPT = `
import { createAgent } from "/pkg/index.js";
const ask = new URLSearchParams(location.search);
const count = Number(ask.get("watches") ?? 1);
const agent = createAgent({
  server: ask.get("server"), aor: "sip:watcher@example.test", credentials: { username: "watcher", password: "pw" },
  register: ask.has("register"), expires: Number(ask.get("expires") ?? 3600),
});
const states = new Map();
const history = [];
const failures = [];
if (ask.has("status")) agent.publish({ status: ask.get("status") }).catch(() => {});
agent.addEventListener("error", ({ detail }) => failures.push(detail));
agent.addEventListener("connection", ({ detail }) => history.push(detail.state));
agent.watch(Array.from({ length: count }, (_, n) => "sip:user" + n + "@example.test"), (state, uri) => {
  states.set(uri, state);
  if (uri === "sip:user0@example.test") history.push(state.stale ? "stale" : state.status);
});
globalThis.life = {
  agent, history, states, failures,
  fresh: () => [...states.values()].filter((s) => s.subscription.state === "active" && !s.stale).length,
};
`;

/** The page, its script, and another page without an agent. */
export const FILES = { "/page.html": html("life", '<script type="module" src="/page.js"></script>'), "/page.js": SCRIPT, "/other.html": html("other") };

/** Where the page is whose agent connects through `relay`. */
export function addressFor(site, relay, more = {}) {
  return `${site.url}/page.html?${new URLSearchParams({ server: relay.url, ...more })}`;
}

/** What a message says, in short. */
export const head = (text) => ({
  method: text.split(" ", 1)[0], callId: /^Call-ID: *(\S+)/m.exec(text)?.[1], cseq: /^CSeq: *(.+?)\r$/m.exec(text)?.[1],
  expires: /^Expires: *(\d+)/m.exec(text)?.[1], status: Number(/^SIP\/2\.0 (\d+)/.exec(text)?.[1] ?? 0),
});

/** What crossed a relay until now. */
export function traffic(relay) {
  const all = (wanted) => relay.messages.filter(({ direction }) => direction === wanted).map(({ text, link }) => ({ ...head(text), text, link }));
  return {
    /** The requests of pages. */
    sent: (method) => all("up").filter((message) => message.method === method),
    /** All that the server said. */
    received: () => all("down"),
    /** The Call-IDs of subscriptions that the server has confirmed and not ended. */
    live: () => {
      const calls = new Set();
      for (const { text, method, callId } of all("down")) {
        if (method !== "NOTIFY") continue;
        if (/^Subscription-State: *terminated/mi.test(text)) calls.delete(callId);
        else calls.add(callId);
      }
      return calls;
    },
  };
}
