/** An XCAP server on loopback that keeps one document for each path: strict about conditions, with digest. */

import { createHash, randomBytes } from "node:crypto";
import { createServer } from "node:http";

/**
 * @typedef {object} Xcap
 * @property {string} root the XCAP root
 * @property {Map<string, { text: string, tag: string }>} documents by path below the root
 * @property {{ method: string, path: string, headers: import("node:http").IncomingHttpHeaders, body: string }[]} requests
 *   all that came, the challenged ones too
 * @property {(request: object) => undefined | { status: number, headers?: object, body?: string | Buffer | AsyncIterable<Buffer> } | "hang" | "drop"} answer
 *   may be set: what is answered in place of the document, or nothing of the kind
 * @property {() => void} renew makes all nonces old
 * @property {() => Promise<void>} close
 */

/**
 * @param {object} options
 * @param {Record<string, string>} options.users passwords by user name
 * @param {string} [options.realm]
 * @param {string[]} [options.algorithms]
 * @param {{ origin: string, expose: string }} [options.cors] the pages that may ask, and the headers that they see
 * @returns {Promise<Xcap>}
 */
export async function startXcap({ users, realm = "example.test", algorithms = ["MD5"], cors }) {
  const documents = new Map();
  const requests = [];
  let nonce = randomBytes(8).toString("hex");
  let tags = 0;
  const counts = new Map();

  /** What is wrong with the credentials: a challenge, or nothing. */
  function challenge({ method, url, headers }, body) {
    const rows = (stale) => algorithms.map((algorithm) =>
      `Digest realm="${realm}", nonce="${nonce}", algorithm=${algorithm}, qop="auth,auth-int", opaque="o"${stale ? ", stale=true" : ""}`);
    const [scheme] = (headers.authorization ?? "").split(" ", 1);
    if (scheme !== "Digest") return ["Negotiate", ...rows(false)];
    const field = Object.fromEntries([...headers.authorization.slice(7).matchAll(/(\w+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))/g)]
      .map(([, name, quoted, plain]) => [name, quoted ?? plain]));
    if (field.nonce !== nonce) return rows(true);
    const hash = (text) => createHash({ "MD5": "md5", "SHA-256": "sha256" }[field.algorithm]).update(text).digest("hex");
    const ha1 = hash(`${field.username}:${realm}:${users[field.username]}`);
    const ha2 = field.qop === "auth-int" ? hash(`${method}:${field.uri}:${hash(body)}`) : hash(`${method}:${field.uri}`);
    const proof = hash([ha1, nonce, field.nc, field.cnonce, field.qop, ha2].join(":"));
    const fresh = Number.parseInt(field.nc, 16) > (counts.get(nonce) ?? 0);
    if (proof !== field.response || field.uri !== url || !fresh) return rows(false);
    counts.set(nonce, Number.parseInt(field.nc, 16));
    return undefined;
  }

  function store(path, { headers }, text) {
    const known = documents.get(path);
    const fits = headers["if-match"] === undefined ? headers["if-none-match"] !== "*" || known === undefined : headers["if-match"] === known?.tag;
    if (!fits) return { status: 412 };
    tags += 1;
    const tag = `"t${tags}"`;
    documents.set(path, { text, tag });
    return { status: known === undefined ? 201 : 200, headers: { etag: tag } };
  }

  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request.setEncoding("utf8")) body += chunk;
    const { method, url: path, headers } = request;
    if (cors !== undefined) {
      response.setHeader("access-control-allow-origin", cors.origin).setHeader("access-control-expose-headers", cors.expose);
      if (method === "OPTIONS") {
        response.setHeader("access-control-allow-methods", "GET, PUT")
          .setHeader("access-control-allow-headers", "authorization, content-type, if-match, if-none-match").writeHead(204).end();
        return;
      }
    }
    requests.push({ method, path, headers, body });
    const wanted = challenge(request, body);
    if (wanted !== undefined) {
      response.writeHead(401, { "www-authenticate": wanted }).end();
      return;
    }
    const known = documents.get(path);
    const other = xcap.answer?.({ method, path, headers, body });
    if (other === "hang") return;
    if (other === "drop") {
      request.socket.destroy();
      return;
    }
    const answer = other ?? (method === "PUT" ? store(path, request, body)
      : known === undefined ? { status: 404 } : { status: 200, headers: { etag: known.tag }, body: known.text });
    response.writeHead(answer.status, answer.headers);
    response.end(answer.body);
  });
  await new Promise((resolve) => { server.listen(0, "127.0.0.1", resolve); });
  const xcap = {
    root: `http://127.0.0.1:${server.address().port}/root`,
    documents, requests, answer: undefined,
    renew: () => { nonce = randomBytes(8).toString("hex"); },
    close: () => new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    }),
  };
  return xcap;
}
