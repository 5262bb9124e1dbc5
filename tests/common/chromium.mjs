/** Starts Chromium for a test. */

import { once } from "node:events";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { WebSocket } from "ws";
import { until } from "./wait.mjs";

/** The executable: `CHROMIUM`, or where Debian puts it. */
export const executable = process.env.CHROMIUM ?? "/usr/bin/chromium";

/** Why a test that needs Chromium is to be skipped; false when it is there. In CI it is never skipped. */
export const missing = !process.env.CI && !existsSync(executable) && `no Chromium at ${executable} (set CHROMIUM)`;

/** No sandbox, because tests may run as root; the rest keeps the browser from using the network on its own account. */
const FLAGS = [
  "--headless=new",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/**
 * A running headless Chromium; end it with `close()`.
 *
 * @param {import("playwright-core").LaunchOptions} [options]
 * @returns {Promise<import("playwright-core").Browser>}
 */
export function launch(options = {}) {
  return chromium.launch({ executablePath: executable, timeout: 120_000, ...options, args: [...FLAGS, ...(options.args ?? [])] });
}

/**
 * Where a browser that was launched with `--remote-debugging-port=0` is reached: it chooses the port itself, so that
 * nobody else can have taken it.
 *
 * @param {import("playwright-core").Browser} browser
 * @returns {Promise<number>}
 */
export async function debuggingPort(browser) {
  const session = await browser.newBrowserCDPSession();
  const { commandLine } = await session.send("SystemInfo.getInfo");
  await session.detach();
  const [, folder] = /--user-data-dir=(\S+)/.exec(commandLine);
  const written = () => readFile(join(folder, "DevToolsActivePort"), "utf8").catch(() => "");
  return until(async () => Number.parseInt(await written(), 10), "the port of the browser");
}

/**
 * A tab that Playwright does not know, for what a tab in front of Playwright cannot be: hidden and frozen. The browser
 * must have been launched with `--remote-debugging-port=0`.
 *
 * @param {number} port what `debuggingPort` gives
 * @param {string} url
 * @returns {Promise<{ send(method: string, params?: object): Promise<any>, evaluate(expression: string): Promise<any>, close(): Promise<void> }>}
 */
export async function bareTab(port, url) {
  const opened = await fetch(`http://127.0.0.1:${port}/json/new?${encodeURIComponent(url)}`, { method: "PUT" });
  const { id, webSocketDebuggerUrl } = await opened.json();
  const socket = new WebSocket(webSocketDebuggerUrl);
  await once(socket, "open");
  const open = new Map();
  let number = 0;
  socket.on("message", (data) => {
    const message = JSON.parse(data);
    open.get(message.id)?.(message);
    open.delete(message.id);
  });
  const send = async (method, params = {}) => {
    const answer = new Promise((resolve) => open.set(++number, resolve));
    socket.send(JSON.stringify({ id: number, method, params }));
    const { result, error } = await answer;
    if (error !== undefined) throw new Error(`${method}: ${error.message}`);
    return result;
  };
  return {
    send,
    evaluate: async (expression) => (await send("Runtime.evaluate", { expression, returnByValue: true })).result.value,
    close: async () => {
      await fetch(`http://127.0.0.1:${port}/json/close/${id}`);
      socket.terminate();
    },
  };
}
