/**
 * The page in Chromium over Web Bluetooth, as on a phone: an emulated peripheral, behind it a pump (bridge.mjs).
 *
 * With THECAL_BRIDGE=tcp://HOST:PORT the pump is whatever answers there (native_sim through Bumble); without it the virtual pump, once
 * directly and once through the same JSON lines. Time runs as it does: nothing here needs it to be fast.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  EmulatedPump,
  JsonLinesBackend,
  WebSocketBackend,
  backendFromEnvironment,
  chooseTheOnlyDevice,
  serveJsonLines,
} from "./bridge.mjs";
import {
  commission,
  complaints,
  confirm,
  enrol,
  enterProgram,
  exactReadout,
  launchBrowser,
  picture,
  sendForReview,
  startPump,
  verdict,
} from "./browser.mjs";

/** 2.4 mL a day: 960,000 steps of 2.5 nL, one every 90 ms, so that a few seconds show something. */
const MORPHINE = { drug: "morphine", concentration: "10 mg/mL", fill: "18 mL", dose: "24 mg/day" };
const STEP = 2_500_000n;
const STEP_MILLISECONDS = 90n;

/** Runs `body` with a connected page. */
async function withPage(makeBackend, body) {
  const served = await startPump();
  const ending = [() => served.stop()];
  try {
    const backend = await makeBackend(served.address, ending);
    const browser = await launchBrowser(["--enable-features=WebBluetooth"]);
    ending.push(() => browser.close());
    const pump = new EmulatedPump(await browser.newBrowserCDPSession(), backend);
    await pump.start();
    ending.push(() => pump.stop());
    const page = await browser.newPage({ viewport: { width: 412, height: 915 } });
    page.setDefaultTimeout(30_000);
    const heard = complaints(page);
    await chooseTheOnlyDevice(page);
    await page.goto(served.address);
    await page.getByRole("button", { name: "Choose pump" }).click();
    await enrol(page, served.address);
    await commission(page);
    await page.locator("#state-text", { hasText: /^(Not programmed|Delivering|Stopped)$/ }).waitFor();
    await body(page, pump);
    assert.deepEqual(heard, []);
  } finally {
    for (const end of ending.reverse()) await end();
  }
}

async function programAndWatch(page, pump) {
  assert.equal(await page.locator("#link-text").textContent(), "Thecal");
  assert.equal(await page.locator("#simulation").isVisible(), false, "a Bluetooth pump's time runs as it does");
  const before = await page.locator("#hero-number").textContent();
  const number = Number(before.replace(/\D/g, "") || 0) + 1;

  await enterProgram(page, MORPHINE);
  assert.equal(await page.locator("#meaning-flow").textContent(), "2.4 mL/day");
  await sendForReview(page);
  assert.equal(await page.locator("#review-same").isVisible(), true);
  assert.equal(await page.locator("#review-new").textContent(), "24 mg");
  await picture(page, "bluetooth-review");
  await confirm(page);
  assert.equal(await verdict(page, `Program No. ${number} is in force`), "done");
  await page.locator("#state-text", { hasText: "Delivering" }).waitFor();

  const first = await exactReadout(page);
  await page.waitForFunction(
    (from) => BigInt(document.getElementById("running-for").dataset.milliseconds) > BigInt(from) + 4_000n,
    first.milliseconds.toString(),
  );
  const second = await exactReadout(page);
  const delivered = second.counted - first.counted;
  const expected = ((second.milliseconds - first.milliseconds) * STEP) / STEP_MILLISECONDS;
  const error = delivered - expected;
  assert.ok(error >= -2n * STEP && error <= 2n * STEP, `${delivered} fL delivered, ${expected} expected`);
  assert.equal(second.left + second.atMost - (first.left + first.atMost), 0n);
  await picture(page, "bluetooth-delivering");

  assert.ok(pump.operations.get("subscribe") >= 2, "the page asked for indications");
  assert.ok(pump.operations.get("read 4") > 3, "and read the response, because none came");
}

async function loseAndReconnect(page, pump) {
  await pump.lose();
  await page.locator("#banner-title", { hasText: "Connection lost" }).waitFor();
  assert.equal(await page.locator("#readout").getAttribute("data-stale"), "true");
  await page.getByRole("button", { name: "Reconnect" }).click();
  await page.locator("#banner").waitFor({ state: "hidden" });
  await page.locator("#age", { hasText: "live" }).waitFor();
}

async function readCardWithoutKey(page, pump) {
  await page.getByRole("button", { name: "Disconnect" }).click();
  await page.getByRole("button", { name: "Emergency card…" }).click();
  await page.locator("#card-body").waitFor();
  assert.equal(await page.locator("#card-state-text").textContent(), "Not programmed");
  assert.equal(pump.operations.get("read 7"), 1);
  await picture(page, "bluetooth-card");
}

if (process.env.THECAL_BRIDGE) {
  describe("Web Bluetooth to the pump behind THECAL_BRIDGE", () => {
    test("a program is entered, read back, confirmed and delivered", () =>
      withPage(backendFromEnvironment, programAndWatch));
  });
} else {
  describe("Web Bluetooth to the virtual pump", () => {
    const direct = (address) => new WebSocketBackend(address);

    test("a program is entered, read back, confirmed and delivered", () => withPage(direct, programAndWatch));

    test("a lost connection is told, and the same pump is connected again without asking which", () =>
      withPage(direct, loseAndReconnect));

    test("the emergency card is read without a key", () => withPage(direct, readCardWithoutKey));

    test("the same through JSON lines, as a pump behind THECAL_BRIDGE is reached", () =>
      withPage(async (address, ending) => {
        const server = await serveJsonLines(new WebSocketBackend(address));
        ending.push(() => new Promise((resolve) => server.close(resolve)));
        return new JsonLinesBackend("127.0.0.1", server.address().port);
      }, programAndWatch));
  });
}
