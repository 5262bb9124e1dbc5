/** The hook of `sip-presence/react` in React itself, against the package's server. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { createAgent } from "sip-presence";
import { startServer } from "sip-presence/server";
import { WebSocket } from "ws";
import { launch, missing } from "../common/chromium.mjs";
import { serveStatic } from "../common/static.mjs";
import { until } from "../common/wait.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Two people in cards; the test changes what is shown by `show`, and reads `text`, `subscriptions` and `problems`. */
const APP = `
  import { Component, StrictMode, useState } from "react";
  import { createRoot, hydrateRoot } from "react-dom/client";
  import { renderToString } from "react-dom/server";
  import { createAgent } from "sip-presence";
  import { usePresence } from "sip-presence/react";

  const problems = [];
  const subscribes = [];
  const agent = createAgent({
    server: location.hash.slice(1), aor: "sip:alice@example.test", credentials: { username: "alice", password: "pw" },
  });
  agent.addEventListener("trace", ({ detail: { direction, text } }) => {
    if (direction !== "sent" || !text.startsWith("SUBSCRIBE ")) return;
    const [id, expires] = ["Call-ID", "Expires"].map((name) => new RegExp("^" + name + ": (.*)", "m").exec(text)[1]);
    subscribes.push({ id, ends: expires === "0" });
  });
  window.addEventListener("error", ({ message }) => problems.push(message));
  console.error = (...texts) => problems.push(texts.map(String).join(" "));

  function Card({ agent, uri }) {
    const { status, note } = usePresence(agent, uri, {});
    return <p>{uri}: {status}, {note ?? "no note"}</p>;
  }

  class Boundary extends Component {
    state = {};
    static getDerivedStateFromError(error) { return { error }; }
    render() { return this.state.error === undefined ? this.props.children : <p>{this.state.error.name}</p>; }
  }

  let change;
  function App({ first, agent }) {
    const [uris, setUris] = useState(first);
    change = setUris;
    return <Boundary>{uris.map((uri, at) => <Card key={at} agent={agent} uri={uri} />)}</Boundary>;
  }

  const strict = (first, agent) => <StrictMode><App first={first} agent={agent} /></StrictMode>;
  const place = document.body.appendChild(document.createElement("main"));
  window.app = {
    problems, subscribes,
    start: (uris) => createRoot(place).render(strict(uris, agent)),
    hydrate: (uris) => {
      // As a server renders it, that has no agent.
      place.innerHTML = renderToString(strict(uris, undefined));
      const rendered = place.textContent;
      hydrateRoot(place, strict(uris, agent), { onRecoverableError: (error) => problems.push(String(error)) });
      return rendered;
    },
    show: (uris) => change(uris),
    text: () => [...place.querySelectorAll("p")].map((line) => line.textContent),
  };
`;

let server, site, browser, bob;

before(async () => {
  if (missing) return;
  server = await startServer({
    domain: "example.test", users: { alice: "pw", bob: "pw", carol: "pw" }, rules: { default: "allow" }, notifyInterval: 0,
  });
  const { outputFiles: [{ text }] } = await build({
    stdin: { contents: APP, loader: "jsx", resolveDir: root }, bundle: true, format: "esm", write: false, jsx: "automatic",
    // The wasm is beside the script by its path, not by the bundler.
    alias: { "sip-presence": "/pkg/index.js", "sip-presence/react": fileURLToPath(new URL("../../pkg/react.js", import.meta.url)) },
    external: ["/pkg/*"], define: { "process.env.NODE_ENV": '"development"' },
  });
  const page = `<!doctype html><meta charset="utf-8"><title>react</title><link rel="icon" href="data:,">
    <body><script type="module" src="app.js"></script>`;
  site = await serveStatic(root, { files: { "/app.js": text, "/react.html": page } });
  browser = await launch();
  bob = createAgent({ server: server.url, aor: "sip:bob@example.test", credentials: { username: "bob", password: "pw" }, webSocket: WebSocket });
});

after(async () => {
  await bob?.close();
  await browser?.close();
  await site?.close();
  await server?.close();
});

async function open(t) {
  const page = await browser.newPage();
  t.after(() => page.close());
  await page.goto(`${site.url}/react.html#${server.url}`);
  await page.waitForFunction(() => globalThis.app !== undefined);
  return {
    start: (...uris) => page.evaluate((uris) => app.start(uris), uris),
    hydrate: (...uris) => page.evaluate((uris) => app.hydrate(uris), uris),
    show: (...uris) => page.evaluate((uris) => app.show(uris), uris),
    problems: () => page.evaluate(() => app.problems),
    subscribes: () => page.evaluate(() => app.subscribes),
    async shows(...lines) {
      let last;
      await until(async () => (last = await page.evaluate(() => app.text())).join("\n") === lines.join("\n"),
        () => `the page shows ${JSON.stringify(last)} instead of ${JSON.stringify(lines)}`);
    },
  };
}

test("components follow the people they show, share subscriptions, and end them", { skip: missing }, async (t) => {
  await bob.publish({ status: "busy", note: "In a meeting" });
  const page = await open(t);
  await page.start("sip:bob@example.test", "sip:bob@example.test", "sip:carol@example.test");
  const busy = "sip:bob@example.test: busy, In a meeting";
  await page.shows(busy, busy, "sip:carol@example.test: offline, no note");
  assert.equal(new Set((await page.subscribes()).map(({ id }) => id)).size, 2, "one subscription for each person");
  await bob.publish({ status: "available" });
  const available = "sip:bob@example.test: available, no note";
  await page.shows(available, available, "sip:carol@example.test: offline, no note");
  // A component whose address changes watches the other one from then on.
  await page.show("sip:carol@example.test", "sip:bob@example.test");
  await page.shows("sip:carol@example.test: offline, no note", available);
  await page.show("sip:carol@example.test");
  await bob.publish({ status: "away" });
  await page.shows("sip:carol@example.test: offline, no note");
  await until(async () => (await page.subscribes()).some(({ ends }) => ends), "the watch of Bob ends with its last component");
  assert.deepEqual(await page.problems(), []);
});

test("what a server has rendered is taken over", { skip: missing }, async (t) => {
  await bob.publish({ status: "away" });
  const page = await open(t);
  assert.equal(await page.hydrate("sip:bob@example.test"), "sip:bob@example.test: unknown, no note");
  await page.shows("sip:bob@example.test: away, no note");
  assert.deepEqual(await page.problems(), []);
});

test("what is no address reaches the error boundary", { skip: missing }, async (t) => {
  const page = await open(t);
  await page.start("bob");
  await page.shows("TypeError");
  assert.match((await page.problems()).join("\n"), /TypeError/);
});
