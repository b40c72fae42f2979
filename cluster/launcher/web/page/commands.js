// Commands: what a button or the prompt has the launcher do, and what came of it.

import { byId, make, setText } from "./dom.js";
import { post } from "./server.js";
import { announce } from "./speech.js";

/** Commands that cannot be undone: what is asked before. */
const GRAVE = {
  remove: (names) => [`Remove ${names} for good?`, "It leaves the cluster, and a new node needs a new name.", `Remove ${names}`],
  wipe: (names) => [`Wipe ${names}?`, "Its data is deleted. It joins again as a new member and gets a copy of the data.", `Wipe ${names}`],
  quit: () => ["Stop the whole cluster?", "The launcher ends, and this page with it.", "Stop everything"],
};

const page = String(Math.random()); // the launcher does the commands for keys of one page in turn

/** Have a command carried out: `{said, error}`. */
async function obey(line) {
  try {
    return await post("command", { line, page });
  } catch (error) {
    return { said: [], error: error.message };
  }
}

const newest = new WeakMap(); // the place for an outcome -> the command that was given last there

/** Carry it out for a button; what came of it is told below the buttons of its card. */
async function run(line, outcome) {
  const call = {};
  newest.set(outcome, call);
  setText(outcome, `${line} \u2026`);
  outcome.dataset.state = "busy";
  const found = await obey(line);
  // The events tell the end of what takes long, such as chaos; others were clicked meanwhile.
  if (newest.get(outcome) !== call) return;
  const text = found.error || found.said.join(" \u00b7 ") || "done";
  setText(outcome, `${line}: ${text}`);
  outcome.dataset.state = found.error ? "refused" : "done";
}

/** Run it from a button, which shows that it is under way; what is grave is asked first. */
export async function runFrom(button, line) {
  if (button.getAttribute("aria-disabled") === "true") return;
  const [verb, ...names] = line.split(" ");
  if (GRAVE[verb] && !(await sure(...GRAVE[verb](names.join(" "))))) return;
  button.setAttribute("aria-busy", "true");
  await run(line, button.closest("section").querySelector(".outcome"));
  button.removeAttribute("aria-busy");
}

/** Ask whether the user is sure. */
function sure(title, text, act) {
  const dialog = byId("sure");
  setText(byId("sure-title"), title);
  setText(byId("sure-text"), text);
  setText(byId("sure-yes"), act);
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((decide) => {
    dialog.addEventListener("close", () => decide(dialog.returnValue === "yes"), { once: true });
  });
}

/** The prompt below the events. */
export class Prompt {
  #typed = [];
  #place = 0;

  constructor() {
    this.line = byId("line");
    this.answer = byId("answer");
    byId("prompt").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#obey(this.line.value.trim());
    });
    this.line.addEventListener("keydown", (event) => this.#recall(event));
  }

  /** The commands that there are. */
  learn(commands) {
    byId("commands").replaceChildren(...commands.map(({ name, help }) => make("option", { value: name, label: help })));
  }

  async #obey(line) {
    if (!line) return;
    this.#typed.push(line);
    this.#place = this.#typed.length;
    this.line.value = "";
    const found = await obey(line);
    const text = [...found.said, found.error].filter(Boolean).join("\n") || "done";
    this.answer.hidden = false;
    this.answer.dataset.state = found.error ? "refused" : "done";
    setText(this.answer, `${line}\n${text}`);
    announce(`${line}: ${text.slice(0, 300)}`);
  }

  #recall(event) {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (step === undefined || !this.#typed.length) return;
    event.preventDefault();
    this.#place = Math.min(this.#typed.length, Math.max(0, this.#place + step));
    this.line.value = this.#typed[this.#place] ?? "";
  }
}
