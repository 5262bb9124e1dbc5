/** A user who leaves the device and comes back: the page publishes it, another agent watches, the embedded server between them. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { createAgent } from "sip-presence";
import { startServer } from "sip-presence/server";
import { WebSocket } from "ws";
import { bareTab, debuggingPort, launch, missing } from "../common/chromium.mjs";
import { startRelay } from "../common/relay.mjs";
import { serveStatic } from "../common/static.mjs";
import { until } from "../common/wait.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const config = { domain: "example.test", users: { alice: "pw", bob: "pw" }, rules: { default: "allow" }, notifyInterval: 0 };
const ALICE = "sip:alice@example.test";
/** A minute of the page's own clock, which `leave` lets jump: however slow the machine is, nobody is away before that. */
const AFTER = 60_000;

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
    browser = await launch({ args: ["--remote-debugging-port=0"] });
    port = await debuggingPort(browser);
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

  /** A tab of alice's, and what bob sees of her. `isClockReal`: its time cannot jump. */
  async function open(t, { isClockReal = false, url = server.url } = {}) {
    const context = await browser.newContext();
    const page = await context.newPage();
    if (!isClockReal) await page.clock.install();
    await page.goto(addressFor(url));
    await page.waitForFunction(() => globalThis.agent !== undefined);
    return { page, context, ...watch(t, () => page.evaluate(() => globalThis.agent.close()), () => context.close()) };
  }

  /** Bob's view, until alice's agent is closed by `close`; then her tab by `closeTab`. */
  function watch(t, close, closeTab) {
    const seen = [];
    const unwatch = bob.watch(ALICE, (state) => seen.push(state));
    const last = () => seen.at(-1);
    let at = 0;
    /** The next state that is so, also when it is over already: a slow machine may show bob two at once. */
    const sees = async (status, more = () => true) => {
      const find = () => seen.findIndex((state, index) => index >= at && state.status === status && more(state));
      await until(() => find() >= 0, () => `${status}; it is ${JSON.stringify(last())}`);
      at = find();
      return seen[at];
    };
    t.after(async () => {
      await close();
      // The next test shall not begin with what is left of this one.
      await until(() => last().status === "offline", "alice to be gone");
      unwatch();
      await closeTab();
    });
    return { seen, sees, last };
  }

  const inputOf = (state) => state.presence?.persons[0]?.userInput;
  const call = (page, name, ...args) => page.evaluate(([name, args]) => globalThis.agent[name](...args), [name, args]);
  /** Calls `autoAway`; `ends` keeps what it returns. */
  const autoAway = (page, options = { after: AFTER }) => page.evaluate((options) => {
    globalThis.ends ??= [];
    globalThis.ends.push(globalThis.agent.autoAway(options));
  }, options);
  /** Nobody touches the device for longer than `AFTER`. */
  const leave = (page) => page.clock.fastForward(AFTER + 1000);
  const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

  test("without input they are away, with the time of the last input; with one they are what they were", async (t) => {
    const { page, sees } = await open(t, { isClockReal: true });
    await call(page, "publish", { status: "available", note: "At my desk", activities: ["working"] });
    assert.equal(inputOf(await sees("available")), undefined, "nobody looks");
    await autoAway(page, { after: 4000 });
    await sees("available", (state) => inputOf(state)?.idle === false);
    const before = Date.now();
    await page.mouse.move(10, 10);
    const after = Date.now();
    const away = await sees("away", (state) => inputOf(state).lastInput >= before);
    assert.ok(Date.now() - before >= 4000, "not before its time");
    assert.deepEqual([away.idle, away.note, [...away.activities].sort()], [true, "At my desk", ["away", "working"]]);
    assert.ok(inputOf(away).lastInput <= after, `${inputOf(away).lastInput} is not after ${after}`);
    await page.mouse.move(20, 20);
    const back = await sees("available", (state) => inputOf(state)?.idle === false);
    assert.deepEqual([back.idle, back.note, back.activities], [false, "At my desk", ["working"]]);
  });

  test("each kind of input brings them back, and what scripts do does not", async (t) => {
    const { page, sees, last } = await open(t);
    await autoAway(page);
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
      await leave(page);
      await sees("away");
      await act();
      await sees("available").catch((error) => { throw new Error(`${name}: ${error.message}`); });
    }
    await leave(page);
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
      await leave(page);
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
    await leave(page);
    await sees("away", ({ note }) => note === "one");
    await call(page, "publish", { status: "available", note: "two" });
    await sees("away", ({ note }) => note === "two");
    assert.ok(seen.every(({ status, note }) => note !== "two" || status === "away"));
    await page.mouse.move(10, 10);
    await sees("available", ({ note }) => note === "two");
    await leave(page);
    await sees("away");
    await call(page, "unpublish");
    await sees("offline");
    await page.mouse.move(20, 20);
    await leave(page);
    await pause(500);
    assert.equal(last().status, "offline", "nothing is published by itself");
    await page.mouse.move(30, 30);
    await call(page, "publish", { status: "available", note: "three" });
    await sees("available", ({ note }) => note === "three");
    await leave(page);
    await sees("away", ({ note }) => note === "three");
  });

  test("the last call counts, and its end restores what it was", async (t) => {
    const { page, sees, last } = await open(t);
    await call(page, "publish", { status: "available" });
    await autoAway(page, { after: 1_000_000 });
    await autoAway(page);
    await leave(page);
    await sees("away");
    await page.evaluate(() => globalThis.ends[0]());
    await pause(300);
    assert.equal(last().status, "away", "the first has no say");
    await page.evaluate(() => globalThis.ends[1]());
    const { asOf } = await sees("available", (state) => inputOf(state) === undefined);
    await page.evaluate(() => globalThis.ends[1]());
    await leave(page);
    await pause(500);
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
    await until(() => tab.evaluate("globalThis.agent !== undefined"), "the agent");
    const { sees } = watch(t, () => tab.evaluate("void agent.close()"), () => tab.close());
    await tab.evaluate(`agent.autoAway({ after: 1500 }); void agent.publish({ status: "available" })`);
    const front = await bareTab(port, `${site.url}/page.html`);
    await until(() => tab.evaluate("document.visibilityState === 'hidden'"), "hidden");
    await sees("away");
    await front.close();
    await tab.send("Page.bringToFront");
    await until(() => tab.evaluate("document.visibilityState === 'visible'"), "visible");
    await sees("available");
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
    await leave(page);
    await sees("away");
    // Granted later, by a button of the page say: the user works elsewhere on this machine.
    await grant(["idleDetection"]);
    await sees("available");
    await leave(page);
    await pause(500);
    assert.equal(last().status, "available", "no input here, and yet not idle");
    const before = await page.evaluate(() => Date.now());
    await override(true, false);
    assert.ok(inputOf(await sees("away")).lastInput >= before, "who locks it was there");
    await override(true, true);
    await sees("available");
    await override(false, true);
    await sees("away");
    await page.mouse.move(10, 10);
    await override(true, true);
    await sees("available");
    // Taken back: the input in the page counts again.
    await browserSession.send("Browser.resetPermissions", { browserContextId });
    await leave(page);
    await sees("away");
    await page.mouse.move(20, 20);
    await sees("available");
  });

  test("a machine that slept is judged by its clock", async (t) => {
    const { page, sees, last } = await open(t);
    await autoAway(page, {});
    await call(page, "publish", { status: "available" });
    await sees("available");
    await page.clock.fastForward(200_000);
    await pause(500);
    assert.equal(last().status, "available", "five minutes are the default");
    const now = await page.evaluate(() => Date.now());
    await page.clock.fastForward(8 * 3_600_000);
    assert.ok(inputOf(await sees("away")).lastInput < now - 100_000, "since before it slept");
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
    await leave(page);
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
