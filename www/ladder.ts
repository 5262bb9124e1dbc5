/** The ladder diagram: a lane for each user and one for the server, an arrow for each message. */
import type { TraceMessage } from "sip-presence";
import { clone, element } from "./dom.js";
import { summarize } from "./message.js";

/** Arrows that are kept. */
const MOST = 500;
/** Pixels from the end within which the list follows new arrows. */
const NEAR_END = 40;

export interface Ladder {
  readonly root: HTMLElement;
  /** Adds an arrow between `user` and the server. */
  add(user: string, message: TraceMessage): void;
}

function clock(at: number): string {
  const date = new Date(at);
  const part = (value: number, digits: number) => String(value).padStart(digits, "0");
  return `${part(date.getHours(), 2)}:${part(date.getMinutes(), 2)}:${part(date.getSeconds(), 2)}`
    + `.${part(date.getMilliseconds(), 3)}`;
}

/** Start line, header names and body apart; the text itself is unchanged. */
function typeset(text: string): Node[] {
  const end = text.indexOf("\r\n\r\n");
  const head = end < 0 ? text : text.slice(0, end);
  const lines = head.split("\r\n").flatMap((line, index): Node[] => {
    if (index === 0) return [element("b", "", line)];
    const colon = line.indexOf(":");
    return ["\r\n", colon < 0 ? line : element("span", "header", line.slice(0, colon + 1)), line.slice(colon + 1)]
      .map((piece) => typeof piece === "string" ? document.createTextNode(piece) : piece);
  });
  return [...lines, element("span", "body", end < 0 ? "" : text.slice(end))];
}

/** A ladder for one user or two. */
export function createLadder(users: readonly string[]): Ladder {
  const { root, part } = clone("ladder");
  const list = part("list", HTMLOListElement);
  const count = part("count", HTMLParagraphElement);
  const about = part("about", HTMLParagraphElement);
  const pre = part("message", HTMLPreElement);
  const [first = "", ...others] = users;
  root.dataset.lanes = String(users.length + 1);
  part("lanes", HTMLDivElement).append(...[first, "Server", ...others].map((lane) => element("span", "", lane)));

  /** The one arrow that the Tab key reaches; the arrow keys lead to the others. */
  let current: HTMLButtonElement | undefined;
  let chosen: HTMLButtonElement | undefined;

  function makeCurrent(arrow: HTMLButtonElement | undefined): void {
    if (current !== undefined) current.tabIndex = -1;
    if (arrow !== undefined) arrow.tabIndex = 0;
    current = arrow;
  }

  function arrows(): HTMLButtonElement[] {
    return [...list.querySelectorAll("button")];
  }

  function isAtEnd(): boolean {
    return list.scrollHeight - list.scrollTop - list.clientHeight < NEAR_END;
  }

  function choose(arrow: HTMLButtonElement, text: string, caption: string): void {
    const follow = isAtEnd();
    chosen?.removeAttribute("aria-current");
    arrow.setAttribute("aria-current", "true");
    chosen = arrow;
    makeCurrent(arrow);
    about.textContent = caption;
    pre.replaceChildren(...typeset(text));
    pre.scrollTop = 0;
    pre.hidden = false;
    // The message takes room from the list.
    if (follow) list.scrollTop = list.scrollHeight;
    arrow.scrollIntoView({ block: "nearest" });
  }

  function recount(): void {
    const { length } = list.children;
    count.textContent = length === 0 ? "none yet" : length === MOST ? `the last ${MOST}` : String(length);
  }

  function clear(): void {
    list.replaceChildren();
    makeCurrent(undefined);
    chosen = undefined;
    pre.hidden = true;
    about.textContent = "Choose an arrow to read its message.";
    recount();
  }

  function add(user: string, { direction, text, at }: TraceMessage): void {
    const follow = isAtEnd();
    const { title, detail, kind } = summarize(text);
    const [from, to] = direction === "sent" ? [user, "server"] : ["server", user];
    const arrow = element("button", "");
    arrow.type = "button";
    arrow.tabIndex = -1;
    arrow.dataset.testid = "arrow";
    arrow.dataset.kind = kind;
    arrow.dataset.side = user === first ? "left" : "right";
    arrow.dataset.heading = (direction === "sent") === (user === first) ? "right" : "left";
    const words = element("span", "words");
    words.append(element("strong", "", title), ` ${detail}`);
    const time = clock(at);
    arrow.append(element("time", "", time), element("span", "spoken", ` ${from} to ${to}: `), words);
    const bytes = new TextEncoder().encode(text).length;
    arrow.addEventListener("click", () => choose(arrow, text, `${time}, ${from} to ${to}, ${bytes} bytes`));
    const row = document.createElement("li");
    row.append(arrow);
    list.append(row);
    if (list.children.length > MOST) {
      const oldest = list.firstElementChild!;
      if (current !== undefined && oldest.contains(current)) makeCurrent(undefined);
      oldest.remove();
    }
    if (current === undefined) makeCurrent(list.querySelector("button") ?? undefined);
    if (follow) list.scrollTop = list.scrollHeight;
    recount();
  }

  list.addEventListener("keydown", (event) => {
    const all = arrows();
    const at = current === undefined ? -1 : all.indexOf(current);
    const next = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: all.length - 1 }[event.key];
    const arrow = next === undefined ? undefined : all[next];
    if (arrow === undefined) return;
    event.preventDefault();
    arrow.focus();
    arrow.click();
  });
  part("clear", HTMLButtonElement).addEventListener("click", clear);
  recount();
  return { root, add };
}
