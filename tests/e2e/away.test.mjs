/** A user who leaves the device and comes back: the page publishes it, another agent watches, the embedded server between them. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { createAgent } from "sip-presence";
import { startServer } from "sip-presence/server";
import { WebSocket } from "ws";
import { bareTab, launch, missing } from "../common/chromium.mjs";
import { startRelay } from "../common/relay.mjs";
import { serveStatic } from "../common/static.mjs";
import { until } from "../common/wait.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const config = { domain: "example.test", users: { alice: "pw", bob: "pw" }, rules: { default: "allow" }, notifyInterval: 0 };
const ALICE = "sip:alice@example.test";
const AFTER = 1500;

const PAGE = `<!doctype html><meta charset="utf-8"><title>away</title><link rel="icon" href="data:,">
<body style="height: 3000px"><input><script type="module">
import { createAgent } from "/pkg/index.js";
const server = new URLSearchParams(location.search).get("server");
const agent = createAgent({ server, aor: "${ALICE}", credentials: { username: "alice", password: "pw" } });
const errors = [];
agent.addEventListener("error", ({ detail }) => errors.push(detail));
Object.assign(globalThis, { agent, errors });
</script>`;

describe("a user who leaves the device and comes back", { skip: missing }, () => {
  let browser, port, server, site, bob;
  before(async () => {
    const probe = createServer().listen(0, "127.0.0.1");
    await once(probe, "listening");
    ({ port } = probe.address());
    await new Promise((resolve) => { probe.close(resolve); });
    browser = await launch({ args: [`--remote-debugging-port=${port}`] });
    server = await startServer(config);
    site = await serveStatic(root, { files: { "/page.html": PAGE } });
    bob = createAgent({ server: server.url, aor: "sip:bob@example.test", credentials: { username: "bob", password: "pw" }, webSocket: WebSocket });
  });
  after(async () => {
    await bob?.close();
    await browser?.close();
    await site?.close();
    await server?.close();
  });

  const addressFor = (url) => `${site.url}/page.html?${new URLSearchParams({ server: url })}`;

  /** A tab of alice's, and what bob sees of her. */
  async function open(t, { prepare, url = server.url } = {}) {
    const context = await browser.newContext();
    const page = await context.newPage();
    await prepare?.(page, context);
    await page.goto(addressFor(url));
    await page.waitForFunction(() => globalThis.agent !== undefined);
    t.after(async () => {
      await page.evaluate(() => globalThis.agent.close());
      await context.close();
    });
    return { page, context, ...watch(t) };
  }

  /** Bob's view. */
  function watch(t) {
    const seen = [];
    t.after(bob.watch(ALICE, (state) => seen.push(state)));
    const last = () => seen.at(-1);
    const sees = (status, more = () => true) =>
      until(() => last().status === status && more(last()), () => `${status}; it is ${JSON.stringify(last())}`, 10_000);
    return { seen, sees, last };
  }

  const inputOf = (state) => state.presence?.persons[0]?.userInput;
  const call = (page, name, ...args) => page.evaluate(([name, args]) => globalThis.agent[name](...args), [name, args]);
  /** Calls `autoAway`; `ends` keeps what it returns. */
  const autoAway = (page, options = { after: AFTER }) => page.evaluate((options) => {
    globalThis.ends ??= [];
    globalThis.ends.push(globalThis.agent.autoAway(options));
  }, options);
  const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

  test("without input they are away, with the time of the last input; with one they are what they were", async (t) => {
    const { page, sees, last } = await open(t);
    await call(page, "publish", { status: "available", note: "At my desk", activities: ["working"] });
    await sees("available");
    assert.equal(inputOf(last()), undefined, "nobody looks");
    await autoAway(page, { after: 4000 });
    await sees("available", (state) => inputOf(state)?.idle === false);
    await page.mouse.move(10, 10);
    const moved = Date.now();
    await sees("away");
    assert.ok(Date.now() - moved >= 3800, "not before its time");
    assert.deepEqual([last().idle, last().note, [...last().activities].sort()], [true, "At my desk", ["away", "working"]]);
    assert.ok(Math.abs(inputOf(last()).lastInput - moved) < 1000, `${inputOf(last()).lastInput} is about ${moved}`);
    await page.mouse.move(20, 20);
    await sees("available", (state) => inputOf(state)?.idle === false);
    assert.deepEqual([last().idle, last().note, last().activities], [false, "At my desk", ["working"]]);
  });

  test("each kind of input brings them back, and what scripts do does not", async (t) => {
    const { page, sees, last } = await open(t);
    await autoAway(page, { after: 1000 });
    await call(page, "publish", { status: "available" });
    const session = await page.context().newCDPSession(page);
    const inputs = {
      pointer: () => page.mouse.move(Math.random() * 100, 30),
      click: () => page.mouse.click(50, 50),
      key: () => page.keyboard.press("Shift"),
      wheel: () => page.mouse.wheel(0, 100),
      touch: () => session.send("Input.synthesizeTapGesture", { x: 50, y: 60, gestureSourceType: "touch" }),
      dictation: () => session.send("Input.insertText", { text: "hello" }),
    };
    for (const [name, act] of Object.entries(inputs)) {
      if (name === "dictation") await page.focus("input");
      await sees("away");
      await act();
      await sees("available").catch((error) => { throw new Error(`${name}: ${error.message}`); });
    }
    await sees("away");
    await page.evaluate(() => {
      for (const type of ["pointermove", "keydown", "input", "visibilitychange"]) document.dispatchEvent(new Event(type, { bubbles: true }));
      scrollTo(0, 500);
    });
    await pause(500);
    assert.equal(last().status, "away");
  });

  test("who is busy stays so, and is told to be idle", async (t) => {
    const { page, sees, seen, last } = await open(t);
    await autoAway(page);
    for (const status of ["busy", "do-not-disturb", "on-the-phone", "offline"]) {
      const before = seen.length;
      await page.mouse.move(Math.random() * 100, 10);
      await call(page, "publish", { status });
      await sees(status, (state) => inputOf(state)?.idle === false);
      await sees(status, (state) => inputOf(state)?.idle === true);
      await page.mouse.move(Math.random() * 100, 10);
      await sees(status, (state) => inputOf(state)?.idle === false);
      assert.ok(seen.slice(before + 1).every((state) => state.status !== "away"), seen.map((state) => state.status).join());
      assert.equal(last().status, status);
    }
  });

  test("what is published or withdrawn meanwhile is what they come back to", async (t) => {
    const { page, sees, seen, last } = await open(t);
    await call(page, "publish", { status: "available", note: "one" });
    await autoAway(page);
    await sees("away", ({ note }) => note === "one");
    await call(page, "publish", { status: "available", note: "two" });
    await sees("away", ({ note }) => note === "two");
    assert.ok(seen.every(({ status, note }) => note !== "two" || status === "away"));
    await page.mouse.move(10, 10);
    await sees("available", ({ note }) => note === "two");
    await sees("away");
    await call(page, "unpublish");
    await sees("offline");
    await page.mouse.move(20, 20);
    await pause(AFTER + 500);
    assert.equal(last().status, "offline", "nothing is published by itself");
    await page.mouse.move(30, 30);
    await call(page, "publish", { status: "available", note: "three" });
    await sees("available", ({ note }) => note === "three");
    await sees("away", ({ note }) => note === "three");
  });

  test("the last call counts, and its end restores what it was", async (t) => {
    const { page, sees, last } = await open(t);
    await call(page, "publish", { status: "available" });
    await autoAway(page, { after: 1_000_000 });
    await autoAway(page);
    await sees("away");
    await page.evaluate(() => globalThis.ends[0]());
    await pause(300);
    assert.equal(last().status, "away", "the first has no say");
    await page.evaluate(() => globalThis.ends[1]());
    await sees("available", (state) => inputOf(state) === undefined);
    const { asOf } = last();
    await page.evaluate(() => globalThis.ends[1]());
    await pause(AFTER + 500);
    assert.deepEqual([last().status, last().asOf], ["available", asOf], "it is over");
    assert.throws(() => bob.autoAway(), /no document/, "Node has no user");
    const refused = (options) => page.evaluate((options) => {
      try {
        return globalThis.agent.autoAway(options);
      } catch (error) {
        return `${error.name} ${error.message}`;
      }
    }, options);
    assert.match(await refused({ after: 300 }), /^TypeError.*after.*1000/, "300 are seconds");
    assert.match(await refused({ afer: 300_000 }), /^TypeError.*afer/);
    for (const none of [300, null]) assert.match(await refused(none), /^TypeError.*autoAway: give an object with after/);
  });

  test("a page that nobody sees has no input, and is used when it is shown", async (t) => {
    const tab = await bareTab(port, addressFor(server.url));
    t.after(() => tab.close());
    const { sees } = watch(t);
    await until(() => tab.evaluate("globalThis.agent !== undefined"), "the agent");
    await tab.evaluate(`agent.autoAway({ after: ${AFTER} }); void agent.publish({ status: "available" })`);
    const front = await bareTab(port, `${site.url}/page.html`);
    await until(() => tab.evaluate("document.visibilityState === 'hidden'"), "hidden");
    await sees("away");
    await front.close();
    await tab.send("Page.bringToFront");
    await until(() => tab.evaluate("document.visibilityState === 'visible'"), "visible");
    await sees("available");
    await tab.evaluate("agent.close()");
  });

  test("where Idle Detection is granted it decides, and a locked screen is away at once", async (t) => {
    const { page, sees, last } = await open(t);
    const session = await page.context().newCDPSession(page);
    const browserSession = await browser.newBrowserCDPSession();
    const { targetInfos } = await browserSession.send("Target.getTargets");
    const { browserContextId } = targetInfos.find(({ url, type }) => type === "page" && url === page.url());
    const grant = (permissions) => browserSession.send("Browser.grantPermissions", { origin: site.url, browserContextId, permissions });
    const override = (isUserActive, isScreenUnlocked) => session.send("Emulation.setIdleOverride", { isUserActive, isScreenUnlocked });
    await call(page, "publish", { status: "available" });
    await override(true, true);
    await autoAway(page);
    await sees("away");
    // Granted later, by a button of the page say: the user works elsewhere on this machine.
    await grant(["idleDetection"]);
    await sees("available");
    await pause(AFTER + 1000);
    assert.equal(last().status, "available", "no input here, and yet not idle");
    const before = Date.now();
    await override(true, false);
    await sees("away");
    assert.ok(inputOf(last()).lastInput >= before - 2000, "who locks it was there");
    await override(true, true);
    await sees("available");
    await override(false, true);
    await sees("away");
    await page.mouse.move(10, 10);
    await override(true, true);
    await sees("available");
    // Taken back: the input in the page counts again.
    await browserSession.send("Browser.resetPermissions", { browserContextId });
    await sees("away");
    await page.mouse.move(20, 20);
    await sees("available");
  });

  test("a machine that slept is judged by its clock", async (t) => {
    const { page, sees, last } = await open(t, { prepare: (page) => page.clock.install() });
    await autoAway(page, {});
    await call(page, "publish", { status: "available" });
    await sees("available");
    await page.clock.fastForward(200_000);
    await pause(500);
    assert.equal(last().status, "available", "five minutes are the default");
    const now = await page.evaluate(() => Date.now());
    await page.clock.fastForward(8 * 3_600_000);
    await sees("away");
    assert.ok(inputOf(last()).lastInput < now - 100_000, "since before it slept");
    await page.mouse.move(10, 10);
    await sees("available");
    // A clock that is set back does not make them present for ever.
    await page.evaluate(() => {
      const { now } = Date;
      Date.now = () => now.call(Date) - 3_600_000;
    });
    await page.clock.fastForward(61_000);
    await page.clock.fastForward(301_000);
    await sees("away");
  });

  test("what could not be published by itself is told, and sent when it can be", async (t) => {
    const relay = await startRelay(server.url);
    t.after(() => relay.close());
    const { page, sees } = await open(t, { url: relay.url });
    await autoAway(page);
    await call(page, "publish", { status: "available" });
    await sees("available");
    const codes = () => page.evaluate(() => globalThis.errors.map(({ code }) => code));
    relay.refuse(true);
    relay.cut();
    await until(async () => (await codes()).join() === "connection-failed", "the failure of what nobody asked for");
    await page.evaluate(() => { globalThis.errors.length = 0; });
    relay.refuse(false);
    await sees("away");
    await call(page, "close");
    await page.mouse.move(10, 10);
    await pause(200);
    assert.deepEqual(await codes(), [], "a closed agent is silent");
  });
});
