/** Loads the wasm module, once for all agents of a page. */
import init, { Core } from "../../pkg/wasm/page/sip_presence.js";
import type { CoreConstructor, Load } from "./core.js";

/** A loader that takes the module from `otherwise()` where the application names no source. */
export function loader(otherwise: () => unknown): Load {
  let loading: Promise<CoreConstructor> | undefined;
  return (source) => {
    loading ??= init({ module_or_path: (source ?? otherwise()) as BufferSource }).then(
      () => Core as unknown as CoreConstructor,
      (error: unknown) => {
        loading = undefined;
        throw error;
      },
    );
    return loading;
  };
}
