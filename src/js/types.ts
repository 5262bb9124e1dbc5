/// <reference lib="esnext.disposable" preserve="true" />
/** The types of the public API. What crosses is plain data; times are epoch milliseconds. */

/** One word for a whole presence document. `unknown` is not `offline`. */
export type Status = "available" | "away" | "busy" | "do-not-disturb" | "on-the-phone" | "offline" | "unknown";

/** A plain-text note with its language tag, where one is known. */
export interface Note {
  readonly text: string;
  readonly lang?: string;
}

/** A token, such as `meeting` or `happy`; in `placeIs` the medium. */
export interface AttributeValue {
  readonly name: string;
  /** Of a token that is not of RPID. */
  readonly namespace?: string;
  /** The text of `other`; in `placeIs` how it is there for the medium. */
  readonly text?: string;
}

/** An RPID activity (RFC 4480 §3.2): the token, such as `meeting`; `other` with its text in `text`. */
export interface Activity extends AttributeValue {
  /** Epoch milliseconds. */
  readonly from?: number;
  /** Epoch milliseconds. */
  readonly until?: number;
  readonly note?: Note;
}

/** What is said of a tuple, person or device: either with `values` or as `text`. */
export interface PresenceAttribute {
  readonly values?: readonly AttributeValue[];
  /** A URI, a word, or minutes. */
  readonly text?: string;
  readonly lang?: string;
  /** Epoch milliseconds. */
  readonly from?: number;
  /** Epoch milliseconds. */
  readonly until?: number;
  readonly notes?: readonly Note[];
  /** Of a timed status. */
  readonly basic?: "open" | "closed";
}

/** A capability (RFC 5196): `text` for a boolean, a description or a media type, else what is and is not supported. */
export interface Capability {
  readonly name: "actor" | "application" | "audio" | "automata" | "class" | "control" | "data" | "description" | "duplex"
    | "event-packages" | "extensions" | "isfocus" | "languages" | "message" | "methods" | "mobility" | "priority"
    | "schemes" | "text" | "type" | "video";
  readonly text?: string;
  readonly lang?: string;
  readonly supported?: readonly string[];
  readonly notSupported?: readonly string[];
}

/** What RPID, timed status, CIPID and capabilities say; each as often as the document has it. Never fetched: a URI is a text. */
export interface PresenceAttributes {
  readonly activities: readonly Activity[];
  /** Not for people: a name that the publisher gives to several elements. */
  readonly class?: readonly PresenceAttribute[];
  readonly mood?: readonly PresenceAttribute[];
  /** `values` by medium: `audio`, `video`, `text`. */
  readonly placeIs?: readonly PresenceAttribute[];
  readonly placeType?: readonly PresenceAttribute[];
  /** `values` are the media that others cannot hear or see. */
  readonly privacy?: readonly PresenceAttribute[];
  readonly relationship?: readonly PresenceAttribute[];
  readonly serviceClass?: readonly PresenceAttribute[];
  readonly sphere?: readonly PresenceAttribute[];
  /** `text` is a URI. */
  readonly statusIcon?: readonly PresenceAttribute[];
  /** `text` is minutes from UTC, east positive: the opposite of `Date.getTimezoneOffset()`. */
  readonly timeOffset?: readonly PresenceAttribute[];
  /** What will be or was; the status now is not in it. */
  readonly timedStatus?: readonly PresenceAttribute[];
  readonly card?: readonly PresenceAttribute[];
  readonly displayName?: readonly PresenceAttribute[];
  readonly homepage?: readonly PresenceAttribute[];
  readonly icon?: readonly PresenceAttribute[];
  readonly map?: readonly PresenceAttribute[];
  readonly sound?: readonly PresenceAttribute[];
  /** What Asterisk says: the first value's `name` is its type, its `text` the subtype. */
  readonly digiumPresence?: readonly PresenceAttribute[];
  readonly capabilities?: readonly Capability[];
}

