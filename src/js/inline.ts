/** The entry of Node, and of bundlers that do not copy a wasm file: the full module is inside the JavaScript. */
import * as glue from "../../pkg/wasm/full/sip_presence_bg.js";
import module from "../../pkg/sip-presence-full.wasm";
import { PresenceAgent } from "./agent.js";
import { attach } from "./audience.js";
import { loader } from "./load.js";
import type { Agent, AgentOptions } from "./types.js";

export { PresenceError } from "./failure.js";
export type * from "./types.js";

const load = loader(glue, () => module, attach);

/**
 * Makes an agent. It returns at once; the connection is opened in the background.
 *
 * @throws TypeError that names the option which cannot be used.
 */
export function createAgent(options: AgentOptions): Agent {
  return new PresenceAgent(options, load);
}
