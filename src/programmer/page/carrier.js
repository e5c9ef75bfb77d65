/**
 * A carrier moves the pump's attribute values and knows nothing of what is inside (docs/protocol.md). There are two:
 * `WebSocketCarrier` to the virtual pump and `WebBluetoothCarrier` to a real one.
 *
 * @typedef {object} Carrier
 * @property {string} pump  what this carrier knows the pump by, after `connect`; it proves nothing, the session does
 * @property {string} name  the same for people
 * @property {number} mtu  what one write may carry, plus three
 * @property {() => Promise<void>} connect
 * @property {() => Promise<Uint8Array>} readInfo
 * @property {() => Promise<Uint8Array>} readCard  the emergency card; rejects with a `CardHidden` while no magnet was held
 * @property {(frame: Uint8Array) => Promise<void>} writeCommand
 * @property {() => Promise<Uint8Array>} readResponse  may be called at any time and any number of times
 * @property {(listener: (fragment: Uint8Array) => void) => void} onResponse  indications; none may ever come
 * @property {(listener: () => void) => void} onStatusChanged  notifications; none may ever come
 * @property {(listener: (reason: string) => void) => void} onLost  the connection ended, and nobody here ended it
 * @property {() => Promise<void>} disconnect
 */

/** Says in one sentence why a carrier cannot do what it was asked. */
export class CarrierError extends Error {}

/** The pump shows no emergency card now. */
export class CardHidden extends CarrierError {
  constructor() {
    super("the pump shows its emergency card for 5 min after a magnet has been held over it for 3 s: do that, then read again");
  }
}

/** The user closed the browser's list of pumps without choosing one: no error. */
export class NothingChosen extends Error {}

/** Gives up waiting for an operation that a radio or a socket never finishes. */
export async function within(milliseconds, what, operation) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new CarrierError(`${what} took longer than ${milliseconds / 1000} s`)), milliseconds);
  });
  try {
    return await Promise.race([operation, late]);
  } finally {
    clearTimeout(timer);
  }
}
