/** The user's weights: which profile they began with, how they meet the gate's, and where each slider stands. */

import { profileOf, refusal, toml } from "./profile.js";
import { NEUTRAL, renormalises } from "./steering.js";
import { at, element } from "./words.js";

const GATE = "gate";
const MOVED = "moved"; // the choice of the list that stands for no profile
const SAVED_AS = "mine";
const MOST_ROWS = 14; // of the text of a profile, before it scrolls

let named = new Map();
let objectives = [];
let changed = () => {};

/** The weighting in use; `steering.js` says what its keys mean. */
export const weighting = { ...gateOwn(), profile: GATE };

function gateOwn() {
  return {
    mode: "multiply", weights: new Map(), renormalise: null, thresholds: new Map(), cap: Infinity,
    vetoes: null, objectives: [],
  };
}

/** Whether the scores are those of the gate's own weights. */
export function isGateOwn() {
  return weighting.weights.size === 0 && weighting.vetoes === null;
}

/** Learn the model's profiles from an answer of /v1/profiles, and begin with the one that the server scores by. */
export function offer(answer) {
  named = new Map(answer.profiles.map((each) => [each.profile.name, each]));
  at("profile").append(...[...named.keys()].map((name) => Object.assign(element("option", "", name), { value: name })));
  choose(answer.default);
}

/**
 * Begin with the objectives of an answer; what is moved stays moved. `told` is called at every change, with whether a
 * slider is what changed.
 */
export function begin(names, told) {
  objectives = names;
  changed = told;
}

function choose(name) {
  const known = named.get(name);
  Object.assign(weighting, gateOwn(), { profile: known ? name : GATE });
  if (known) {
    const { mode, weights, direction, renormalise, vetoes, objectives: madeFor } = known.profile;
    const directed = Object.keys(direction ?? {}).length > 0;
    const entries = Object.entries(directed ? direction : weights ?? {});
    weighting.weights = new Map(entries);
    if (entries.length > 0) weighting.mode = directed ? "direction" : mode ?? "add";
    weighting.renormalise = renormalise ?? null;
    weighting.thresholds = new Map(Object.entries(known.thresholds));
    weighting.vetoes = vetoes ?? null;
    weighting.cap = vetoes?.cap ?? Infinity;
    weighting.objectives = madeFor ?? [];
  }
  showControls();
}

/** Give an objective a weight; its neutral one takes it out of the weighting. */
export function move(name, weight) {
  if (weight === NEUTRAL[weighting.mode]) weighting.weights.delete(name);
  else weighting.weights.set(name, weight);
  weighting.profile = isGateOwn() ? GATE : MOVED;
  showControls();
  changed(true);
}

/** The weight of an objective, moved or not. */
export function weightOf(name) {
  return weighting.weights.get(name) ?? NEUTRAL[weighting.mode];
}

function showControls() {
  const { profile, mode } = weighting;
  at("moved").hidden = profile !== MOVED;
  at("profile").value = profile;
  at("mode").value = mode;
  at("renormalise").checked = renormalises(weighting);
  at("reset").disabled = at("copy").disabled = isGateOwn();
  if (isGateOwn()) at("saved").hidden = true;
  if (!at("saved").hidden) {
    at("profile-text").value = text();
    at("profile-text").rows = Math.min(at("profile-text").value.split("\n").length, MOST_ROWS);
  }
}

function text() {
  const known = named.has(weighting.profile) ? weighting.profile : SAVED_AS;
  return toml(profileOf(weighting, known));
}

async function copy() {
  const problem = refusal(weighting, objectives);
  if (problem) {
    at("spoken").textContent = problem;
    at("weights-note").textContent = problem;
    return;
  }
  at("saved").hidden = false;
  showControls();
  at("profile-text").select();
  try {
    await navigator.clipboard.writeText(at("profile-text").value); // there is none without TLS, but for loopback
    at("copied").textContent = "Copied.";
  } catch {
    at("copied").textContent = "Press Ctrl + C to copy it.";
  }
}

at("profile").addEventListener("change", () => {
  choose(at("profile").value);
  changed(false);
});
at("mode").addEventListener("change", () => {
  Object.assign(weighting, { mode: at("mode").value, weights: new Map(), renormalise: null });
  weighting.profile = isGateOwn() ? GATE : MOVED;
  showControls();
  changed(false);
});
at("renormalise").addEventListener("change", () => {
  const asked = at("renormalise").checked;
  weighting.renormalise = asked === renormalises({ mode: weighting.mode, renormalise: null }) ? null : asked;
  if (!isGateOwn()) weighting.profile = MOVED;
  showControls();
  changed(false);
});
at("reset").addEventListener("click", () => {
  choose(GATE);
  changed(false);
  at("profile").focus(); // the button is off now
});
at("copy").addEventListener("click", copy);
