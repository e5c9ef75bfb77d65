/**
 * The bridge: an emulated Bluetooth peripheral in Chromium on one side, a pump on the other.
 *
 * `EmulatedPump` plays the GATT server of docs/protocol.md to a page in Chromium, through the DevTools domain
 * `BluetoothEmulation` (on the browser's session; Chromium 138 or newer with `--enable-features=WebBluetooth`), and
 * passes every characteristic operation to a *backend*. DevTools cannot push a notification, so the page is served by reads
 * alone; subscribing succeeds and nothing ever comes of it.
 *
 * ## A backend
 *
 *   open()                      connects; resolves to { name }
 *   read(attribute)             resolves to the value, a Uint8Array
 *   write(attribute, value)     a write with response; resolves when the pump has taken it
 *   onLost(listener)            the pump broke the connection
 *   close()                     disconnects and frees everything
 *
 * Attributes are the low bytes of the characteristics' 16-bit parts: 0x02 Info, 0x03 Command, 0x04 Response, 0x06 Status changed, 0x07 Emergency card.
 * A backend rejects with an Error; its `code`, when it has one, is the ATT error that the page then sees.
 *
 * ## Backends
 *
 * - `WebSocketBackend`: the virtual pump's `/link`. Runs everywhere.
 * - `JsonLinesBackend`: any program that speaks the protocol below over TCP, such as one that drives native_sim through Bumble.
 *   Chosen by `THECAL_BRIDGE=tcp://HOST:PORT` (`backendFromEnvironment`).
 *
 * ## JSON lines
 *
 * One JSON object a line, UTF-8, both ways over one TCP connection, for one pump. The test connects; the program listens.
 *
 *   test    {"id": 1, "operation": "open"}
 *   program {"id": 1, "name": "Thecal 1234"}
 *   test    {"id": 2, "operation": "read", "attribute": 2}
 *   program {"id": 2, "value": "00a1b2"}                          hexadecimal, lower case, may be empty
 *   test    {"id": 3, "operation": "write", "attribute": 3, "value": "0301"}
 *   program {"id": 3}                                             after the pump's write response
 *   program {"id": 3, "error": "insufficient authentication", "code": 5}     instead of any answer
 *   program {"event": "lost", "reason": "supervision timeout"}    at any time after `open`; `open` may be asked again
 *   test    {"id": 4, "operation": "close"}
 *   program {"id": 4}
 *
 * `id` goes up by one. Operations are sent one at a time, as GATT does, except `close`, which may come at any time. The end of the
 * TCP connection means `close`.
 */
import { once } from "node:events";
import net from "node:net";
import readline from "node:readline";
import WebSocket from "ws";

export const ATTRIBUTE = { info: 0x02, command: 0x03, response: 0x04, statusChanged: 0x06, emergencyCard: 0x07 };

const ADDRESS = "09:09:09:09:09:09";
const CLIENT_CHARACTERISTIC_CONFIGURATION = "00002902-0000-1000-8000-00805f9b34fb";
const UNLIKELY_ERROR = 0x0e;

/** The identifiers of docs/protocol.md, written down a second time on purpose: the page takes its own from the wasm. */
const uuid = (short) => `6a3e${short.toString(16).padStart(4, "0")}-1f0d-4b59-9c1e-7d5a0c9be4f2`;
const SERVICE = uuid(0x0001);
const CHARACTERISTICS = [
  { attribute: ATTRIBUTE.info, properties: { read: true } },
  { attribute: ATTRIBUTE.command, properties: { write: true, writeWithoutResponse: true } },
  { attribute: ATTRIBUTE.response, properties: { read: true, indicate: true } },
  { attribute: ATTRIBUTE.statusChanged, properties: { read: true, notify: true } },
  { attribute: ATTRIBUTE.emergencyCard, properties: { read: true } },
];

/** A pump that Chromium takes for a Bluetooth device within reach. */
export class EmulatedPump {
  #session;
  #backend;
  #attributes = new Map();
  #name;
  /** Counts of what the page did, by name: `read 4`, `write 3`, `subscribe`. */
  operations = new Map();

  /** @param session the *browser's* DevTools session  @param backend see above */
  constructor(session, backend, name = "Thecal") {
    this.#session = session;
    this.#backend = backend;
    this.#name = name;
  }

