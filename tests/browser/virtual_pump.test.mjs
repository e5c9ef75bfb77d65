/** The page in Chromium against the virtual pump: what a person does, from connecting to seeing the dose delivered. */
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import {
  commission,
  comparison,
  complaints,
  confirm,
  enrol,
  enterFill,
  enterProgram,
  exactReadout,
  LONG_ENOUGH,
  launchBrowser,
  picture,
  sendForReview,
  startPump,
  unfold,
  verdict,
} from "./browser.mjs";

const STEP = 2_500_000n; // fL
const BACLOFEN = { drug: "baclofen", concentration: "2 mg/mL", fill: "20 mL", dose: "250 mcg/day" };
const PHONE = { width: 360, height: 780 };

let browser;
let pump;
let page;
let heard;

before(async () => {
  browser = await launchBrowser();
});

after(() => browser?.close());

beforeEach(async () => {
  pump = await startPump();
  page = await browser.newPage({ viewport: PHONE });
  page.setDefaultTimeout(LONG_ENOUGH);
  heard = complaints(page);
});

afterEach(async () => {
  await page?.close();
  await pump?.stop();
  assert.deepEqual(heard, []);
});

async function open(query = "") {
  await page.goto(pump.address + query);
  await page.getByRole("button", { name: "Connect", exact: true }).click();
  await enrol(page, pump.address);
  await commission(page);
  await page.locator("#state-text", { hasText: /^(Not programmed|Delivering|Stopped)$/ }).waitFor();
}

/**
 * Puts a switch between the page and the pump. `commit` resolves when a commit was sent, `withheld` when something did not reach the pump,
 * `lost` when something of the pump's did not reach the page: after a commit, its answer.
 */
async function interpose() {
  const between = { toPump: true, toPage: true, keepCommit: false, keepAnswerToCommit: false, cut: () => {} };
  for (const [happening, happened] of [
    ["commit", "commitSeen"],
    ["withheld", "withholding"],
    ["lost", "losing"],
  ]) {
    between[happening] = new Promise((resolve) => {
      between[happened] = resolve;
    });
  }
  await page.routeWebSocket(/\/link/, (socket) => {
    const server = socket.connectToServer();
    socket.onMessage((message) => {
      // A commit names a digest of 32 bytes; what a read-out asks is shorter. What stages a program, and what opens a session, is longer
      // too, but goes while neither switch is set.
      if (message.length > 60 && (between.keepCommit || between.keepAnswerToCommit)) {
        if (between.keepCommit) between.toPump = false;
        else between.toPage = false;
        between.commitSeen();
      }
      if (between.toPump) server.send(message);
      else between.withholding();
    });
    server.onMessage((message) => {
      if (between.toPage) socket.send(message);
      else between.losing();
    });
    between.cut = async () => {
      // The page first: what it says meanwhile goes nowhere.
      await socket.close({ code: 4000 });
      await server.close();
    };
  });
  return between;
}

