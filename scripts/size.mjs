// What a page downloads, against the budget in package.json.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { canLeaveOutPanicTexts, root } from "./tools.mjs";

const { budget } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

function sizes(names) {
  const parts = names.map((name) => readFileSync(join(root, "pkg", name)));
  const sum = (measure) => parts.reduce((total, part) => total + measure(part), 0);
  return {
    raw: sum((part) => part.length),
    gzip: sum((part) => gzipSync(part, { level: 9 }).length),
    brotli: sum((part) => brotliCompressSync(part, {
      params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: part.length },
    }).length),
  };
}

const rows = [
  ["sip-presence, browser entry (JavaScript and wasm)", ["index.js", "sip-presence.wasm"], budget.browser],
  ["  of it the wasm", ["sip-presence.wasm"]],
  ["  with the full module instead", ["index.js", "full.js", "sip-presence-full.wasm"]],
  ["sip-presence/inline", ["inline.js"]],
  ["sip-presence/element/define", ["define.js", "element.js"], budget.element],
];

/** What the texts of panics cost, where this Rust cannot leave them out. */
const PANIC_TEXTS = 11_000;

/** Prints the sizes; returns what is over its budget. */
export function checkSizes() {
  const over = [];
  const more = canLeaveOutPanicTexts() ? 0 : PANIC_TEXTS;
  if (more > 0) console.log(`This Rust cannot leave out the texts of panics: ${more} bytes more are allowed.`);
  console.log(`${"bytes a page downloads".padEnd(52)}${"raw".padStart(9)}${"gzip".padStart(9)}${"brotli".padStart(9)}   budget (brotli)`);
  for (const [name, files, limit] of rows) {
    const { raw, gzip, brotli } = sizes(files);
    const cells = [raw, gzip, brotli].map((bytes) => String(bytes).padStart(9)).join("");
    console.log(`${name.padEnd(52)}${cells}${limit === undefined ? "" : `   ${limit}`}`);
    if (limit !== undefined && brotli > limit + (limit === budget.browser ? more : 0)) over.push(`${name.trim()}: ${brotli} bytes brotli are over the budget of ${limit}`);
  }
  return over;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const over = checkSizes();
  for (const line of over) console.error(line);
  process.exit(over.length === 0 ? 0 : 1);
}
