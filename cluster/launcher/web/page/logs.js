// Logs: how far each node's log has grown, what of it is committed and applied, and the terms.

import { byId, fit, make, palette, setText } from "./dom.js";
import { count } from "./format.js";
import { isUp, last, membersOf } from "./record.js";

const SPANS = [24, 60, 120, 240, 600, 1200, 2400, 6000, 12000, 60000, 600000];
const CELLS_MAX = 60; // with more entries than this, they are not drawn one by one

export class Logs {
  constructor(record) {
    this.record = record;
    this.rows = new Map();
    this.key = "";
  }

  show(view, at) {
    const nodes = membersOf(view);
    const key = nodes.map((node) => node.name).join();
    if (key !== this.key) this.#rebuild(nodes, key);
    if (!nodes.length) return;
    const grown = nodes.map((node) => this.#grown(node, view, at));
    const highest = Math.max(1, ...grown.map((one) => one.last ?? 0));
    const lowest = Math.min(...grown.filter((one) => one.isUp).map((one) => one.applied ?? highest), highest);
    const span = SPANS.find((size) => size >= (highest - lowest) * 1.4) ?? SPANS.at(-1);
    setText(byId("logs-span"), `the newest ${count(span)} entries`);
    nodes.forEach((node, place) => {
      const row = this.rows.get(node.name);
      setText(row.commit, count(node.commit));
      setText(row.applied, count(node.applied));
      setText(row.lag, node.lag === undefined ? "\u2013" : count(node.lag));
      setText(row.revision, count(node.revision));
      this.#draw(row.canvas, grown[place], highest, span);
    });
  }

  /** How far a node is at the moment shown, between two views. */
  #grown(node, view, at) {
    const next = view.next?.nodes.find((other) => other.name === node.name);
    const part = next ? Math.min(1, Math.max(0, (at - view.at) / (view.next.at - view.at))) : 0;
    const between = (name) => {
      const [from, to] = [node[name], next?.[name]];
      if (from === null || from === undefined) return null;
      return to === null || to === undefined ? from : Math.floor(from + (to - from) * part);
    };
    const applied = between("applied") ?? between("revision");
    return { applied, commit: between("commit") ?? applied, last: Math.max(last(node) ?? 0, applied ?? 0) || null, isUp: isUp(node.state) };
  }

  #draw(canvas, one, highest, span) {
    const { context, width, height } = fit(canvas);
    const colours = palette();
    const low = highest - span;
    const x = (index) => ((index - low) / span) * width;
    const [top, tall] = [4, height - 8];
    context.globalAlpha = one.isUp ? 1 : 0.35;
    context.fillStyle = colours.soft;
    context.fillRect(0, top, Math.max(0, x(one.last ?? 0)), tall);
    context.fillStyle = colours.accent;
    context.globalAlpha *= 0.45;
    context.fillRect(0, top, Math.max(0, x(one.commit ?? 0)), tall);
    context.globalAlpha = one.isUp ? 1 : 0.35;
    context.fillRect(0, top + tall - 4, Math.max(0, x(one.applied ?? 0)), 4);
    if (span <= CELLS_MAX) {
      context.fillStyle = colours.surface;
      for (let index = low; index <= (one.last ?? 0); index += 1) context.fillRect(x(index) - 0.75, top, 1.5, tall);
    }
    this.#terms(context, x, one, { low, top, tall, width }, colours);
    context.globalAlpha = 1;
    if (one.last !== null && one.last <= low) {
      context.fillStyle = colours.muted;
      context.fillText(`\u2039 ${count(highest - one.last)} behind`, 4, height / 2);
    }
  }

  #terms(context, x, one, { low, top, tall, width }, colours) {
    context.font = "10px system-ui, sans-serif";
    context.textBaseline = "middle";
    if ((one.last ?? 0) <= low) return;
    let term = null;
    for (const begun of this.record.terms) {
      if (begun.index > (one.last ?? 0)) break;
      term = begun.term;
      if (begun.index < low) continue;
      context.fillStyle = colours.ink;
      context.fillRect(x(begun.index) - 1, top - 2, 2, tall + 4);
      this.#label(context, `term ${begun.term}`, x(begun.index) + 4, top + tall / 2 - 1, colours);
      term = null;
    }
    if (term !== null && width > 80) this.#label(context, `term ${term}`, 6, top + tall / 2 - 1, colours);
  }

  /** A text that can be read above the borders of entries. */
  #label(context, text, x, y, colours) {
    context.fillStyle = colours.soft;
    context.fillRect(x - 3, y - 7, context.measureText(text).width + 6, 13);
    context.fillStyle = colours.ink;
    context.fillText(text, x, y);
  }

  #rebuild(nodes, key) {
    this.key = key;
    this.rows.clear();
    byId("logs").replaceChildren(...nodes.map(({ name }) => {
      const canvas = make("canvas", { "aria-hidden": "true" });
      const cells = Object.fromEntries(["commit", "applied", "lag", "revision"].map((column) => [column, make("td", { class: "number" })]));
      this.rows.set(name, { canvas, ...cells });
      return make("tr", {}, make("th", { scope: "row", text: name }), make("td", { class: "wide" }, canvas), ...Object.values(cells));
    }));
  }
}
