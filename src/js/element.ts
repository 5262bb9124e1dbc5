/**
 * `<sip-presence uri="sip:bob@example.com">`: a shape and a word for one presentity.
 *
 * Importing this module has no side effects and is harmless outside a browser; `define.ts` registers the element.
 * What came over the wire reaches the page only as text, and a status is never told by colour alone.
 */
import type { Agent, Package, PresenceState, Status } from "./types.js";

/** The words of the element. `{time}` stands for the time. */
export interface PresenceWords extends Record<Status, string> {
  /** The device has not been used for a while. */
  idle: string;
  /** On vacation, on holiday, or absent for good. */
  outOfOffice: string;
  /** A call comes in, or is made; with `package="dialog"`. */
  ringing: string;
  /** When the activity that gave the status ends. */
  until: string;
  /** The state is stale. */
  asOf: string;
  /** The subscription waits for the consent of the other side. */
  pending: string;
  /** For a subscription that ended: the word for its reason, such as `rejected`. A reason without one is not shown. */
  [reason: string]: string;
}

/** What templates with types, such as JSX, may set: the attributes of `<sip-presence>`, and its agent. */
export interface SipPresenceAttributes {
  /** Whom to show. */
  readonly uri?: string | undefined;
  /** The person's name for assistive technology. */
  readonly label?: string | undefined;
  /** Show the note too. */
  readonly note?: boolean | undefined;
  /** Show the shape without the word. */
  readonly compact?: boolean | undefined;
  /** `dialog`: show calls instead of presence. */
  readonly package?: Package | undefined;
  /** The property, for templates that set those. */
  readonly agent?: Agent | undefined;
}

/**
 * Of each status: the shape on a grid of 16 × 16, its colour, and its colour where the user prefers dark pages.
 * As not every page follows that wish, each colour keeps a contrast of 3:1 on white and on near-black.
 */
const LOOKS: Record<Status, readonly [shape: string, colour: string, dark: string]> = {
  // A disc with a tick cut out.
  available: ["M8 0a8 8 0 1 1 0 16A8 8 0 0 1 8 0ZM3.5 8.5 7 12l6-6.4-1.6-1.5L7 8.9 5 7Z", "#12813f", "#2a9d58"],
  // A crescent.
  away: ["M6 .5A8 8 0 1 0 15.5 10 7 7 0 0 1 6 .5Z", "#a66300", "#c17f14"],
  // A diamond.
  busy: ["M8-.5 16.5 8 8 16.5-.5 8Z", "#c4314b", "#e0566c"],
  // An octagon with a bar cut out.
  "do-not-disturb": ["M4.7 0h6.6L16 4.7v6.6L11.3 16H4.7L0 11.3V4.7ZM3 6.7v2.6h10V6.7Z", "#c4314b", "#e0566c"],
  // A handset.
  "on-the-phone": ["M4 0 0 3c0 8 5 13 13 13l3-4-4.5-3L9 11Q6 9.5 5 7l2-2.5Z", "#8a4bbd", "#a56fd4"],
  // An empty ring.
  offline: ["M8 0a8 8 0 1 1 0 16A8 8 0 0 1 8 0Zm0 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11Z", "#6b7480", "#868f9b"],
  // A question mark.
  unknown: ["M3 5C3 2 5 0 8 0s5 2 5 4.6C13 8 9.3 8 9.3 11H6.7C6.7 7 10.4 7 10.4 4.7c0-1.4-1-2.3-2.4-2.3S5.6 3.3 5.6 5ZM6.5 13h3v3h-3Z", "#6b7480", "#868f9b"],
};

const SVG = "http://www.w3.org/2000/svg";
/** Reasons for which a watcher sees the person no more. */
const BARRED = ["rejected", "forbidden"];
/** Characters of a note that are shown. */
const NOTE_LENGTH = 200;
/** Characters of a note that are looked at: a peer may send megabytes. */
const NOTE_READ = 1000;

// The middle of the shape is at half the height of a capital letter above the line of the text, whatever its size: a flex
// item without text stands on that line with its lower edge, from where it is moved, and its margins with it.
function style(): string {
  const colours = (which: 1 | 2): string => Object.entries(LOOKS)
    .map(([status, look]) => `[data-status=${status}]{--colour:var(--sip-presence-${status},${look[which]})}`).join("");
  return `:host{display:inline-flex;flex-wrap:wrap;align-items:baseline;column-gap:.5em;max-inline-size:100%}
:host([hidden]),:host(:not([note])) bdi,:host([note=false]) bdi,bdi:empty,:host([compact]:not([compact=false])) [part=label]{display:none}
[part=badge]{display:inline-flex;align-items:baseline;column-gap:.4em;min-inline-size:0}
[part=label]::first-letter{text-transform:uppercase}
small{font-size:inherit;opacity:.8}
bdi{min-inline-size:0;overflow-wrap:anywhere}
svg{--size:var(--sip-presence-size,.85em);--drop:calc(var(--size)/2 - .355em);flex:none;inline-size:var(--size);block-size:var(--size);translate:0 var(--drop);margin-block:calc(-1*var(--drop)) var(--drop);overflow:visible;fill:var(--colour)}
[data-stale] svg{margin-inline:3px;outline:1px dashed;outline-offset:2px;border-radius:50%}
${colours(1)}
@media (prefers-color-scheme:dark){${colours(2)}}
@media (prefers-reduced-motion:no-preference){svg{transition:fill .2s}}
@media (forced-colors:active){svg{fill:CanvasText}}`;
}

