// Keys: those below a prefix, as they are now, and each change as it comes.

import { announce, byId, isStill, make, setText } from "./dom.js";
import { bytes, count, readable, toBase64 } from "./format.js";
import { get, post } from "./server.js";

const SHOWN_MAX = 500;
const TYPING_MS = 300;
const GONE_MS = 1500;

export class Keys {
  #typing = 0;
  #asked = 0;
  #revision = 0;
  #count = 0;

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
    else {
      for (const event of told.events) this.#change(event);
      if (told.skipped) this.#read();
      this.#note();
    }
  }

  async #read() {
    const asked = ++this.#asked;
    let found;
    try {
      found = await get("keys", { prefix: this.prefix });
    } catch (error) {
      setText(byId("keys-note"), error.message);
      return;
    }
    if (asked !== this.#asked) return; // the prefix is another by now
    this.#revision = found.revision;
    this.#count = found.count;
    this.rows.clear();
    this.body.replaceChildren(...found.keys.map((row) => this.#row(row)));
    this.#note();
  }

  #note() {
    byId("keys-empty").hidden = this.rows.size > 0;
    this.body.closest("table").hidden = this.rows.size === 0;
    const shown = this.rows.size < this.#count ? `, the first ${count(this.rows.size)} shown` : "";
    setText(byId("keys-note"), `${count(this.#count)} ${this.#count === 1 ? "key" : "keys"}${shown}`);
  }

  #change(event) {
    if (event.revision <= this.#revision) return; // the keys were read later
    const known = this.rows.get(event.key);
    if (event.type === "DELETE") {
      if (!known) return;
      this.#count -= 1;
      this.rows.delete(event.key);
      known.classList.add("gone");
      known.querySelector("button").disabled = true;
      known.lastElementChild.replaceChildren(event.reason === "deleted" ? "deleted" : event.reason);
      setTimeout(() => known.remove(), isStill() ? 0 : GONE_MS);
      return;
    }
    if (!known) this.#count += 1;
    if (!known && this.rows.size >= SHOWN_MAX) return;
    const row = this.#row(event);
    row.classList.add("changed");
    if (known) known.replaceWith(row);
    else this.body.insertBefore(row, this.#place(event.key));
  }

  /** The row above which a new key belongs: keys are in the order of their bytes. */
  #place(key) {
    const name = atob(key);
    for (const row of this.body.children) if (atob(row.dataset.key) > name) return row;
    return null;
  }

  #row(one) {
    const [key, value] = [readable(one.key), readable(one.value)];
    const cut = one.bytes > atob(one.value).length ? ` \u2026 (${bytes(one.bytes)})` : "";
    const row = make(
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
    this.rows.set(one.key, row);
    return row;
  }

  async #put() {
    const key = byId("put-key").value;
    const fields = { key: toBase64(key), value: toBase64(byId("put-value").value), ttl: Number(byId("put-ttl").value || 0) };
    try {
      const { revision } = await post("keys/put", fields);
      announce(`${key} is written, revision ${revision}`);
    } catch (error) {
      setText(byId("keys-note"), error.message);
    }
  }

  async #delete(button, key, name) {
    button.disabled = true;
    try {
      await post("keys/delete", { key });
      announce(`${name} is deleted`);
    } catch (error) {
      button.disabled = false;
      setText(byId("keys-note"), error.message);
    }
  }
}
