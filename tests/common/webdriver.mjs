/**
 * Firefox and WebKit for tests, by the commands of WebDriver (https://www.w3.org/TR/webdriver2/). WebKitGTK has a driver that takes
 * them over HTTP; Firefox takes the same ones itself over TCP (Marionette), so that it needs no driver.
 */

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./port.mjs";
import { until } from "./wait.mjs";

/** What the drivers call a command: Firefox by its name, WebKit by method and path. */
const COMMANDS = {
  Navigate: ["POST", "url"],
  Back: ["POST", "back"],
  Refresh: ["POST", "refresh"],
  GetWindowHandles: ["GET", "window/handles"],
  NewWindow: ["POST", "window/new"],
  SwitchToWindow: ["POST", "window"],
  CloseWindow: ["DELETE", "window"],
  SetWindowRect: ["POST", "window/rect"],
  ExecuteAsyncScript: ["POST", "execute/async"],
  FindElement: ["POST", "element"],
  ElementClick: ["POST", "element/{id}/click"],
  ElementClear: ["POST", "element/{id}/clear"],
  ElementSendKeys: ["POST", "element/{id}/value"],
  PerformActions: ["POST", "actions"],
  TakeScreenshot: ["GET", "screenshot"],
};

/** How long the page may take for a script, and for a navigation. */
const TIMEOUTS = { script: 60_000, pageLoad: 60_000 };

/** The name of an element's reference in JSON. */
const ELEMENT = "element-6066-11e4-a52e-4f735466cecf";

/** Firefox shall not use the network on its own account, nor ask anything; its user prefers dark pages. */
const PREFERENCES = {
  "layout.css.prefers-color-scheme.content-override": 0,
  "marionette.port": 0,
  "app.normandy.enabled": false,
  "app.update.disabledForTesting": true,
  "browser.aboutwelcome.enabled": false,
  "browser.safebrowsing.malware.enabled": false,
  "browser.safebrowsing.phishing.enabled": false,
  "browser.search.update": false,
  "browser.shell.checkDefaultBrowser": false,
  "browser.startup.page": 0,
  "captivedetect.canonicalURL": "",
  "datareporting.policy.dataSubmissionEnabled": false,
  "extensions.getAddons.cache.enabled": false,
  "extensions.update.enabled": false,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "services.settings.server": "data:,#remote-settings-dummy/v1",
  "toolkit.telemetry.server": "",
};

function find(...programs) {
  for (const program of programs) {
    try {
      return execFileSync("sh", ["-c", `command -v ${program}`], { encoding: "utf8" }).trim();
    } catch {
      // The next one.
    }
  }
  return undefined;
}

/** Why tests with it are to be skipped; false when all is there. */
const missing = (...programs) => {
  const absent = programs.filter((program) => find(program) === undefined);
  return absent.length > 0 && `not installed: ${absent.join(", ")}`;
};

/** Ends a process that a test started. */
async function end(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
}

/** Sends commands to Firefox: each message is its length, a colon, and JSON. */
async function marionette(port) {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  const open = new Map();
  let number = 0;
  let rest = Buffer.alloc(0);
  socket.on("data", (data) => {
    rest = Buffer.concat([rest, data]);
    for (;;) {
      const colon = rest.indexOf(":");
      const end = colon + 1 + Number(rest.subarray(0, Math.max(colon, 0)));
      if (colon < 0 || rest.length < end) return;
      const message = JSON.parse(rest.subarray(colon + 1, end));
      rest = rest.subarray(end);
      // The first one is a greeting.
      if (!Array.isArray(message)) continue;
      const [, id, error, result] = message;
      const { resolve, reject } = open.get(id);
      open.delete(id);
      if (error === null) resolve(result);
      else reject(new Error(`${error.error}: ${error.message}`));
    }
  });
  socket.on("error", () => {});
  socket.on("close", () => {
    for (const { reject } of open.values()) reject(new Error("Firefox has ended"));
  });
  return {
    send: (name, parameters = {}) => new Promise((resolve, reject) => {
      open.set(++number, { resolve, reject });
      const text = JSON.stringify([0, number, name, parameters]);
      socket.write(`${Buffer.byteLength(text)}:${text}`);
    }),
    close: () => socket.destroy(),
  };
}

