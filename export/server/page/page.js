"use strict";

const at = (id) => document.getElementById(id);
const MINUS = "\u2212";
const EXAMPLE = {
  prompt: "What is the capital of Australia, and why is it not Sydney?",
  a: "Canberra. When the colonies federated in 1901, Sydney and Melbourne both wanted to be the capital. "
    + "A new city was built between them as a compromise.",
  b: "The capital of Australia is Sydney, since it is the largest city.",
};
const LEAST_WHISKER = 0.01; // of the axis: what is shorter would be its own end caps
let shown = null;

/** A number with a true minus sign; `signed` puts a plus before the others. */
function written(value, digits, signed = false) {
  const text = Math.abs(value).toFixed(digits);
  if (Number(text) === 0) return text;
  return (value < 0 ? MINUS : signed ? "+" : "") + text;
}

/** Enough digits that the largest of these has three that count. */
function digitsFor(values) {
  const largest = Math.max(...values.map(Math.abs));
  return largest > 0 ? Math.min(Math.max(2 - Math.floor(Math.log10(largest)), 0), 8) + 1 : 3;
}

/** A standard error as it stands behind its number; nothing where the model holds none. */
function spread(std, digits) {
  return std === null ? "" : `± ${std.toFixed(digits)}`;
}

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function say(sentence, wrong = false) {
  at("status").textContent = sentence;
  at("status").classList.toggle("wrong", wrong);
}

async function ask(body) {
  const headers = { "Content-Type": "application/json" };
  const token = at("token").value.trim();
  if (token) headers.Authorization = `Bearer ${token}`;
  let response;
  try {
    response = await fetch("v1/rewards", { method: "POST", headers, body: JSON.stringify(body) });
  } catch (error) {
    throw new Error("The server does not answer. Is it still running?", { cause: error });
  }
  if (response.status === 401) {
    at("token-field").hidden = false;
    at("token").focus();
    throw new Error(token ? "The server does not know this access token." : "This server needs its access token.");
  }
  const answer = await response.json().catch(() => null);
  if (!response.ok || answer === null) {
    throw new Error(answer?.error?.message ?? `The server answered with status ${response.status}.`);
  }
  return answer;
}

async function score(event) {
  event.preventDefault();
  const fields = ["prompt", "answer-a", "answer-b"].map(at);
  const empty = fields.find((field) => !field.value.trim());
  if (empty) {
    say("Fill in the prompt and both answers.", true);
    empty.focus();
    return;
  }
  const [prompt, a, b] = fields.map((field) => field.value);
  at("score").disabled = true;
  say("Scoring …");
  const started = performance.now();
  try {
    const answer = await ask({ conversations: [{ prompt, responses: [a, b] }] });
    const [first, second] = answer.conversations[0].responses;
    if (first.error) throw new Error(`Answer A has no score: ${first.error}.`);
    if (second.error) throw new Error(`Answer B has no score: ${second.error}.`);
    shown = { a: first, b: second };
    at("model").textContent = `Model: ${answer.model}`;
    show();
    const passed = performance.now() - started;
    say(`Scored in ${passed < 1000 ? `${Math.round(passed)} ms` : `${(passed / 1000).toFixed(1)} s`}.`);
    at("verdict").focus();
  } catch (error) {
    at("result").hidden = true;
    say(error.message, true);
  } finally {
    at("score").disabled = false;
  }
}

/** One row an objective, both answers' terms side by side. */
function rows() {
  return shown.a.objectives.map((a, number) => {
    const b = shown.b.objectives[number];
    return { name: a.name, weight: a.coefficient, a, b, difference: a.contribution - b.contribution };
  });
}

const ORDERS = {
  difference: (one, other) => Math.abs(other.difference) - Math.abs(one.difference),
  weight: (one, other) => other.weight - one.weight,
  model: () => 0,
};

