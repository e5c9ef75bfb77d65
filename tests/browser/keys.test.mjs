/** Who may speak to a pump: enrolment, the keys of others, the wallet card, and the emergency card that needs none. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import {
  armed,
  commission,
  complaints,
  confirm,
  enrol,
  enterCode,
  enterProgram,
  holdMagnet,
  LONG_ENOUGH,
  launchBrowser,
  packText,
  picture,
  sendForReview,
  startPump,
  unfold,
  until,
  verdict,
} from "./browser.mjs";

const BACLOFEN = { drug: "baclofen", concentration: "2 mg/mL", fill: "20 mL", dose: "250 mcg/day" };
const PHONE = { width: 360, height: 780 };

let browser;
let pump;
let phones;
let folder = null;

before(async () => {
  browser = await launchBrowser();
});

after(() => browser?.close());

beforeEach(() => {
  phones = [];
});

afterEach(async () => {
  for (const { page } of phones) await page.close();
  await pump?.stop();
  if (folder) await rm(folder, { recursive: true, force: true });
  folder = null;
  for (const { heard } of phones) assert.deepEqual(heard, []);
});

/** Another phone: a browser profile of its own, with no keys. */
async function phone() {
  const page = await browser.newPage({ viewport: PHONE });
  page.setDefaultTimeout(LONG_ENOUGH);
  phones.push({ page, heard: complaints(page) });
  await page.goto(pump.address);
  return page;
}

const connect = (page) => page.getByRole("button", { name: "Connect", exact: true }).click();

/** A clinician's phone with a commissioned pump. */
async function clinician() {
  const page = await phone();
  await connect(page);
  await enrol(page, pump.address);
  await commission(page);
  return page;
}

async function program(page) {
  await enterProgram(page, BACLOFEN);
  await sendForReview(page);
  await confirm(page);
  await verdict(page, "Program No. 1 is in force");
}

/** Grants a key and gives its text. */
async function grant(page, role) {
  if (await page.locator("#keys-body").isHidden()) await page.getByRole("button", { name: "Read the keys" }).click();
  await unfold(page, "#fold-grant");
  await page.locator("#grant-role").selectOption(role);
  await page.locator("#grant-do").click();
  await page.locator("#key").waitFor();
  return page.locator("#key-text").textContent();
}

const leave = (page) => page.getByRole("button", { name: "Disconnect" }).click();

const enrolMessage = (page, words) => page.locator("#enrol-message", { hasText: words }).waitFor();

/** Sends the code that is entered until the pump has said that no magnet was held: it rests after a connection that shows nobody's key. */
async function notArmed(page) {
  const message = page.locator("#enrol-message");
  await until("nothing is said of the magnet", async () => {
    await page.locator("#enrol-do:enabled").waitFor();
    const said = (await message.isVisible()) ? await message.textContent() : "";
    if (said.includes("Hold the magnet over the pump for 3 s")) return true;
    await page.locator("#enrol-do").click();
    return false;
  });
}

/** A pump that is kept, and can be started again where it was: without power, presence is over. */
async function keptPump() {
  folder = await mkdtemp(path.join(tmpdir(), "thecal-keys-"));
  pump = await startPump(["--flash", path.join(folder, "flash.bin")]);
}

async function restartPump() {
  const { address } = pump;
  await pump.stop();
  pump = await startPump(["--flash", path.join(folder, "flash.bin")], "later", new URL(address).port);
}

/** Lets a page's link be ended as the pump ends one. */
async function interpose(page) {
  const between = {};
  await page.routeWebSocket(/\/link/, (socket) => {
    const server = socket.connectToServer();
    between.hangUp = async (reason) => {
      // The page first: what it says meanwhile goes nowhere.
      await socket.close({ code: 4001, reason });
      await server.close();
    };
  });
  return between;
}

/** The folds of what can be ordered that are shown. */
const offered = (page) => page.locator("#orders-forms > details:visible").evaluateAll((folds) => folds.map(({ id }) => id));

