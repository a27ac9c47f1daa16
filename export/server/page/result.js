/** The result: verdict, ranking, comparison, front and terms, of the answers that the server scored last. */

import { mark } from "./answers.js";
import * as comparison from "./comparison.js";
import * as front from "./front.js";
import * as ranking from "./ranking.js";
import { steered } from "./steering.js";
import * as terms from "./terms.js";
import * as weighting from "./weighting.js";
import { at, digitsFor, element, listed, spread, unlike, written } from "./words.js";

const SIDES = ["a", "b"];
const GATE = { mode: "multiply", weights: new Map(), renormalise: null, thresholds: new Map(), cap: Infinity };
const QUIET_MS = 700; // without a move, before the verdict is read out
const NEXT_BEST = 0.1; // what is told beside the objective that speaks most, as a fraction of it

let scored = [];
let unscored = [];
let letters = []; // of the two that are compared
let due = 0;
let speaking = 0;

/** Show the server's answer: `given` holds letter, text and the server's response to each. */
export function show(given) {
  scored = given.filter(({ response }) => !response.error);
  unscored = given.filter(({ response }) => response.error).map((each) => ({ ...each, error: each.response.error }));
  const names = scored[0].response.objectives.map((term) => term.name);
  comparison.begin(names);
  weighting.begin(names, (sliding) => {
    if (!sliding) comparison.arrange(pairOf(under(weighting.weighting)));
    due ||= requestAnimationFrame(update);
    clearTimeout(speaking);
    speaking = setTimeout(speak, QUIET_MS);
  });
  const many = given.length > 2;
  const answers = under(weighting.weighting);
  letters = (many ? ranking.ranked(answers) : answers).slice(0, 2).map((answer) => answer.letter);
  for (const side of SIDES) {
    at(`side-${side}`).replaceChildren(...scored.map(({ letter }) => element("option", "", letter)));
  }
  at("totals").hidden = many;
  for (const id of ["ranking", "ranking-note", "pair", "front-section"]) at(id).hidden = !many;
  for (const each of document.querySelectorAll(".with-errors")) each.hidden = scored[0].response.score_std === null;
  at("result").hidden = false;
  if (many) front.begin(answers);
  comparison.arrange(pairOf(answers));
  update();
}

/** Exchange the two answers of a comparison. */
export function swap() {
  if (at("result").hidden) return;
  scored = scored.map((answer, place) => ({ ...answer, letter: scored[1 - place].letter })).reverse();
  update();
}

/** Take the result away. */
export function hide() {
  at("result").hidden = true;
}

/** The answers with their scores and terms under a weighting. */
function under(weights) {
  return scored.map(({ letter, text, response }) => ({ ...steered(response, weights), letter, text }));
}

function pairOf(answers) {
  return letters.map((letter) => answers.find((answer) => answer.letter === letter));
}

function update() {
  cancelAnimationFrame(due);
  due = 0;
  const answers = under(weighting.weighting);
  const pair = pairOf(answers);
  const all = comparison.compared(pair);
  const difference = pair[0].score - pair[1].score;
  const scoreDigits = digitsFor(answers.map((answer) => answer.score));
  const digits = digitsFor(all.flatMap((row) => row.terms.map((term) => term.contribution)));
  const own = weighting.isGateOwn();

  at("verdict").textContent = verdict(answers, scoreDigits);
  at("reason").textContent = reason(all, difference, digits) + vetoes(answers, digits);
  at("weights-note").textContent = own
    ? "Every slider rests in its middle, at the gate’s weight for this prompt."
    : `By the gate’s own weights: ${lowered(verdict(under(GATE), scoreDigits))}.`;
  at("bound-note").hidden = !answers.some((answer) => answer.bound && answer.score_std !== null);
  if (at("totals").hidden) ranking.update(ranking.ranked(answers), unscored, scoreDigits);
  else totals(pair, scoreDigits);
  scoreline(answers, scoreDigits, own);
  strangeness(answers);

  SIDES.forEach((side, number) => { at(`side-${side}`).value = letters[number]; });
  mark(letters);
  const gate = scored[0].response.objectives.map((term) => Math.abs(term.coefficient));
  if (own) comparison.beginAxis();
  comparison.update(pair, digits, Math.max(...gate));
  if (!at("front-section").hidden) front.update(answers);
  if (at("all-terms").open) terms.update(pair, digits); // much work, where there are many
}

