/**
 * The page as presence agent: asks the application what a watcher gets, keeps policies, tells who watches; and policies
 * at an XCAP server. Only the full module has it (`full.ts`, `inline.ts`).
 */
import { canonicalAddress } from "../../pkg/wasm/full/sip_presence_bg.js";
import type { Attach } from "./core.js";
import { audienceFailure, localFailure, PresenceError } from "./failure.js";
import { Record } from "./record.js";
import type { Failure, Policies, Policy, PolicyStore, Watcher } from "./types.js";
import { openXcap } from "./xcap.js";

// The order is that of src/wasm/audience.rs.
const STATUSES: readonly Watcher["status"][] = ["pending", "active", "waiting", "terminated"];
const WORDS: readonly string[] = ["allow", "block", "polite-block", "ask"] satisfies readonly Policy[];

/** How long a store is waited for. */
const PATIENCE = 10_000;

/** Policies in `localStorage`, or in memory where there is none. */
function browserStore(aor: string): PolicyStore & { readonly key: string } {
  const key = `sip-presence:policies:${aor}`;
  let storage: Storage | undefined;
  try {
    storage = globalThis.localStorage;
  } catch {
    // Blocked by the browser's settings: policies hold until the page is left.
  }
  return {
    key,
    load: () => {
      const known: unknown = JSON.parse(storage?.getItem(key) ?? "[]");
      return Array.isArray(known) ? known as Policies : [];
    },
    save: (policies) => storage?.setItem(key, JSON.stringify(policies)),
  };
}

/** What is kept, by the one spelling of each address: the last of two counts, and what is no policy is passed over. */
function read(known: Iterable<unknown>): Map<string, Policy> {
  const policies = new Map<string, Policy>();
  for (const pair of known) {
    const [uri, policy] = Array.isArray(pair) ? pair as unknown[] : [];
    const address = typeof uri === "string" ? canonicalAddress(uri) : undefined;
    if (address !== undefined && WORDS.includes(policy as string)) policies.set(address, policy as Policy);
  }
  return policies;
}

/** What `promise` gives, or a rejection when it takes too long. */
function soon<T>(promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer within ${PATIENCE / 1000} seconds`)), PATIENCE);
    void promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** Adds what only a presence agent needs to an agent with these options. */
export const attach: Attach = (options, { core, dispatch, guard, ask, signal }) => {
  const { authorize, aor, xcapRoot } = options;
  const setRule = xcapRoot === undefined ? undefined : openXcap({ root: xcapRoot, aor, ask, signal });
  const own = browserStore(aor);
  const store = options.policies ?? own;
  const policies = new Map<string, Policy>();
  const callbacks = new Set<{ readonly call: (watchers: readonly Watcher[]) => void }>();
  let watchers: readonly Watcher[] = Object.freeze([]);

  const failure = (code: "authorize" | "policies", error: unknown, uri?: string): Failure =>
    audienceFailure(code, error instanceof Error ? error.message : String(error), uri);
  /** An agent that has ended tells nothing. */
  const report = (failure: Failure): void => {
    if (!signal.aborted) dispatch("error", failure);
  };
  const fail = (...about: Parameters<typeof failure>): void => report(failure(...about));
  /** Tells the core; whether all have room, as far as there is a core. */
  const obey = (known: Iterable<readonly [uri: string, policy: Policy]>): boolean => {
    const results = Array.from(known, ([uri, policy]) => core()?.policy(uri, policy));
    return !results.includes(false);
  };
  /** Takes over what is kept where `isNews` says so. */
  const take = (known: Iterable<unknown>, isNews: (uri: string, policy: Policy) => boolean): void => {
    const news = [...read(known)].filter((pair) => isNews(...pair));
    for (const [uri, policy] of news) policies.set(uri, policy);
    if (!obey(news)) report(audienceFailure("too-many-policies"));
    core()?.pump();
  };
  let loading: Promise<void> | undefined;
  /** Loads what is kept, until that was done once: what is not known would be lost when all are saved. */
  const load = (): Promise<void> => loading ??= (async () => {
    // What was set meanwhile is newer.
    take(await store.load() ?? [], (uri) => !policies.has(uri));
  })().catch((error: unknown) => {
    // What cannot be read in the browser's storage will not be readable later.
    loading = store === own ? Promise.resolve() : undefined;
    throw error;
  });
  let saved: Promise<unknown> = Promise.resolve();
  /** Saves all, one after the other: the newest must not be overtaken. */
  const save = (): Promise<unknown> => {
    const done = saved.then(async () => {
      await load();
      await store.save([...policies]);
    });
    saved = done.catch(() => {});
    return soon(done);
  };
  const check = (word: unknown, uri: string): string => {
    if (WORDS.includes(word as string)) return word as string;
    fail("authorize", `not one of ${WORDS.join(", ")}`, uri);
    return "ask";
  };
  /** Another tab of the user has said something. */
  const listen = (event: StorageEvent): void => {
    if (event.key !== own.key || event.newValue === null) return;
    guard(() => take(own.load() as Policies, (uri, policy) => policies.get(uri) !== policy));
  };

  return {
    host: {
      authorize: (words, text) => {
        const record = new Record(words, text);
        const uri = record.text();
        const displayName = record.optional();
        try {
          const answer: unknown = authorize?.(Object.freeze({ uri, ...(displayName === undefined ? {} : { displayName }) }));
          if (typeof (answer as PromiseLike<unknown> | null | undefined)?.then !== "function") return check(answer, uri);
          const word = Promise.resolve(answer).then((word) => check(word, uri), (error: unknown) => {
            fail("authorize", error, uri);
            return "ask";
          });
          // A core that is gone is not told.
          return new Promise((resolve) => void word.then((word) => signal.aborted || resolve(word)));
        } catch (error) {
          fail("authorize", error, uri);
          return "ask";
        }
      },
    },
    load: async () => {
      if (authorize === undefined) return;
      try {
        await soon(load());
      } catch (error) {
        fail("policies", error);
      }
    },
    start: () => {
      if (!obey(policies)) report(audienceFailure("too-many-policies"));
      if (store === own && authorize !== undefined) globalThis.addEventListener?.("storage", listen);
    },
    tell: (record) => {
      watchers = record.list(() => {
        const id = String(record.word());
        const uri = record.text();
        const displayName = record.optional();
        const status = STATUSES[record.word()] ?? "terminated";
        const event = record.text() as Watcher["event"];
        const since = record.instant() ?? 0;
        const expires = record.instant();
        return Object.freeze({
          id, uri, status, event, since,
          ...(displayName === undefined ? {} : { displayName }), ...(expires === undefined ? {} : { expires }),
        });
      });
      for (const callback of [...callbacks]) {
        if (callbacks.has(callback)) guard(() => callback.call(watchers));
      }
    },
    watchers: (call) => {
      const callback = { call };
      if (callbacks.size === 0) core()?.listen();
      callbacks.add(callback);
      guard(() => call(watchers));
      core()?.pump();
      return () => void callbacks.delete(callback);
    },
    setPolicy: async (uri, policy) => {
      const address = canonicalAddress(uri);
      if (address === undefined) throw new PresenceError(localFailure("bad-address", { uri }));
      await setRule?.(uri, policy);
      if (authorize === undefined) return;
      if (!obey([[address, policy]])) throw new PresenceError(audienceFailure("too-many-policies", undefined, uri));
      policies.set(address, policy);
      core()?.pump();
      try {
        await save();
      } catch (error) {
        throw new PresenceError(failure("policies", error, uri));
      }
    },
    end: () => globalThis.removeEventListener?.("storage", listen),
  };
};