describe("a dose", () => {
  test("is entered, compared with the pump's read-back, confirmed and seen delivered", async () => {
    await open();
    assert.equal(await page.locator("#state-text").textContent(), "Not programmed");

    await enterProgram(page, BACLOFEN);
    assert.equal(await page.locator("#meaning-flow").textContent(), "0.125 mL/day");
    assert.equal(await page.locator("#meaning-lasts").textContent(), "160 days");
    await sendForReview(page);
    assert.equal(await page.locator("#review-same").isVisible(), true);
    assert.deepEqual(await comparison(page), {
      Drug: ["none", "baclofen"],
      Concentration: ["none", "2,000 mcg/mL"],
      Mode: ["none", "simple continuous"],
      Dose: ["none", "250 mcg/day"],
      "24-hour total": ["none", "250 mcg"],
      Flow: ["none", "0.125 mL/day"],
      Reservoir: ["not known", "filled: 20 mL"],
    });
    assert.equal(await page.locator("#review-change").textContent(), "new start");
    await picture(page, "phone-review");
    assert.equal(await page.locator("#state-text").textContent(), "Not programmed", "staging alone must change nothing");

    await confirm(page);
    assert.equal(await verdict(page, "Program No. 1 is in force"), "done");
    await page.locator("#state-text", { hasText: "Delivering" }).waitFor();
    assert.equal(await page.locator("#hero-dose").textContent(), "250 mcg/day");

    // 250 mcg/day at 2 mg/mL is 125,000 nL a day, 50,000 steps of 2.5 nL: one every 1,728 ms.
    await page.locator("#speeds label", { hasText: "10,000×" }).click();
    const first = await exactReadout(page);
    await page.waitForFunction(
      (from) => BigInt(document.getElementById("running-for").dataset.milliseconds) > BigInt(from) + 86_400_000n,
      first.milliseconds.toString(),
    );
    const second = await exactReadout(page);
    const elapsed = second.milliseconds - first.milliseconds;
    const delivered = second.counted - first.counted;
    const expected = (elapsed * STEP) / 1_728n;
    assert.ok(elapsed > 86_400_000n, "a day went by");
    const error = delivered - expected;
    assert.ok(error >= -2n * STEP && error <= 2n * STEP, `${delivered} fL delivered in ${elapsed} ms, ${expected} expected`);
    assert.equal(second.left, 20_000_000_000_000n - second.atMost, "the reservoir fell by what was delivered at most");
    assert.ok(second.atMost - second.counted <= STEP && second.atMost >= second.counted);
    await picture(page, "phone-delivering");
  });

  test("arrives whole in frames of 20 bytes as well", async () => {
    await open("?mtu=23");
    await enterProgram(page, BACLOFEN);
    await sendForReview(page);
    await confirm(page);
    assert.equal(await verdict(page, "Program No. 1 is in force"), "done");
  });

  test("is seen again after the page was loaded anew, and changed from there", async () => {
    await open();
    await enterProgram(page, BACLOFEN);
    await sendForReview(page);
    await confirm(page);
    await verdict(page, "Program No. 1 is in force");
    await open();
    assert.equal(await page.locator("#hero-dose").textContent(), "250 mcg/day");
    assert.equal(await page.locator("#hero-drug").textContent(), "baclofen");
    await page.getByRole("button", { name: "Start from the program in force" }).click();
    await page.getByLabel("Dose", { exact: true }).fill("300 mcg/day");
    assert.equal(await page.locator("#meaning-change").textContent(), "+20.0 %");
    await sendForReview(page);
    const lines = await comparison(page);
    assert.deepEqual(lines.Dose, ["250 mcg/day", "300 mcg/day"]);
    assert.deepEqual(lines["24-hour total"], ["250 mcg", "300 mcg"]);
    assert.equal(await page.locator("#review-change").textContent(), "+20.0 %");
    await page.getByRole("button", { name: "Back to the form" }).click();
    assert.equal(await page.getByLabel("Dose", { exact: true }).inputValue(), "300 mcg/day");
    assert.equal(await page.locator("#hero-dose").textContent(), "250 mcg/day");
  });

  test("is stopped, after a word about withdrawal, and what changed is noted", async () => {
    await open();
    await enterProgram(page, BACLOFEN);
    await sendForReview(page);
    await confirm(page);
    await verdict(page, "Program No. 1 is in force");
    await page.getByRole("button", { name: "New program" }).click();
    await page.locator("label", { hasText: /^Stopped$/ }).click();
    assert.equal(await page.locator("#dose-field").isVisible(), false);
    await sendForReview(page);
    assert.match(await page.locator("#review-notes").textContent(), /abrupt withdrawal can be life-threatening/);
    assert.equal(await page.locator("#review-change").textContent(), "−100.0 %");
    assert.equal(await page.locator("#reason-field").isVisible(), false, "a stop waits for nothing, and for no reason either");
    assert.deepEqual((await comparison(page)).Mode, ["simple continuous", "stopped"]);
    await confirm(page);
    assert.equal(await verdict(page, "Program No. 2 is in force"), "done");
    await page.locator("#state-text", { hasText: /^Stopped$/ }).waitFor();
    assert.equal(await page.locator("#hero-flow").textContent(), "0 mL/day");
    await page.getByRole("button", { name: "Noted" }).click();
    await page.locator("#changes").waitFor({ state: "hidden" });
  });
});

