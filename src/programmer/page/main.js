/** The page: which pump, which step, and what is said. Doses are read, checked and added up in the wasm alone. */
import init, { Page } from "./programmer.js";
import { NothingChosen } from "./carrier.js";
import { element, lapse, sentence, show, write } from "./dom.js";
import { Link } from "./link.js";
import { OrdersView } from "./orders_view.js";
import { ProgramForm } from "./program_form.js";
import { ReviewView } from "./review_view.js";
import { readSimulation, setSpeed } from "./simulation.js";
import { StatusView } from "./status_view.js";
import { TherapyView } from "./therapy_view.js";
import { WebBluetoothCarrier, bluetoothObstacle } from "./web_bluetooth_carrier.js";
import { WebSocketCarrier } from "./websocket_carrier.js";

/** How often the pump is read out, in ms. */
const READ_OUT_EVERY = 1_000;
/** The path to the tip moves slowly: it is read with every so many read-outs. */
const PATH_EVERY = 10;
/** How often ages and count-downs are written anew, in ms. */
const REFRESH_EVERY = 250;
const SPEEDS = [1, 10, 100, 1_000, 10_000, 100_000];
/** Where what has had no answer is kept, so that it outlives the page. */
const PENDING = "thecal pending";

/** One of `enter`, `waiting`, `review`, `result`. */
let step = "enter";
/** @type {Link | null} */
let link = null;
let about = null;
/** The carrier of the last connection, for connecting again. */
let carrier = null;
/** It has to be commissioned before it can be programmed. */
let toCommission = false;
/** How often this connection has been read out. */
let readOuts = 0;

await init({ module_or_path: new URL("programmer_bg.wasm", import.meta.url) });
const programmer = new Page();
const identifiers = JSON.parse(Page.identifiers());
resumePending();

const status = new StatusView(async (flags) => {
  await attempt(() => link.resetFlags(flags));
});
const choices = JSON.parse(Page.choices());
const therapy = new TherapyView(
  (alarm) => orders.give({ act: "acknowledge", alarm }),
  () => orders.give({ act: "cancel-bolus" }),
);
const orders = new OrdersView(choices, (act) => programmer.describe(JSON.stringify(act)), order, () => {
  if (step !== "enter") enter();
  form.enterFill();
});
const form = new ProgramForm(JSON.parse(Page.drugs()), (texts) => JSON.parse(programmer.check(JSON.stringify(texts))), send);
const review = new ReviewView(choices.reasons, commit, back);

element("connect-virtual").addEventListener("click", () => connect(new WebSocketCarrier(chosenMtu())));
element("connect-bluetooth").addEventListener("click", () => connect(new WebBluetoothCarrier(identifiers)));
element("reconnect").addEventListener("click", () => connect(carrier));
element("leave").addEventListener("click", () => {
  show("banner", false);
  chooseCarrier();
});
element("disconnect").addEventListener("click", disconnect);
element("again").addEventListener("click", () => enter());
element("set-aside").addEventListener("click", setAside);
element("orders-set-aside").addEventListener("click", setAside);

await prepareVirtualPump();
prepareBluetooth();
chooseCarrier();
setInterval(refresh, REFRESH_EVERY);
readOutForEver();

// --- connection ---

function chooseCarrier() {
  link = null;
  about = null;
  show("work", false);
  show("connect", true);
  showPending();
  showLink("none", "Not connected");
  element("connect-title").scrollIntoView({ block: "nearest" });
}

async function connect(chosen) {
  const another = carrier !== chosen;
  const next = new Link(programmer, chosen);
  connectError(null);
  busyConnecting(true);
  try {
    about = await next.connect();
  } catch (error) {
    busyConnecting(false);
    if (!(error instanceof NothingChosen)) connectFailed(error);
    return;
  }
  busyConnecting(false);
  carrier = chosen;
  link = next;
  link.onLost(lost);
  link.onStatusChanged(() => readOut());
  readOuts = 0;
  if (another) {
    status.clear();
    therapy.clear();
    orders.clear();
  }
  status.about(about, chosen);
  show("connect", false);
  show("banner", false);
  show("work", true);
  show("simulation", chosen instanceof WebSocketCarrier);
  showLink("open", sentence(chosen.name));
  if (another || step === "review" || step === "waiting") enter();
  element("readout-title").focus();
  await readOut();
  const pending = pendingNow();
  if (pending?.sent.commit) unknown(`the program sent to “${pending.pump}” has not been answered`);
  if (pending?.sent.order) {
    orders.message(stillUnknown(pending));
    showPending();
  }
}

