/** Reads QR codes in a thread and a wasm of its own: whatever a picture does to it, the dialogue with the pump goes on. */
import init, { Page } from "./programmer.js";

const ready = init({ module_or_path: new URL("programmer_bg.wasm", import.meta.url) });

addEventListener("message", async ({ data: { pixels, width } }) => {
  await ready;
  postMessage(Page.readQr(pixels, width) ?? null);
});
