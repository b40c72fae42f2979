// Fail-overs: each fault with what it has cost, newest first.

import { arrange, byId, make, makeMoment, setText } from "./dom.js";
import { clock, count, millis, quantile } from "./format.js";

const SHOWN_MAX = 100;
const MARKS = { true: "linearizable", false: "NOT linearizable", null: "\u2013" };

export class Failovers {
  constructor(record, goTo) {
    this.record = record;
    this.goTo = goTo;
    this.body = byId("failovers");
    this.seen = null;
    this.rows = new Map(); // number -> {one, row}
  }

  show() {
    const all = this.record.failovers;
    const isHarmed = this.record.faults.length > 0;
    setText(byId("failovers-empty"), isHarmed ? "No fail-over was measured." : "Nothing has failed yet. Kill the leader.");
    if (all === this.seen) return;
    this.seen = all;
    byId("failovers-empty").hidden = all.length > 0;
    this.body.closest(".scroll").hidden = all.length === 0;
    this.#fill(all.slice(-SHOWN_MAX).reverse());
    const outages = all.map((one) => one.write_outage_ms).filter((ms) => ms !== null && ms !== undefined);
    byId("failovers-note").textContent = outages.length > 1
      ? `${all.length} so far; writes out: median ${millis(quantile(outages, 0.5))}, longest ${millis(Math.max(...outages))}`
      : "";
  }

  /** A row is made anew only for what is told anew. */
  #fill(wanted) {
    const rows = wanted.map((one) => {
      const known = this.rows.get(one.number);
      return known?.one === one ? known : { one, row: this.#row(one) };
    });
    this.rows = new Map(rows.map((shown) => [shown.one.number, shown]));
    arrange(this.body, rows.map(({ row }) => row));
  }

  #row(one) {
    const when = clock(this.record.wall(one.began_at), 1);
    const bad = (value) => make("td", { class: value ? "number bad" : "number", text: count(value) });
    const number = (value) => make("td", { class: "number", text: millis(value) });
    const leader = one.leader_after === one.leader_before
      ? one.leader_after ?? "\u2013"
      : `${one.leader_before ?? "none"} \u2192 ${one.leader_after ?? "none yet"}`;
    return make(
      "tr", {},
      make("td", {}, makeMoment(when, () => this.goTo(one.began_at))),
      make("th", { scope: "row", text: one.cause }),
      make("td", { text: leader }),
      number(one.detection_ms), number(one.election_ms),
      make("td", { class: "number strong", text: millis(one.write_outage_ms) }),
      number(one.read_outage_ms), number(one.watch_gap_ms),
      make("td", { class: "number", text: count(one.delayed) }),
      make("td", { class: "number", text: count(one.failed) }),
      bad(one.lost), bad(one.doubled),
      make("td", { class: one.linearizable === false ? "bad" : null, text: MARKS[String(one.linearizable ?? null)] }),
      make("td", { class: one.leases_lost ? "bad" : null, text: leasesOf(one) }),
    );
  }
}

function leasesOf(one) {
  if (!one.leases_kept && !one.leases_lost) return "\u2013";
  return one.leases_lost ? `${one.leases_lost} lost` : `${one.leases_kept} kept`;
}
