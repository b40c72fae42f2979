// Playhead: the moment that the whole page shows. Live it is now; else it stands, or plays slowly.

/** What the plot shows of a time that has just begun: as little as this, so that it is not empty. */
const SPANS = [20, 40, 60, 120, 300, 600, 1800];

/** The page lags by this, so that what nodes tell of a moment has arrived when it is shown. */
const LAG_SECONDS = 0.25;

export class Playhead extends EventTarget {
  constructor() {
    super();
    this.pace = 1;
    this.isLive = true;
    this.isPlaying = true;
    this.isHeld = false; // the launcher is silent: its time stands still
    this.begins = 0; // when the record begins
    this.spanMax = 120;
    this.#at = 0;
    this.#offset = null;
    this.#frozenEnd = null;
  }

  #at;
  #offset;
  #frozenEnd;
  #ticked = null;
  #lastNow = 0;

  /** The launcher has said what time it is by its clock. */
  hear(now) {
    const offset = now - performance.now() / 1000;
    // The answer that was least delayed is right; a little is forgotten, for clocks drift.
    if (this.#offset === null || offset > this.#offset) this.#offset = offset;
    else this.#offset += (offset - this.#offset) * 0.002;
    this.isHeld = false;
  }

  reset() {
    this.#offset = null;
    this.toLive();
  }

  /** Now, by the launcher's clock. */
  get now() {
    if (this.#offset === null) return 0;
    if (!this.isHeld) this.#lastNow = performance.now() / 1000 + this.#offset;
    return this.#lastNow;
  }

  /** The moment that is shown. */
  get at() {
    return this.isLive ? this.now - LAG_SECONDS : this.#at;
  }

  /** The end of the time that the plot shows. */
  get end() {
    return this.#frozenEnd ?? this.now;
  }

  get start() {
    return this.end - this.span;
  }

  /** How long a time the plot shows: what was chosen, or less if there is less. */
  get span() {
    const age = this.end - this.begins;
    return Math.min(this.spanMax, SPANS.find((seconds) => seconds >= age) ?? this.spanMax);
  }

  /** Let time pass; call it once a frame. */
  tick() {
    const real = performance.now() / 1000;
    const passed = this.#ticked === null ? 0 : real - this.#ticked;
    this.#ticked = real;
    if (this.isLive || !this.isPlaying) return;
    this.#at += passed * this.pace;
    if (this.#at >= this.now - LAG_SECONDS) this.toLive();
  }

  toLive() {
    this.isLive = true;
    this.isPlaying = true;
    this.#frozenEnd = null;
    this.pace = 1;
    this.#changed();
  }

  /** Show this moment, and stand there unless it plays. */
  goTo(at, { play = false } = {}) {
    if (this.#frozenEnd === null) this.#frozenEnd = this.now;
    this.isLive = false;
    this.isPlaying = play;
    this.#at = Math.min(at, this.now);
    if (this.#at < this.start || this.#at > this.end) {
      this.#frozenEnd = Math.min(this.now, this.#at + this.span / 2);
    }
    this.#changed();
  }

  setPace(pace) {
    if (this.isLive && pace === 1) return;
    this.goTo(this.at, { play: true });
    this.pace = pace;
    this.#changed();
  }

  setSpan(span) {
    this.spanMax = span;
    if (!this.isLive) this.goTo(this.#at, { play: this.isPlaying });
    this.#changed();
  }

  playOrPause() {
    if (this.isLive) this.goTo(this.at);
    else {
      this.isPlaying = !this.isPlaying;
      this.#changed();
    }
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
