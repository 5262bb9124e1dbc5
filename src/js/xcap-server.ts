/**
 * The rules of users over HTTP (RFC 4825): takes a request in, within bounds, and hands it to the core, which decides
 * everything (`src/server/xcap.rs`).
 */
import type { IncomingMessage, ServerResponse } from "node:http";

/** What of the core is asked. */
export interface XcapCore {
  /** Method, path below the root, Authorization, Content-Type, If-Match, If-None-Match; gives status, body, names and values of headers. */
  xcap(request: string[], body: Uint8Array): string[];
}

/** Milliseconds that a body may take to come. */
const PATIENCE = 10_000;
/** Bodies that may be on their way at once; of more the oldest is given up: one that is sent without delay is whole by then. */
const MOST_READING = 64;
/** Milliseconds that somebody has to take a refusal while still sending. */
const FAREWELL = 1000;

const NONE = Buffer.alloc(0);

/** Pages of any origin may ask: no cookie or certificate stands for a user, only the digest that the page itself makes. */
const CORS = {
  "Access-Control-Allow-Origin": "*",
  "Access-Control-Expose-Headers": "ETag, WWW-Authenticate",
};
const PREFLIGHT = {
  ...CORS,
  "Access-Control-Allow-Methods": "GET, HEAD, PUT, DELETE",
  "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match, If-None-Match",
  "Access-Control-Max-Age": "600",
};

/**
 * Answers requests below `root`.
 *
 * @param most bytes of a document
 * @param core nothing when the server has ended
 * @param changed is called when something is to be saved
 * @returns whether a request is one of these; if not, it was left alone
 */
export function serveXcap(
  root: string, most: number, core: () => XcapCore | undefined, changed: () => void,
): (request: IncomingMessage, response: ServerResponse) => boolean {
  /** Ends the reading of a body, with the status code of the refusal. The oldest is the first. */
  const reading = new Set<(status: number) => void>();

  /** The body, or the status code of a refusal; undefined if the other side is gone. */
  function read(request: IncomingMessage): Promise<Buffer | number | undefined> {
    return new Promise((resolve) => {
      const chunks: Buffer[] = [];
      let size = 0;
      const timer = setTimeout(() => done(408), PATIENCE);
      const done = (result: Buffer | number | undefined): void => {
        clearTimeout(timer);
        reading.delete(done);
        resolve(result);
      };
      for (const giveUp of reading) if (reading.size >= MOST_READING) giveUp(503);
      reading.add(done);
      if (Number(request.headers["content-length"] ?? 0) > most) return done(413);
      request.on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (size <= most) chunks.push(chunk);
        else {
          chunks.length = 0;
          done(413);
        }
      });
      request.on("end", () => done(Buffer.concat(chunks)));
      request.on("error", () => done(undefined));
      request.on("close", () => done(undefined));
    });
  }

  /** Refuses somebody who may still be sending: what comes is thrown away, for a moment. */
  function refuse(request: IncomingMessage, response: ServerResponse, status: number, headers: Record<string, string> = {}): void {
    response.writeHead(status, { ...CORS, ...headers, "Connection": "close", "Content-Length": 0 }).end();
    request.resume();
    setTimeout(() => request.destroy(), FAREWELL).unref();
  }

  async function answer(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    const { method = "", headers } = request;
    let body: Buffer | number | undefined = NONE;
    if (method === "PUT") {
      body = await read(request);
    } else {
      // Nobody needs it, and who only reads does not wait behind those who write slowly.
      request.resume();
    }
    if (body === undefined) return;
    if (typeof body === "number") return refuse(request, response, body, body === 503 ? { "Retry-After": "1" } : {});
    const running = core();
    if (running === undefined) return refuse(request, response, 503);
    const fields = [headers.authorization, headers["content-type"], headers["if-match"], headers["if-none-match"]];
    const [status, text = "", ...rows] = running.xcap([method, path, ...fields.map((value) => value ?? "")], body);
    if (/^(?:PUT|DELETE)$/.test(method) && /^2/.test(status ?? "")) changed();
    for (let at = 0; at < rows.length; at += 2) response.appendHeader(rows[at] ?? "", rows[at + 1] ?? "");
    const bytes = Buffer.from(text);
    response.writeHead(Number(status), { ...CORS, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", ...(status === "304" ? {} : { "Content-Length": bytes.length }) });
    response.end(method === "HEAD" ? undefined : bytes);
  }

  return (request, response) => {
    const url = request.url ?? "/";
    if (!url.startsWith(`${root}/`)) return false;
    response.on("error", () => {});
    if (request.method === "OPTIONS") {
      request.resume();
      response.writeHead(204, PREFLIGHT).end();
    } else {
      void answer(request, response, url.slice(root.length));
    }
    return true;
  };
}
