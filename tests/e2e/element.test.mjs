/** The element alone, on a page with a strict Content-Security-Policy, its agent a fake. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, beforeEach, test } from "node:test";
import { fileURLToPath } from "node:url";
import { launch, missing } from "../common/chromium.mjs";
import { CSP, FILES, STATUSES } from "../common/element.mjs";
import { serveStatic } from "../common/static.mjs";
import { until } from "../common/wait.mjs";

const pkg = new URL("../../pkg/", import.meta.url);

let site;
let browser;
let page;

before(async () => {
  if (missing) return;
  site = await serveStatic(fileURLToPath(pkg), { csp: CSP, files: FILES });
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await site?.close();
});

beforeEach(async () => {
  if (missing) return;
  await page?.close();
  page = await browser.newPage({ locale: "en-GB", timezoneId: "Europe/Berlin" });
  await page.goto(`${site.url}/test.html`);
  await until(() => page.evaluate(() => "said" in globalThis), "the element is defined");
});

/** A test that needs the browser. */
function browserTest(name, run) {
  test(name, { skip: missing }, run);
}

test("importing the element in Node does nothing", async () => {
  const globals = Object.getOwnPropertyNames(globalThis);
  const { SipPresenceElement } = await import(new URL("element.js", pkg));
  const defined = await import(new URL("define.js", pkg));
  assert.equal(typeof SipPresenceElement, "function");
  assert.equal(defined.SipPresenceElement, SipPresenceElement, "both entries share one class");
  assert.deepEqual(Object.getOwnPropertyNames(globalThis), globals);
});

browserTest("the class without its registration changes nothing in a page", async () => {
  await page.route("**/alone.html", (route) => route.fulfill({ contentType: "text/html", body: "<!doctype html><title>alone</title>" }));
  await page.goto(`${site.url}/alone.html`);
  const registered = await page.evaluate(async () => {
    const { SipPresenceElement } = await import("./element.js");
    return [typeof SipPresenceElement, customElements.get("sip-presence") !== undefined];
  });
  assert.deepEqual(registered, ["function", false]);
});

browserTest("without an agent a person is unknown, never offline", async () => {
  await page.evaluate(() => add({ uri: "sip:bob@example.com" }));
  assert.equal(await page.getByRole("img", { name: "bob: unknown", exact: true }).count(), 1);
  assert.equal(await page.evaluate(() => part(document.querySelector("sip-presence"), "label").textContent), "unknown");
});

browserTest("each status has its own word, its own shape, and a name with both person and status", async () => {
  const seen = await page.evaluate((statuses) => {
    const agent = new FakeAgent();
    const element = add({ uri: "sip:bob@example.com", label: "Bob" }, agent);
    return statuses.map((status) => {
      agent.show("sip:bob@example.com", { status });
      return {
        name: said(element), word: part(element, "label").textContent,
        shape: part(element, "icon").querySelector("path").getAttribute("d"),
      };
    });
  }, STATUSES);
  const words = ["available", "away", "busy", "do not disturb", "on the phone", "offline", "unknown"];
  assert.deepEqual(seen.map(({ word }) => word), words);
  assert.deepEqual(seen.map(({ name }) => name), words.map((word) => `Bob: ${word}`));
  assert.equal(new Set(seen.map(({ shape }) => shape)).size, STATUSES.length);
});

browserTest("the browser's accessibility tree has one image with the name and nothing else to say", async () => {
  await page.evaluate(() => {
    const agent = new FakeAgent();
    add({ uri: "sip:bob@example.com", label: "Bob" }, agent);
    agent.show("sip:bob@example.com", { status: "busy" });
  });
  const session = await page.context().newCDPSession(page);
  const { nodes } = await session.send("Accessibility.getFullAXTree");
  const shown = nodes.filter(({ ignored, role }) => !ignored && !["RootWebArea", "generic", "none"].includes(role.value));
  assert.deepEqual(shown.map(({ role, name, description }) => [role.value, name.value, description?.value ?? ""]), [
    ["image", "Bob: busy", ""],
  ]);
});

