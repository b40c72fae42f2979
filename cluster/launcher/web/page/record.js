// Record: everything that the launcher has told, so that any moment can be shown again.

const HAPPENINGS_MAX = 10000;
const VIEWS_MAX = 6000; // 20 minutes of change, at five views a second
const MESSAGES_MAX = 60000;
const SAMPLES_MAX = 60000; // five minutes of the probe client
const FAILOVERS_MAX = 1000;
const TERMS_MAX = 1000;
const STRIDE = 0.1; // what is too old is dropped in portions of this part

/** For this time, what was told of a node is younger than what the view in force says. */
const TOLD_SECONDS = 0.5;
const CANDIDATE_SECONDS = 3; // no view knows candidates

const holdsFor = (state) => (state === "candidate" || state === "pre_candidate" ? CANDIDATE_SECONDS : TOLD_SECONDS);

const ENDED = new Set(["killed", "stopped", "failed", "removed"]);
const DUMB = new Set(["paused", "silent", "starting", "isolated"]);

/** Whether a node's process runs, and whether the node also takes part. */
export const isRunning = (state) => !ENDED.has(state);
export const isUp = (state) => isRunning(state) && !DUMB.has(state);

/** Whether a node of a view is a member still, and those that are. */
export const isMember = (node) => node.state !== "removed";
export const membersOf = (view) => view.nodes.filter(isMember);

/** Whether a node of a view has no vote, as far as its state tells. */
export const isLearner = (node) => node.state === "learner";

/** What a view says of the harmed links of a node. */
export const harmedLinksOf = (view, name) => (view.links ?? []).filter((words) => words.split(/\W+/).includes(name));

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

const latest = (items, at) => items?.[firstAfter(items, at) - 1];

/** Keep the state of a node from a moment on. */
function note(states, name, at, state) {
  if (!states.has(name)) states.set(name, []);
  const known = states.get(name);
  const newest = known.at(-1);
  if (newest && newest.state === state && newest.at <= at) return;
  insert(known, { at, state }, HAPPENINGS_MAX);
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
    this.failovers = []; // another array whenever one of them is
    this.faults = [];
    this.told = new Map(); // node -> [{at, state}], in order: what it told of itself, and its end
    this.seen = new Map(); // the same, as views have it
    this.terms = []; // {term, index}: from which index on the log has entries of a term
    this.wallOffset = 0; // wall clock less monotonic clock
  }

  get first() {
    const starts = [this.happenings[0]?.at, this.views[0]?.at].filter((at) => at !== undefined);
    return starts.length ? Math.min(...starts) : 0;
  }

  add(item) {
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
        this.failovers = known < 0
          ? [...this.failovers, happening].slice(-FAILOVERS_MAX)
          : this.failovers.with(known, happening);
        break;
      }
      case "died":
        insert(this.faults, happening, HAPPENINGS_MAX);
        note(this.told, happening.victim, happening.at, "killed");
        break;
      case "fault":
        insert(this.faults, happening, HAPPENINGS_MAX);
        break;
      case "launched":
        note(this.told, happening.victim, happening.at, "starting");
        break;
      case "role":
        note(this.told, happening.node, happening.at, happening.role);
        break;
      case "elected":
        note(this.told, happening.node, happening.at, "leader");
        break;
    }
  }

  #view(view) {
    insert(this.views, view, VIEWS_MAX);
    for (const node of view.nodes) note(this.seen, node.name, view.at, node.state);
    const leader = view.nodes.find((node) => node.name === view.leader);
    const index = leader && last(leader);
    const newest = this.terms.at(-1);
    if (index && (!newest || newest.term < leader.term)) {
      this.terms.push({ term: leader.term, index });
      if (this.terms.length > TERMS_MAX) this.terms.shift();
    }
  }

  /** The state of a node at a moment, or null. */
  stateAt(name, at) {
    const told = latest(this.told.get(name), at);
    if (told && at - told.at < holdsFor(told.state)) return told.state;
    return (latest(this.seen.get(name), at) ?? told)?.state ?? null;
  }

  /**
   * The states of a node between two moments: {from, until, state}. Of the changes within `step`
   * seconds the last is found: more of them cannot be drawn.
   */
  statesBetween(name, start, end, step) {
    const told = this.told.get(name) ?? [];
    const turns = new Set([start]);
    const add = (at) => {
      const turn = start + Math.ceil((at - start) / step) * step;
      if (turn > start && turn < end) turns.add(turn);
    };
    for (const one of told.slice(firstAfter(told, start - CANDIDATE_SECONDS), firstAfter(told, end))) {
      add(one.at);
      add(one.at + holdsFor(one.state) + 1e-6);
    }
    const seen = this.seen.get(name) ?? [];
    for (const one of seen.slice(firstAfter(seen, start), firstAfter(seen, end))) add(one.at);
    const found = [];
    const times = [...turns].sort((one, other) => one - other);
    times.forEach((from, place) => {
      const state = this.stateAt(name, from);
      const until = times[place + 1] ?? end;
      if (found.at(-1)?.state === state) found.at(-1).until = until;
      else if (state !== null) found.push({ from, until, state });
    });
    return found;
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
