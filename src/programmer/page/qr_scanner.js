/** Reads a QR code with the camera; where there is none to be had, the code is pasted. */

/** How long the camera is let be between two pictures, in ms. */
const LOOK_EVERY = 100;
/** The longer side of a picture that is looked at, in pixels: enough for a code that fills half of it, and read in a moment. */
const LONGEST = 800;

/** Why there is no scanning here; `null` when there is. */
export function scanObstacle() {
  if (!window.isSecureContext) return "The browser lends the camera only to pages that were loaded over a secure connection.";
  if (!navigator.mediaDevices?.getUserMedia) return "This browser lends no camera to pages.";
  return null;
}

/**
 * Shows the camera in `video` until a code is found or `signal` is aborted.
 * @returns {Promise<string | null>} the text, `null` when aborted
 */
export async function scan(video, signal) {
  const camera = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1280 } } });
  const reader = new Reader();
  try {
    video.srcObject = camera;
    await video.play();
    while (!signal.aborted) {
      const text = await reader.read(video);
      if (text !== null) return text;
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY));
    }
    return null;
  } finally {
    reader.end();
    video.srcObject = null;
    for (const track of camera.getTracks()) track.stop();
  }
}

/** The worker that reads, begun anew when a picture was too much for it. */
class Reader {
  #worker = null;
  #canvas = document.createElement("canvas");

  /** The text of a code that the camera sees now, or `null`. */
  read(video) {
    const { videoWidth, videoHeight } = video;
    const scale = Math.min(1, LONGEST / Math.max(videoWidth, videoHeight));
    const [width, height] = [Math.round(videoWidth * scale), Math.round(videoHeight * scale)];
    if (width === 0 || height === 0) return Promise.resolve(null);
    Object.assign(this.#canvas, { width, height });
    const context = this.#canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(video, 0, 0, width, height);
    const pixels = new Uint8Array(context.getImageData(0, 0, width, height).data.buffer);
    this.#worker ??= new Worker(new URL("qr_worker.js", import.meta.url), { type: "module" });
    const worker = this.#worker;
    return new Promise((resolve) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = (event) => {
        event.preventDefault();
        this.end();
        resolve(null);
      };
      worker.postMessage({ pixels, width }, [pixels.buffer]);
    });
  }

  end() {
    this.#worker?.terminate();
    this.#worker = null;
  }
}
