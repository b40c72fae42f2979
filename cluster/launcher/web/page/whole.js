// Whole: what can be done to the leader and to the cluster as a whole, with a button for each.

import { byId, make, makeNumber, setAttribute } from "./dom.js";
import { isLearner, membersOf } from "./record.js";
import { runFrom } from "./commands.js";

const SIZES = [1, 3, 5, 7]; // a local cluster has seven nodes at most
const CHAOS_SECONDS = 30;
const RATES = ["100", "500", "2000"];

const rates = () => make(
  "select", { id: "rate", "aria-label": "Requests a second" },
  ...RATES.map((rate) => make("option", { value: rate, text: `${rate}/s`, selected: rate === "500" })),
);

/** Group, verb, label, what it does, and the fields beside it. */
const ACTIONS = [
  ["Links of the cluster", "partition", "Partition", "cut the chosen nodes off from the others", () => [make("span", { id: "apart", class: "choices" })]],
  ["Links of the cluster", "heal", "Heal all links", "all links are as before"],
  ["Size of the cluster", "scale", "Scale to", "add or remove nodes, one at a time", () => [makeNumber("size", "Voters", 5, 7, "voters")]],
  ["Size of the cluster", "add", "Add voter", "a new node, with a vote once it has caught up"],
  ["Size of the cluster", "add --learner", "Add learner", "a new node without a vote"],
  ["Load", "load", "Load", "requests beside all, until it is ended", () => [rates()]],
  ["Load", "load off", "End load", "no requests but those of the probe client"],
  ["Shows", "chaos", "Chaos", "faults at random, and a verdict", () => [makeNumber("chaos", "Seconds of chaos", CHAOS_SECONDS, 86400, "s")]],
  ["Shows", "chaos stop", "End chaos", "and all is healed"],
  ["Shows", "tour --yes", "Tour", "what a cluster does, in two minutes"],
  ["Shows", "tour stop", "End tour", "wherever it is"],
  ["Shows", "quit", "Stop the cluster", "end all nodes and the launcher", null, "harm"],
];

export class Whole {
  #names = ""; // of the nodes that have a box
  #isChosen = false; // by the user; until then the leader is
  #isSized = false;
  #buttons = new Map();

  constructor() {
    for (const button of document.querySelectorAll(".quick button")) {
      button.addEventListener("click", () => runFrom(button, button.dataset.line));
    }
    this.#build();
    byId("apart").addEventListener("change", () => {
      this.#isChosen = true;
      this.#mayPart();
    });
    byId("size").addEventListener("input", () => {
      this.#isSized = true;
    });
  }

  #build() {
    const groups = new Map();
    for (const [group, verb, label, help, fields, look] of ACTIONS) {
      const button = make("button", {
        type: "button", class: look, title: help, text: label, "data-whole": verb,
        on: { click: () => runFrom(button, this.#line(verb)) },
      });
      this.#buttons.set(verb, button);
      if (!groups.has(group)) groups.set(group, make("div", { class: "actions", role: "group", "aria-label": group }));
      groups.get(group).append(fields ? make("span", { class: "with-knobs" }, button, ...fields()) : button);
    }
    byId("whole").append(...groups.values());
  }

  #line(verb) {
    switch (verb) {
      case "partition":
        return `partition ${this.#apart().join(",")}`;
      case "scale":
        return `scale ${byId("size").value || 0}`;
      case "load":
        return `load put=1,get=4 @${byId("rate").value}/s`;
      case "chaos":
        return `chaos --for ${byId("chaos").value || 0}s`;
      default:
        return verb;
    }
  }

  /** Offer the nodes of the cluster as it is now. */
  show(view) {
    const members = membersOf(view);
    const names = members.map((node) => node.name).join();
    if (names !== this.#names) this.#rebuild(members, names);
    if (!this.#isChosen) for (const box of this.#boxes()) box.checked = box.value === view.leader;
    if (!this.#isSized) byId("size").value = sizeAfter(members.filter((node) => !isLearner(node)).length);
    this.#mayPart();
  }

  #rebuild(members, names) {
    this.#names = names;
    const chosen = this.#apart();
    const focused = byId("apart").contains(document.activeElement) ? document.activeElement.value : null;
    byId("apart").replaceChildren(...members.map(({ name }) => make(
      "label", {},
      make("input", { type: "checkbox", value: name, checked: chosen.includes(name), "aria-label": `Cut off ${name}` }),
      name,
    )));
    this.#boxes().find((box) => box.value === focused)?.focus();
  }

  #boxes() {
    return [...byId("apart").querySelectorAll("input")];
  }

  #apart() {
    return this.#boxes().filter((box) => box.checked).map((box) => box.value);
  }

  #mayPart() {
    const [apart, all] = [this.#apart().length, this.#boxes().length];
    const can = apart > 0 && apart < all;
    setAttribute(this.#buttons.get("partition"), "aria-disabled", can ? null : "true");
    const why = apart ? "leave a node on the other side" : "choose the nodes to cut off";
    setAttribute(this.#buttons.get("partition"), "title", can ? `cut ${this.#apart().join(" and ")} off from the others` : why);
  }
}

/** The next size of a cluster that makes sense: of more voters, or of three again. */
const sizeAfter = (voters) => SIZES.find((size) => size > voters && voters < 5) ?? 3;
