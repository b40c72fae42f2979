// Events: what has happened, newest first. The document holds the newest of them only, and gets
// its rows a few in each frame: those on top, which are looked at, before those below.

import { byId, make, makeMoment } from "./dom.js";
import { clock } from "./format.js";
import { firstAfter, isHealing } from "./record.js";

const SHOWN_MAX = 200;
const ROWS_A_FRAME = 16; // the layout of many more would be seen
const RECORDED = new Set(["message", "probe"]);

/** The kinds that are told also of a node: what else nodes say is for those who ask for everything. */
const LOUD = new Set(["died", "elected", "leader", "failover", "fault", "member", "verdict", "refused", "explained", "ready", "stopped"]);

export class Events {
  #kind = "story";
  #isLive = true;
  #at = 0;
  #shown = []; // oldest first, as in the record: {at, one, row}; the row is null until it is built
  #unbuilt = 0;

  constructor(record, goTo) {
    this.record = record;
    this.goTo = goTo;
    this.list = byId("events");
    this.hidden = new Set();
    byId("events-kind").addEventListener("change", (event) => {
      this.#kind = event.target.value;
      this.rebuild();
    });
  }

  /** The kinds that are told again in a line that explains them. */
  learn(hidden) {
    this.hidden = new Set(hidden ?? []);
  }

  rebuild() {
    this.list.replaceChildren();
    this.#shown = this.record.happenings
      .filter((one) => this.#isWanted(one))
      .slice(-SHOWN_MAX)
      .map((one) => ({ at: one.at, one, row: null }));
    this.#unbuilt = this.#shown.length;
  }

  /** Show what was told, if it is wanted, where it belongs: what nodes tell may come a little late. */
  add(happening) {
    if (!this.#isWanted(happening)) return;
    const place = firstAfter(this.#shown, happening.at);
    if (place === 0 && this.#shown.length === SHOWN_MAX) return;
    this.#shown.splice(place, 0, { at: happening.at, one: happening, row: null });
    this.#unbuilt += 1;
    if (this.#shown.length <= SHOWN_MAX) return;
    const { row } = this.#shown.shift();
    if (!row) {
      this.#unbuilt -= 1;
      return;
    }
    if (row.contains(document.activeElement)) this.list.focus();
    row.remove();
  }

  /** Build some rows, the newest first, until this time (of performance.now) is over. */
  work(until) {
    // The list is not asked where it is scrolled to: that would cost a layout each time, and a
    // browser keeps what is looked at in its place by itself.
    let above = null;
    let room = ROWS_A_FRAME;
    for (let place = this.#shown.length - 1; place >= 0 && this.#unbuilt; place -= 1) {
      const shown = this.#shown[place];
      if (!shown.row) {
        if (!room || performance.now() >= until) return;
        room -= 1;
        shown.row = this.#row(shown.one);
        if (above) above.after(shown.row);
        else this.list.prepend(shown.row);
        this.#unbuilt -= 1;
      }
      above = shown.row;
    }
  }

  /** Mark what is later than the moment that is shown. */
  show(at, isLive) {
    if (isLive && this.#isLive) return;
    [this.#isLive, this.#at] = [isLive, at];
    for (const { row } of this.#shown) if (row) this.#mark(row);
  }

  #mark(row) {
    row.classList.toggle("later", !this.#isLive && Number(row.dataset.at) > this.#at);
  }

  #isWanted(one) {
    if (RECORDED.has(one.kind)) return false;
    return this.#kind === "all" || (!this.hidden.has(one.kind) && (one.node === "" || LOUD.has(one.kind)));
  }

  #row(one) {
    const wall = Date.parse(one.time) / 1000;
    const [first, ...rest] = one.text.split("\n");
    const row = make(
      "li", { "data-kind": one.kind, "data-at": one.at, "data-heals": isHealing(one) },
      makeMoment(clock(wall, 3), () => this.goTo(one.at)),
      make(
        "div", {},
        make("span", { class: "what" }, ...(one.node ? [make("b", { text: one.node }), " "] : []), first),
        ...rest.map((line) => make("span", { class: "more", text: line.trim() })),
      ),
    );
    this.#mark(row);
    return row;
  }
}
