/** The review: the pump's words beside the program in force. What may be confirmed is decided by the wasm. */
import { choices, element, lapse, list, show, write } from "./dom.js";

export class ReviewView {
  #expiresAt = 0;
  #confirmable = false;
  #needsReason = false;

  /** @param reasons why a soft limit may be gone over  @param onConfirm called with the reason, empty for none  @param onBack */
  constructor(reasons, onConfirm, onBack) {
    choices(element("reason"), reasons);
    element("compared").addEventListener("change", () => this.#enable());
    element("reason").addEventListener("change", () => this.#enable());
    element("confirm").addEventListener("click", () => {
      if (!element("confirm").disabled) onConfirm(this.#needsReason ? element("reason").value : "");
    });
    element("back").addEventListener("click", onBack);
  }

  show(review) {
    this.#expiresAt = performance.now() + review.expires_in_ms;
    this.#confirmable = review.confirmable;
    this.#needsReason = review.needs_reason;
    element("compared").checked = false;
    element("reason").value = "";
    const differences = review.differences.map((difference) => `• ${difference}`).join("\n");
    write("review-differences", `The pump read back something else than was entered, or reckons otherwise. It cannot be confirmed.\n${differences}`);
    show("review-differences", !review.confirmable);
    show("review-same", review.confirmable);
    show("confirm-box", review.confirmable);
    show("confirm", review.confirmable);
    show("reason-field", review.needs_reason);
    list("review-findings-list", review.findings);
    show("review-findings", review.findings.length > 0);
    write("review-drug", review.drug);
    write("review-old", review.old_total);
    write("review-new", review.new_total);
    write("review-change", review.change);
    write("review-times", review.times ?? "");
    write("review-lasts", review.lasts ? `At the new flow the reservoir lasts ${review.lasts}.` : "");
    list("review-notes", review.notes);
    show("review-notes", review.notes.length > 0);
    element("review-rows").replaceChildren(...review.rows.map(row));
    this.tick();
  }

  /** To be called several times a second; `false` when the pump has discarded the program. */
  tick() {
    const left = this.#expiresAt - performance.now();
    write("review-expires", this.#confirmable ? `The pump waits ${lapse(Math.max(left, 0))} for the confirmation.` : "");
    this.#enable();
    return left > 0;
  }

  #enable() {
    const reasoned = !this.#needsReason || element("reason").value !== "";
    const alive = performance.now() < this.#expiresAt;
    element("confirm").disabled = !(this.#confirmable && element("compared").checked && reasoned && alive);
  }
}

function row({ label, old, new: now, changed }) {
  const line = document.createElement("tr");
  line.dataset.changed = changed;
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = label;
  line.append(head, cell(old), cell(now));
  return line;
}

function cell(text) {
  const cell = document.createElement("td");
  cell.textContent = text;
  if (text.includes("\n")) cell.className = "long";
  return cell;
}
