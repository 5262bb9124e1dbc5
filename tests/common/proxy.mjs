/**
 * A registrar and proxy without presence: pages that register are reached by each other. It takes no PUBLISH, and says in
 * P-Asserted-Identity who has registered on the connection that a request came over.
 */

import { once } from "node:events";
import { WebSocketServer } from "ws";

const header = (text, name) => new RegExp(`^(?:${name}): *(.*)$`, "im").exec(text.split("\r\n\r\n")[0])?.[1];
const address = (value) => /sips?:([^@;>]+@[^;>:]+)/i.exec(value ?? "")?.[1].toLowerCase();

/**
 * @returns {Promise<{ url: string, messages: string[], close(): Promise<void> }>} `messages`: all that came
 */
export async function startProxy() {
  const acceptor = new WebSocketServer({ host: "127.0.0.1", port: 0, handleProtocols: () => "sip" });
  await once(acceptor, "listening");
  const messages = [];
  /** Sockets by address of record and by contact. */
  const reached = new Map();
  /** Where responses go, by branch. */
  const ways = new Map();
  let branches = 0;

  const answer = (socket, request, status, more = []) => {
    const head = request.split("\r\n\r\n")[0].split("\r\n");
    const kept = head.filter((line) => /^(?:Via|From|To|Call-ID|CSeq): /i.test(line))
      .map((line) => (/^To: (?!.*;tag=)/i.test(line) ? `${line};tag=proxy` : line));
    socket.send([`SIP/2.0 ${status}`, ...kept, ...more, "Content-Length: 0", "", ""].join("\r\n"));
  };

  const handleRequest = (socket, text) => {
    const [, method, uri] = /^(\w+) (\S+)/.exec(text);
    if (method === "REGISTER") {
      const contact = header(text, "Contact");
      socket.user = address(header(text, "To"));
      socket.contact = contact;
      for (const key of [socket.user, address(contact)]) {
        if (header(text, "Expires") === "0") reached.delete(key);
        else reached.set(key, socket);
      }
      return answer(socket, text, "200 OK", [`Contact: ${contact};expires=${header(text, "Expires")}`]);
    }
    if (method === "PUBLISH") return answer(socket, text, "405 Method Not Allowed");
    const target = reached.get(address(uri));
    if (target === undefined) return answer(socket, text, "404 Not Found");
    const branch = `z9hG4bKproxy${branches += 1}`;
    ways.set(branch, socket);
    const [line, ...lines] = text.split("\r\n");
    const contact = address(uri) === target.user ? /<([^>]+)>/.exec(target.contact)[1] : uri;
    const rest = lines.filter((row) => !/^(?:Route|P-Asserted-Identity): /i.test(row));
    const added = [`Via: SIP/2.0/WS proxy.invalid;branch=${branch}`, `P-Asserted-Identity: <sip:${socket.user}>`];
    if (/^(?:SUBSCRIBE|NOTIFY)$/.test(method)) added.push("Record-Route: <sip:proxy.invalid;transport=ws;lr>");
    target.send([line.replace(uri, () => contact), ...added, ...rest].join("\r\n"));
  };

  const handleResponse = (text) => {
    const [branch] = /z9hG4bKproxy\d+/.exec(text) ?? [];
    ways.get(branch)?.send(text.replace(/^Via: .*?(?:\r\n|, *)/im, (via) => (via.endsWith("\r\n") ? "" : "Via: ")));
  };

  acceptor.on("connection", (socket) => {
    socket.on("error", () => {});
    socket.on("message", (data) => {
      const text = data.toString();
      messages.push(text);
      if (text.startsWith("SIP/2.0")) handleResponse(text);
      else if (text.trim() !== "") handleRequest(socket, text);
    });
    socket.on("close", () => {
      for (const [key, other] of reached) if (other === socket) reached.delete(key);
    });
  });
  return {
    url: `ws://127.0.0.1:${acceptor.address().port}/`,
    messages,
    close: () => {
      for (const client of acceptor.clients) client.terminate();
      return new Promise((resolve) => { acceptor.close(() => resolve()); });
    },
  };
}
