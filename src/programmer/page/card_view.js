/** The emergency card: read with the magnet alone, without a key. Every value is text from the wasm. */
import { element, list, sentence, show, write } from "./dom.js";

const VALUES = ["dose", "flow", "reservoir", "last-bolus", "clock", "pump"];

export class CardView {
  /** @param onAgain @param onBack */
  constructor(onAgain, onBack) {
    element("card-again").addEventListener("click", onAgain);
    element("card-back").addEventListener("click", onBack);
  }

  /** Asked for, and not there yet. */
  waiting() {
    show("card-body", false);
    show("card-error", false);
    element("card-again").disabled = true;
    write("card-again", "Reading…");
  }

  show(card) {
    this.#answered();
    show("card-body", true);
    element("card-state").dataset.state = card.state;
    write("card-state-text", card.state_text);
    list("card-drugs", card.drugs.length > 0 ? card.drugs : ["never programmed: not known"]);
    const values = { ...card, "last-bolus": card.last_bolus, dose: card.dose ?? "–" };
    for (const value of VALUES) write(`card-${value}`, values[value]);
    list("card-alarms", card.alarms.length > 0 ? card.alarms.map(({ title, critical }) => (critical ? `${title} (critical)` : title)) : ["none"]);
    element("card-title").focus();
  }

  failed(reason) {
    this.#answered();
    show("card-error", true);
    write("card-error", `${sentence(reason)}.`);
  }

  #answered() {
    element("card-again").disabled = false;
    write("card-again", "Read again");
  }
}
