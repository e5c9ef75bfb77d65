/** The page: which pump, which step, and what is said. Doses are read, checked and added up in the wasm alone. */
import init, { Page } from "./programmer.js";
import { NothingChosen } from "./carrier.js";
import { CardView } from "./card_view.js";
import { element, lapse, sentence, show, write } from "./dom.js";
import { EnrolView } from "./enrol_view.js";
import { forget, keep, keptFor, keptKeys, keyFor, write as putBack } from "./keys.js";
import { KeysView } from "./keys_view.js";
import { Link } from "./link.js";
import { OrdersView } from "./orders_view.js";
import { ProgramForm } from "./program_form.js";
import { ReviewView } from "./review_view.js";
import { holdMagnet, readPack, readSimulation, setSpeed } from "./simulation.js";
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
/**
 * A pump that has just been spoken to may still be ending that connection, and a phone may take that one for the new one: how often it
 * is tried, and how long it is waited in between, in ms.
 */
const TRIES = 5;
const TRY_AGAIN_AFTER = 500;
/** Where what has had no answer is kept, so that it outlives the page. */
const PENDING = "thecal pending";

/** One of `enter`, `waiting`, `review`, `result`. */
let step = "enter";
/** @type {Link | null} */
let link = null;
/** Whose session was opened last: role, place, fingerprints, and what that role may. */
let session = null;
/** The carrier of the last connection, for connecting again. */
let carrier = null;
/** A key that is used but not kept: that of a wallet card, with the name of the carrier's pump. */
let borrowed = null;
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
const keys = new KeysView(choices.roles, {
  read: () => link.readKeys(),
  grant: (role, place) => link.grant(role, place),
  revoke: (place) => link.revoke(place),
});
const enrolment = new EnrolView((text) => JSON.parse(Page.readCode(text)), enrolPhone, chooseCarrier, forgetKeyOfEnrolment);
const card = new CardView(() => readCard(carrier), chooseCarrier);
const review = new ReviewView(choices.reasons, commit, back);

element("connect-virtual").addEventListener("click", () => connect(new WebSocketCarrier(chosenMtu())));
element("connect-bluetooth").addEventListener("click", () => connect(new WebBluetoothCarrier(identifiers)));
element("card-virtual").addEventListener("click", () => readCard(new WebSocketCarrier(chosenMtu())));
element("card-bluetooth").addEventListener("click", () => readCard(new WebBluetoothCarrier(identifiers)));
element("forget").addEventListener("click", forgetKeyOfSession);
element("enrol-pack").addEventListener("click", fillPack);
for (const button of document.querySelectorAll("[data-magnet]")) button.addEventListener("click", () => bringMagnet(button));
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
  borrowed = null;
  enrolment.clear();
  keys.clear();
  screen("connect");
  showPending();
  showLink("none", "Not connected");
  element("connect-title").scrollIntoView({ block: "nearest" });
}

/** One of the page's screens. */
function screen(name) {
  for (const id of ["connect", "enrol", "card", "work"]) show(id, id === name);
}

function use(chosen) {
  carrier = chosen;
  document.body.dataset.carrier = chosen instanceof WebSocketCarrier ? "virtual" : "bluetooth";
}

/** Connects and opens a session with the key that this phone has for that pump; without one the phone is to be enrolled first. */
async function connect(chosen) {
  connectError(null);
  busyConnecting(true);
  const next = new Link(programmer, chosen);
  try {
    const about = await next.connect();
    use(chosen);
    const key = borrowed?.name === chosen.pump ? borrowed : await keyFor(chosen.pump);
    if (!key) {
      await next.disconnect();
      await askForCode(about.armed, null, null);
      return;
    }
    const event = await next.openSession(key.key);
    if (event.kind === "welcome") {
      await opened(next, about, event);
      return;
    }
    await next.disconnect();
    if (event.why === "not-admitted") await askForCode(about.armed, event.reason, key);
    else throw new Error(event.reason ?? "the connection was lost");
  } catch (error) {
    if (!(error instanceof NothingChosen)) connectFailed(error);
  } finally {
    busyConnecting(false);
  }
}

