/**
 * What watchers get, kept at a server: pres-rules (RFC 5025) over XCAP (RFC 4825). Only the full module has it (`full.ts`,
 * `inline.ts`); the rules themselves are read and written in `src/presence/pres_rules.rs`.
 *
 * ```text
 *   GET rules ──200 ETag──> edit ──> PUT If-Match ──2xx──> done
 *       │ 404               ^             │ 412, once: read again
 *       └──> PUT If-None-Match: *         └──> GET
 * ```
 */
import { answerChallenge, editRules, readChallenge } from "../../pkg/wasm/full/sip_presence_bg.js";
import { localFailure, PresenceError } from "./failure.js";
import type { ChallengeInfo, Failure, FailureCode, FailureSource, Policy } from "./types.js";

/** What an XCAP server is asked with. */
export interface XcapOptions {
  /** The XCAP root. */
  readonly root: string;
  /** Whose rules they are. */
  readonly aor: string;
  /** Fields of `CoreCredentials`; undefined gives up. */
  ask(challenge: ChallengeInfo): Promise<string | undefined>;
  /** Aborted when the agent ends. */
  readonly signal: AbortSignal;
}

/** Makes it so that a watcher gets what `policy` says. Rejects with a {@link PresenceError}. */
export type SetRule = (uri: string, policy: Policy) => Promise<void>;

/** As the media type says (RFC 5025 §9), and what the core reads at most. */
const MEDIA_TYPE = "application/auth-policy+xml";
const MOST_BYTES = 1 << 20;
/** As for SIP requests (Timer F). */
const PATIENCE = 32_000;
/** A first request without credentials, fresh nonces, and one more question to the application. */
const MOST_ROUNDS = 4;

const FAILURES = {
  "unauthorized": ["server", "The XCAP server refused the credentials. Check user name, password and realm."],
  "no-credentials": ["application", "The XCAP server asks for a digest password and the agent has none. Set `credentials`."],
  "algorithm": ["server",
    "The XCAP server offers no digest that the credentials fit, or the page may not see its challenge (Access-Control-Expose-Headers)."],
  "forbidden": ["server", "The XCAP server refused the request (403). The rules are not those of this user."],
  "not-found": ["server", "The XCAP server has no place for these rules (404). Check `xcapRoot` and `aor`."],
  "refused": ["server", "The XCAP server refused the request; `status` and `reason` say why."],
  "unavailable": ["server", "The XCAP server is overloaded or in maintenance (503). Try again later."],
  "server-error": ["server", "The XCAP server failed to process a request."],
  "timeout": ["network", "The XCAP server did not answer within 32 seconds."],
  "xcap-unreachable": ["network",
    "The XCAP server could not be reached. Check `xcapRoot`, that the server allows this page (CORS), and the page's CSP (connect-src)."],
  "bad-rules": ["server", "The rules at the XCAP server cannot be read, or have no room. They were left as they are; `reason` says more."],
  "policy-overruled": ["application",
    "A rule at the XCAP server that this library did not write gives this watcher more; `reason` is its id. Nothing was changed."],
} as const satisfies { readonly [code in FailureCode]?: readonly [FailureSource, string] };

type Details = Partial<Pick<Failure, "status" | "reason">>;

