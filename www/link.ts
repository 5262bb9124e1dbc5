/** A link that the user can cut and restore: a WebSocket constructor for the agent's option `webSocket`. */

export interface Link {
  readonly WebSocket: typeof WebSocket;
  readonly isCut: boolean;
  /** Closes the open socket, and every new one at once. */
  cut(): void;
  /** Lets sockets open again, and tells the agent so that it does not wait for its next attempt. */
  restore(): void;
}

/** A link that is whole. */
export function createLink(): Link {
  const sockets = new Set<WebSocket>();
  let isCut = false;

  class LinkWebSocket extends WebSocket {
    constructor(url: string | URL, protocols?: string | string[]) {
      super(url, protocols);
      sockets.add(this);
      this.addEventListener("close", () => sockets.delete(this));
      if (isCut) this.close();
    }
  }

  return {
    WebSocket: LinkWebSocket,
    get isCut() {
      return isCut;
    },
    cut() {
      isCut = true;
      for (const socket of sockets) socket.close();
    },
    restore() {
      isCut = false;
      window.dispatchEvent(new Event("online"));
    },
  };
}