  async start() {
    const session = this.#session;
    session.on("BluetoothEmulation.gattOperationReceived", (event) => this.#gatt(event));
    session.on("BluetoothEmulation.characteristicOperationReceived", (event) => this.#characteristic(event));
    session.on("BluetoothEmulation.descriptorOperationReceived", (event) => this.#descriptor(event));
    await session.send("BluetoothEmulation.enable", { state: "powered-on", leSupported: true });
    await session.send("BluetoothEmulation.simulatePreconnectedPeripheral", {
      address: ADDRESS,
      name: this.#name,
      manufacturerData: [],
      knownServiceUuids: [SERVICE],
    });
  }

  /** Breaks the Bluetooth connection, as a pump out of reach would. */
  async lose() {
    await this.#backend.close();
    await this.#session.send("BluetoothEmulation.simulateGATTDisconnection", { address: ADDRESS });
  }

  async stop() {
    await this.#backend.close();
    await this.#session.send("BluetoothEmulation.disable").catch(() => {});
  }

  async #gatt({ address, type }) {
    let code = 0;
    if (type === "connection") {
      try {
        // DevTools does not tell when the page disconnects; a new connection is the end of the old one.
        await this.#backend.close();
        // Chromium forgets the services of a device that has gone.
        this.#attributes.clear();
        this.#backend.onLost(() => this.lose());
        await this.#backend.open();
      } catch (error) {
        code = error.code ?? UNLIKELY_ERROR;
      }
    } else if (type === "discovery" && this.#attributes.size === 0) {
      await this.#addService();
    }
    await this.#session.send("BluetoothEmulation.simulateGATTOperationResponse", { address, type, code });
  }

  async #addService() {
    const send = (method, parameters) => this.#session.send(`BluetoothEmulation.${method}`, parameters);
    const { serviceId } = await send("addService", { address: ADDRESS, serviceUuid: SERVICE });
    for (const { attribute, properties } of CHARACTERISTICS) {
      const { characteristicId } = await send("addCharacteristic", { serviceId, characteristicUuid: uuid(attribute), properties });
      this.#attributes.set(characteristicId, attribute);
      if (properties.indicate || properties.notify) {
        await send("addDescriptor", { characteristicId, descriptorUuid: CLIENT_CHARACTERISTIC_CONFIGURATION });
      }
    }
  }

  async #characteristic({ characteristicId, type, data }) {
    const attribute = this.#attributes.get(characteristicId);
    const answer = { characteristicId, type, code: 0 };
    try {
      if (type === "read") {
        this.#count(`read ${attribute}`);
        answer.data = Buffer.from(await this.#backend.read(attribute)).toString("base64");
      } else if (type === "write") {
        this.#count(`write ${attribute}`);
        await this.#backend.write(attribute, Uint8Array.from(Buffer.from(data, "base64")));
      } else {
        this.#count("subscribe");
      }
    } catch (error) {
      answer.code = error.code ?? UNLIKELY_ERROR;
    }
    // The page may have gone meanwhile.
    await this.#session.send("BluetoothEmulation.simulateCharacteristicOperationResponse", answer).catch(() => {});
  }

  async #descriptor({ descriptorId, type }) {
    const answer = { descriptorId, type, code: 0, ...(type === "read" ? { data: "" } : {}) };
    await this.#session.send("BluetoothEmulation.simulateDescriptorOperationResponse", answer).catch(() => {});
  }

  #count(what) {
    this.operations.set(what, (this.operations.get(what) ?? 0) + 1);
  }
}

/** Answers the browser's question which device with the only one there is. To be set up before the page asks. */
export async function chooseTheOnlyDevice(page) {
  const session = await page.context().newCDPSession(page);
  await session.send("DeviceAccess.enable");
  const answered = new Set();
  session.on("DeviceAccess.deviceRequestPrompted", async ({ id, devices }) => {
    // Comes again whenever the list changes; a second answer brings Chromium 156 down.
    if (answered.has(id) || devices.length === 0) return;
    answered.add(id);
    await session.send("DeviceAccess.selectPrompt", { id, deviceId: devices[0].id });
  });
}

/** The virtual pump's `/link` (docs/virtual-pump.md). */
export class WebSocketBackend {
  #address;
  #socket = null;
  #reads = new Map();
  #lost = () => {};

  /** @param address of the virtual pump, `http://127.0.0.1:PORT/` */
  constructor(address, mtu = 247) {
    this.#address = new URL(`link?mtu=${mtu}`, address);
    this.#address.protocol = "ws:";
  }

