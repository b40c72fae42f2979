// Node: the one that is looked at, with its values and a button for everything that can be done to it.

import { byId, make, makeNumber, setAttribute, setText } from "./dom.js";
import { bytes, count, millis } from "./format.js";
import { wordOf } from "./ring.js";
import { harmedLinksOf, isLearner, isMember, isRunning } from "./record.js";
import { runFrom } from "./commands.js";

const FACTS = [
  ["Term", (node) => count(node.term)],
  ["Revision", (node) => count(node.revision)],
  ["Commit", (node) => count(node.commit)],
  ["Applied", (node) => count(node.applied)],
  ["Lag", (node) => (node.lag === undefined ? "\u2013" : count(node.lag))],
  ["Keys", (node) => count(node.keys)],
  ["Data", (node) => bytes(node.db_size)],
  ["State hash", (node) => hashOf(node)],
  ["Round trip", (node) => millis(node.round_trip_ms)],
  ["Sync, p99", (node) => millis(node.sync_p99_ms)],
  ["Voted for", (node) => node.vote || "\u2013"],
  ["Connected", (node) => (node.others ? `${count(node.connected)} of ${node.others}` : "\u2013")],
  ["Process", (node) => (node.pid ? `pid ${node.pid}` : "\u2013")],
  ["Address", (node) => node.endpoint],
];

const hangs = (node) => node.state === "paused" || node.state === "silent";
const running = (node) => isRunning(node.state);
const ended = (node) => !isRunning(node.state) && isMember(node);

/** Group, verb, label, what it does, and when it can be done. */
const ACTIONS = [
  ["Process", "kill", "Kill", "end it at once, as kill -9", running, "harm"],
  ["Process", "stop", "Stop", "end it gracefully; a leader hands over first", running],
  ["Process", "start", "Start", "start it again", ended],
  ["Process", "restart", "Restart", "stop it if it runs, and start it", isMember],
  ["Process", "pause", "Pause", "let it hang, as SIGSTOP", (node) => running(node) && node.state !== "paused"],
  ["Process", "resume", "Resume", "let it go on", hangs],
  ["Process", "wipe", "Wipe", "delete its data; it joins again", isMember, "harm"],
  ["Links", "isolate", "Isolate", "cut it off from all others", running],
  ["Links", "slow", "Slow", "delay its messages", running],
  ["Links", "lossy", "Lossy", "lose some of its messages", running],
  ["Links", "heal", "Heal", "its links are as before", isMember],
  ["Members", "transfer", "Make leader", "the leader hands over to it", (node) => node.state === "follower"],
  ["Members", "promote", "Promote", "a learner gets a vote", isLearner],
  ["Members", "remove", "Remove", "it leaves the cluster for good", isMember, "harm"],
];

/** The fields beside a button: in which way a link is harmed, and how much. */
const KNOBS = {
  isolate: () => [make(
    "select", { id: "way", "aria-label": "Isolate in which way" },
    make("option", { value: "both", text: "both ways" }),
    make("option", { value: "in", text: "hears nobody" }),
    make("option", { value: "out", text: "nobody hears it" }),
  )],
  slow: () => [makeNumber("delay", "Delay in ms", 50, 10000, "ms"), makeNumber("jitter", "Jitter in ms", 20, 10000, "\u00b1 ms")],
  lossy: () => [makeNumber("loss", "Share of messages lost, in percent", 10, 100, "%")],
};

export class NodePanel {
  /** `choose` is called with the node of a button that was clicked: it stays the one looked at. */
  constructor(choose) {
    this.choose = choose;
    this.title = byId("node-title");
    this.state = byId("node-state");
    this.facts = FACTS.map(([name]) => {
      const value = make("dd");
      byId("node-facts").append(make("div", {}, make("dt", { text: name }), value));
      return value;
    });
    this.buttons = new Map();
    this.#build();
  }

  #build() {
    const box = byId("node-actions");
    for (const group of ["Process", "Links", "Members"]) {
      const row = make("div", { class: "actions", role: "group", "aria-label": group });
      for (const [, verb, label, help, , look] of ACTIONS.filter((action) => action[0] === group)) {
        const button = make("button", {
          type: "button", class: look, "data-verb": verb, title: help, text: label,
          on: { click: () => this.#act(button, verb) },
        });
        this.buttons.set(verb, button);
        row.append(verb in KNOBS ? make("span", { class: "with-knobs" }, button, ...KNOBS[verb]()) : button);
      }
      box.append(make("h3", { text: group }), row);
    }
  }

  #act(button, verb) {
    this.choose(this.name);
    runFrom(button, this.#line(verb));
  }

  #line(verb) {
    const { name } = this;
    switch (verb) {
      case "isolate": {
        const way = byId("way").value;
        return way === "both" ? `isolate ${name}` : `isolate ${name} ${way}`;
      }
      case "slow":
        return `slow ${name} ${byId("delay").value || 0}ms ${byId("jitter").value || 0}ms`;
      case "lossy":
        return `lossy ${name} ${byId("loss").value || 0}%`;
      default:
        return `${verb} ${name}`;
    }
  }

  /** Show a node of a view; its buttons are for the node as it is now. */
  show(node, view, now) {
    this.name = node.name;
    const word = wordOf(node);
    setText(this.title, `Node ${node.name}`);
    setText(this.state, word);
    setAttribute(this.state, "data-state", node.state);
    FACTS.forEach(([, read], place) => setText(this.facts[place], read(node)));
    for (const [, verb, label, help, canBe] of ACTIONS) {
      const button = this.buttons.get(verb);
      setAttribute(button, "aria-label", `${label}, ${node.name}`);
      const can = canBe(now);
      setAttribute(button, "aria-disabled", can ? null : "true");
      setAttribute(button, "title", can ? help : `${help}: not while it is ${wordOf(now)}`);
    }
    setText(byId("node-links"), harmedLinksOf(view, node.name).join(", "));
  }
}

function hashOf(node) {
  if (node.hash === null || node.hash === undefined) return "\u2013";
  const text = Number(node.hash).toString(16).padStart(8, "0");
  return node.agrees === false ? `${text}, differs` : text;
}
