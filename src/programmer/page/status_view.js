/** The read-out: everything here is text from the pump's own words, made by the wasm. */
import { element, lapse, list, sentence, show, write } from "./dom.js";

/** A read-out older than this is said to be old even while connected, in ms. */
const OLD_AFTER = 5_000;

export class StatusView {
  #readAt = null;

  /** @param onSeen called with the flags that somebody has taken note of */
  constructor(onSeen) {
    this.flags = 0;
    element("changes-seen").addEventListener("click", () => onSeen(this.flags));
  }

  /** Another pump: nothing of the one before may stand here. */
  clear() {
    this.#readAt = null;
    element("state").dataset.state = "none";
    write("state-text", "Reading…");
    for (const id of ["hero", "unprogrammed", "warning", "faults", "changes", "row-missed", "row-since", "row-mass"]) show(id, false);
    for (const id of ["delivered-counted", "delivered-at-most", "running-for", "boot", "clock", "limits", "step"]) write(id, "–");
    this.#reservoir(null);
  }

  about(about, carrier, session) {
    write("lifecycle", about.lifecycle);
    write("protocol", `${carrier.name}, protocol version ${about.version}, authenticated and encrypted`);
    write("identity", session.pump);
    write("own-key", session.slot < 8 ? `${session.own}, place ${session.slot}` : session.own);
    write("role", sentence(session.role));
    element("role").dataset.role = session.role;
    show("changes-seen", session.may.includes("reset status changed"));
  }

  show(readout) {
    this.#readAt = performance.now();
    element("state").dataset.state = readout.state;
    write("state-text", readout.state_text);
    this.#program(readout.program, readout.program_number);
    write("hero-caveat", readout.program?.caveat ?? "");
    show("warning", readout.warning !== null);
    write("warning", readout.warning ?? "");
    show("faults", readout.faults.length > 0);
    list("faults-list", readout.faults);
    this.#reservoir(readout.reservoir);
    this.#delivered(readout.delivered);
    this.flags = readout.changed_flags;
    show("changes", readout.changed.length > 0);
    list("changes-list", readout.changed);
    write("running-for", readout.running_for);
    element("running-for").dataset.milliseconds = readout.running_milliseconds;
    write("boot", readout.boot);
    write("clock", readout.clock);
    write("limits", readout.limits);
    write("step", readout.step);
  }

  /** To be called several times a second: how old the values are. */
  age(connected) {
    const stale = this.#readAt !== null && !connected;
    element("readout").dataset.stale = stale;
    if (this.#readAt === null) {
      write("age", "");
      return;
    }
    const age = performance.now() - this.#readAt;
    if (stale) write("age", `last known, ${lapse(age)} old`);
    else if (age < OLD_AFTER) write("age", "live");
    else write("age", `read ${lapse(age)} ago`);
  }

  #program(program, number) {
    show("hero", program !== null);
    show("unprogrammed", program === null);
    if (program === null) return;
    write("hero-drug", program.drug);
    write("hero-concentration", program.concentration);
    write("hero-mixed", program.mixed_with ? `with ${program.mixed_with.replaceAll("\n", ", ")}` : "");
    write("mass-concentration", program.concentration);
    write("hero-dose", program.dose ?? "Stopped");
    write("hero-total", program.day_total);
    write("hero-flow", program.flow);
    write("hero-number", `No. ${number}`);
  }

  #reservoir(reservoir) {
    const gauge = element("gauge");
    gauge.dataset.level = reservoir ? "known" : "unknown";
    gauge.setAttribute("aria-valuenow", reservoir?.per_mille ?? 0);
    gauge.setAttribute("aria-valuetext", reservoir ? `${reservoir.left} of ${reservoir.capacity}` : "not known");
    element("gauge-fill").style.setProperty("--level", reservoir?.per_mille ?? 0);
    write("reservoir-left", reservoir?.left ?? "not known");
    write("reservoir-capacity", reservoir ? `of ${reservoir.capacity}` : "until a fill is programmed");
    write("reservoir-lasts", reservoir?.lasts ? `lasts ${reservoir.lasts}` : "");
    show("row-since", reservoir !== null);
    show("row-mass", Boolean(reservoir?.delivered_mass));
    if (reservoir) {
      write("delivered-since", reservoir.delivered);
      write("delivered-mass", reservoir.delivered_mass ?? "");
      element("reservoir-left").dataset.femtolitres = reservoir.left_femtolitres;
    }
  }

  #delivered(delivered) {
    write("delivered-counted", delivered.counted);
    write("delivered-at-most", delivered.at_most);
    element("delivered-counted").dataset.femtolitres = delivered.counted_femtolitres;
    element("delivered-at-most").dataset.femtolitres = delivered.at_most_femtolitres;
    element("row-at-most").dataset.differ = delivered.differ;
    show("row-missed", delivered.missed !== null);
    write("delivered-missed", delivered.missed ?? "");
  }
}
