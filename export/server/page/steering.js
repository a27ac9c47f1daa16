/**
 * A response's score under a user's weights: the arithmetic of gating/steering.py, on an answer of /v1/rewards that has
 * the gate's own weights.
 *
 * A weighting is { mode, weights, renormalise, thresholds, cap }: `mode` is "multiply", "add", "replace" or
 * "direction", `weights` maps objectives to weights, `renormalise` null means as the mode does by itself, `thresholds`
 * maps objectives to the rewards below which the score is `cap` at most.
 */

/** Weight of an objective that a weighting does not name. */
export const NEUTRAL = { multiply: 1, add: 0, replace: 0, direction: 0 };

/** Whether the sum of the weights' sizes is kept. */
export function renormalises({ mode, renormalise }) {
  return renormalise ?? mode !== "direction";
}

/** The coefficients c of the objectives, from the gate's weights g; without a weight, they are g. */
function coefficients({ mode, weights, renormalise }, names, gate) {
  if (weights.size === 0) return gate;
  let own = names.map((name) => weights.get(name) ?? NEUTRAL[mode]);
  if (mode === "direction") {
    const length = Math.hypot(...own);
    own = own.map((weight) => weight / length);
  }
  const steered = own.map((weight, place) => {
    if (mode === "multiply") return gate[place] * weight;
    return mode === "add" ? gate[place] + weight : weight;
  });
  const size = sizeOf(steered);
  if (!renormalises({ mode, renormalise }) || !(size > 0)) return steered;
  const scale = sizeOf(gate) / size;
  return steered.map((weight) => weight * scale);
}

/** The sum of sizes of weights. */
export function sizeOf(weights) {
  return weights.reduce((sum, weight) => sum + Math.abs(weight), 0);
}

/**
 * A response under a weighting: as the server's answer, with its terms steered, and with `veto` and `vetoed`.
 *
 * `bound` says that `score_std` is not the standard error, but the least bound of it that follows from the answer.
 * It is null where not even that is known: a weight is added to an objective to which the gate gives exactly none.
 */
export function steered(response, weighting) {
  const terms = response.objectives;
  const gate = terms.map((term) => term.coefficient);
  const chosen = coefficients(weighting, terms.map((term) => term.name), gate);
  const own = chosen === gate;
  const objectives = own ? terms : terms.map((term, place) => steeredTerm(term, chosen[place]));
  const total = own ? response.score : objectives.reduce((sum, term) => sum + term.contribution, 0);
  const below = terms.filter((term) => term.reward < (weighting.thresholds.get(term.name) ?? -Infinity));
  const veto = below.length > 0 && total > weighting.cap ? weighting.cap - total : 0;
  return {
    ...response,
    objectives,
    score: veto < 0 ? weighting.cap : total,
    score_std: own ? response.score_std : leastBound(response, chosen),
    bound: !own,
    veto,
    vetoed: below.map((term) => term.name),
  };
}

function steeredTerm(term, coefficient) {
  const gain = coefficient * term.reward;
  const penalty = coefficient * (term.reward - term.adjusted);
  return {
    ...term,
    coefficient,
    gain,
    verbosity_penalty: penalty,
    contribution: gain - penalty,
    contribution_std: scaled(term, coefficient),
  };
}

/** The standard error of coefficient × adjusted reward; null where it is not known. */
function scaled({ coefficient: own, contribution_std: std }, coefficient) {
  if (std === null || coefficient === 0) return std && 0;
  return own === 0 ? null : std * Math.abs(coefficient / own);
}

/**
 * A bound of the standard error of Σ c a, with a the adjusted rewards. For any s, Σ c a = s Σ g a + Σ (c - s g) a, so
 * that it is at most |s| std(Σ g a) + Σ |c - s g| std(a). This is least at s = 0 or where a term of the sum is 0.
 */
function leastBound({ score_std: std, objectives }, chosen) {
  if (std === null) return null;
  const moved = objectives.map((term, place) => [term.coefficient, chosen[place], scaled(term, 1)]);
  if (moved.some(([own, coefficient]) => own === 0 && coefficient !== 0)) return null;
  const known = moved.filter(([own]) => own !== 0);
  const bound = (s) => known.reduce((sum, [own, c, error]) => sum + Math.abs(c - s * own) * error, Math.abs(s) * std);
  return known.reduce((least, [own, c]) => Math.min(least, bound(c / own)), bound(0));
}
