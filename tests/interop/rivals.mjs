/** SIP.js and JsSIP as the other side: what an application needs of them for presence, and nothing more. */

import { once } from "node:events";
import jssip from "jssip";
import { Messager, Publisher, PublisherState, Registerer, Subscriber, UserAgent } from "sip.js";
import { WebSocket } from "ws";
import { until } from "../common/wait.mjs";

// SIP.js finds its WebSocket in the global scope.
globalThis.WebSocket ??= WebSocket;

/** A presence document with one tuple. */
export const pidf = (entity, basic, note) => `<?xml version="1.0" encoding="UTF-8"?>
<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="${entity}">
  <tuple id="rival">
    <status><basic>${basic}</basic></status>
    <note>${note}</note>
  </tuple>
</presence>
`;

/**
 * The server a rival connects to.
 *
 * @typedef {object} Server
 * @property {string} url of its WebSocket
 * @property {string} domain
 * @property {Record<string, string>} users passwords by user name
 */

/**
 * SIP.js, connected.
 *
 * @param {Server} server
 * @param {string} username
 * @param {Record<string, string>} [contactParams] parameters of its Contact
 */
export async function startSipJs({ url, domain, users }, username, contactParams = {}) {
  const agent = new UserAgent({
    uri: UserAgent.makeURI(`sip:${username}@${domain}`),
    transportOptions: { server: url },
    authorizationUsername: username,
    contactParams: { transport: "ws", ...contactParams },
    authorizationPassword: users[username],
    logBuiltinEnabled: false,
    // With a graceful shutdown SIP.js 0.21.2 waits for ever when its un-SUBSCRIBE is challenged.
    gracefulShutdown: false,
  });
  await until(agent.start(), "SIP.js to connect");
  const target = (name) => UserAgent.makeURI(`sip:${name}@${domain}`);
  let publisher;
  return {
    /** Publishes a document, PIDF unless told otherwise, or replaces the one published before. */
    async publish(body, { expires = 3600, event = "presence", contentType = "application/pidf+xml" } = {}) {
      publisher ??= new Publisher(agent, target(username), event, { contentType, body, expires });
      publisher.publish(body);
      // Its state does not tell a second answer from the first, and until that comes it has an old entity-tag: the answer
      // plans the refresh.
      await until(() => publisher.publishRefreshTimer !== undefined, "SIP.js to have published");
    },
    async unpublish() {
      publisher.unpublish();
      await until(() => publisher.state === PublisherState.Unpublished, "SIP.js to have withdrawn its publication");
    },
    /** Watches a user; gives the list that the body of each NOTIFY is appended to. */
    async watch(name) {
      const bodies = [];
      await this.subscribe(name, ({ body }) => bodies.push(body));
      return bodies;
    },
    /** Watches a user; tells state, reason and body of each NOTIFY. */
    async subscribe(name, tell) {
      const subscriber = new Subscriber(agent, target(name), "presence", {
        extraHeaders: ["Accept: application/pidf+xml"],
      });
      let count = 0;
      subscriber.delegate = {
        onNotify(notification) {
          const { request } = notification;
          count += 1;
          const [, state, reason] = /^(\w+)(?:.*;reason=([\w-]+))?/.exec(request.getHeader("Subscription-State"));
          tell({ state, reason, body: request.body });
          notification.accept();
        },
      };
      await subscriber.subscribe();
      // SIP.js drops a NOTIFY that follows the first one at once.
      await until(() => count > 0, "the first NOTIFY to SIP.js");
      return { end: () => subscriber.unsubscribe() };
    },
    /** Sends a MESSAGE; gives the status of its response. */
    message: (name, text) =>
      new Promise((resolve) => {
        const answered = ({ message }) => resolve(message.statusCode);
        new Messager(agent, target(name), text).message({
          requestDelegate: { onAccept: answered, onReject: answered },
        });
      }),
    /** Registers; gives the status of the response. */
    register: () =>
      new Promise((resolve, reject) => {
        const answered = ({ message }) => resolve(message.statusCode);
        new Registerer(agent).register({ requestDelegate: { onAccept: answered, onReject: answered } }).catch(reject);
      }),
    stop: () => until(agent.stop(), "SIP.js to stop"),
  };
}

/** The socket that JsSIP asks of a host without a browser's WebSocket. */
class JsSipSocket {
  via_transport = "WS";
  #socket;

  constructor(url) {
    this.url = url;
    this.sip_uri = `sip:${new URL(url).host};transport=ws`;
  }

  connect() {
    this.#socket = new WebSocket(this.url, "sip");
    this.#socket.on("open", () => this.onconnect());
    this.#socket.on("message", (data) => this.ondata(data.toString()));
    this.#socket.on("close", (code, reason) => this.ondisconnect(code !== 1000, code, reason.toString()));
    // A failure is followed by a close event, which JsSIP is told of.
    this.#socket.on("error", () => {});
  }

  disconnect() {
    this.#socket.close(1000);
  }

  send(message) {
    if (!this.isConnected()) return false;
    this.#socket.send(message);
    return true;
  }

  isConnected() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  isConnecting() {
    return this.#socket?.readyState === WebSocket.CONNECTING;
  }
}

/**
 * JsSIP, connected.
 *
 * @param {Server} server
 * @param {string} username
 */
export async function startJsSip({ url, domain, users }, username) {
  const agent = new jssip.UA({
    sockets: [new JsSipSocket(url)],
    uri: `sip:${username}@${domain}`,
    password: users[username],
    register: false,
  });
  const connected = once(agent, "connected");
  agent.start();
  await until(connected, "JsSIP to connect");
  const subscribers = [];
  return {
    /** Watches a user; gives the list that the body of each NOTIFY is appended to. */
    async watch(name) {
      const bodies = [];
      const subscriber = agent.subscribe(`sip:${name}@${domain}`, "presence", "application/pidf+xml", {
        contentType: "",
      });
      subscriber.on("notify", (_isFinal, _request, body) => bodies.push(body));
      subscribers.push(subscriber);
      const accepted = once(subscriber, "accepted");
      subscriber.subscribe();
      await until(accepted, "JsSIP's SUBSCRIBE to be accepted");
      return bodies;
    },
    async stop() {
      // JsSIP's own stop() leaves subscriptions behind, with timers that keep the process alive.
      for (const subscriber of subscribers) {
        const terminated = once(subscriber, "terminated");
        subscriber.terminate();
        await until(terminated, "JsSIP's subscription to end");
      }
      const disconnected = once(agent, "disconnected");
      agent.stop();
      await until(disconnected, "JsSIP to stop");
    },
  };
}
