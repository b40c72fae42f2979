// Events: what has happened, newest first. The document holds the newest of them only.

import { announce, byId, make, makeMoment } from "./dom.js";
import { clock } from "./format.js";
import { isHealing } from "./record.js";

const SHOWN_MAX = 200;
const RECORDED = new Set(["message", "probe"]);
const LOUD = new Set(["died", "elected", "leader", "failover", "fault", "member", "verdict", "refused", "explained", "ready", "stopped"]);

export class Events {
  #announced = -Infinity;
  #kind = "story";
  #isLive = true;
  #waiting = [];

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
    this.#waiting = [];
    const wanted = this.record.happenings.filter((one) => this.#isWanted(one)).slice(-SHOWN_MAX);
    this.list.replaceChildren(...wanted.reverse().map((one) => this.#row(one)));
  }

  /** Add what has just been told; `isOld`: it happened before the page came. */
  add(happenings, isOld) {
    const wanted = happenings.filter((one) => this.#isWanted(one));
    if (!isOld) this.#announce(wanted);
    this.#waiting = [...this.#waiting, ...wanted].slice(-SHOWN_MAX);
  }

  /** Put what was added into the document: once for all that came since the last time. */
  flush() {
    const { list } = this;
    // The list is not asked where it is scrolled to: that would cost a layout each time, and a
    // browser keeps what is looked at in its place by itself.
    for (const one of this.#waiting) list.insertBefore(this.#row(one), this.#below(one));
    for (let more = list.childElementCount - SHOWN_MAX; more > 0; more -= 1) list.lastElementChild.remove();
    this.#waiting = [];
  }

  /** Mark what is later than the moment that is shown. */
  show(at, isLive) {
    if (isLive && this.#isLive) return;
    this.#isLive = isLive;
    for (const row of this.list.children) row.classList.toggle("later", !isLive && Number(row.dataset.at) > at);
  }

  /** The row above which this one belongs: what nodes tell may come a little late. */
  #below(one) {
    let row = this.list.firstElementChild;
    while (row && Number(row.dataset.at) > one.at) row = row.nextElementSibling;
    return row;
  }

  #isWanted(one) {
    if (RECORDED.has(one.kind)) return false;
    return this.#kind === "all" || (!this.hidden.has(one.kind) && (one.node === "" || LOUD.has(one.kind)));
  }

  #row(one) {
    const wall = Date.parse(one.time) / 1000;
    const [first, ...rest] = one.text.split("\n");
    return make(
      "li", { "data-kind": one.kind, "data-at": one.at, "data-heals": isHealing(one) },
      makeMoment(clock(wall, 3), () => this.goTo(one.at)),
      make(
        "div", {},
        make("span", { class: "what" }, ...(one.node ? [make("b", { text: one.node }), " "] : []), first),
        ...rest.map((line) => make("span", { class: "more", text: line.trim() })),
      ),
    );
  }

  /** Read out what matters, not more than a sentence or two at a time. */
  #announce(wanted) {
    const loud = wanted.filter((one) => LOUD.has(one.kind) && one.at > this.#announced);
    if (!loud.length) return;
    this.#announced = loud.at(-1).at;
    announce(loud.slice(-2).map((one) => one.text).join(". "));
  }
}
