/** A TCP port of loopback for a server that cannot choose its own, or that comes back to its own. */

import { once } from "node:events";
import { createServer } from "node:net";

/**
 * A free port below those that systems give to whoever asks for any: nobody gets it before it is used, nor while its
 * server is away.
 *
 * @returns {Promise<number>}
 */
export async function freePort() {
  for (;;) {
    const port = 11_000 + Math.floor(Math.random() * 20_000);
    const probe = createServer().listen(port, "127.0.0.1");
    const isFree = await once(probe, "listening").then(() => true, () => false);
    if (!isFree) continue;
    probe.close();
    await once(probe, "close");
    return port;
  }
}