/** An element of the document that this library gives no meaning. */
export interface Extension {
  readonly namespace: string;
  readonly name: string;
  readonly text: string;
}

/** RPID user-input (RFC 4480 §3.14). */
export interface UserInput {
  readonly idle: boolean;
  /** Epoch milliseconds. */
  readonly lastInput?: number;
}

/** One service of the presentity (RFC 3863 §4.1.2). */
export interface Tuple extends PresenceAttributes {
  readonly id: string;
  readonly basic?: "open" | "closed";
  /** `priority` is 0 to 1. */
  readonly contact?: { readonly uri: string; readonly priority?: number };
  /** The devices it runs on. */
  readonly deviceIds?: readonly string[];
  readonly notes: readonly Note[];
  /** Epoch milliseconds. */
  readonly timestamp?: number;
  readonly userInput?: UserInput;
  readonly extensions: readonly Extension[];
}

/** The human being (RFC 4479 §3.2). */
export interface Person extends PresenceAttributes {
  readonly id: string;
  readonly userInput?: UserInput;
  readonly notes: readonly Note[];
  /** Epoch milliseconds. */
  readonly timestamp?: number;
  readonly extensions: readonly Extension[];
}

/** A device (RFC 4479 §3.4). */
export interface Device extends PresenceAttributes {
  readonly id: string;
  /** URNs; one by the standard. */
  readonly deviceIds?: readonly string[];
  readonly userInput?: UserInput;
  readonly notes: readonly Note[];
  /** Epoch milliseconds. */
  readonly timestamp?: number;
  readonly extensions: readonly Extension[];
}

/** A whole presence document as data (RFC 3863, RFC 4479, RFC 4480). */
export interface Presence {
  readonly entity: string;
  readonly tuples: readonly Tuple[];
  readonly persons: readonly Person[];
  readonly devices: readonly Device[];
  readonly notes: readonly Note[];
  readonly extensions: readonly Extension[];
}

/** An address with a name for people. */
export interface Identity {
  readonly uri: string;
  readonly displayName?: string;
}

/** A side of a call (RFC 4235 §4.1.6). */
export interface Participant {
  readonly identities: readonly Identity[];
  /** The address of its device. */
  readonly target?: string;
}

/** A call, or an attempt at one (RFC 4235 §4.1.1). Those that are over are not told. */
export interface Dialog {
  readonly id: string;
  /** `trying`, `proceeding`, `early`, `confirmed`, or another word that the server used. */
  readonly state: string;
  /** What the watched side is. */
  readonly direction?: "initiator" | "recipient";
  /** With the tags it names the dialog, as a header `Replaces` needs it (RFC 3891). */
  readonly callId?: string;
  readonly localTag?: string;
  readonly remoteTag?: string;
  /** The watched side. */
  readonly local: Participant;
  /** The other side. */
  readonly remote: Participant;
}

/** How the subscription behind a state stands (RFC 6665 §4.1). */
export interface SubscriptionInfo {
  readonly state: "trying" | "pending" | "active" | "terminated";
  /** Why it ended: an RFC 6665 reason (`rejected`, `noresource`, …) or a {@link Failure} code. */
  readonly reason?: string;
  /** Why it ended, in full. */
  readonly failure?: Failure;
  /** When it ends if it is not refreshed, epoch milliseconds. */
  readonly expires?: number;
  /** When it is tried again, epoch milliseconds; absent if it is not. */
  readonly retryAt?: number;
}

/** Why a state came. A resync is never to be shown as people moving. */
export type Cause = "initial" | "change" | "resync" | "expired" | "disconnect" | "local";

