/** One user: the link, the user's own presence, and the people the user watches. */
import {
  type Agent, type AgentOptions, type ConnectionInfo, createAgent, type Failure, PresenceError, type PublishOptions,
} from "sip-presence";
import { SipPresenceElement } from "sip-presence/element/define";
import { clone, element } from "./dom.js";
import type { Ladder } from "./ladder.js";
import { createLink } from "./link.js";

/** Who a panel is for. */
export interface PanelOptions extends Pick<AgentOptions, "server" | "credentials"> {
  readonly aor: string;
  /** The addresses watched from the start. */
  readonly watch: readonly string[];
  readonly ladder: Ladder;
  /** Where this user has the page alone. */
  readonly alone?: string;
}

const STATUSES: readonly PublishOptions["status"][] = [
  "available", "away", "busy", "do-not-disturb", "on-the-phone", "offline",
];

/** The user part of an address. */
export function userOf(address: string): string {
  return address.replace(/^\w+:/, "").split("@", 1)[0] ?? address;
}

/** A user part as a name. */
export function nameOf(user: string): string {
  return user.charAt(0).toUpperCase() + user.slice(1);
}

/** The next time the clock shows `time` (`hh:mm`). */
function next(time: string): Date {
  const [hours = 0, minutes = 0] = time.split(":").map(Number);
  const date = new Date();
  date.setHours(hours, minutes, 0, 0);
  if (date.getTime() <= Date.now()) date.setDate(date.getDate() + 1);
  return date;
}

/** A failure in words, with what the server said. */
function explain({ message, status, reason }: Failure): string {
  return reason === undefined ? message : `${message} (${[status, reason].join(" ").trim()})`;
}

function clock(): string {
  return new Date().toLocaleTimeString(undefined, { timeStyle: "short" });
}