browserTest("calls are shown where the package says so, and a ring in words", async () => {
  const seen = await page.evaluate(() => {
    const agent = new FakeAgent();
    const element = add({ uri: "sip:bob@example.com", package: "dialog" }, agent);
    const of = () => [...agent.watches].map((watch) => watch.of);
    const calls = of();
    agent.show("sip:bob@example.com", { status: "available", activities: ["ringing"], dialogs: [] });
    const ringing = said(element);
    agent.show("sip:bob@example.com", { status: "on-the-phone", activities: ["on-the-phone"], dialogs: [] });
    const busy = said(element);
    element.removeAttribute("package");
    return { calls, ringing, busy, after: of() };
  });
  assert.deepEqual(seen, {
    calls: ["dialog"], ringing: "bob: available, ringing", busy: "bob: on the phone", after: ["presence"],
  });
});

browserTest("with forced colours all shapes have the system's colour and still differ", async () => {
  await page.emulateMedia({ forcedColors: "active" });
  const pictures = [];
  const fills = new Set();
  for (const status of STATUSES) {
    fills.add(await page.evaluate((status) => {
      document.body.replaceChildren();
      const agent = new FakeAgent();
      const element = add({ uri: "sip:bob@example.com", compact: "" }, agent);
      agent.show("sip:bob@example.com", { status });
      return getComputedStyle(part(element, "icon")).fill;
    }, status));
    pictures.push((await page.locator("sip-presence").screenshot()).toString("base64"));
  }
  assert.equal(fills.size, 1, "one colour for all");
  assert.equal(new Set(pictures).size, STATUSES.length, "no two look the same");
});

browserTest("the colours have a contrast of 3:1 on white and on near-black, whichever the user prefers", async () => {
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    for (const status of STATUSES) {
      const fill = await page.evaluate((status) => {
        const agent = new FakeAgent();
        const element = add({ uri: "sip:bob@example.com" }, agent);
        agent.show("sip:bob@example.com", { status });
        return getComputedStyle(part(element, "icon")).fill;
      }, status);
      const light = luminance(fill.match(/\d+/g).map(Number));
      const onWhite = 1.05 / (light + 0.05);
      const onDark = (light + 0.05) / (luminance([18, 18, 18]) + 0.05);
      assert.ok(onWhite >= 3 && onDark >= 3, `${status}, ${colorScheme}: ${fill} has ${onWhite} and ${onDark}`);
    }
  }
});

browserTest("at any size the middle of the shape is at that of the word, and of the text around", async () => {
  const seen = await page.evaluate(() => ["ltr", "rtl"].flatMap((dir) => ["", "8px", "16px", "32px", "64px"].map((size) => {
    const line = document.createElement("div");
    line.dir = dir;
    line.style.setProperty("--sip-presence-size", size);
    const before = document.createElement("span");
    before.textContent = "Text";
    const element = add({ uri: "sip:bob@example.com" });
    line.append(before, element);
    document.body.append(line);
    const middle = (one) => {
      const { top, bottom } = one.getBoundingClientRect();
      return (top + bottom) / 2;
    };
    const inside = [line, element].every((box) => {
      const [outer, icon] = [box, part(element, "icon")].map((one) => one.getBoundingClientRect());
      return icon.top >= outer.top - 1 && icon.bottom <= outer.bottom + 1;
    });
    const word = middle(part(element, "label"));
    return { dir, size, icon: middle(part(element, "icon")) - word, text: middle(before) - word, inside };
  })));
  for (const { dir, size, icon, text, inside } of seen) {
    assert.ok(Math.abs(icon) <= 1.5 && Math.abs(text) <= 0.5, `${dir} ${size}: the shape is ${icon} px off, the text ${text} px`);
    assert.ok(inside, `${dir} ${size}: the line has room for the shape`);
  }
});

