/** Stands between pages and a WebSocket server, and sees every message. */

import { once } from "node:events";
import { WebSocket, WebSocketServer } from "ws";

/**
 * @typedef {object} Relay
 * @property {string} url where pages connect
 * @property {{ direction: "up" | "down", text: string, link: number }[]} messages everything that crossed; `link` counts
 *   the connections of pages
 * @property {import("ws").WebSocket[]} pages the pages' ends, by `link`
 * @property {() => void} cut ends all connections at once, as a crash of the server would
 * @property {(no: boolean) => void} refuse whether connections are refused from now on
 * @property {() => Promise<void>} close
 */

/**
 * @param {string} upstream the server
 * @param {object} [options]
 * @param {boolean} [options.hold] the server's end stays open when a page is gone: all that the server learns it learns
 *   by SIP
 * @returns {Promise<Relay>}
 */
export async function startRelay(upstream, { hold = false } = {}) {
  let refused = false;
  const acceptor = new WebSocketServer({ host: "127.0.0.1", port: 0, handleProtocols: () => "sip", verifyClient: () => !refused });
  await once(acceptor, "listening");
  const [messages, pages, servers] = [[], [], []];
  acceptor.on("connection", (page) => {
    const link = pages.push(page) - 1;
    const server = new WebSocket(upstream, "sip");
    servers.push(server);
    const waiting = [];
    page.on("message", (data) => {
      messages.push({ direction: "up", text: data.toString(), link });
      if (server.readyState === WebSocket.OPEN) server.send(data.toString());
      else waiting.push(data.toString());
    });
    server.on("open", () => { for (const text of waiting.splice(0)) server.send(text); });
    server.on("message", (data) => {
      messages.push({ direction: "down", text: data.toString(), link });
      if (page.readyState === WebSocket.OPEN) page.send(data.toString());
    });
    page.on("error", () => {});
    server.on("error", () => {});
    page.on("close", () => { if (!hold) server.close(); });
    server.on("close", () => page.close());
  });
  const cut = () => { for (const socket of [...pages, ...servers]) socket.terminate(); };
  return {
    url: `ws://127.0.0.1:${acceptor.address().port}/`,
    messages, pages, cut,
    refuse: (no) => { refused = no; },
    close: () => {
      cut();
      return new Promise((resolve) => { acceptor.close(() => resolve()); });
    },
  };
}