/** A session is open. */
async function opened(next, about, { session: now, resolved: told }) {
  const another = session?.pump !== now.pump || session.own !== now.own || session.role !== now.role;
  session = now;
  link = next;
  link.onLost(lost);
  link.onStatusChanged(() => readOut());
  readOuts = 0;
  if (another) {
    status.clear();
    therapy.clear();
    orders.clear();
    keys.clear();
  }
  document.body.dataset.role = session.role;
  status.about(about, carrier, session);
  orders.offer(may);
  therapy.offer(may);
  show("program", may("stage"));
  show("keys", may("revoke key"));
  show("forget", borrowed === null);
  show("banner", false);
  screen("work");
  show("simulation", carrier instanceof WebSocketCarrier);
  showLink("open", sentence(carrier.name));
  if (another || step === "review" || step === "waiting") enter();
  element("readout-title").focus();
  if (told) resolvedBySession(told);
  await readOut();
  const pending = pendingNow();
  if (pending?.sent.commit) unknown(`the program sent to pump ${pending.pump} has not been answered`);
  if (pending?.sent.order) {
    orders.message(stillUnknown(pending));
    showPending();
  }
}

/** What the role of this session may ever ask of the pump. */
const may = (command) => session?.may.includes(command) ?? false;

// --- keys of this phone ---

/** This phone has no key that the pump lets in. */
async function askForCode(armed, denied, kept) {
  link = null;
  const others = (await keptKeys()).filter(({ pump, names }) => pump !== kept?.pump && !names.includes(carrier.pump));
  element("enrol-kept").replaceChildren(...others.map((other) => keptItem(other)));
  show("enrol-kept", others.length > 0);
  show("banner", false);
  showLink("none", "Not connected");
  enrolment.clear();
  enrolment.show(carrier, armed, denied, kept);
  screen("enrol");
  element("enrol-title").focus();
}

/** A pump is known by another name since it was enrolled: another browser profile's Bluetooth, another port. */
function keptItem({ pump, key }) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet";
  button.textContent = `It is pump ${pump}: use this phone’s key`;
  button.addEventListener("click", () => enrolling(() => openWith(key, pump, 1)));
  item.append(button);
  return item;
}

function enrolPhone(text, code, place) {
  return enrolling(() => (code.kind === "key" ? openWith(text, code.pump, 1) : enrol(text, code.pump, place)));
}

/** Runs what the enrolment screen was asked, and says there why it failed. */
async function enrolling(work) {
  enrolment.busy(true);
  enrolment.message(null);
  try {
    await work();
    enrolment.clear();
  } catch (error) {
    enrolment.message(`${sentence(error.message ?? String(error))}.`);
  } finally {
    enrolment.busy(false);
  }
}

/** With the code this phone grants itself a key, and then comes back with it: that shows whether it was granted, whatever was lost. */
async function enrol(text, pump, place) {
  const before = await keptFor(pump);
  const next = new Link(programmer, carrier);
  const { armed } = await next.connect();
  enrolment.presence(armed);
  let key = null;
  try {
    expect(await next.enrol(text), "welcome");
    const known = expect(await next.readKeys(), "keys");
    if (place === null && known.free.length === 0) enrolment.offerPlaces(known.keys);
    const granted = await next.grantOwn(place, async (made) => {
      key = made;
      await keep(pump, made, carrier.pump);
    });
    if (granted.kind === "not-done") {
      await restore(pump, before);
      throw new Error(granted.reason);
    }
  } finally {
    await next.disconnect();
  }
  try {
    await openWith(key, pump, TRIES);
  } catch (error) {
    // Nobody has this key: it was certainly not granted.
    if (error.why === "not-admitted") await restore(pump, before);
    throw error;
  }
}

/** Opens a session with a key, which is then kept for this pump, unless it is a wallet card's: that stays the patient's. */
async function openWith(key, pump, tries) {
  const next = new Link(programmer, carrier);
  let about;
  let event;
  try {
    about = await next.connect();
    enrolment.presence(about.armed);
    event = await next.openSession(key);
    if (event.kind !== "welcome") {
      await next.disconnect();
      throw Object.assign(new Error(event.reason ?? "the connection was lost"), { why: event.why });
    }
  } catch (error) {
    const settled = error.why === "not-admitted" || error.why === "not-armed";
    if (settled || tries <= 1) throw error;
    await new Promise((resolve) => setTimeout(resolve, TRY_AGAIN_AFTER));
    await openWith(key, pump, tries - 1);
    return;
  }
  if (event.session.role === "emergency") borrowed = { key, pump, name: carrier.pump };
  else await keep(pump, key, carrier.pump);
  await opened(next, about, event);
}

function expect(event, kind) {
  if (event.kind !== kind) throw new Error(event.reason ?? "the connection was lost");
  return event;
}