describe("a phone without a key", () => {
  test("is enrolled with the sterile pack and the magnet, comes back by itself, and is known from then on", async () => {
    pump = await startPump([], "later");
    const page = await phone();
    await connect(page);
    await page.locator("#enrol-title", { hasText: "not enrolled with this pump" }).waitFor();
    assert.match(await page.locator("#enrol-presence").textContent(), /Hold the magnet over the pump for 3 s/);
    await picture(page, "phone-enrol");
    await page.getByRole("button", { name: "Sterile pack of the virtual pump" }).click();
    await page.locator("#enrol-code-note", { hasText: /Sterile pack of pump .*passkey: \d{6}/ }).waitFor();
    await holdMagnet(page, pump.address);
    await page.locator("#enrol-presence[data-armed=true]").waitFor();
    await picture(page, "phone-enrol-armed");
    await page.getByRole("button", { name: "Enrol this phone" }).click();
    await page.locator("#work").waitFor();
    await page.locator("#role", { hasText: "Clinician" }).waitFor();
    assert.equal(await page.locator("#enrol-code").inputValue(), "", "the secret is gone from the page");
    await page.goto(pump.address);
    await connect(page);
    await page.locator("#work").waitFor();
    assert.equal(await page.locator("#role").textContent(), "Clinician");
  });

  test("is told what is wrong with a code, in words, before anything is sent", async () => {
    pump = await startPump();
    const page = await phone();
    await connect(page);
    await page.locator("#enrol").waitFor();
    const text = await packText(pump.address);
    const last = text.at(-1) === "0" ? "1" : "0";
    for (const [code, words] of [
      ["", /paste the code/i],
      ["pump", /begin with THECAL1: \(sterile pack\), THECAL2: \(implant card\)/],
      [text.slice(0, -2), /it has to have 208 digits/],
      [`${text.slice(0, -1)}G`, /only the digits 0 to 9 and A to F/],
      [text.slice(0, -1) + last, /checksum is wrong: something was mistyped or is missing/],
    ]) {
      await enterCode(page, code);
      assert.match(await page.locator("#enrol-code-note").textContent(), words);
      assert.equal(await page.locator("#enrol-code").getAttribute("aria-invalid"), "true");
      assert.equal(await page.locator("#enrol-message").isVisible(), false);
    }
    await picture(page, "phone-enrol-wrong");
  });

  test("is not let in with the pack of another pump, and the pump says so", async () => {
    pump = await startPump();
    const other = await startPump([], "later");
    const code = await packText(other.address);
    await other.stop();
    const page = await phone();
    await connect(page);
    await page.locator("#enrol").waitFor();
    await armed(pump.address);
    await enterCode(page, code);
    await enrolMessage(page, /pump does not know this key.*belong to another pump/);
    await page.locator("#enrol-code").fill("");
    await enterCode(page, await packText(pump.address));
    await page.locator("#work").waitFor();
  });

  test("is told to bring the magnet when none was held", async () => {
    pump = await startPump([], "later");
    const page = await phone();
    await connect(page);
    await page.locator("#enrol").waitFor();
    await enterCode(page, await packText(pump.address));
    await notArmed(page);
    await picture(page, "phone-not-armed");
    await armed(pump.address);
    await page.locator("#enrol-do").click();
    await page.locator("#work").waitFor();
  });

  test("is enrolled with the implant card when all keys are lost", async () => {
    pump = await startPump();
    await leave(await clinician());
    const code = await packText(pump.address);
    assert.match(code, /^THECAL2:/, "the pack is spent");
    const page = await phone();
    await connect(page);
    await page.locator("#enrol").waitFor();
    await enterCode(page, code);
    await page.locator("#work").waitFor();
    assert.match(await page.locator("#own-key").textContent(), /place 1/);
  });
});

describe("when all eight places are taken", () => {
  test("whoever enrols chooses the key that is replaced, and needs the magnet for it", async () => {
    await keptPump();
    const page = await clinician();
    for (let place = 1; place < 8; place += 1) {
      await grant(page, place === 7 ? "patient" : "service");
      await page.getByRole("button", { name: "Hide it for ever" }).click();
    }
    assert.equal(await page.locator("#keys-list li").count(), 8);
    await grantMore(page);
    await leave(page);
    const newcomer = await phone();
    await connect(newcomer);
    await newcomer.locator("#enrol").waitFor();
    await enterCode(newcomer, await packText(pump.address));
    await enrolMessage(newcomer, /all places/i);
    assert.equal(await newcomer.locator("#enrol-place option").count(), 9, "eight keys, and a question");
    await newcomer.locator("#enrol-place").selectOption("7");
    await picture(newcomer, "phone-enrol-full");

    // Meanwhile presence is over: nothing is replaced, and what was entered stays.
    await restartPump();
    await notArmed(newcomer);
    assert.equal(await newcomer.locator("#enrol-place").inputValue(), "7");
    await armed(pump.address);
    await newcomer.locator("#enrol-do").click();
    await newcomer.locator("#work").waitFor();
    assert.match(await newcomer.locator("#own-key").textContent(), /place 7/);
    await newcomer.getByRole("button", { name: "Read the keys" }).click();
    await newcomer.locator("#keys-list li").first().waitFor();
    assert.equal(await newcomer.locator("#keys-list li").count(), 8);
    assert.equal(await newcomer.locator('#keys-list li[data-role="patient"]').count(), 0, "the patient's key is gone");
  });
});

