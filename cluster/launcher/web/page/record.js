// Record: everything that the launcher has told, so that any moment can be shown again.

const HAPPENINGS_MAX = 10000;
const VIEWS_MAX = 6000; // 20 minutes of change, at five views a second
const MESSAGES_MAX = 60000;
const SAMPLES_MAX = 60000; // five minutes of the probe client
const STRIDE = 0.1; // what is too old is dropped in portions of this part

/** A role that a node has told of is younger, for this time, than what a view says. */
const TOLD_SECONDS = 0.5;

const RUNNING = new Set(["leader", "follower", "learner", "candidate", "pre_candidate"]);

export const isRunning = (state) => RUNNING.has(state) || state === "starting" || state === "silent" || state === "paused";
export const isUp = (state) => RUNNING.has(state);

/** Whether a fault is the end of one: a node goes on, a link is whole again. */
export const isHealing = (fault) => fault.kind === "fault" && /^(resume|heal)/.test(fault.what ?? "");

/** When an item was: it has `at`, or is a row that begins with it. */
const timeOf = (item) => (Array.isArray(item) ? item[0] : item.at);

/** The index of the first item after `at`. */
export function firstAfter(items, at) {
  let [low, high] = [0, items.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (timeOf(items[middle]) <= at) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Put an item where its time belongs; nearly always that is the end. */
function insert(items, item, max) {
  const at = timeOf(item);
  let place = items.length;
  while (place > 0 && timeOf(items[place - 1]) > at) place -= 1;
  if (place === items.length) items.push(item);
  else items.splice(place, 0, item);
  if (items.length > max) items.splice(0, Math.ceil(max * STRIDE));
}

export class Record {
  constructor() {
    this.clear();
  }

  clear() {
    this.happenings = [];
    this.views = [];
    this.messages = [];
    this.samples = [];
    this.seconds = []; // what the probe client says of each second: for what is older than samples
    this.failovers = [];
    this.faults = [];
    this.states = new Map(); // node -> [{at, state}], in order
    this.terms = []; // {term, index}: from which index on the log has entries of a term
    this.wallOffset = 0; // wall clock less monotonic clock
    this.version = 0;
  }

  get first() {
    const starts = [this.happenings[0]?.at, this.views[0]?.at].filter((at) => at !== undefined);
    return starts.length ? Math.min(...starts) : 0;
  }

  add(item) {
    this.version += 1;
    if (item.happening) this.#happening(item.happening);
    else if (item.view) this.#view(item.view);
    else if (item.messages) for (const row of item.messages) insert(this.messages, row, MESSAGES_MAX);
    else if (item.samples) for (const row of item.samples) insert(this.samples, row, SAMPLES_MAX);
  }

  #happening(happening) {
    this.wallOffset = Date.parse(happening.time) / 1000 - happening.at;
    insert(this.happenings, happening, HAPPENINGS_MAX);
    switch (happening.kind) {
      case "probe":
        insert(this.seconds, happening, HAPPENINGS_MAX);
        break;
      case "failover": {
        const known = this.failovers.findIndex((one) => one.number === happening.number);
        if (known >= 0) this.failovers[known] = happening;
        else this.failovers.push(happening);
        break;
      }
      case "died":
        insert(this.faults, happening, HAPPENINGS_MAX);
        this.#state(happening.victim, happening.at, "killed", true);
        break;
      case "fault":
        insert(this.faults, happening, HAPPENINGS_MAX);
        break;
      case "launched":
        this.#state(happening.victim, happening.at, "starting", true);
        break;
      case "role":
        this.#state(happening.node, happening.at, happening.role, true);
        break;
      case "elected":
        this.#state(happening.node, happening.at, "leader", true);
        break;
    }
  }

  #view(view) {
    insert(this.views, view, VIEWS_MAX);
    for (const node of view.nodes) this.#state(node.name, view.at, node.state, false);
    const leader = view.nodes.find((node) => node.name === view.leader);
    const index = leader && last(leader);
    const newest = this.terms.at(-1);
    if (index && (!newest || newest.term < leader.term)) {
      this.terms.push({ term: leader.term, index });
    }
  }

  #state(name, at, state, isTold) {
    if (!this.states.has(name)) this.states.set(name, []);
    const states = this.states.get(name);
    const newest = states.at(-1);
    if (!isTold && newest?.isTold && at - newest.at < TOLD_SECONDS) return;
    if (newest && newest.state === state && newest.at <= at) return;
    insert(states, { at, state, isTold }, HAPPENINGS_MAX);
  }

  /** The state of a node at a moment, or null. */
  stateAt(name, at) {
    const states = this.states.get(name) ?? [];
    return states[firstAfter(states, at) - 1]?.state ?? null;
  }

  /** The cluster at a moment: the last view before it, with the roles that nodes had told. */
  viewAt(at) {
    const place = firstAfter(this.views, at) - 1;
    const view = this.views[Math.max(0, place)];
    if (!view) return null;
    const nodes = view.nodes.map((node) => {
      const state = this.stateAt(node.name, at) ?? node.state;
      return state === node.state ? node : { ...node, state };
    });
    const leads = nodes.filter((node) => node.state === "leader");
    const leader = leads.sort((one, other) => (other.term ?? 0) - (one.term ?? 0))[0];
    const next = this.views[place + 1];
    return { ...view, nodes, leader: leader?.name ?? null, next: next && next.at - view.at < 1 ? next : null };
  }

  /** The fault before a moment, or after it; undefined if there is none. */
  faultBefore(at) {
    return this.faults[firstAfter(this.faults, at - 0.05) - 1];
  }

  faultAfter(at) {
    return this.faults[firstAfter(this.faults, at + 0.05)];
  }

  wall(at) {
    return at + this.wallOffset;
  }
}

/** The index of the last entry that a node is known to have. */
export function last(node) {
  return Math.max(node.index ?? 0, node.commit ?? 0, node.applied ?? 0) || null;
}