/** Makes a user's agent and panel. Throws the `TypeError` of `createAgent`. */
export function createPanel(options: PanelOptions): { readonly root: HTMLElement; readonly agent: Agent } {
  const { aor, ladder } = options;
  const user = userOf(aor);
  const link = createLink();
  const agent = createAgent({
    server: options.server, aor, ...(options.credentials && { credentials: options.credentials }), webSocket: link.WebSocket,
  });
  const { root, part } = clone("panel");
  for (const hook of root.querySelectorAll<HTMLElement>("[data-part]")) {
    hook.dataset.testid = `${hook.dataset.part}-${user}`;
  }
  root.dataset.testid = `panel-${user}`;
  root.setAttribute("aria-label", nameOf(user));
  part("name", HTMLHeadingElement).textContent = nameOf(user);
  part("address", HTMLParagraphElement).textContent = aor;
  const alone = part("alone", HTMLAnchorElement);
  if (options.alone === undefined) alone.remove();
  else alone.href = options.alone;

  /** What went wrong with whom, by address. */
  const problems = new Map<string, HTMLElement>();

  // The link.
  const connection = part("connection", HTMLSpanElement);
  const failure = part("failure", HTMLParagraphElement);
  const cut = part("cut", HTMLButtonElement);
  const restore = part("restore", HTMLButtonElement);
  part("whose", HTMLSpanElement).textContent = `${nameOf(user)}: `;

  function showConnection({ state, reason }: ConnectionInfo): void {
    // The same words again would be spoken again.
    if (connection.dataset.state !== state) {
      connection.dataset.state = state;
      connection.textContent = state;
    }
    if (link.isCut) failure.textContent = "You have cut this link.";
    else if (state !== "online" && reason !== undefined) failure.textContent = explain(reason);
    else failure.textContent = "";
  }

  function showLink(): void {
    // A disabled button loses the focus: hand it on.
    const focused = document.activeElement;
    cut.disabled = link.isCut;
    restore.disabled = !link.isCut;
    if (focused === cut && cut.disabled) restore.focus();
    if (focused === restore && restore.disabled) cut.focus();
    showConnection(agent.connection);
  }

  cut.addEventListener("click", () => {
    link.cut();
    showLink();
  });
  restore.addEventListener("click", () => {
    link.restore();
    result.textContent = "";
    showLink();
  });
  agent.addEventListener("connection", (event) => showConnection(event.detail));
  agent.addEventListener("error", ({ detail }) => {
    if (link.isCut) return;
    const line = detail.uri === undefined ? failure : problems.get(detail.uri) ?? failure;
    line.textContent = explain(detail);
  });
  agent.addEventListener("trace", (event) => ladder.add(nameOf(user), event.detail));
  showLink();

  // The user's own presence.
  const status = part("status", HTMLSelectElement);
  const until = part("until", HTMLInputElement);
  const activity = part("activity", HTMLInputElement);
  const note = part("note", HTMLInputElement);
  const result = part("result", HTMLParagraphElement);
  status.append(...STATUSES.map((word) => new Option(nameOf(SipPresenceElement.words[word]), word)));

  /** Shows how an action goes. A later one takes the line over. */
  let action: Promise<void> | undefined;
  async function follow(doing: string, done: string, promise: Promise<void>): Promise<void> {
    action = promise;
    result.textContent = doing;
    result.classList.remove("failed");
    try {
      await promise;
      if (action === promise) result.textContent = `${done}, ${clock()}`;
    } catch (error) {
      if (!(error instanceof PresenceError)) throw error;
      if (action !== promise) return;
      result.textContent = link.isCut ? "It will be sent when the link is restored." : explain(error);
      result.classList.toggle("failed", !link.isCut);
    }
  }

  part("form", HTMLFormElement).addEventListener("submit", (event) => {
    event.preventDefault();
    const activities = activity.value.split(",").map((word) => word.trim()).filter((word) => word !== "");
    void follow("Publishing …", "Published", agent.publish({
      status: status.value as PublishOptions["status"],
      activities,
      ...(note.value && { note: note.value }),
      ...(until.value && { until: next(until.value) }),
    }));
  });
  part("withdraw", HTMLButtonElement).addEventListener("click", () => {
    void follow("Withdrawing …", "Withdrawn", agent.unpublish());
  });
  const autoAway = part("auto-away", HTMLInputElement);
  let stop = (): void => {};
  autoAway.addEventListener("change", () => {
    if (autoAway.checked) stop = agent.autoAway();
    else stop();
  });

  // The people.
  const people = part("people", HTMLUListElement);

  function watch(uri: string): void {
    const person = nameOf(userOf(uri));
    const indicator = document.createElement("sip-presence");
    indicator.dataset.testid = `${user}-sees-${userOf(uri)}`;
    indicator.setAttribute("uri", uri);
    indicator.setAttribute("label", person);
    indicator.setAttribute("note", "");
    indicator.agent = agent;
    const activities = element("span", "activities");
    const problem = element("span", "failure");
    problems.set(uri, problem);
    indicator.addEventListener("change", () => {
      const { activities: words = [], status, subscription } = indicator.state ?? {};
      activities.textContent = words.filter((word) => word !== status).join(", ");
      if (subscription?.state === "active") problem.textContent = "";
    });
    const item = document.createElement("li");
    item.append(element("span", "person", person), indicator, activities, problem);
    people.append(item);
  }

  for (const uri of options.watch) watch(uri);
  const added = part("address-to-watch", HTMLInputElement);
  added.placeholder = `sip:someone@${aor.split("@")[1] ?? ""}`;
  part("add", HTMLFormElement).addEventListener("submit", (event) => {
    event.preventDefault();
    const uri = added.value.trim();
    try {
      // The agent checks the address: one that it refuses is not listed.
      agent.watch(uri, () => {})();
    } catch (error) {
      added.setCustomValidity((error as TypeError).message);
      added.reportValidity();
      return;
    }
    if (!problems.has(uri)) watch(uri);
    added.value = "";
  });
  added.addEventListener("input", () => added.setCustomValidity(""));

  return { root, agent };
}
