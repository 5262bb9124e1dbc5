/** Checks what the application passes. A wrong argument throws a TypeError that names the argument and what to give. */
import { type CoreCredentials, type CoreOptions, type CorePublication, Subject } from "./core.js";
import { STATUSES } from "./record.js";
import type { AgentOptions, AutoAwayOptions, Credentials, PublishOptions, Rates, Secrets, WatchOptions } from "./types.js";

declare const VERSION: string;

/** A `sip:`, `sips:` or `pres:` address with user and host; the core reads it in full. */
const ADDRESS = /^(?:sips?|pres):[^@\s]+@[^@\s]+$/i;
/** As the core reads it: user with escapes, host name or IP address, port, parameters. */
const OWN_ADDRESS = /^sips?:(?:[\w.!~*'()&=+$,;?/:-]|%[\da-f]{2})+@(?:[a-z\d](?:[a-z\d.-]*[a-z\d])?\.?|\[[\da-f:.]+\])(?::\d{1,5})?(?:;[^\s?]*)?$/i;
const LIST_SERVER = /^sips?:[^\s]+$/i;
const USERNAME = /^[^:]+$/;
const LOOPBACK = /^(?:localhost|.+\.localhost|127(?:\.\d+){3}|\[::1\])$/i;

/** Throws a TypeError. */
export function wrong(text: string): never {
  throw new TypeError(`sip-presence: ${text}`);
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && !!value;
}

/** Checks the address of a presentity. */
export function checkAddress(uri: unknown): string {
  if (typeof uri !== "string" || !ADDRESS.test(uri)) {
    wrong(`uri: give an address such as "sip:bob@example.com", not ${describe(uri)}`);
  }
  return uri;
}

function describe(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value.slice(0, 100)) : typeof value;
}

function checkUrl(name: string, url: unknown, plain: string, example: string, allowInsecure: boolean): string {
  const secure = `${plain}s:`;
  let parsed: URL | undefined;
  try {
    parsed = new URL(String(url));
  } catch {
    // Said below.
  }
  if (parsed?.protocol !== secure && parsed?.protocol !== `${plain}:`) {
    wrong(`${name}: give a URL such as "${secure}//${example}", not ${describe(url)}`);
  }
  if (parsed.protocol !== secure && !allowInsecure && !LOOPBACK.test(parsed.hostname)) {
    wrong(`${name}: ${parsed.href} would send everything in the clear; use ${secure}, or set allowInsecure`);
  }
  if (plain === "http" && /[?#]/.test(parsed.href)) wrong(`${name}: give a URL without "?" and "#"`);
  return parsed.href;
}

/** A password or hashes in the form of the core; texts are composed (RFC 7616 §4). */
function checkSecret(name: string, secret: string | { readonly ha1?: object } | undefined): string[] {
  if (secret && typeof secret === "string") return [` ${secret.normalize()}`];
  const hashes = Object.entries((secret as { readonly ha1?: object } | undefined)?.ha1 ?? {});
  if (hashes.length === 0 || !hashes.every(([algorithm, hash]) => /^(?:MD5|SHA-256|SHA-512-256)$/i.test(algorithm) && hash && typeof hash === "string")) {
    wrong(`${name}: give a password, or ha1 with a hash for MD5, SHA-256 or SHA-512-256`);
  }
  return hashes.map((pair) => pair.join(" "));
}

/** Secrets by user name in the form of the core, after an empty text, which says that there are some. */
function checkSecrets(option: string, given: Secrets): string[] {
  return ["", ...Object.entries(given).flatMap(([name, secret]) => {
    const entry = `${option}: ${describe(name)}`;
    if (!USERNAME.test(name) || !secret) wrong(`${entry}: give user names, without a colon, each with a secret`);
    return checkSecret(entry, secret).map((one) => `${name.normalize()}:${one}`);
  })];
}

/** Credentials in the form of the core. */
export function checkCredentials(credentials: Credentials): CoreCredentials {
  if (!isObject(credentials)) wrong("credentials: give an object, or a function that gives one");
  if ("token" in credentials) {
    const { token } = credentials;
    // The b64token of RFC 6750 §2.1.
    if (typeof token !== "string" || !/^[\w.~+/-]+=*$/.test(token)) wrong("credentials: the token must be a bearer token");
    return { username: "", secret: [`Bearer ${token}`] };
  }
  const { username } = credentials;
  if (typeof username !== "string" || !USERNAME.test(username)) wrong("credentials: give a username, without a colon");
  return {
    username: username.normalize(),
    secret: checkSecret("credentials", "password" in credentials ? credentials.password : credentials),
  };
}

function checkNumber<T>(name: string, value: unknown, least: number, otherwise: T): number | T {
  if (value === undefined) return otherwise;
  if (typeof value !== "number" || !Number.isInteger(value) || value < least || value > 0xffff_ffff) {
    wrong(`${name}: give a whole number, at least ${least}`);
  }
  return value;
}

function checkRoute(route: AgentOptions["route"] = []): string {
  const uris = [route].flat();
  if (!uris.every((uri) => /^sips?:[^\s<>?]+;lr(?=;|$)[^\s<>?]*$/i.test(uri))) {
    wrong(`route: give addresses of proxies with lr, such as "sip:proxy.example.com;lr"`);
  }
  return uris.map((uri) => `<${uri}>`).join(", ");
}

/** The rate of an interval. */
function inverse(seconds: unknown): unknown {
  return typeof seconds === "number" ? 1 / seconds : seconds;
}

/** Rates as parameters of the Event header, each above the one before, with at most ten decimals (RFC 6446 §5.1, §8). */
function checkRates(rates: Rates = {}): string {
  checkNames("rates", rates, "minInterval maxInterval adaptiveMinRate");
  const { minInterval, maxInterval, adaptiveMinRate } = rates;
  let text = "";
  let last = 0;
  for (const [name, rate] of [
    ["min-rate", inverse(maxInterval)],
    ["adaptive-min-rate", adaptiveMinRate],
    ["max-rate", inverse(minInterval)],
  ] as const) {
    if (rate === undefined) continue;
    if (typeof rate !== "number") wrong("rates: give numbers");
    const digits = rate.toFixed(10);
    if (!(Number(digits) > last && Number(digits) < 100)) {
      wrong("rates: give numbers above 0 with minInterval < 1 / adaptiveMinRate < maxInterval, in seconds");
    }
    last = Number(digits);
    text += `;${name}=${digits.replace(/\.?0+$/, "")}`;
  }
  return text;
}

/** How watchers are known, in the form of the core. */
function checkAudience({ authorize, identities, policies }: AgentOptions): string[] {
  if (authorize === undefined) return [];
  if (typeof authorize !== "function") wrong("authorize: give a function");
  if (identities !== "asserted" && identities !== "from" && !isObject(identities)) {
    wrong(`identities: give "asserted", "from", or an object with the secret of each watcher by user name`);
  }
  if (policies !== undefined && (typeof policies?.load !== "function" || typeof policies.save !== "function")) {
    wrong("policies: give an object with the functions load and save");
  }
  return typeof identities === "string" ? [identities] : checkSecrets("identities", identities);
}

/** Checks a policy. */
export function checkPolicy(policy: unknown): void {
  if (!/^(?:allow|block|polite-block|ask)$/.test(String(policy))) wrong("policy: give allow, block, polite-block or ask");
}

/** Whether these options ask for what only the full module does. */
export function needsFull(options: AgentOptions): boolean {
  return options?.full === true || (options?.authorize ?? options?.xcapRoot ?? options?.notifiers ?? options?.listServer) !== undefined;
}

/** The options of `createAgent`. */
const OPTIONS = "server aor displayName credentials authorizationServers register expires keepAlive route rates linger window "
  + "listServer userAgent allowInsecure full webSocket wasm authorize identities policies xcapRoot notifiers keepSession";

/** Checks that `value` is absent, or of one of the types `known`; `text` says what to give. */
function checkType(name: string, value: unknown, known: string, text: string): void {
  if (value !== undefined && !known.includes(typeof value)) wrong(`${name}: give ${text}`);
}

/** Checks that `given` is an object and nothing in it misspelt: what is not known would be ignored. */
function checkNames(what: string, given: unknown, known: string): void {
  const names = known.split(" ");
  if (!isObject(given)) wrong(`${what}: give an object with ${names[0]}`);
  for (const name of Object.keys(given)) if (!names.includes(name)) wrong(`${name}: there is no such option; give ${names.join(", ")}`);
}

/** Checks the options of `createAgent` and fills in the defaults. */
export function checkOptions(options: AgentOptions): Omit<CoreOptions, "instance"> {
  checkNames("createAgent", options, OPTIONS);
  for (const name of ["register", "full", "allowInsecure", "keepSession"] as const) {
    checkType(name, options[name], "boolean", "true or false");
  }
  checkType("wasm", options.wasm, "object string", "a URL, bytes or a Response");
  const servers = [options.server].flat().map((url) => checkUrl("server", url, "ws", "sip.example.com/ws", options.allowInsecure === true));
  if (servers.length === 0) wrong("server: give at least one WebSocket URL");
  if (typeof options.aor !== "string" || !OWN_ADDRESS.test(options.aor)) {
    wrong(`aor: give your own address, such as "sip:alice@example.com", not ${describe(options.aor)}`);
  }
  if (/^sips:/i.test(options.aor) && servers.some((url) => url.startsWith("ws:"))) {
    wrong("server: a sips: address needs a wss: server");
  }
  checkType("displayName", options.displayName, "string", "a string");
  const { credentials, authorizationServers = [] } = options;
  if (!Array.isArray(authorizationServers) || !authorizationServers.every((url) => /^https:\/\/./i.test(String(url)))) {
    wrong("authorizationServers: give an array of https URLs");
  }
  const expires = checkNumber("expires", options.expires, 1, 3600);
  const linger = checkNumber("linger", options.linger, 0, 2000);
  const window = checkNumber("window", options.window, 1, 16);
  const { listServer } = options;
  const asks = typeof credentials === "function";
  if (listServer !== undefined && !LIST_SERVER.test(listServer)) {
    wrong(`listServer: give an address such as "sip:rls@example.com", not ${describe(listServer)}`);
  }
  const userAgent = `sip-presence/${VERSION} ${options.userAgent ?? ""}`.trim();
  if (/[^ -~]/.test(userAgent)) wrong("userAgent: give words");
  const { notifiers } = options;
  if (notifiers !== undefined && !(isObject(notifiers) && Object.keys(notifiers).length > 0)) {
    wrong("notifiers: give an object with the secret of each by user name");
  }
  if (options.xcapRoot !== undefined) checkUrl("xcapRoot", options.xcapRoot, "http", "xcap.example.com/xcap-root", options.allowInsecure === true);
  return {
    servers,
    aor: options.aor,
    displayName: options.displayName,
    ...(credentials === undefined || asks ? {} : checkCredentials(credentials)),
    asks: asks || undefined,
    authorizationServers,
    register: (options.register ?? options.authorize !== undefined) === true || undefined,
    expires,
    keepAlive: checkNumber("keepAlive", options.keepAlive, 0, undefined),
    route: checkRoute(options.route),
    rates: checkRates(options.rates),
    linger,
    window,
    listServer,
    identities: checkAudience(options),
    notifiers: notifiers && checkSecrets("notifiers", notifiers),
    userAgent,
  };
}

/** Checks the argument of `autoAway`: the milliseconds. */
export function checkAutoAway(options: AutoAwayOptions): number {
  if (globalThis.document === undefined) wrong("autoAway: only a page sees what its user does; here is no document");
  checkNames("autoAway", options, "after");
  return checkNumber("after", options.after, 1000, 300_000);
}

/** The constructor of WebSockets. */
export function checkWebSocket({ webSocket = globalThis.WebSocket }: AgentOptions): new (...args: unknown[]) => object {
  try {
    // Throws for what cannot be constructed, and calls nothing of it.
    Reflect.construct(Object, [], webSocket as never);
  } catch {
    wrong("webSocket: give a constructor, such as that of the npm package ws where the host has none");
  }
  return webSocket as new (...args: unknown[]) => object;
}

/** Checks that the options of a watch, if there are any, have no other names than `known`. */
export function checkWatching(options: unknown, known: string): void {
  if (options !== undefined) checkNames("options of a watch", options, known);
}

/** Checks the package of a watch; `full`: whether the agent has the full module. */
export function checkSubject(options: WatchOptions | undefined, full: boolean): Subject {
  checkWatching(options, "package");
  const { package: wanted = "presence" } = options ?? {};
  if (wanted === "presence") return Subject.Presence;
  if (wanted !== "dialog") wrong(`package: give "presence" or "dialog", not ${describe(wanted)}`);
  if (!full) wrong("package: for \"dialog\" make the agent with the option full: true");
  return Subject.Dialogs;
}

/** Checks the argument of `publish`; `until` becomes epoch milliseconds. */
export function checkPublication(options: PublishOptions): CorePublication {
  const words = STATUSES.slice(1);
  checkNames("publish", options, "status note activities until");
  if (!words.includes(options.status)) wrong(`status: give one of ${words.join(", ")}`);
  const { status, note, activities = [] } = options;
  checkType("note", note, "string", "a string");
  if (!Array.isArray(activities) || !activities.every((activity) => typeof activity === "string")) {
    wrong("activities: give an array of strings");
  }
  const until = options.until === undefined ? undefined : Math.trunc(Number(options.until));
  // In 1973 nobody published: such a number is in seconds.
  if (until !== undefined && !(until > 100_000_000_000 && until < 253_402_300_800_000)) {
    wrong("until: give a Date, or epoch milliseconds, not seconds");
  }
  return { status, note, activities: [...activities], until };
}
