/** Starts Chromium for a test. */

import { once } from "node:events";
import { existsSync } from "node:fs";
import { chromium } from "playwright-core";
import { WebSocket } from "ws";

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
  return chromium.launch({ executablePath: executable, ...options, args: [...FLAGS, ...(options.args ?? [])] });
}

/**
 * A tab that Playwright does not know, for what a tab in front of Playwright cannot be: hidden and frozen. The browser
 * must have been launched with `--remote-debugging-port`.
 *
 * @param {number} port that of the browser
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
