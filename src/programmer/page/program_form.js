/** The form: hands its texts to the wasm at every keystroke and shows what comes back beside each field. */
import { element, sentence, show, write } from "./dom.js";

const FIELDS = ["drug", "concentration", "fill", "dose"];

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
    const choices = drugs.map((drug) => new Option(sentence(drug), drug));
    element("drug").append(...choices);
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
      else element(FIELDS.find((field) => errors[field]) ?? "drug").focus();
    });
    // Leaving a field writes its error, which moves the button from under the finger that is about to press it. So pressing the
    // button does not leave the field; sending checks everything anyway.
    element("send").addEventListener("mousedown", (event) => event.preventDefault());
    element("start-from").addEventListener("click", () => this.startFrom(this.#texts));
  }

  /** What stands in the fields. */
  texts() {
    const { elements } = element("form");
    return {
      drug: elements.drug.value,
      concentration: elements.concentration.value,
      fill: elements.fill.value,
      mode: elements.mode.value,
      dose: elements.dose.value,
    };
  }

  /** The program in force, as texts to start from; `null` when there is none. */
  offer(texts) {
    this.#texts = texts;
    show("start-from", texts !== null);
  }

  /** Fills the fields with the texts of a program; never the refill, which is an act of its own. */
  startFrom(texts) {
    const { elements } = element("form");
    elements.drug.value = texts.drug;
    elements.concentration.value = texts.concentration;
    elements.fill.value = "";
    elements.mode.value = texts.mode;
    elements.dose.value = texts.dose;
    this.#touched.clear();
    this.message(null);
    this.refresh();
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
    show("dose-field", texts.mode !== "stopped");
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
    if (error) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
    const understood = text && !errors[field] ? meaning[field] : null;
    note.dataset.kind = error ? "error" : understood ? "meaning" : "hint";
    write(`${field}-note`, error ? `${sentence(error)}.` : (understood ?? input.dataset.hint ?? ""));
  }
}
