// Keys: those below a prefix, as they are now, and each change as it comes. Rows are made a few in
// each frame; of several changes of a key in between, the last counts.

import { byId, isStill, make, replaceFocused, setText } from "./dom.js";
import { bytes, count, readable, toBase64 } from "./format.js";
import { get, post } from "./server.js";
import { announce } from "./speech.js";

const SHOWN_MAX = 500;
const ROWS_A_FRAME = 50; // each portion lays out the whole table
const TYPING_MS = 300;
const GONE_MS = 1500;
const FLASHES_MAX = 20; // rows that change within one frame, and show it

export class Keys {
  #typing = 0;
  #asked = 0;
  #revision = 0;
  #count = 0;
  #waiting = new Map(); // key -> its newest event that is not in the table
  #late = null; // events that come while the keys are read: they may be newer than what is read
  #order = []; // of the rows, by the bytes of their keys

  constructor(rewatch) {
    this.rewatch = rewatch;
    this.body = byId("keys");
    this.rows = new Map();
    byId("prefix").addEventListener("input", () => {
      clearTimeout(this.#typing);
      this.#typing = setTimeout(() => this.rewatch(), TYPING_MS);
    });
    byId("put").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#put();
    });
  }

  /** The prefix that is looked at, in base64. */
  get prefix() {
    return toBase64(byId("prefix").value);
  }

  /** What the launcher tells of the watch. */
  hear(told) {
    if ("watching" in told) this.#read();
    else if ("interrupted" in told) setText(byId("keys-note"), `the watch waits: ${told.interrupted}`);
    else if (told.skipped) this.#read();
    else if (this.#late) this.#late.push(...told.events);
    else for (const event of told.events) this.#hearEvent(event);
  }

  #hearEvent(event) {
    if (event.revision <= this.#revision) return; // the keys were read later
    if (event.type === "DELETE") this.#count -= 1;
    else if (event.version === 1) this.#count += 1;
    this.#waiting.set(event.key, event);
  }

  async #read() {
    const asked = ++this.#asked;
    this.#late = [];
    try {
      const found = await get("keys", { prefix: this.prefix });
      if (asked !== this.#asked) return; // the prefix is another by now
      this.#begin(found);
    } catch (error) {
      if (asked !== this.#asked) return;
      this.#complain(error);
    }
    const late = this.#late;
    this.#late = null;
    for (const event of late) this.#hearEvent(event);
  }

  /** Show these keys, and none of those before. */
  #begin({ revision, count: all, keys }) {
    this.#revision = revision;
    this.#count = all;
    this.rows.clear();
    this.#order = [];
    this.body.replaceChildren();
    this.#waiting = new Map(keys.map((row) => [row.key, row]));
    this.#note();
  }

  /** Bring some changes into the table, until this time (of performance.now) is over. */
  work(until) {
    if (!this.#waiting.size) return;
    let room = ROWS_A_FRAME;
    for (const [key, event] of this.#waiting) {
      if (!room || performance.now() >= until) return;
      room -= 1;
      this.#waiting.delete(key);
      this.#change(event);
    }
    this.#note();
  }

  #note() {
    const shown = Math.min(this.#count, SHOWN_MAX);
    byId("keys-empty").hidden = this.#count > 0;
    this.body.closest("table").hidden = this.#count === 0;
    const part = shown < this.#count ? `, the first ${count(shown)} shown` : "";
    setText(byId("keys-note"), `${count(this.#count)} ${this.#count === 1 ? "key" : "keys"}${part}`);
  }

  #complain(error) {
    setText(byId("keys-note"), error.message);
    announce(`Keys: ${error.message}`);
  }

  #change(event) {
    const known = this.rows.get(event.key);
    if (event.type === "DELETE") {
      if (known) this.#end(known, event);
      return;
    }
    if (!known && this.rows.size >= SHOWN_MAX) return;
    const row = this.#row(event);
    // What was read is not news; an event has a type. Of hundreds of changes none would be seen.
    if (event.type && this.#waiting.size < FLASHES_MAX) row.classList.add("changed");
    if (known) replaceFocused(known, row, "button");
    else this.#insert(event.key, row);
    this.rows.set(event.key, row);
  }

  /** Put the row of a new key where it belongs: keys are in the order of their bytes. */
  #insert(key, row) {
    const name = atob(key);
    let [low, high] = [0, this.#order.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#order[middle].name < name) low = middle + 1;
      else high = middle;
    }
    const next = this.#order[low];
    this.body.insertBefore(row, next ? this.rows.get(next.key) : null);
    this.#order.splice(low, 0, { name, key });
  }

  /** A key is gone: its row says so for a moment. */
  #end(row, event) {
    this.rows.delete(event.key);
    this.#order.splice(this.#order.findIndex(({ key }) => key === event.key), 1);
    row.classList.add("gone");
    if (row.contains(document.activeElement)) this.#focusBeside(row);
    row.lastElementChild.replaceChildren(event.reason === "deleted" ? "deleted" : event.reason);
    setTimeout(() => row.remove(), isStill() ? 0 : GONE_MS);
  }

  /** Whoever deletes keys from the keyboard goes on with the next one. */
  #focusBeside(row) {
    const next = row.nextElementSibling ?? row.previousElementSibling;
    (next?.querySelector("button") ?? byId("prefix")).focus();
  }

  #row(one) {
    const [key, value] = [readable(one.key), readable(one.value)];
    const cut = one.bytes > atob(one.value).length ? ` \u2026 (${bytes(one.bytes)})` : "";
    return make(
      "tr", { "data-key": one.key },
      make("th", { scope: "row", class: key.isText ? "key" : "key raw", text: key.text, title: key.text }),
      make("td", { class: value.isText ? "wide value" : "wide value raw", text: value.text + cut, title: value.text.slice(0, 500) }),
      make("td", { class: "number", text: count(one.revision) }),
      make("td", { class: "number", text: count(one.version) }),
      make("td", { class: "raw", text: one.lease ?? "" }),
      make("td", {}, make("button", {
        type: "button", class: "small", text: "Delete", "aria-label": `Delete ${key.text}`,
        on: { click: (event) => this.#delete(event.target, one.key, key.text) },
      })),
    );
  }

  async #put() {
    const key = byId("put-key").value;
    const fields = { key: toBase64(key), value: toBase64(byId("put-value").value), ttl: Number(byId("put-ttl").value || 0) };
    try {
      const { revision } = await post("keys/put", fields);
      announce(`${key} is written, revision ${revision}`);
    } catch (error) {
      this.#complain(error);
    }
  }

  async #delete(button, key, name) {
    // A disabled button would lose the focus.
    if (button.getAttribute("aria-disabled") === "true") return;
    button.setAttribute("aria-disabled", "true");
    try {
      await post("keys/delete", { key });
      announce(`${name} is deleted`);
    } catch (error) {
      button.removeAttribute("aria-disabled");
      this.#complain(error);
    }
  }
}
