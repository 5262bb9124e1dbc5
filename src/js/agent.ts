/**
 * The façade: what `createAgent` returns. It keeps the callbacks and the last states; all protocol is in the core.
 *
 * Verbs may be called before the wasm module is there: they wait for it. A verb tells the core, takes note of the
 * number it gets, then lets the core act (`pump`), so that an event never comes before its number is known.
 */
import { watchInput } from "./auto-away.js";
import {
  type Audience, type Core, type CoreHost, type CoreOptions, type CorePublication, Kind, type Load, Subject, toFields, Verb,
} from "./core.js";
import { localFailure, PresenceError } from "./failure.js";
import {
  checkAddress, checkAutoAway, checkCredentials, checkOptions, checkPolicy, checkPublication, checkSubject, checkWatching,
  checkWebSocket, needsFull, wrong,
} from "./options.js";
import { type CoreState, Record } from "./record.js";
import { type Session, takeSession } from "./session.js";
import { ended, isBlank, isOver, unknown } from "./state.js";
import type {
  Agent, AgentEventMap, AgentOptions, AutoAwayOptions, ChallengeInfo, ConnectionInfo, CredentialsProvider, Explanation, Failure,
  PresenceState, Policy, PublishOptions, WatchCallback, WatchOptions, WatchersCallback,
} from "./types.js";

/** Snapshots of presentities that nobody watches, kept so that each stays the same object. */
const MOST_UNKNOWN = 1000;

const IS_FIREFOX = "mozInnerScreenX" in globalThis;

/** Milliseconds within which Firefox stops a script of a tab that is closed: for all agents of a page together. */
const STOPPED_WITHIN = 50;

/** What sets the key of a watch apart, by its subject: no address has a blank. */
const MARKS = ["", "list ", "dialog ", "winfo "] as const;

interface Watch {
  readonly key: string;
  readonly uri: string;
  readonly subject: Subject;
  /** The last states of the members, if it is the watch of a list. */
  readonly members: Map<string, PresenceState> | undefined;
  /** The core's number; several spellings of one address share it. */
  id: number | undefined;
  state: PresenceState;
  readonly callbacks: Set<{ readonly call: WatchCallback }>;
}

interface Request {
  resolve(state: PresenceState | undefined): void;
  reject(failure: Failure): void;
}

/** An exception of the application's own callback: it must not stop the others. */
function report(error: unknown): void {
  if (typeof reportError === "function") reportError(error);
  else queueMicrotask(() => { throw error; });
}

function guard(act: () => void): void {
  try {
    act();
  } catch (error) {
    report(error);
  }
}

function textOf(error: unknown): string {
  const it = error as Error | undefined;
  // What Firefox throws of a socket that a policy forbids is no `Error`, and has only a name.
  return String(it?.message || it?.name || error);
}

/** One listener for all loops that end with a signal: hosts warn of many. */
const loops = new WeakMap<AbortSignal, Set<() => void>>();

function loopsOf(signal: AbortSignal): Set<() => void> {
  let ends = loops.get(signal);
  if (ends === undefined) {
    const all = new Set<() => void>();
    signal.addEventListener("abort", () => { for (const end of [...all]) end(); }, { once: true });
    loops.set(signal, ends = all);
  }
  return ends;
}

/** See {@link Agent}. */
export class PresenceAgent extends EventTarget implements Agent {
  readonly #watches = new Map<string, Watch>();
  readonly #lists = new Set<Watch>();
  readonly #byId = new Map<number, Set<Watch>>();
  readonly #requests = new Map<number, Request>();
  readonly #unknown = new Map<string, PresenceState>();
  readonly #ended = new AbortController();
  readonly #credentials: CredentialsProvider | undefined;
  readonly #options: Omit<CoreOptions, "instance">;
  readonly #WebSocket: new (...args: unknown[]) => object;
  readonly #full: boolean;
  readonly #taken: Promise<Session>;
  #session: Session | undefined;
  #connection: ConnectionInfo = Object.freeze({ state: "connecting", attempt: 0 });
  #core: Core | undefined;
  /** Why there will be no core any more. */
  #failure: Failure | undefined;
  #waiting: (() => void)[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Firefox only: whether the next socket that is closed is closed because the page is being left. */
  #isLeft = false;
  #texts: readonly string[] = [];
  /** Where the core reads messages and texts. */
  #buffer: Uint8Array = new Uint8Array();
  #trace = false;
  /** Whether this page is a presence agent, and whether its server has rules. */
  readonly #isWatched: boolean;
  readonly #hasRules: boolean;
  #audience: Audience | undefined;
  /** What the application wants to be published. */
  #wish: CorePublication | undefined;
  /** 0 if the user is here, the time of the last input if not; undefined while nobody looks. */
  #input: number | undefined;
  #stopInput = (): void => {};
  /** Of a closed agent. */
  readonly #explanations = new Map<string, Explanation>();
  #closing: Promise<void> | undefined;
  #handleClosed = (): void => {};

