/** The keys that the pump lets in, for a clinician: which there are, one more, one less. A new key's text is shown once. */
import { choices, element, sentence, show, write } from "./dom.js";

/** What the holder of a key is told to do with its text. */
const HANDING_OVER = {
  emergency: "Print it for the patient’s wallet. It opens the pump only while a magnet is held over it, and does nothing but minimum rate.",
  patient: "Paste it on the patient’s phone, where it asks for a code.",
  clinician: "Paste it on the other phone, where it asks for a code.",
  service: "Paste it where the technical service’s programmer asks for a code.",
};

export class KeysView {
  #asking;
  #revoking = null;
  #busy = false;
  #possible = true;

  /**
   * @param roles that can be granted
   * @param asking `read()`, `grant(role, place)` and `revoke(place)`; each resolves to an event of the wasm, `grant` to `{ event, key }`
   */
  constructor(roles, asking) {
    this.#asking = asking;
    choices(element("grant-role"), roles);
    element("keys-read").addEventListener("click", () => this.#alone(() => this.#read()));
    element("grant-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#alone(() => this.#grant());
    });
    element("key-print").addEventListener("click", () => window.print());
    element("key-copy").addEventListener("click", () => this.#copy());
    element("key-shown").addEventListener("click", () => this.#showKey(null));
    element("revoke-back").addEventListener("click", () => this.#ask(null));
    element("revoke-do").addEventListener("click", () => this.#alone(() => this.#revoke()));
  }

  /** Another session: nothing of the one before may stand here. */
  clear() {
    this.#ask(null);
    this.#showKey(null);
    this.message(null);
    this.#list([], []);
    show("keys-body", false);
  }

  message(words, kind = "warn") {
    show("keys-message", words !== null);
    element("keys-message").className = `notice ${kind}`;
    write("keys-message", words ?? "");
  }

  enable(possible) {
    this.#possible = possible;
    for (const button of element("keys").querySelectorAll("button")) button.disabled = !possible || this.#busy;
    for (const id of ["key-print", "key-copy", "key-shown"]) element(id).disabled = false;
  }

  async #alone(ask) {
    if (this.#busy) return;
    this.#busy = true;
    this.enable(false);
    try {
      await ask();
    } catch (error) {
      this.message(`Not sent: ${error.message ?? error}.`, "bad");
    } finally {
      this.#busy = false;
      this.enable(true);
    }
  }

  async #read() {
    const event = await this.#asking.read();
    if (event.kind !== "keys") {
      this.message(`The keys could not be read: ${event.reason ?? "the connection was lost"}.`, "bad");
      return;
    }
    this.#list(event.keys, event.free);
    show("keys-body", true);
  }

  #list(keys, free) {
    element("keys-list").replaceChildren(...keys.map((key) => this.#item(key)));
    const place = element("grant-place");
    const chosen = place.value;
    place.replaceChildren(
      new Option("The first that is free", ""),
      ...free.map((slot) => new Option(`Place ${slot}, free`, slot)),
      ...keys.filter(({ own }) => !own).map(({ slot, role, fingerprint }) => new Option(`Place ${slot}: replaces ${role} ${fingerprint}`, slot)),
    );
    place.value = chosen;
    if (place.selectedIndex < 0) place.value = "";
  }

  #item(key) {
    const item = document.createElement("li");
    item.dataset.slot = key.slot;
    item.dataset.role = key.role;
    const name = document.createElement("b");
    name.textContent = sentence(key.role);
    const detail = document.createElement("span");
    const code = document.createElement("code");
    code.textContent = key.fingerprint;
    const last = key.last_number === 0 ? "no command yet" : `last command No. ${key.last_number.toLocaleString("en")}`;
    detail.append(code, ` place ${key.slot}, ${last}`);
    item.append(name, detail);
    if (key.own) {
      const own = document.createElement("small");
      own.textContent = "this phone";
      item.append(own);
    } else {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "quiet";
      button.textContent = "Revoke…";
      button.setAttribute("aria-label", `Revoke ${key.role} ${key.fingerprint}`);
      button.addEventListener("click", () => this.#ask(key));
      item.append(button);
    }
    return item;
  }

  /** Asks whether to revoke a key; `null`: not any more. */
  #ask(key) {
    this.#revoking = key;
    show("revoke", key !== null);
    show("keys-lists", key === null);
    if (!key) return;
    write("revoke-text", `Revoke the key of the ${key.role} in place ${key.slot}, ${key.fingerprint}? Whoever holds it can do nothing with this pump any more.`);
    element("revoke-text").focus();
  }

  async #revoke() {
    const { slot } = this.#revoking;
    const event = await this.#asking.revoke(slot);
    this.#ask(null);
    if (this.#tell(event, "The key is revoked: the pump lets it in no more.")) await this.#read();
  }

  async #grant() {
    const role = element("grant-role").value;
    if (role === "") {
      this.message("Choose what the holder of the key may do.", "bad");
      return;
    }
    const place = element("grant-place").value;
    const { event, key } = await this.#asking.grant(role, place === "" ? null : Number(place));
    if (!this.#tell(event, `The pump lets a new ${role}’s key in. Its text is shown here once, and kept nowhere.`)) return;
    this.#showKey({ role, key });
    element("grant-form").reset();
    await this.#read();
  }

  #tell(event, done) {
    if (event.kind === "ordered") {
      this.message(done, "good");
      return true;
    }
    if (event.kind === "not-done") this.message(`Certainly not done: ${event.reason}.`, "bad");
    else this.message(`Not known whether done: ${event.reason ?? "the connection was lost"}.`);
    return false;
  }

  #showKey(granted) {
    show("key", granted !== null);
    write("key-text", granted?.key ?? "");
    write("key-title", granted ? `Key of a new ${granted.role}` : "");
    write("key-note", granted ? HANDING_OVER[granted.role] : "");
    write("key-copy", "Copy");
    if (granted) element("key-title").focus();
  }

  async #copy() {
    try {
      await navigator.clipboard.writeText(element("key-text").textContent);
      write("key-copy", "Copied");
    } catch {
      // Without permission it is selected, to be copied by hand.
      getSelection().selectAllChildren(element("key-text"));
    }
  }
}