function connectFailed(error) {
  const text = sentence(error.message ?? String(error));
  if (element("connect").hidden) banner("Not connected", `${text}.`);
  else connectError(`${text}.`);
}

function connectError(text) {
  show("connect-error", text !== null);
  write("connect-error", text ?? "");
}

function busyConnecting(busy) {
  for (const id of ["connect-virtual", "reconnect"]) element(id).disabled = busy;
  element("connect-bluetooth").disabled = busy || bluetoothObstacle() !== null;
}

async function disconnect() {
  // What was being asked ends by itself, and says how.
  await link.disconnect();
  if (step === "review") enter();
  chooseCarrier();
}

/** The connection ended by itself. What was entered stays; what was staged is gone from the pump. */
function lost(reason) {
  banner("Connection lost", `${sentence(reason)}. What is shown is the last that was known.`);
  showLink("lost", "Connection lost");
  if (step === "review") {
    enter();
    form.message("The connection was lost before the program was confirmed: nothing has changed in the pump. Your entries are kept.", "warn");
  }
  refresh();
}

function banner(title, text) {
  write("banner-title", `${title}.`);
  write("banner-text", text);
  show("banner", true);
}

function showLink(state, text) {
  element("link").dataset.link = state;
  write("link-text", text);
  show("disconnect", state === "open");
}

// --- reading out ---

async function readOutForEver() {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, READ_OUT_EVERY));
    // A page in the background has nobody to show it to, and the pump's battery to spare.
    if (link?.open && document.visibilityState === "visible") {
      await readOut();
      await showSimulation();
    }
  }
}

/** Therapy first: what the pump is decides what its program means. */
async function readOut() {
  const said = await attempt(() => link.readTherapy());
  if (said?.kind === "therapy") {
    therapy.show(said.therapy);
    if (said.resolved) resolvedOrder(said.resolved);
  }
  if (readOuts % PATH_EVERY === 0) {
    const path = await attempt(() => link.readPath());
    if (path?.kind === "path") therapy.path(path.path);
  }
  readOuts += 1;
  const event = await attempt(() => link.interrogate());
  if (event?.kind !== "status") return;
  status.show(event.readout);
  toCommission = event.readout.to_commission;
  orders.offerCommissioning(toCommission);
  form.offer(event.readout.program?.texts ?? null);
  form.refresh();
  if (event.resolved) resolved(event.resolved);
}

/** Asks the pump something; the loss of the connection is told by `lost`, anything else is not fatal. */
async function attempt(ask) {
  if (!link?.open) return null;
  try {
    return await ask();
  } catch (error) {
    console.info("not asked:", error.message ?? error);
    return null;
  }
}

/** Ages, count-downs, and what can be done now. */
function refresh() {
  const open = link?.open === true;
  status.age(open);
  if (step === "review" && !review.tick()) {
    enter();
    form.message("The program was not confirmed within 120 s, and the pump has discarded it: nothing has changed. Your entries are kept.", "warn");
  }
  form.enable(obstacle(open));
  orders.enable(open && about.programming);
}

/** Why nothing can be sent at present; `null` when something can. */
function obstacle(open) {
  if (!open) return "Not connected: your entries are kept.";
  if (!about.programming) return "This pump takes no programs over this link; it can only be read out.";
  if (toCommission) return "This pump is new: commission it first, among the orders.";
  if (programmer.pending()) return "First it must be known what became of what was sent last.";
  return null;
}

// --- programming ---

function enter() {
  form.message(null);
  go("enter");
  form.refresh();
}

