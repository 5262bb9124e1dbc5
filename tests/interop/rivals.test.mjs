/** SIP.js and JsSIP on the other side of the package's own presence server. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startServer } from "sip-presence/server";
import { until } from "../common/wait.mjs";
import { addressOf, observe, openAgent } from "./agents.mjs";
import { pidf, startJsSip, startSipJs } from "./rivals.mjs";

describe("the package's server", () => {
  const domain = "example.test";
  const users = { alice: "alice-pw", bob: "bob-pw" };
  let host;
  let server;

  before(async () => {
    // Both rivals know MD5 only, and of several challenges they take the last one.
    host = await startServer({ domain, users, algorithms: ["MD5"], rules: { default: "allow" }, notifyInterval: 0 });
    server = { url: host.url, domain, users };
  });
  after(() => host?.close());

  test("what SIP.js publishes, our watcher sees", async (t) => {
    const seen = observe(openAgent(t, server, "bob"), addressOf(server, "alice"));
    const rival = await startSipJs(server, "alice");
    t.after(() => rival.stop());
    await rival.publish(pidf(addressOf(server, "alice"), "open", "From SIP.js"));
    const open = await seen.state((state) => state.status === "available", "to be available");
    assert.equal(open.note, "From SIP.js");
    assert.equal(open.presence.tuples[0].id, "rival");
    await rival.publish(pidf(addressOf(server, "alice"), "closed", "Gone home"));
    const closed = await seen.state((state) => state.status === "offline", "to be offline");
    assert.equal(closed.note, "Gone home");
    await rival.unpublish();
    await seen.state((state) => state.note === undefined, "to say nothing any more");
  });

  for (const [name, start] of Object.entries({ "SIP.js": startSipJs, JsSIP: startJsSip })) {
    test(`what we publish, ${name} is notified of`, async (t) => {
      const alice = openAgent(t, server, "alice");
      const rival = await start(server, "bob");
      t.after(() => rival.stop());
      const bodies = await rival.watch("alice");
      const told = (...parts) =>
        until(
          () => parts.every((part) => part.test(bodies.at(-1) ?? "")),
          () => `${name} to be told of ${parts.join(" and ")}; it was told ${JSON.stringify(bodies)}`,
        );
      await alice.publish({ status: "busy", note: "Writing <tests>", activities: ["meeting"] });
      await told(
        /<presence\s[^>]*entity="sip:alice@example\.test"/, /<basic>open<\/basic>/, /<rpid:meeting\s*\/>/,
        /Writing &lt;tests(?:&gt;|>)/,
      );
      await alice.publish({ status: "offline" });
      await told(/<basic>closed<\/basic>/);
      await alice.unpublish();
    });
  }
});
