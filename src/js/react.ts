/** The entry `sip-presence/react`: a hook for React 18 or newer. */
import { useCallback, useMemo, useSyncExternalStore } from "react";
import { unknown } from "./state.js";
import type { Agent, PresenceState, WatchOptions } from "./types.js";

/**
 * What is known of `uri`, as long as the component is mounted. Components that ask for one address share a
 * subscription, and one that comes back soon finds it alive.
 *
 * `agent` may be undefined: before somebody has signed in, and where a server renders. The status is `unknown` then, as
 * it is in the first rendering of a page that a server has rendered.
 *
 * @throws TypeError in rendering, if `uri` is no address, or if `options` cannot be used: an error boundary gets it.
 */
export function usePresence(agent: Agent | undefined, uri: string, options?: WatchOptions): PresenceState {
  const subscribe = useCallback(
    (changed: () => void) => agent?.watch(uri, changed, options) ?? (() => {}),
    // An object that says the same is no new watch.
    [agent, uri, options?.package],
  );
  const blank = useMemo(() => unknown(uri), [uri]);
  return useSyncExternalStore(subscribe, () => agent?.snapshot(uri, options) ?? blank, () => blank);
}
