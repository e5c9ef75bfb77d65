/** Reads a QR code with the camera, where the browser can; everywhere else the code is pasted. */

/** How often a picture is looked at, in ms. */
const LOOK_EVERY = 200;

/** Whether this browser can read QR codes at all. */
export async function canScan() {
  if (!("BarcodeDetector" in window) || !navigator.mediaDevices?.getUserMedia) return false;
  try {
    return (await BarcodeDetector.getSupportedFormats()).includes("qr_code");
  } catch {
    return false;
  }
}

/**
 * Shows the camera in `video` until a code is found or `signal` is aborted.
 * @returns {Promise<string | null>} the text, `null` when aborted
 */
export async function scan(video, signal) {
  const detector = new BarcodeDetector({ formats: ["qr_code"] });
  const camera = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  video.srcObject = camera;
  try {
    await video.play();
    while (!signal.aborted) {
      const [found] = await detector.detect(video);
      if (found) return found.rawValue;
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY));
    }
    return null;
  } finally {
    video.srcObject = null;
    for (const track of camera.getTracks()) track.stop();
  }
}
