/** The main user stories, for browsers other than Chromium: `tests/e2e/` has all that can be tried there. */

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { createAgent } from "sip-presence";
import { startServer } from "sip-presence/server";
import { WebSocket } from "ws";
import { CSP, FILES as ELEMENT, STATUSES } from "../common/element.mjs";
import { addressFor, addressOf, FILES as LIFE, traffic } from "../common/life.mjs";
import { startProxy } from "../common/proxy.mjs";
import { startRelay } from "../common/relay.mjs";
import { serve } from "../common/serve.mjs";
import { serveStatic } from "../common/static.mjs";
import { until } from "../common/wait.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const names = ["watcher", "user0", "user1", "user2"];
const config = {
  domain: "example.test", users: Object.fromEntries(names.map((name) => [name, "pw"])), rules: { default: "allow" }, notifyInterval: 0,
};
const KEY = "sip-presence:session:1:sip:watcher@example.test";
const ENTER = "\uE007";

/** A page that decides who may watch it. */
const WATCHED = `
import { createAgent } from "/pkg/index.js";
const server = new URLSearchParams(location.search).get("server");
const agent = createAgent({
  server, aor: "sip:alice@example.test", credentials: { username: "alice", password: "pw" },
  authorize: () => "ask", identities: "asserted", register: true,
});
globalThis.watched = { agent, watchers: [] };
agent.watchers((watchers) => { watched.watchers = watchers; });
agent.publish({ status: "busy" }).catch(() => {});
`;
const FILES = { ...LIFE, "/watched.html": '<!doctype html><title>watched</title><script type="module" src="/watched.js"></script>', "/watched.js": WATCHED };

const byId = (id) => `[data-testid="${id}"]`;

