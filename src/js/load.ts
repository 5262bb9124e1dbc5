/** Loads a wasm module, once for all agents of a page. */
import type { Attach, CoreConstructor, Load, Module } from "./core.js";

/** What wasm-bindgen made: a function that starts the module, and its class. */
export interface Glue {
  readonly init: (input: { module_or_path: BufferSource }) => Promise<unknown>;
  readonly Core: unknown;
}

/** A loader that takes the module from `otherwise()` where the application names no source. */
export function loader({ init, Core }: Glue, otherwise: () => unknown, attach?: Attach): Load {
  let loading: Promise<Module> | undefined;
  return (source) => {
    loading ??= init({ module_or_path: (source ?? otherwise()) as BufferSource }).then(
      () => ({ Core: Core as CoreConstructor, attach }),
      (error: unknown) => {
        loading = undefined;
        throw error;
      },
    );
    return loading;
  };
}
