/** The life of a page: its tab is closed, reloaded, duplicated, crashes, sleeps, goes into the back/forward cache. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { createAgent } from "sip-presence";
import { startServer } from "sip-presence/server";
import { WebSocket } from "ws";
import { bareTab, debuggingPort, launch, missing } from "../common/chromium.mjs";
import { addressFor, addressOf, FILES, head, traffic } from "../common/life.mjs";
import { startRelay } from "../common/relay.mjs";
import { serveStatic } from "../common/static.mjs";
import { until } from "../common/wait.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const WATCHES = 50;
const names = Array.from({ length: WATCHES }, (_, number) => `user${number}`);
const users = Object.fromEntries(["watcher", ...names].map((name) => [name, "pw"]));
const config = { domain: "example.test", users, rules: { default: "allow" }, notifyInterval: 0 };

describe("the life of a page", { skip: missing }, () => {
  let browser, port, server, site;
  before(async () => {
    // Its default is a browser without back/forward cache.
    browser = await launch({ ignoreDefaultArgs: ["--disable-back-forward-cache"], args: ["--remote-debugging-port=0"] });
    port = await debuggingPort(browser);
    server = await startServer(config);
    site = await serveStatic(root, { files: FILES, cache: "no-cache" });
  });
  after(async () => {
    await browser?.close();
    await site?.close();
    await server?.close();
  });

  /** A tab of its own, with an agent that is fresh. */
  async function open(t, relay, more = {}) {
    const context = await browser.newContext();
    t.after(() => context.close());
    const page = await context.newPage();
    await page.goto(addressFor(site, relay, more));
    await fresh(page, Number(more.watches ?? 1));
    return page;
  }

  const fresh = (page, count) => until(() => page.evaluate(() => globalThis.life?.fresh() ?? 0).then((n) => n === count), `${count} fresh`);

  function publisher(t) {
    const agent = createAgent({ server: server.url, aor: addressOf("user0"), credentials: { username: "user0", password: "pw" }, webSocket: WebSocket });
    t.after(() => agent.close());
    return agent;
  }

  async function relayFor(t, options) {
    const relay = await startRelay(server.url, options);
    t.after(() => relay.close());
    return relay;
  }

  const sent = (relay, method) => traffic(relay).sent(method);
  const received = (relay) => traffic(relay).received();
  const live = (relay) => traffic(relay).live();

  test("closing a tab leaves no live subscription, by what it says and not by its socket", async (t) => {
    const relay = await relayFor(t, { hold: true });
    const page = await open(t, relay, { watches: WATCHES, register: "", status: "busy" });
    await until(() => received(relay).some(({ cseq, status }) => status === 200 && cseq?.endsWith("PUBLISH")), "the publication");
    const calls = live(relay);
    assert.equal(calls.size, WATCHES);
    const before = relay.messages.length;
    await page.close();
    await until(() => relay.pages[0].readyState === 3, "the connection of the tab to end");
    const ends = sent(relay, "SUBSCRIBE").filter(({ expires }) => expires === "0");
    // A browser that is busy drops what it has not sent yet when a tab is closed: no page can do anything about it.
    if (ends.length > 0 && ends.length < WATCHES) {
      assert.ok(ends.every(({ callId }) => calls.has(callId)));
      await until(() => live(relay).size === WATCHES - ends.length, () => `${live(relay).size} live subscriptions`);
      return t.diagnostic(`Chromium sent ${ends.length} of ${WATCHES} messages`);
    }
    assert.deepEqual(new Set(ends.map(({ callId }) => callId)), calls);
    await until(() => live(relay).size === 0, () => `${live(relay).size} live subscriptions`);
    assert.equal(ends.length, WATCHES, "once each");
    const answers = () => relay.messages.slice(before).filter(({ direction }) => direction === "down").map(({ text }) => head(text)).filter(({ status }) => status > 0);
    await until(() => answers().length === WATCHES + 2, "answers");
    const accepted = (method) => answers().filter(({ status, cseq }) => status === 200 && cseq.endsWith(method)).length;
    assert.deepEqual(["SUBSCRIBE", "PUBLISH", "REGISTER"].map(accepted), [WATCHES, 1, 1]);
    // What the server thinks, asked from outside: nobody is told any more.
    const user0 = publisher(t);
    const told = relay.messages.length;
    await user0.publish({ status: "away" });
    await user0.unpublish();
    assert.equal(relay.messages.length, told);
  });

  // 5626-4.1-a 7118-B.1-c
  test("a reload keeps the name of the device and leaves no subscription behind", async (t) => {
    const relay = await relayFor(t, { hold: true });
    const page = await open(t, relay, { watches: 5, register: "", status: "busy" });
    await until(() => received(relay).some(({ cseq, status }) => status === 200 && cseq?.endsWith("PUBLISH")), "the publication");
    const old = live(relay);
    await page.reload();
    await fresh(page, 5);
    await until(() => live(relay).size === 5, () => `${live(relay).size} live subscriptions`);
    assert.ok([...live(relay)].every((callId) => !old.has(callId)));
    const instance = ({ text }) => /\+sip\.instance="<(.+?)>"/.exec(text)?.[1];
    const names = new Set(sent(relay, "REGISTER").map(instance).filter((name) => name !== undefined));
    assert.equal(names.size, 1, [...names].join());
    // The contact of the old load is removed, that of the new one is not.
    const contacts = sent(relay, "REGISTER").map(({ text, expires }) => [/^Contact: *<sip:([^@]+)/m.exec(text)[1], expires]);
    const last = new Map(contacts);
    assert.deepEqual([...last.values()].sort(), ["0", "3600"]);
  });

  test("a tab that crashed ends its old dialogs at the next load, and takes its publication over", async (t) => {
    const relay = await relayFor(t, { hold: true });
    const page = await open(t, relay, { watches: WATCHES, status: "busy" });
    const tags = () => received(relay).filter(({ cseq, link }) => link === 0 && cseq?.endsWith("PUBLISH")).map(({ text }) => /^SIP-ETag: *(\S+)/m.exec(text)?.[1]);
    await until(async () => {
      const kept = await page.evaluate(() => sessionStorage.getItem("sip-presence:session:1:sip:watcher@example.test")) ?? "";
      return kept.match(/SUBSCRIBE sip:/g)?.length === WATCHES && kept.includes(tags().at(-1) ?? "no answer");
    }, "the session to be kept");
    const old = live(relay);
    assert.equal(old.size, WATCHES);
    const cdp = await page.context().newCDPSession(page);
    const crashed = new Promise((resolve) => page.once("crash", resolve));
    cdp.send("Page.crash").catch(() => {});
    await until(crashed, "the crash");
    assert.equal(live(relay).size, WATCHES, "nothing was said");
    // Playwright has given the page up.
    await cdp.send("Page.navigate", { url: addressFor(site, relay, { watches: 1, status: "away" }) });
    await until(() => received(relay).some(({ method, link }) => method === "NOTIFY" && link === 1), "the new subscription");
    await until(() => [...old].every((callId) => !live(relay).has(callId)), () => `${live(relay).size} live subscriptions`);
    assert.equal(live(relay).size, 1);
    const published = () => sent(relay, "PUBLISH").filter(({ link }) => link === 1);
    await until(() => published().length === 2, "the publication, and once more with credentials");
    for (const { text } of published()) assert.ok(text.includes(`SIP-If-Match: ${tags().at(-1)}`), text);
    const answers = () => received(relay).filter(({ cseq, link }) => link === 1 && cseq?.endsWith("PUBLISH")).map(({ status }) => status);
    await until(() => answers().length === 2, "the answer");
    assert.equal(answers()[1], 200, "modified");
  });

  test("a duplicated tab is a device of its own and leaves the dialogs of its original alone", async (t) => {
    const relay = await relayFor(t, { hold: true });
    const page = await open(t, relay, { watches: 3, register: "" });
    const key = "sip-presence:session:1:sip:watcher@example.test";
    await until(() => page.evaluate((key) => sessionStorage.getItem(key)?.includes("SUBSCRIBE sip:"), key), "the session to be kept");
    const old = live(relay);
    // A window that a page opens has a copy of its storage, as a duplicated tab has.
    const [copy] = await Promise.all([
      page.waitForEvent("popup"),
      page.evaluate((url) => { window.open(url); }, addressFor(site, relay, { watches: 3, register: "" })),
    ]);
    await fresh(copy, 3);
    assert.ok(await copy.evaluate((key) => sessionStorage.getItem(key)?.includes("SUBSCRIBE sip:"), key), "it was copied");
    assert.equal(live(relay).size, 6);
    assert.ok([...old].every((callId) => live(relay).has(callId)));
    assert.equal(await page.evaluate(() => globalThis.life.fresh()), 3);
    const instances = sent(relay, "REGISTER").map(({ text, link }) => [link, /\+sip\.instance="<(.+?)>"/.exec(text)[1]]);
    assert.notEqual(new Map(instances).get(0), new Map(instances).get(1));
    // Neither ends the other when it is closed.
    await copy.close();
    await until(() => live(relay).size === 3, "the copy to be gone");
    assert.ok([...old].every((callId) => live(relay).has(callId)));
  });

  test("a page in the back/forward cache is subscribed to nothing, and begins anew when it is back", async (t) => {
    const relay = await relayFor(t, { hold: true });
    const page = await open(t, relay, { watches: 5, register: "", status: "busy" });
    await page.evaluate(() => { globalThis.mark = "the same page"; });
    const old = live(relay);
    await page.goto(`${site.url}/other.html`);
    await until(() => live(relay).size === 0, () => `${live(relay).size} live subscriptions`);
    await page.goBack({ waitUntil: "commit" });
    const reasons = await page.evaluate(() => JSON.stringify(performance.getEntriesByType("navigation")[0].notRestoredReasons));
    assert.equal(await page.evaluate(() => globalThis.mark), "the same page", `it came out of the cache: ${reasons}`);
    const stale = await page.evaluate(() => globalThis.life.history.includes("stale"));
    assert.ok(stale, "it knew that it did not know");
    await fresh(page, 5);
    assert.equal(live(relay).size, 5);
    assert.ok([...live(relay)].every((callId) => !old.has(callId)));
    assert.equal(await page.evaluate(() => globalThis.life.agent.connection.state), "online");
  });

  test("a page that is back ends what another page of its tab left behind", async (t) => {
    const relay = await relayFor(t, { hold: true });
    const page = await open(t, relay, { watches: 2 });
    await page.goto(addressFor(site, relay, { watches: 3 }));
    await fresh(page, 3);
    await until(() => live(relay).size === 3, () => `${live(relay).size} live subscriptions`);
    await page.goBack({ waitUntil: "commit" });
    await fresh(page, 2);
    await until(() => live(relay).size === 2, () => `${live(relay).size} live subscriptions`);
  });

  test("a page that slept past expiry is right again by itself, and says in between that it does not know", async (t) => {
    const relay = await relayFor(t, { hold: true });
    const page = await open(t, relay, { watches: 5 });
    const old = live(relay);
    const user0 = publisher(t);
    await user0.publish({ status: "away" });
    await until(() => page.evaluate(() => globalThis.life.history.includes("away")), "away");
    // The clock of a machine that wakes has jumped; its timers stood still.
    await page.evaluate(() => {
      const { now } = Date;
      Date.now = () => now.call(Date) + 2 * 3_600_000;
      globalThis.life.history.length = 0;
      document.dispatchEvent(new Event("visibilitychange"));
    });
    await until(() => live(relay).size > 5, "new subscriptions");
    await fresh(page, 5);
    assert.ok([...live(relay)].filter((callId) => !old.has(callId)).length === 5, "all anew");
    const history = await page.evaluate(() => globalThis.life.history);
    assert.ok(history.includes("stale"), history.join());
    assert.ok(history.every((word) => ["stale", "away", "online"].includes(word)), history.join());
    await user0.publish({ status: "busy" });
    await until(() => page.evaluate(() => globalThis.life.history.includes("busy")), "busy");
    await user0.unpublish();
  });

  test("a clock that is set back stops nothing", async (t) => {
    const relay = await relayFor(t);
    const page = await open(t, relay, { watches: 2, expires: 12 });
    await page.evaluate(() => {
      const { now } = Date;
      Date.now = () => now.call(Date) - 3_600_000;
      document.dispatchEvent(new Event("visibilitychange"));
    });
    const before = sent(relay, "SUBSCRIBE").length;
    await until(() => sent(relay, "SUBSCRIBE").length >= before + 2, "the refreshes at half of 12 s");
    await fresh(page, 2);
    assert.ok(await page.evaluate(() => !globalThis.life.history.includes("stale")));
  });

  test("a page that is frozen past expiry is right again when it thaws", async (t) => {
    const relay = await relayFor(t);
    const user0 = publisher(t);
    await user0.publish({ status: "away" });
    const tab = await bareTab(port, addressFor(site, relay, { watches: 3, expires: 10 }));
    t.after(() => tab.close());
    const last = () => tab.evaluate("globalThis.life?.history.at(-1)");
    await until(async () => await last() === "away", "away");
    await tab.send("Page.setWebLifecycleState", { state: "frozen" });
    const isEnd = ({ text }) => /^Subscription-State: *terminated;reason=timeout/mi.test(text);
    await until(() => received(relay).filter(isEnd).length === 3, "the server to give the subscriptions up", 60_000);
    await user0.publish({ status: "busy" });
    const since = relay.messages.slice(relay.messages.findIndex(isEnd));
    assert.deepEqual(since.filter(({ direction, text }) => direction === "up" && text.startsWith("SUBSCRIBE ")), [], "it was asleep");
    assert.equal(await last(), "away");
    await tab.send("Page.setWebLifecycleState", { state: "active" });
    await until(async () => await last() === "busy", "busy");
    await until(async () => await tab.evaluate("globalThis.life.fresh()") === 3, "3 fresh");
    const history = await tab.evaluate("globalThis.life.history.slice(globalThis.life.history.indexOf('away') + 1).join()");
    assert.match(history, /stale/, "it said that it did not know");
    await user0.unpublish();
  });

  test("a page notices that the network is back", async (t) => {
    const relay = await relayFor(t);
    const page = await open(t, relay, { watches: 3 });
    relay.refuse(true);
    relay.cut();
    await until(() => page.evaluate(() => globalThis.life.fresh()).then((n) => n === 0), "stale");
    // In one turn of the page, so that no wait can end in between.
    const online = (attempt) => page.evaluate((attempt) => {
      const { connection } = globalThis.life.agent;
      if (connection.state !== "reconnecting" || connection.attempt < attempt) return undefined;
      dispatchEvent(new Event("online"));
      return globalThis.life.agent.connection.state;
    }, attempt);
    // Until the waits are long.
    assert.equal(await until(() => online(3), "three attempts", 60_000), "connecting", "at once");
    await until(() => page.evaluate(() => globalThis.life.agent.connection.attempt).then((n) => n >= 4), "the fourth attempt");
    relay.refuse(false);
    await online(4);
    await fresh(page, 3);
  });
});
