/** The page: scores what is typed, and shows the result. */

import { onOtherLetters, swap, typed } from "./answers.js";
import { ask } from "./asking.js";
import * as result from "./result.js";
import { offer } from "./weighting.js";
import { at, say } from "./words.js";

const OWN_WEIGHTS = "gate"; // the answer has the gate's terms, and the page steers them
let known = null; // the model's profiles, once they are asked for

async function score(event) {
  event.preventDefault();
  const given = typed();
  if (!given) return;
  at("score").disabled = true;
  say("Scoring …");
  const started = performance.now();
  try {
    if (!known) {
      known = await ask("v1/profiles");
      offer(known);
    }
    const conversation = { prompt: given.prompt, responses: given.answers.map((answer) => answer.text) };
    const answer = await ask("v1/rewards", { conversations: [conversation], profile: OWN_WEIGHTS });
    const scored = answer.conversations[0].responses.map((response, place) => ({ ...given.answers[place], response }));
    const failed = scored.filter(({ response }) => response.error);
    if (scored.length - failed.length < 2) {
      throw new Error(`Answer ${failed[0].letter} has no score: ${failed[0].response.error}.`);
    }
    result.show(scored);
    at("model").textContent = `Model: ${answer.model}`;
    const passed = performance.now() - started;
    say(`Scored in ${passed < 1000 ? `${Math.round(passed)} ms` : `${(passed / 1000).toFixed(1)} s`}.`);
    at("verdict").focus();
  } catch (error) {
    result.hide();
    say(error.message, true);
  } finally {
    at("score").disabled = false;
  }
}

at("form").addEventListener("submit", score);
at("form").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !at("score").disabled) at("form").requestSubmit();
});
at("swap").addEventListener("click", () => {
  swap();
  result.swap();
  say("A and B swapped.");
});
onOtherLetters(result.hide);

// Until here a click would do nothing: the files this one imports were still on their way.
for (const button of at("form").querySelectorAll("button")) button.disabled = false;
say("");