/** One more key than there are places for: certainly not granted, and said so. */
async function grantMore(page) {
  await page.locator("#grant-role").selectOption("service");
  await page.locator("#grant-do").click();
  await page.locator("#keys-message", { hasText: /all places/i }).waitFor();
  assert.equal(await page.locator("#key").isVisible(), false, "a key is shown that nobody lets in");
}

describe("a clinician", () => {
  test("sees the keys, grants one, whose text is shown once, and revokes it", async () => {
    pump = await startPump();
    const page = await clinician();
    const key = await grant(page, "service");
    assert.match(key, /^THECAL3:[0-9A-F]+$/);
    await page.locator('#keys-list li[data-role="service"]').waitFor();
    assert.equal(await page.locator("#keys-list li").count(), 2);
    await picture(page, "phone-keys");
    await page.getByRole("button", { name: "Hide it for ever" }).click();
    assert.equal(await page.locator("#key-text").textContent(), "");
    await page.getByRole("button", { name: /Revoke service/ }).click();
    assert.match(await page.locator("#revoke-text").textContent(), /Revoke the key of the service in place 1/);
    await page.getByRole("button", { name: "Revoke it now" }).click();
    await page.locator("#keys-message", { hasText: "is revoked" }).waitFor();
    assert.equal(await page.locator("#keys-list li").count(), 1);
  });

  test("whose key was revoked is told so in the pump's words, and may enrol again", async () => {
    pump = await startPump();
    const first = await clinician();
    const key = await grant(first, "clinician");
    await leave(first);
    const second = await phone();
    await connect(second);
    await enterCode(second, key);
    await second.locator("#work").waitFor();
    await second.getByRole("button", { name: "Read the keys" }).click();
    await second.locator('#keys-list li[data-slot="0"] button').click();
    await second.getByRole("button", { name: "Revoke it now" }).click();
    await second.locator("#keys-message", { hasText: "is revoked" }).waitFor();
    await leave(second);
    await connect(first);
    await first.locator("#enrol-title", { hasText: "does not let this phone in" }).waitFor();
    await enrolMessage(first, /The pump does not know this key; it may have been revoked/);
    await picture(first, "phone-revoked");
    first.on("dialog", (dialog) => dialog.accept());
    await first.getByRole("button", { name: "Forget this phone’s key" }).click();
    await connect(first);
    await first.locator("#enrol-title", { hasText: "not enrolled with this pump" }).waitFor();
  });
});

describe("a patient's phone", () => {
  test("shows status and what a patient may do, and no program", async () => {
    pump = await startPump();
    const page = await clinician();
    await program(page);
    const key = await grant(page, "patient");
    await leave(page);
    const patients = await phone();
    await connect(patients);
    await enterCode(patients, key);
    await patients.locator("#state-text", { hasText: "Delivering" }).waitFor();
    assert.equal(await patients.locator("#role").textContent(), "Patient");
    assert.equal(await patients.locator("#hero-dose").textContent(), "250 mcg/day");
    for (const id of ["#program", "#keys", "#fold-bolus", "#fold-needle", "#fold-emergency", "#changes-seen"]) {
      assert.equal(await patients.locator(id).isVisible(), false, id);
    }
    assert.deepEqual(await offered(patients), ["fold-patient-bolus"]);
    await picture(patients, "phone-patient");
    await patients.getByRole("button", { name: "Take a bolus" }).click();
    await patients.locator("#orders-message", { hasText: "allots no boluses to the patient" }).waitFor();

    // Whoever gets at the form all the same is refused by the pump.
    await patients.evaluate(() => {
      document.getElementById("program").hidden = false;
    });
    await enterProgram(patients, { ...BACLOFEN, fill: "", dose: "300 mcg/day" });
    await patients.getByRole("button", { name: "Send to pump for review" }).click();
    await patients.locator("#form-message", { hasText: "the role patient may not do that" }).waitFor();
  });
});

