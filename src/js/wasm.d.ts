/** A wasm file as esbuild's `binary` loader gives it. */
declare module "*.wasm" {
  const module: Uint8Array;
  export default module;
}