describe("therapy beside the program", () => {
  async function deliver() {
    await open();
    await enterProgram(page, BACLOFEN);
    await sendForReview(page);
    await confirm(page);
    await verdict(page, "Program No. 1 is in force");
    await page.locator("#state-text", { hasText: "Delivering" }).waitFor();
  }

  test("a flex day is entered a step a line, and read back so", async () => {
    await open();
    // A schedule wants the time of day.
    await unfold(page, "#fold-clock");
    await page.getByRole("button", { name: "Set the clock" }).click();
    await page.locator("#clock", { hasNotText: /not set|lost/i }).waitFor({ state: "attached" });
    await enterProgram(page, BACLOFEN);
    await page.locator("label", { hasText: /^Flex$/ }).click();
    await page.locator("#weekdays").fill("00:00 15 mcg/h\n08:00 20 mcg/h");
    assert.equal(await page.locator("#meaning-total").textContent(), "440 mcg");
    await sendForReview(page);
    assert.deepEqual((await comparison(page)).Dose, ["none", "every day\n00:00 15 mcg/h\n08:00 20 mcg/h"]);
    assert.equal(await page.locator("#review-same").isVisible(), true);
  });

  test("a patient bolus counts in the 24-hour total, and shows when the next is possible", async () => {
    await open();
    await enterProgram(page, BACLOFEN);
    await unfold(page, "#fold-patient");
    await page.locator("#patient_dose").fill("10 mcg");
    await page.locator("#patient_duration").fill("5 min");
    await page.locator("#patient_lockout").fill("8 h");
    await page.locator("#patient_per_day").fill("4");
    assert.equal(await page.locator("#meaning-total").textContent(), "280 mcg");
    assert.match(await page.locator("#patient_per_day-note").textContent(), /at most 3 in any 24 h: the lockout binds/);
    await sendForReview(page);
    assert.match(await page.locator("#review-notes").textContent(), /lockout keeps the patient to 3 boluses/);
    await confirm(page);
    await verdict(page, "Program No. 1 is in force");
    await page.locator("#patient-bolus", { hasText: /^0 of 4 taken in 24 h/ }).waitFor();
  });

  test("a clinician bolus is described, confirmed, seen running, and stopped", async () => {
    await deliver();
    await unfold(page, "#fold-bolus");
    await page.locator("#bolus-dose").fill("20");
    await page.getByRole("button", { name: "Give a bolus" }).click();
    assert.match(await page.locator("#orders-message").textContent(), /Dose: .*unit/i);
    await page.locator("#bolus-dose").fill("20 mcg");
    await page.locator("#bolus-duration").fill("5 min");
    await page.getByRole("button", { name: "Give a bolus" }).click();
    assert.equal(await page.locator("#orders-confirm-text").textContent(), "Give 20 mcg of baclofen over 5 min now.");
    await page.getByRole("button", { name: "Do it now" }).click();
    await page.locator("#orders-message", { hasText: "is stored and has begun" }).waitFor();
    await page.locator("#running-list", { hasText: "Clinician bolus" }).waitFor();
    await page.getByRole("button", { name: "Stop the bolus" }).click();
    await page.locator("#running").waitFor({ state: "hidden" });
  });

  test("a refill is opened, refuses boluses, and is closed when nothing was changed", async () => {
    await deliver();
    await unfold(page, "#fold-needle");
    await page.getByRole("button", { name: "1. Open the refill" }).click();
    await page.locator("#refill-open", { hasText: "boluses are refused" }).waitFor();
    await page.getByRole("button", { name: "Nothing was changed" }).click();
    await page.locator("#refill-open").waitFor({ state: "hidden" });
  });

  test("a catheter is set, and the tip is told", async () => {
    await deliver();
    assert.match(await page.locator("#tip").textContent(), /no catheter was told/);
    await unfold(page, "#fold-catheter");
    await page.locator("#catheter-tubing").fill("0.1 mL");
    await page.locator("#catheter-length").fill("45.5 cm");
    await page.locator("#catheter-per_length").fill("0.0022 mL/cm");
    await page.getByRole("button", { name: "Set the catheter" }).click();
    await page.getByRole("button", { name: "Do it now" }).click();
    await page.locator("#tip", { hasNotText: "no catheter" }).waitFor();
  });
});