describe("in an emergency", () => {
  test("the wallet card opens the pump with the magnet, sets minimum rate, and is not kept on the phone", async () => {
    pump = await startPump();
    const page = await clinician();
    await program(page);
    const key = await grant(page, "emergency");
    await leave(page);
    const helper = await phone();
    await connect(helper);
    await enterCode(helper, key);
    await helper.locator("#state-text", { hasText: "Delivering" }).waitFor();
    assert.equal(await helper.locator("#role").textContent(), "Emergency");
    for (const id of ["#program", "#keys", "#fold-bolus", "#fold-patient-bolus"]) {
      assert.equal(await helper.locator(id).isVisible(), false, id);
    }
    await picture(helper, "phone-emergency");
    await helper.getByRole("button", { name: "Minimum rate at once" }).click();
    await helper.getByRole("button", { name: "Do it now" }).click();
    await helper.locator("#orders-message", { hasText: "at minimum rate" }).waitFor();
    await helper.locator("#state-text", { hasText: "Minimum rate" }).waitFor();
    await leave(helper);
    await connect(helper);
    await helper.locator("#enrol").waitFor();
  });

  test("the wallet card opens nothing before a magnet was held, and nothing any more when presence is over", async () => {
    await keptPump();
    const page = await clinician();
    await program(page);
    const key = await grant(page, "emergency");
    await leave(page);
    await restartPump();
    const helper = await phone();
    const between = await interpose(helper);
    await connect(helper);
    await helper.locator("#enrol").waitFor();
    await helper.locator("#enrol-code").fill(key);
    await notArmed(helper);
    assert.equal(await helper.locator("#work").isVisible(), false);
    await picture(helper, "phone-emergency-not-armed");
    await armed(pump.address);
    await helper.locator("#enrol-do").click();
    await helper.locator("#role", { hasText: "Emergency" }).waitFor();
    assert.deepEqual(await offered(helper), ["fold-emergency"]);

    // The pump ends the session with the presence window, 5 min after the magnet: here at once, in its words.
    await between.hangUp("the presence window has closed");
    await helper.locator("#banner-text", { hasText: /the presence window has closed/ }).waitFor();
    assert.equal(await helper.locator("#readout").getAttribute("data-stale"), "true");
    assert.equal(await helper.getByRole("button", { name: "Minimum rate at once" }).isDisabled(), true);
    await picture(helper, "phone-emergency-over");
    // It is over for the pump too.
    await restartPump();
    await helper.getByRole("button", { name: "Reconnect" }).click();
    await helper.locator("#banner-text", { hasText: /Hold the magnet over the pump for 3 s/ }).waitFor();
    await armed(pump.address);
    await helper.getByRole("button", { name: "Reconnect" }).click();
    await helper.locator("#banner").waitFor({ state: "hidden" });
    await helper.getByRole("button", { name: "Minimum rate at once" }).click();
    await helper.getByRole("button", { name: "Do it now" }).click();
    await helper.locator("#state-text", { hasText: "Minimum rate" }).waitFor();
  });

  test("the card is read without a key, while a magnet was held", async () => {
    pump = await startPump([], "later");
    const page = await phone();
    await page.getByRole("button", { name: "Emergency card", exact: true }).click();
    await page.locator("#card-error", { hasText: "after a magnet has been held over it for 3 s" }).waitFor();
    await holdMagnet(page, pump.address);
    await page.getByRole("button", { name: "Read again" }).click();
    await page.locator("#card-body").waitFor();
    assert.equal(await page.locator("#card-state-text").textContent(), "Not programmed");
    assert.match(await page.locator("#card-pump").textContent(), /^([0-9a-f]{4}-){3}[0-9a-f]{4}$/);
    await picture(page, "phone-card");
    await page.getByRole("button", { name: "Back" }).click();
    const doctor = await clinician();
    await program(doctor);
    await leave(doctor);
    await page.getByRole("button", { name: "Emergency card", exact: true }).click();
    await page.locator("#card-drugs", { hasText: "baclofen 2,000 mcg/mL" }).waitFor();
    await page.locator("#card-dose", { hasText: "mcg/day" }).waitFor();
    await picture(page, "phone-card-delivering");
  });
});