function show() {
  const all = rows();
  const difference = shown.a.score - shown.b.score;
  const scoreDigits = digitsFor([shown.a.score, shown.b.score]);
  const digits = digitsFor(all.flatMap((row) => [row.a.contribution, row.b.contribution]));

  at("verdict").textContent = difference === 0
    ? "Both answers score the same"
    : `Answer ${difference > 0 ? "A" : "B"} scores higher, by ${Math.abs(difference).toFixed(scoreDigits)}`;
  at("reason").textContent = reason(all, difference, digits) + vetoes(digits);
  for (const side of ["a", "b"]) {
    at(`score-${side}`).textContent = written(shown[side].score, scoreDigits);
    at(`std-${side}`).textContent = spread(shown[side].score_std, scoreDigits);
    at(`unlike-${side}`).hidden = !shown[side].unfamiliar;
    at(`unlike-${side}`).title = unlike([side]);
    at(`tokens-${side}`).textContent = `${shown[side].tokens - shown[side].prompt_tokens} tokens`;
    at(`sum-${side}`).replaceChildren(...withSpread(shown[side].score, shown[side].score_std, digits));
  }
  at("sum-difference").textContent = written(difference, digits, true);
  const strange = ["a", "b"].filter((side) => shown[side].unfamiliar);
  at("unlike").textContent = strange.length ? unlike(strange) : "";
  at("unlike").hidden = !strange.length;
  const known = shown.a.score_std !== null;
  for (const each of document.querySelectorAll(".with-errors")) each.hidden = !known;
  for (const head of document.querySelectorAll("#terms .answer")) head.colSpan = known ? 4 : 3;

  at("intervals").hidden = shown.a.coverage === null;
  if (shown.a.coverage !== null) at("coverage").textContent = asked(shown.a.coverage);

  const ordered = [...all].sort(ORDERS[at("order").value]);
  const total = all.reduce((sum, row) => sum + Math.abs(row.weight), 0) || 1; // a profile's weights may be negative
  const ends = all.flatMap((row) => [row.a, row.b].flatMap((term) => [term.gain, ...whisker(term)])).concat(0);
  const scale = { low: Math.min(...ends), high: Math.max(...ends) };
  at("chart").tBodies[0].replaceChildren(...ordered.map((row) => chartRow(row, scale, total, digits)));
  at("terms").tBodies[0].replaceChildren(...ordered.map((row) => termsRow(row, digits)));
  at("result").hidden = false;
}

/** What speaks for the better answer, and what against it. */
function reason(all, difference, digits) {
  if (difference === 0) return "";
  const sign = Math.sign(difference);
  const by = [...all].sort((one, other) => sign * (other.difference - one.difference));
  const told = (row) => `${row.name} (${Math.abs(row.difference).toFixed(digits)})`;
  const [better, worse] = difference > 0 ? ["A", "B"] : ["B", "A"];
  const least = 0.1 * sign * by[0].difference; // the second is told where it matters beside the first
  const pro = by.slice(0, 2).filter((row) => sign * row.difference >= least).map(told);
  const contra = by.filter((row) => sign * row.difference < 0).slice(-1).map(told);
  return `What speaks most for ${better}: ${pro.join(" and ")}.` + (contra.length ? ` For ${worse}: ${contra[0]}.` : "");
}

/** The veto of a profile that the server scores by: a term of the score that belongs to no objective. */
function vetoes(digits) {
  const told = (side) => {
    const { profile, veto, vetoed } = shown[side].steering;
    return ` The veto of profile ${profile} takes ${Math.abs(veto).toFixed(digits)} from ${side.toUpperCase()} (${vetoed.join(", ")}).`;
  };
  return ["a", "b"].filter((side) => shown[side].steering?.veto).map(told).join("");
}

function chartRow(row, scale, total, digits) {
  const line = element("tr");
  line.setAttribute("role", "row");
  const weight = element("span", "weight", `${(100 * row.weight / total).toFixed(1)} %`);
  const drawn = element("td", "bars");
  drawn.append(bars(row, scale));
  const cells = [
    drawn,
    contributionCell(row.a, "a", digits),
    contributionCell(row.b, "b", digits),
    element("td", "number", written(row.difference, digits, true)),
  ];
  for (const cell of cells) cell.setAttribute("role", "cell");
  line.append(rowHead(row.name, weight), ...cells);
  return line;
}

