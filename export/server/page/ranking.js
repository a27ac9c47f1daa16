/** More than two answers in the order of their scores. */

import { at, element, spread, unlike, written } from "./words.js";

const EXCERPT = 140; // characters of an answer, so that it is known again

/** The answers from the highest score to the lowest, each with its rank: equal scores have equal ranks. */
export function ranked(answers) {
  const best = [...answers].sort((one, other) => other.score - one.score);
  return best.map((answer) => ({ ...answer, rank: 1 + best.findIndex((each) => each.score === answer.score) }));
}

/** Show ranked answers, and those that have no score. */
export function update(answers, unscored, digits) {
  const ends = answers.flatMap(({ score, score_std: std }) => [score - (std ?? 0), score + (std ?? 0)]);
  const [low, high] = [Math.min(...ends), Math.max(...ends)];
  const place = (value) => (high > low ? 4 + 92 * (value - low) / (high - low) : 50);
  at("ranking").tBodies[0].replaceChildren(
    ...answers.map((answer) => rankRow(answer, place, digits)),
    ...unscored.map(({ letter, text, error }) => {
      const line = rowOf("–", letter, text);
      const told = element("td", "no-score", `No score: ${error}.`);
      told.colSpan = 2;
      told.setAttribute("role", "cell");
      line.append(told);
      return line;
    }),
  );
}

function rankRow(answer, place, digits) {
  const { rank, letter, text, score, score_std: std, bound, unfamiliar, veto } = answer;
  const line = rowOf(String(rank), letter, text);
  const dots = element("td", "dots");
  dots.append(dot(answer, place));
  const number = element("td", "number");
  number.append(element("b", "", written(score, digits)), " ", element("span", "std", spread(std, digits, bound)));
  for (const cell of [dots, number]) cell.setAttribute("role", "cell");
  line.append(dots, number);

  const notes = element("span", "notes", `${answer.tokens - answer.prompt_tokens} tokens`);
  if (veto < 0) notes.append(", capped by a veto");
  if (unfamiliar) {
    const mark = element("span", "unlike", "unlike the rated responses");
    mark.title = unlike([letter]);
    notes.append(" ", mark);
  }
  line.querySelector(".told").append(notes);
  return line;
}

function rowOf(rank, letter, text) {
  const line = element("tr");
  line.setAttribute("role", "row");
  const head = element("th", "told");
  head.scope = "row";
  head.setAttribute("role", "rowheader");
  const characters = Array.from(text.slice(0, 4 * EXCERPT));
  const cut = text.length > 4 * EXCERPT || characters.length > EXCERPT;
  const excerpt = characters.slice(0, EXCERPT).join("") + (cut ? "…" : "");
  head.append(element("span", "letter", letter), " ", element("bdi", "excerpt", excerpt));
  const first = element("td", "rank", rank);
  first.setAttribute("role", "cell");
  line.append(first, head);
  return line;
}

/** A score as a point on the axis of all scores, with its error bar. */
function dot({ score, score_std: std }, place) {
  const axis = element("div", "axis");
  axis.setAttribute("aria-hidden", "true");
  if (std !== null) {
    const line = element("div", "whisker");
    const [low, high] = [place(score - std), place(score + std)];
    line.style.setProperty("--from", `${low}%`);
    line.style.setProperty("--wide", `${high - low}%`);
    axis.append(line);
  }
  const point = element("div", "dot");
  point.style.setProperty("--from", `${place(score)}%`);
  axis.append(point);
  return axis;
}