/** What is known of one presentity. Frozen; the same object until something changes. */
export interface PresenceState {
  readonly uri: string;
  readonly status: Status;
  readonly idle: boolean;
  readonly outOfOffice: boolean;
  readonly activities: readonly string[];
  readonly note?: string;
  /** When the activity that gave the status ends, epoch milliseconds. */
  readonly until?: number;
  /** The whole document; absent until one came. */
  readonly presence?: Presence;
  /** The calls, oldest first, where the package `dialog` is watched; absent until they are known. */
  readonly dialogs?: readonly Dialog[];
  readonly subscription: SubscriptionInfo;
  /** The connection or the subscription is gone: this is the last known state, and may be old. */
  readonly stale: boolean;
  /** When this was known to be true, epoch milliseconds; absent if nothing is known. */
  readonly asOf?: number;
  readonly cause: Cause;
}

/** Whose fault a failure is. */
export type FailureSource = "server" | "network" | "application" | "library";

/** What has failed: a stable word, listed in the error catalogue. */
export type FailureCode =
  | "module" | "bad-address" | "connection-failed" | "connection-lost" | "sub-protocol" | "timeout"
  | "no-credentials" | "unauthorized" | "algorithm" | "untrusted" | "forbidden" | "not-found" | "rejected"
  | "unsupported-event" | "no-notify" | "expired" | "deactivated" | "probation" | "giveup" | "noresource"
  | "invariant" | "badfilter" | "ended" | "unavailable" | "server-error" | "refused" | "bad-response"
  | "bad-message" | "too-large" | "bad-document" | "no-list" | "too-many-watches" | "not-asked" | "secure-only"
  | "xcap-unreachable" | "bad-rules" | "policy-overruled" | "closed" | "authorize" | "policies"
  | "too-many-policies" | "library";

/** A failure as data. */
export interface Failure {
  readonly code: FailureCode;
  /** A sentence a developer can act on. */
  readonly message: string;
  readonly source: FailureSource;
  /** The SIP status code of a response, or the close code of a lost WebSocket. */
  readonly status?: number;
  /** The reason phrase, or the reason of the subscription's end. */
  readonly reason?: string;
  /** When the library tries again by itself, epoch milliseconds. */
  readonly retryAt?: number;
  /** The presentity it concerns. */
  readonly uri?: string;
}

/** State of the link to the server. */
export interface ConnectionInfo {
  readonly state: "connecting" | "online" | "reconnecting" | "closed";
  /** How many times in a row connecting has failed. */
  readonly attempt: number;
  /** When it is tried again, epoch milliseconds. */
  readonly retryAt?: number;
  readonly reason?: Failure;
}

/** One SIP message that was sent or received, its secrets removed. */
export interface TraceMessage {
  readonly direction: "sent" | "received";
  /** The whole text; the password-derived parts of authentication headers are blanked. */
  readonly text: string;
  /** Epoch milliseconds. */
  readonly at: number;
}

/** What a credentials callback is told. */
export interface ChallengeInfo {
  readonly realm: string;
  /** `digest` or `bearer`. */
  readonly scheme: string;
  /** Digest algorithms the server takes, in its order: `SHA-256`, `MD5`, … */
  readonly algorithms: readonly string[];
  /** The credentials used last were refused. */
  readonly rejected: boolean;
  /** Of `bearer`: what the token must be good for, words with blanks between them. */
  readonly scope?: string;
  /** Of `bearer`: where tokens are to be had; one of `authorizationServers`. */
  readonly authzServer?: string;
  /** Of `bearer`: why the last token was refused, such as `invalid_token`. */
  readonly error?: string;
}

/** A user name with the password, or with `H(username:realm:password)` by algorithm; or a bearer token (RFC 8898). */
export type Credentials =
  | { readonly token: string }
  | { readonly username: string; readonly password: string }
  | { readonly username: string; readonly ha1: { readonly [algorithm: string]: string } };

/** Credentials, or a function that finds them; `undefined` from it gives up. */
export type CredentialsProvider =
  | Credentials
  | ((challenge: ChallengeInfo) => Credentials | undefined | Promise<Credentials | undefined>);

