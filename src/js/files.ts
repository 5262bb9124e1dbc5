/** Serves the playground: files of the package over HTTP, with a strict Content-Security-Policy. */
import { createReadStream, readdirSync, statSync } from "node:fs";
import type { RequestListener } from "node:http";
import { pipeline } from "node:stream";
import { fileURLToPath } from "node:url";

const TYPES: { readonly [extension: string]: string } = {
  css: "text/css; charset=utf-8",
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  json: "application/json",
  map: "application/json",
  png: "image/png",
  svg: "image/svg+xml",
  wasm: "application/wasm",
};

const POLICY = [
  "default-src 'none'", "script-src 'self' 'wasm-unsafe-eval'", "style-src 'self'", "connect-src 'self' ws: wss:",
  "img-src 'self' data:", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
].join("; ");

/** Whom the page may sign in as by itself. */
export interface Demo {
  readonly domain: string;
  readonly users: readonly { readonly name: string; readonly password: string }[];
}

/** The files by URL path: the playground at `/`, the package's browser files at `/lib/`. */
function collect(): Map<string, string> {
  const files = new Map<string, string>();
  const add = (prefix: string, folder: string): void => {
    const path = fileURLToPath(new URL(folder, import.meta.url));
    for (const name of readdirSync(path)) {
      if (statSync(`${path}/${name}`).isFile()) files.set(`${prefix}${name}`, `${path}/${name}`);
    }
  };
  add("/lib/", "./");
  add("/", "./www/");
  const index = files.get("/index.html");
  if (index !== undefined) files.set("/", index);
  return files;
}

/** Answers GET and HEAD for the playground; `demo` is told to the page where it is given. */
export function playground(demo: Demo | undefined): RequestListener {
  const files = collect();
  return (request, response) => {
    const path = (request.url ?? "/").split("?", 1)[0] ?? "/";
    const headers = {
      "Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
      "Cache-Control": "no-cache",
    };
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.writeHead(405, { Allow: "GET, HEAD" }).end();
    } else if (path === "/demo.json" && demo !== undefined) {
      response.writeHead(200, { ...headers, "Content-Type": "application/json" }).end(JSON.stringify(demo));
    } else {
      const file = files.get(path);
      if (file === undefined) {
        response.writeHead(404, { ...headers, "Content-Type": "text/plain; charset=utf-8" }).end("Not found\n");
        return;
      }
      const type = TYPES[file.slice(file.lastIndexOf(".") + 1)] ?? "application/octet-stream";
      response.writeHead(200, { ...headers, "Content-Type": type });
      if (request.method === "HEAD") response.end();
      else pipeline(createReadStream(file), response, () => {});
    }
  };
}
