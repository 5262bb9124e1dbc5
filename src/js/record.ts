/**
 * Reads what crosses from wasm: a row of 32-bit words and one text; see `src/wasm/record.rs`, which writes both in
 * the same order. The objects made from it are frozen. Keys are ours: no text from a peer becomes one.
 */
import type {
  Activity, AttributeValue, Capability, Cause, ChallengeInfo, ConnectionInfo, Device, Dialog, Extension, Failure, FailureCode,
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

/** Every field of `T`, those that may be absent as undefined. */
type Fields<T> = { readonly [K in keyof T]-?: Exclude<T[K], undefined> | (undefined extends T[K] ? undefined : never) };

/** `fields` without those that are undefined, frozen. They are read in the order in which they stand in the call. */
function frozen<T extends object>(fields: Fields<T>): T {
  const object: Partial<Fields<T>> = {};
  for (const name in fields) if (fields[name] !== undefined) object[name] = fields[name];
  return Object.freeze(object) as T;
}

/** A list that is left out if it is empty. */
function some<T>(list: readonly T[]): readonly T[] | undefined {
  return list.length > 0 ? list : undefined;
}

/** What becomes of the attributes of a component: all its fields but those that {@link Record} reads one by one. */
type Attributes = Omit<Fields<Tuple & Person & Device>,
  "id" | "basic" | "contact" | "deviceIds" | "userInput" | "notes" | "timestamp" | "extensions">;

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
    return frozen<CoreState>({
      uri: this.text(),
      status: STATUSES[this.word()] ?? "unknown",
      idle: this.#flag(),
      outOfOffice: this.#flag(),
      activities: this.#texts(),
      note: this.optional(),
      until: this.instant(),
      subscription: this.#subscription(),
      stale: this.#flag(),
      asOf: this.instant(),
      cause: CAUSES[this.word()] ?? "change",
      presence: this.#flag() ? this.#presence() : undefined,
      ...this.#details(),
    });
  }

  #details(): Pick<Fields<CoreState>, "dialogs" | "watchers"> {
    const kind = this.word();
    return {
      dialogs: kind === 1 ? this.list(() => this.#dialog()) : undefined,
      watchers: kind === 2 ? this.list(() => this.#watcher()) : undefined,
    };
  }

  #texts(): readonly string[] {
    return this.list(() => this.text());
  }

  #subscription(): SubscriptionInfo {
    return frozen<SubscriptionInfo>({
      state: SUBSCRIPTION_STATES[this.word()] ?? "trying",
      reason: this.optional(),
      failure: this.result(),
      expires: this.instant(),
      retryAt: this.instant(),
    });
  }

  #presence(): Presence {
    return frozen<Presence>({
      entity: this.text(),
      tuples: this.#components(),
      persons: this.#components(),
      devices: this.#components(),
      notes: this.#notes(),
      extensions: this.#extensions(),
    });
  }

  #components(): readonly (Tuple & Person & Device)[] {
    return this.list(() => this.#component());
  }

  #notes(): readonly Note[] {
    return this.list(() => this.#note());
  }

  #extensions(): readonly Extension[] {
    return this.list(() => frozen<Extension>({ namespace: this.text(), name: this.text(), text: this.text() }));
  }

  #watcher(): Watcher {
    return frozen<Watcher>({
      id: this.text(),
      uri: this.text(),
      displayName: this.optional(),
      status: this.text() as Watcher["status"],
      event: this.text() as Watcher["event"],
      since: this.instant(),
      expires: this.instant(),
    });
  }

  #dialog(): Dialog {
    return frozen<Dialog>({
      id: this.text(),
      state: this.text(),
      direction: this.optional() as Dialog["direction"],
      callId: this.optional(),
      localTag: this.optional(),
      remoteTag: this.optional(),
      local: this.#participant(),
      remote: this.#participant(),
    });
  }

  #participant(): Participant {
    return frozen<Participant>({
      identities: this.list(() => frozen<Identity>({ uri: this.text(), displayName: this.optional() })),
      target: this.optional(),
    });
  }

  #component(): Tuple & Person & Device {
    return frozen<Tuple & Person & Device>({
      id: this.text(),
      basic: this.#basic(),
      contact: this.#contact(),
      deviceIds: some(this.#texts()),
      ...this.#attributes(),
      userInput: this.#userInput(),
      notes: this.#notes(),
      timestamp: this.instant(),
      extensions: this.#extensions(),
    });
  }

  /** What is known of a component by the names of its properties: activities, capabilities and everything else of RPID. */
  #attributes(): Attributes {
    const activities: Activity[] = [];
    const capabilities: Capability[] = [];
    const attributes: { [name: string]: PresenceAttribute[] } = {};
    for (let count = this.word(); count > 0; count--) {
      const place = this.word();
      const excluded = new Set<AttributeValue>();
      const attribute = this.#attribute(excluded);
      const name = ATTRIBUTES[place];
      if (name === undefined) {
        const capability = CAPABILITIES[place - ATTRIBUTES.length];
        if (capability !== undefined) capabilities.push(toCapability(capability, attribute, excluded));
      } else if (name === "activities") {
        activities.push(...toActivities(attribute));
      } else {
        (attributes[name] ??= []).push(attribute);
      }
    }
    for (const list of [activities, capabilities, ...Object.values(attributes)]) Object.freeze(list);
    return { activities, capabilities: some(capabilities), ...attributes } as unknown as Attributes;
  }

  #basic(): Tuple["basic"] {
    const basic = this.word();
    return basic === 0 ? undefined : basic === 1 ? "open" : "closed";
  }

  /** An attribute; those of its values that are expressly excluded go into `excluded`. */
  #attribute(excluded: Set<AttributeValue>): PresenceAttribute {
    return frozen<PresenceAttribute>({
      basic: this.#basic(),
      ...(this.#flag() ? this.#note() : {}) as { readonly text: string | undefined; readonly lang: string | undefined },
      from: this.instant(),
      until: this.instant(),
      notes: some(this.#notes()),
      values: some(this.list(() => {
        const value = frozen<AttributeValue>({
          name: this.text(), namespace: this.text() || undefined, text: this.text() || undefined,
        });
        if (this.#flag()) excluded.add(value);
        return value;
      })),
    });
  }

  #contact(): Tuple["contact"] {
    const uri = this.optional();
    if (uri === undefined) return undefined;
    const priority = this.word();
    return frozen<NonNullable<Tuple["contact"]>>({ uri, priority: priority === 0 ? undefined : (priority - 1) / 1000 });
  }

  #note(): Note {
    return frozen<Note>({ text: this.text(), lang: this.optional() });
  }

  #userInput(): UserInput | undefined {
    const kind = this.word();
    return kind === 0 ? undefined : frozen<UserInput>({ idle: kind === 2, lastInput: this.instant() });
  }

  failure(): Failure {
    return frozen<Failure>({
      code: this.text() as FailureCode,
      message: this.text(),
      source: SOURCES[this.word()] ?? "library",
      status: this.word() || undefined,
      reason: this.optional(),
      retryAt: this.instant(),
      uri: this.optional(),
    });
  }

  /** The failure in a result, or undefined for a success. */
  result(): Failure | undefined {
    return this.#flag() ? this.failure() : undefined;
  }

  connection(): ConnectionInfo {
    return frozen<ConnectionInfo>({
      state: CONNECTION_STATES[this.word()] ?? "closed",
      attempt: this.word(),
      retryAt: this.instant(),
      reason: this.result(),
    });
  }

  challenge(): ChallengeInfo {
    return frozen<ChallengeInfo>({
      realm: this.text(),
      scheme: this.text(),
      scope: this.optional(),
      authzServer: this.optional(),
      error: this.optional(),
      algorithms: this.#texts(),
      rejected: this.#flag(),
    });
  }
}

/** Each value is an activity of its own, for the time of all. */
function toActivities({ values = [], from, until, notes: [note] = [] }: PresenceAttribute): Activity[] {
  return values.map(({ name, namespace, text }) => frozen<Activity>({ name, namespace, text, from, until, note }));
}

function toCapability(
  name: Capability["name"], { values, text, lang }: PresenceAttribute, excluded: ReadonlySet<unknown>): Capability {
  const words = (wanted: boolean): readonly string[] | undefined =>
    values && Object.freeze(values.filter((value) => excluded.has(value) === wanted)
      .map((value) => (value.text === undefined ? value.name : `${value.name} ${value.text}`)));
  return frozen<Capability>({ name, text, lang, supported: words(false), notSupported: words(true) });
}
