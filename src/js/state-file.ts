/** The file in which a presence server keeps its state: always whole, the new one or the one before. */
import { accessSync, constants, readFileSync, realpathSync, statSync } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { dirname, resolve } from "node:path";

/** The state of a server cannot be used: its file is damaged, or cannot be read or written. It was left as it was. */
export class StateError extends Error {
  override readonly name = "StateError";
  /** The file. */
  readonly file: string;

  constructor(file: string, reason: string, options?: ErrorOptions) {
    super(`sip-presence: state: ${file}: ${reason}`, options);
    this.file = file;
  }
}

/** Milliseconds from a change until it is written, so that many are written at once. */
const DELAY = 100;
/** Milliseconds until what could not be written is tried again. */
const AGAIN = 10_000;

/** A state file that has been read. */
export class StateFile {
  readonly #file: string;
  readonly #mode: number;
  readonly #state: () => string;
  readonly #failed: (reason: string) => void;
  /** What was written last, or read. */
  #text: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** The timer is for what could not be written. */
  #isAgain = false;
  #writing: Promise<void> = Promise.resolve();

  /**
   * @param state gives what is to be written
   * @param failed is told why it could not be written; it will be tried again
   * @throws StateError
   */
  constructor(file: string, state: () => string, failed: (reason: string) => void) {
    let path = resolve(file);
    // It says who may see whom: nobody else's affair.
    let mode = 0o600;
    try {
      // A link stays one.
      path = realpathSync(path);
      mode = statSync(path).mode & 0o777;
      this.#text = new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(path));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw new StateError(file, (error as Error).message, { cause: error });
    }
    try {
      accessSync(dirname(path), constants.W_OK);
    } catch (error) {
      throw new StateError(file, `its folder cannot be written to: ${(error as Error).message}`, { cause: error });
    }
    this.#file = path;
    this.#mode = mode;
    this.#state = state;
    this.#failed = failed;
  }

  /** What was in it; undefined if there was no file. */
  get text(): string | undefined {
    return this.#text;
  }

  /** The state has changed. */
  changed(): void {
    if (this.#isAgain) this.#stop();
    this.#timer ??= setTimeout(() => void this.#write(), DELAY);
  }

  /** Writes what is not written yet. */
  async close(): Promise<void> {
    const isDue = this.#timer !== undefined;
    if (isDue) await this.#write();
    await this.#writing;
    // Nobody is there to try again.
    this.#stop();
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#isAgain = false;
  }

  #write(): Promise<void> {
    this.#stop();
    this.#writing = this.#writing.then(async () => {
      const text = this.#state();
      if (text === this.#text) return;
      await replace(this.#file, text, this.#mode);
      this.#text = text;
    }).catch((error: unknown) => {
      this.#isAgain ||= this.#timer === undefined;
      this.#timer ??= setTimeout(() => void this.#write(), AGAIN).unref();
      this.#failed((error as Error).message);
    });
    return this.#writing;
  }
}

/** Puts `text` in the place of the file: after a crash at any moment one of the two is there, and whole. */
async function replace(file: string, text: string, mode: number): Promise<void> {
  const next = `${file}.tmp`;
  // What a crash has left, or somebody else has put there.
  await rm(next, { force: true });
  const handle = await open(next, "wx", mode);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(next, file);
  try {
    const folder = await open(dirname(file), "r");
    await folder.sync().finally(() => folder.close());
  } catch {
    // Not every system lets a folder be written out. The new file is there all the same.
  }
}
