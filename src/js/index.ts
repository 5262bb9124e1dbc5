/** The entry of browsers: the module is `sip-presence.wasm` beside this file. */
import { PresenceAgent } from "./agent.js";
import { loader } from "./load.js";
import type { Agent, AgentOptions } from "./types.js";

export { PresenceError } from "./failure.js";
export type * from "./types.js";

const load = loader(() => new URL("./sip-presence.wasm", import.meta.url));

/**
 * Makes an agent. It returns at once; the module is loaded and the connection opened in the background.
 *
 * @throws TypeError that names the option which cannot be used.
 */
export function createAgent(options: AgentOptions): Agent {
  return new PresenceAgent(options, load);
}
