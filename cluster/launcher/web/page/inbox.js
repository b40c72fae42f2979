// Inbox: what the launcher has told, until there is time for it.

export class Inbox {
  #items = [];
  #next = 0;

  /** `take` is called with each item, in the order in which they were added. */
  constructor(take) {
    this.take = take;
  }

  add(item) {
    this.#items.push(item);
  }

  clear() {
    [this.#items, this.#next] = [[], 0];
  }

  /** Take items until this time (of performance.now) is over. */
  work(until) {
    if (!this.#items.length) return;
    while (this.#next < this.#items.length && performance.now() < until) {
      this.#next += 1;
      this.take(this.#items[this.#next - 1]);
    }
    if (this.#next === this.#items.length) this.clear();
  }
}
