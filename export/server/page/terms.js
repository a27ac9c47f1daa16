/** All terms of two answers as a table of numbers. */

import { compared, ordered } from "./comparison.js";
import { at, element, percentage, rowHead, withSpread, written } from "./words.js";

const SIDES = ["a", "b"];

/** Show the terms of two answers. */
export function update(pair, digits) {
  const known = pair[0].objectives.some((term) => term.std !== null);
  for (const head of document.querySelectorAll("#terms .answer")) head.colSpan = known ? 4 : 3;
  const { coverage } = pair[0];
  at("intervals").hidden = coverage === null;
  if (coverage !== null) at("coverage").textContent = asked(coverage);
  pair.forEach(({ letter }, number) => {
    at(`terms-${SIDES[number]}`).textContent = `Answer ${letter}`;
  });
  at("terms").tBodies[0].replaceChildren(...ordered(compared(pair)).map((row) => termsRow(row, pair, digits)));
}

function termsRow({ name, weight, terms }, pair, digits) {
  const line = element("tr");
  line.append(rowHead(name), element("td", "number", written(weight, 4)));
  terms.forEach((term, number) => {
    const { reward, std, verbosity_penalty: penalty, contribution, contribution_std: contributionStd } = term;
    const cells = [[reward, std], [penalty, null], [contribution, contributionStd]].map(([value, error]) => {
      const cell = element("td", "number");
      cell.append(...withSpread(value, error, digits));
      return cell;
    });
    cells[0].append(...between(term, pair[number].coverage, Math.min(digits, 2)));
    line.append(...cells);
    if (std !== null) line.append(element("td", "number", percentage(term.leverage_place)));
  });
  return line;
}

/** The interval of a rating as it stands below its reward; nothing where there is none. */
function between({ interval }, coverage, digits) {
  if (interval === null) return [];
  const [low, high] = interval.map((end) => written(end, digits));
  const told = element("span", "std between", `${low} to ${high}`);
  told.title = `${asked(coverage)} of ratings between ${low} and ${high}`;
  return [" ", told];
}

/** The asked coverage of an interval, which may be any fraction. */
function asked(coverage) {
  return `${Number((100 * coverage).toPrecision(6))} %`;
}
