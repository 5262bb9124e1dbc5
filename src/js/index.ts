/** The entry of browsers: the module is `sip-presence.wasm` beside this file, or the full one where an option needs it. */
import * as glue from "../../pkg/wasm/page/sip_presence_bg.js";
import { PresenceAgent } from "./agent.js";
import type { Load } from "./core.js";
import { loader } from "./load.js";
import { needsFull } from "./options.js";
import type { Agent, AgentOptions } from "./types.js";

export { PresenceError } from "./failure.js";
export type * from "./types.js";

const load = loader(glue, () => new URL("./sip-presence.wasm", import.meta.url));
const loadFull: Load = async (source) => (await import("./full.js")).load(source);

/**
 * Makes an agent. It returns at once; the module is loaded and the connection opened in the background.
 *
 * @throws TypeError that names the option which cannot be used.
 */
export function createAgent(options: AgentOptions): Agent {
  return new PresenceAgent(options, needsFull(options) ? loadFull : load);
}
