/** Registers `<sip-presence>`. Importing it twice, or outside a browser, does no harm. */
import { SipPresenceElement } from "./element.js";

export { SipPresenceElement };
export type { SipPresenceAttributes } from "./element.js";

declare global {
  interface HTMLElementTagNameMap {
    "sip-presence": SipPresenceElement;
  }
}

const registry = globalThis.customElements as CustomElementRegistry | undefined;
if (registry !== undefined && registry.get("sip-presence") === undefined) {
  registry.define("sip-presence", SipPresenceElement);
}
