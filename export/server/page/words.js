/** Numbers and sentences as the page writes them, and elements that hold text as text. */

export const at = (id) => document.getElementById(id);
const MINUS = "\u2212";

/** A number with a true minus sign; `signed` puts a plus before the others. */
export function written(value, digits, signed = false) {
  const text = Math.abs(value).toFixed(digits);
  if (Number(text) === 0) return text;
  return (value < 0 ? MINUS : signed ? "+" : "") + text;
}

/** A number that the user chose, as short as it is. */
export function short(value) {
  return String(Number(value.toPrecision(6))).replace("-", MINUS);
}

/** Enough digits that the largest of these has three that count. */
export function digitsFor(values) {
  const largest = Math.max(...values.map(Math.abs));
  return largest > 0 ? Math.min(Math.max(2 - Math.floor(Math.log10(largest)), 0), 8) + 1 : 3;
}

/** A standard error as it stands behind its number; nothing where the model holds none. */
export function spread(std, digits, bound = false) {
  return std === null ? "" : `± ${bound ? "≤ " : ""}${std.toFixed(digits)}`;
}

/** A fraction as a percentage; null is one that too few rated responses tell. */
export function percentage(fraction) {
  return fraction === null ? "not known" : `${Math.round(100 * fraction)} %`;
}

/** "A", "A and B", "A, B and C". */
export function listed(words) {
  return words.length > 1 ? `${words.slice(0, -1).join(", ")} and ${words.at(-1)}` : words.join("");
}

export function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

/** A number, and its standard error under it. */
export function withSpread(value, std, digits, bound = false) {
  return [written(value, digits), ...(std === null ? [] : [" ", element("span", "std", spread(std, digits, bound))])];
}

/** A name that may be broken behind its hyphens and underscores, and nowhere else. */
export function breakable(name) {
  const shown = element("bdi", "name");
  for (const part of name.split(/(?<=[-_])/)) shown.append(part, document.createElement("wbr"));
  return shown;
}

/** The head of a row about an objective. */
export function rowHead(name, ...more) {
  const head = element("th");
  head.scope = "row";
  head.setAttribute("role", "rowheader");
  head.append(breakable(name), " ", ...more);
  return head;
}

/** The line below the form's buttons, which is read out when it changes. */
export function say(sentence, wrong = false) {
  at("status").textContent = sentence;
  at("status").classList.toggle("wrong", wrong);
}

/** What it means that answers with these letters, all or some of them, are marked. */
export function unlike(letters, all = false) {
  const [subject, is, it, its] = letters.length === 1
    ? [`Answer ${letters[0]}`, "is", "it is", "Its"]
    : [all && letters.length === 2 ? "Both answers" : `Answers ${listed(letters)}`, "are", "they are", "Their"];
  return `${subject} ${is} unlike the rated responses: ${it} farther from those that each objective was fitted to than `
    + "nearly all that were kept apart for comparison. "
    + `${its} rewards are extrapolated, and may be wrong by more than ± says.`;
}
