/** Failures as errors. Most codes come from the core (`src/agent/failure.rs`); the ones here arise in JavaScript. */
import type { Failure, FailureCode, FailureSource } from "./types.js";

/** What a promise of the library rejects with: a {@link Failure} that is an `Error`. */
export class PresenceError extends Error implements Failure {
  override readonly name = "PresenceError";
  declare readonly code: FailureCode;
  declare readonly source: FailureSource;
  declare readonly status?: number;
  declare readonly reason?: string;
  /** Epoch milliseconds. */
  declare readonly retryAt?: number;
  declare readonly uri?: string;

  constructor({ message, ...details }: Failure) {
    super(message);
    Object.assign(this, details);
  }
}

const LOCAL = {
  "module": ["library",
    "The WebAssembly module could not be loaded. Check that the file in `reason` is served, and the page's CSP "
    + "(script-src 'wasm-unsafe-eval'); or import sip-presence/inline, or set the option `wasm`."],
  "bad-address": ["application", "This is not a SIP address that can be used, such as sip:bob@example.com."],
  "no-credentials": ["application", "The function `credentials` failed; `reason` says how."],
  "library": ["library",
    "The library has failed, and says no more of what it knew. Please report it, with `reason`. Reload the page."],
  "closed": ["application", "The agent is closed. Make a new one."],
} as const satisfies { readonly [code in FailureCode]?: readonly [FailureSource, string] };

/** Those of presence agents, for the file that only these load. */
const AUDIENCE = {
  "authorize": ["application",
    "The function `authorize` failed, or gave no word that is known; `reason` says how. The watcher waits for setPolicy()."],
  "policies": ["application", "The policies could not be loaded or kept; `reason` says how. What was set holds for this agent."],
  "too-many-policies": ["application", "An agent has room for 10000 policies. What is more has no effect."],
} as const satisfies { readonly [code in FailureCode]?: readonly [FailureSource, string] };

/** A failure of a presence agent. */
export function audienceFailure(code: keyof typeof AUDIENCE, reason?: string, uri?: string): Failure {
  const [source, message] = AUDIENCE[code];
  return Object.freeze({ code, message, source, ...(reason === undefined ? {} : { reason }), ...(uri === undefined ? {} : { uri }) });
}

/** A failure that arises in JavaScript. */
export function localFailure(code: keyof typeof LOCAL, details: { uri?: string; reason?: string } = {}): Failure {
  const [source, message] = LOCAL[code];
  return Object.freeze({ code, message, source, ...details });
}
