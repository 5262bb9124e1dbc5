/**
 * The playground: two users side by side, and the SIP messages between them and the server.
 *
 * `?user=alice` shows one user alone. Where the server names no users to try with (`demo.json`), the page asks for a
 * server, an address and a password.
 */
import { clone, element } from "./dom.js";
import { createLadder } from "./ladder.js";
import { createPanel, nameOf, userOf } from "./panel.js";

interface Demo {
  readonly domain: string;
  readonly users: readonly { readonly name: string; readonly password: string }[];
}

const stage = document.getElementById("stage")!;
const views = document.getElementById("views")!;

function socketUrl(): string {
  const url = new URL("/ws", location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

async function fetchDemo(): Promise<Demo | undefined> {
  const response = await fetch("./demo.json");
  return response.ok ? await response.json() as Demo : undefined;
}

function showDemo(demo: Demo): void {
  const wanted = new URLSearchParams(location.search).getAll("user");
  const named = demo.users.filter(({ name }) => wanted.includes(name));
  const users = (named.length > 0 ? named : demo.users).slice(0, 2);
  const view = (text: string, query: string, current: boolean): HTMLAnchorElement => {
    const link = element("a", "", text);
    link.href = `./${query}`;
    if (current) link.setAttribute("aria-current", "page");
    return link;
  };
  const pair = demo.users.slice(0, 2).map(({ name }) => nameOf(name)).join(" and ");
  views.append(
    view(pair, "", users.length > 1),
    ...demo.users.map(({ name }) => view(nameOf(name), `?user=${name}`, users.length === 1 && users[0]?.name === name)),
  );
  const ladder = createLadder(users.map(({ name }) => nameOf(name)));
  const panels = users.map(({ name, password }) => createPanel({
    server: socketUrl(),
    aor: `sip:${name}@${demo.domain}`,
    credentials: { username: name, password },
    watch: demo.users.filter((other) => other.name !== name).map((other) => `sip:${other.name}@${demo.domain}`),
    ladder,
    ...(users.length > 1 && { alone: `./?user=${name}` }),
  }));
  stage.dataset.panels = String(panels.length);
  stage.replaceChildren(...panels.map(({ root }) => root), ladder.root);
}

function showSignIn(): void {
  const { root, part } = clone("sign-in");
  const failure = part("failure", HTMLParagraphElement);
  root.addEventListener("submit", (event) => {
    event.preventDefault();
    const fields = new FormData(root as HTMLFormElement);
    const field = (name: string) => String(fields.get(name) ?? "").trim();
    const typed = field("address");
    const aor = /^sips?:/i.test(typed) ? typed : `sip:${typed}`;
    const user = userOf(aor);
    const ladder = createLadder([nameOf(user)]);
    try {
      const panel = createPanel({
        server: field("server"), aor, credentials: { username: user, password: String(fields.get("password")) },
        watch: [], ladder,
      });
      stage.dataset.panels = "1";
      stage.replaceChildren(panel.root, ladder.root);
    } catch (error) {
      failure.textContent = (error as TypeError).message;
    }
  });
  stage.replaceChildren(root);
}

const demo = await fetchDemo();
if (demo === undefined) showSignIn();
else showDemo(demo);