browserTest("a second copy of the package says that it is one, and changes nothing", async () => {
  const warnings = [];
  page.on("console", (message) => { if (message.type() === "warning") warnings.push(message.text()); });
  await page.route("**/copy/*.js", async (route) => {
    const name = new URL(route.request().url()).pathname.split("/").at(-1);
    await route.fulfill({ contentType: "text/javascript", body: await readFile(new URL(name, pkg), "utf8") });
  });
  const [again, copy] = await page.evaluate(async () => {
    const result = [];
    for (const file of ["/define.js?again", "/copy/define.js"]) {
      const { SipPresenceElement: theirs } = await import(file);
      result.push(theirs === customElements.get("sip-presence"));
    }
    return result;
  });
  assert.deepEqual([again, copy], [true, false]);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0], /^sip-presence: another copy of this package/);
  assert.ok(await page.evaluate(() => add({ uri: "sip:bob@example.com" }) instanceof SipPresenceElement), "the first copy serves");
});

browserTest("a page can set colour and size, and reach the parts", async () => {
  const [fill, size, parts] = await page.evaluate(() => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync("sip-presence { --sip-presence-unknown: rgb(1, 2, 3); --sip-presence-size: 40px }");
    document.adoptedStyleSheets = [sheet];
    const icon = part(add({ uri: "sip:bob@example.com" }), "icon");
    const { fill, width } = getComputedStyle(icon);
    const parts = ["badge", "icon", "label", "note"].map((name) => part(icon.getRootNode().host, name) !== null);
    return [fill, width, parts];
  });
  assert.equal(fill, "rgb(1, 2, 3)");
  assert.equal(size, "40px");
  assert.deepEqual(parts, [true, true, true, true]);
});

browserTest("nothing moves for who prefers reduced motion", async () => {
  const durations = [];
  for (const reducedMotion of ["no-preference", "reduce"]) {
    await page.emulateMedia({ reducedMotion });
    durations.push(await page.evaluate(() => {
      const element = add({ uri: "sip:bob@example.com" });
      return getComputedStyle(part(element, "icon")).transitionDuration;
    }));
  }
  assert.deepEqual(durations, ["0.2s", "0s"]);
});

browserTest("a stale state says when it was true", async () => {
  const [fresh, today, long] = await page.evaluate(() => {
    const agent = new FakeAgent();
    const element = add({ uri: "sip:bob@example.com", label: "Bob" }, agent);
    const look = () => [said(element), getComputedStyle(part(element, "icon")).outlineStyle];
    return [
      { status: "busy", asOf: Date.now() },
      { status: "busy", stale: true, asOf: new Date().setHours(14, 2, 0, 0) },
      { status: "busy", stale: true, asOf: new Date(2024, 0, 5, 14, 2).getTime() },
    ].map((changes) => {
      agent.show("sip:bob@example.com", changes);
      return look();
    });
  });
  assert.deepEqual(fresh, ["Bob: busy", "none"]);
  assert.deepEqual(today, ["Bob: busy, last known at 14:02", "dashed"]);
  assert.deepEqual(long, ["Bob: busy, last known at 5 Jan 2024, 14:02", "dashed"]);
});

browserTest("what else is known is said in words, in the name and on the page", async () => {
  const seen = await page.evaluate(() => {
    const agent = new FakeAgent();
    const element = add({ uri: "sip:bob@example.com", label: "Bob" }, agent);
    return [
      { status: "available", idle: true },
      { status: "away", outOfOffice: true },
      { status: "busy", until: new Date().setHours(15, 0, 0, 0) },
      { subscription: { state: "pending" } },
      { subscription: { state: "terminated", reason: "rejected" } },
      { status: "busy", note: "secret", stale: true, asOf: 1, subscription: { state: "terminated", reason: "forbidden" } },
      { subscription: { state: "terminated", reason: "constructor" } },
      { subscription: { state: "terminated", reason: "__proto__" } },
    ].map((changes) => {
      agent.show("sip:bob@example.com", changes);
      return [said(element), part(element, "label").textContent];
    });
  });
  const words = [
    "available, idle", "away, out of office", "busy, until 15:00", "unknown, waiting for approval",
    "unknown, not allowed", "unknown, not allowed", "unknown", "unknown",
  ];
  assert.deepEqual(seen, words.map((word) => [`Bob: ${word}`, word]));
});