/** How often a server shall tell changes (RFC 6446). A server that does not know these wishes does as it likes. */
export interface Rates {
  /** Seconds between two messages about one person, at least. */
  readonly minInterval?: number | undefined;
  /** Seconds between two messages about one person, at most, even if nothing changes. */
  readonly maxInterval?: number | undefined;
  /** Messages per second about one person to be had on average, even if nothing changes. */
  readonly adaptiveMinRate?: number | undefined;
}

/** What a watcher gets: everything, a refusal, the sight of somebody who is offline, or nothing until somebody decides. */
export type Policy = "allow" | "block" | "polite-block" | "ask";

/** Policies by address. */
export type Policies = readonly (readonly [uri: string, policy: Policy])[];

/** Where policies are kept. An exception or a rejection is told as a failure, and so is no answer within ten seconds. */
export interface PolicyStore {
  /** Waited for before the agent connects. After a failure it is called again before something is saved. */
  load(): Policies | Promise<Policies>;
  /** Is given all of them, with one spelling for each address; not before the last call has ended. */
  save(policies: Policies): unknown;
}

/** Who asks to watch this user. */
export interface WatcherInfo {
  /** The address, which has been proved as `identities` says: `sip:bob@example.com`. */
  readonly uri: string;
  /** What the watcher calls itself. */
  readonly displayName?: string;
}

/** Somebody who watches this user, or wants to. */
export interface Watcher extends WatcherInfo {
  readonly id: string;
  /** `waiting`: the subscription is over, and nobody has decided yet. */
  readonly status: "pending" | "active" | "waiting" | "terminated";
  /** What brought it there (RFC 3857). */
  readonly event:
    | "subscribe" | "approved" | "deactivated" | "probation" | "rejected" | "timeout" | "giveup" | "noresource";
  /** When it began to watch, in epoch milliseconds; a server need not tell. */
  readonly since?: number;
  /** When the subscription ends unless it is renewed, in epoch milliseconds. */
  readonly expires?: number;
}

/** Called at once with who watches as far as that is known, then on every change. */
export type WatchersCallback = (watchers: readonly Watcher[]) => void;

/**
 * How it is known who a watcher is: `asserted`: the server says so in P-Asserted-Identity, and takes that header away
 * from what users send; `from`: the server lets nobody send a From that is not theirs; or digest, with the password, or
 * `H(username:realm:password)` by algorithm, of each by user name. The realm is the host of the own address; a name
 * without a host is of that host.
 */
export type Identities = "asserted" | "from" | Secrets;

/** A password by user name, or `H(username:realm:password)` by algorithm; the realm is the host of the own address. */
export interface Secrets {
  readonly [username: string]: string | { readonly ha1: { readonly [algorithm: string]: string } };
}

/** Options of a page that may be watched. */
export interface WatchedOptions {
  /**
   * Makes this page a presence agent: asked what a watcher gets about whom no policy is remembered. An answer at once
   * decides the watcher's own request; while a promise is open, the watcher is pending.
   */
  readonly authorize?: ((watcher: WatcherInfo) => Policy | Promise<Policy>) | undefined;
  /** How it is known who a watcher is. Has to be given with `authorize`. */
  readonly identities: Identities;
}

/** The same options of a page that nobody watches. */
export interface UnwatchedOptions {
  readonly authorize?: undefined;
  readonly identities?: undefined;
}

/** What `createAgent` takes. */
export type AgentOptions = GeneralOptions & (WatchedOptions | UnwatchedOptions);

