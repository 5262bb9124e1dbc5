/** What the ladder says about a SIP message. Only for the eye: nothing acts on it. */

/** A message in short. */
export interface Summary {
  /** The method, or the status code and reason phrase. */
  readonly title: string;
  readonly detail: string;
  readonly kind: "request" | "response" | "refusal";
}

const REQUEST = /^([A-Z]+) \S+ SIP\/2\.0/;
const RESPONSE = /^SIP\/2\.0 (\d{3}) ?(.*)/;

function header(text: string, ...names: readonly string[]): string {
  const head = text.split("\r\n\r\n", 1)[0] ?? "";
  return new RegExp(`^(?:${names.join("|")})[ \\t]*:[ \\t]*(.*)$`, "im").exec(head)?.[1]?.trim() ?? "";
}

/** The user part of the address in a To or From header. */
function user(value: string): string {
  return /sips?:([^@>;]+)@/i.exec(value)?.[1] ?? "";
}

/** RFC 3903 §4: what a PUBLISH does, by its entity-tag, body and Expires. */
function publication(text: string): string {
  if (header(text, "SIP-If-Match") === "") return "initial";
  if (header(text, "Expires") === "0") return "remove";
  return text.endsWith("\r\n\r\n") ? "refresh" : "modify";
}

function detail(method: string, text: string): string {
  switch (method) {
    case "SUBSCRIBE": return `${user(header(text, "To", "t"))}${header(text, "Expires") === "0" ? ", end" : ""}`;
    case "NOTIFY": return `${user(header(text, "From", "f"))}, ${header(text, "Subscription-State").split(";")[0]}`;
    case "PUBLISH": return publication(text);
    default: return "";
  }
}

/** Puts a message in short. */
export function summarize(text: string): Summary {
  const request = REQUEST.exec(text);
  if (request !== null) {
    const [, method = ""] = request;
    return { title: method, detail: detail(method, text), kind: "request" };
  }
  const [, code = "", reason = ""] = RESPONSE.exec(text) ?? [];
  return {
    title: code === "" ? "not SIP" : `${code} ${reason}`.trim(),
    detail: header(text, "CSeq").split(/\s+/)[1] ?? "",
    // A challenge (401, 407) is how digest begins, not a refusal.
    kind: /^(?:40[17]|[123])/.test(code) ? "response" : "refusal",
  };
}