/** What is sent for one watcher, one after the other. */
export function openXcap({ root, aor, ask, signal }: XcapOptions): SetRule {
  const user = encodeURIComponent(aor).replace(/%3A/g, ":").replace(/%40/g, "@");
  const url = new URL(`${root.replace(/\/$/, "")}/pres-rules/users/${user}/index`);
  /** The last challenge, the answer of the application to it, and how often its nonce has been used. */
  let challenge = "";
  let credentials: string | undefined;
  let count = 0;

  /** Asks with credentials where they are known to be wanted; gives the answer and its text. */
  async function send(
    fail: Fail, method: "GET" | "PUT", headers: Record<string, string>, body = "",
  ): Promise<{ readonly response: Response; readonly text: string }> {
    let isRepeated = false;
    for (let round = 0; ; round++) {
      if (credentials !== undefined) {
        const cnonce = Array.from(crypto.getRandomValues(new Uint32Array(4)), (word) => word.toString(36)).join("");
        count += 1;
        const answer = answerChallenge(challenge, credentials, method, url.pathname + url.search, body, cnonce, count);
        if (answer === undefined) fail("algorithm");
        headers = { ...headers, authorization: answer };
      }
      // A server may just be closing a connection that was kept. GET and PUT may be repeated (RFC 9110 §9.2.2), with a nonce
      // count of their own.
      const answered = await request(fail, method, headers, body).catch((error: PresenceError) => {
        if (isRepeated || error.code !== "xcap-unreachable") throw error;
        isRepeated = true;
      });
      if (answered === undefined) {
        round -= 1;
        continue;
      }
      const { status } = answered.response;
      if (status !== 401) return answered;
      challenge = answered.response.headers.get("www-authenticate") ?? "";
      count = 0;
      const [realm, stale, ...algorithms] = readChallenge(challenge) ?? [];
      if (realm === undefined) fail("algorithm", { status });
      // What was answered to the challenge before this one may have been old: the first answer is to be repeated.
      const rejected = credentials !== undefined && round > 0 && stale === "";
      if (round >= MOST_ROUNDS) fail("unauthorized", { status });
      if (credentials !== undefined && !rejected) continue;
      const before = credentials;
      credentials = undefined;
      const next = await whileOpen(ask(Object.freeze({ realm, scheme: "digest", algorithms: Object.freeze(algorithms), rejected })));
      if (next === undefined) fail("no-credentials", { status });
      // The same again would be refused again, and locks an account at last.
      if (next === before) fail("unauthorized", { status });
      credentials = next;
    }
  }

  /** What `promise` gives, or a rejection when the agent ends. */
  function whileOpen<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const end = (): void => reject(new PresenceError(localFailure("closed")));
      if (signal.aborted) end();
      signal.addEventListener("abort", end);
      void promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", end));
    });
  }

  async function request(
    fail: Fail, method: string, headers: Record<string, string>, body: string,
  ): Promise<{ readonly response: Response; readonly text: string }> {
    if (signal.aborted) throw new PresenceError(localFailure("closed"));
    const control = new AbortController();
    const end = (): void => control.abort();
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      end();
    }, PATIENCE);
    signal.addEventListener("abort", end);
    try {
      // Browsers would ask the user for a password by themselves, or take one that they remember.
      const response = await fetch(url, {
        method, headers, credentials: "omit", cache: "no-store", redirect: "error", signal: control.signal,
        ...(body === "" ? {} : { body }),
      });
      return { response, text: await read(response, method === "GET" && response.ok, fail) };
    } catch (error) {
      if (error instanceof PresenceError) throw error;
      if (signal.aborted) throw new PresenceError(localFailure("closed"));
      return isLate ? fail("timeout") : fail("xcap-unreachable", { reason: error instanceof Error ? error.message : String(error) });
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
    }
  }

  async function change(uri: string, policy: Policy): Promise<void> {
    const fail: Fail = (code, details = {}) => {
      const [source, message] = FAILURES[code];
      throw new PresenceError({ code, message, source, uri, ...details });
    };
    for (let again = true; ; again = false) {
      const found = await send(fail, "GET", { accept: MEDIA_TYPE });
      const { status, headers } = found.response;
      if (status !== 404 && status !== 200) refuse(fail, found.response, found.text);
      const before = status === 200 ? found.text : "";
      const [code, text = ""] = editRules(before, uri, policy);
      if (code === "overruled") fail("policy-overruled", { reason: text });
      if (code !== "") fail("bad-rules", { reason: text });
      if (text === before) return;
      // Without an entity-tag, which a page may not see, the last one who writes wins. A weak one never matches (RFC 9110 §13.1.1).
      const tag = headers.get("etag") ?? "W/";
      const condition = status === 404 ? { "if-none-match": "*" } : tag.startsWith("W/") ? {} : { "if-match": tag };
      const stored = await send(fail, "PUT", { "content-type": MEDIA_TYPE, ...condition as Record<string, string> }, text);
      if (stored.response.ok) return;
      if (!(stored.response.status === 412 && again)) refuse(fail, stored.response, stored.text);
    }
  }

  let last: Promise<unknown> = Promise.resolve();
  return (uri, policy) => {
    const done = last.then(() => change(uri, policy));
    last = done.catch(() => {});
    return done;
  };
}

type Fail = (code: keyof typeof FAILURES, details?: Details) => never;

/** The text of an answer, in so far as it is not too large; of rules also in so far as it can be written again. */
async function read(response: Response, isRules: boolean, fail: Fail): Promise<string> {
  const reader = response.body?.getReader();
  const decoder = new TextDecoder("utf-8", { fatal: isRules, ignoreBOM: isRules });
  let text = "";
  let size = 0;
  for (;;) {
    const { done, value } = await reader?.read() ?? { done: true, value: undefined };
    size += value?.length ?? 0;
    if (size > MOST_BYTES) {
      void reader?.cancel().catch(() => {});
      fail("bad-rules", { reason: `more than ${MOST_BYTES} bytes` });
    }
    try {
      text += decoder.decode(value, { stream: !done });
    } catch {
      void reader?.cancel().catch(() => {});
      fail("bad-rules", { reason: "the document is not UTF-8" });
    }
    if (done) return text;
  }
}

function refuse(fail: Fail, { status, statusText }: Response, text: string): never {
  const code = status === 403 ? "forbidden" : status === 404 ? "not-found" : status === 503 ? "unavailable"
    : status >= 500 ? "server-error" : "refused";
  // The element in it says what is wrong (RFC 4825 §11), and often a sentence.
  const [, condition, phrase] = /<(?:[\w-]+:)?xcap-error[^>]*>\s*<(?:[\w-]+:)?([\w-]+)(?:[^>]*\sphrase="([^"]*)")?/.exec(text) ?? [];
  const reason = [condition, phrase].filter((part) => part !== undefined).join(": ") || statusText;
  return fail(code, { status, ...(reason === "" ? {} : { reason }) });
}
