/** The form: hands its texts to the wasm at every keystroke and shows what comes back beside each field. */
import { choices, element, sentence, show, unfold, write } from "./dom.js";

/** Every field with a note of its own, in the order in which an error is looked for. */
const FIELDS = [
  "drug",
  "concentration",
  "second_drug",
  "second_concentration",
  "fill",
  "mode",
  "dose",
  "weekdays",
  "weekend",
  "bolus_dose",
  "bolus_duration",
  "bolus_interval",
  "basal",
  "patient_dose",
  "patient_duration",
  "patient_lockout",
  "patient_per_day",
  "bridge",
];

/** What a refill and a bridge are entered in: acts of their own, never started from. */
const ACTS = { fill: "", top_up: false, bridge: "" };

/** Folds are opened when something stands in one of their fields. */
const FOLDS = {
  "fold-second": ["second_drug", "second_concentration"],
  "fold-refill": ["fill"],
  "fold-patient": ["patient_dose", "patient_duration", "patient_lockout", "patient_per_day"],
  "fold-bridge": ["bridge"],
};

export class ProgramForm {
  #check;
  #touched = new Set();
  #texts = null;

  /**
   * @param drugs the names of the drugs
   * @param check the wasm's check: texts in, errors and meaning out
   * @param onSend called with the texts when there is no error
   */
  constructor(drugs, check, onSend) {
    this.#check = check;
    choices(element("drug"), drugs);
    choices(element("second_drug"), drugs);
    const form = element("form");
    form.addEventListener("input", () => this.refresh());
    form.addEventListener("change", (event) => {
      this.#touched.add(event.target.name);
      this.refresh();
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      for (const field of FIELDS) this.#touched.add(field);
      const { ready, errors } = this.refresh();
      if (ready) onSend(this.texts());
      else this.#focus(FIELDS.find((field) => errors[field]) ?? "drug");
    });
    // Leaving a field writes its error, which moves the button from under the finger that is about to press it. So pressing the
    // button does not leave the field; sending checks everything anyway.
    element("send").addEventListener("mousedown", (event) => event.preventDefault());
    element("start-from").addEventListener("click", () => this.startFrom(this.#texts));
  }

  /** What stands in the fields. */
  texts() {
    const { elements } = element("form");
    const texts = Object.fromEntries(FIELDS.map((field) => [field, elements[field].value]));
    return { ...texts, top_up: elements.top_up.checked };
  }

  /** The program in force, as texts to start from; `null` when there is none. */
  offer(texts) {
    this.#texts = texts;
    show("start-from", texts !== null);
  }

  /** Fills the fields with the texts of a program; never the refill and the bridge. */
  startFrom(texts) {
    const { elements } = element("form");
    const entries = { ...texts, ...ACTS };
    for (const field of FIELDS) elements[field].value = entries[field];
    elements.top_up.checked = entries.top_up;
    for (const [fold, fields] of Object.entries(FOLDS)) element(fold).open = fields.some((field) => entries[field] !== "");
    this.#touched.clear();
    this.message(null);
    this.refresh();
  }

  /** Brings the volume injected at a refill before the user. */
  enterFill() {
    this.#focus("fill");
  }

  #focus(field) {
    const target = field === "mode" ? element("form").elements.mode[0] : element(field);
    unfold(target);
    target.focus();
  }

  /** Something about the whole form, above it. */
  message(text, kind = "bad") {
    show("form-message", text !== null);
    element("form-message").className = `notice ${kind}`;
    write("form-message", text ?? "");
  }

  /** Sending is possible or not, and why not. */
  enable(obstacle) {
    element("send").disabled = obstacle !== null;
    write("send-note", obstacle ?? "Nothing changes in the pump until you have reviewed and confirmed.");
  }

  /** Checks again: after an entry, and when the pump's values have changed. */
  refresh() {
    const texts = this.texts();
    const checked = this.#check(texts);
    for (const part of element("form").querySelectorAll("[data-modes]")) part.hidden = !part.dataset.modes.split(" ").includes(texts.mode);
    for (const field of FIELDS) this.#note(field, texts[field], checked);
    const { meaning } = checked;
    write("meaning-total", meaning.day_total ?? "–");
    write("meaning-change", meaning.change ?? "–");
    write("meaning-times", meaning.times ?? "");
    write("meaning-flow", meaning.flow ?? "–");
    write("meaning-lasts", meaning.lasts ?? "–");
    return checked;
  }

  /** An error once the field was left, what was understood as soon as there is something, and a hint before. */
  #note(field, text, { errors, meaning }) {
    const error = this.#touched.has(field) ? errors[field] : undefined;
    const input = element(field);
    const note = element(`${field}-note`);
    // A choice of several buttons has no element of its own.
    if (error) input?.setAttribute("aria-invalid", "true");
    else input?.removeAttribute("aria-invalid");
    const understood = text && !errors[field] ? meaning.fields[field] : null;
    note.dataset.kind = error ? "error" : understood ? "meaning" : "hint";
    write(`${field}-note`, error ? `${sentence(error)}.` : (understood ?? input?.dataset.hint ?? ""));
  }
}
