/**
 * The entry `sip-presence/element/react`: at run time that of `define.ts`; besides, JSX of React knows `<sip-presence>`.
 * The build copies this file: only where there are types of React can it be compiled.
 */
import type { DetailedHTMLProps, HTMLAttributes } from "react";
import type { SipPresenceAttributes, SipPresenceElement, SipPresenceEventMap } from "./element.js";

export { SipPresenceElement } from "./define.js";

declare module "react" {
  namespace JSX {
    interface IntrinsicElements {
      "sip-presence": DetailedHTMLProps<HTMLAttributes<SipPresenceElement> & SipPresenceAttributes & {
        /** The event `change`: for elements of the page's own React takes the name as it is. */
        readonly onchange?: ((event: SipPresenceEventMap["change"]) => void) | undefined;
      }, SipPresenceElement>;
    }
  }
}
