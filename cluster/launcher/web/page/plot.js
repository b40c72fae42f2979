// Plot: the latency of the probe client, the faults, and the role of each node, over one time.

import { byId, drawCross, fit, palette, setAttribute, setText } from "./dom.js";
import { clock, count, millis, quantile } from "./format.js";
import { firstAfter, isHealing, isUp } from "./record.js";

const LEFT = 52;
const RIGHT = 14;
const TOP = 22;
const LANE = 16;
const AXIS = 22;
const LOW_MS = 0.3;
const HIGH_MS = 3000;
const LINES_MS = [1, 10, 100, 1000];
const POINTS_MAX = 6000;
const SLOW_MS = 20;
const STEPS = 1000; // of the scrubber
const MARK_PX = 2;
const LANE_STEP_PX = 0.5; // changes of a node's state that are nearer to each other are one
const LABEL_PX = 84; // two labels of faults are at least this far apart

export class Plot {
  constructor(record, playhead) {
    this.record = record;
    this.playhead = playhead;
    this.box = byId("plot");
    this.canvas = byId("plot-canvas");
    this.scrubber = byId("scrubber");
    this.rates = byId("rates");
    this.scrubber.style.left = `${LEFT - 8}px`;
    this.scrubber.style.right = `${RIGHT - 8}px`;
    // At once, not with the next drawing: a key on the scrubber goes on from where it stands.
    playhead.addEventListener("change", () => this.#control());
    this.scrubber.addEventListener("input", () => {
      const part = Number(this.scrubber.value) / STEPS;
      if (part >= 1 && this.playhead.isLive) return;
      this.playhead.goTo(this.playhead.start + part * this.playhead.span);
    });
  }

  draw(names) {
    const { playhead } = this;
    const lanesHeight = Math.max(3, names.length) * LANE;
    this.box.style.setProperty("--lanes", `${lanesHeight}px`);
    const { context, width, height } = fit(this.canvas);
    this.area = { left: LEFT, right: width - RIGHT, top: TOP, bottom: height - lanesHeight - AXIS };
    this.colours = palette();
    context.font = "11px system-ui, sans-serif";
    context.textBaseline = "middle";
    const { start, end, span, now } = playhead;
    this.shown = { start, end, span, now };
    const x = (at) => LEFT + ((at - start) / span) * (width - LEFT - RIGHT);
    this.#grid(context, x, height);
    context.save();
    context.beginPath();
    context.rect(LEFT, 0, width - LEFT - RIGHT, height);
    context.clip();
    this.#outages(context, x);
    this.#samples(context, x);
    this.#faults(context, x, height - AXIS);
    context.restore();
    this.#lanes(context, x, names);
    this.#head(context, x, height);
    this.#control();
  }

  #y(ms) {
    const part = Math.log(Math.max(LOW_MS, ms) / LOW_MS) / Math.log(HIGH_MS / LOW_MS);
    return this.area.bottom - Math.min(1, part) * (this.area.bottom - this.area.top);
  }

