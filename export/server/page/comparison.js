/** Two answers side by side: one row an objective, with its slider, bars, contributions and their difference. */

import { sliderOf } from "./sliders.js";
import { sizeOf } from "./steering.js";
import { at, element, rowHead, withSpread, written } from "./words.js";

const LEAST_WHISKER = 0.01; // of the axis: what is shorter would be its own end caps
const SIDES = ["a", "b"];

const ORDERS = {
  difference: (one, other) => Math.abs(other.difference) - Math.abs(one.difference),
  weight: (one, other) => other.weight - one.weight,
  model: () => 0,
};

let rows = [];
let widest = null;

/** One row an objective of two answers, in the order of the model. */
export function compared([a, b]) {
  return a.objectives.map((term, place) => {
    const other = b.objectives[place];
    const difference = term.contribution - other.contribution;
    return { name: term.name, place, weight: term.coefficient, terms: [term, other], difference };
  });
}

/** The rows in the order that the user chose. */
export function ordered(all) {
  return [...all].sort(ORDERS[at("order").value]);
}

/** Make the rows of a model's objectives. */
export function begin(names) {
  rows = names.map(chartRow);
}

/** Put the rows in order, and let the axis begin anew. A slider keeps its row while it is moved. */
export function arrange(pair) {
  const line = ordered(compared(pair));
  beginAxis();
  at("chart").tBodies[0].replaceChildren(...line.map(({ place }) => rows[place].line));
}

/** Let the axis be as wide as the next terms need it. */
export function beginAxis() {
  widest = null;
}

/** Show the terms of two answers. */
export function update(pair, digits, largest) {
  const all = compared(pair);
  const total = sizeOf(all.map((row) => row.weight)) || 1;
  const ends = all.flatMap(({ terms }) => terms.flatMap((term) => [term.gain, ...whisker(term)])).concat(0);
  widest = { // wider as a slider needs it, so that bars do not change for the axis' sake
    low: Math.min(widest?.low ?? 0, ...ends),
    high: Math.max(widest?.high ?? 0, ...ends),
  };
  const place = (value) => 100 * (value - widest.low) / (widest.high - widest.low || 1);
  for (const row of all) {
    rows[row.place].slider.update(row.weight / total, largest);
    rows[row.place].update(row, place, digits);
  }
  pair.forEach((answer, number) => {
    at(`head-${SIDES[number]}`).textContent = answer.letter;
    at(`sum-${SIDES[number]}`).replaceChildren(...withSpread(answer.score, answer.score_std, digits, answer.bound));
  });
  at("head-difference").textContent = `${pair[0].letter} − ${pair[1].letter}`;
  at("sum-difference").textContent = written(pair[0].score - pair[1].score, digits, true);
}

/** The ends of a contribution's error bar; both at the contribution itself where no standard error is known. */
function whisker({ contribution, contribution_std: std }) {
  return [contribution - (std ?? 0), contribution + (std ?? 0)];
}

function chartRow(name) {
  const slider = sliderOf(name);
  const drawn = bars();
  const cells = ["tune", "bars", "number a-number", "number b-number", "number"].map((kind) => element("td", kind));
  const [tune, chart, ...numbers] = cells;
  tune.append(slider.control);
  chart.append(drawn.pair);
  for (const cell of cells) cell.setAttribute("role", "cell");
  const line = element("tr");
  line.setAttribute("role", "row");
  line.append(rowHead(name), ...cells);

  return {
    line,
    slider,
    update({ terms, difference }, place, digits) {
      drawn.update(terms, place);
      terms.forEach((term, number) => {
        numbers[number].replaceChildren(...withSpread(term.contribution, term.contribution_std, digits));
      });
      numbers[2].textContent = written(difference, digits, true);
    },
  };
}

/** The numbers stand beside them, so that the bars themselves are told to nobody who listens. */
function bars() {
  const pair = element("div", "pair");
  pair.setAttribute("aria-hidden", "true");
  const sides = SIDES.map((side) => ["bar", "bar taken", "whisker"].map((kind) => element("div", `${kind} ${side}`)));

  return {
    pair,
    update(terms, place) {
      pair.style.setProperty("--zero", `${place(0)}%`);
      const seen = terms.flatMap((term, number) => {
        const [bar, taken, line] = sides[number];
        const [low, high] = whisker(term).map(place);
        stretch(bar, place(0), place(term.contribution));
        stretch(taken, place(term.contribution), place(term.gain));
        stretch(line, low, high);
        return [
          bar,
          ...(term.gain === term.contribution ? [] : [taken]),
          ...(high - low > 100 * LEAST_WHISKER ? [line] : []),
        ];
      });
      const others = seen.length !== pair.childElementCount || seen.some((each) => each.parentNode !== pair);
      if (others) pair.replaceChildren(...seen);
    },
  };
}

function stretch(drawn, one, other) {
  drawn.style.setProperty("--from", `${Math.min(one, other)}%`);
  drawn.style.setProperty("--wide", `${Math.abs(other - one)}%`);
}