/** Firefox with a profile of its own */
async function launchFirefox() {
  const profile = await mkdtemp(join(tmpdir(), "sip-presence-firefox-"));
  const rows = Object.entries(PREFERENCES).map(([name, value]) => `user_pref("${name}", ${JSON.stringify(value)});\n`);
  await writeFile(join(profile, "user.js"), rows.join(""));
  const child = spawn(find("firefox", "firefox-esr"), [
    "--headless", "--marionette", "--no-remote", "--profile", profile, "about:blank",
  ], { stdio: "ignore", env: { ...process.env, MOZ_CRASHREPORTER_DISABLE: "1" } });
  const close = async () => {
    await end(child);
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    const port = await until(async () => {
      if (child.exitCode !== null) throw new Error(`Firefox ended with ${child.exitCode}`);
      return Number(await readFile(join(profile, "MarionetteActivePort"), "utf8").catch(() => ""));
    }, "Firefox to start");
    const { send, close: hangUp } = await marionette(port);
    await send("WebDriver:NewSession", { acceptInsecureCerts: true, timeouts: TIMEOUTS });
    return {
      send: async (name, parameters) => {
        const result = await send(`WebDriver:${name}`, parameters);
        return result !== null && "value" in result ? result.value : result;
      },
      close: () => {
        hangUp();
        return close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The test browser of WebKitGTK, on a screen that nobody sees; its user prefers dark pages. */
async function launchWebKit() {
  const screen = spawn("Xvfb", ["-displayfd", "3", "-nolisten", "tcp", "-screen", "0", "1600x1200x24"], { stdio: ["ignore", "ignore", "ignore", "pipe"] });
  const children = [screen];
  const close = async () => {
    for (const child of children.reverse()) await end(child);
  };
  try {
    const [display] = await until(once(screen.stdio[3], "data"), "Xvfb to start");
    const port = await freePort();
    const driver = spawn("WebKitWebDriver", [`--port=${port}`], {
      stdio: "ignore",
      env: {
        ...process.env, DISPLAY: `:${String(display).trim()}`, GDK_BACKEND: "x11", LIBGL_ALWAYS_SOFTWARE: "1", NO_AT_BRIDGE: "1",
        GTK_THEME: "Adwaita:dark",
      },
    });
    children.push(driver);
    const root = `http://127.0.0.1:${port}/session`;
    const call = async (method, url, body) => {
      const response = await fetch(url, { method, ...(method === "POST" && { body: JSON.stringify(body) }) });
      const { value } = await response.json();
      if (!response.ok) throw new Error(`${value.error}: ${value.message}`);
      return value;
    };
    const alwaysMatch = { acceptInsecureCerts: true, timeouts: TIMEOUTS };
    const started = until(() => call("POST", root, { capabilities: { alwaysMatch } }).catch((error) => {
      if (error.cause?.code !== "ECONNREFUSED") throw error;
    }), "WebKit to start");
    const { sessionId } = await started;
    return {
      send: (name, { id, ...parameters } = {}) => {
        const [method, path] = COMMANDS[name];
        return call(method, `${root}/${sessionId}/${path.replace("{id}", id)}`, parameters);
      },
      close: async () => {
        await call("DELETE", `${root}/${sessionId}`).catch(() => {});
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Runs in the page: a function's text, called with the arguments, and its result, awaited. */
const CALL = (source) => `const [args, done] = [[...arguments].slice(0, -1), arguments[arguments.length - 1]];
new Promise((resolve) => resolve((${source})(...args))).then((value) => done({ value }), (error) => done({ error: String(error) }));`;

/** A running browser. Commands are sent one after the other, each to the tab that it is for. */
class Browser {
  #driver;
  #tail = Promise.resolve();
  #current;

  /** `tabsAreSeen`: whether a new tab can be brought to the front; where not, a page that is to be seen has a window. */
  constructor(driver, { tabsAreSeen }) {
    this.#driver = driver;
    this.tabsAreSeen = tabsAreSeen;
  }

  /** Sends a command to the tab `handle` when all that was asked before is done. `focus`: brings it to the front first. */
  send(handle, name, parameters, focus = false) {
    const sent = this.#tail.then(async () => {
      if (handle !== undefined && (focus || this.#current !== handle)) {
        await this.#driver.send("SwitchToWindow", { handle, focus });
        this.#current = handle;
      }
      if (name === "CloseWindow") this.#current = undefined;
      return this.#driver.send(name, parameters);
    });
    this.#tail = sent.catch(() => {});
    return sent;
  }

  /** A new tab with `url`, seen unless it is `hidden`. */
  async open(url, { hidden = false } = {}) {
    const [first] = await this.handles();
    const type = this.tabsAreSeen || hidden ? "tab" : "window";
    const { handle } = await this.send(this.#current ?? first, "NewWindow", { type, focus: !hidden });
    const tab = new Tab(this, handle);
    await tab.goto(url);
    return tab;
  }

  handles() {
    return this.send(undefined, "GetWindowHandles");
  }

  /** Does `act`, and gives the tab that the page opens because of it. */
  async opened(act) {
    const before = new Set(await this.handles());
    await act();
    const handle = await until(async () => (await this.handles()).find((one) => !before.has(one)), "a new window");
    return new Tab(this, handle);
  }

  close() {
    return this.#driver.close();
  }
}

/** A tab. What a user does brings it to the front. */
class Tab {
  #browser;
  #handle;

  constructor(browser, handle) {
    this.#browser = browser;
    this.#handle = handle;
  }

  #send(name, parameters, focus) {
    return this.#browser.send(this.#handle, name, parameters, focus);
  }

  goto(url) {
    return this.#send("Navigate", { url });
  }

  back() {
    return this.#send("Back");
  }

  reload() {
    return this.#send("Refresh");
  }

  close() {
    return this.#send("CloseWindow");
  }

  /** The size of its window, in CSS pixels. */
  resize(width, height) {
    return this.#send("SetWindowRect", { width, height });
  }

  /** Calls `run` in the page, and gives what its promise gives. It sees the page's globals; to set one, it names `window`. */
  async evaluate(run, ...args) {
    const { value, error } = await this.#send("ExecuteAsyncScript", { script: CALL(run), args });
    if (error !== undefined) throw new Error(error);
    return value;
  }

  /** The element that is found first, when there is one. */
  async #element(selector) {
    const find = () => this.#send("FindElement", { using: "css selector", value: selector }).catch((error) => {
      if (!error.message.startsWith("no such element")) throw error;
    });
    return (await until(find, selector))[ELEMENT];
  }

  async click(selector) {
    await this.#send("ElementClick", { id: await this.#element(selector) }, true);
  }

  /** Types into a field that is emptied first. */
  async fill(selector, text) {
    const id = await this.#element(selector);
    await this.#send("ElementClear", { id }, true);
    if (text !== "") await this.#send("ElementSendKeys", { id, text });
  }

  /** Presses a key, by its character. */
  async press(key) {
    await this.#send("PerformActions", { actions: [{ type: "key", id: "keys", actions: [{ type: "keyDown", value: key }, { type: "keyUp", value: key }] }] }, true);
  }

  /** Moves the mouse. */
  async move(x, y) {
    const parameters = { pointerType: "mouse" };
    await this.#send("PerformActions", { actions: [{ type: "pointer", id: "mouse", parameters, actions: [{ type: "pointerMove", duration: 0, x, y }] }] }, true);
  }

  /** A picture of what is seen of it: a PNG. */
  async picture() {
    return Buffer.from(await this.#send("TakeScreenshot", { full: false }, true), "base64");
  }
}

/** The browsers: why one cannot be had, or false, and what starts it. */
export const engines = {
  firefox: {
    name: "Firefox",
    missing: missing(find("firefox") === undefined ? "firefox-esr" : "firefox"),
    launch: async () => new Browser(await launchFirefox(), { tabsAreSeen: true }),
  },
  webkit: {
    name: "WebKit",
    missing: missing("WebKitWebDriver", "Xvfb"),
    launch: async () => new Browser(await launchWebKit(), { tabsAreSeen: false }),
  },
};
