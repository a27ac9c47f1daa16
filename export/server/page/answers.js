/** The fields of the form: a prompt, and two to eight answers. */

import { at, element, say } from "./words.js";

const LETTERS = "ABCDEFGH";
const FEWEST = 2;
const EXAMPLE = {
  prompt: "What is the capital of Australia, and why is it not Sydney?",
  answers: [
    "Canberra. When the colonies federated in 1901, Sydney and Melbourne both wanted to be the capital. "
      + "A new city was built between them as a compromise.",
    "The capital of Australia is Sydney, since it is the largest city.",
    "Canberra.",
  ],
};

let changed = () => {};

/** Call `told` whenever the letters of answers no longer mean the same texts. */
export function onOtherLetters(told) {
  changed = told;
}

function fields() {
  return [...document.querySelectorAll(".answers textarea")];
}

/** Prompt and answers as they are typed; null where one is empty, which is said. */
export function typed() {
  const all = [at("prompt"), ...fields()];
  const empty = all.find((field) => !field.value.trim());
  if (!empty) {
    const [prompt, ...texts] = all.map((field) => field.value);
    return { prompt, answers: texts.map((text, place) => ({ letter: LETTERS[place], text })) };
  }
  const which = all.length === 3 ? "both answers" : "every answer, or remove the empty ones";
  say(`Fill in the prompt and ${which}.`, true);
  empty.focus();
  return null;
}

/** Mark the fields of the two answers that are compared. */
export function mark(pair) {
  fields().forEach((field, place) => {
    const side = ["a", "b"][pair.indexOf(LETTERS[place])] ?? "none";
    field.labels[0].querySelector(".mark").className = `mark ${side}`;
  });
}

/** Exchange the texts of the first two answers. */
export function swap() {
  const [a, b] = fields();
  [a.value, b.value] = [b.value, a.value];
}

function add() {
  const letter = LETTERS[fields().length];
  const field = element("div", "field");
  const label = element("label");
  label.htmlFor = `answer-${letter.toLowerCase()}`;
  const dot = element("span", "mark none");
  dot.setAttribute("aria-hidden", "true");
  label.append(dot, `Answer ${letter}`);
  const text = Object.assign(element("textarea"), { id: label.htmlFor, rows: 7, required: true });
  field.append(label, text);
  document.querySelector(".answers").append(field);
  arrange();
  return text;
}

/** Each answer but the fewest has a button that removes it: then all have one, since any may go. */
function arrange() {
  const all = fields();
  const many = all.length > FEWEST;
  all.forEach((field, place) => {
    const known = field.parentNode.querySelector(".remove");
    if (!many) known?.remove();
    else if (!known) field.parentNode.append(removing(field));
    field.rows = many ? 4 : 7;
    const button = field.parentNode.querySelector(".remove");
    button?.setAttribute("aria-label", `Remove answer ${LETTERS[place]}`);
  });
  at("score").textContent = many ? `Score all ${all.length}` : "Score both";
  at("swap").hidden = many;
  at("add").disabled = all.length === LETTERS.length;
}

function removing(field) {
  const button = Object.assign(element("button", "plain remove", "Remove"), { type: "button" });
  button.addEventListener("click", () => {
    const all = fields();
    const place = all.indexOf(field);
    for (let next = place; next + 1 < all.length; next += 1) all[next].value = all[next + 1].value;
    all.at(-1).parentNode.remove();
    arrange();
    changed();
    say(`Answer ${LETTERS[place]} is removed.`);
    fields()[Math.min(place, all.length - 2)].focus();
  });
  return button;
}

function fill() {
  const wanted = EXAMPLE.answers.slice(0, Math.max(fields().length, FEWEST));
  at("prompt").value = EXAMPLE.prompt;
  fields().forEach((field, place) => {
    field.value = wanted[place] ?? field.value;
  });
  say("An example is filled in.");
}

at("add").addEventListener("click", () => {
  const field = add();
  field.focus();
  say(fields().length === LETTERS.length ? "Eight answers are the most." : "");
});
at("example").addEventListener("click", fill);
