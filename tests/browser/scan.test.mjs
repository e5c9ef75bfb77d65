/** The camera: a sterile pack is held before a fake one, and what is read enrols the phone; where there is none, the page says what to do. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import encodeQR from "qr";
import { armed, complaints, launchBrowser, packText, picture, startPump } from "./browser.mjs";

const PHONE = { width: 360, height: 780 };
const [WIDTH, HEIGHT] = [1280, 720];
/** Paper, ink, and a table in between, of 255: no camera sees white and black. */
const [PAPER, INK, TABLE] = [210, 50, 120];
/** Of a module, in pixels of the camera. */
const MODULE = 8;

let folder;
let pump;
let browser;
let page;
let heard;

before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "thecal-camera-"));
});

after(() => rm(folder, { recursive: true, force: true }));

afterEach(async () => {
  await browser?.close();
  await pump?.stop();
  assert.deepEqual(heard, []);
});

/** What a camera sees of a printed code on a table, as an uncompressed film of one picture. */
async function film(text) {
  const modules = encodeQR(text, "raw", { border: 4 });
  const side = modules.length * MODULE;
  const [left, top] = [(WIDTH - side) >> 1, (HEIGHT - side) >> 1];
  assert.ok(top >= 0, "the code is larger than the picture");
  const bright = Buffer.alloc(WIDTH * HEIGHT, TABLE);
  for (let y = 0; y < side; y += 1) {
    for (let x = 0; x < side; x += 1) {
      const dark = modules[Math.floor(y / MODULE)][Math.floor(x / MODULE)];
      bright[(top + y) * WIDTH + left + x] = dark ? INK : PAPER;
    }
  }
  const grey = Buffer.alloc((WIDTH * HEIGHT) / 2, 128);
  const file = path.join(folder, "camera.y4m");
  const head = Buffer.from(`YUV4MPEG2 W${WIDTH} H${HEIGHT} F10:1 Ip A1:1 C420jpeg\nFRAME\n`);
  await writeFile(file, Buffer.concat([head, bright, grey]));
  return file;
}

/** The enrolment screen, in a browser with these flags. */
async function enrolment(flags, prepare = async () => {}) {
  browser = await launchBrowser(flags);
  page = await browser.newPage({ viewport: PHONE });
  page.setDefaultTimeout(30_000);
  heard = complaints(page);
  await prepare(page);
  await page.goto(pump.address);
  await page.getByRole("button", { name: "Connect", exact: true }).click();
  await page.locator("#enrol").waitFor();
}

const scanButton = () => page.getByRole("button", { name: "Scan the QR code" });

describe("a code", () => {
  test("of a sterile pack is read by the camera, shown as what it is, and enrols the phone", async () => {
    pump = await startPump();
    const text = await packText(pump.address);
    const camera = await film(text);
    await enrolment(["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream", `--use-file-for-fake-video-capture=${camera}`]);
    await scanButton().click();
    await page.locator("#enrol-code-note", { hasText: /Sterile pack of pump .*passkey: \d{6}/ }).waitFor();
    assert.equal(await page.locator("#enrol-code").inputValue(), text);
    await page.locator("#enrol-video").waitFor({ state: "hidden" });
    await scanButton().waitFor();
    assert.equal(await page.evaluate(() => document.getElementById("enrol-video").srcObject), null, "the camera is on still");
    await armed(pump.address);
    await page.getByRole("button", { name: "Enrol this phone" }).click();
    await page.locator("#role", { hasText: "Clinician" }).waitFor();
  });

  test("is looked for until somebody stops the camera", async () => {
    pump = await startPump([], "later");
    // Chromium's own test picture: no code is in it.
    await enrolment(["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]);
    await scanButton().click();
    await page.waitForFunction(() => document.getElementById("enrol-video").currentTime > 0.5);
    await picture(page, "phone-scan");
    await page.getByRole("button", { name: "Stop the camera" }).click();
    await page.locator("#enrol-video").waitFor({ state: "hidden" });
    await page.waitForFunction(() => document.getElementById("enrol-video").srcObject === null);
    assert.equal(await page.locator("#enrol-code").inputValue(), "");
  });
});

describe("without a camera", () => {
  test("that may be used, the page says so, and to paste the code", async () => {
    pump = await startPump([], "later");
    // Nobody is there to be asked, and nobody has allowed it.
    await enrolment([]);
    await scanButton().click();
    await page.locator("#enrol-message", { hasText: /The camera cannot be used: .*Paste the code instead/ }).waitFor();
    await page.locator("#enrol-video").waitFor({ state: "hidden" });
    await picture(page, "phone-scan-refused");
  });

  test("in the browser at all, no button is shown, and what to do instead is said", async () => {
    pump = await startPump([], "later");
    await enrolment([], (opened) =>
      opened.addInitScript(() => Object.defineProperty(Navigator.prototype, "mediaDevices", { value: undefined })),
    );
    assert.equal(await scanButton().isVisible(), false);
    assert.match(await page.locator("#enrol-no-scan").textContent(), /lends no camera.*paste its text, or type/s);
    await picture(page, "phone-no-scan");
  });
});