async function send(texts) {
  go("waiting", "Sending to the pump. Nothing changes yet…");
  let event = null;
  try {
    // What stands beside the read-back is the pump as it is now, not as it was a second ago.
    await readOut();
    event = await link.stage(texts);
  } catch (error) {
    event = { kind: "not-done", reason: error.message ?? String(error) };
  }
  if (event.kind === "review") {
    review.show(event.review);
    go("review");
    if (!event.review.confirmable) await attempt(() => link.cancel());
    return;
  }
  enter();
  form.message(`Not sent: ${event.reason ?? "the connection was lost"}. Nothing has changed in the pump.`);
}

async function back() {
  enter();
  await attempt(() => link.cancel());
}

async function commit(reason) {
  go("waiting", "The pump stores the program. This takes up to 5 s…");
  let event;
  try {
    event = await link.commit(reason, keepPending);
  } catch (error) {
    event = { kind: "not-done", reason: error.message ?? String(error) };
  }
  await conclude(event);
}

/** What became of a commit: done, certainly not done, or not known. */
async function conclude(event) {
  keepPending();
  if (event.kind === "committed") {
    done(event.program_number);
  } else if (event.kind === "stopped-not-recorded") {
    stoppedNotRecorded();
  } else if (event.kind === "unknown") {
    unknown(event.reason);
  } else {
    notDone(event.reason ?? "the connection was lost before it was sent");
  }
  await readOut();
}

/** An interrogation has told what became of the pending commit. */
function resolved({ fate, program_number: number }) {
  keepPending();
  showPending();
  if (fate === "done") done(number);
  else if (fate === "stopped-not-recorded") stoppedNotRecorded();
  else if (fate === "not-done") notDone("the pump was asked, and the program in force is still the one from before");
  else superseded(number);
}

function done(number) {
  verdict("done", "✓", `Program No. ${number} is in force`, "The pump has stored it and follows it from now on.");
  form.startFrom(form.texts());
}

function notDone(reason) {
  verdict("not-done", "✕", "Certainly not done", `${sentence(reason)}.\nThe program in force is unchanged. Your entries are kept.`);
}

function stoppedNotRecorded() {
  verdict(
    "unknown",
    "!",
    "Stopped, but not stored",
    "The pump stands still, but could not store that: after a reset it would deliver the program before again. Stop it once more.",
  );
}

function superseded(number) {
  verdict(
    "unknown",
    "!",
    `Another program is in force: No. ${number}`,
    "Somebody has programmed the pump since. What counts is what the pump shows now.",
  );
}

function unknown(reason) {
  verdict(
    "unknown",
    "?",
    "Not known whether done",
    `${sentence(reason)}.\nThe program will not be sent again. As soon as the pump can be read out, it will tell: connect to the same pump again.`,
  );
}

function verdict(kind, mark, title, text) {
  element("verdict").dataset.verdict = kind;
  write("verdict-mark", mark);
  write("verdict-title", title);
  write("verdict-text", text);
  go("result");
}

// --- orders beside the program ---

/** Sends an order, and reads the pump out: what it did shows there. */
async function order(act) {
  if (!link?.open) throw new Error("there is no connection to the pump");
  const event = await link.order(act, keepPending);
  keepPending();
  showPending();
  // The path is new after a catheter, a prime, a commissioning.
  readOuts = 0;
  await readOut();
  return event;
}

/** Therapy has told what became of the pending bolus or prime. */
function resolvedOrder({ fate, what }) {
  keepPending();
  showPending();
  if (fate === "order-done") orders.message(`It was done: ${what}`, "good");
  else if (fate === "order-not-done") orders.message(`Certainly not done: ${what}`, "bad");
  else orders.message(`Somebody else has ordered something since. The pump’s log tells what became of: ${what}`);
}

function stillUnknown({ pump, sent }) {
  return `It is not known whether this was done at “${pump}”: ${sent.order.what} Connect to that pump: it will tell. Nothing is sent again.`;
}