/** Declares the tests of one browser. */
export function tell(engine) {
  describe(`in ${engine.name}`, { skip: engine.missing }, () => {
    let browser, site;
    before(async () => {
      browser = await engine.launch();
      site = await serveStatic(root, { files: FILES, cache: "no-cache" });
    });
    after(async () => {
      await browser?.close();
      await site?.close();
    });

    async function open(t, url, options) {
      const tab = await browser.open(url, options);
      t.after(() => tab.close().catch(() => {}));
      return tab;
    }

    /** The playground, with a server of the test's own. */
    async function playground(t, ...args) {
      const own = await serve(...args);
      t.after(() => own.child.kill());
      return own;
    }

    const text = (tab, id) => tab.evaluate((selector) => document.querySelector(selector)?.textContent ?? "", byId(id));
    const sees = (tab, who, whom) => tab.evaluate(
      (selector) => document.querySelector(selector)?.shadowRoot.querySelector("[role=img]").getAttribute("aria-label") ?? "", byId(`${who}-sees-${whom}`));
    const online = (tab, who) => until(async () => /online/i.test(await text(tab, `connection-${who}`)), `${who} is online`);

    async function shows(tab, who, whom, pattern) {
      let name;
      await until(async () => pattern.test(name = await sees(tab, who, whom)), () => `${who} sees "${name}", not ${pattern}`);
    }

    async function publish(tab, who, status, note) {
      await tab.evaluate((selector, status) => { document.querySelector(selector).value = status; }, byId(`status-${who}`), status);
      await tab.fill(byId(`note-${who}`), note);
      await tab.click(byId(`publish-${who}`));
    }

    const fresh = (tab, count) => until(() => tab.evaluate(() => globalThis.life?.fresh() ?? 0).then((n) => n === count), `${count} fresh`);

    /** A relay before a server of the test's own, whose address is `upstream`. */
    async function relayFor(t) {
      const server = await startServer(config);
      const relay = await startRelay(server.url, { hold: true });
      t.after(async () => {
        await relay.close();
        await server.close();
      });
      return { ...relay, upstream: server.url };
    }

    /** A page with an agent that knows of all whom it watches, and that has published if it was to. */
    async function openLife(t, relay, more = {}, options = {}) {
      const tab = await open(t, addressFor(site, relay, more), options);
      await fresh(tab, Number(more.watches ?? 1));
      if ("status" in more) await until(() => accepted(relay, "PUBLISH") > 0, "the publication");
      if ("register" in more) await until(() => accepted(relay, "REGISTER") > 0, "the registration");
      return tab;
    }

    const accepted = (relay, method) => traffic(relay).received().filter(({ status, cseq }) => status === 200 && cseq?.endsWith(` ${method}`)).length;
    const live = (relay) => traffic(relay).live();
    const instances = (relay) => traffic(relay).sent("REGISTER").map(({ text, link }) => [link, /\+sip\.instance="<(.+?)>"/.exec(text)?.[1]]);

    /** Another user, who is not in a browser. */
    function otherFor(t, relay) {
      const agent = createAgent({ server: relay.upstream, aor: addressOf("user0"), credentials: { username: "user0", password: "pw" }, webSocket: WebSocket });
      t.after(() => agent.close());
      return agent;
    }

    test("Alice publishes busy with a note, and Bob's page shows it", async (t) => {
      const tab = await open(t, (await playground(t)).url);
      await online(tab, "alice");
      await shows(tab, "bob", "alice", /offline/i);
      await publish(tab, "alice", "busy", "In a <b>meeting</b>");
      await shows(tab, "bob", "alice", /^Alice: busy$/);
      const note = await tab.evaluate((selector) => document.querySelector(selector).shadowRoot.querySelector("[part=note]").innerText, byId("bob-sees-alice"));
      assert.equal(note, "In a <b>meeting</b>");
      await tab.evaluate((selector) => [...document.querySelectorAll(selector)].findLast(({ textContent }) => /PUBLISH/.test(textContent)).focus(), byId("arrow"));
      await tab.press(ENTER);
      await until(async () => /PUBLISH/.test(await text(tab, "message")), "the text of the message");
      await tab.click(byId("withdraw-alice"));
      await shows(tab, "bob", "alice", /offline/i);
    });

    test("the link is cut and comes back, and what was published meanwhile is seen", async (t) => {
      const tab = await open(t, (await playground(t)).url);
      await online(tab, "alice");
      await publish(tab, "alice", "busy", "");
      await shows(tab, "bob", "alice", /busy/i);
      await tab.click(byId("cut-bob"));
      await shows(tab, "bob", "alice", /busy.*last known/i);
      await publish(tab, "alice", "away", "");
      await tab.click(byId("cut-alice"));
      await publish(tab, "alice", "do-not-disturb", "later");
      await tab.click(byId("restore-bob"));
      await tab.click(byId("restore-alice"));
      await shows(tab, "bob", "alice", /do not disturb(?!.*last known)/i);
    });

    test("each user in a tab of its own, and one that nobody sees is told all the same", async (t) => {
      const { url } = await playground(t);
      const dave = await open(t, `${url}?user=dave`, { hidden: !browser.tabsAreSeen });
      const carol = await open(t, `${url}?user=carol`);
      assert.equal(await dave.evaluate(() => document.visibilityState), "hidden");
      await online(dave, "dave");
      await online(carol, "carol");
      await publish(carol, "carol", "on-the-phone", "");
      await shows(dave, "dave", "carol", /on the phone/i);
    });

    test("without demo users the page asks whom to sign in as, and says what is wrong", async (t) => {
      const folder = await mkdtemp(join(tmpdir(), "sip-presence-"));
      t.after(() => rm(folder, { recursive: true }));
      const file = join(folder, "config.json");
      await writeFile(file, JSON.stringify({ domain: "corp.test", users: { erin: "secret" }, rules: { default: "allow" } }));
      const own = await playground(t, "--config", file, "--playground");
      const tab = await open(t, own.url);
      const signIn = async (password) => {
        await tab.fill("[name=server]", `ws://127.0.0.1:${own.port}/ws`);
        await tab.fill("[name=address]", "sip:erin@corp.test");
        await tab.fill("[name=password]", password);
        await tab.click("form button");
        await tab.click(byId("publish-erin"));
      };
      await signIn("wrong");
      await until(async () => /refused the credentials/i.test(await text(tab, "result-erin")), "the failure in words");
      await tab.reload();
      await signIn("secret");
      await until(async () => /published/i.test(await text(tab, "result-erin")), "the publication");
    });

    test("the element has a shape and a word for each status, under a strict policy", async (t) => {
      const pages = await serveStatic(join(root, "pkg"), { csp: CSP, files: ELEMENT });
      t.after(() => pages.close());
      const tab = await open(t, `${pages.url}/test.html`);
      await until(() => tab.evaluate(() => "said" in globalThis), "the element is defined");
      const seen = await tab.evaluate((statuses) => {
        const agent = new FakeAgent();
        const element = add({ uri: "sip:bob@example.com", label: "Bob" }, agent);
        document.body.style.fontKerning = "none";
        const model = document.createElement("span");
        document.body.append(model);
        return statuses.map((status) => {
          agent.show("sip:bob@example.com", { status });
          const label = part(element, "label");
          const word = label.textContent;
          // As wide as the word with a capital letter, so that this can be told.
          model.textContent = word[0].toUpperCase() + word.slice(1);
          const { fill, width } = getComputedStyle(part(element, "icon"));
          return {
            name: said(element), shape: part(element, "icon").querySelector("path").getAttribute("d"), fill, width,
            off: Math.abs(label.getBoundingClientRect().width - model.getBoundingClientRect().width),
          };
        });
      }, STATUSES);
      assert.deepEqual(seen.map(({ name }) => name), ["available", "away", "busy", "do not disturb", "on the phone", "offline", "unknown"].map((word) => `Bob: ${word}`));
      assert.equal(new Set(seen.map(({ shape }) => shape)).size, STATUSES.length);
      assert.ok(seen.every(({ fill, width }) => fill !== "rgb(0, 0, 0)" && Number.parseFloat(width) > 5), JSON.stringify(seen));
      assert.deepEqual(seen.filter(({ off }) => off > 0.5).map(({ name, off }) => [name, off]), [], "the word begins with a capital letter");
      assert.deepEqual(await tab.evaluate(() => violations), []);
    });

    test("a page is dark in the dark, and fits a narrow window", async (t) => {
      const tab = await open(t, (await playground(t)).url);
      await online(tab, "alice");
      await tab.resize(480, 800);
      await until(() => tab.evaluate(() => innerWidth < 520), "narrow");
      const { scroll, width, background, colour, icon } = await tab.evaluate((selector) => {
        const light = (colour) => colour.match(/\d+(\.\d+)?/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0);
        const { backgroundColor, color } = getComputedStyle(document.body);
        return {
          scroll: document.documentElement.scrollWidth, width: innerWidth, background: light(backgroundColor), colour: light(color),
          icon: getComputedStyle(document.querySelector(selector).shadowRoot.querySelector("svg")).getPropertyValue("--colour"),
        };
      }, byId("bob-sees-alice"));
      assert.ok(scroll <= width, `${scroll} px wide in a window of ${width}`);
      assert.ok(background < 200 && colour > 500, `background ${background}, text ${colour}`);
      assert.match(icon, /#868f9b/, "the colour of offline for dark pages");
    });

    test("a page under a strict policy works, and one that may not reach the server is told why", async (t) => {
      const relay = await relayFor(t);
      const policy = (more) => `default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; img-src data:; connect-src 'self' ${more}`;
      const serveWith = async (more) => {
        const strict = await serveStatic(root, { files: FILES, csp: policy(more) });
        t.after(() => strict.close());
        return strict;
      };
      const tab = await open(t, addressFor(await serveWith(relay.url), relay));
      await fresh(tab, 1);
      await tab.goto(addressFor(await serveWith(""), relay));
      const failure = await until(() => tab.evaluate(() => globalThis.life?.failures[0]), "a failure");
      assert.deepEqual([failure.code, failure.source], ["connection-failed", "network"]);
      // A word or a sentence, not what an exception looks like in a console.
      assert.match(failure.reason, /^[^[\]{}]+$/);
    });

    test("a tab that is closed withdraws what it has published, and all else", async (t) => {
      const relay = await relayFor(t);
      const tab = await openLife(t, relay, { watches: 3, register: "", status: "busy" });
      assert.equal(live(relay).size, 3);
      await tab.close();
      await until(() => live(relay).size === 0, () => `${live(relay).size} live subscriptions`);
      const removed = (method) => traffic(relay).sent(method).filter(({ expires }) => expires === "0").length;
      await until(() => removed("PUBLISH") === 1 && removed("REGISTER") === 1, "the publication and the registration to be withdrawn");
      const bob = otherFor(t, relay);
      assert.equal((await bob.fetch(addressOf("watcher"))).status, "offline");
    });

    test("every agent of a tab that is closed withdraws what it has published", async (t) => {
      const relay = await relayFor(t);
      const tab = await openLife(t, relay, { status: "busy" });
      await tab.evaluate(async (server) => {
        const { createAgent } = await import("/pkg/index.js");
        const more = createAgent({ server, aor: "sip:user1@example.test", credentials: { username: "user1", password: "pw" } });
        more.watch("sip:user2@example.test", () => {});
        await more.publish({ status: "busy" });
      }, relay.url);
      await until(() => live(relay).size === 2, () => `${live(relay).size} live subscriptions`);
      await tab.close();
      await until(() => live(relay).size === 0, () => `${live(relay).size} live subscriptions`);
      const bob = otherFor(t, relay);
      for (const name of ["watcher", "user1"]) await until(async () => (await bob.fetch(addressOf(name))).status === "offline", `${name} to be offline`);
    });

    test("a reload keeps the device, takes the publication over, and leaves no subscription behind", async (t) => {
      const relay = await relayFor(t);
      const tab = await openLife(t, relay, { watches: 3, register: "", status: "busy" });
      const old = live(relay);
      await tab.reload();
      await fresh(tab, 3);
      await until(() => [...old].every((callId) => !live(relay).has(callId)), "the end of the old subscriptions");
      assert.equal(live(relay).size, 3);
      assert.equal(new Set(instances(relay).map(([, name]) => name).filter((name) => name !== undefined)).size, 1);
      const [bob, seen] = [otherFor(t, relay), []];
      const unwatch = bob.watch(addressOf("watcher"), (state) => seen.push(state));
      t.after(unwatch);
      await until(() => seen.at(-1).status === "busy", () => `busy; it is ${seen.at(-1).status}`);
      assert.equal(seen.at(-1).presence.tuples.length, 1, "not published twice");
    });

    test("a window that a page opens is a device of its own, and leaves the page's dialogs alone", async (t) => {
      const relay = await relayFor(t);
      const tab = await openLife(t, relay, { watches: 3, register: "" });
      await until(() => tab.evaluate((key) => sessionStorage.getItem(key)?.includes("SUBSCRIBE sip:"), KEY), "the session to be kept");
      const old = live(relay);
      await tab.evaluate((url) => {
        const link = Object.assign(document.createElement("a"), { href: url, target: "_blank", rel: "opener", id: "copy", textContent: "Open" });
        document.body.append(link);
      }, addressFor(site, relay, { watches: 3, register: "" }));
      const copy = await browser.opened(() => tab.click("#copy"));
      await fresh(copy, 3);
      assert.ok(await copy.evaluate((key) => sessionStorage.getItem(key)?.includes("SUBSCRIBE sip:"), KEY), "the session was copied");
      assert.equal(live(relay).size, 6);
      const [first, second] = [0, 1].map((wanted) => instances(relay).find(([link, name]) => link === wanted && name !== undefined)[1]);
      assert.notEqual(first, second);
      await copy.close();
      await until(() => live(relay).size === 3, "the copy to be gone");
      assert.ok([...old].every((callId) => live(relay).has(callId)));
      assert.equal(await tab.evaluate(() => globalThis.life.fresh()), 3);
    });

    test("a page that is left and comes back is right again, and nothing is left over", async (t) => {
      const relay = await relayFor(t);
      const tab = await openLife(t, relay, { watches: 3, register: "", status: "busy" });
      const old = live(relay);
      await tab.evaluate(() => { window.mark = "the same page"; });
      await tab.goto(`${site.url}/other.html`);
      await tab.back();
      // Firefox keeps no page that has a WebSocket, and closes that before the page hears that it is left.
      const mark = await until(() => tab.evaluate(() => globalThis.life && (window.mark ?? "another page")), "the page");
      t.diagnostic(`it was ${mark}`);
      if (mark === "the same page") {
        const said = await tab.evaluate(() => globalThis.life.history);
        assert.ok(said.includes("stale"), "it knew that it did not know");
      }
      await fresh(tab, 3);
      await until(() => [...old].every((callId) => !live(relay).has(callId)), "the end of the old subscriptions");
      assert.equal(live(relay).size, 3);
      await until(() => tab.evaluate(() => globalThis.life.agent.connection.state === "online"), "online");
      const bob = otherFor(t, relay);
      await until(async () => (await bob.fetch(addressOf("watcher"))).status === "busy", "the publication");
    });

    test("a page that is left for another site withdraws what it has published", async (t) => {
      const relay = await relayFor(t);
      const tab = await openLife(t, relay, { watches: 3, register: "", status: "busy" });
      // Firefox closes the WebSocket when the page is left, and hides the page when the other one answers.
      const published = accepted(relay, "PUBLISH");
      const other = createServer(async (_, response) => {
        if (engine.name === "Firefox") await until(() => accepted(relay, "PUBLISH") > published, "another connection");
        response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>other</title>");
      });
      await new Promise((resolve) => { other.listen(0, "127.0.0.1", resolve); });
      t.after(() => { other.close(); });
      await tab.evaluate(() => {
        globalThis.life.agent.addEventListener("connection", ({ detail }) => {
          if (detail.state === "reconnecting") queueMicrotask(() => { localStorage.next ??= globalThis.life.agent.connection.state; });
        });
      });
      await tab.goto(`http://localhost:${other.address().port}/`);
      if (engine.name === "Firefox") {
        const later = await open(t, `${site.url}/other.html`);
        assert.equal(await later.evaluate(() => localStorage.next), "connecting", "without waiting");
      }
      await until(() => live(relay).size === 0, () => `${live(relay).size} live subscriptions`);
      const bob = otherFor(t, relay);
      await until(async () => (await bob.fetch(addressOf("watcher"))).status === "offline", "the publication to be withdrawn");
    });

    test("a page that asks for another one and stays, as for a file to keep, has one connection and what it published", async (t) => {
      const relay = await relayFor(t);
      const tab = await openLife(t, relay, { watches: 3, register: "", status: "busy" });
      let asked = 0;
      const nothing = createServer((_, response) => {
        asked += 1;
        response.writeHead(204).end();
      });
      await new Promise((resolve) => { nothing.listen(0, "127.0.0.1", resolve); });
      t.after(() => { nothing.close(); });
      for (const time of [1, 2]) {
        await tab.evaluate((url) => { location.href = url; }, `http://localhost:${nothing.address().port}/`);
        await until(() => asked === time, "to be asked");
        // Firefox closes the WebSocket, and the agent opens another one.
        if (engine.name === "Firefox") await until(() => relay.pages.length === 1 + time, () => `${relay.pages.length} connections`);
        await fresh(tab, 3);
      }
      assert.equal(await tab.evaluate(() => globalThis.life.agent.connection.state), "online");
      assert.equal(relay.pages.length, engine.name === "Firefox" ? 3 : 1);
      await until(() => relay.pages.filter(({ readyState }) => readyState === WebSocket.OPEN).length === 1, "one open connection");
      assert.equal(live(relay).size, 3);
      const bob = otherFor(t, relay);
      await until(async () => (await bob.fetch(addressOf("watcher"))).status === "busy", "the publication");
    });

    test("a server that refuses is told as a failure, and found again when the network is back", async (t) => {
      const relay = await relayFor(t);
      const tab = await openLife(t, relay, { status: "busy" });
      relay.refuse(true);
      relay.cut();
      await until(() => tab.evaluate(() => globalThis.life.agent.connection.attempt > 1), "attempts");
      const { reason, state } = await tab.evaluate(() => globalThis.life.agent.snapshot("sip:user0@example.test").stale && globalThis.life.agent.connection);
      assert.notEqual(state, "online");
      assert.equal(reason.code, "connection-failed");
      relay.refuse(false);
      await tab.evaluate(() => { dispatchEvent(new Event("online")); });
      await fresh(tab, 1);
    });

    test("who does nothing is away, and who moves the mouse or presses a key is back", async (t) => {
      const relay = await relayFor(t);
      const tab = await openLife(t, relay, { status: "available" });
      const seen = [];
      const unwatch = otherFor(t, relay).watch(addressOf("watcher"), ({ status }) => seen.push(status));
      t.after(unwatch);
      await until(() => seen.at(-1) === "available", "available");
      await tab.evaluate(() => { window.stop = globalThis.life.agent.autoAway({ after: 1000 }); });
      for (const act of [() => tab.move(40, 50), () => tab.press("a")]) {
        await until(() => seen.at(-1) === "away", () => `away; it is ${seen.at(-1)}`);
        const before = seen.length;
        await act();
        await until(() => seen.indexOf("available", before) >= 0, "available again");
      }
    });

    test("what one window decides about a watcher holds in the others", async (t) => {
      const proxy = await startProxy();
      t.after(() => proxy.close());
      const url = `${site.url}/watched.html?${new URLSearchParams({ server: proxy.url })}`;
      const first = await open(t, url);
      await until(() => first.evaluate(() => globalThis.watched?.agent.connection.state === "online"), "online");
      const seen = [];
      const bob = createAgent({
        server: proxy.url, aor: "sip:bob@example.test", credentials: { username: "bob", password: "pw" }, register: true, webSocket: WebSocket,
      });
      t.after(() => bob.close());
      bob.watch("sip:alice@example.test", (state) => seen.push(state));
      await until(() => first.evaluate(() => globalThis.watched.watchers[0]?.status === "pending"), "bob to wait");
      const second = await open(t, url);
      await until(() => second.evaluate(() => globalThis.watched?.agent.connection.state === "online"), "online");
      await second.evaluate(() => globalThis.watched.agent.setPolicy("sip:bob@example.test", "allow"));
      await until(() => seen.some(({ subscription, status }) => subscription.state === "active" && status === "busy"), () => JSON.stringify(seen.at(-1)));
    });
  });
}
