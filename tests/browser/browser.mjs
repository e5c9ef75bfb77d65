/**
 * What the browser tests share: Chromium, a virtual pump, a page, pictures.
 *
 *   CHROMIUM       the browser; otherwise the first found on the PATH
 *   THECAL         the `thecal` command; otherwise target/release/thecal
 *   THECAL_PAGE    the built page; otherwise target/page
 *   THECAL_PACK    the text of the sterile pack of a pump that is not the virtual one started here (THECAL_BRIDGE)
 *   SCREENSHOTS    a folder for pictures; none are made without it
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { accessSync, constants, mkdirSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
const TARGET = path.resolve(ROOT, process.env.CARGO_TARGET_DIR ?? "target");
const BROWSERS = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];

/** Ends the test run with one sentence that says what to do. */
function missing(sentence) {
  console.error(sentence);
  process.exit(1);
}

function findChromium() {
  const folders = (process.env.PATH ?? "").split(path.delimiter);
  const candidates = process.env.CHROMIUM
    ? [path.resolve(process.env.CHROMIUM)]
    : BROWSERS.flatMap((name) => folders.map((folder) => path.join(folder, name)));
  for (const candidate of candidates) {
    try {
      accessSync(candidate, constants.X_OK);
      return candidate;
    } catch {
      // The next one.
    }
  }
  const where = process.env.CHROMIUM ? `CHROMIUM=${process.env.CHROMIUM} cannot be run` : `none of ${BROWSERS.join(", ")} is on the PATH`;
  return missing(`No Chromium: ${where}. Install it (apt-get install chromium) or set CHROMIUM to its path.`);
}

function built(variable, fallback, how) {
  const found = process.env[variable] ? path.resolve(process.env[variable]) : path.join(TARGET, fallback);
  try {
    accessSync(found, constants.R_OK);
  } catch {
    missing(`${found} is not there: ${how}, or set ${variable}.`);
  }
  return found;
}

export const CHROMIUM = findChromium();
const THECAL = built("THECAL", "release/thecal", "cargo build --release --package simulator");
const PAGE = built("THECAL_PAGE", "page", "src/programmer/build.sh");

/** Starts a browser; `flags` are added. */
export function launchBrowser(flags = []) {
  return chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", ...flags] });
}

/**
 * Starts a virtual pump with the page, on a free port unless it is to be found where another was, and ends with it. A magnet is brought
 * over it at once, for whoever is going to enrol, unless it is to be there `later`.
 */