browserTest("the name of a person without a label is the user part of the address", async () => {
  const names = await page.evaluate(() => [
    "sip:bob@example.com", "sips:bob:secret@example.com", "sip:m%C3%BCller@example.com;transport=ws", "sip:%zz@example.com",
    "sip:example.com", "",
  ].map((uri) => said(add({ uri }))));
  assert.deepEqual(names, ["bob: unknown", "bob: unknown", "müller: unknown", "%zz: unknown", "example.com: unknown", "unknown"]);
});

browserTest("a note is text in one line, capped, without marks that reorder the page", async () => {
  const seen = await page.evaluate(() => {
    const agent = new FakeAgent();
    const element = add({ uri: "sip:bob@example.com", note: "" }, agent);
    const note = part(element, "note");
    return ["<img src=x onerror=\"globalThis.hit = 1\">", "\u202Ea\r\n\tb\u2028c\u0000d\u2066\u200Fe", "🎉".repeat(300), undefined]
      .map((text) => {
        agent.show("sip:bob@example.com", { status: "busy", note: text });
        return { text: note.textContent, children: note.childElementCount, shown: note.checkVisibility() };
      });
  });
  const [markup, marks, long, none] = seen;
  assert.deepEqual(markup, { text: '<img src=x onerror="globalThis.hit = 1">', children: 0, shown: true });
  assert.equal(marks.text, "a b c de");
  assert.equal(long.text, `${"🎉".repeat(200)}…`);
  assert.deepEqual(none, { text: "", children: 0, shown: false });
  assert.equal(await page.evaluate(() => globalThis.hit), undefined);
  const isolated = await page.evaluate(() => {
    const note = part(document.querySelector("sip-presence"), "note");
    const before = note.matches(":dir(ltr)");
    note.textContent = "שלום";
    return [getComputedStyle(note).unicodeBidi, before, note.matches(":dir(rtl)")];
  });
  assert.deepEqual(isolated, ["isolate", true, true]);
});

browserTest("a pointer that rests on the shape is told the same as assistive technology", async () => {
  const [tip, name] = await page.evaluate(() => {
    const element = add({ uri: "sip:bob@example.com", compact: "" });
    return [part(element, "icon").querySelector("title").textContent, said(element)];
  });
  assert.equal(tip, name);
});

browserTest("attributes say what is shown: note, compact, hidden", async () => {
  const seen = await page.evaluate(() => {
    const agent = new FakeAgent();
    agent.show("sip:bob@example.com", { status: "busy", note: "In a meeting" });
    return [{}, { note: "" }, { compact: "" }, { hidden: "" }, { note: "true", compact: "false" }, { note: "false", compact: "true" }].map((attributes) => {
      const element = add({ uri: "sip:bob@example.com", ...attributes }, agent);
      return [...["icon", "label", "note"].map((name) => part(element, name).checkVisibility()), said(element)];
    });
  });
  assert.deepEqual(seen, [
    [true, true, false, "bob: busy"],
    [true, true, true, "bob: busy"],
    [true, false, false, "bob: busy"],
    [false, false, false, "bob: busy"],
    [true, true, true, "bob: busy"],
    [true, false, false, "bob: busy"],
  ]);
});

browserTest("the shape stands where the line begins, from right to left too", async () => {
  const before = await page.evaluate(() => ["ltr", "rtl"].map((dir) => {
    const element = add({ uri: "sip:bob@example.com", dir });
    return part(element, "icon").getBoundingClientRect().left < part(element, "label").getBoundingClientRect().left;
  }));
  assert.deepEqual(before, [true, false]);
});

