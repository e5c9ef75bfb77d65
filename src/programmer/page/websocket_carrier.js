/** The carrier to the virtual pump: GATT in binary messages over a WebSocket (docs/virtual-pump.md). */
import { CardHidden, CarrierError } from "./carrier.js";

const ERROR = 0x00;
const INFO = 0x02;
const COMMAND = 0x03;
const RESPONSE = 0x04;
const STATUS_CHANGED = 0x06;
const EMERGENCY_CARD = 0x07;

/** ATT: what is not shown now is not permitted to be read. */
const READ_NOT_PERMITTED = 0x02;

/** How long the server is waited for when this side closes, in ms. */
const LEAVING_LIMIT = 2_000;

/** What the close codes say to somebody at the page. */
const REASONS = {
  1000: "the connection was closed",
  1001: "the virtual pump was stopped",
  1006: "the virtual pump is gone or cannot be reached",
  1013: "another phone is connected to this pump",
  4000: "the pump restarted",
  4001: "the pump has ended the connection",
  4002: "the pump does not show itself: phones came that it did not let in. Hold the magnet over it for 3 s",
};

/** @implements {import("./carrier.js").Carrier} */
export class WebSocketCarrier {
  name = "virtual pump";
  #socket = null;
  #reads = new Map([
    [INFO, []],
    [RESPONSE, []],
    [STATUS_CHANGED, []],
    [EMERGENCY_CARD, []],
  ]);
  #response = () => {};
  #statusChanged = () => {};
  #lost = () => {};

  /** `mtu` as Bluetooth would have negotiated it, 23 to 247. */
  constructor(mtu = 247) {
    this.mtu = mtu;
    this.pump = `virtual pump at ${location.host}`;
  }

  connect() {
    const address = new URL(`link?mtu=${this.mtu}`, location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(address);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    return new Promise((resolve, reject) => {
      let open = false;
      let heard = false;
      socket.onopen = () => {
        open = true;
        resolve();
      };
      socket.onmessage = (event) => {
        heard = true;
        this.#take(new Uint8Array(event.data));
      };
      socket.onclose = (event) => {
        // A refusal whose reason was lost on the way: the socket opened, and closed before a word was said.
        const refused = event.code === 1006 && open && !heard;
        const known = REASONS[refused ? 1013 : event.code] ?? `the connection ended (code ${event.code})`;
        // Why it has ended it, the pump says itself.
        const reason = event.code === 4001 && event.reason ? `${known}: ${event.reason}` : known;
        const error = new CarrierError(reason);
        reject(error);
        // A socket that was left for another one has nothing more to say.
        if (this.#socket !== socket) return;
        this.#socket = null;
        for (const waiting of this.#reads.values()) {
          for (const read of waiting.splice(0)) read.reject(error);
        }
        if (open) this.#lost(reason);
      };
    });
  }

  readInfo() {
    return this.#read(INFO);
  }

  readCard() {
    return this.#read(EMERGENCY_CARD);
  }

  async writeCommand(frame) {
    const message = new Uint8Array(1 + frame.length);
    message[0] = COMMAND;
    message.set(frame, 1);
    this.#send(message);
  }

  readResponse() {
    return this.#read(RESPONSE);
  }

  onResponse(listener) {
    this.#response = listener;
  }

  onStatusChanged(listener) {
    this.#statusChanged = listener;
  }

  onLost(listener) {
    this.#lost = listener;
  }

  /** Resolves when the server has heard of it, so that one can connect again at once. */
  async disconnect() {
    this.#lost = () => {};
    const socket = this.#socket;
    if (!socket) return;
    const closed = new Promise((resolve) => socket.addEventListener("close", resolve, { once: true }));
    socket.close(1000);
    await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, LEAVING_LIMIT))]);
  }

  #send(message) {
    if (this.#socket?.readyState !== WebSocket.OPEN) throw new CarrierError("the connection to the virtual pump is closed");
    this.#socket.send(message);
  }

  #read(attribute) {
    return new Promise((resolve, reject) => {
      this.#send(Uint8Array.of(attribute));
      this.#reads.get(attribute).push({ resolve, reject });
    });
  }

  /**
   * A message with an attribute's value answers the oldest read of it, else it was pushed. One pushed just before the answer to a read
   * takes its place, which does no harm: either is the present value, and what comes twice is dropped by its sequence number.
   */
  #take([attribute, ...value]) {
    if (attribute === ERROR) {
      const [of, code] = value;
      const hidden = of === EMERGENCY_CARD && code === READ_NOT_PERMITTED;
      const error = hidden ? new CardHidden() : new CarrierError(`the pump refused attribute ${of} with code ${code}`);
      this.#reads.get(of)?.shift()?.reject(error);
      return;
    }
    const read = this.#reads.get(attribute)?.shift();
    if (read) read.resolve(Uint8Array.from(value));
    else if (attribute === RESPONSE) this.#response(Uint8Array.from(value));
    else if (attribute === STATUS_CHANGED) this.#statusChanged();
  }
}
