/** Requests to the server that gave this page, with its token where it needs one. */

import { at } from "./words.js";

/** Ask for JSON: POST with a body, GET without one. Throws an Error whose message is a sentence for the user. */
export async function ask(path, body) {
  const token = at("token").value.trim();
  const headers = {
    ...(body && { "Content-Type": "application/json" }),
    ...(token && { Authorization: `Bearer ${token}` }),
  };
  let response;
  try {
    response = await fetch(path, body ? { method: "POST", headers, body: JSON.stringify(body) } : { headers });
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
