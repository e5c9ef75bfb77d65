/** How fast the virtual pump's time runs. Not part of the pump: a control of the simulation, over its own address. */
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
export async function setSpeed(speed) {
  const answer = await fetch(ADDRESS, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ speed }),
  });
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.error ?? `the virtual pump refused (${answer.status})`);
  return said;
}
