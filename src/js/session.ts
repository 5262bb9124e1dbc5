/**
 * What a tab keeps over a reload: the name of this device (RFC 5626 §4.1), and what is left of its dialogs.
 *
 * A browser copies the storage when it duplicates a tab. A lock that a page holds as long as it lives tells the copy
 * that the name is borne already.
 */

/** The places that agents of this page hold: two agents of one user are two devices. */
const taken = new Set<string>();

/** Milliseconds that a page which is being left has to let go of its lock. */
const PATIENCE = 200;

export interface Session {
  /** A URN for an agent, as of RFC 4122 §4.4. */
  readonly instance: string;
  /** What was saved last, if it has not run out; undefined where nothing can be kept. */
  load(): string | undefined;
  /** `expires`: after how many seconds it is of no use. */
  save(text: string, expires: number): void;
  /** The page goes away. */
  leave(): void;
  /** The page is back. */
  retake(): void;
  /** The agent has ended. */
  end(): void;
}

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

/** Takes the lock `name`: what lets go of it, or undefined if another page holds it. One that is refused tells nothing. */
function lock(name: string): Promise<(() => void) | undefined> {
  return new Promise((resolve) => {
    // Only a secure context has locks; happy-dom has null. Elsewhere a duplicated tab is not told from its original.
    const locks = globalThis.navigator?.locks as LockManager | null | undefined;
    if (!locks || AbortSignal.timeout === undefined) return resolve(() => {});
    locks.request(name, { signal: AbortSignal.timeout(PATIENCE) }, () => new Promise<void>(resolve))
      .catch((error: unknown) => resolve((error as Error)?.name === "TimeoutError" ? undefined : () => {}));
  });
}

/** Takes the first free place of this tab for an agent of `aor`; `keeps`: whether anything outlives the page. */
export async function takeSession(aor: string, keeps: boolean): Promise<Session> {
  const storage = keeps ? store() : undefined;
  for (let number = 1; ; number++) {
    const key = `sip-presence:session:${number}:${aor}`;
    if (taken.has(key)) continue;
    taken.add(key);
    const [known] = (storage?.getItem(key) ?? "").split("\n");
    const instance = known || random();
    let release = storage === undefined ? () => {} : await lock(instance);
    if (release === undefined) {
      taken.delete(key);
      continue;
    }
    const save = (text: string, expires: number): void => {
      try {
        storage?.setItem(key, [instance, Date.now() + expires * 1000, text].join("\n"));
      } catch {
        // No room: what is left of the dialogs will run out.
      }
    };
    const leave = (): void => release?.();
    if (known === "") save("", 0);
    return {
      instance,
      load: () => {
        const [, until, text] = /^.*\n(\d+)\n([^]*)/.exec(storage?.getItem(key) ?? "") ?? [];
        return storage && (Number(until) > Date.now() ? text : "");
      },
      save,
      leave,
      retake: () => void lock(instance).then((taken) => { release = taken; }),
      end: () => {
        leave();
        taken.delete(key);
      },
    };
  }
}
