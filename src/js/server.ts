/** The presence server for Node: the core as WebAssembly, its WebSockets by `ws`. */
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server as HttpServer, type ServerResponse } from "node:http";
import type { Server as HttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { type RawData, WebSocket, WebSocketServer } from "ws";
import { initSync, ServerCore } from "../../pkg/wasm/server/sip_presence.js";
import { StateError, StateFile } from "./state-file.js";
import { serveXcap } from "./xcap-server.js";

export { StateError };

/** What a watcher gets (RFC 5025 §3.2.1); `confirm` leaves the watcher pending. */
export type Decision = "block" | "confirm" | "polite-block" | "allow";

/** Who uses the server, and who may watch whom. */
export interface ServerConfig {
  /** The host part of the users' addresses. */
  readonly domain: string;
  /** The protection domain of digest challenges. Default: the domain. */
  readonly realm?: string;
  /** By user name: the password, or `H(user:realm:password)` in hexadecimal by algorithm. */
  readonly users: { readonly [name: string]: string | { readonly ha1: { readonly [algorithm: string]: string } } };
  /** Digest algorithms, most preferred first: `SHA-512-256`, `SHA-256`, `MD5`. Default: SHA-256, MD5. */
  readonly algorithms?: readonly string[];
  readonly rules?: {
    /** For watchers that no rule names. Default: `confirm`. */
    readonly default?: Decision;
    /** Of several that match, the one that gives most holds. */
    readonly watchers?: readonly {
      /** The user who is watched; every user if absent. */
      readonly presentity?: string;
      readonly watcher: string;
      readonly decision: Decision;
      /** With `allow`: what of the document is shown. Default: everything. What is left out here is not shown. */
      readonly show?: {
        readonly services?: boolean;
        readonly persons?: boolean;
        readonly devices?: boolean;
        /** Names of elements, such as `activities` and `mood`. */
        readonly attributes?: readonly string[];
        readonly notes?: boolean;
        readonly userInput?: "bare" | "thresholds" | "full";
        /** Elements that the server does not know. */
        readonly unknown?: boolean;
      };
    }[];
  };
  /** Seconds. Default: 10. */
  readonly minExpires?: number;
  /** Seconds. Default: 3600. */
  readonly maxExpires?: number;
  /** Seconds. Default: 300. */
  readonly nonceLifetime?: number;
  /** Milliseconds between two notifications of changes to one watcher, at least. Default: 5000 (RFC 3856 §6.10). */
  readonly notifyInterval?: number;
  readonly limits?: {
    readonly connections?: number;
    readonly subscriptions?: number;
    readonly publications?: number;
    /** Bytes of a published document; a user's publications together make up to four times this. Default: 32768. */
    readonly publication?: number;
    /** Bytes of the rules that a user makes by XCAP. Default: 65536. */
    readonly ruleset?: number;
    readonly contacts?: number;
    /** Requests between users that wait for an answer, of one connection. Default: 64. */
    readonly forwarded?: number;
    /** Bytes of one message. Default: 262144. */
    readonly message?: number;
    readonly malformed?: number;
  };
}

/** Something an operator may want to know. */
export type ServerEvent =
  | { readonly kind: "registered" | "published" | "ruled"; readonly user: string }
  /** The publications of a user disagree; watchers are shown all of them. */
  | { readonly kind: "conflict"; readonly user: string; readonly what: string }
  | { readonly kind: "subscribed"; readonly watcher: string; readonly presentity: string }
  /** `user`: with 401, who it said it was, and could not prove. A first request without credentials is not told. */
  | { readonly kind: "refused"; readonly method: string; readonly status: number; readonly user?: string }
  /** What is kept about a name that is no user has no effect. */
  | { readonly kind: "ignored"; readonly user: string }
  /** The state could not be written; it is tried again. Without `onEvent` this is a warning of the process. */
  | { readonly kind: "unsaved"; readonly what: string };

/** What `startServer` takes. */
export interface ServerOptions extends ServerConfig {
  /** The address to listen at. Default: `127.0.0.1`. */
  readonly host?: string;
  /** The port to listen at; 0 for any that is free. Default: 0. */
  readonly port?: number;
  /** The path of the WebSocket. Default: `/ws`. */
  readonly path?: string;
  /**
   * The path of the XCAP root, where users keep rules of their own (RFC 5025). Default: `/xcap` with `state`, otherwise none;
   * `false` for none.
   */
  readonly xcap?: string | false;
  /** An HTTP or HTTPS server that listens already, or will; `host` and `port` are then not used. */
  readonly server?: HttpServer | HttpsServer;
  /** A file that keeps over a restart what was decided, and the rules of users. It is made if it is not there. Default: nothing is kept. */
  readonly state?: string;
  /** Is told what happens. */
  readonly onEvent?: (event: ServerEvent) => void;
}

/** A presence server that runs. */
export interface PresenceServer {
  /** The URL for the `server` option of agents. */
  readonly url: string;
  /** The URL for their `xcapRoot` option; undefined without XCAP. */
  readonly xcapRoot: string | undefined;
  /**
   * Answers a request of an HTTP server of yours if it is one below the XCAP root; false if it is not, then it is yours. Without
   * the option `server` nobody needs it.
   */
  handle(request: IncomingMessage, response: ServerResponse): boolean;
  /**
   * What a watcher gets of a user from now on, whatever the rules say; who watches already is told at once. Both are user
   * names. Kept over a restart with the option `state`.
   *
   * @throws TypeError for a word that is no decision and a name that is no user's; Error after {@link close}.
   */
  setPolicy(presentity: string, watcher: string, decision: Decision): void;
  /**
   * Tells watchers with `deactivated`, closes connections with 1001, stops listening; a second at most, and what it takes to
   * write the state. Once is enough.
   */
  close(): Promise<void>;
}

const DECISIONS: readonly Decision[] = ["block", "confirm", "polite-block", "allow"];
const SIP = "sip";
const DEFAULT_MESSAGE = 256 * 1024;
const DEFAULT_RULES = 64 * 1024;
/** Bytes that may wait for a connection which does not read; one that lets more pile up is closed. */
const MOST_UNSENT = 4 * 1024 * 1024;
/** Milliseconds between two looks at whether a connection is alive. */
const HEARTBEAT = 30_000;
/** Milliseconds that connections have for their closing handshake. */
const CLOSING = 1000;

/** What `startServer` takes beside what the core knows, as the core lists its fields. */
const OWN_FIELDS = "`host`, `port`, `path`, `server`, `state`, `xcap`, `onEvent`, ";

let loaded = false;

/**
 * Starts a presence server; resolves when it listens.
 *
 * @throws TypeError that names the field of the configuration which cannot be used; {@link StateError}; the error of `listen`.
 */
export async function startServer(options: ServerOptions): Promise<PresenceServer> {
  if (typeof options !== "object" || options === null) throw new TypeError("sip-presence: startServer takes an object with domain and users");
  if (options.path !== undefined && !/^\/[^?#]*$/.test(String(options.path))) throw new TypeError("sip-presence: path: begin it with /");
  if (options.onEvent !== undefined && typeof options.onEvent !== "function") throw new TypeError("sip-presence: onEvent: give a function");
  if (options.state !== undefined && (typeof options.state !== "string" || options.state === "")) throw new TypeError("sip-presence: state: give the path of a file");
  const { host = "127.0.0.1", port = 0, path = "/ws", server, onEvent, state, xcap = state !== undefined && "/xcap", ...config } = options;
  if (xcap !== false && (!/^(?:\/[\w.~-]+)+$/.test(String(xcap)) || xcap === path)) throw new TypeError("sip-presence: xcap: give a path such as /xcap, or false");
  // A header of HTTP takes no others, and a page could not answer.
  if (xcap !== false && /[^\0-\xff]/.test(String(config.realm ?? ""))) {
    throw new TypeError("sip-presence: realm: with rules of the users it has Latin-1 characters only; xcap: false goes without");
  }
  if (!loaded) {
    initSync({ module: readFileSync(new URL("./sip-presence-server.wasm", import.meta.url)) });
    loaded = true;
  }
  const connections = new Connections(config, state, onEvent);
  const handle = xcap === false ? () => false : connections.serveXcap(xcap);
  const http = server ?? createServer((request, response) => {
    if (!handle(request, response)) response.writeHead(404).end();
  });
  const listener = connections.listen(http, path);
  if (server === undefined) {
    await new Promise<void>((resolve, reject) => {
      http.once("error", reject);
      http.listen(port, host, () => {
        http.off("error", reject);
        resolve();
      });
    }).catch(async (error: unknown) => {
      await connections.close();
      throw error;
    });
  }
  const close = async (): Promise<void> => {
    http.off("upgrade", listener);
    await connections.close();
    if (server === undefined) {
      http.closeAllConnections();
      await new Promise<void>((resolve) => void http.close(() => resolve()));
    }
  };
  let closing: Promise<void> | undefined;
  const url = (scheme: "ws" | "http", path: string): string => {
    const address = http.address() as AddressInfo | null;
    const name = address?.family === "IPv6" ? `[${address.address}]` : address?.address ?? host;
    return `${scheme}${"setSecureContext" in http ? "s" : ""}://${name}:${address?.port ?? port}${path}`;
  };
  return {
    get url(): string {
      return url("ws", path);
    },
    get xcapRoot(): string | undefined {
      return xcap === false ? undefined : url("http", xcap);
    },
    handle,
    setPolicy: (presentity, watcher, decision) => connections.setPolicy(presentity, watcher, decision),
    close: () => closing ??= close(),
  };
}

class Connections {
  readonly #core: ServerCore;
  readonly #sockets = new Map<number, WebSocket>();
  readonly #alive = new WeakSet<WebSocket>();
  readonly #acceptor: WebSocketServer;
  readonly #heartbeat: NodeJS.Timeout;
  readonly #state: StateFile | undefined;
  readonly #mostRules: number;
  #next = 0;
  #isOver = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(config: ServerConfig, state: string | undefined, onEvent: ServerOptions["onEvent"]) {
    const tell = (event: ServerEvent): void => {
      try {
        onEvent?.(event);
      } catch (error) {
        queueMicrotask(() => { throw error; });
      }
    };
    const host = {
      send: (id: number, text: string) => this.#send(id, text),
      sendBinary: (id: number, bytes: Uint8Array) => this.#send(id, bytes),
      close: (id: number, code: number, reason: string) => this.#sockets.get(id)?.close(code, reason),
      event: (kind: string, about: string, more: string) => tell(event(kind, about, more)),
      arm: (milliseconds: number) => {
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => this.#core.fired(), milliseconds);
      },
    };
    try {
      this.#core = new ServerCore(JSON.stringify(config), host as never);
    } catch (error) {
      // Of the text that was made for the core; nobody else has it.
      const where = / at line \d+ column \d+$/;
      const text = String(error).replace(where, "").replace(/(?<=, expected one of )(?=`domain`)/, OWN_FIELDS);
      throw new TypeError(`sip-presence: ${text}`);
    }
    const unsaved = (what: string): void => {
      if (onEvent === undefined) process.emitWarning(`sip-presence: the state was not written: ${what}`);
      tell({ kind: "unsaved", what });
    };
    try {
      this.#state = state === undefined ? undefined : this.#restore(state, unsaved);
    } catch (error) {
      this.#core.free();
      throw error;
    }
    this.#mostRules = config.limits?.ruleset ?? DEFAULT_RULES;
    // One byte more, so that the core sees a message that is too large and can say so.
    const maxPayload = Math.max(config.limits?.message ?? DEFAULT_MESSAGE, DEFAULT_MESSAGE) * 2;
    this.#acceptor = new WebSocketServer({ noServer: true, clientTracking: false, maxPayload, handleProtocols: () => SIP });
    this.#heartbeat = setInterval(() => this.#beat(), HEARTBEAT);
    this.#heartbeat.unref();
  }

  /** A file that cannot be used is left as it is; one that is missing is made. */
  #restore(name: string, unsaved: (what: string) => void): StateFile {
    const file = new StateFile(name, () => this.#core.state(), unsaved);
    if (file.text === undefined) file.changed();
    else {
      try {
        this.#core.restore(file.text);
      } catch (error) {
        throw new StateError(name, String(error));
      }
    }
    return file;
  }

  listen(http: HttpServer | HttpsServer, path: string): (request: IncomingMessage, socket: Duplex, head: Buffer) => void {
    const listener = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
      // Not read as a URL: what is none must not be an exception.
      if ((request.url ?? "/").split("?", 1)[0] !== path) {
        refuse(socket, "404 Not Found");
        return;
      }
      // RFC 7118 §4.1: the client offers sub-protocol `sip`.
      const offered = (request.headers["sec-websocket-protocol"] ?? "").split(",").map((name) => name.trim());
      if (!offered.includes(SIP)) {
        refuse(socket, "400 Bad Request");
        return;
      }
      this.#acceptor.handleUpgrade(request, socket, head, (accepted) => this.#accept(accepted));
    };
    http.on("upgrade", listener);
    return listener;
  }

  #accept(socket: WebSocket): void {
    const id = this.#next++;
    this.#sockets.set(id, socket);
    this.#alive.add(socket);
    socket.on("pong", () => this.#alive.add(socket));
    socket.on("message", (data: RawData) => {
      this.#alive.add(socket);
      this.#core.message(id, data as Buffer);
    });
    // A close event follows.
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#sockets.delete(id);
      this.#core.disconnected(id);
    });
    this.#core.connected(id);
  }

  serveXcap(root: string): PresenceServer["handle"] {
    return serveXcap(root, this.#mostRules, () => (this.#isOver ? undefined : this.#core), () => this.#state?.changed());
  }

  setPolicy(presentity: string, watcher: string, decision: Decision): void {
    if (this.#isOver) throw new Error("sip-presence: setPolicy: the server is closed");
    if (!DECISIONS.includes(decision)) throw new TypeError(`sip-presence: decision: give one of ${DECISIONS.join(", ")}`);
    if (!this.#core.setPolicy(presentity, watcher, decision)) {
      throw new TypeError("sip-presence: setPolicy: give the names of two users, such as \"alice\" and \"bob\", no addresses");
    }
    this.#state?.changed();
  }

  #send(id: number, data: string | Uint8Array): void {
    const socket = this.#sockets.get(id);
    if (socket?.readyState !== WebSocket.OPEN) return;
    if (socket.bufferedAmount > MOST_UNSENT) socket.terminate();
    // The core reuses its memory: bytes are copied before they wait in a queue.
    else socket.send(typeof data === "string" ? data : Buffer.from(data));
  }

  /** Ends connections that have given no sign of life since the last beat. */
  #beat(): void {
    for (const socket of this.#sockets.values()) {
      if (!this.#alive.has(socket)) {
        socket.terminate();
      } else {
        this.#alive.delete(socket);
        socket.ping();
      }
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#heartbeat);
    this.#isOver = true;
    this.#core.shutdown();
    const closing = [...this.#sockets.values()].map((socket) => new Promise<void>((resolve) => {
      const timer = setTimeout(() => socket.terminate(), CLOSING);
      socket.once("close", () => {
        clearTimeout(timer);
        resolve();
      });
      socket.close(1001, "server goes away");
    }));
    await Promise.all(closing);
    await this.#state?.close();
    clearTimeout(this.#timer);
    this.#core.free();
  }
}

function refuse(socket: Duplex, status: string): void {
  socket.on("error", () => {});
  // A client that keeps its side open would hold the socket for ever.
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () => socket.destroy());
}

function event(kind: string, about: string, more: string): ServerEvent {
  switch (kind) {
    case "subscribed": return { kind, watcher: about, presentity: more };
    case "conflict": return { kind, user: about, what: more };
    case "refused": {
      const [, status, user] = /^(\d+)(?: (.*))?$/s.exec(more) ?? [];
      return { kind, method: about, status: Number(status), ...(user === undefined ? {} : { user }) };
    }
    default: return { kind: kind as "registered" | "published" | "ruled" | "ignored", user: about };
  }
}
