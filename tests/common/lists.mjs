/** A resource list server of a test: it answers SUBSCRIBEs as the test says and sends NOTIFYs that the test writes. */

import { WebSocketServer } from "ws";
import { event } from "./wait.mjs";

/** The value of the header `name` of a message, which this agent writes in full. */
export const header = (text, name) => text.match(new RegExp(`^${name}: *(.*?)\r$`, "m"))?.[1];

/** A presence document in which `uri` is busy, away, … */
export const pidf = (uri, activity) =>
  `<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" ` +
  `xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid" entity="${uri}"><tuple id="t"><status><basic>open</basic></status></tuple>` +
  `<dm:person id="p"><rpid:activities><rpid:${activity}/></rpid:activities></dm:person></presence>`;

/** A state of a list: `rows` are pairs of an address and an activity; `null` where nothing is known. */
export function listState(uri, version, full, rows) {
  const resources = rows.map(([row, activity]) =>
    `<resource uri="${row}">${activity === null ? "" : `<instance id="1" state="active" cid="c.${row}"/>`}</resource>`);
  const parts = rows.filter(([, activity]) => activity !== null).map(([row, activity]) =>
    `--b\r\nContent-ID: <c.${row}>\r\nContent-Type: application/pidf+xml\r\n\r\n${pidf(row, activity)}\r\n`);
  return `--b\r\nContent-ID: <r>\r\nContent-Type: application/rlmi+xml\r\n\r\n<list xmlns="urn:ietf:params:xml:ns:rlmi" ` +
    `uri="${uri}" version="${version}" fullState="${full}">${resources.join("")}</list>\r\n${parts.join("")}--b--\r\n`;
}

/**
 * A WebSocket server on loopback. `answer(subscribe)` gives the status of the response to a SUBSCRIBE; 200 by default.
 * `subscribes` are those that came; `notify` sends a NOTIFY in the dialog of one.
 */
export async function listServer(t, answer = () => 200) {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0, handleProtocols: () => "sip" });
  await event(server, "listening");
  t.after(() => {
    for (const client of server.clients) client.terminate();
    server.close();
  });
  const subscribes = [];
  let sequence = 0;
  server.on("connection", (socket) => {
    socket.on("message", (data) => {
      const text = String(data);
      if (!text.startsWith("SUBSCRIBE ")) return;
      subscribes.push({ text, socket });
      const status = answer(text);
      const echo = ["Via", "From", "Call-ID", "CSeq"].map((name) => `${name}: ${header(text, name)}\r\n`).join("");
      const to = header(text, "To");
      const tag = to.includes(";tag=") ? "" : ";tag=rls";
      const expires = header(text, "Expires");
      socket.send(`SIP/2.0 ${status} Scripted\r\n${echo}To: ${to}${tag}\r\nContact: <sip:rls@example.test;transport=ws>\r\n` +
        `Expires: ${expires}\r\nContent-Length: 0\r\n\r\n`);
      if (status === 200 && expires === "0") notify({ text, socket }, "", { state: "terminated;reason=timeout", list: false });
    });
  });
  function notify({ text, socket }, body, { state = "active;expires=600", type = 'multipart/related;type="application/rlmi+xml";boundary=b', list = true } = {}) {
    const target = header(text, "Contact").match(/<(.*?)>/)[1];
    const [remote] = header(text, "To").split(";tag=");
    sequence += 1;
    socket.send(`NOTIFY ${target} SIP/2.0\r\nVia: SIP/2.0/WS rls.example.test;branch=z9hG4bK${sequence}\r\nMax-Forwards: 70\r\n` +
      `From: ${remote};tag=rls\r\nTo: ${header(text, "From")}\r\nCall-ID: ${header(text, "Call-ID")}\r\nCSeq: ${sequence} NOTIFY\r\n` +
      `Contact: <sip:rls@example.test;transport=ws>\r\nEvent: presence\r\nSubscription-State: ${state}\r\n` +
      `${list ? "Require: eventlist\r\n" : ""}${body === "" ? "" : `Content-Type: ${type}\r\n`}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
  }
  return { url: `ws://127.0.0.1:${server.address().port}/`, subscribes, notify };
}
