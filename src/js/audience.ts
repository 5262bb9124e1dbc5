/**
 * The page as presence agent: asks the application what a watcher gets, keeps policies, tells who watches; and policies
 * at an XCAP server. Only the full module has it (`full.ts`, `inline.ts`).
 */
import type { Attach, Core } from "./core.js";
import { audienceFailure, PresenceError } from "./failure.js";
import { Record } from "./record.js";
import type { Failure, Policies, Policy, PolicyStore, Watcher } from "./types.js";
import { openXcap } from "./xcap.js";

// The order is that of src/wasm/audience.rs.
const STATUSES: readonly Watcher["status"][] = ["pending", "active", "waiting", "terminated"];
const WORDS: readonly string[] = ["allow", "block", "polite-block", "ask"] satisfies readonly Policy[];

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

/** Adds what only a presence agent needs to an agent with these options. */
export const attach: Attach = (options, { core, dispatch, guard, ask, signal }) => {
  const { authorize, aor, xcapRoot } = options;
  const setRule = xcapRoot === undefined ? undefined : openXcap({ root: xcapRoot, aor, ask, signal });
  const own = browserStore(aor);
  const store = options.policies ?? own;
  const policies = new Map<string, Policy>();
  const callbacks = new Set<{ readonly call: (watchers: readonly Watcher[]) => void }>();
  let watchers: readonly Watcher[] = Object.freeze([]);

  /** Takes over what is kept, as far as it is new. */
  const take = (known: Policies, to: Core | undefined): void => {
    for (const [uri, policy] of known) {
      if (typeof uri !== "string" || !WORDS.includes(policy) || policies.get(uri) === policy) continue;
      policies.set(uri, policy);
      to?.policy(uri, policy);
    }
  };
  const failure = (code: "authorize" | "policies", error: unknown, uri?: string): Failure =>
    audienceFailure(code, error instanceof Error ? error.message : String(error), uri);
  const fail = (...about: Parameters<typeof failure>): void => dispatch("error", failure(...about));
  const check = (word: unknown, uri: string): string => {
    if (WORDS.includes(word as string)) return word as string;
    fail("authorize", `not one of ${WORDS.join(", ")}`, uri);
    return "ask";
  };
  /** Another tab of the user has said something. */
  const listen = (event: StorageEvent): void => {
    if (event.key !== own.key || event.newValue === null) return;
    guard(() => {
      take(own.load() as Policies, core());
      core()?.pump();
    });
  };

  return {
    host: {
      authorize: (question, words, text) => {
        const record = new Record(words, text);
        const uri = record.text();
        const displayName = record.optional();
        try {
          const answer = authorize?.(Object.freeze({ uri, ...(displayName === undefined ? {} : { displayName }) }));
          if (!(answer instanceof Promise)) return check(answer, uri);
          answer.then((word) => check(word, uri), (error: unknown) => {
            fail("authorize", error, uri);
            return "ask";
          }).then((word) => {
            core()?.answer(question, word);
            core()?.pump();
          });
          return undefined;
        } catch (error) {
          fail("authorize", error, uri);
          return "ask";
        }
      },
    },
    load: async () => {
      if (authorize === undefined) return;
      try {
        take(await store.load(), undefined);
      } catch (error) {
        fail("policies", error);
      }
    },
    start: (to) => {
      for (const [uri, policy] of policies) to.policy(uri, policy);
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
      await setRule?.(uri, policy);
      if (authorize === undefined) return;
      policies.set(uri, policy);
      core()?.policy(uri, policy);
      core()?.pump();
      try {
        await store.save([...policies]);
      } catch (error) {
        throw new PresenceError(failure("policies", error, uri));
      }
    },
    end: () => globalThis.removeEventListener?.("storage", listen),
  };
};
