/** Registers `<sip-presence>`. Importing it twice, or outside a browser, does no harm; a second copy of the package is told of. */
import { SipPresenceElement } from "./element.js";

export { SipPresenceElement };
export type { SipPresenceAttributes } from "./element.js";

declare global {
  interface HTMLElementTagNameMap {
    "sip-presence": SipPresenceElement;
  }
}

const registry = globalThis.customElements as CustomElementRegistry | undefined;
const defined = registry?.get("sip-presence");
if (defined === undefined) {
  registry?.define("sip-presence", SipPresenceElement);
} else if (defined !== SipPresenceElement) {
  console.warn("sip-presence: another copy of this package has the elements");
}
