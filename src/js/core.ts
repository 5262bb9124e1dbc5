/** The contract between the façade and the wasm class `Core` (`src/wasm/page.rs`). */

/** A user name, and pairs of digest algorithm and hash, or of "" and the password, or of "Bearer" and a token. */
export interface CoreCredentials {
  readonly username: string;
  readonly secret: readonly string[];
}

/** What a core is made from: everything checked, every default filled in. */
export interface CoreOptions {
  readonly servers: readonly string[];
  readonly aor: string;
  readonly displayName: string | undefined;
  readonly credentials: CoreCredentials | undefined;
  /** Whether {@link CoreHost.askCredentials} is to be called. */
  readonly asks: boolean;
  readonly authorizationServers: readonly string[];
  readonly register: boolean;
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
  readonly trace: boolean;
  readonly webSocket: unknown;
}

/** The kinds of events, in the order of `src/wasm/page.rs`. */
export const enum Kind { State, Connection, Error, Trace, Settled, Fetched, Closed, Member, Session }

/** Who hears of events. No method may throw. */
export interface CoreHost {
  handle(kind: Kind, id: number, words: Uint32Array, text: string): void;
  askCredentials(words: Uint32Array, text: string): Promise<CoreCredentials | undefined>;
  /** `callback`, so that nothing which it throws gets lost. */
  guard(callback: () => void): () => void;
  readonly ignore: () => void;
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
  /** `input`: 0 if the user is there, the time of the last input if not. */
  publish(
    status: string, note: string | undefined, activities: string[], until: number | undefined, input: number | undefined): number;
  unpublish(): number;
  explain(watch: number, uri: string): string[] | undefined;
  wake(online: boolean): void;
  restore(text: string): void;
  suspend(): void;
  trace(on: boolean): void;
  close(): void;
  release(): void;
  free(): void;
}

export type CoreConstructor = new (options: CoreOptions, host: CoreHost, seed: Uint8Array) => Core;

/** Loads the wasm module, once for all agents of a page; `source` says where from. Tries again after a failure. */
export type Load = (source: unknown) => Promise<CoreConstructor>;
