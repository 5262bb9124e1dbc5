/**
 * Reads what crosses from wasm: a row of 32-bit words and one text; see `src/wasm/record.rs`, which writes both in
 * the same order. The objects made from it are frozen. Keys are ours: no text from a peer becomes one.
 */
import type {
  Activity, AttributeValue, Capability, Cause, ChallengeInfo, ConnectionInfo, Device, Dialog, Extension, Failure,
  FailureSource, Identity, Note, Participant, Person, Presence, PresenceAttribute, PresenceState, Status, SubscriptionInfo, Tuple, UserInput, Watcher,
} from "./types.js";

// The order is that of src/wasm/record.rs.
export const STATUSES: readonly Status[] =
  ["unknown", "offline", "available", "away", "busy", "on-the-phone", "do-not-disturb"];
export const SUBSCRIPTION_STATES: readonly SubscriptionInfo["state"][] = ["trying", "pending", "active", "terminated"];
export const CAUSES: readonly Cause[] = ["initial", "change", "resync", "expired", "disconnect", "local"];
export const SOURCES: readonly FailureSource[] = ["server", "network", "application", "library"];
export const CONNECTION_STATES: readonly ConnectionInfo["state"][] = ["connecting", "online", "reconnecting", "closed"];

// The order is that of src/presence/vocabulary.rs: what becomes a property, then the capabilities.
export const ATTRIBUTES = [
  "activities", "class", "mood", "placeIs", "placeType", "privacy", "relationship", "serviceClass", "sphere", "statusIcon",
  "timeOffset", "timedStatus", "card", "displayName", "homepage", "icon", "map", "sound", "digiumPresence",
] as const;
export const CAPABILITIES: readonly Capability["name"][] = [
  "actor", "application", "audio", "automata", "class", "control", "data", "description", "duplex", "event-packages",
  "extensions", "isfocus", "message", "methods", "languages", "priority", "schemes", "text", "type", "video", "mobility",
];

/** A state as it crosses. */
export interface CoreState extends PresenceState {
  /** Who watches, where that is watched. */
  readonly watchers?: readonly Watcher[];
}

type Draft<T> = { -readonly [K in keyof T]: T[K] };

/** A record that is being read. */
export class Record {
  readonly #words: Uint32Array;
  readonly #text: string;
  #at = 0;
  #position = 0;

  constructor(words: Uint32Array, text: string) {
    this.#words = words;
    this.#text = text;
  }

  word(): number {
    return this.#words[this.#at++] ?? 0;
  }

