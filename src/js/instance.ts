/** The name of this device towards the server: the same after a reload of the tab (RFC 5626 §4.1). */

/** Names that an agent of this page already bears: two agents of one user are two devices. */
const taken = new Set<string>();

function store(): Storage | undefined {
  try {
    return globalThis.sessionStorage;
  } catch {
    // Blocked by the browser's settings: every load of the page is a device of its own.
    return undefined;
  }
}

function random(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return `urn:uuid:${hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-")}`;
}

/** A URN for an agent of `aor`, as of RFC 4122 §4.4. */
export function instance(aor: string): string {
  for (let number = 1; ; number++) {
    const key = `sip-presence:instance:${number}:${aor}`;
    const storage = store();
    const known = storage?.getItem(key) ?? undefined;
    if (known !== undefined && taken.has(known)) continue;
    const name = known ?? random();
    taken.add(name);
    try {
      storage?.setItem(key, name);
    } catch {
      // The quota is used up; the name then holds until the next reload.
    }
    return name;
  }
}

/** The agent that bore `name` is closed. */
export function releaseInstance(name: string): void {
  taken.delete(name);
}