browserTest("the agent may come later, and an element's own one comes first", async () => {
  const seen = await page.evaluate(() => {
    const [one, two, own] = ["busy", "away", "offline"].map((status) => {
      const agent = new FakeAgent();
      agent.show("sip:bob@example.com", { status });
      return agent;
    });
    const shared = add({ uri: "sip:bob@example.com" });
    const private_ = add({ uri: "sip:bob@example.com" }, own);
    const look = () => [said(shared), said(private_), one.watched.length, two.watched.length, own.watched.length];
    const looks = [look()];
    for (const agent of [one, two, undefined]) {
      SipPresenceElement.agent = agent;
      looks.push(look());
    }
    SipPresenceElement.agent = one;
    private_.agent = undefined;
    looks.push(look());
    return looks;
  });
  assert.deepEqual(seen, [
    ["bob: unknown", "bob: offline", 0, 0, 1],
    ["bob: busy", "bob: offline", 1, 0, 1],
    ["bob: away", "bob: offline", 0, 1, 1],
    ["bob: unknown", "bob: offline", 0, 0, 1],
    ["bob: busy", "bob: busy", 2, 0, 0],
  ]);
});

browserTest("an agent that was set before the element was defined is used", async () => {
  const name = await page.evaluate(() => {
    const agent = new FakeAgent();
    agent.show("sip:bob@example.com", { status: "busy" });
    const early = document.createElement("sip-late");
    early.setAttribute("uri", "sip:bob@example.com");
    early.agent = agent;
    document.body.append(early);
    customElements.define("sip-late", class extends SipPresenceElement {});
    return said(early);
  });
  assert.equal(name, "bob: busy");
});

browserTest("an element that moves keeps its state and one watch; one that leaves has none", async () => {
  const seen = await page.evaluate(async () => {
    const agent = new FakeAgent();
    const element = add({ uri: "sip:bob@example.com" }, agent);
    agent.show("sip:bob@example.com", { status: "busy" });
    await undefined;
    let changes = 0;
    element.addEventListener("change", () => changes++);
    const list = document.createElement("div");
    document.body.append(list);
    const looks = [];
    const look = async () => {
      await undefined;
      looks.push([said(element), element.state?.status, agent.watched.length, changes]);
    };
    list.append(element);
    await look();
    element.remove();
    await look();
    agent.show("sip:bob@example.com", { status: "away" });
    await look();
    list.append(element);
    await look();
    return looks;
  });
  assert.deepEqual(seen, [
    ["bob: busy", "busy", 1, 0],
    ["bob: busy", "busy", 0, 0],
    ["bob: busy", "busy", 0, 0],
    ["bob: away", "away", 1, 1],
  ]);
});

browserTest("where style sheets cannot be made, as in the jsdom of Jest, the element says the status all the same", async () => {
  const name = await page.evaluate(() => {
    delete CSSStyleSheet.prototype.replaceSync;
    const agent = new FakeAgent();
    agent.show("sip:bob@example.com", { status: "busy" });
    return said(add({ uri: "sip:bob@example.com" }, agent));
  });
  assert.equal(name, "bob: busy");
});

browserTest("an element that moves to another document takes its look along", async () => {
  const sheets = await page.evaluate(() => {
    const element = add({ uri: "sip:bob@example.com" });
    const frame = document.createElement("iframe");
    document.body.append(frame);
    frame.contentDocument.body.append(element);
    return element.shadowRoot.adoptedStyleSheets.length;
  });
  assert.equal(sheets, 1);
});

browserTest("another address forgets the state of the one before", async () => {
  const seen = await page.evaluate(() => {
    const agent = new FakeAgent();
    const element = add({ uri: "sip:bob@example.com" }, agent);
    agent.show("sip:bob@example.com", { status: "busy" });
    const [{ callback }] = agent.watches;
    const before = said(element);
    element.setAttribute("uri", "sip:carol@example.com");
    const between = said(element);
    callback({ ...agent.states.get("sip:bob@example.com") });
    return [before, between, said(element), ...agent.watched];
  });
  assert.deepEqual(seen, ["bob: busy", "carol: unknown", "carol: unknown", "sip:carol@example.com"]);
});

