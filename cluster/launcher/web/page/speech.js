// Speech: what is read out to those who listen to the page, through its one polite live region.
//
// An answer to what the user did is said at once. What happens to the cluster is gathered, and the
// most important of it is said, a sentence or two at a time: a listener is told of a fail-over, and
// not of a thousand events.

import { byId } from "./dom.js";

const GATHER_MS = 400; // what belongs together happens within this time
const REST_MS = 4000; // from one telling of events to the next, at least
const SENTENCES_MAX = 2;
const OLD_SECONDS = 5;
const WAITING_MAX = 200;

/** The kinds that are read out; the most important first. */
const RANKS = ["verdict", "stopped", "failover", "explained", "died", "fault", "member", "slept", "ready"];

const rankOf = (happening) => RANKS.indexOf(happening.kind);

let said = "";

/** Say a sentence now. */
export function announce(text) {
  const region = byId("said");
  // The same text twice would not be read again.
  region.textContent = text === said ? `${text}\u00a0` : text;
  said = region.textContent;
}

export class Speech {
  #waiting = [];
  #left = 0;
  #timer = null;
  #saidAt = -Infinity;

  /** Something has happened; by the launcher's clock it is `now`. What is old is not read out. */
  hear(happening, now) {
    if (rankOf(happening) < 0 || happening.at < now - OLD_SECONDS) return;
    this.#waiting.push(happening);
    if (this.#waiting.length > WAITING_MAX) {
      this.#waiting.shift();
      this.#left += 1;
    }
    const rest = this.#saidAt + REST_MS - performance.now();
    this.#timer ??= setTimeout(() => this.#tell(), Math.max(GATHER_MS, rest));
  }

  #tell() {
    const waiting = this.#waiting;
    const ranked = waiting.toSorted((one, other) => rankOf(one) - rankOf(other) || other.at - one.at);
    const chosen = ranked.slice(0, SENTENCES_MAX).sort((one, other) => one.at - other.at);
    const more = this.#left + waiting.length - chosen.length;
    [this.#waiting, this.#left, this.#timer] = [[], 0, null];
    this.#saidAt = performance.now();
    const sentences = chosen.map((one) => one.text.split("\n", 1)[0]);
    if (more) sentences.push(`${more} more ${more === 1 ? "event" : "events"}`);
    announce(`${sentences.join(". ")}.`);
  }
}
