/** Agents of this package, and what a test asks of them. */

import { createAgent } from "sip-presence";
import { WebSocket } from "ws";
import { until } from "../common/wait.mjs";

/**
 * An agent of `server` that is closed when the test ends.
 *
 * @param {import("node:test").TestContext} test
 * @param {{ url: string, domain: string, users: Record<string, string> }} server
 * @param {string} username
 * @param {Partial<import("sip-presence").AgentOptions>} [options]
 */
export function openAgent(test, server, username, options = {}) {
  const agent = createAgent({
    server: server.url,
    aor: addressOf(server, username),
    credentials: { username, password: server.users[username] },
    webSocket: WebSocket,
    ...options,
  });
  test.after(() => agent.close());
  return agent;
}

/** The address of a user of `server`. */
export const addressOf = (server, username) => `sip:${username}@${server.domain}`;

/** The messages that an agent sends and receives from now on, as `{ direction, text }`. */
export function traceOf(agent) {
  const messages = [];
  agent.addEventListener("trace", (event) => messages.push(event.detail));
  return messages;
}

/**
 * Watches, and waits for states.
 *
 * @param {import("sip-presence").Agent} agent
 * @param {string} uri
 * @param {import("sip-presence").WatchOptions} [options]
 */
export function observe(agent, uri, options) {
  const states = [];
  let at = 0;
  const unwatch = agent.watch(uri, (state) => states.push(state), options);
  return {
    /** Every state so far, the first one first. */
    states,
    unwatch,
    /**
     * Waits for a state that `accept` takes, and gives it: the first one, from that which was given last. On a slow machine
     * others may have followed already.
     */
    state: async (accept, label) => {
      const find = () => states.findIndex((state, index) => index >= at && accept(state));
      await until(() => find() >= 0, () => `${uri} ${label}; the last states: ${inShort(states.slice(-3))}`);
      at = find();
      return states[at];
    },
  };
}

const inShort = (states) =>
  JSON.stringify(states.map(({ status, note, stale, cause, subscription }) => ({ status, note, stale, cause, subscription })));

/** A WebSocket whose connections can be cut, as a network does: without a word to the other side. */
export function cuttable() {
  const open = [];
  return {
    WebSocket: class extends WebSocket {
      constructor(...args) {
        super(...args);
        open.push(this);
      }
    },
    cut: () => open.splice(0).forEach((socket) => socket.terminate()),
  };
}