describe("an entry", () => {
  test("with a wrong unit is refused beside its field and never sent", async () => {
    await open();
    await enterProgram(page, { ...BACLOFEN, dose: "250 ug/day" });
    await page.getByRole("button", { name: "Send to pump for review" }).click();
    const note = page.locator("#dose-note");
    assert.match(await note.textContent(), /unit is unknown.*mcg\/day/s);
    assert.equal(await note.getAttribute("data-kind"), "error");
    assert.equal(await page.getByLabel("Dose", { exact: true }).getAttribute("aria-invalid"), "true");
    assert.equal(await page.evaluate(() => document.activeElement.id), "dose");
    assert.equal(await page.locator("#review").isVisible(), false);
    await picture(page, "phone-wrong-unit");
    await page.getByLabel("Dose", { exact: true }).fill("250 mcg/day");
    assert.equal(await note.getAttribute("data-kind"), "meaning");
  });

  test("outside of the pump's limits says what is allowed", async () => {
    await open();
    await enterProgram(page, { ...BACLOFEN, dose: "90 mcg/day" });
    await page.getByLabel("Dose", { exact: true }).blur();
    assert.match(await page.locator("#dose-note").textContent(), /0\.045 mL\/day.*lowest therapeutic rate is 0\.048 mL\/day/s);
    await enterFill(page, "21 mL");
    await page.locator("#fill").blur();
    assert.match(await page.locator("#fill-note").textContent(), /21 mL.*at most 20 mL/s);
  });
});

