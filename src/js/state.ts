/** States that do not come from the core: before it has told one, and after it has told the last. */
import type { Failure, PresenceState } from "./types.js";

/** The state of an address of which nothing is known yet. */
export function unknown(uri: string): PresenceState {
  return Object.freeze({
    uri, status: "unknown", idle: false, outOfOffice: false, activities: Object.freeze([]),
    subscription: Object.freeze({ state: "trying" }), stale: false, cause: "initial",
  });
}

/** Whether nothing has been learnt since {@link unknown}. */
export function isBlank(state: PresenceState): boolean {
  const { subscription } = state;
  return state.asOf === undefined && subscription.state === "trying" && subscription.retryAt === undefined;
}

/** Whether the subscription has ended and is not tried again. */
export function isOver({ subscription }: PresenceState): boolean {
  return subscription.state === "terminated" && subscription.retryAt === undefined;
}

/** A state when there will be no other: what was known may be old from now on. */
export function ended(state: PresenceState, failure: Failure): PresenceState {
  const subscription = Object.freeze({ state: "terminated", reason: failure.code, failure } as const);
  return Object.freeze({ ...state, subscription, stale: state.asOf !== undefined, cause: "local" } as const);
}
