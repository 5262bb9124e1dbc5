/**
 * Reads what crosses from wasm: a row of 32-bit words and one text; see `src/wasm/record.rs`, which writes both in
 * the same order. The objects made from it are frozen. Keys are ours: no text from a peer becomes one.
 */
import type {
  Activity, Cause, ChallengeInfo, ConnectionInfo, Device, Extension, Failure, FailureSource, Note, Person, Presence,
  PresenceState, Status, SubscriptionInfo, Tuple, UserInput,
} from "./types.js";

// The order is that of src/wasm/record.rs.
export const STATUSES: readonly Status[] =
  ["unknown", "offline", "available", "away", "busy", "on-the-phone", "do-not-disturb"];
export const SUBSCRIPTION_STATES: readonly SubscriptionInfo["state"][] = ["trying", "pending", "active", "terminated"];
export const CAUSES: readonly Cause[] = ["initial", "change", "resync", "expired", "disconnect", "local"];
export const SOURCES: readonly FailureSource[] = ["server", "network", "application", "library"];
export const CONNECTION_STATES: readonly ConnectionInfo["state"][] = ["connecting", "online", "reconnecting", "closed"];

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

  #word(): number {
    return this.#words[this.#at++] ?? 0;
  }

  #flag(): boolean {
    return this.#word() !== 0;
  }

  #cut(length: number): string {
    const start = this.#position;
    this.#position = start + length;
    return this.#text.substring(start, this.#position);
  }

  #optional(): string | undefined {
    const length = this.#word();
    return length === 0 ? undefined : this.#cut(length - 1);
  }

  #instant(): number | undefined {
    const high = this.#word();
    const at = high * 0x1_0000_0000 + this.#word();
    return at === 0 ? undefined : at;
  }

  #list<T>(item: () => T): readonly T[] {
    const items: T[] = [];
    for (let count = this.#word(); count > 0; count--) items.push(item());
    return Object.freeze(items);
  }

  text(): string {
    return this.#cut(this.#word());
  }

  state(): PresenceState {
    const uri = this.text();
    const status = STATUSES[this.#word()] ?? "unknown";
    const idle = this.#flag();
    const outOfOffice = this.#flag();
    const activities = this.#list(() => this.text());
    const note = this.#optional();
    const until = this.#instant();
    const subscription = this.#subscription();
    const stale = this.#flag();
    const asOf = this.#instant();
    const cause = CAUSES[this.#word()] ?? "change";
    const state: Draft<PresenceState> = { uri, status, idle, outOfOffice, activities, subscription, stale, cause };
    if (note !== undefined) state.note = note;
    if (until !== undefined) state.until = until;
    if (asOf !== undefined) state.asOf = asOf;
    if (this.#flag()) state.presence = this.#presence();
    return Object.freeze(state);
  }

  #subscription(): SubscriptionInfo {
    const info: Draft<SubscriptionInfo> = { state: SUBSCRIPTION_STATES[this.#word()] ?? "trying" };
    const reason = this.#optional();
    const expires = this.#instant();
    const retryAt = this.#instant();
    if (reason !== undefined) info.reason = reason;
    if (expires !== undefined) info.expires = expires;
    if (retryAt !== undefined) info.retryAt = retryAt;
    return Object.freeze(info);
  }

  #presence(): Presence {
    const entity = this.text();
    const tuples = this.#list(() => this.#tuple());
    const persons = this.#list(() => this.#person());
    const devices = this.#list(() => this.#device());
    const notes = this.#list(() => this.#note());
    const extensions = this.#list(() => this.#extension());
    return Object.freeze({ entity, tuples, persons, devices, notes, extensions });
  }

  #tuple(): Tuple {
    const id = this.text();
    const basic = this.#word();
    const contact = this.#contact();
    const notes = this.#list(() => this.#note());
    const timestamp = this.#instant();
    const activities = this.#list(() => this.#activity());
    const userInput = this.#userInput();
    const extensions = this.#list(() => this.#extension());
    const tuple: Draft<Tuple> = { id, notes, activities, extensions };
    if (basic !== 0) tuple.basic = basic === 1 ? "open" : "closed";
    if (contact !== undefined) tuple.contact = contact;
    if (timestamp !== undefined) tuple.timestamp = timestamp;
    if (userInput !== undefined) tuple.userInput = userInput;
    return Object.freeze(tuple);
  }

  #contact(): Tuple["contact"] {
    const uri = this.#optional();
    if (uri === undefined) return undefined;
    const priority = this.#word();
    return Object.freeze(priority === 0 ? { uri } : { uri, priority: (priority - 1) / 1000 });
  }

  #person(): Person {
    const id = this.text();
    const activities = this.#list(() => this.#activity());
    const userInput = this.#userInput();
    const notes = this.#list(() => this.#note());
    const timestamp = this.#instant();
    const extensions = this.#list(() => this.#extension());
    const person: Draft<Person> = { id, activities, notes, extensions };
    if (userInput !== undefined) person.userInput = userInput;
    if (timestamp !== undefined) person.timestamp = timestamp;
    return Object.freeze(person);
  }

  #device(): Device {
    const id = this.text();
    const deviceId = this.#optional();
    const userInput = this.#userInput();
    const notes = this.#list(() => this.#note());
    const timestamp = this.#instant();
    const extensions = this.#list(() => this.#extension());
    const device: Draft<Device> = { id, notes, extensions };
    if (deviceId !== undefined) device.deviceId = deviceId;
    if (userInput !== undefined) device.userInput = userInput;
    if (timestamp !== undefined) device.timestamp = timestamp;
    return Object.freeze(device);
  }

  #note(): Note {
    const text = this.text();
    const lang = this.#optional();
    return Object.freeze(lang === undefined ? { text } : { text, lang });
  }

  #activity(): Activity {
    const activity: Draft<Activity> = { name: this.text() };
    const text = this.#optional();
    const from = this.#instant();
    const until = this.#instant();
    if (text !== undefined) activity.text = text;
    if (from !== undefined) activity.from = from;
    if (until !== undefined) activity.until = until;
    if (this.#flag()) activity.note = this.#note();
    return Object.freeze(activity);
  }

  #userInput(): UserInput | undefined {
    const kind = this.#word();
    if (kind === 0) return undefined;
    const lastInput = this.#instant();
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
    const failure: Draft<Failure> = { code, message, source: SOURCES[this.#word()] ?? "library" };
    const status = this.#word();
    const reason = this.#optional();
    const retryAt = this.#instant();
    const uri = this.#optional();
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
    const state = CONNECTION_STATES[this.#word()] ?? "closed";
    const info: Draft<ConnectionInfo> = { state, attempt: this.#word() };
    const retryAt = this.#instant();
    const reason = this.result();
    if (retryAt !== undefined) info.retryAt = retryAt;
    if (reason !== undefined) info.reason = reason;
    return Object.freeze(info);
  }

  challenge(): ChallengeInfo {
    const realm = this.text();
    const scheme = this.text();
    const algorithms = this.#list(() => this.text());
    return Object.freeze({ realm, scheme, algorithms, rejected: this.#flag() });
  }
}
