/** The contract between the façade and the wasm class `Core` (`src/wasm/page.rs`). */

import type { Record } from "./record.js";
import type { AgentOptions, ChallengeInfo, Failure, Policy, WatchersCallback } from "./types.js";

/** What an agent says who it is with. */
export interface CoreCredentials {
  readonly username?: string;
  /** A word and a blank before each: none before a password, "Bearer" before a token, the algorithm before a hash. */
  readonly secret?: readonly string[];
}

/** What a core is made from: everything checked, every default filled in. */
export interface CoreOptions extends CoreCredentials {
  readonly servers: readonly string[];
  readonly aor: string;
  readonly displayName: string | undefined;
  /** Whether {@link Kind.Challenged} is to be told. */
  readonly asks: true | undefined;
  readonly authorizationServers: readonly string[];
  readonly register: true | undefined;
  /** A URN that names this device. */
  readonly instance: string;
  /** Seconds. */
  readonly expires: number;
  /** Seconds; 0: only as the server asks. */
  readonly keepAlive: number | undefined;
  /** Value of the Route header. */
  readonly route: string;
  /** Parameters of the Event header. */
  readonly rates: string;
  /** Milliseconds. */
  readonly linger: number;
  readonly window: number;
  readonly listServer: string | undefined;
  readonly userAgent: string;
  /** How watchers are known: a word, or an empty text and `name:kind secret` for each; none if nobody may watch. */
  readonly identities: readonly string[];
  /** An empty text and `name:kind secret` for each presence agent; none if nobody has to prove anything. */
  readonly notifiers: readonly string[] | undefined;
}

/** What is to be published. */
export interface CorePublication {
  readonly status: string;
  readonly note: string | undefined;
  readonly activities: readonly string[];
  /** Epoch milliseconds. */
  readonly until: number | undefined;
  /** 0 if the user is there, the time of the last input if not. */
  readonly input?: number | undefined;
}

/** How a value goes to the core: `src/wasm/fields.rs` reads it. */
export function toFields(value: CoreCredentials | CoreOptions | CorePublication): string {
  return Object.entries(value).flatMap(([name, given]: [string, unknown]) =>
    [given ?? []].flat().map((item) => `${name}=${String(item).replaceAll("\0", "")}`)).join("\0");
}

/**
 * The kinds of events, in the order of `src/wasm/page.rs`. `Challenged` is answered with {@link Verb.Credentials} and the same
 * number. `Timer`: {@link Verb.Fired} is to be told after so many milliseconds, and not when it was to be told before.
 * `Explained`: status, rule and element id; the last document if there is one, then what was wrong in it; or nothing.
 */
export const enum Kind {
  State, Connection, Error, Trace, Settled, Fetched, Closed, Member, Session, Challenged, Timer, Explained, Watchers,
}

/** What is watched, in the order of `src/wasm/page.rs`. */
export const enum Subject { Presence, List, Dialogs, Watchers }

/** Who hears of events. No method may throw. */
export interface CoreHost {
  handle(kind: Kind, id: number, words: Uint32Array, text: string): void;
  /** A WebSocket that gives array buffers and tells all its events but errors. Where there is none, it tells that it was closed. */
  open(url: string): object | undefined;
  /** Where messages and texts are to be written, until the memory of the module grows: then it has no length any more. */
  lend(buffer: Uint8Array): void;
  /** Writes the fields of {@link CoreOptions}, and says how many bytes they have. */
  writeOptions(): number;
  /** What a watcher gets, or a promise of it. The record has the address and the name. */
  authorize?(words: Uint32Array, text: string): string | Promise<string>;
}

/** What a core is told, with the numbers of `src/wasm/page.rs`, which says what goes with each. */
export const enum Verb {
  Watch, Start, Recall, Unwatch, Fetch, Publish, Unpublish, Wake, Restore, Suspend, Trace, Close, Opened, Closed, Fired, Credentials,
  Explain,
}

/** A presence agent. A verb only tells it; `pump` acts on what was told. */
export interface Core {
  pump(): void;
  /** The number of a watch or of a request; 0 for an address that cannot be read. `length`: of the text that was written. */
  tell(verb: Verb, number: number, length: number): number;
  /** Lends room for a text of so many bytes, or for a message of as many unless none may have them. */
  reserve(bytes: number, isMessage: boolean): void;
  /** Acts on a message of so many bytes that was written. */
  receive(bytes: number): void;
  /** The full module: what somebody gets from now on; false if it has no room. */
  policy(uri: string, policy: string): boolean;
  /** The full module: who watches is told from now on. */
  listen(): void;
  release(): void;
  free(): void;
}

/** `room`: more bytes than the options have. */
export type CoreConstructor = new (room: number, host: CoreHost) => Core;

/** What an agent offers to what is added to it. */
export interface Seam {
  /** The core, while there is one. */
  core(): Core | undefined;
  dispatch(type: "error", detail: Failure): void;
  guard(act: () => void): void;
  /** Fields of {@link CoreCredentials} for a challenge; undefined gives up. */
  ask(challenge: ChallengeInfo): Promise<string | undefined>;
  /** Aborted when the agent ends. */
  readonly signal: AbortSignal;
}

/** What is added to an agent that is a presence agent, or whose server has rules: `audience.ts`. */
export interface Audience {
  readonly host: Pick<CoreHost, "authorize">;
  /** Does what has to be done before there is a core. */
  load(): Promise<void>;
  /** There is a core. */
  start(): void;
  /** Who watches. */
  tell(record: Record): void;
  watchers(callback: WatchersCallback): () => void;
  setPolicy(uri: string, policy: Policy): Promise<void>;
  end(): void;
}

export type Attach = (options: AgentOptions, seam: Seam) => Audience;

/** A wasm module, and what is added to agents that have it. */
export interface Module {
  readonly Core: CoreConstructor;
  readonly attach: Attach | undefined;
}

/** Loads the wasm module, once for all agents of a page; `source` says where from. Tries again after a failure. */
export type Load = (source: unknown) => Promise<Module>;
