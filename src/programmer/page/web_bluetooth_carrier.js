/** The carrier to a pump over Bluetooth: the GATT service, through the browser's Web Bluetooth. */
import { CardHidden, CarrierError, NothingChosen, within } from "./carrier.js";

/** Web Bluetooth does not tell the MTU, so that frames are cut for the smallest there is: 20 bytes a write always arrive whole. */
const LOWEST_MTU = 23;

/** Longer than any connection interval and the supervision time-out of 6 s that phones use. */
const OPERATION_LIMIT = 10_000;

/** Why a pump cannot be reached over Bluetooth from this page; `null` when it can. */
export function bluetoothObstacle() {
  if (!window.isSecureContext) {
    return `Browsers allow Bluetooth on secure pages only: open this page over HTTPS (it came from ${location.origin}).`;
  }
  if (!navigator.bluetooth) {
    return "This browser has no Web Bluetooth. Use Chrome or Edge on Android, Windows, macOS or ChromeOS, over HTTPS on a real phone.";
  }
  return null;
}

/** @implements {import("./carrier.js").Carrier} */
export class WebBluetoothCarrier {
  mtu = LOWEST_MTU;
  name = "Bluetooth pump";
  pump = "";
  #identifiers;
  #device = null;
  #info;
  #command;
  #response;
  #card;
  #responseListener = () => {};
  #statusChangedListener = () => {};
  #lostListener = () => {};
  #leaving = false;
  #reading = false;
  /** The last operation: GATT does one at a time, and Chromium refuses a second. */
  #busy = Promise.resolve();

  /** @param identifiers the UUIDs, from the protocol crate */
  constructor(identifiers) {
    this.#identifiers = identifiers;
  }

  /** Asks which pump the first time (only in answer to a click); later it is the same pump again. */
  async connect() {
    if (!this.#device) {
      this.#device = await this.#choose();
      this.#device.addEventListener("gattserverdisconnected", () => {
        if (!this.#leaving) this.#lostListener("the Bluetooth connection was lost");
      });
      this.name = this.#device.name || "Bluetooth pump";
      this.pump = `bluetooth ${this.#device.id}`;
    }
    this.#leaving = false;
    this.#busy = Promise.resolve();
    await within(OPERATION_LIMIT * 2, "connecting", this.#open());
  }

  async #choose() {
    try {
      return await navigator.bluetooth.requestDevice({ filters: [{ services: [this.#identifiers.service] }] });
    } catch (error) {
      throw error.name === "NotFoundError" ? new NothingChosen() : error;
    }
  }

  async #open() {
    const identifiers = this.#identifiers;
    const server = await this.#device.gatt.connect();
    const service = await server.getPrimaryService(identifiers.service);
    this.#info = await service.getCharacteristic(identifiers.info);
    this.#command = await service.getCharacteristic(identifiers.command);
    this.#response = await service.getCharacteristic(identifiers.response);
    this.#card = await service.getCharacteristic(identifiers.emergencyCard).catch(() => null);
    const statusChanged = await service.getCharacteristic(identifiers.statusChanged);
    await this.#subscribe(this.#response, (value) => this.#responseListener(value));
    await this.#subscribe(statusChanged, () => this.#statusChangedListener());
  }

  /** Reading is enough for everything; without indications answers only come a little later. */
  async #subscribe(characteristic, listener) {
    characteristic.addEventListener("characteristicvaluechanged", (event) => {
      // A read raises this event too, but its value has been returned already. An indication that comes during a read is not lost:
      // the response stays until it is acknowledged.
      if (!this.#reading) listener(bytes(event.target.value));
    });
    try {
      await characteristic.startNotifications();
    } catch (error) {
      console.info(`no indications of ${characteristic.uuid}, reading instead:`, error.message);
    }
  }

  readInfo() {
    return this.#read(this.#info);
  }

  /** A pump that does not show it refuses the read; browsers do not tell with which error. */
  async readCard() {
    if (!this.#card) throw new CarrierError("this pump has no emergency card");
    try {
      return await this.#read(this.#card);
    } catch (error) {
      throw error instanceof CarrierError ? error : new CardHidden();
    }
  }

  async writeCommand(frame) {
    await this.#alone("writing", () => this.#command.writeValueWithResponse(frame));
  }

  readResponse() {
    return this.#read(this.#response);
  }

  onResponse(listener) {
    this.#responseListener = listener;
  }

  onStatusChanged(listener) {
    this.#statusChangedListener = listener;
  }

  onLost(listener) {
    this.#lostListener = listener;
  }

  async disconnect() {
    this.#leaving = true;
    this.#device?.gatt.disconnect();
  }

  #read(characteristic) {
    return this.#alone("reading", async () => {
      this.#reading = true;
      try {
        return bytes(await characteristic.readValue());
      } finally {
        this.#reading = false;
      }
    });
  }

  /** Runs one GATT operation after the one before has ended, however it ended. */
  #alone(what, operation) {
    const turn = this.#busy.then(() => {
      if (!this.#device?.gatt.connected) throw new CarrierError("the Bluetooth connection is closed");
      return within(OPERATION_LIMIT, what, operation());
    });
    this.#busy = turn.catch(() => {});
    return turn;
  }
}

function bytes(view) {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}
