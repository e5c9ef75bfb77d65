/** The few things every view does with the document. */

/** The element with this id. */
export const element = (id) => document.getElementById(id);

/** Puts text into an element, only when it differs: what has not changed is not read out again. */
export function write(id, text) {
  const target = element(id);
  if (target.textContent !== text) target.textContent = text;
}

export function show(id, visible) {
  element(id).hidden = !visible;
}

/** One list item a text. */
export function list(id, texts) {
  const target = element(id);
  const shown = [...target.children].map((item) => item.textContent);
  if (shown.length === texts.length && shown.every((text, position) => text === texts[position])) return;
  target.replaceChildren(
    ...texts.map((text) => {
      const item = document.createElement("li");
      item.textContent = text;
      return item;
    }),
  );
}

/** Opens whatever is folded around an element, so that it can be seen and focused. */
export function unfold(target) {
  for (let fold = target.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
}

/** Fills a choice with names; what stands in it already, for none, stays first. */
export function choices(select, names) {
  select.append(...names.map((name) => new Option(sentence(name), name)));
}

/** The first letter large, for the beginning of a sentence. */
export const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** A length of time for people, from milliseconds on this computer's clock. Never of a dose. */
export function lapse(milliseconds) {
  const seconds = Math.floor(milliseconds / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${minutes % 60} min`;
  const days = Math.floor(hours / 24);
  return `${days.toLocaleString("en")} ${days === 1 ? "day" : "days"} ${hours % 24} h`;
}
