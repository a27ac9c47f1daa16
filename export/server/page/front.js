/** Which answers are not beaten at two objectives at once: the Pareto front, as a chart and as a table. */

import { draw } from "./scatter.js";
import { at, breakable, digitsFor, element, listed, withSpread } from "./words.js";

const AXES = ["x", "y"];

let answers = [];
let senses = [1, 1];

/**
 * Which points each point is beaten by: those that are nowhere worse and somewhere better.
 *
 * `points` holds the coordinates of each, `senses` 1 for an axis on which more is better, and -1 for the other kind.
 */
export function beaten(points, [across, up]) {
  return points.map(([x, y]) => points.flatMap(([otherX, otherY], place) => {
    const [ahead, above] = [across * (otherX - x), up * (otherY - y)];
    return ahead >= 0 && above >= 0 && (ahead > 0 || above > 0) ? [place] : [];
  }));
}

/** Begin with these answers of one model, at the two objectives whose contributions differ the most among them. */
export function begin(given) {
  const names = given[0].objectives.map((term) => term.name);
  const ranges = names.map((_, place) => {
    const found = given.map((answer) => answer.objectives[place].contribution);
    return Math.max(...found) - Math.min(...found);
  });
  const widest = names.map((_, place) => place).sort((one, other) => ranges[other] - ranges[one]);
  AXES.forEach((axis, number) => {
    const kept = names.indexOf(at(axis).selectedOptions[0]?.textContent); // the user's choice stands
    const options = names.map((name, place) => Object.assign(element("option", "", name), { value: place }));
    at(axis).replaceChildren(...options);
    at(axis).value = kept < 0 ? widest[Math.min(number, names.length - 1)] : kept;
  });
  answers = given;
  senses = [0, 0];
  update(given);
}

/** The same answers under other weights: an objective whose weight turned negative turns the front. */
export function update(given) {
  answers = given;
  const now = chosen().map((place) => (given[0].objectives[place].coefficient < 0 ? -1 : 1));
  if (now.join() !== senses.join()) {
    senses = now;
    show();
  }
}

function chosen() {
  return AXES.map((axis) => Number(at(axis).value));
}

function show() {
  const places = chosen();
  const names = places.map((place) => answers[0].objectives[place].name);
  const terms = answers.map((answer) => places.map((place) => answer.objectives[place]));
  const points = terms.map((pair) => pair.map((term) => term.reward));
  const worse = beaten(points, senses);
  const front = answers.filter((_, number) => worse[number].length === 0).map((answer) => answer.letter);

  const [across, up] = senses.map((sense) => (sense > 0 ? "more" : "less"));
  const those = front.length > 1 ? `Answers ${listed(front)} are` : `Answer ${front[0]} is`;
  at("front-told").textContent = `${those} not beaten: `
    + "no other answer is as good at both objectives and better at one. "
    + `Better is ${across} of ${names[0]} and ${up} of ${names[1]}`
    + `${senses.includes(-1) ? ", as the signs of their weights say" : ""}.`;
  AXES.forEach((axis, number) => at(`front-${axis}`).replaceChildren(breakable(names[number])));
  at("front").tBodies[0].replaceChildren(...answers.map(({ letter }, number) => {
    const by = worse[number].map((place) => answers[place].letter);
    return frontRow(letter, terms[number], by, points);
  }));
  redraw();
}

function frontRow(letter, terms, by, points) {
  const line = element("tr", by.length ? "" : "on-front");
  const head = element("th", "", "");
  head.scope = "row";
  head.append(element("span", "letter", letter));
  const numbers = terms.map(({ reward, std }, axis) => {
    const cell = element("td", "number");
    cell.append(...withSpread(reward, std, digitsFor(points.map((point) => point[axis]))));
    return cell;
  });
  line.append(head, element("td", "standing", by.length ? listed(by) : "none"), ...numbers);
  return line;
}

function redraw() {
  const width = at("scatter").clientWidth;
  if (!answers.length || !width) return;
  const places = chosen();
  const terms = answers.map((answer) => places.map((place) => answer.objectives[place]));
  const worse = beaten(terms.map((pair) => pair.map((term) => term.reward)), senses);
  const points = answers.map(({ letter }, number) => ({
    letter,
    at: terms[number].map((term) => term.reward),
    std: terms[number].map((term) => term.std ?? 0),
    front: worse[number].length === 0,
  }));
  at("scatter").replaceChildren(draw(points, senses, places.map((place) => answers[0].objectives[place].name), width));
}

for (const axis of AXES) at(axis).addEventListener("change", () => { senses = [0, 0]; update(answers); });
new ResizeObserver(redraw).observe(at("scatter"));
