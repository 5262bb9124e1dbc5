/** Loads a wasm module, once for all agents of a page. */
import type { Attach, CoreConstructor, Load, Module } from "./core.js";

/** What wasm-bindgen made: the functions that the module imports, and its class. */
export interface Glue {
  start(exports: WebAssembly.Exports): void;
  readonly Core: unknown;
}

/** Whether `value` is one of a class that some hosts do not have. */
function isA<Name extends "Request" | "Response">(name: Name, value: unknown): value is InstanceType<(typeof globalThis)[Name]> {
  const found = (globalThis as Partial<typeof globalThis>)[name];
  return found !== undefined && value instanceof found;
}

/** An instance of the module from where it is: bytes, a compiled module, a response, or an address. */
async function instantiate(source: unknown, imports: WebAssembly.Imports): Promise<WebAssembly.Instance> {
  let given = await source;
  const failed = (why: unknown, url: unknown): Error => new Error(`failed to fetch Wasm: ${why} fetching '${String(url).slice(0, 200)}'`);
  if (typeof given === "string" || given instanceof URL || isA("Request", given)) {
    const { url = given } = given as Request;
    // What the browser says does not name the file.
    given = await fetch(given).catch((error: unknown) => { throw failed(error, url); });
  }
  if (isA("Response", given)) {
    if (!given.ok) throw failed(`${given.status} ${given.statusText}`, given.url);
    const isWasm = given.headers.get("Content-Type") === "application/wasm";
    if (isWasm && "instantiateStreaming" in WebAssembly) {
      return (await WebAssembly.instantiateStreaming(given, imports)).instance;
    }
    if (!isWasm) console.warn("sip-presence: a server that serves Wasm as application/wasm lets it start sooner");
    given = await given.arrayBuffer();
  }
  const made: object = await WebAssembly.instantiate(given as BufferSource, imports);
  return "instance" in made ? made.instance as WebAssembly.Instance : made as WebAssembly.Instance;
}

/** A loader that takes the module from `otherwise()` where the application names no source. */
export function loader(glue: Glue, otherwise: () => unknown, attach?: Attach): Load {
  let loading: Promise<Module> | undefined;
  return (source) => {
    loading ??= instantiate(source ?? otherwise(), { a: glue as never }).then(
      ({ exports }) => {
        glue.start(exports);
        return { Core: glue.Core as CoreConstructor, attach };
      },
    ).catch((error: unknown) => {
      loading = undefined;
      throw error;
    });
    return loading;
  };
}