/** The options that do not depend on each other. */
export interface GeneralOptions {
  /** WebSocket URL of the SIP server; several are tried in order. `ws:` only for loopback, or with `allowInsecure`. */
  readonly server: string | readonly string[];
  /** Your own address: `sip:alice@example.com`. */
  readonly aor: string;
  readonly displayName?: string | undefined;
  readonly credentials?: CredentialsProvider | undefined;
  /**
   * The authorization servers that are trusted, as https URLs: a bearer token is sent only if the challenge names one of
   * them (RFC 8898). Default: none.
   */
  readonly authorizationServers?: readonly string[] | undefined;
  /** Where policies are kept. Default: `localStorage`, by the own address; where there is none, as long as the agent. */
  readonly policies?: PolicyStore | undefined;
  /**
   * The XCAP root of the server, as an https URL: `setPolicy` writes the rules there (RFC 4825, RFC 5025). `http:` only for
   * loopback, or with `allowInsecure`.
   */
  readonly xcapRoot?: string | undefined;
  /**
   * The secrets of those who notify. If there are some, each NOTIFY has to prove by digest that it and its body come from
   * one of them (RFC 3856 §9.4), and a document with something older than what is known is refused.
   */
  readonly notifiers?: Secrets | undefined;
  /** REGISTER this page at the server. Default: whether `authorize` is given. */
  readonly register?: boolean | undefined;
  /** Seconds a subscription is asked for. Default: 3600. */
  readonly expires?: number | undefined;
  /**
   * Seconds between keep-alives. Default: as the server asks; if it does not, it is asked for a sign of life after two
   * minutes without one. 0: only as the server asks.
   */
  readonly keepAlive?: number | undefined;
  /** Proxies that requests outside a dialog go through, such as `sip:proxy.example.com;transport=ws;lr`. */
  readonly route?: string | readonly string[] | undefined;
  readonly rates?: Rates | undefined;
  /** Milliseconds a watch goes on after the last `unwatch()`, for pages that come and go. Default: 2000. */
  readonly linger?: number | undefined;
  /**
   * Keep in `sessionStorage`, for the next load of this tab, the name of the device, the entity-tag of the publication, and
   * what ends the dialogs that are left. Default: true.
   */
  readonly keepSession?: boolean | undefined;
  /** How many SUBSCRIBEs may be on their way at once. Default: 16. */
  readonly window?: number | undefined;
  /** A server that takes a whole list in one SUBSCRIBE (RFC 5367): `watch([...])` then needs one subscription. */
  readonly listServer?: string | undefined;
  /** Words added to the User-Agent header, for servers that tell some clients more: `digium` for Asterisk. */
  readonly userAgent?: string | undefined;
  /** Allow `ws:` to a host that is not loopback. Default: false. */
  readonly allowInsecure?: boolean | undefined;
  /** Load the full module, for {@link Agent.watchList}, the package `dialog` and {@link Agent.watchers}. Default: only where another option needs it. */
  readonly full?: boolean | undefined;
  /** The WebSocket constructor of hosts that have no global one, such as `ws` on Node 20. */
  readonly webSocket?: unknown;
  /**
   * URL, bytes, `Response` or `WebAssembly.Module` of the wasm file, where the default cannot find it: of
   * `sip-presence.wasm`, or of `sip-presence-full.wasm` in the entry `/inline` and where an option needs that one.
   */
  readonly wasm?: unknown;
}

/** What `publish` takes. */
export interface PublishOptions {
  readonly status: Exclude<Status, "unknown">;
  readonly note?: string | undefined;
  /** RPID activity tokens, such as `meeting`; another word is published as `other`. */
  readonly activities?: readonly string[] | undefined;
  /** When the activity ends. */
  readonly until?: Date | number | undefined;
}

/** What `autoAway` takes. */
export interface AutoAwayOptions {
  /** Milliseconds without input until the user is away. Default: 300000. At least 1000. */
  readonly after?: number | undefined;
}

/** What is watched: the presence of somebody (RFC 3856), or the calls (RFC 4235), as a busy lamp shows them. */
export type Package = "presence" | "dialog";

/** Which watch, or what of somebody. */
export interface WatchOptions {
  /** Default: `presence`. */
  readonly package?: Package | undefined;
}

/** Called at once with what is known, then on every change. */
export type WatchCallback = (state: PresenceState, uri: string) => void;

/** The events of an agent. */
export interface AgentEventMap {
  connection: CustomEvent<ConnectionInfo>;
  error: CustomEvent<Failure>;
  trace: CustomEvent<TraceMessage>;
}

