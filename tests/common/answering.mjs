/** A server in a few lines: what a page gets from a document, without any transport. */

/** A WebSocket whose other end answers a SUBSCRIBE with a NOTIFY that has `document`, of the type that was asked for first. */
export function answering(document) {
  return class {
    readyState = 1;
    protocol = "sip";
    constructor() {
      queueMicrotask(() => this.onopen?.());
    }
    send(text) {
      if (!text.startsWith("SUBSCRIBE")) return;
      const header = (name) => new RegExp(`^${name}: (.*)\r$`, "m").exec(text)[1];
      const same = ["Via", "From", "Call-ID", "CSeq"].map((name) => `${name}: ${header(name)}\r\n`).join("");
      const to = `${header("To")};tag=server`;
      const ok = `SIP/2.0 200 OK\r\n${same}To: ${to}\r\nExpires: 600\r\nContact: <sip:server.test;transport=ws>\r\nContent-Length: 0\r\n\r\n`;
      const contact = /<([^>]*)>/.exec(header("Contact"))[1];
      const notify = [`NOTIFY ${contact} SIP/2.0`, "Via: SIP/2.0/WS server.test;branch=z9hG4bK1", `From: ${to}`,
        `To: ${header("From")}`, `Call-ID: ${header("Call-ID")}`, "CSeq: 1 NOTIFY", "Max-Forwards: 70", `Event: ${header("Event")}`,
        "Subscription-State: active;expires=600", "Contact: <sip:server.test;transport=ws>", `Content-Type: ${header("Accept").split(",")[0]}`,
        `Content-Length: ${Buffer.byteLength(document)}`, "", document].join("\r\n");
      queueMicrotask(() => {
        this.onmessage?.({ data: ok });
        this.onmessage?.({ data: notify });
      });
    }
    close() {
      queueMicrotask(() => this.onclose?.({ code: 1000, reason: "" }));
    }
  };
}