describe("a connection that breaks", () => {
  test("while a commit's answer is under way: the pump is asked, nothing is sent again", async () => {
    const between = await interpose();
    await open();
    await enterProgram(page, BACLOFEN);
    await sendForReview(page);
    between.keepAnswerToCommit = true;
    await confirm(page);
    await between.lost;
    await between.cut();
    assert.equal(await verdict(page, "Not known whether done"), "unknown");
    assert.equal(await page.locator("#banner-title").textContent(), "Connection lost.");
    assert.match(await page.locator("#age").textContent(), /last known/);
    await picture(page, "phone-unknown");
    between.keepAnswerToCommit = false;
    between.toPage = true;
    await page.getByRole("button", { name: "Reconnect" }).click();
    assert.equal(await verdict(page, "Program No. 1 is in force"), "done");
  });

  test("before a commit reached the pump: it is found not done, and the entries are kept", async () => {
    const between = await interpose();
    await open();
    await enterProgram(page, BACLOFEN);
    await sendForReview(page);
    between.keepCommit = true;
    await confirm(page);
    await between.commit;
    await between.cut();
    assert.equal(await verdict(page, "Not known whether done"), "unknown");
    between.keepCommit = false;
    between.toPump = true;
    await page.getByRole("button", { name: "Reconnect" }).click();
    assert.equal(await verdict(page, "Certainly not done"), "not-done");
    assert.equal(await page.locator("#state-text").textContent(), "Not programmed");
    await page.getByRole("button", { name: "New program" }).click();
    assert.equal(await page.getByLabel("Dose", { exact: true }).inputValue(), "250 mcg/day");
  });

  test("while a commit still waits behind a read-out: certainly not done at once, and nothing is pending", async () => {
    const between = await interpose();
    await open();
    await enterProgram(page, BACLOFEN);
    await sendForReview(page);
    between.toPump = false;
    // A read-out that is never answered.
    await between.withheld;
    await confirm(page);
    await between.cut();
    assert.equal(await verdict(page, "Certainly not done"), "not-done");
    between.toPump = true;
    await page.getByRole("button", { name: "Reconnect" }).click();
    await page.locator("#banner").waitFor({ state: "hidden" });
    assert.equal(await page.locator("#state-text").textContent(), "Not programmed");
    await page.getByRole("button", { name: "New program" }).click();
    assert.equal(await page.getByLabel("Dose", { exact: true }).inputValue(), "250 mcg/day");
  });

  test("with a commit pending and the page loaded anew: it is still resolved", async () => {
    const between = await interpose();
    await open();
    await enterProgram(page, BACLOFEN);
    await sendForReview(page);
    between.keepAnswerToCommit = true;
    await confirm(page);
    await between.lost;
    between.keepAnswerToCommit = false;
    between.toPage = true;
    await page.goto(pump.address);
    await page.locator("#connect-pending").waitFor();
    assert.match(await page.locator("#connect-pending").textContent(), /not known whether the last program/);
    await page.getByRole("button", { name: "Connect", exact: true }).click();
    assert.equal(await verdict(page, "Program No. 1 is in force"), "done");
  });

  test("during the review: the pump has discarded the program, and the page says so", async () => {
    const between = await interpose();
    await open();
    await enterProgram(page, BACLOFEN);
    await sendForReview(page);
    await between.cut();
    assert.match(await page.locator("#form-message").textContent(), /nothing has changed/);
    await page.getByRole("button", { name: "Reconnect" }).click();
    await page.locator("#banner").waitFor({ state: "hidden" });
    await sendForReview(page);
  });

  test("because the pump stopped: a clear banner, greyed values, and no way to send", async () => {
    await open();
    await pump.stop();
    await page.locator("#banner").waitFor();
    assert.equal(await page.locator("#readout").getAttribute("data-stale"), "true");
    assert.equal(await page.getByRole("button", { name: "Send to pump for review" }).isDisabled(), true);
    await picture(page, "phone-lost");
    await page.getByRole("button", { name: "Reconnect" }).click();
    await page.locator("#banner-title", { hasText: "Not connected" }).waitFor();
    heard.splice(0); // the browser's own words about a socket that cannot be opened
  });
});

describe("the page", () => {
  test("tells a second phone that the pump is taken", async () => {
    await open();
    const second = await browser.newPage();
    await second.goto(pump.address);
    await second.getByRole("button", { name: "Connect", exact: true }).click();
    await second.locator("#connect-error").waitFor();
    assert.match(await second.locator("#connect-error").textContent(), /another phone is connected/i);
    await second.close();
  });

  test("says why there is no Bluetooth, and that a phone needs HTTPS", async () => {
    await page.goto(pump.address);
    await page.locator("#connect").waitFor();
    assert.match(await page.locator("#bluetooth-text").textContent(), /no Web Bluetooth.*HTTPS/s);
    assert.equal(await page.getByRole("button", { name: "Choose pump" }).isDisabled(), true);
    assert.match(await page.locator("footer").textContent(), /not a medical device/);
  });

  test("fits a phone of 360 pixels at every step", async () => {
    const fits = async (where) => {
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(width <= PHONE.width, `${where}: ${width} pixels wide`);
    };
    await page.goto(pump.address);
    await page.locator("#connect").waitFor();
    await fits("connect");
    await page.getByRole("button", { name: "Connect", exact: true }).click();
    await page.locator("#enrol").waitFor();
    await fits("enrolment");
    await enrol(page, pump.address);
    await commission(page);
    await fits("form");
    await page.getByRole("button", { name: "Read the keys" }).click();
    await page.locator("#keys-list li").waitFor();
    await fits("keys");
    await enterProgram(page, BACLOFEN);
    await sendForReview(page);
    await fits("review");
    await confirm(page);
    await verdict(page, "Program No. 1 is in force");
    await fits("result");
  });
});