/** What an EventTarget takes: the names that the types of a page have for it are not known in a program for Node. */
type Listener = Parameters<EventTarget["addEventListener"]>[1];
type AddOptions = Parameters<EventTarget["addEventListener"]>[2];
type RemoveOptions = Parameters<EventTarget["removeEventListener"]>[2];

/** Why a status is what it is. */
export interface Explanation {
  readonly status: Status;
  /** The rule of the status table. */
  readonly rule: string;
  /** The id of the tuple or person that decided, if one did. */
  readonly element?: string;
  /** What was wrong with the document and was read over, a sentence each. */
  readonly warnings: readonly string[];
}

/** A presence agent: watcher and publisher on one connection. A wrong argument throws TypeError at once, also where a promise is returned. */
export interface Agent extends EventTarget {
  /** Watches one presentity, or many. Returns the function that ends the watch. */
  watch(uri: string | readonly string[], callback: WatchCallback, options?: WatchOptions): () => void;
  /**
   * Watches the members of a list that the server keeps (RFC 4662), those of lists inside it too. A member that leaves
   * the list is told once as terminated, with the reason `removed`. Returns the function that ends the watch.
   *
   * @throws TypeError without the full module: option `full`.
   */
  watchList(uri: string, callback: WatchCallback): () => void;
  /** The changes of one presentity, first what is known now, until `signal` aborts or the loop is left. */
  changes(uri: string, options?: WatchOptions & { readonly signal?: AbortSignal }): AsyncIterableIterator<PresenceState>;
  /**
   * The last state; the same object until it changes. `unknown` for a URI that nobody watches. A watch of the address
   * comes before lists that have it as a member; the address of a list tells how its subscription stands.
   */
  snapshot(uri: string, options?: WatchOptions): PresenceState;
  /** Asks once (a SUBSCRIBE with Expires 0). Rejects with a {@link PresenceError}. */
  fetch(uri: string, options?: WatchOptions): Promise<PresenceState>;
  /** Publishes this user's presence; resolves when the server has taken it. Rejects with a {@link PresenceError}. */
  publish(state: PublishOptions): Promise<void>;
  /** Withdraws the publication. */
  unpublish(): Promise<void>;
  /**
   * Publishes `away` in place of `available` while the user is not at this device, and what it was when the user is back.
   * A call takes the place of the one before. Returns the function that ends it.
   *
   * @throws TypeError where there is no document.
   */
  autoAway(options?: AutoAwayOptions): () => void;
  /**
   * Who watches this user: at this page with the option `authorize`, otherwise at the server, which is asked for it.
   * Returns the function that ends it.
   *
   * @throws TypeError without the full module: options `full` and `authorize`.
   */
  watchers(callback: WatchersCallback): () => void;
  /**
   * What a watcher gets from now on: at the XCAP server if there is `xcapRoot`, and in this page if it is a presence agent,
   * whatever `authorize` would say. Resolves when it is kept. Rejects with a {@link PresenceError}.
   *
   * @throws TypeError without the option `authorize` or `xcapRoot`.
   */
  setPolicy(uri: string, policy: Policy): Promise<void>;
  /** Which part of the document gave the status, and what was wrong with the document. */
  explain(uri: string, options?: WatchOptions): Explanation;
  /** The text of the last document, as it came or as later changes made it; undefined where none is known. */
  document(uri: string, options?: WatchOptions): string | undefined;
  readonly connection: ConnectionInfo;
  /** Ends subscriptions, publication and registration, then the connection; at most 1 s. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
  addEventListener<K extends keyof AgentEventMap>(
    type: K, listener: (event: AgentEventMap[K]) => void, options?: AddOptions): void;
  addEventListener(type: string, listener: Listener, options?: AddOptions): void;
  removeEventListener<K extends keyof AgentEventMap>(
    type: K, listener: (event: AgentEventMap[K]) => void, options?: RemoveOptions): void;
  removeEventListener(type: string, listener: Listener, options?: RemoveOptions): void;
}
