// The launcher, as the page sees it: requests, and the stream that is found again when it is lost.

const TOKEN = location.pathname.split("/")[1];
const SILENT_MS = 5000; // a launcher tells the time every second; one that does not is hung
const AGAIN_MS = 1000;

/** Ask the launcher; its answer as an object. Throws an Error with one line for people. */
async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, { cache: "no-store", ...options });
  } catch {
    throw new Error("the launcher does not answer");
  }
  const text = await answer.text();
  let found = null;
  try {
    found = JSON.parse(text);
  } catch { /* a refusal is a line of text */ }
  if (!answer.ok || found === null) throw new Error(text.trim() || answer.statusText);
  if (found.failed) throw new Error(found.failed);
  return found;
}

export const get = (path, query = {}) => {
  const parameters = new URLSearchParams(query);
  return ask(`${path}?${parameters}`, {});
};

export const post = (path, value) => ask(path, {
  method: "POST",
  headers: { "Content-Type": "application/json", "X-Leasehold-Token": TOKEN },
  body: JSON.stringify(value),
});

/**
 * What happens, as the launcher tells it. `on` has the functions hello, items, keys and state
 * (connecting, live, silent, lost). A stream that ends is opened again where it ended.
 */
export class Stream {
  #on;
  #source = null;
  #last = "";
  #wishes = {};
  #heardAt = 0;
  #state = "";
  #again = 0;

  constructor(on) {
    this.#on = on;
    setInterval(() => this.#look(), 500);
    addEventListener("beforeunload", () => this.#source?.close());
  }

  /** Open it with these wishes: messages (bool), watch (a prefix in base64, or null). */
  open(wishes) {
    this.#wishes = wishes;
    this.#begin();
  }

  #begin() {
    clearTimeout(this.#again);
    this.#source?.close();
    const query = new URLSearchParams();
    if (this.#last) query.set("since", this.#last);
    if (this.#wishes.messages) query.set("messages", "1");
    // The colon tells a watch of all keys from none.
    if (this.#wishes.watch !== null) query.set("watch", `:${this.#wishes.watch}`);
    const source = new EventSource(`stream?${query}`);
    this.#source = source;
    const hear = (kind, take) => source.addEventListener(kind, (event) => {
      if (source !== this.#source) return;
      this.#heardAt = performance.now();
      this.#become("live");
      take(JSON.parse(event.data), event);
    });
    hear("hello", (hello) => this.#on.hello(hello));
    hear("tick", (tick) => this.#on.items([], tick.now));
    hear("keys", (told) => this.#on.keys(told));
    hear("items", (told, event) => {
      this.#last = event.lastEventId;
      this.#on.items(told.items, told.now);
    });
    source.addEventListener("error", () => {
      if (source !== this.#source) return;
      source.close();
      this.#become("lost");
      clearTimeout(this.#again);
      this.#again = setTimeout(() => this.#begin(), AGAIN_MS);
    });
  }

  #look() {
    if (this.#state === "live" && performance.now() - this.#heardAt > SILENT_MS) this.#become("silent");
  }

  #become(state) {
    if (state === this.#state) return;
    this.#state = state;
    this.#on.state(state);
  }
}