/** The ends of a contribution's error bar; both at the contribution itself where the model holds no uncertainty. */
function whisker({ contribution, contribution_std: std }) {
  return [contribution - (std ?? 0), contribution + (std ?? 0)];
}

function contributionCell(term, side, digits) {
  const cell = element("td", `number ${side}-number`);
  cell.append(...withSpread(term.contribution, term.contribution_std, digits));
  return cell;
}

/** A number, and its standard error under it. */
function withSpread(value, std, digits) {
  return [written(value, digits), ...(std === null ? [] : [" ", element("span", "std", spread(std, digits))])];
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

/** A fraction as a percentage; null is one that too few rated responses tell. */
function percentage(fraction) {
  return fraction === null ? "not known" : `${Math.round(100 * fraction)} %`;
}

/** What it means that these answers are marked. */
function unlike(sides) {
  const [subject, is, it, its] = sides.length > 1
    ? ["Both answers", "are", "they are", "Their"] : [`Answer ${sides[0].toUpperCase()}`, "is", "it is", "Its"];
  return `${subject} ${is} unlike the rated responses: ${it} farther from those that each objective was fitted to than `
    + `nearly all that were kept apart for comparison. ${its} rewards are extrapolated, and may be wrong by more than ± says.`;
}

/** The name may be broken behind its hyphens and underscores, and nowhere else. */
function rowHead(name, ...more) {
  const head = element("th");
  head.scope = "row";
  head.setAttribute("role", "rowheader");
  const shownName = element("span", "name");
  for (const part of name.split(/(?<=[-_])/)) shownName.append(part, document.createElement("wbr"));
  head.append(shownName, " ", ...more);
  return head;
}

/** The numbers stand beside them, so that the bars themselves are told to nobody who listens. */
function bars(row, scale) {
  const place = (value) => 100 * (value - scale.low) / (scale.high - scale.low || 1);
  const pair = element("div", "pair");
  pair.setAttribute("aria-hidden", "true");
  pair.style.setProperty("--zero", `${place(0)}%`);
  for (const side of ["a", "b"]) {
    const { gain, contribution } = row[side];
    pair.append(bar(`bar ${side}`, place(0), place(contribution)));
    if (gain !== contribution) pair.append(bar(`bar taken ${side}`, place(contribution), place(gain)));
    const [low, high] = whisker(row[side]).map(place);
    if (high - low > 100 * LEAST_WHISKER) pair.append(bar(`whisker ${side}`, low, high));
  }
  return pair;
}

function bar(className, one, other) {
  const made = element("div", className);
  made.style.setProperty("--from", `${Math.min(one, other)}%`);
  made.style.setProperty("--wide", `${Math.abs(other - one)}%`);
  return made;
}

function termsRow(row, digits) {
  const line = element("tr");
  line.append(rowHead(row.name), element("td", "number", written(row.weight, 4)));
  for (const side of ["a", "b"]) {
    const { reward, std, verbosity_penalty: penalty, contribution, contribution_std: contributionStd } = row[side];
    const cells = [[reward, std], [penalty, null], [contribution, contributionStd]].map(([value, error]) => {
      const cell = element("td", "number");
      cell.append(...withSpread(value, error, digits));
      return cell;
    });
    cells[0].append(...between(row[side], shown[side].coverage, Math.min(digits, 2)));
    line.append(...cells);
    if (std !== null) line.append(element("td", "number", percentage(row[side].leverage_place)));
  }
  return line;
}

at("form").addEventListener("submit", score);
at("form").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !at("score").disabled) at("form").requestSubmit();
});
at("order").addEventListener("change", show);
at("swap").addEventListener("click", () => {
  [at("answer-a").value, at("answer-b").value] = [at("answer-b").value, at("answer-a").value];
  if (shown && !at("result").hidden) {
    shown = { a: shown.b, b: shown.a };
    show();
  }
  say("A and B swapped.");
});
at("example").addEventListener("click", () => {
  at("prompt").value = EXAMPLE.prompt;
  at("answer-a").value = EXAMPLE.a;
  at("answer-b").value = EXAMPLE.b;
  say("An example is filled in.");
});
