// Ring: the nodes, the links between them, and the messages that travel at the moment shown.

import { byId, drawCross, fit, isStill, make, makeSvg, palette, setAttribute, setText } from "./dom.js";
import { firstAfter, harmedLinksOf, isUp, membersOf } from "./record.js";

const DRAWN_MAX = 300;
const TRAVEL_SECONDS = 0.0005; // of a message on this host, about
const SEEN_SECONDS = [0.45, 1.2]; // how long it is seen to travel, at least and at most
const BEND = 0.12;

/** The state of a node in a word or two. */
export function wordOf(node) {
  if (node.state === "pre_candidate") return "asks first";
  if (node.state !== "catching up" || node.caught_up === null) return node.state;
  return `catching up, ${Math.floor(node.caught_up * 100)} %`;
}

/** The form in which a kind of message is drawn. */
function formOf(what) {
  if (/ack|answer|refusal/.test(what)) return /vote/.test(what) ? "vote" : "reply";
  if (/vote|timeout_now/.test(what)) return "vote";
  if (what.startsWith("append")) return "append";
  if (what.startsWith("snapshot")) return "snapshot";
  return "heartbeat";
}

export class Ring {
  constructor(choose) {
    this.box = byId("ring");
    this.nodes = byId("nodes");
    this.links = byId("links");
    this.canvas = byId("messages");
    this.choose = choose;
    this.buttons = new Map();
    this.places = new Map();
    this.key = "";
    new ResizeObserver(() => this.#place()).observe(this.box);
  }

  /** Show the nodes of a view; `chosen` is the name of the node that is looked at. */
  show(view, chosen) {
    const nodes = membersOf(view);
    byId("ring-empty").hidden = nodes.length > 0;
    const key = nodes.map((node) => node.name).join();
    if (key !== this.key) this.#rebuild(nodes, key);
    for (const node of nodes) this.#showNode(node, view, node.name === chosen);
    for (const line of this.links.children) {
      const ends = line.dataset.ends.split(" ");
      const isBroken = ends.some((name) => !isUp(nodes.find((node) => node.name === name)?.state));
      setAttribute(line, "class", isBroken ? "link broken" : "link");
    }
  }

  #showNode(node, view, isChosen) {
    const { button, role, term } = this.buttons.get(node.name);
    const word = wordOf(node);
    setAttribute(button, "data-state", node.state);
    setAttribute(button, "aria-pressed", isChosen);
    setText(role, word);
    setText(term, node.term === null ? "" : `term ${node.term}`);
    const faulty = harmedLinksOf(view, node.name).length > 0;
    setAttribute(button, "data-faulty", faulty ? "" : null);
    const label = `${node.name}, ${word}${node.term === null ? "" : `, term ${node.term}`}`;
    setAttribute(button, "aria-label", faulty ? `${label}, its links are harmed` : label);
  }

  #rebuild(nodes, key) {
    this.key = key;
    this.buttons.clear();
    const focused = document.activeElement?.dataset?.node;
    this.nodes.replaceChildren(...nodes.map(({ name }) => {
      const role = make("span", { class: "node-role" });
      const term = make("span", { class: "node-term" });
      const button = make(
        "button",
        { type: "button", class: "node", "data-node": name, on: { click: () => this.choose(name) } },
        make("span", { class: "node-name", text: name }), role, term,
      );
      this.buttons.set(name, { button, role, term });
      return button;
    }));
    if (focused) this.buttons.get(focused)?.button.focus();
    this.#place();
  }

  #place() {
    const { width, height } = this.box.getBoundingClientRect();
    const names = [...this.buttons.keys()];
    const size = Math.min(112, Math.max(72, width / 4.4), names.length > 5 ? 88 : 112);
    this.box.style.setProperty("--node", `${size}px`);
    this.size = size;
    const ry = height / (names.length === 3 ? 1.72 : 2) - size * 0.62;
    const rx = Math.min(width / 2 - size * 0.66, ry * 1.25);
    names.forEach((name, number) => {
      const angle = (number / names.length) * 2 * Math.PI - Math.PI / 2;
      const alone = names.length === 1;
      // An odd ring is taller above its middle than below: it is moved to the box's middle.
      const drop = names.length === 3 ? ry * 0.22 : 0;
      const x = width / 2 + (alone ? 0 : rx * Math.cos(angle));
      const y = height / 2 + (alone ? 0 : ry * Math.sin(angle) + drop);
      this.places.set(name, { x, y });
      const { style } = this.buttons.get(name).button;
      style.left = `${x}px`;
      style.top = `${y}px`;
    });
    this.#link(names, width, height);
  }

  #link(names, width, height) {
    this.links.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const lines = [];
    names.forEach((one, number) => names.slice(number + 1).forEach((other) => {
      const [from, to] = [this.places.get(one), this.places.get(other)];
      const line = makeSvg("line", { x1: from.x, y1: from.y, x2: to.x, y2: to.y, class: "link" });
      line.dataset.ends = `${one} ${other}`;
      lines.push(line);
    }));
    this.links.replaceChildren(...lines);
  }

  /** Draw the messages that are under way at `at`, when a second of the cluster takes 1/pace. */
  draw(messages, at, pace) {
    const { context } = fit(this.canvas);
    if (isStill() || !messages.length) return;
    const [least, most] = SEEN_SECONDS;
    const travel = Math.min(most, Math.max(least, TRAVEL_SECONDS / pace)) * pace;
    const [first, end] = [firstAfter(messages, at - travel), firstAfter(messages, at)];
    const stride = Math.max(1, Math.ceil((end - first) / DRAWN_MAX));
    for (let place = first; place < end; place += stride) {
      this.#dot(context, messages[place], (at - messages[place][0]) / travel);
    }
  }

  #dot(context, [, from, to, what, , entries, , isLost], part) {
    const [start, end] = [this.places.get(from), this.places.get(to)];
    if (!start || !end) return;
    const gone = isLost && part > 0.5;
    const along = gone ? 0.5 : part;
    const [dx, dy] = [end.x - start.x, end.y - start.y];
    const bend = Math.sin(Math.PI * along) * BEND;
    const x = start.x + dx * along - dy * bend;
    const y = start.y + dy * along + dx * bend;
    const colours = palette();
    context.globalAlpha = gone ? 2 * (1 - part) : 1;
    if (isLost) drawCross(context, x, y, 4, colours.harm);
    else drawForm(context, formOf(what ?? ""), x, y, entries ?? 0, colours);
    context.globalAlpha = 1;
  }
}

function drawForm(context, form, x, y, entries, colours) {
  context.beginPath();
  context.lineWidth = 1.6;
  switch (form) {
    case "append":
      context.fillStyle = colours.accent;
      context.arc(x, y, entries ? Math.min(9, 3.2 + Math.log2(1 + entries)) : 3, 0, 7);
      context.fill();
      break;
    case "reply":
      context.fillStyle = colours.surface;
      context.strokeStyle = colours.accent;
      context.arc(x, y, 2.8, 0, 7);
      context.fill();
      context.stroke();
      break;
    case "vote":
      context.fillStyle = colours.harm;
      context.moveTo(x, y - 6);
      context.lineTo(x + 6, y);
      context.lineTo(x, y + 6);
      context.lineTo(x - 6, y);
      context.fill();
      break;
    case "snapshot":
      context.fillStyle = colours.ink;
      context.fillRect(x - 5, y - 5, 10, 10);
      break;
    default:
      context.fillStyle = colours.faint;
      context.arc(x, y, 2.4, 0, 7);
      context.fill();
  }
}
