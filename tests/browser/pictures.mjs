/**
 * Pictures of the page at every step, on a phone and a desktop, light and dark: `SCREENSHOTS=folder node pictures.mjs`.
 * For looking at, and for the README; the tests do not need them.
 */
import { commission, confirm, enrol, enterProgram, launchBrowser, picture, sendForReview, startPump, verdict } from "./browser.mjs";

const SIZES = { phone: { width: 360, height: 780 }, desktop: { width: 1200, height: 860 } };
const BACLOFEN = { drug: "baclofen", concentration: "2 mg/mL", fill: "20 mL", dose: "250 mcg/day" };

process.env.SCREENSHOTS ??= "pictures";
const browser = await launchBrowser();
for (const [size, viewport] of Object.entries(SIZES)) {
  for (const colorScheme of ["light", "dark"]) {
    const pump = await startPump();
    const page = await browser.newPage({ viewport, colorScheme, deviceScaleFactor: 2 });
    const take = (name) => picture(page, `${size}-${colorScheme}-${name}`);
    await page.goto(pump.address);
    await page.locator("#connect").waitFor();
    await take("1-connect");
    await page.getByRole("button", { name: "Connect", exact: true }).click();
    await page.locator("#enrol").waitFor();
    await take("1-enrol");
    await enrol(page, pump.address);
    await commission(page);
    await page.locator("#state-text", { hasText: "Not programmed" }).waitFor();
    await take("2-new-pump");
    await enterProgram(page, { ...BACLOFEN, concentration: "2 mg/ml", dose: "250 ug/day" });
    await page.getByRole("button", { name: "Send to pump for review" }).click();
    await take("3-errors");
    await enterProgram(page, BACLOFEN);
    await take("4-entered");
    await sendForReview(page);
    await take("5-first-review");
    await confirm(page);
    await verdict(page, "in force");
    await page.locator("#speeds label", { hasText: "10,000×" }).click();
    await page.waitForTimeout(20_000);
    await take("6-delivering");
    await page.getByRole("button", { name: "New program" }).click();
    await enterProgram(page, { ...BACLOFEN, fill: "", dose: "600 mcg/day" });
    await sendForReview(page);
    await page.getByLabel("I have compared every line").check();
    await take("7-change-review");
    await page.getByRole("button", { name: "Back to the form" }).click();
    await page.locator("#form").waitFor();
    await pump.stop();
    await page.locator("#banner").waitFor();
    await take("8-lost");
    await page.close();
  }
}
await browser.close();
