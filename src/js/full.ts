/** The full module: what only some pages need, so that the others need not download it. `index.ts` loads this file when asked. */
import * as glue from "../../pkg/wasm/full/sip_presence_bg.js";
import { attach } from "./audience.js";
import { loader } from "./load.js";

/** Loads `sip-presence-full.wasm`, which lies beside this file. */
export const load = loader(glue, () => new URL("./sip-presence-full.wasm", import.meta.url), attach);
