/** The text of a profile's file, as gating/profile.py reads it. */

const BARE = /^[A-Za-z0-9_-]+$/; // a key that needs no quotes

/** A profile with the weights, mode and vetoes of a weighting. */
export function profileOf(weighting, name) {
  const { mode, weights, renormalise, vetoes, objectives } = weighting;
  const directed = mode === "direction";
  return {
    name,
    ...(weights.size > 0 && !directed && { mode }),
    ...(weights.size > 0 && renormalise !== null && { renormalise }),
    ...(objectives.length > 0 && { objectives }),
    ...(weights.size > 0 && { [directed ? "direction" : "weights"]: Object.fromEntries(weights) }),
    ...(vetoes && { vetoes }),
  };
}

/** Why `armorm` would refuse this profile; null where it takes it. */
export function refusal({ mode, weights }, objectives) {
  const named = [...weights.values()];
  const all = mode === "multiply" ? named.length === objectives.length : named.length > 0 && mode !== "add";
  return all && named.every((weight) => weight === 0) ? "Every weight is 0: give one objective a weight first." : null;
}

/** TOML: numbers, booleans, texts and lists of texts are written as in JSON. */
export function toml(profile) {
  const isTable = (value) => typeof value === "object" && !Array.isArray(value);
  const entries = Object.entries(profile);
  const lines = ["[profile]", ...entries.filter(([, value]) => !isTable(value)).map(line)];
  for (const [key, table] of entries.filter(([, value]) => isTable(value))) {
    lines.push("", `[profile.${key}]`, ...Object.entries(table).map(line));
  }
  return `${lines.join("\n")}\n`;
}

function line([key, value]) {
  const inner = typeof value === "object" && !Array.isArray(value);
  const text = inner ? `{ ${Object.entries(value).map(line).join(", ")} }` : JSON.stringify(value);
  return `${BARE.test(key) ? key : JSON.stringify(key)} = ${text}`;
}
