/** A page on which tests of the element make elements, with an agent that is a fake. */

export const STATUSES = ["available", "away", "busy", "do-not-disturb", "on-the-phone", "offline", "unknown"];

/** A policy that forbids all but what the element may need. */
export const CSP = "default-src 'none'; script-src 'self'; base-uri 'none'";

/** An agent that says what the test tells it to; the helpers of the tests. */
const SCRIPT = `
  import { SipPresenceElement } from "./define.js";

  class FakeAgent {
    states = new Map();
    watches = new Set();
    watch(uri, callback, options) {
      if (!uri.startsWith("sip:")) throw new TypeError("not an address: " + uri);
      const watch = { uri, callback, of: options?.package ?? "presence" };
      this.watches.add(watch);
      callback(this.states.get(uri) ?? state(uri, {}), uri);
      return () => this.watches.delete(watch);
    }
    show(uri, changes) {
      this.states.set(uri, state(uri, changes));
      for (const watch of this.watches) if (watch.uri === uri) watch.callback(this.states.get(uri), uri);
    }
    get watched() {
      return [...this.watches].map(({ uri }) => uri).sort();
    }
  }

  function state(uri, changes) {
    return Object.freeze({
      uri, status: "unknown", idle: false, outOfOffice: false, activities: [],
      subscription: { state: "active" }, stale: false, cause: "change", ...changes,
    });
  }

  function add(attributes, agent) {
    const element = document.createElement("sip-presence");
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (agent !== undefined) element.agent = agent;
    document.body.append(element);
    return element;
  }

  function part(element, name) {
    return element.shadowRoot.querySelector("[part=" + name + "]");
  }

  function said(element) {
    return part(element, "badge").getAttribute("aria-label");
  }

  const violations = [];
  document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => {
    // A browser asks for this by itself.
    if (!blockedURI.endsWith("/favicon.ico")) violations.push(violatedDirective);
  });
  Object.assign(globalThis, { SipPresenceElement, FakeAgent, add, part, said, violations, words: { ...SipPresenceElement.words } });
`;

/** The page and its script, to be served beside the files of `pkg/`. */
export const FILES = {
  "/test.html": '<!doctype html><html lang="en"><title>element</title><script type="module" src="test.js"></script>',
  "/test.js": SCRIPT,
};