  #grid(context, x, height) {
    const { left, right, bottom } = this.area;
    const { start, end, span } = this.shown;
    context.strokeStyle = this.colours.line;
    context.fillStyle = this.colours.muted;
    context.lineWidth = 1;
    context.textAlign = "right";
    for (const ms of LINES_MS) {
      const y = Math.round(this.#y(ms)) + 0.5;
      line(context, left, y, right, y);
      context.fillText(ms < 1000 ? `${ms} ms` : "1 s", left - 8, y);
    }
    context.textAlign = "center";
    const step = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 900].find((s) => span / s <= (right - left) / 110) ?? 900;
    const offset = this.record.wallOffset;
    const first = Math.ceil((start + offset) / step) * step;
    const axis = height - AXIS / 2 + 2;
    for (let wall = first; wall - offset <= end; wall += step) {
      const at = x(wall - offset);
      line(context, Math.round(at) + 0.5, bottom, Math.round(at) + 0.5, bottom + 4);
      if (at > left + 24 && at < right - 24) context.fillText(clock(wall), at, axis);
    }
  }

  #outages(context, x) {
    const { top, bottom } = this.area;
    context.fillStyle = this.colours["harm-soft"];
    for (const one of this.record.failovers) {
      const until = one.write_outage_ms === null ? one.at : one.began_at + one.write_outage_ms / 1000;
      if (until < this.shown.start || one.began_at > this.shown.end) continue;
      context.fillRect(x(one.began_at), top, Math.max(2, x(until) - x(one.began_at)), bottom - top);
    }
  }

  #samples(context, x) {
    const { samples, seconds } = this.record;
    const { start, end } = this.shown;
    const kept = samples.length ? samples[0][0] : Infinity;
    this.#old(context, x, seconds.slice(firstAfter(seconds, start), firstAfter(seconds, Math.min(end, kept))));
    const [first, after] = [firstAfter(samples, start), firstAfter(samples, end)];
    const stride = Math.max(1, Math.ceil((after - first) / POINTS_MAX));
    const { accent, muted, harm } = this.colours;
    // A colour is set once, not for each of thousands of points.
    for (const [wanted, colour, alpha] of [["read", muted, 0.4], ["write", accent, 0.75]]) {
      context.globalAlpha = alpha;
      context.fillStyle = colour;
      for (let place = first; place < after; place += 1) {
        const [at, kind, ms, ok] = samples[place];
        // What is slow is drawn, whatever is left out.
        if (kind !== wanted || !ok || (place % stride && ms < SLOW_MS)) continue;
        context.fillRect(x(at) - 1, this.#y(ms) - 1, 2.4, 2.4);
      }
    }
    context.globalAlpha = 1;
    this.#failed(context, x, samples.slice(first, after).filter((row) => !row[3]), harm);
  }

  /** What failed, above all; marks that would cover each other are one. */
  #failed(context, x, samples, colour) {
    let free = -Infinity;
    for (const [at] of samples) {
      if (x(at) < free) continue;
      drawCross(context, x(at), this.area.top + 6, 3, colour);
      free = x(at) + 5;
    }
  }

  /** Seconds of which only the median and the 99th percentile are known. */
  #old(context, x, seconds) {
    context.strokeStyle = this.colours.accent;
    context.globalAlpha = 0.55;
    context.lineWidth = 2;
    for (const one of seconds) {
      if (one.p50_ms === null || one.p50_ms === undefined) continue;
      const at = x(one.at - 0.5);
      line(context, at, this.#y(one.p50_ms), at, this.#y(one.p99_ms ?? one.p50_ms));
    }
    context.globalAlpha = 1;
  }

  #faults(context, x, bottom) {
    const { faults } = this.record;
    const { start, end } = this.shown;
    context.textAlign = "left";
    context.lineWidth = 1;
    let [free, drawn] = [-Infinity, -Infinity];
    for (const one of faults.slice(firstAfter(faults, start), firstAfter(faults, end))) {
      const at = Math.round(x(one.at)) + 0.5;
      if (at < drawn + MARK_PX) continue; // it would cover the mark before
      drawn = at;
      const colour = isHealing(one) ? this.colours.muted : this.colours.harm;
      context.strokeStyle = colour;
      context.globalAlpha = 0.8;
      line(context, at, TOP - 8, at, bottom);
      context.globalAlpha = 1;
      context.fillStyle = colour;
      context.fillRect(at - 2.5, TOP - 11, 5, 5);
      if (at < free) continue;
      const label = shortOf(one);
      const wide = context.measureText(label).width;
      const right = at + 6 + wide > this.area.right;
      context.textAlign = right ? "right" : "left";
      context.fillText(label, right ? at - 6 : at + 6, TOP - 12);
      free = at + Math.max(LABEL_PX, wide + 14);
    }
  }

  #lanes(context, x, names) {
    const { left, right, bottom } = this.area;
    const { start, end, span, now } = this.shown;
    const top = bottom + 8;
    const step = (span / (right - left)) * LANE_STEP_PX;
    context.textAlign = "right";
    names.forEach((name, number) => {
      const y = top + number * LANE;
      context.fillStyle = this.colours.muted;
      context.fillText(name, left - 8, y + LANE / 2 - 2);
      for (const { from, until, state } of this.record.statesBetween(name, start, Math.min(now, end), step)) {
        this.#segment(context, state, Math.max(left, x(from)), Math.min(right, x(until)), y);
      }
    });
  }

  #segment(context, state, from, until, y) {
    const { accent, faint, harm, "harm-soft": harmSoft } = this.colours;
    const wide = Math.max(1.5, until - from);
    const tall = LANE - 6;
    if (state === "leader") fill(context, accent, from, y, wide, tall);
    else if (state === "candidate" || state === "pre_candidate") fill(context, harm, from, y, wide, tall);
    else if (isUp(state)) fill(context, faint, from, y + tall / 2 - 1.5, wide, 3);
    else if (state === "removed") return;
    else fill(context, harmSoft, from, y, wide, tall);
  }

  #head(context, x, height) {
    const { isLive, at } = this.playhead;
    if (isLive) return;
    const place = x(at);
    context.strokeStyle = this.colours.ink;
    context.lineWidth = 1.5;
    line(context, place, TOP - 4, place, height - AXIS + 2);
  }

  #control() {
    const { playhead, scrubber, record } = this;
    const part = playhead.isLive ? 1 : (playhead.at - playhead.start) / playhead.span;
    if (document.activeElement !== scrubber || playhead.isPlaying) scrubber.value = String(Math.round(part * STEPS));
    // A moment that moves by itself would be read out again and again.
    const moment = playhead.isPlaying ? "plays slowly" : clock(record.wall(playhead.at), 1);
    setAttribute(scrubber, "aria-valuetext", playhead.isLive ? "live" : moment);
  }

  /** The last second before the moment that is shown, in words. */
  showRates(at) {
    const { samples, seconds } = this.record;
    const recent = samples.slice(firstAfter(samples, at - 1), firstAfter(samples, at));
    if (recent.length) {
      const words = ["write", "read"].map((kind) => {
        const good = recent.filter((row) => row[1] === kind && row[3]).map((row) => row[2]);
        return `${count(good.length)} ${kind}s/s, median ${millis(quantile(good, 0.5))}, p99 ${millis(quantile(good, 0.99))}`;
      });
      const failed = recent.filter((row) => !row[3]).length;
      setText(this.rates, failed ? `${words.join("; ")}; ${failed} failed` : words.join("; "));
      return;
    }
    const one = seconds[firstAfter(seconds, at + 1) - 1];
    if (!one || Math.abs(one.at - at) > 3) setText(this.rates, "");
    else setText(this.rates, `${count(one.writes)} writes/s, ${count(one.reads)} reads/s, median ${millis(one.p50_ms)}, p99 ${millis(one.p99_ms)}`);
  }
}

function shortOf(fault) {
  if (fault.kind === "died") return `${fault.victim} died`;
  const victims = (fault.victims ?? []).join(", ");
  const text = fault.what && victims ? `${fault.what} ${victims}` : fault.text;
  return text.length > 26 ? `${text.slice(0, 25)}\u2026` : text;
}

function line(context, x1, y1, x2, y2) {
  context.beginPath();
  context.moveTo(x1, y1);
  context.lineTo(x2, y2);
  context.stroke();
}

function fill(context, colour, x, y, width, height) {
  context.fillStyle = colour;
  context.fillRect(x, y, width, height);
}
