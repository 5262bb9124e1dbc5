/** The playground in Chromium, served by the command line: what a person sees when two users publish and watch. */

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch, missing } from "../common/chromium.mjs";
import { freePort } from "../common/port.mjs";
import { serve } from "../common/serve.mjs";
import { until } from "../common/wait.mjs";

let browser;

before(async () => {
  if (!missing) browser = await launch();
});

after(() => browser?.close());

/** A server of the test's own: a publication outlives the tab that made it. */
async function start(t) {
  const server = await serve();
  t.after(() => server.child.kill());
  return server.url;
}

/** Opens a page whose every error fails the test. */
async function open(t, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("console", (message) => {
    // A WebSocket that is refused is logged by the browser itself.
    if (message.type() === "error" && !/WebSocket connection to/.test(message.text()) && !/demo\.json|404/.test(message.text())) {
      problems.push(message.text());
    }
  });
  t.after(async () => {
    await context.close();
    assert.deepEqual(problems, []);
  });
  await page.goto(url);
  return page;
}

const sees = (page, who, whom) => page.getByTestId(`${who}-sees-${whom}`).getByRole("img").getAttribute("aria-label");
const text = (page, testId) => page.getByTestId(testId).innerText();

async function shows(page, who, whom, pattern) {
  let name;
  await until(async () => pattern.test(name = await sees(page, who, whom)), () => `${who} sees "${name}", not ${pattern}`);
}

async function online(page, who) {
  await until(async () => /online/i.test(await text(page, `connection-${who}`)), `${who} is online`);
}

async function publish(page, who, status, note) {
  await page.getByTestId(`status-${who}`).selectOption(status);
  await page.getByTestId(`note-${who}`).fill(note);
  await page.getByTestId(`publish-${who}`).click();
}

test("Alice publishes busy with a note, and Bob's page shows it", { skip: missing }, async (t) => {
  const page = await open(t, await start(t));
  await online(page, "alice");
  await shows(page, "bob", "alice", /offline/i);
  await publish(page, "alice", "busy", "In a <b>meeting</b>");
  await shows(page, "bob", "alice", /busy/i);
  await until(async () => await page.getByTestId("bob-sees-alice").getByText("In a <b>meeting</b>").count() === 1, "the note, as text");
  await page.getByTestId("withdraw-alice").click();
  await shows(page, "bob", "alice", /offline/i);
});

test("who has left is away, if they want it", { skip: missing }, async (t) => {
  const page = await open(t, "about:blank");
  await page.clock.install();
  await page.goto(await start(t));
  await online(page, "alice");
  await publish(page, "alice", "available", "");
  await publish(page, "bob", "available", "");
  await shows(page, "bob", "alice", /available/i);
  const answers = (user) => page.getByTestId("arrow").filter({ hasText: new RegExp(`server to ${user}: 200 OK PUBLISH`) }).count();
  for (const user of ["Alice", "Bob"]) await until(async () => await answers(user) === 1, `${user} knows that what they say is published`);
  await page.getByTestId("auto-away-alice").check();
  // That the user is there is published too: its answer would be late if the clock jumped meanwhile.
  await until(async () => await answers("Alice") === 2, "the server to know that the user is there");
  await page.clock.fastForward("06:00");
  await shows(page, "bob", "alice", /away/i);
  await shows(page, "alice", "bob", /available/i);
  await page.getByTestId("auto-away-alice").uncheck();
  await shows(page, "bob", "alice", /available/i);
});

test("the link is cut and comes back, and the view is right again", { skip: missing }, async (t) => {
  const page = await open(t, await start(t));
  await publish(page, "alice", "busy", "before");
  await shows(page, "bob", "alice", /busy/i);
  await page.getByTestId("cut-bob").click();
  await until(async () => !/online/i.test(await text(page, "connection-bob")), "bob is not online");
  await shows(page, "bob", "alice", /busy.*(last known|stale|old)/i);
  await publish(page, "alice", "away", "after");
  await until(async () => /published/i.test(await text(page, "result-alice")), "alice has published");
  assert.match(await sees(page, "bob", "alice"), /busy/i);
  await page.getByTestId("restore-bob").click();
  await shows(page, "bob", "alice", /away/i);
  assert.doesNotMatch(await sees(page, "bob", "alice"), /last known|stale/i);
  await online(page, "bob");
});

test("a publication made while the link is cut is sent when it is back", { skip: missing }, async (t) => {
  const page = await open(t, await start(t));
  await online(page, "alice");
  await shows(page, "bob", "alice", /./);
  await page.getByTestId("cut-alice").click();
  await publish(page, "alice", "do-not-disturb", "later");
  await page.getByTestId("restore-alice").click();
  await shows(page, "bob", "alice", /do not disturb/i);
});

