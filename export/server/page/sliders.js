/** One slider an objective: its middle is the gate's own weight, in every mode. */

import { NEUTRAL } from "./steering.js";
import { move, weighting, weightOf } from "./weighting.js";
import { element, short } from "./words.js";

const REACH = 3; // a weight that multiplies goes from -2 to 4
const STEP = 0.05;
const STEPS = 50; // to either side, of other reaches
const LEAST_REACH = 1e-4; // so that a step is no smaller than a profile's weight may be

const TOLD = {
  multiply: (weight) => `× ${weight}`,
  add: (weight) => (weight.startsWith("\u2212") ? weight : `+ ${weight}`),
  replace: (weight) => weight,
  direction: (weight) => weight,
};

const SPOKEN = {
  multiply: (weight) => `${weight} times the gate's weight`,
  add: (weight) => `${weight} added to the gate's weight`,
  replace: (weight) => `${weight} in place of the gate's weight`,
  direction: (weight) => `${weight} in the direction`,
};

/** The least of 1, 2 and 5 times a power of ten that is not below a number. */
function rounded(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= value * (1 - 1e-12));
}

/** How far a slider goes to either side, so that it holds a weight; `largest` is the gate's largest. */
function reach(distance, largest) {
  if (weighting.mode === "multiply") return distance > REACH ? rounded(distance) : REACH;
  return rounded(Math.max(distance, weighting.mode === "add" ? largest : 1, LEAST_REACH));
}

/** A slider with its weight, its share of all weights, and a button that resets it. */
export function sliderOf(name) {
  let far = 0;
  let mode = null;
  const range = Object.assign(element("input"), { type: "range" });
  range.setAttribute("aria-label", `Weight of ${name}`);
  const track = element("span", "track");
  track.append(range);
  const factor = element("span", "factor");
  const share = element("span", "weight");
  const reset = Object.assign(element("button", "plain reset", "↺"), { type: "button", title: "Reset this weight" });
  reset.setAttribute("aria-label", `Reset the weight of ${name}`);
  range.addEventListener("input", () => move(name, Number(range.valueAsNumber.toPrecision(9))));
  reset.addEventListener("click", () => {
    range.focus(); // the button goes away
    move(name, NEUTRAL[weighting.mode]);
  });

  const control = element("div", "slider");
  control.append(track, factor, share, reset);

  return {
    control,
    /** Show the weight; `fraction` is what the objective has of all weights, `largest` the gate's largest weight. */
    update(fraction, largest) {
      const neutral = NEUTRAL[weighting.mode];
      const weight = weightOf(name);
      const needed = reach(Math.abs(weight - neutral), largest);
      far = mode === weighting.mode ? Math.max(far, needed) : needed; // never less under a moving thumb
      mode = weighting.mode;
      const step = far === REACH ? STEP : far / STEPS;
      const told = short(weight);
      Object.assign(range, { min: neutral - far, max: neutral + far, step, value: weight });
      const moved = weight !== neutral;
      const part = `${(100 * fraction).toFixed(1)} %`.replace("-", "\u2212");
      factor.textContent = moved ? TOLD[weighting.mode](told) : "";
      share.textContent = part;
      const spoken = moved ? SPOKEN[weighting.mode](told) : "the gate's weight";
      range.setAttribute("aria-valuetext", `${spoken}, ${part} of all`);
      reset.hidden = !moved;
    },
  };
}