  constructor(options: AgentOptions, load: Load) {
    super();
    this.#options = checkOptions(options);
    this.#WebSocket = checkWebSocket(options);
    this.#full = needsFull(options);
    this.#credentials = options.credentials;
    this.#isWatched = options.authorize !== undefined;
    this.#hasRules = options.xcapRoot !== undefined;
    this.#taken = takeSession(this.#options.aor, options.keepSession !== false);
    const loaded = load(options.wasm).then(async ({ Core, attach }) => {
      if (this.#isWatched || this.#hasRules) {
        this.#audience = attach?.(options, {
          core: () => this.#core, dispatch: this.#dispatch.bind(this), guard, ask: (challenge) => this.#ask(challenge), signal: this.#ended.signal,
        });
        await this.#audience?.load();
      }
      return Core;
    });
    Promise.all([loaded, this.#taken]).then(([Core, session]) => {
      if (this.#failure !== undefined) return;
      this.#session = session;
      const options = { ...this.#options, instance: session.instance };
      const fields = toFields(options);
      const host = { ...this.#host(), writeOptions: () => this.#write(fields), ...this.#audience?.host };
      const core = new Core(3 * fields.length, host);
      this.#core = new Proxy(core, {
        get: (target, name) => {
          const method = Reflect.get(target, name) as (...args: unknown[]) => unknown;
          return (...args: unknown[]) => this.#attempt(() => method.apply(target, args));
        },
      });
      this.#tell(Verb.Trace, Number(this.#trace));
      this.#audience?.start();
      this.#restore();
      this.#listen();
      for (const act of this.#waiting.splice(0)) act();
      this.#pump();
    }).catch((error: unknown) => {
      this.#end(localFailure("module", { reason: textOf(error) }));
    });
  }

  /** What goes into the core goes through here: after an exception nothing that it says can be relied on. */
  #attempt<T>(act: () => T): T | undefined {
    try {
      return act();
    } catch (error) {
      const core = this.#core;
      this.#core = undefined;
      this.#end(localFailure("library", { reason: textOf(error) }));
      core?.release();
      return undefined;
    }
  }

  /** Does `act` when the module is there, or `refuse` when there is or will be none. */
  #when(act: () => void, refuse: (failure: Failure) => void): void {
    if (this.#failure !== undefined) {
      refuse(this.#failure);
    } else if (this.#core !== undefined) {
      act();
    } else {
      this.#waiting.push(() => this.#when(act, refuse));
    }
  }

  #host(): Omit<CoreHost, "writeOptions"> {
    return {
      handle: (kind, id, words, text) => guard(() => this.#handle(kind, id, new Record(words, text))),
      open: (url) => {
        let cause = "";
        try {
          // The package `ws` would keep a process alive for 30 seconds after it; others do not look at it.
          const socket = new this.#WebSocket(url, "sip", { closeTimeout: 1000 });
          return Object.assign(socket, {
            binaryType: "arraybuffer",
            onopen: () => this.#happen(Verb.Opened, Number((socket as WebSocket).protocol === "sip")),
            onmessage: (event?: MessageEvent) => this.#attempt(() => this.#core?.receive(this.#write(event?.data, true))),
            // Classes of the application's own may say less than a browser.
            onclose: (event?: CloseEvent) => {
              this.#happen(Verb.Closed, event?.code, `${event?.reason || cause}`);
              if (this.#isLeft) this.#happen(Verb.Wake, 1);
              this.#isLeft = false;
            },
            // Some hosts say here why. Of a socket that a policy forbids, Chromium and WebKit tell this, and then not that it is closed.
            onerror: (event?: ErrorEvent) => {
              cause = event?.message ?? "";
              const it = socket as WebSocket;
              // WebKit calls it closed a little later. The core takes the handler away when it knows it.
              setTimeout(() => {
                if (it.readyState === 3) it.onclose?.({} as CloseEvent);
              });
            },
          });
        } catch (error) {
          this.#tell(Verb.Closed, 0, textOf(error));
          return undefined;
        }
      },
      lend: (buffer) => { this.#buffer = buffer; },
    };
  }

  /** The number of a watch or of a request; 0 for an address that cannot be read. */
  #tell(verb: Verb, number = 0, text = ""): number {
    return this.#core?.tell(verb, number, this.#write(text)) ?? 0;
  }

  #pump(): void {
    this.#core?.pump();
  }

  /** Tells the core what has happened, and lets it act. */
  #happen(verb: Verb, number?: number, text?: string): void {
    this.#tell(verb, number, text);
    this.#pump();
  }

  /** Writes a text or a message straight into the memory of the core: the bytes of it that had room. */
  #write(data: unknown, isMessage = false): number {
    // What is neither a text nor bytes has none.
    const bytes = typeof data === "string" ? undefined
      : ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
        : new Uint8Array(data as ArrayBuffer);
    // A UTF-16 unit takes three bytes of UTF-8 at most.
    const most = bytes?.length ?? 3 * (data as string).length;
    if (this.#buffer.length <= most) this.#core?.reserve(most, isMessage);
    if (bytes === undefined) return new TextEncoder().encodeInto(data as string, this.#buffer).written;
    const held = bytes.subarray(0, this.#buffer.length);
    this.#buffer.set(held);
    return held.length;
  }

  /** Fields of the credentials for a challenge. */
  async #ask(challenge: ChallengeInfo): Promise<string | undefined> {
    try {
      const provide = this.#credentials;
      const answer = typeof provide === "function" ? await provide(challenge) : provide;
      return answer === undefined ? undefined : toFields(checkCredentials(answer));
    } catch (error) {
      this.#dispatch("error", localFailure("no-credentials", { reason: textOf(error) }));
      return undefined;
    }
  }

  #handle(kind: Kind, id: number, record: Record): void {
    switch (kind) {
      case Kind.State:
      case Kind.Member: {
        const state = record.state();
        for (const watch of [...(this.#byId.get(id) ?? [])]) this.#update(watch, state, kind === Kind.Member);
        break;
      }
      case Kind.Connection:
        this.#setConnection(record.connection());
        break;
      case Kind.Error: {
        const failure = record.failure();
        // Who names the place of the server's rules knows who decides.
        if (failure.code !== "not-asked" || !this.#hasRules) this.#dispatch("error", failure);
        break;
      }
      case Kind.Trace: {
        const direction = id === 0 ? "sent" : "received";
        this.#dispatch("trace", Object.freeze({ direction, text: record.text(), at: Date.now() }));
        break;
      }
      case Kind.Settled:
      case Kind.Fetched: {
        const request = this.#requests.get(id);
        this.#requests.delete(id);
        const failure = record.result();
        if (failure !== undefined) request?.reject(failure);
        else request?.resolve(kind === Kind.Fetched ? record.state() : undefined);
        break;
      }
      case Kind.Session:
        this.#session?.save(record.text(), this.#options.expires);
        break;
      case Kind.Challenged:
        void this.#ask(record.challenge()).then((fields) => this.#happen(Verb.Credentials, id, fields));
        break;
      case Kind.Timer:
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => this.#happen(Verb.Fired), id);
        break;
      case Kind.Explained:
        this.#texts = record.list(() => record.text());
        break;
      case Kind.Watchers:
        this.#audience?.tell(record);
        break;
      case Kind.Closed:
        this.#handleClosed();
        break;
    }
  }

  #dispatch(type: string, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  #setConnection(info: ConnectionInfo): void {
    this.#connection = info;
    this.#dispatch("connection", info);
  }

  #update(watch: Watch, state: PresenceState, isMember = false): void {
    const { members, callbacks } = watch;
    if (!isMember) {
      // What says no more than that nothing is known yet has been told at the start of the watch.
      if (isBlank(state) && isBlank(watch.state)) return;
      watch.state = state;
      // How the subscription to a list stands is for `snapshot`.
      if (members !== undefined) return;
    } else if (state.subscription.reason === "removed") {
      members?.delete(state.uri);
    } else {
      members?.set(state.uri, state);
    }
    const uri = isMember ? state.uri : watch.uri;
    for (const callback of [...callbacks]) {
      if (callbacks.has(callback)) guard(() => callback.call(state, uri));
    }
  }

  /** No core, and none to come. */
  #end(failure: Failure): void {
    if (this.#failure !== undefined) return;
    this.#failure = failure;
    this.#ended.abort();
    clearTimeout(this.#timer);
    this.#stopInput();
    this.#audience?.end();
    void this.#taken.then((session) => session.end());
    for (const act of this.#waiting.splice(0)) act();
    for (const { reject } of this.#requests.values()) reject(failure);
    this.#requests.clear();
    for (const watch of [...this.#watches.values()]) this.#refuse(watch, failure);
    this.#handleClosed();
    const reason = failure.code === "closed" ? {} : { reason: failure };
    if (failure.code !== "closed") this.#dispatch("error", failure);
    if (this.#connection.state !== "closed") {
      this.#setConnection(Object.freeze({ state: "closed", attempt: 0, ...reason }));
    }
  }

  #restore(): void {
    const text = this.#session?.load();
    if (text !== undefined) this.#tell(Verb.Restore, 0, text);
  }

  /**
   * A page that sleeps has no timers; a page that wakes looks at the clock at once. A page that goes away may come back
   * from the back/forward cache, where another page of the tab may have been in its place.
   */
  #listen(): void {
    const { signal } = this.#ended;
    const on = (target: EventTarget | undefined, type: string, act: (event: Event) => void): void =>
      target?.addEventListener?.(type, (event) => {
        if (this.#core === undefined) return;
        act(event);
        this.#pump();
      }, { signal });
    on(globalThis, "online", () => this.#tell(Verb.Wake, 1));
    // The host may be wrong, or the server on this side of the gap: the server itself is asked.
    on(globalThis, "offline", () => this.#tell(Verb.Wake));
    on(globalThis.document, "visibilitychange", () => this.#tell(Verb.Wake));
    // When a page is left for another, Firefox closes the sockets first, and hides the page when the other one answers: meanwhile
    // another socket can be opened, and used to say goodbye.
    if (IS_FIREFOX) on(globalThis, "beforeunload", () => { this.#isLeft = true; });
    // When a tab is closed Firefox stops, once and a little later, whatever script is running in it. This listener runs
    // until then, so that it is not the next one, which says goodbye.
    on(globalThis, "pagehide", ({ timeStamp }) => {
      while (IS_FIREFOX && this.#connection.state === "online" && performance.now() < timeStamp + STOPPED_WITHIN);
    });
    on(globalThis, "pagehide", () => {
      this.#happen(Verb.Suspend);
      this.#session?.leave();
    });
    on(globalThis, "pageshow", (event) => {
      const { persisted } = event as PageTransitionEvent;
      if (persisted) {
        this.#session?.retake();
        this.#restore();
      }
      this.#tell(Verb.Wake, Number(persisted));
    });
  }

  get connection(): ConnectionInfo {
    return this.#connection;
  }

  watch(uri: string | readonly string[], callback: WatchCallback, options?: WatchOptions): () => void {
    const uris = (Array.isArray(uri) ? uri : [uri]).map(checkAddress);
    if (typeof callback !== "function") wrong("watch takes a callback");
    return this.#watch([...new Set(uris)], callback, this.#subject(options));
  }

  watchList(uri: string, callback: WatchCallback): () => void {
    if (typeof callback !== "function") wrong("watchList takes a callback");
    if (!this.#full) wrong("for watchList make the agent with the option full: true");
    return this.#watch([checkAddress(uri)], callback, Subject.List);
  }

  #watch(uris: string[], call: WatchCallback, subject: Subject): () => void {
    const fresh: Watch[] = [];
    const ends = uris.map((uri) => this.#join(uri, call, subject, fresh));
    if (fresh.length > 0) {
      this.#when(() => this.#start(fresh), (failure) => {
        for (const watch of fresh) this.#refuse(watch, failure);
      });
    }
    return () => {
      for (const end of ends.splice(0)) end();
    };
  }

  /** Adds a callback to a watch, and the watch to `fresh` if it has to be started. */
  #join(uri: string, call: WatchCallback, subject: Subject, fresh: Watch[]): () => void {
    const key = MARKS[subject] + uri;
    const isList = subject === Subject.List;
    const known = this.#watches.get(key);
    const members = isList ? new Map<string, PresenceState>() : undefined;
    const watch = known ?? { key, uri, subject, members, id: undefined, state: this.#blank(uri), callbacks: new Set() };
    const callback = { call };
    watch.callbacks.add(callback);
    this.#watches.set(key, watch);
    if (isList) this.#lists.add(watch);
    // A watch that has ended for good begins again when somebody asks again.
    if (known === undefined || isOver(known.state)) fresh.push(watch);
    const states = watch.members?.values() ?? [this.#snapshot(uri, subject)];
    for (const state of [...states]) guard(() => call(state, isList ? state.uri : uri));
    return () => {
      watch.callbacks.delete(callback);
      if (watch.callbacks.size === 0 && this.#watches.get(key) === watch) this.#stop(watch);
    };
  }

  #refuse(watch: Watch, failure: Failure): void {
    if (watch.state.subscription.reason === failure.code) return;
    this.#update(watch, ended(watch.state, failure));
    for (const state of [...watch.members?.values() ?? []]) this.#update(watch, ended(state, failure), true);
  }

  #start(watches: readonly Watch[]): void {
    for (const watch of watches) {
      if (this.#watches.get(watch.key) === watch) this.#number(watch);
    }
    this.#happen(Verb.Start);
  }

  /** Tells the core of `watch`. */
  #number(watch: Watch): void {
    const id = this.#tell(Verb.Watch, watch.subject, watch.uri);
    if (this.#failure !== undefined) return;
    if (id === 0) {
      const failure = localFailure("bad-address", { uri: watch.uri });
      this.#dispatch("error", failure);
      this.#refuse(watch, failure);
      return;
    }
    const before = watch.id;
    watch.id = id;
    if (before !== undefined) this.#leave(watch, before);
    const sharers = this.#byId.get(id) ?? new Set();
    this.#byId.set(id, sharers.add(watch));
    // A watch that lingers, or that another spelling of the address holds, has a state already.
    const [other] = [...sharers].filter((sharer) => sharer !== watch);
    if (other === undefined) {
      this.#tell(Verb.Recall, id);
    } else {
      this.#update(watch, other.state);
      for (const state of [...other.members?.values() ?? []]) this.#update(watch, state, true);
    }
  }

  #stop(watch: Watch): void {
    this.#watches.delete(watch.key);
    this.#lists.delete(watch);
    if (watch.id === undefined || this.#core === undefined) return;
    this.#leave(watch, watch.id);
    this.#pump();
  }

  /** `watch` has no part any more in the core's watch `id`. */
  #leave(watch: Watch, id: number): void {
    const sharers = this.#byId.get(id);
    sharers?.delete(watch);
    if (sharers?.size === 0) this.#byId.delete(id);
    this.#tell(Verb.Unwatch, id);
  }

  /** A loop that is slower than the changes sees the newest state, not each one. */
  changes(uri: string, options: WatchOptions & { readonly signal?: AbortSignal } = {}): AsyncIterableIterator<PresenceState> {
    checkAddress(uri);
    checkWatching(options, "package signal");
    const { signal, ...watching } = options;
    this.#subject(watching);
    if (signal !== undefined && !(signal instanceof AbortSignal)) wrong("signal: give an AbortSignal");
    const signals = [this.#ended.signal, ...(signal === undefined ? [] : [signal])];
    const done: IteratorResult<PresenceState, undefined> = { done: true, value: undefined };
    const waiting: ((result: IteratorResult<PresenceState, undefined>) => void)[] = [];
    let newest: PresenceState | undefined;
    let isOver = false;
    let unwatch: (() => void) | undefined;
    const end = (): void => {
      isOver = true;
      for (const one of signals) loopsOf(one).delete(end);
      for (const resolve of waiting.splice(0)) resolve(done);
      unwatch?.();
    };
    const begin = (): void => {
      if (signals.some((one) => one.aborted)) return end();
      for (const one of signals) loopsOf(one).add(end);
      unwatch = this.watch(uri, (state) => {
        const resolve = waiting.shift();
        if (resolve === undefined) newest = state;
        else resolve({ done: false, value: state });
      }, watching);
    };
    return {
      next: () => new Promise((resolve) => {
        if (unwatch === undefined && !isOver) begin();
        const value = newest;
        newest = undefined;
        if (isOver) resolve(done);
        else if (value !== undefined) resolve({ done: false, value });
        else waiting.push(resolve);
      }),
      return: () => {
        end();
        return Promise.resolve(done);
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  snapshot(uri: string, options?: WatchOptions): PresenceState {
    return this.#snapshot(uri, this.#subject(options));
  }

  #subject(options: WatchOptions | undefined): Subject {
    return checkSubject(options, this.#full);
  }

  #snapshot(uri: string, subject: Subject): PresenceState {
    const source = this.#source(uri, subject);
    return source?.members?.get(uri) ?? source?.state ?? this.#blank(uri);
  }

  /** Who knows of `uri`: a watch of it, else a list that has it as a member, else the list of this address. */
  #source(uri: string, subject: Subject): Watch | undefined {
    const watch = this.#watches.get(MARKS[subject] + uri);
    if (subject !== Subject.Presence || (watch !== undefined && !isBlank(watch.state))) return watch;
    for (const list of this.#lists) {
      if (list.members?.has(uri)) return list;
    }
    return watch ?? this.#watches.get(MARKS[Subject.List] + uri);
  }

  #blank(uri: string): PresenceState {
    let state = this.#unknown.get(checkAddress(uri));
    if (state === undefined) {
      if (this.#unknown.size >= MOST_UNKNOWN) this.#unknown.clear();
      state = unknown(uri);
      this.#unknown.set(uri, state);
    }
    return state;
  }

  /** Makes a request of the core. With `refuse` the promise waits for ever if it fails. */
  #request(verb: Verb, text: string, number = 0, refuse?: (failure: Failure) => void): Promise<PresenceState | undefined> {
    return new Promise((resolve, settle) => {
      const reject = refuse ?? ((failure: Failure): void => settle(new PresenceError(failure)));
      this.#when(() => {
        const id = this.#tell(verb, number, text);
        if (!id) {
          // Nothing but an address can be wrong.
          reject(this.#failure ?? localFailure("bad-address", { uri: text }));
          return;
        }
        this.#requests.set(id, { resolve, reject });
        this.#pump();
      }, reject);
    });
  }

  async #fetch(uri: string, subject: Subject): Promise<PresenceState> {
    return await this.#request(Verb.Fetch, uri, subject) ?? unknown(uri);
  }

  fetch(uri: string, options?: WatchOptions): Promise<PresenceState> {
    return this.#fetch(checkAddress(uri), this.#subject(options));
  }

  publish(options: PublishOptions): Promise<void> {
    this.#wish = checkPublication(options);
    return this.#publish(this.#wish).then(() => {});
  }

  /** Publishes the wish as it is while the user is here, or is not. */
  #publish(wish: CorePublication, refuse?: (failure: Failure) => void): Promise<unknown> {
    const input = this.#input;
    const status = input && wish.status === "available" ? "away" : wish.status;
    return this.#request(Verb.Publish, toFields({ ...wish, status, input }), 0, refuse);
  }

  unpublish(): Promise<void> {
    this.#wish = undefined;
    return this.#request(Verb.Unpublish, "").then(() => {});
  }

  autoAway(options: AutoAwayOptions = {}): () => void {
    const after = checkAutoAway(options);
    const tell = (input: number | undefined): void => {
      if (this.#input === input || this.#failure !== undefined) return;
      this.#input = input;
      if (this.#wish === undefined) return;
      void this.#publish(this.#wish, (failure) => {
        if (this.#failure === undefined) this.#dispatch("error", failure);
      });
    };
    this.#stopInput();
    const stop = this.#failure === undefined ? watchInput(after, tell) : () => {};
    this.#stopInput = stop;
    tell(0);
    return () => {
      stop();
      if (this.#stopInput === stop) tell(undefined);
    };
  }

  watchers(callback: WatchersCallback): () => void {
    if (typeof callback !== "function") wrong("watchers takes a callback");
    if (!this.#isWatched) return this.#watchersAtServer(callback);
    let end: (() => void) | undefined = (): void => {};
    const begin = (): void => {
      if (end !== undefined) end = this.#audience?.watchers(callback) ?? end;
    };
    if (this.#core === undefined) guard(() => callback(Object.freeze([])));
    this.#when(begin, () => {});
    return () => {
      end?.();
      end = undefined;
    };
  }

  /** Watches who watches the own address (RFC 3857). */
  #watchersAtServer(callback: WatchersCallback): () => void {
    if (!this.#full) wrong("for watchers make the agent with the option authorize, or full: true");
    let before: string | undefined;
    return this.#watch([this.#options.aor], (state) => {
      const { watchers = Object.freeze([]) } = state as CoreState;
      const now = JSON.stringify(watchers);
      // How the subscription stands is no news of the watchers.
      if (now !== before) {
        before = now;
        callback(watchers);
      }
    }, Subject.Watchers);
  }

  setPolicy(uri: string, policy: Policy): Promise<void> {
    checkAddress(uri);
    checkPolicy(policy);
    if (!this.#isWatched && !this.#hasRules) wrong("setPolicy needs authorize or xcapRoot");
    return new Promise((resolve, reject) => {
      this.#when(() => resolve(this.#audience?.setPolicy(uri, policy)), (failure) => reject(new PresenceError(failure)));
    });
  }

  explain(uri: string, options?: WatchOptions): Explanation {
    return this.#explain(checkAddress(uri), this.#subject(options));
  }

  #explain(uri: string, subject: Subject): Explanation {
    const last = this.#explanations.get(MARKS[subject] + uri);
    if (last !== undefined) return last;
    const [status, rule, element, , ...warnings] = this.#known(uri, subject);
    return Object.freeze({
      status: (status ?? this.#snapshot(uri, subject).status) as Explanation["status"],
      rule: rule ?? "no-document",
      ...(element ? { element } : {}),
      warnings: Object.freeze(warnings),
    });
  }

  document(uri: string, options?: WatchOptions): string | undefined {
    return this.#known(checkAddress(uri), this.#subject(options))[3];
  }

  /** What {@link Kind.Explained} tells. */
  #known(uri: string, subject: Subject): readonly string[] {
    const id = this.#source(uri, subject)?.id;
    this.#texts = [];
    if (id !== undefined) this.#tell(Verb.Explain, id, uri);
    return this.#texts;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const core = this.#core;
    if (core !== undefined && this.#failure === undefined) {
      await new Promise<void>((resolve) => {
        this.#handleClosed = resolve;
        this.#happen(Verb.Close);
      });
      for (const { uri, subject, members } of this.#watches.values()) {
        // The members of a list are asked for by their own addresses.
        const kind = subject === Subject.List ? Subject.Presence : subject;
        for (const one of [uri, ...members?.keys() ?? []]) this.#explanations.set(MARKS[kind] + one, this.#explain(one, kind));
      }
      this.#core = undefined;
      core.free();
    }
    this.#end(localFailure("closed"));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  override addEventListener<K extends keyof AgentEventMap>(
    type: K, listener: (event: AgentEventMap[K]) => void, options?: boolean | AddEventListenerOptions): void;
  override addEventListener(
    type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions): void;
  override addEventListener(type: string, listener: unknown, options?: boolean | AddEventListenerOptions): void {
    super.addEventListener(type, listener as EventListener | null, options);
    // Tracing costs a copy of each message: only for those who listen.
    if (type === "trace") {
      this.#trace = true;
      this.#tell(Verb.Trace, 1);
    }
  }
}