test("each user in a tab of its own", { skip: missing }, async (t) => {
  const url = await start(t);
  const carol = await open(t, `${url}?user=carol`);
  const dave = await open(t, `${url}?user=dave`);
  assert.equal(await carol.getByTestId("panel-dave").count(), 0);
  await online(dave, "dave");
  await publish(carol, "carol", "on-the-phone", "");
  await shows(dave, "dave", "carol", /on the phone/i);
});

test("the ladder has every message, and its text by click and by key, without secrets", { skip: missing }, async (t) => {
  const page = await open(t, await start(t));
  await online(page, "alice");
  await publish(page, "alice", "busy", "seen on the wire");
  await shows(page, "bob", "alice", /busy/i);
  await page.getByTestId("arrow").filter({ hasText: "NOTIFY" }).last().click();
  await until(async () => /SIP\/2\.0/.test(await text(page, "message")), "the text of a message");
  const publishes = page.getByTestId("arrow").filter({ hasText: /PUBLISH (initial|modify)/i });
  await publishes.last().focus();
  await page.keyboard.press("Enter");
  await until(async () => /^PUBLISH sip:alice@example\.test SIP\/2\.0/.test(await text(page, "message")), "the PUBLISH");
  const message = await text(page, "message");
  assert.match(message, /seen on the wire/);
  assert.doesNotMatch(message, /response="[0-9a-f]{8}|alice-demo/);
});

test("everything can be done by keyboard, and everything has a name", { skip: missing }, async (t) => {
  const page = await open(t, await start(t));
  await online(page, "bob");
  await page.getByTestId("status-bob").focus();
  await page.keyboard.press("b");
  for (const part of ["activity", "note"]) {
    await page.getByTestId(`${part}-bob`).focus();
    await page.keyboard.type(part === "note" ? "by keyboard" : "meeting");
  }
  await page.keyboard.press("Enter");
  await shows(page, "alice", "bob", /busy/i);
  const nameless = await page.evaluate(() => [...document.querySelectorAll("button, input, select, a, [role=region]")]
    .filter((control) => !(control.labels?.length > 0 || control.getAttribute("aria-label") || control.textContent.trim()))
    .map((control) => control.outerHTML));
  assert.deepEqual(nameless, []);
});

test("it fits a phone, and is dark in the dark", { skip: missing }, async (t) => {
  const page = await open(t, await start(t), { viewport: { width: 360, height: 740 }, colorScheme: "dark" });
  await online(page, "alice");
  const { scroll, width } = await page.evaluate(() => ({ scroll: document.documentElement.scrollWidth, width: innerWidth }));
  assert.ok(scroll <= width, `${scroll} px wide on a screen of ${width}`);
  const [background, colour] = await page.evaluate(() => {
    const light = (text) => text.match(/\d+(\.\d+)?/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0);
    return [light(getComputedStyle(document.body).backgroundColor), light(getComputedStyle(document.body).color)];
  });
  assert.ok(background < 200 && colour > 500, `background ${background}, text ${colour}`);
});

test("the server goes away and comes back, and the page recovers by itself", { skip: missing }, async (t) => {
  const port = ["--port", String(await freePort())];
  const own = await serve(...port);
  let { child } = own;
  t.after(() => child.kill());
  const page = await open(t, own.url);
  await publish(page, "alice", "busy", "still here");
  await shows(page, "bob", "alice", /busy/i);
  const ended = new Promise((resolve) => child.on("close", resolve));
  child.kill("SIGKILL");
  await ended;
  await shows(page, "bob", "alice", /busy.*last known/i);
  child = (await serve(...port)).child;
  await shows(page, "bob", "alice", /busy(?!.*last known)/i);
});

test("without demo users the page asks whom to sign in as, and says what is wrong", { skip: missing }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "sip-presence-"));
  t.after(() => rm(folder, { recursive: true }));
  const file = join(folder, "config.json");
  await writeFile(file, JSON.stringify({ domain: "corp.test", users: { erin: "secret" }, rules: { default: "allow" } }));
  const own = await serve("--config", file, "--playground");
  t.after(() => own.child.kill());
  const page = await open(t, own.url);
  const signIn = async (password) => {
    await page.getByRole("textbox", { name: "Server" }).fill(`ws://127.0.0.1:${own.port}/ws`);
    await page.getByLabel("Address").fill("sip:erin@corp.test");
    await page.getByLabel("Password").fill(password);
    await page.getByRole("button", { name: "Sign in" }).click();
  };
  await signIn("wrong");
  await page.getByTestId("publish-erin").click();
  await until(async () => /refused the credentials/i.test(await text(page, "result-erin")), "the failure in words");
  await page.reload();
  await signIn("secret");
  await page.getByTestId("publish-erin").click();
  await until(async () => /published/i.test(await text(page, "result-erin")), "the publication");
});
