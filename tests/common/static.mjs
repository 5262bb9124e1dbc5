/** A static file server on loopback, for pages under test. */

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, resolve, sep } from "node:path";

const TYPES = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".ico": "image/x-icon",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json; charset=utf-8",
  ".map": "application/json; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".txt": "text/plain; charset=utf-8",
  ".wasm": "application/wasm",
};

/**
 * Serves the files under `root`; a folder gives its `index.html`.
 *
 * @param {string} root
 * @param {object} [options]
 * @param {Record<string, string | Uint8Array>} [options.files] pages made by the test, by path (`/page.html`); they come first
 * @param {string} [options.cache] the Cache-Control of every answer; with `no-store` no page enters the back/forward cache
 * @param {string} [options.csp] the Content-Security-Policy of every answer
 * @returns {Promise<{ url: string, port: number, close(): Promise<void> }>} `url` has no slash at its end
 */
export async function serveStatic(root, { files = {}, cache = "no-store", csp } = {}) {
  const base = resolve(root);
  const server = createServer(async (request, response) => {
    const headers = { "cache-control": cache, ...(csp && { "content-security-policy": csp }) };
    const refuse = (status) => response.writeHead(status, headers).end();
    if (request.method !== "GET" && request.method !== "HEAD") return refuse(405);
    let path;
    try {
      path = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
    } catch {
      return refuse(400);
    }
    if (path.endsWith("/")) path += "index.html";
    const file = resolve(base, `.${path}`);
    if (!file.startsWith(base + sep)) return refuse(403);
    let body = Object.hasOwn(files, path) ? files[path] : undefined;
    try {
      body ??= await readFile(file);
    } catch {
      return refuse(404);
    }
    headers["content-type"] = TYPES[extname(path)] ?? "application/octet-stream";
    headers["content-length"] = Buffer.byteLength(body);
    response.writeHead(200, headers).end(request.method === "HEAD" ? undefined : body);
  });
  await new Promise((done, failed) => server.once("error", failed).listen(0, "127.0.0.1", done));
  const { port } = server.address();
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}