  #flag(): boolean {
    return this.word() !== 0;
  }

  #cut(length: number): string {
    const start = this.#position;
    this.#position = start + length;
    return this.#text.substring(start, this.#position);
  }

  optional(): string | undefined {
    const length = this.word();
    return length === 0 ? undefined : this.#cut(length - 1);
  }

  instant(): number | undefined {
    const high = this.word();
    const at = high * 0x1_0000_0000 + this.word();
    return at === 0 ? undefined : at;
  }

  list<T>(item: () => T): readonly T[] {
    const items: T[] = [];
    for (let count = this.word(); count > 0; count--) items.push(item());
    return Object.freeze(items);
  }

  text(): string {
    return this.#cut(this.word());
  }

  state(): CoreState {
    const uri = this.text();
    const status = STATUSES[this.word()] ?? "unknown";
    const idle = this.#flag();
    const outOfOffice = this.#flag();
    const activities = this.list(() => this.text());
    const note = this.optional();
    const until = this.instant();
    const subscription = this.#subscription();
    const stale = this.#flag();
    const asOf = this.instant();
    const cause = CAUSES[this.word()] ?? "change";
    const state: Draft<CoreState> = { uri, status, idle, outOfOffice, activities, subscription, stale, cause };
    if (note !== undefined) state.note = note;
    if (until !== undefined) state.until = until;
    if (asOf !== undefined) state.asOf = asOf;
    if (this.#flag()) state.presence = this.#presence();
    const details = this.word();
    if (details === 1) state.dialogs = this.list(() => this.#dialog());
    if (details === 2) state.watchers = this.list(() => this.#watcher());
    return Object.freeze(state);
  }

  #subscription(): SubscriptionInfo {
    const info: Draft<SubscriptionInfo> = { state: SUBSCRIPTION_STATES[this.word()] ?? "trying" };
    const reason = this.optional();
    const failure = this.result();
    const expires = this.instant();
    const retryAt = this.instant();
    if (reason !== undefined) info.reason = reason;
    if (failure !== undefined) info.failure = failure;
    if (expires !== undefined) info.expires = expires;
    if (retryAt !== undefined) info.retryAt = retryAt;
    return Object.freeze(info);
  }

  #presence(): Presence {
    const entity = this.text();
    const tuples = this.list<Tuple>(() => this.#component());
    const persons = this.list<Person>(() => this.#component());
    const devices = this.list<Device>(() => this.#component());
    const notes = this.list(() => this.#note());
    const extensions = this.list(() => this.#extension());
    return Object.freeze({ entity, tuples, persons, devices, notes, extensions });
  }

  #watcher(): Watcher {
    const watcher: Draft<Partial<Watcher>> = { id: this.text(), uri: this.text() };
    const displayName = this.optional();
    if (displayName !== undefined) watcher.displayName = displayName;
    watcher.status = this.text() as Watcher["status"];
    watcher.event = this.text() as Watcher["event"];
    const since = this.instant();
    const expires = this.instant();
    if (since !== undefined) watcher.since = since;
    if (expires !== undefined) watcher.expires = expires;
    return Object.freeze(watcher as Watcher);
  }

  #dialog(): Dialog {
    const dialog: Draft<Partial<Dialog>> = { id: this.text(), state: this.text() };
    for (const name of ["direction", "callId", "localTag", "remoteTag"] as const) {
      const text = this.optional();
      if (text !== undefined) dialog[name] = text as "initiator";
    }
    dialog.local = this.#participant();
    dialog.remote = this.#participant();
    return Object.freeze(dialog as Dialog);
  }

  #participant(): Participant {
    const identities = this.list(() => this.#identity());
    const target = this.optional();
    return Object.freeze(target === undefined ? { identities } : { identities, target });
  }

  #identity(): Identity {
    const uri = this.text();
    const displayName = this.optional();
    return Object.freeze(displayName === undefined ? { uri } : { uri, displayName });
  }

  #component(): Tuple & Person & Device {
    const id = this.text();
    const activities: Activity[] = [];
    const component: Draft<Tuple & Person & Device> = { id, activities, notes: [], extensions: [] };
    const basic = this.#basic();
    if (basic !== undefined) component.basic = basic;
    const contact = this.#contact();
    if (contact !== undefined) component.contact = contact;
    const deviceIds = this.list(() => this.text());
    if (deviceIds.length > 0) component.deviceIds = deviceIds;
    const attributes: { [name: string]: PresenceAttribute[] } = {};
    const capabilities: Capability[] = [];
    for (let count = this.word(); count > 0; count--) {
      const place = this.word();
      const { excluded, ...attribute } = this.#attribute();
      const name = ATTRIBUTES[place];
      if (name === undefined) {
        const capability = CAPABILITIES[place - ATTRIBUTES.length];
        if (capability !== undefined) capabilities.push(toCapability(capability, attribute, excluded));
      } else if (name === "activities") {
        activities.push(...toActivities(attribute));
      } else {
        (attributes[name] ??= []).push(Object.freeze(attribute));
      }
    }
    Object.assign(component, attributes);
    Object.values(attributes).forEach(Object.freeze);
    Object.freeze(activities);
    if (capabilities.length > 0) component.capabilities = Object.freeze(capabilities);
    const userInput = this.#userInput();
    if (userInput !== undefined) component.userInput = userInput;
    component.notes = this.list(() => this.#note());
    const timestamp = this.instant();
    if (timestamp !== undefined) component.timestamp = timestamp;
    component.extensions = this.list(() => this.#extension());
    return Object.freeze(component);
  }

  #basic(): Tuple["basic"] {
    const basic = this.word();
    return basic === 0 ? undefined : basic === 1 ? "open" : "closed";
  }

  /** The attribute, and which of its values are expressly excluded. */
  #attribute(): Draft<PresenceAttribute> & { excluded: ReadonlySet<AttributeValue> } {
    const attribute: Draft<PresenceAttribute> = {};
    const basic = this.#basic();
    if (basic !== undefined) attribute.basic = basic;
    if (this.#flag()) Object.assign(attribute, this.#note());
    const from = this.instant();
    const until = this.instant();
    if (from !== undefined) attribute.from = from;
    if (until !== undefined) attribute.until = until;
    const notes = this.list(() => this.#note());
    if (notes.length > 0) attribute.notes = notes;
    const excluded = new Set<AttributeValue>();
    const values = this.list(() => {
      const value: Draft<AttributeValue> = { name: this.text() };
      const namespace = this.text();
      const text = this.text();
      if (namespace !== "") value.namespace = namespace;
      if (text !== "") value.text = text;
      if (this.#flag()) excluded.add(value);
      return Object.freeze(value);
    });
    if (values.length > 0) attribute.values = values;
    return { ...attribute, excluded };
  }

  #contact(): Tuple["contact"] {
    const uri = this.optional();
    if (uri === undefined) return undefined;
    const priority = this.word();
    return Object.freeze(priority === 0 ? { uri } : { uri, priority: (priority - 1) / 1000 });
  }

  #note(): Note {
    const text = this.text();
    const lang = this.optional();
    return Object.freeze(lang === undefined ? { text } : { text, lang });
  }

  #userInput(): UserInput | undefined {
    const kind = this.word();
    if (kind === 0) return undefined;
    const lastInput = this.instant();
    return Object.freeze(lastInput === undefined ? { idle: kind === 2 } : { idle: kind === 2, lastInput });
  }

  #extension(): Extension {
    const namespace = this.text();
    const name = this.text();
    return Object.freeze({ namespace, name, text: this.text() });
  }

  failure(): Failure {
    const code = this.text();
    const message = this.text();
    const failure: Draft<Failure> = { code, message, source: SOURCES[this.word()] ?? "library" };
    const status = this.word();
    const reason = this.optional();
    const retryAt = this.instant();
    const uri = this.optional();
    if (status !== 0) failure.status = status;
    if (reason !== undefined) failure.reason = reason;
    if (retryAt !== undefined) failure.retryAt = retryAt;
    if (uri !== undefined) failure.uri = uri;
    return Object.freeze(failure);
  }

  /** The failure in a result, or undefined for a success. */
  result(): Failure | undefined {
    return this.#flag() ? this.failure() : undefined;
  }

  connection(): ConnectionInfo {
    const state = CONNECTION_STATES[this.word()] ?? "closed";
    const info: Draft<ConnectionInfo> = { state, attempt: this.word() };
    const retryAt = this.instant();
    const reason = this.result();
    if (retryAt !== undefined) info.retryAt = retryAt;
    if (reason !== undefined) info.reason = reason;
    return Object.freeze(info);
  }

  challenge(): ChallengeInfo {
    const realm = this.text();
    const scheme = this.text();
    const scope = this.optional();
    const authzServer = this.optional();
    const error = this.optional();
    const algorithms = this.list(() => this.text());
    return Object.freeze({
      realm, scheme, algorithms, rejected: this.#flag(),
      ...(scope === undefined ? {} : { scope }), ...(authzServer === undefined ? {} : { authzServer }),
      ...(error === undefined ? {} : { error }),
    });
  }
}

/** Each value is an activity of its own, for the time of all. */
function toActivities({ values = [], from, until, notes: [note] = [] }: PresenceAttribute): Activity[] {
  return values.map((value) => {
    const activity: Draft<Activity> = { ...value };
    if (from !== undefined) activity.from = from;
    if (until !== undefined) activity.until = until;
    if (note !== undefined) activity.note = note;
    return Object.freeze(activity);
  });
}

function toCapability(name: Capability["name"], attribute: PresenceAttribute, excluded: ReadonlySet<unknown>): Capability {
  const { values, text, lang } = attribute;
  const capability: Draft<Capability> = { name };
  if (text !== undefined) capability.text = text;
  if (lang !== undefined) capability.lang = lang;
  if (values !== undefined) {
    const words = (wanted: boolean) => Object.freeze(values.filter((value) => excluded.has(value) === wanted)
      .map((value) => (value.text === undefined ? value.name : `${value.name} ${value.text}`)));
    capability.supported = words(false);
    capability.notSupported = words(true);
  }
  return Object.freeze(capability);
}