browserTest("change tells the state soon after it, once for each, and its listener may change the address", async () => {
  const seen = await page.evaluate(async () => {
    const agent = new FakeAgent();
    agent.show("sip:bob@example.com", { status: "busy" });
    agent.show("sip:carol@example.com", { status: "away" });
    const told = [];
    const element = document.createElement("sip-presence");
    element.agent = agent;
    element.setAttribute("uri", "sip:bob@example.com");
    element.addEventListener("change", ({ detail, bubbles }) => {
      told.push([detail.uri, detail === element.state, bubbles]);
      element.setAttribute("uri", "sip:carol@example.com");
    });
    document.body.append(element);
    const before = [told.length, said(element)];
    await undefined;
    agent.watches.forEach(({ uri, callback }) => callback(agent.states.get(uri), uri));
    await undefined;
    return [before, told, said(element), agent.watched];
  });
  assert.deepEqual(seen, [
    [0, "bob: busy"],
    [["sip:bob@example.com", true, false], ["sip:carol@example.com", true, false]], "carol: away", ["sip:carol@example.com"],
  ]);
});

browserTest("a state that another has replaced before it was told is not told", async () => {
  const seen = await page.evaluate(async () => {
    const agent = new FakeAgent();
    const told = [];
    const element = document.createElement("sip-presence");
    element.addEventListener("change", ({ detail }) => told.push(detail.status));
    element.setAttribute("uri", "sip:bob@example.com");
    element.agent = agent;
    document.body.append(element);
    agent.show("sip:bob@example.com", { status: "busy" });
    await undefined;
    return told;
  });
  assert.deepEqual(seen, ["busy"]);
});

browserTest("an address that the agent refuses is reported, and the other elements work", async () => {
  const seen = await page.evaluate(() => {
    const errors = [];
    addEventListener("error", (event) => {
      errors.push(event.message);
      event.preventDefault();
    });
    const wrong = add({ uri: "nonsense" });
    const right = add({ uri: "sip:bob@example.com" });
    const agent = new FakeAgent();
    agent.show("sip:bob@example.com", { status: "busy" });
    SipPresenceElement.agent = agent;
    return [said(wrong), said(right), errors];
  });
  assert.deepEqual(seen, ["nonsense: unknown", "bob: busy", ["Uncaught TypeError: not an address: nonsense"]]);
});

browserTest("the words can be translated", async () => {
  const name = await page.evaluate(() => {
    Object.assign(SipPresenceElement.words, { busy: "beschäftigt", asOf: "Stand {time}" });
    const agent = new FakeAgent();
    agent.show("sip:bob@example.com", { status: "busy", stale: true, asOf: new Date().setHours(14, 2, 0, 0) });
    return said(add({ uri: "sip:bob@example.com", label: "Bob" }, agent));
  });
  assert.equal(name, "Bob: beschäftigt, Stand 14:02");
});

browserTest("a strict Content-Security-Policy has nothing to object to, and defining twice is harmless", async () => {
  const seen = await page.evaluate(async () => {
    const first = customElements.get("sip-presence");
    await import("./define.js?again");
    const icon = part(add({ uri: "sip:bob@example.com" }), "icon");
    return [violations, customElements.get("sip-presence") === first, getComputedStyle(icon).fill];
  });
  assert.deepEqual(seen.slice(0, 2), [[], true]);
  assert.notEqual(seen[2], "rgb(0, 0, 0)", "the style sheet is in force");
});

test("the built element is small and has nothing to import", async () => {
  const source = await readFile(new URL("element.js", pkg), "utf8");
  assert.doesNotMatch(source, /\bimport\b/);
});

/** Relative luminance of WCAG 2. */
function luminance(rgb) {
  const [r, g, b] = rgb.map((value) => value / 255).map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
