/**
 * The keys of this phone, one for each pump, in the browser's own database (IndexedDB).
 *
 * A key lies there as raw bytes, written as text: the handshake runs in the wasm, which needs the bytes, so that a `CryptoKey` that cannot be
 * exported is of no use here. The database is kept from other sites, but not from whoever uses this phone unlocked, nor from software
 * that reads the browser's files. A phone that is lost is answered by revoking its key in the pump.
 *
 * Which pump is at the other end nobody can tell before a session is open, for a pump does not say who it is; so with each key stand the
 * names by which carriers know its pump.
 *
 * @typedef {object} Kept
 * @property {string} pump  fingerprint of the pump's key
 * @property {string} key  the key as text, `THECAL3:…`
 * @property {string[]} names  what carriers know that pump by
 */
const DATABASE = "thecal";
const STORE = "keys";

/** How many random bytes a key or a handshake needs. */
const RANDOM = 32;

export const random = () => crypto.getRandomValues(new Uint8Array(RANDOM));

/** @returns {Promise<Kept[]>} */
export function keptKeys() {
  return work("readonly", (store) => store.getAll());
}

/** The key for the pump that a carrier knows by this name, `null` when there is none. */
export async function keyFor(name) {
  const keys = await keptKeys();
  return keys.find(({ names }) => names.includes(name)) ?? null;
}

/** Keeps a key; the one that this phone had for that pump before is gone. A name stands for one pump only. */
export async function keep(pump, key, name) {
  for (const other of await keptKeys()) {
    if (other.pump !== pump && other.names.includes(name)) await write({ ...other, names: other.names.filter((one) => one !== name) });
  }
  const before = await work("readonly", (store) => store.get(pump));
  const names = new Set(before?.names ?? []).add(name);
  await write({ pump, key, names: [...names] });
}

export function forget(pump) {
  return work("readwrite", (store) => store.delete(pump));
}

/** Puts back what stood there before, or nothing. */
export const write = (kept) => work("readwrite", (store) => store.put(kept));

export const keptFor = (pump) => work("readonly", (store) => store.get(pump)).then((kept) => kept ?? null);

let opened = null;

function database() {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "pump" });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(new Error(`this browser keeps no keys: ${request.error?.message ?? "its database cannot be opened"}`));
  });
  return opened;
}

/** Runs one request, and waits until what it wrote is stored. */
async function work(mode, ask) {
  const transaction = (await database()).transaction(STORE, mode);
  return new Promise((resolve, reject) => {
    const request = ask(transaction.objectStore(STORE));
    transaction.oncomplete = () => resolve(request.result);
    transaction.onabort = () => reject(new Error(`the key could not be kept: ${transaction.error?.message ?? "the browser gave up"}`));
  });
}
