/** Waiting in tests: for an event or a condition, never for a fixed time. */

/**
 * The limit of a wait that names none. Generous: it only decides how long a failing test takes. A request that is lost is
 * given up after 32 s (Timer F) and made again some time later: that is no failure.
 */
const LIMIT = 90_000;

/** How often a condition is looked at, in milliseconds. */
const INTERVAL = 20;

/**
 * Waits until `source` gives a truthy value, and resolves with that value.
 *
 * @template T
 * @param {(() => T | Promise<T>) | PromiseLike<T>} source a condition, looked at again and again, or a promise;
 *   what either of them throws ends the wait
 * @param {string | (() => string)} label what is waited for, for the message of the failure; a function is asked
 *   only then, so it can tell what was seen last
 * @param {number} [ms] the limit
 * @returns {Promise<T>}
 */
export async function until(source, label, ms = LIMIT) {
  const deadline = Date.now() + ms;
  const late = () => new Error(`not within ${ms} ms: ${typeof label === "function" ? label() : label}`);
  if (typeof source !== "function") return limited(source, ms, late);
  for (;;) {
    const value = await limited(Promise.resolve(source()), Math.max(deadline - Date.now(), INTERVAL), late);
    if (value) return value;
    if (Date.now() >= deadline) throw late();
    await new Promise((resolve) => setTimeout(resolve, INTERVAL));
  }
}

/**
 * The next event `type` of an EventTarget or a Node.js emitter that `accept` takes.
 * Call it before what causes the event, await it after.
 *
 * @param {EventTarget | import("node:events").EventEmitter} target
 * @param {string} type
 * @param {{ accept?: (event: any) => unknown, ms?: number }} [options]
 * @returns {Promise<any>}
 */
export function event(target, type, { accept = () => true, ms = LIMIT } = {}) {
  const [add, remove] =
    "addEventListener" in target ? ["addEventListener", "removeEventListener"] : ["on", "off"];
  let listener;
  const arrived = new Promise((resolve, reject) => {
    listener = (value) => {
      try {
        if (accept(value)) resolve(value);
      } catch (error) {
        reject(error);
      }
    };
  });
  target[add](type, listener);
  return until(arrived, `event ${type}`, ms).finally(() => target[remove](type, listener));
}

async function limited(promise, ms, late) {
  let timer;
  const limit = new Promise((_, reject) => {
    timer = setTimeout(() => reject(late()), ms);
  });
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}