/** The user takes it upon himself: for example that pump is not here any more. */
function setAside() {
  programmer.setPendingAside();
  keepPending();
  showPending();
  orders.message(null);
  enter();
}

// --- what has had no answer, kept over a reload ---

function pendingNow() {
  const pending = programmer.pending();
  return pending ? JSON.parse(pending) : null;
}

function keepPending() {
  const pending = programmer.pending();
  if (pending) sessionStorage.setItem(PENDING, pending);
  else sessionStorage.removeItem(PENDING);
}

function resumePending() {
  const pending = sessionStorage.getItem(PENDING);
  if (!pending) return;
  try {
    programmer.resume(pending);
  } catch {
    sessionStorage.removeItem(PENDING);
  }
}

function showPending() {
  const pending = pendingNow();
  show("connect-pending", pending !== null);
  show("set-aside", pending !== null);
  show("orders-set-aside", Boolean(pending?.sent.order));
  if (pending?.sent.order) write("connect-pending", stillUnknown(pending));
  else if (pending) {
    write(
      "connect-pending",
      `It is not known whether the last program sent to “${pending.pump}” is in force. Connect to that pump: it will tell. Nothing is sent again.`,
    );
  }
}

// --- steps ---

function go(next, waiting = "") {
  step = next;
  show("form", next === "enter");
  show("waiting", next === "waiting");
  show("review", next === "review");
  show("result", next === "result");
  write("waiting-text", waiting);
  write("program-title", { enter: "New program", waiting: "New program", review: "Compare before confirming", result: "Result" }[next]);
  const current = next === "waiting" ? element("steps").dataset.step : next;
  element("steps").dataset.step = current;
  for (const item of element("steps").children) {
    if (item.dataset.step === current) item.setAttribute("aria-current", "step");
    else item.removeAttribute("aria-current");
  }
  if (next === "result") {
    showPending();
    element("result").focus();
  }
  if (next === "review") element("program-title").focus();
  if (next !== "enter") element("program").scrollIntoView({ block: "start", behavior: "auto" });
  refresh();
}

// --- carriers ---

/** `?mtu=23` makes the virtual pump speak as the oldest phone would. */
function chosenMtu() {
  const mtu = Number(new URLSearchParams(location.search).get("mtu"));
  return Number.isInteger(mtu) && mtu > 0 ? mtu : undefined;
}

function prepareBluetooth() {
  const reason = bluetoothObstacle();
  element("connect-bluetooth").disabled = reason !== null;
  if (reason) write("bluetooth-text", reason);
}

async function prepareVirtualPump() {
  const simulation = await readSimulation();
  show("carrier-virtual", simulation !== null);
  if (!simulation) {
    element("connect-bluetooth").classList.add("primary");
    return;
  }
  const speeds = document.createElement("div");
  for (const speed of SPEEDS) {
    const label = document.createElement("label");
    const input = document.createElement("input");
    input.type = "radio";
    input.name = "speed";
    input.value = speed;
    const text = document.createElement("span");
    text.textContent = `${speed.toLocaleString("en")}×`;
    label.append(input, text);
    speeds.append(label);
    input.addEventListener("change", () => changeSpeed(speed));
  }
  element("speeds").append(speeds);
  writeSimulation(simulation);
}

async function changeSpeed(speed) {
  try {
    writeSimulation(await setSpeed(speed));
  } catch (error) {
    write("simulated", `${sentence(error.message)}.`);
  }
}

async function showSimulation() {
  if (element("simulation").hidden) return;
  const simulation = await readSimulation();
  if (simulation) writeSimulation(simulation);
}

function writeSimulation({ speed, simulated_ms: simulated, keeping_up: keepingUp }) {
  for (const input of document.getElementsByName("speed")) input.checked = Number(input.value) === speed;
  const slow = keepingUp ? "" : " This computer cannot keep up: time runs as fast as it can.";
  const other = SPEEDS.includes(speed) ? "" : `${speed.toLocaleString("en")}× · `;
  write("simulated", `${other}${lapse(simulated)} simulated.${slow}`);
}
