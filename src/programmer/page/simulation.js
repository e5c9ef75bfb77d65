/** How fast the virtual pump's time runs, the magnet over it, and the paper that came with it. Not part of the pump: a control of the simulation, over its own address. */
const ADDRESS = "simulation";

/** What the virtual pump's server says of its time; `null` when this page does not come from one. */
export async function readSimulation() {
  try {
    const answer = await fetch(ADDRESS, { cache: "no-store" });
    if (!answer.ok || !answer.headers.get("content-type")?.includes("json")) return null;
    return await answer.json();
  } catch {
    return null;
  }
}

/** Sets the speed and returns what the server then says; throws its refusal. */
export const setSpeed = (speed) => change({ speed });

/** Brings a magnet over the pump, which goes by itself when it has been there for long enough. */
export const holdMagnet = () => change({ magnet: true });

/** The text of the sterile pack, or of the implant card once somebody has enrolled. */
export async function readPack() {
  return answered(await fetch(`${ADDRESS}/pack`, { cache: "no-store" })).then(({ text }) => text);
}

async function change(what) {
  const answer = await fetch(ADDRESS, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(what),
  });
  return answered(answer);
}

async function answered(answer) {
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.error ?? `the virtual pump refused (${answer.status})`);
  return said;
}
