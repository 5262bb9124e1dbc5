/**
 * Whether the user is at this device: the input that the page sees and, where the page may use it, the Idle Detection
 * API, which sees the whole machine. One timer; nothing runs at an input but a note of its time.
 *
 * ```text
 *            no input for `after`, or the detector says idle or locked
 *   there ──────────────────────────────────────────────────────────────> away
 *         <──────────────────────────────────────────────────────────────
 *            input, the page is shown, or the detector says active
 * ```
 */

/** What a user does; `input` is dictation and what else writes without keys. Scripts scroll too: that is no sign of a user. */
const SIGNS = ["pointermove", "pointerdown", "touchmove", "wheel", "keydown", "input"];

/** The shortest that the Idle Detection API takes, and the longest that the timer waits: a machine that wakes is judged soon. */
const MINUTE = 60_000;

/** https://wicg.github.io/idle-detection/ */
interface IdleDetector extends EventTarget {
  readonly userState: "active" | "idle" | null;
  readonly screenState: "locked" | "unlocked" | null;
  start(options: { threshold: number; signal: AbortSignal }): Promise<void>;
}

/**
 * Calls `tell` with the time of the last input when there has been none for `after` milliseconds, and with 0 when there
 * is one again. At first the user is taken to be there. Returns the function that ends it.
 */
export function watchInput(after: number, tell: (lastInput: number) => void): () => void {
  const ended = new AbortController();
  const { signal } = ended;
  let last = Date.now();
  let isAway = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let detector: IdleDetector | undefined;

  /** By the clock: while a machine sleeps its timers stand still. */
  const judge = (): void => {
    clearTimeout(timer);
    if (signal.aborted) return;
    const now = Date.now();
    // The clock may have been set back.
    last = Math.min(last, now);
    let rest = last + after - now;
    if (detector !== undefined) rest = detector.userState === "idle" || detector.screenState === "locked" ? 0 : Infinity;
    if (isAway !== rest <= 0) {
      isAway = !isAway;
      tell(isAway ? last : 0);
    }
    // The detector calls by itself.
    if (!isAway && detector === undefined) timer = setTimeout(judge, Math.min(rest, MINUTE));
  };
  const note = ({ isTrusted }: Event): void => {
    if (!isTrusted) return;
    last = Date.now();
    if (isAway) judge();
  };
  for (const sign of SIGNS) addEventListener(sign, note, { capture: true, passive: true, signal });
  document.addEventListener("visibilitychange", (event) => {
    if (!document.hidden) note(event);
  }, { signal });

  /** Begins with the detector when the page may use it, and leaves it when it may no longer. Nobody is asked. */
  const detect = async (): Promise<void> => {
    const Detector = (globalThis as { IdleDetector?: new () => IdleDetector }).IdleDetector;
    if (Detector === undefined) return;
    const permission = await navigator.permissions.query({ name: "idle-detection" as PermissionName });
    let stop = new AbortController();
    const follow = async (): Promise<void> => {
      stop.abort();
      detector = undefined;
      if (permission.state === "granted" && !signal.aborted) {
        stop = new AbortController();
        const found = new Detector();
        const threshold = Math.max(after, MINUTE);
        found.addEventListener("change", () => {
          const now = Date.now();
          last = found.userState === "active" ? now : Math.max(last, now - threshold);
          judge();
        }, { signal: stop.signal });
        await found.start({ threshold, signal: stop.signal });
        detector = found;
      }
      judge();
    };
    permission.addEventListener("change", () => void follow().catch(() => {}), { signal });
    signal.addEventListener("abort", () => stop.abort());
    await follow();
  };
  // A browser or a frame without it.
  detect().catch(() => {});
  judge();
  return () => {
    ended.abort();
    clearTimeout(timer);
  };
}
