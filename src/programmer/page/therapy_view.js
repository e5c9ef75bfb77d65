/** What the pump says of therapy: everything here is text from the wasm. */
import { element, show, write } from "./dom.js";

const OPTIONAL = ["response", "alarms", "running", "refill-open"];
const ROWS = ["row-refill-limit", "row-refill-alarm", "row-discrepancy", "row-patient", "row-last-day", "row-path", "row-trial", "row-mri"];
const VALUES = ["refill-with-boluses", "refill-basal-only", "refill-worst-case", "tip", "service", "service-due", "service-ends"];
const ABOUT = ["kind", "response-text", "fault-policy", "library", "zone"];

export class TherapyView {
  #onAcknowledge;
  #mayAcknowledge = false;
  #mayCancel = false;

  /** @param onAcknowledge called with an alarm's name  @param onCancelBolus */
  constructor(onAcknowledge, onCancelBolus) {
    this.#onAcknowledge = onAcknowledge;
    element("cancel-bolus").addEventListener("click", onCancelBolus);
  }

  /** Another pump: nothing of the one before may stand here. */
  clear() {
    for (const id of [...OPTIONAL, ...ROWS]) show(id, false);
    for (const id of [...VALUES, ...ABOUT]) write(id, "–");
    element("alarms-list").replaceChildren();
    delete element("alarms-list").dataset.state;
    element("running-list").replaceChildren();
  }

  /** What this session's role may do about what is shown. */
  offer(may) {
    this.#mayAcknowledge = may("acknowledge alarm");
    this.#mayCancel = may("cancel bolus");
    show("therapy", may("read therapy"));
    show("row-tip", may("read path"));
    delete element("alarms-list").dataset.state;
  }

  show(therapy) {
    show("response", !therapy.as_programmed);
    write("response", therapy.as_programmed ? "" : `Not as programmed: ${therapy.response}.`);
    this.#alarms(therapy.alarms);
    this.#running(therapy);
    optional("refill-open", therapy.refill_open);
    this.#refill(therapy.refill);
    row("discrepancy", therapy.discrepancy);
    element("discrepancy").dataset.flagged = therapy.discrepancy_flagged;
    row("patient-bolus", therapy.patient_bolus, "row-patient");
    row("last-day", therapy.last_day.length > 0 ? therapy.last_day.join("\n") : null);
    row("trial", therapy.trial);
    row("mri", therapy.mri);
    write("service", therapy.service.shortened ? `${therapy.service.state}; the supply may fail before` : therapy.service.state);
    element("service").dataset.good = therapy.service.good;
    write("service-due", therapy.service.replacement_due);
    write("service-ends", therapy.service.ends);
    write("kind", therapy.kind);
    write("response-text", therapy.response);
    write("fault-policy", therapy.fault_policy);
    write("library", therapy.library);
    write("zone", therapy.zone);
  }

  path(path) {
    write("tip", path.tip);
    row("path", path.slugs.length > 0 ? path.slugs.join("\n") : null);
  }

  /** Written anew only when something differs: a button must not vanish from under a finger. */
  #alarms(alarms) {
    show("alarms", alarms.length > 0);
    const target = element("alarms-list");
    const state = JSON.stringify(alarms);
    if (target.dataset.state === state) return;
    target.dataset.state = state;
    target.replaceChildren(...alarms.map((alarm) => this.#alarm(alarm)));
  }

  #alarm(alarm) {
    const item = document.createElement("li");
    item.dataset.critical = alarm.critical;
    item.dataset.alarm = alarm.name;
    const words = [alarm.critical ? "critical" : "reminder", alarm.state];
    if (alarm.sounding) words.push("sounding");
    if (alarm.acknowledged) words.push("acknowledged");
    item.append(text("b", alarm.title, text("small", words.join(", "))));
    if (!alarm.acknowledged && this.#mayAcknowledge) {
      const button = text("button", "Acknowledge");
      button.type = "button";
      button.className = "quiet";
      button.setAttribute("aria-label", `Acknowledge: ${alarm.title}`);
      button.addEventListener("click", () => this.#onAcknowledge(alarm.name));
      item.append(button);
    }
    return item;
  }

  #running({ job, bridge }) {
    const running = [job, bridge].filter((progress) => progress !== null);
    show("running", running.length > 0);
    show("cancel-bolus", job !== null && this.#mayCancel);
    element("running-list").replaceChildren(...running.map(progressItem));
  }

  #refill(refill) {
    write("refill-with-boluses", refill?.with_boluses ?? "not known");
    write("refill-basal-only", refill?.basal_only ?? "not known");
    write("refill-worst-case", refill?.worst_case ?? "not known");
    row("refill-limit", refill?.limited_by ?? null);
    row("refill-alarm", refill?.alarm_in ?? null);
  }
}

function progressItem({ name, done, left, per_mille: perMille }) {
  const item = document.createElement("li");
  item.append(text("b", name, text("small", `${done}; ${left} left`)));
  if (perMille !== null) {
    const bar = document.createElement("progress");
    bar.max = 1000;
    bar.value = perMille;
    bar.setAttribute("aria-label", name);
    item.append(bar);
  }
  return item;
}

function text(tag, words, ...inside) {
  const made = document.createElement(tag);
  made.append(words, ...inside);
  return made;
}

/** A line that is there only when there is something to say. */
function row(id, words, line = `row-${id}`) {
  show(line, words !== null);
  write(id, words ?? "");
}

function optional(id, words) {
  show(id, words !== null);
  write(id, words ?? "");
}