/** Constructed sheets belong to one document, and an element may be moved to another. */
const sheets = new WeakMap<Document, CSSStyleSheet>();

function sheet(document: Document): CSSStyleSheet {
  let made = sheets.get(document);
  if (made === undefined) {
    made = new (document.defaultView ?? globalThis).CSSStyleSheet();
    // Not in the jsdom that Jest has: there is no look to keep there.
    (made as Partial<CSSStyleSheet>).replaceSync?.(style());
    sheets.set(document, made);
  }
  return made;
}

/** One line without control characters and without the marks that reorder the text around them. */
function line(text: string): string {
  return text.replace(/\p{Bidi_Control}/gu, "").replace(/[\p{Cc}\s]+/gu, " ").trim();
}

/** The user part of an address, or its host where it has none. */
function userPart(uri: string): string {
  const user = uri.replace(/^\w+:/, "").split(/[@:;?]/)[0] ?? "";
  try {
    return decodeURIComponent(user);
  } catch {
    return user;
  }
}

/** The time of day, with its date where that is not today's. */
function time(at: number): string {
  const date = new Date(at);
  const today = date.toDateString() === new Date().toDateString();
  return date.toLocaleString(undefined, today ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" });
}

/** The agent of the elements that have none of their own, and the elements that are in a page. */
let shared: Agent | undefined;
const connected = new Set<SipPresenceElement>();

/** The events of the element by name, those of all elements included. */
export interface SipPresenceEventMap extends Omit<HTMLElementEventMap, "change"> {
  /** A new state. */
  change: CustomEvent<PresenceState>;
}

interface Listen {
  <K extends keyof SipPresenceEventMap>(
    type: K, listener: (this: SipPresenceElement, event: SipPresenceEventMap[K]) => unknown, options?: boolean | AddEventListenerOptions,
  ): void;
  (type: string, listener: EventListenerOrEventListenerObject, options?: boolean | AddEventListenerOptions): void;
}

const Base = globalThis.HTMLElement ?? (class {} as typeof HTMLElement);

/**
 * Shows the presence of one presentity.
 *
 * Attributes: `uri`; `label`, the person's name for assistive technology (default: the user part of the address);
 * `note`, to show the note; `compact`, to show the shape without the word; `package="dialog"`, to show calls. Vue, Svelte
 * and React 18 write `note="false"`, which is as good as none.
 * Parts: `badge`, `icon`, `label`, `note`. Custom properties: `--sip-presence-size`, and `--sip-presence-available` and
 * so on for the colour of each status.
 * Fires `change`, a `CustomEvent<PresenceState>` that does not bubble, soon after a new state.
 */
export class SipPresenceElement extends Base {
  declare addEventListener: Listen;
  declare removeEventListener: Listen;
  static readonly observedAttributes = ["uri", "package", "label"];

  /** The words of all elements, English. Overwrite them before the first element is connected. */
  static words: PresenceWords = {
    available: "available",
    away: "away",
    busy: "busy",
    "do-not-disturb": "do not disturb",
    "on-the-phone": "on the phone",
    offline: "offline",
    unknown: "unknown",
    idle: "idle",
    outOfOffice: "out of office",
    ringing: "ringing",
    until: "until {time}",
    asOf: "last known at {time}",
    pending: "waiting for approval",
    rejected: "not allowed",
    forbidden: "not allowed",
    noresource: "no such address",
    "not-found": "no such address",
  };

  /** The agent of all elements that have none of their own. */
  static get agent(): Agent | undefined {
    return shared;
  }

  static set agent(agent: Agent | undefined) {
    shared = agent;
    for (const element of connected) if (!element.#agent) element.#watch();
  }

  readonly #badge = document.createElement("span");
  readonly #tip = document.createElementNS(SVG, "title");
  readonly #shape = document.createElementNS(SVG, "path");
  // Straight in the label, or WebKit writes its first letter small again when the word changes.
  readonly #word = document.createTextNode("");
  readonly #more = document.createElement("small");
  readonly #note = document.createElement("bdi");
  #agent: Agent | undefined;
  #state: PresenceState | undefined;
  #unwatch: (() => void) | undefined;
  /** Counts the watches: a callback of an earlier one says nothing any more. */
  #turn = 0;
  /** What `#state` is of. */
  #source: readonly unknown[] = [];

  constructor() {
    super();
    const icon = document.createElementNS(SVG, "svg");
    const label = document.createElement("span");
    icon.setAttribute("viewBox", "0 0 16 16");
    icon.setAttribute("part", "icon");
    icon.setAttribute("aria-hidden", "true");
    this.#shape.setAttribute("fill-rule", "evenodd");
    icon.append(this.#tip, this.#shape);
    label.setAttribute("part", "label");
    label.setAttribute("aria-hidden", "true");
    label.append(this.#word, this.#more);
    this.#badge.setAttribute("part", "badge");
    this.#badge.setAttribute("role", "img");
    this.#badge.append(icon, label);
    this.#note.setAttribute("part", "note");
    this.attachShadow({ mode: "open" }).append(this.#badge, this.#note);
    // A property that was set before the element was defined hides the accessor.
    if (Object.hasOwn(this, "agent")) {
      this.#agent = this.agent;
      delete (this as { agent?: Agent }).agent;
    }
    this.#render();
  }

  /** The agent of this element; where it is `undefined`, that of the class. */
  get agent(): Agent | undefined {
    return this.#agent;
  }

  set agent(agent: Agent | undefined) {
    this.#agent = agent;
    this.#watch();
  }

  /** The last state; `undefined` until the agent has given one. */
  get state(): PresenceState | undefined {
    return this.#state;
  }

  connectedCallback(): void {
    this.shadowRoot!.adoptedStyleSheets = [sheet(this.ownerDocument)];
    connected.add(this);
    this.#watch();
  }

  disconnectedCallback(): void {
    connected.delete(this);
    this.#watch();
  }

  attributeChangedCallback(name: string): void {
    if (name === "label") this.#render();
    else this.#watch();
  }

  /** Ends the watch, and begins the one that the element should have now. */
  #watch(): void {
    const turn = ++this.#turn;
    const before = this.#unwatch;
    this.#unwatch = undefined;
    if (this.isConnected) this.#begin(turn);
    // Last, so that a watch of the same presentity goes on without a break.
    before?.();
  }

  #begin(turn: number): void {
    const agent = this.#agent ?? shared;
    const uri = this.getAttribute("uri")?.trim() ?? "";
    const wanted = this.getAttribute("package");
    const options = wanted === null ? {} : { package: wanted as Package };
    const source = [agent, uri, wanted];
    if (source.some((part, at) => part !== this.#source[at])) {
      this.#source = source;
      this.#state = undefined;
    }
    this.#render();
    if (agent === undefined || uri === "") return;
    try {
      this.#unwatch = agent.watch(uri, (state) => {
        if (turn === this.#turn) this.#show(state);
      }, options);
    } catch (error) {
      reportError(error);
    }
  }

  #show(state: PresenceState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#render();
    // Later, because a framework that is about to put the element into the page is not ready for a listener's news.
    queueMicrotask(() => {
      if (state === this.#state) this.dispatchEvent(new CustomEvent("change", { detail: state }));
    });
  }

  #render(): void {
    const { words } = SipPresenceElement;
    const { state: stage, reason } = this.#state?.subscription ?? {};
    const ended = stage === "terminated" && reason !== undefined && Object.hasOwn(words, reason) ? words[reason] : undefined;
    // Who may not see the person any more is not shown what was to be seen before.
    const state = ended !== undefined && BARRED.includes(reason!) ? undefined : this.#state;
    const status = state?.status ?? "unknown";
    const word = words[status];
    const more: string[] = [];
    if (state === undefined) {
      if (ended !== undefined) more.push(ended);
    } else {
      const timed = (text: string, at: number) => text.replace("{time}", () => time(at));
      if (state.dialogs && state.activities.includes("ringing")) more.push(words.ringing);
      if (state.until !== undefined) more.push(timed(words.until, state.until));
      if (state.idle) more.push(words.idle);
      if (state.outOfOffice) more.push(words.outOfOffice);
      if (stage === "pending") more.push(words.pending);
      if (ended !== undefined) more.push(ended);
      if (state.stale && state.asOf !== undefined) more.push(timed(words.asOf, state.asOf));
    }
    const said = [word, ...more].join(", ");
    const name = line(this.getAttribute("label") ?? userPart(this.getAttribute("uri") ?? ""));
    const text = name ? `${name}: ${said}` : said;
    this.#badge.setAttribute("aria-label", text);
    // A `title` of the badge would be spoken as a description, after the same name.
    this.#tip.textContent = text;
    this.#badge.dataset.status = status;
    this.#badge.toggleAttribute("data-stale", state?.stale ?? false);
    this.#shape.setAttribute("d", LOOKS[status][0]);
    this.#word.data = word;
    this.#more.textContent = said.slice(word.length);
    const note = [...line((state?.note ?? "").slice(0, NOTE_READ))];
    this.#note.textContent = note.slice(0, NOTE_LENGTH).join("") + (note.length > NOTE_LENGTH ? "…" : "");
  }
}
