/** This phone has no key for this pump: the code that enrols it, the magnet, and what went wrong. */
import { element, sentence, show, write } from "./dom.js";
import { scan, scanObstacle } from "./qr_scanner.js";

export class EnrolView {
  #readCode;
  #onEnrol;
  #scanning = null;
  #busy = false;

  /**
   * @param readCode the wasm's words for a code; throws what is wrong with it
   * @param onEnrol called with the code's text, what it is, and the place that was chosen, `null` for any
   * @param onBack @param onForget
   */
  constructor(readCode, onEnrol, onBack, onForget) {
    this.#readCode = readCode;
    this.#onEnrol = onEnrol;
    element("enrol-code").addEventListener("input", () => this.#read(false));
    element("enrol-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    element("enrol-back").addEventListener("click", onBack);
    element("enrol-forget").addEventListener("click", onForget);
    element("enrol-scan").addEventListener("click", () => this.#scan());
    const obstacle = scanObstacle();
    show("enrol-scan", obstacle === null);
    show("enrol-no-scan", obstacle !== null);
    write("enrol-no-scan", obstacle === null ? "" : `${obstacle} Read the QR code with another app and paste its text, or type what is printed beneath it.`);
  }

  /**
   * @param carrier where to enrol  @param armed what the pump's Info said
   * @param denied why the phone's key was not let in, `null` when it has none  @param kept the key that this phone has, or `null`
   */
  show(carrier, armed, denied, kept) {
    this.#stopScanning();
    write("enrol-title", kept ? "The pump does not let this phone in" : "This phone is not enrolled with this pump");
    this.message(denied ? `${sentence(denied)}.` : null);
    this.presence(armed);
    this.offerPlaces(null);
    show("enrol-forget", kept !== null);
    write("enrol-carrier", sentence(carrier.name));
  }

  /** Whether the presence window was open when the pump was last asked. */
  presence(armed) {
    element("enrol-presence").dataset.armed = armed;
    write(
      "enrol-presence-text",
      armed
        ? "A magnet has been held over the pump: enrol within 5 min of that."
        : "Hold the magnet over the pump for 3 s, then enrol within 5 min. When the pump was last asked, no magnet had been held.",
    );
  }

  message(words, kind = "bad") {
    show("enrol-message", words !== null);
    element("enrol-message").className = `notice ${kind}`;
    write("enrol-message", words ?? "");
  }

  /** All places are taken: which key is replaced? `null`: the question does not arise. */
  offerPlaces(keys) {
    show("enrol-place-field", keys !== null);
    element("enrol-place").replaceChildren(
      new Option("Choose…", ""),
      ...(keys ?? []).map(({ slot, role, fingerprint }) => new Option(`Place ${slot}: ${role}, ${fingerprint}`, slot)),
    );
  }

  fill(text) {
    element("enrol-code").value = text;
    this.#read(true);
  }

  /** Nothing secret stays on the screen. */
  clear() {
    this.#stopScanning();
    element("enrol-code").value = "";
    this.#read(false);
    this.message(null);
  }

  busy(busy) {
    this.#busy = busy;
    for (const id of ["enrol-do", "enrol-back", "enrol-forget", "enrol-scan"]) element(id).disabled = busy;
  }

  /** Shows what the code is; an error only once somebody means it to be complete. */
  #read(complete) {
    const text = element("enrol-code").value;
    const note = element("enrol-code-note");
    element("enrol-code").setAttribute("aria-invalid", "false");
    note.dataset.kind = "hint";
    write("enrol-do", "Enrol this phone");
    if (text.trim() === "") {
      if (complete) this.#wrong("paste the code of the sterile pack or the implant card");
      else write("enrol-code-note", "Begins with THECAL1: or THECAL2:. A wallet card or another key begins with THECAL3:");
      return null;
    }
    try {
      const code = this.#readCode(text);
      note.dataset.kind = "meaning";
      const passkey = code.passkey ? ` If the phone asks for a passkey: ${code.passkey}.` : "";
      write("enrol-code-note", `${sentence(code.text)} of pump ${code.pump}.${passkey}`);
      if (code.kind === "key") write("enrol-do", "Open with this key");
      return code;
    } catch (error) {
      this.#wrong(error.message ?? String(error));
      return null;
    }
  }

  #wrong(reason) {
    element("enrol-code").setAttribute("aria-invalid", "true");
    element("enrol-code-note").dataset.kind = "error";
    write("enrol-code-note", `${sentence(reason)}.`);
  }

  #submit() {
    if (this.#busy) return;
    const code = this.#read(true);
    if (!code) {
      element("enrol-code").focus();
      return;
    }
    const place = element("enrol-place").value;
    this.#onEnrol(element("enrol-code").value, code, place === "" ? null : Number(place));
  }

  async #scan() {
    if (this.#scanning) {
      this.#stopScanning();
      return;
    }
    this.message(null);
    this.#scanning = new AbortController();
    show("enrol-video", true);
    write("enrol-scan", "Stop the camera");
    try {
      const text = await scan(element("enrol-video"), this.#scanning.signal);
      if (text !== null) this.fill(text);
    } catch (error) {
      this.message(`The camera cannot be used: ${error.message}. Paste the code instead.`);
    }
    this.#stopScanning();
  }

  #stopScanning() {
    this.#scanning?.abort();
    this.#scanning = null;
    show("enrol-video", false);
    write("enrol-scan", "Scan the QR code");
  }
}
