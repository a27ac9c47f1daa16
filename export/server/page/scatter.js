/** A scatter chart of two numbers of each answer: front points are diamonds on a line, the others hollow circles. */

import { short } from "./words.js";

const SPACE = "http://www.w3.org/2000/svg";
const MARGIN = { left: 56, right: 20, top: 16, bottom: 46 };
const TICKS = 5;
const LONGEST = 44; // characters of an axis' name
const LABEL = 15; // pixels between two letters that can be told apart
const AROUND = [[12, -10], [-12, -10], [12, 13], [-12, 13], [0, -17], [0, 21], [20, 4], [-20, 4]];

/**
 * The chart as an SVG element.
 *
 * `points` hold a letter, `at` and `std` (two numbers each) and `front`; `senses` say for each axis whether more (1) or
 * less (-1) is better.
 */
export function draw(points, senses, names, width) {
  const height = Math.round(Math.min(Math.max(0.72 * width, 260), 420));
  const scales = [
    axisOf(points, 0, MARGIN.left, width - MARGIN.right),
    axisOf(points, 1, height - MARGIN.bottom, MARGIN.top),
  ];
  const told = { role: "img", "aria-labelledby": "front-title", "aria-describedby": "front-told" };
  const chart = drawn("svg", { viewBox: `0 0 ${width} ${height}`, width, height, ...told });
  chart.append(...grid(scales, width, height), ...titles(names, width, height));
  const placed = points.map((point) => {
    const [x, y] = scales.map((scale, axis) => scale.place(point.at[axis]));
    return { ...point, x, y };
  });
  chart.append(staircase(placed.filter((point) => point.front), senses, width, height));
  for (const point of placed) chart.append(...errors(point, scales));
  for (const point of placed) chart.append(marker(point));
  chart.append(...letters(placed, width, height));
  return chart;
}

function drawn(tag, attributes, text) {
  const made = document.createElementNS(SPACE, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

/** The scale of one axis: all points, errors as far as they leave the points apart, and round numbers as its ticks. */
function axisOf(points, axis, from, to) {
  const middles = points.map((point) => point.at[axis]);
  const [least, most] = [Math.min(...middles), Math.max(...middles)];
  const span = most - least || Infinity;
  const margin = Math.min(Math.max(...points.map((point) => point.std[axis])), 0.6 * span);
  const room = margin + (0.08 * (most - least) || 0.1 * Math.abs(most) || 1);
  const [low, high] = [least - room, most + room];
  const rough = (high - low) / TICKS;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const first = Math.ceil(low / step);
  const ticks = Array.from({ length: Math.floor(high / step) - first + 1 }, (_, number) => (first + number) * step);
  const within = (value) => Math.min(Math.max(value, low), high);
  return { place: (value) => from + (to - from) * (within(value) - low) / (high - low), ticks };
}

function grid([across, up], width, height) {
  const [left, right, top, bottom] = [MARGIN.left, width - MARGIN.right, MARGIN.top, height - MARGIN.bottom];
  return [
    drawn("rect", { class: "frame", x: left, y: top, width: right - left, height: bottom - top }),
    ...across.ticks.flatMap((tick) => [
      drawn("line", { class: "grid", x1: across.place(tick), x2: across.place(tick), y1: top, y2: bottom }),
      drawn("text", { class: "tick", x: across.place(tick), y: bottom + 17, "text-anchor": "middle" }, short(tick)),
    ]),
    ...up.ticks.flatMap((tick) => [
      drawn("line", { class: "grid", x1: left, x2: right, y1: up.place(tick), y2: up.place(tick) }),
      drawn("text", { class: "tick", x: left - 7, y: up.place(tick) + 4, "text-anchor": "end" }, short(tick)),
    ]),
  ];
}

function titles(names, width, height) {
  const [across, up] = names.map((name, axis) => {
    const room = Math.min(LONGEST, Math.floor((axis ? height - MARGIN.top - MARGIN.bottom : width - MARGIN.left) / 8));
    const characters = Array.from(name);
    return characters.length > room ? `${characters.slice(0, room - 1).join("")}…` : name;
  });
  const middle = (height - MARGIN.bottom + MARGIN.top) / 2;
  const style = { class: "axis-name", "text-anchor": "middle" };
  return [
    drawn("text", { ...style, x: (MARGIN.left + width - MARGIN.right) / 2, y: height - 8 }, across),
    drawn("text", { ...style, transform: `translate(13 ${middle}) rotate(-90)` }, up),
  ];
}

/** The edge of all that the front beats. */
function staircase(front, [across, up], width, height) {
  const steps = [...front].sort((one, other) => across * (one.x - other.x));
  const back = across > 0 ? MARGIN.left : width - MARGIN.right;
  const below = up > 0 ? height - MARGIN.bottom : MARGIN.top;
  const path = steps.map(({ x, y }) => `V ${y} H ${x}`).join(" ").replace("V", `M ${back}`);
  return drawn("path", { class: "front-line", d: `${path} V ${below}` });
}

function errors({ at, std, x, y, front }, [across, up]) {
  const [left, right] = [at[0] - std[0], at[0] + std[0]].map(across.place);
  const [bottom, top] = [at[1] - std[1], at[1] + std[1]].map(up.place);
  const drawnAs = front ? "error front" : "error";
  return [
    ...(std[0] > 0 ? [drawn("line", { class: drawnAs, x1: left, x2: right, y1: y, y2: y })] : []),
    ...(std[1] > 0 ? [drawn("line", { class: drawnAs, x1: x, x2: x, y1: bottom, y2: top })] : []),
  ];
}

function marker({ x, y, front }) {
  if (!front) return drawn("circle", { class: "point", cx: x, cy: y, r: 5.5 });
  return drawn("path", { class: "point front", d: `M ${x} ${y - 8} l 8 8 l -8 8 l -8 -8 Z` });
}

/** A letter beside each point, where no other point or letter is. */
function letters(placed, width, height) {
  const taken = placed.map(({ x, y }) => [x, y]);
  return placed.map(({ letter, x, y, front }) => {
    const spots = AROUND.map(([right, down]) => [x + right, y + down - 4]);
    const free = ([across, up]) => across > MARGIN.left + 4 && across < width - 8
      && up > 8 && up < height - MARGIN.bottom - 4
      && taken.every(([otherX, otherY]) => Math.hypot(across - otherX, up - otherY) >= LABEL * 0.8);
    const spot = spots.find(free) ?? spots[0];
    taken.push(spot);
    const style = { class: front ? "point-letter front" : "point-letter", "text-anchor": "middle" };
    return drawn("text", { ...style, x: spot[0], y: spot[1] + 5 }, letter);
  });
}
