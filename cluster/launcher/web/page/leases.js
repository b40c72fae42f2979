// Leases: a clock for each, which runs down between two looks at the cluster.

import { byId, make, makeSvg, setAttribute, setText } from "./dom.js";
import { count, readable } from "./format.js";
import { get } from "./server.js";

const LOOK_MS = 2000;
const RADIUS = 20;
const ROUND = 2 * Math.PI * RADIUS;

export class Leases {
  #isVisible = false;
  #isAsking = false;

  constructor() {
    this.list = byId("leases");
    this.clocks = new Map();
    new IntersectionObserver((seen) => {
      this.#isVisible = seen.at(-1).isIntersecting;
      if (this.#isVisible) this.#look();
    }, { rootMargin: "400px" }).observe(this.list.closest("section"));
    setInterval(() => this.#look(), LOOK_MS);
  }

  async #look() {
    if (!this.#isVisible || this.#isAsking || document.hidden) return;
    this.#isAsking = true;
    try {
      this.#take(await get("leases"));
    } catch (error) {
      setText(byId("leases-note"), error.message);
    }
    this.#isAsking = false;
  }

  #take(found) {
    const now = performance.now();
    const ids = new Set(found.leases.map((lease) => lease.id));
    for (const [id, clock] of this.clocks) {
      if (ids.has(id)) continue;
      clock.item.remove();
      this.clocks.delete(id);
    }
    for (const lease of found.leases) {
      if (!this.clocks.has(lease.id)) this.clocks.set(lease.id, this.#clock(lease));
      Object.assign(this.clocks.get(lease.id), { endsAt: now + lease.remaining_ms, granted: lease.granted_ms });
      setText(this.clocks.get(lease.id).keys, keysOf(lease));
    }
    byId("leases-empty").hidden = found.count > 0;
    const more = found.count > found.leases.length ? `, ${found.leases.length} shown` : "";
    setText(byId("leases-note"), found.count ? `${count(found.count)} in all${more}` : "");
    this.draw();
  }

  #clock(lease) {
    const face = makeSvg("svg", { viewBox: "-24 -24 48 48", class: "clock", "aria-hidden": "true" });
    const arc = makeSvg("circle", { r: RADIUS, class: "left", "stroke-dasharray": ROUND, transform: "rotate(-90)" });
    face.append(makeSvg("circle", { r: RADIUS, class: "whole" }), arc);
    const [left, keys] = [make("span", { class: "left-text" }), make("span", { class: "of" })];
    const item = make("li", {}, face, make("div", {}, make("span", { class: "raw", text: lease.id }), left, keys));
    this.list.append(item);
    return { item, arc, left, keys, endsAt: 0, granted: 1 };
  }

  /** Let the clocks run. */
  draw() {
    const now = performance.now();
    for (const { arc, left, endsAt, granted, item } of this.clocks.values()) {
      const remaining = Math.max(0, endsAt - now);
      const part = Math.min(1, remaining / granted);
      arc.style.strokeDashoffset = String(ROUND * (1 - part));
      setText(left, `${(remaining / 1000).toFixed(remaining < 10000 ? 1 : 0)} s of ${Math.round(granted / 1000)} s`);
      setAttribute(item, "data-low", part < 0.25 ? "" : null);
    }
  }
}

function keysOf(lease) {
  if (lease.is_probe) return "probe client";
  if (!lease.key_count) return "no keys";
  const named = lease.keys.map((key) => readable(key).text).join(", ");
  const more = lease.key_count - lease.keys.length;
  return more > 0 ? `${named} and ${more} more` : named;
}