const restore = (pump, before) => (before ? putBack(before) : forget(pump));

async function forgetKeyOfSession() {
  if (!confirmForgetting()) return;
  await forget(session.pump);
  await disconnect();
}

async function forgetKeyOfEnrolment() {
  if (!confirmForgetting()) return;
  const kept = await keyFor(carrier.pump);
  if (kept) await forget(kept.pump);
  chooseCarrier();
}

function confirmForgetting() {
  return window.confirm(
    "Forget this phone’s key? This phone can then do nothing with the pump until it gets another one. The pump still lets the key in: a clinician revokes it there.",
  );
}

// --- the emergency card ---

/** Reads the card over a connection of its own, without a key. */
async function readCard(chosen) {
  connectError(null);
  busyConnecting(true);
  card.waiting();
  try {
    await chosen.connect();
    use(chosen);
    screen("card");
    const bytes = await chosen.readCard();
    card.show(JSON.parse(Page.readCard(bytes)));
  } catch (error) {
    if (error instanceof NothingChosen) return;
    card.failed(error.message ?? String(error));
    if (carrier === chosen) screen("card");
    else connectFailed(error);
  } finally {
    busyConnecting(false);
    await chosen.disconnect();
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
  for (const id of ["connect-virtual", "card-virtual", "reconnect"]) element(id).disabled = busy;
  for (const id of ["connect-bluetooth", "card-bluetooth"]) element(id).disabled = busy || bluetoothObstacle() !== null;
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
  const said = may("read therapy") ? await attempt(() => link.readTherapy()) : null;
  if (said?.kind === "therapy") {
    therapy.show(said.therapy);
    orders.offerDiary(said.therapy.trial !== null);
    if (said.resolved) resolvedOrder(said.resolved);
  }
  if (readOuts % PATH_EVERY === 0 && may("read path")) {
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
  orders.enable(open);
  keys.enable(open);
}

/** Why nothing can be sent at present; `null` when something can. */
function obstacle(open) {
  if (!open) return "Not connected: your entries are kept.";
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

/** The number of the last command that the pump has had from this key has told that it never had what is pending. */
function resolvedBySession(told) {
  if (told.fate === "order-not-done") resolvedOrder(told);
  else resolved(told);
}

/** An interrogation has told what became of the pending commit. */
function resolved({ fate, program_number: number }) {
  keepPending();
  showPending();
  if (fate === "done") done(number);
  else if (fate === "stopped-not-recorded") stoppedNotRecorded();
  else if (fate === "not-done") notDone("the pump was asked: it never put that program into force");
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
  return `It is not known whether this was done at pump ${pump}: ${sent.order.what} Connect to that pump: it will tell. Nothing is sent again.`;
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
      `It is not known whether the last program sent to pump ${pending.pump} is in force. Connect to that pump: it will tell. Nothing is sent again.`,
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
  for (const id of ["connect-bluetooth", "card-bluetooth"]) element(id).disabled = reason !== null;
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

/** Brings the emulated magnet, and follows what the simulation says of it until it is gone. */
async function bringMagnet(button) {
  const words = button.textContent;
  button.disabled = true;
  try {
    let simulation = await holdMagnet();
    while (simulation?.magnet) {
      button.textContent = "The magnet is over the pump…";
      await new Promise((resolve) => setTimeout(resolve, REFRESH_EVERY));
      simulation = await readSimulation();
    }
    if (!element("enrol").hidden) enrolment.presence(simulation?.armed === true);
    if (simulation) writeSimulation(simulation);
  } catch (error) {
    button.after(Object.assign(document.createElement("p"), { className: "note", textContent: `${sentence(error.message)}.` }));
  } finally {
    button.textContent = words;
    button.disabled = false;
  }
}

async function fillPack() {
  try {
    enrolment.fill(await readPack());
  } catch (error) {
    enrolment.message(`${sentence(error.message)}.`);
  }
}

function writeSimulation({ armed, speed, simulated_ms: simulated, keeping_up: keepingUp }) {
  for (const input of document.getElementsByName("speed")) input.checked = Number(input.value) === speed;
  const slow = keepingUp ? "" : " This computer cannot keep up: time runs as fast as it can.";
  const other = SPEEDS.includes(speed) ? "" : `${speed.toLocaleString("en")}× · `;
  write("simulated-magnet", armed ? "A magnet was held over the pump within the last 5 min." : "");
  write("simulated", `${other}${lapse(simulated)} simulated.${slow}`);
}
