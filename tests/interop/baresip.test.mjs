/**
 * A SIP telephone, baresip, over UDP at the same Kamailio as the pages: each sees the other's presence. By hand alone, with
 * `BARESIP` set to the program: now and then baresip 1.0 publishes twice at its start, forgets the first publication, and
 * Kamailio goes on to show that.
 */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { mkdtemp, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { freePort } from "../common/port.mjs";
import { until } from "../common/wait.mjs";
import { addressOf, observe, openAgent } from "./agents.mjs";
import { missing as noKamailio, startKamailio } from "./kamailio.mjs";
import { noPostgres, startPostgres } from "./postgres.mjs";

const MODULES = "/usr/lib/baresip/modules";

const executable = process.env.BARESIP;
const noBaresip = executable === undefined && "set BARESIP to the program (Debian: baresip-core)";

/**
 * baresip, registered as `username`, with contacts that it watches.
 *
 * @param {{ url: string, domain: string, users: Record<string, string> }} server listens for UDP, too
 * @param {string} username
 * @param {string[]} contacts user names
 */
async function startBaresip(server, username, contacts) {
  const folder = await mkdtemp(join(tmpdir(), "sip-presence-baresip-"));
  const [port, control] = [await freePort(), await freePort()];
  const { port: sip } = new URL(server.url);
  const address = (name) => `<sip:${name}@${server.domain}>`;
  // It wants a codec, though nobody calls it.
  const modules = ["module g711.so", "module_tmp account.so", ...["contact", "presence", "menu", "ctrl_tcp"].map((name) => `module_app ${name}.so`)];
  const files = {
    config: [`sip_listen 127.0.0.1:${port}`, `module_path ${MODULES}`, ...modules, `ctrl_tcp_listen 127.0.0.1:${control}`],
    accounts: [`${address(username)};auth_user=${username};auth_pass=${server.users[username]};` +
      `outbound="sip:127.0.0.1:${sip};transport=udp";regint=600;pubint=600`],
    contacts: contacts.map((name) => `"${name}" ${address(name)};presence=p2p`),
  };
  for (const [name, lines] of Object.entries(files)) await writeFile(join(folder, name), `${lines.join("\n")}\n`);
  // With all messages, at once and not by the block.
  const child = spawn("stdbuf", ["-o0", executable, "-f", folder, "-s"], { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => { output += data; });
  const running = () => child.pid !== undefined && child.exitCode === null && child.signalCode === null;
  const end = () => {
    if (running()) child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  };
  process.once("exit", end);
  await once(child, "spawn");
  let answers = "";
  const socket = await until(async () => {
    if (!running()) throw new Error(`baresip ended:\n${output}`);
    const attempt = connect(control, "127.0.0.1");
    return await once(attempt, "connect").then(() => attempt, () => false);
  }, "baresip to listen");
  socket.on("data", (data) => { answers += data; });
  let tokens = 0;

  /** A command of its menu; gives what it prints. Both ways a netstring around JSON. */
  async function command(name) {
    const token = `t${tokens += 1}`;
    const text = JSON.stringify({ command: name, token });
    socket.write(`${Buffer.byteLength(text)}:${text},`);
    const answer = () => answers.match(new RegExp(`{[^{}]*"token":"${token}"}`))?.[0];
    const { ok, data } = JSON.parse(await until(answer, `baresip to answer ${name}`));
    assert.ok(ok, `${name}: ${data}`);
    return data.replace(/\u001b\[[\d;]*m/g, "");
  }

  const tags = () => output.match(/^SIP-ETag: /gm)?.length ?? 0;
  let known = 0;

  return {
    /** Not before the last publication has its tag: it would make a second one, beside the first. */
    setPresence: async (word) => {
      await until(() => tags() > known, () => `baresip to have published:\n${output}`);
      known = tags();
      await command(`presence_${word}`);
    },
    /** Waits until its list of contacts shows `name` as `word`. */
    shows: async (name, word) => {
      let list;
      await until(async () => {
        list = await command("contacts");
        return new RegExp(`^>?\\s+${word} ${name} <`, "m").test(list);
      }, () => `baresip to show ${name} as ${word}: ${list}`);
    },
    stop: async () => {
      socket.destroy();
      const exited = once(child, "exit");
      if (running()) child.kill("SIGTERM");
      await until(exited, "baresip to end");
      end();
    },
  };
}

/** A telephone at one server and a page at the other one, which may be the same. */
async function seeEachOther(t, phones, pages) {
  const phone = await startBaresip(phones, "carol", ["alice", "bob"]);
  t.after(phone.stop);
  const alice = openAgent(t, pages, "alice");
  const seen = observe(alice, addressOf(pages, "carol"));
  const online = await seen.state((state) => state.status === "available", "to be available, once it is registered");
  assert.equal(online.presence.tuples[0].contact.uri, addressOf(pages, "carol"));
  // Now and then it publishes twice at its start and forgets the first publication, which stays open beside the other one.
  const isClosed = ({ presence }) => presence.tuples.some(({ basic }) => basic === "closed");
  await phone.setPresence("offline");
  await seen.state(isClosed, "to have closed");
  await phone.setPresence("online");
  await seen.state((state) => !isClosed(state), "to be open again");

  await phone.shows("alice", "Unknown");
  await alice.publish({ status: "available" });
  await phone.shows("alice", "Online");
  await alice.publish({ status: "busy", note: "In a meeting" });
  await phone.shows("alice", "Busy");
  await alice.publish({ status: "on-the-phone" });
  await phone.shows("alice", "Busy");
  await alice.publish({ status: "available" });
  await phone.shows("alice", "Online");
  // It has no word for it, and takes `<rpid:away/>` for offline.
  await alice.publish({ status: "away" });
  await phone.shows("alice", "Offline");
  await alice.publish({ status: "do-not-disturb" });
  await phone.shows("alice", "Busy");
  await alice.unpublish();
  await phone.shows("alice", "Offline");
  await phone.shows("bob", "Unknown");
}

describe("baresip", { skip: noKamailio || noBaresip }, () => {
  let server;
  before(async () => { server = await startKamailio({ udp: true }); });
  after(() => server?.stop());

  test("a telephone and a page see each other", (t) => seeEachOther(t, server, server));
});

describe("baresip at one of two nodes", { skip: noPostgres || noBaresip }, () => {
  let postgres, first, second;
  before(async () => {
    postgres = await startPostgres();
    const nodes = [await freePort(), await freePort()];
    first = await startKamailio({ postgres, nodes, port: nodes[0] });
    second = await startKamailio({ postgres, nodes, port: nodes[1] });
  });
  after(async () => {
    await second?.stop();
    await first?.stop();
    await postgres?.stop();
  });

  test("a telephone and a page at the other node see each other", (t) => seeEachOther(t, first, second));
});