  async open() {
    const socket = new WebSocket(this.#address);
    this.#socket = socket;
    socket.on("message", (message) => this.#take(message));
    await once(socket, "open");
    socket.on("close", () => {
      for (const { reject } of this.#reads.values()) reject(new Error("the virtual pump is gone"));
      this.#reads.clear();
      if (this.#socket === socket) this.#lost();
    });
    return { name: "virtual pump" };
  }

  read(attribute) {
    return new Promise((resolve, reject) => {
      this.#reads.set(attribute, { resolve, reject });
      this.#socket.send(Uint8Array.of(attribute));
    });
  }

  async write(attribute, value) {
    this.#socket.send(Buffer.concat([Buffer.of(attribute), value]));
  }

  onLost(listener) {
    this.#lost = listener;
  }

  async close() {
    const socket = this.#socket;
    this.#socket = null;
    if (!socket || socket.readyState === WebSocket.CLOSED) return;
    socket.close(1000);
    await once(socket, "close");
  }

  /** What nobody reads was pushed, and is dropped: the emulated peripheral cannot pass it on. */
  #take([attribute, ...value]) {
    const refused = attribute === 0;
    const of = refused ? value[0] : attribute;
    const read = this.#reads.get(of);
    this.#reads.delete(of);
    if (refused) read?.reject(Object.assign(new Error(`refused with code ${value[1]}`), { code: value[1] }));
    else read?.resolve(Uint8Array.from(value));
  }
}

/** Any program that speaks JSON lines over TCP; see above. */
export class JsonLinesBackend {
  #host;
  #port;
  #socket = null;
  #identifier = 0;
  #asked = new Map();
  #lost = () => {};

  constructor(host, port) {
    this.#host = host;
    this.#port = port;
  }

  async open() {
    if (!this.#socket) {
      const socket = net.connect(this.#port, this.#host);
      await once(socket, "connect");
      socket.setNoDelay(true);
      this.#socket = socket;
      readline.createInterface({ input: socket }).on("line", (line) => this.#take(JSON.parse(line)));
      socket.on("close", () => {
        this.#socket = null;
        for (const { reject } of this.#asked.values()) reject(new Error("the backend is gone"));
        this.#asked.clear();
        this.#lost();
      });
    }
    return this.#ask({ operation: "open" });
  }

  async read(attribute) {
    const { value } = await this.#ask({ operation: "read", attribute });
    return Uint8Array.from(Buffer.from(value, "hex"));
  }

  async write(attribute, value) {
    await this.#ask({ operation: "write", attribute, value: Buffer.from(value).toString("hex") });
  }

  onLost(listener) {
    this.#lost = listener;
  }

  async close() {
    if (!this.#socket) return;
    this.#lost = () => {};
    await this.#ask({ operation: "close" }).catch(() => {});
    this.#socket?.end();
  }

  #ask(question) {
    if (!this.#socket) return Promise.reject(new Error("the backend is not open"));
    this.#identifier += 1;
    const id = this.#identifier;
    return new Promise((resolve, reject) => {
      this.#asked.set(id, { resolve, reject });
      this.#socket.write(`${JSON.stringify({ id, ...question })}\n`);
    });
  }

  #take({ id, event, error, code, ...answer }) {
    if (event === "lost") {
      this.#lost();
      return;
    }
    const asked = this.#asked.get(id);
    this.#asked.delete(id);
    if (error !== undefined) asked?.reject(Object.assign(new Error(error), { code }));
    else asked?.resolve(answer);
  }
}

/** The other end of `JsonLinesBackend`: offers any backend as JSON lines, on a free port. For testing the protocol itself. */
export async function serveJsonLines(backend) {
  const server = net.createServer((socket) => {
    const say = (line) => socket.writable && socket.write(`${JSON.stringify(line)}\n`);
    backend.onLost(() => say({ event: "lost", reason: "the pump is gone" }));
    readline.createInterface({ input: socket }).on("line", async (line) => {
      const { id, operation, attribute, value } = JSON.parse(line);
      try {
        if (operation === "open") say({ id, ...(await backend.open()) });
        else if (operation === "read") say({ id, value: Buffer.from(await backend.read(attribute)).toString("hex") });
        else if (operation === "write") {
          await backend.write(attribute, Buffer.from(value, "hex"));
          say({ id });
        } else if (operation === "close") {
          await backend.close();
          say({ id });
        } else say({ id, error: `unknown operation ${operation}` });
      } catch (error) {
        say({ id, error: error.message, code: error.code });
      }
    });
    socket.on("close", () => backend.close());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

/** The backend that `THECAL_BRIDGE` names, `null` when it is not set. */
export function backendFromEnvironment() {
  const named = process.env.THECAL_BRIDGE;
  if (!named) return null;
  const found = named.match(/^tcp:\/\/([^:/]+):(\d+)\/?$/);
  if (!found) throw new Error(`THECAL_BRIDGE is ${named}; it must be tcp://HOST:PORT`);
  return new JsonLinesBackend(found[1], Number(found[2]));
}