function lowered(sentence) {
  return sentence[0].toLowerCase() + sentence.slice(1);
}

function verdict(answers, digits) {
  const [best, next, ...rest] = ranking.ranked(answers);
  const lead = best.score - next.score;
  const equal = [best, next, ...rest].filter((answer) => answer.rank === 1).map((answer) => answer.letter);
  if (lead === 0 && answers.length === 2) return "Both answers score the same";
  if (lead === 0) return `Answers ${listed(equal.sort())} score the same, and highest`;
  return `Answer ${best.letter} scores ${answers.length > 2 ? "highest" : "higher"}, by ${lead.toFixed(digits)}`;
}

/** What speaks for the better one of two answers, and what against it. */
function reason(all, difference, digits) {
  if (difference === 0) return "";
  const sign = Math.sign(difference);
  const by = [...all].sort((one, other) => sign * (other.difference - one.difference));
  const told = (row) => `${row.name} (${Math.abs(row.difference).toFixed(digits)})`;
  const [better, worse] = difference > 0 ? letters : [...letters].reverse();
  const least = NEXT_BEST * sign * by[0].difference;
  const pro = by.slice(0, 2).filter((row) => sign * row.difference > 0 && sign * row.difference >= least).map(told);
  const contra = by.filter((row) => sign * row.difference < 0).slice(-1).map(told);
  const against = scored.length > 2 ? `Between ${letters.join(" and ")}: ` : "";
  const speaks = against ? "what speaks" : "What speaks";
  return (pro.length ? `${against}${speaks} most for ${better}: ${pro.join(" and ")}.` : "")
    + (contra.length ? ` For ${worse}: ${contra[0]}.` : "");
}

/** The veto of a profile: a term of the score that belongs to no objective. */
function vetoes(answers, digits) {
  const { profile } = weighting.weighting;
  const whose = profile === "moved" ? "The veto" : `The veto of profile ${profile}`;
  return answers.filter((answer) => answer.veto < 0).map(({ letter, veto, vetoed }) => (
    ` ${whose} takes ${Math.abs(veto).toFixed(digits)} from ${letter} (${vetoed.join(", ")}).`
  )).join("");
}

function totals(pair, digits) {
  pair.forEach((answer, number) => {
    const side = SIDES[number];
    at(`score-${side}`).textContent = written(answer.score, digits);
    at(`std-${side}`).textContent = spread(answer.score_std, digits, answer.bound);
    at(`tokens-${side}`).textContent = `${answer.tokens - answer.prompt_tokens} tokens`;
    at(`unlike-${side}`).hidden = !answer.unfamiliar;
    at(`unlike-${side}`).title = unlike([answer.letter]);
  });
}

function strangeness(answers) {
  const strange = answers.filter((answer) => answer.unfamiliar).map((answer) => answer.letter);
  at("unlike").textContent = strange.length ? unlike(strange, strange.length === answers.length) : "";
  at("unlike").hidden = !strange.length;
}

/** Scores that stay in view while a slider far below the verdict is moved. */
function scoreline(answers, digits, own) {
  at("scoreline").hidden = own;
  at("scoreline").replaceChildren(...ranking.ranked(answers).map(({ letter, score }) => {
    const each = element("span");
    each.append(element("span", "letter", letter), " ", element("b", "", written(score, digits)));
    return each;
  }), element("span", "lead", at("verdict").textContent));
}

/** The verdict for those who listen, once the sliders rest. */
function speak() {
  const digits = digitsFor(scored.map(({ response }) => response.score));
  const told = under(weighting.weighting).map(({ letter, score }) => `${letter} ${written(score, digits)}`);
  at("spoken").textContent = `${at("verdict").textContent}. ${told.join(", ")}.`;
}

at("order").addEventListener("change", () => comparison.arrange(pairOf(under(weighting.weighting))));
at("order").addEventListener("change", update);
at("all-terms").addEventListener("toggle", update);
SIDES.forEach((side, number) => {
  at(`side-${side}`).addEventListener("change", () => {
    const chosen = at(`side-${side}`).value;
    if (chosen === letters[1 - number]) letters.reverse();
    else letters[number] = chosen;
    comparison.arrange(pairOf(under(weighting.weighting)));
    update();
  });
});