export async function startPump(options = [], magnet = "now", port = "0") {
  const child = spawn(THECAL, ["serve", "--port", port, "--page", PAGE, ...options], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  const address = await new Promise((resolve, reject) => {
    const listen = (chunk) => {
      said += chunk;
      const found = said.match(/http:\/\/127\.0\.0\.1:\d+\//);
      if (found) resolve(found[0]);
    };
    child.stdout.on("data", listen);
    child.stderr.on("data", listen);
    child.on("exit", (code) => reject(new Error(`thecal serve ended with status ${code}:\n${said}`)));
  });
  if (magnet === "now") await bringMagnet(address);
  return {
    address,
    async stop() {
      if (child.exitCode !== null) return;
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGINT");
      await ended;
    },
  };
}

/** Collects what a page complains about; nothing may be there at the end of a test. */
export function complaints(page) {
  const heard = [];
  page.on("pageerror", (error) => heard.push(`page error: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error") heard.push(`console: ${message.text()}`);
  });
  return heard;
}

/** A picture, when pictures are wanted. */
export async function picture(page, name) {
  if (!process.env.SCREENSHOTS) return;
  mkdirSync(process.env.SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: path.join(process.env.SCREENSHOTS, `${name}.png`), fullPage: true });
}

/** Brings a magnet over the virtual pump. It goes by itself. */
export async function bringMagnet(address) {
  const answer = await fetch(new URL("simulation", address), {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ magnet: true }),
  });
  assert.equal(answer.status, 200);
}

/** What a page may take for anything, on a slow machine, in ms. */
export const LONG_ENOUGH = 60_000;

/** Asks again and again until the answer is neither `false` nor nothing, and gives it. */
export async function until(what, ask) {
  for (const end = Date.now() + LONG_ENOUGH; Date.now() < end; ) {
    const answer = await ask();
    if (answer) return answer;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return assert.fail(what);
}

/** Waits until a magnet was over the virtual pump for long enough. One that was gone too early, on a busy machine, is brought again. */
export function armed(address) {
  return until("the pump is not armed", async () => {
    const { armed, magnet } = await (await fetch(new URL("simulation", address))).json();
    if (!armed && !magnet) await bringMagnet(address);
    return armed;
  });
}

/** Presses the page's button for the magnet until the pump is armed: on a busy machine a magnet can be gone too early. */
export function holdMagnet(page, address) {
  const button = page.locator("[data-magnet]:visible");
  return until("the pump is not armed", async () => {
    await button.click();
    // It says so while the magnet is there.
    await page.locator("[data-magnet]:visible", { hasText: "Hold the magnet" }).waitFor();
    return (await (await fetch(new URL("simulation", address))).json()).armed;
  });
}

/** The text of the sterile pack, or of the implant card once somebody has enrolled. */
export async function packText(address) {
  const { text } = await (await fetch(new URL("simulation/pack", address))).json();
  return text;
}

/** Whichever screen comes after connecting: enrols the phone when the pump does not know it. */
export async function enrol(page, address) {
  await page.locator("#enrol:visible, #work:visible").waitFor();
  if (await page.locator("#enrol").isHidden()) return;
  if (!process.env.THECAL_PACK) await armed(address);
  await enterCode(page, process.env.THECAL_PACK ?? (await packText(address)));
  await page.locator("#work").waitFor();
}

/** Enters a code and sends it. */
export async function enterCode(page, code) {
  await page.locator("#enrol-code").fill(code);
  await page.locator("#enrol-do").click();
}

/** A pump as it leaves the factory is made one of a kind first. Any other is left as it is. */
export async function commission(page) {
  // Commissioning is offered with the first read-out, or not at all.
  await page.locator("#age", { hasText: "live" }).waitFor();
  const fold = page.locator("#fold-commission");
  if (await fold.isHidden()) return;
  await page.locator("#commission-kind").selectOption("programmable implant");
  await fold.getByRole("button", { name: "Commission" }).click();
  await page.locator("#orders-confirm-text", { hasText: "2.5 nL a step, reservoir of 20 mL" }).waitFor();
  await page.getByRole("button", { name: "Do it now" }).click();
  await page.locator("#orders-message", { hasText: "is commissioned" }).waitFor();
  await fold.waitFor({ state: "hidden" });
}

/** Unfolds a part of the page. */
export function unfold(page, fold) {
  return page.locator(fold).evaluate((details) => {
    details.open = true;
  });
}

/** Enters a program into the form. */
export async function enterProgram(page, { drug, concentration, fill, dose }) {
  await page.locator("#drug").selectOption(drug);
  await page.locator("#concentration").fill(concentration);
  await enterFill(page, fill ?? "");
  await page.getByLabel("Dose", { exact: true }).fill(dose);
}

/** Enters what was injected at a refill. */
export async function enterFill(page, fill) {
  await unfold(page, "#fold-refill");
  await page.locator("#fill").fill(fill);
}

/** Sends what is in the form and waits for the review. */
export async function sendForReview(page) {
  await page.getByRole("button", { name: "Send to pump for review" }).click();
  await page.locator("#review").waitFor();
}

/** Ticks, gives a reason where the pump asks for one, and confirms. */
export async function confirm(page) {
  const button = page.getByRole("button", { name: "Confirm and program" });
  assert.equal(await button.isDisabled(), true, "a program can be confirmed without having been compared");
  await page.getByLabel("I have compared every line").check();
  if (await page.locator("#reason-field").isVisible()) {
    assert.equal(await button.isDisabled(), true, "a soft limit can be gone over without a reason");
    await page.locator("#reason").selectOption("titration");
  }
  await button.click();
}

/** The heading of the result, once it contains `text`. */
export async function verdict(page, text) {
  await page.locator("#verdict-title", { hasText: text }).waitFor();
  return page.locator("#verdict").getAttribute("data-verdict");
}

/** The review's lines: setting -> [in force now, as read back]. */
export async function comparison(page) {
  const rows = await page.locator("#review-rows tr").all();
  const lines = await Promise.all(rows.map((row) => row.locator("th, td").allTextContents()));
  return Object.fromEntries(lines.map(([setting, ...values]) => [setting, values]));
}

/** One read-out in exact integers: all of it from one answer of the pump, for one read-out is written at once. */
export function exactReadout(page) {
  return page.evaluate(() => {
    const of = (id, name) => document.getElementById(id).dataset[name];
    return {
      milliseconds: of("running-for", "milliseconds"),
      counted: of("delivered-counted", "femtolitres"),
      atMost: of("delivered-at-most", "femtolitres"),
      left: of("reservoir-left", "femtolitres"),
    };
  }).then((texts) => Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, BigInt(text ?? 0)])));
}
