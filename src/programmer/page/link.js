/**
 * One connection: moves frames between the wasm programmer and a carrier until there is something to show.
 *
 * Fragments come as indications where the carrier has them and are read where it has not; both may be mixed, and everything is
 * correct if no indication ever comes. One exchange runs at a time, in the order in which they were asked for. The first opens the
 * session; when that is over, so is the connection.
 */
import { CarrierError, within } from "./carrier.js";
import { random } from "./keys.js";

/** How long an indication is waited for before the response is read, in ms: first, and at most. */
const FIRST_READ = 60;
const LAST_READ = 400;

/** No operation of a carrier takes longer, or the connection counts as lost. */
const OPERATION_LIMIT = 15_000;

/** Milliseconds on a clock that only goes forward, as the wasm takes them. */
const now = () => BigInt(Math.trunc(performance.now()));

/** An event of the wasm programmer, from its JSON. */
const event = (json) => JSON.parse(json);

export class Link {
  #programmer;
  #carrier;
  #turn = Promise.resolve();
  #inbox = [];
  #wake = () => {};
  #open = false;
  #lostReason = null;
  #session = false;
  #onLost = () => {};
  #onStatusChanged = () => {};

  /** @param programmer the wasm `Page`  @param carrier a `Carrier`, not yet connected */
  constructor(programmer, carrier) {
    this.#programmer = programmer;
    this.#carrier = carrier;
    carrier.onResponse((fragment) => {
      this.#inbox.push(fragment);
      this.#wake();
    });
    carrier.onStatusChanged(() => this.#onStatusChanged());
    carrier.onLost((reason) => this.#lose(reason));
  }

  get carrier() {
    return this.#carrier;
  }

  get open() {
    return this.#open;
  }

  /** The connection ended by itself: `(reason, event)`, the event being the end of what was asked, if anything was. */
  onLost(listener) {
    this.#onLost = listener;
  }

  /** The pump says that something has changed. */
  onStatusChanged(listener) {
    this.#onStatusChanged = listener;
  }

  /** Connects and learns what the pump says to everybody: its version, its lifecycle, whether a magnet was held over it. */
  async connect() {
    this.#lostReason = null;
    this.#inbox = [];
    await this.#carrier.connect();
    try {
      const info = await within(OPERATION_LIMIT, "reading", this.#carrier.readInfo());
      const about = JSON.parse(this.#programmer.connected(info, this.#carrier.mtu));
      this.#open = true;
      return about;
    } catch (error) {
      await this.#carrier.disconnect();
      throw error;
    }
  }

  async disconnect() {
    const ended = this.#end("disconnected");
    await this.#carrier.disconnect();
    return ended;
  }

  openSession(key) {
    return this.#exchange(() => this.#programmer.openSession(now(), key, random()));
  }

  /** Opens a session for enrolling this phone, by the code of a sterile pack or an implant card. */
  enrol(code) {
    return this.#exchange(() => this.#programmer.enrol(now(), code, random(), random()));
  }

  readKeys() {
    return this.#exchange(() => this.#programmer.readKeys(now()));
  }

  /** `keep` is called with this phone's own key, and done before the first byte is sent. */
  grantOwn(place, keep) {
    return this.#exchange(() => keep(this.#programmer.grantOwn(now(), place ?? undefined, random())));
  }

  /** Resolves to what became of it, and the key for somebody else. */
  async grant(role, place) {
    let key;
    const event = await this.#exchange(() => {
      key = this.#programmer.grant(now(), role, place ?? undefined, random(), random());
    });
    return { event, key };
  }

  revoke(place) {
    return this.#exchange(() => this.#programmer.revoke(now(), place));
  }

  interrogate() {
    return this.#exchange(() => this.#programmer.interrogate(now()));
  }

  stage(form) {
    return this.#exchange(() => this.#programmer.stage(now(), JSON.stringify(form)));
  }

  readTherapy() {
    return this.#exchange(() => this.#programmer.readTherapy(now()));
  }

  readPath() {
    return this.#exchange(() => this.#programmer.readPath(now()));
  }

  /** `begun` is called as soon as the commit counts as pending, before the first byte is sent. */
  commit(reason, begun) {
    return this.#exchange(() => {
      this.#programmer.commit(now(), reason);
      begun();
    });
  }

  /** The same for an order: a bolus or a prime counts as pending from then on. */
  order(act, begun) {
    return this.#exchange(() => {
      this.#programmer.order(now(), JSON.stringify(act));
      begun();
    });
  }

  cancel() {
    return this.#exchange(() => this.#programmer.cancel(now()));
  }

  resetFlags(mask) {
    return this.#exchange(() => this.#programmer.resetFlags(now(), mask));
  }

  /** Runs one request to its end. Rejects when it could not even be begun. */
  #exchange(begin) {
    const turn = this.#turn.then(() => this.#run(begin));
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async #run(begin) {
    if (!this.#open) throw new CarrierError("there is no connection to the pump");
    await begin();
    try {
      const happened = await this.#untilSomething();
      this.#followSession(happened);
      return happened;
    } catch (error) {
      // A carrier that failed in the middle of an operation is not used again: nobody knows what it has sent. When the loss was told before,
      // it may be another link's by now.
      const ours = this.#open;
      const ended = this.#lose(error.message);
      if (ours) this.#carrier.disconnect().catch(() => {});
      return ended;
    }
  }

  /** A session that is over does not come back on this connection. */
  #followSession({ reason }) {
    const session = this.#programmer.isOpen();
    if (this.#session && !session) {
      this.#lose(reason ?? "the session is over");
      this.#carrier.disconnect().catch(() => {});
    }
    this.#session = session;
  }

  async #untilSomething() {
    // What was indicated before belongs to something that has ended.
    this.#inbox = [];
    let patience = FIRST_READ;
    for (;;) {
      await this.#writeFrames();
      const indicated = await this.#indicated(patience);
      const fragment = indicated ?? (await within(OPERATION_LIMIT, "reading", this.#carrier.readResponse()));
      this.#stillOpen();
      let happened = event(this.#programmer.receive(now(), fragment));
      await this.#writeFrames();
      if (happened.kind === "nothing") happened = event(this.#programmer.tick(now()));
      if (happened.kind !== "nothing") return happened;
      patience = indicated ? FIRST_READ : Math.min(patience * 2, LAST_READ);
    }
  }

  /** Each frame is fetched only when the one before was written: what was fetched counts as possibly received. */
  async #writeFrames() {
    for (;;) {
      this.#stillOpen();
      const frame = this.#programmer.nextFrame();
      if (!frame) return;
      await within(OPERATION_LIMIT, "writing", this.#carrier.writeCommand(frame));
    }
  }

  /** The next indicated fragment, `null` when none came in time. */
  #indicated(milliseconds) {
    if (this.#inbox.length > 0) return this.#inbox.shift();
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#wake(), milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = () => {};
        resolve(this.#inbox.shift() ?? null);
      };
    });
  }

  #stillOpen() {
    if (!this.#open) throw new CarrierError(this.#lostReason ?? "the connection to the pump is closed");
  }

  /** The connection is gone: ends what was asked, tells the page, and returns how it ended. */
  #lose(reason) {
    if (!this.#open) return this.#ended;
    const ended = this.#end(reason);
    this.#onLost(reason, ended);
    return ended;
  }

  #ended = { kind: "nothing" };

  #end(reason) {
    if (this.#open) {
      this.#open = false;
      this.#session = false;
      this.#lostReason = reason;
      this.#ended = event(this.#programmer.disconnected());
    }
    this.#wake();
    return this.#ended;
  }
}
