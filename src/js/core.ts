/** The contract between the façade and the wasm class `Core` (`src/wasm/page.rs`). */

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
  /** Whether {@link CoreHost.askCredentials} is to be called. */
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

/** The kinds of events, in the order of `src/wasm/page.rs`. */
export const enum Kind { State, Connection, Error, Trace, Settled, Fetched, Closed, Member, Session }

/** Who hears of events. No method may throw. */
export interface CoreHost {
  handle(kind: Kind, id: number, words: Uint32Array, text: string): void;
  /** Fields of {@link CoreCredentials}. */
  askCredentials(words: Uint32Array, text: string): Promise<string | undefined>;
  /** A WebSocket that gives array buffers, or why there is none. */
  open(url: string): object | string;
  /** `callback`, so that nothing which it throws gets lost. */
  guard(callback: (event: unknown) => void): (event: unknown) => void;
}

/** A presence agent. A verb only tells it; `pump` acts on what was told. */
export interface Core {
  pump(): void;
  /** The number of the watch; 0 for an address that cannot be read. After one or several, `start`. */
  watch(uri: string, list: boolean): number;
  start(): void;
  recall(watch: number): void;
  unwatch(watch: number): void;
  fetch(uri: string): number | undefined;
  /** Fields of {@link CorePublication}. */
  publish(state: string): number;
  unpublish(): number;
  /** Status, rule and element id. */
  explain(watch: number, uri: string): string | undefined;
  wake(online: boolean): void;
  restore(text: string): void;
  suspend(): void;
  trace(on: boolean): void;
  close(): void;
  release(): void;
  free(): void;
}

/** `options`: fields of {@link CoreOptions}. */
export type CoreConstructor = new (options: string, host: CoreHost, seed: Uint8Array) => Core;

/** Loads the wasm module, once for all agents of a page; `source` says where from. Tries again after a failure. */
export type Load = (source: unknown) => Promise<CoreConstructor>;
