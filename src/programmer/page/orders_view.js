/** What is ordered beside a program: a form for each order, and a sentence to confirm before what gives drug or is done once. */
import { choices, element, sentence, show, write } from "./dom.js";

export class OrdersView {
  #describe;
  #onOrder;
  #onEnterFill;
  #asked = null;
  #busy = false;
  #may = () => false;

  /**
   * @param names what can be chosen from, by name: reasons, kinds, primes
   * @param describe the wasm's words for an order; throws what is wrong with it
   * @param onOrder sends an order and tells what became of it: an event of the wasm
   * @param onEnterFill brings the volume injected before the user
   */
  constructor(names, describe, onOrder, onEnterFill) {
    this.#describe = describe;
    this.#onOrder = onOrder;
    this.#onEnterFill = onEnterFill;
    for (const select of element("orders").querySelectorAll("select[data-choices]")) choices(select, names[select.dataset.choices]);
    for (const form of element("orders").querySelectorAll("form[data-act]")) {
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        this.#submit(form);
      });
    }
    element("to-fill").addEventListener("click", () => this.#onEnterFill());
    element("orders-back").addEventListener("click", () => this.#ask(null));
    element("orders-do").addEventListener("click", () => {
      const asked = this.#asked;
      this.#ask(null);
      if (asked) this.#give(asked.acts, asked.form);
    });
  }

  /** Another pump: nothing that was said of the one before stands here. */
  clear() {
    this.#ask(null);
    this.message(null);
  }

  /** What became of an order. */
  message(words, kind = "warn") {
    show("orders-message", words !== null);
    element("orders-message").className = `notice ${kind}`;
    write("orders-message", words ?? "");
  }

  /** What this session's role may never do is not offered. */
  offer(may) {
    this.#may = may;
    for (const fold of element("orders-forms").querySelectorAll("details[data-command]")) {
      const patients = "patients" in fold.dataset && may("stage");
      fold.hidden = !may(fold.dataset.command) || patients;
    }
    this.offerCommissioning(false);
    this.offerDiary(false);
    // Somebody with a wallet card has come for this.
    element("fold-emergency").open = may("emergency minimum rate") && !may("stage");
    element("fold-patient-bolus").open = !element("fold-patient-bolus").hidden;
  }

  /** A pump as it leaves the factory is commissioned first. */
  offerCommissioning(wanted) {
    unfoldWhen("fold-commission", wanted && this.#may("commission"));
    showWhenAny();
  }

  /** A trial has a diary. */
  offerDiary(wanted) {
    show("fold-diary", wanted && this.#may("diary entry"));
    showWhenAny();
  }

  /** Orders can be given or not. */
  enable(possible) {
    for (const button of element("orders").querySelectorAll("button")) button.disabled = !possible || this.#busy;
  }

  /** An order from elsewhere on the page: an alarm's button, the end of a bolus. */
  give(act) {
    return this.#give([act], null);
  }

  #submit(form) {
    this.message(null);
    const acts = actsOf(form);
    try {
      const words = acts.map(this.#describe);
      if ("confirm" in form.dataset) this.#ask({ acts, form, words: words.join(" ") });
      else this.#give(acts, form);
    } catch (error) {
      this.message(`Not sent: ${words(error)}.`, "bad");
    }
  }

  /** Shows the sentence to confirm in the place of the forms; `null`: the forms again. */
  #ask(asked) {
    this.#asked = asked;
    show("orders-confirm", asked !== null);
    show("orders-forms", asked === null);
    write("orders-confirm-text", asked?.words ?? "");
    if (asked) element("orders-confirm-text").focus();
  }

  async #give(acts, form) {
    if (this.#busy) return;
    this.#busy = true;
    this.enable(false);
    try {
      for (const act of acts) {
        const event = await this.#onOrder(act);
        if (!this.#tell(event)) return;
      }
      form?.reset();
    } catch (error) {
      this.message(`Not sent: ${words(error)}.`, "bad");
    } finally {
      this.#busy = false;
    }
  }

  /** Whether it was done. */
  #tell(event) {
    if (event.kind === "ordered") {
      this.message(event.text, "good");
      return true;
    }
    if (event.kind === "not-done") this.message(`Certainly not done: ${event.reason}.`, "bad");
    else this.message(`Not known whether done: ${event.reason ?? "the connection was lost"}.`);
    return false;
  }
}

/** Who may order nothing has no place for it. */
const showWhenAny = () => show("orders", element("orders-forms").querySelector("details:not([hidden])") !== null);

/** Shows a fold, opened, or hides it; touches nothing when nothing changes. */
function unfoldWhen(id, wanted) {
  const fold = element(id);
  if (fold.hidden === !wanted) return;
  fold.hidden = !wanted;
  fold.open = wanted;
}

const words = (error) => sentence(error.message ?? String(error));

/** The orders that a form means. The phone's clock is its time and its zone. */
function actsOf(form) {
  const entries = Object.fromEntries(
    [...form.elements].filter((field) => field.name && field.type !== "radio" && field.type !== "checkbox").map((field) => [field.name, field.value]),
  );
  const { act } = form.dataset;
  switch (act) {
    case "prime": {
      const answer = form.elements.aspirated.value;
      const aspirated = answer === "" ? null : answer === "yes";
      return [{ act, ...entries, aspirated, disconnected: form.elements.disconnected.checked }];
    }
    case "diary":
      return [{ act, score: entries.score, baseline: form.elements.baseline.checked }];
    case "clock": {
      const now = new Date();
      return [
        { act, milliseconds: now.getTime(), reason: entries.reason },
        { act: "zone", minutes: -now.getTimezoneOffset(), reason: entries.reason },
      ];
    }
    default:
      return [{ act, ...entries }];
  }
}
