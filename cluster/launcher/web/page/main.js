// The page: it hears the launcher, keeps a record, and shows one moment of it in all its parts.

import { byId, isStill, repaint, setAttribute, setText } from "./dom.js";
import { ago, clock, count } from "./format.js";
import { Prompt } from "./commands.js";
import { Events } from "./events.js";
import { Failovers } from "./failovers.js";
import { Inbox } from "./inbox.js";
import { Keys } from "./keys.js";
import { Leases } from "./leases.js";
import { Logs } from "./logs.js";
import { NodePanel } from "./node.js";
import { Playhead } from "./playhead.js";
import { Plot } from "./plot.js";
import { Record, isRunning, membersOf } from "./record.js";
import { Ring } from "./ring.js";
import { Stream } from "./server.js";
import { Speech, announce } from "./speech.js";
import { Whole } from "./whole.js";

const TEXT_MS = 100; // texts and the plot are drawn this often, messages more often
const PLOT_LIVE_MS = 250;
const RING_MS = 30;
const WORK_MS = 5; // of a frame, for what has come: the rest of it waits for the next frames

const record = new Record();
const playhead = new Playhead();
const ring = new Ring(choose);
const panel = new NodePanel(choose);
const whole = new Whole();
const plot = new Plot(record, playhead);
const logs = new Logs(record);
const events = new Events(record, (at) => playhead.goTo(at));
const failovers = new Failovers(record, (at) => playhead.goTo(at));
const leases = new Leases();
const prompt = new Prompt();
const keys = new Keys(listen);
const speech = new Speech();
const inbox = new Inbox(take);
let chosen = null; // by the user; until then the leader is looked at
let looked = null;
let run = null;
let isDue = true; // something has changed, so all parts are drawn

// --- the launcher ---

const stream = new Stream({
  hello(hello) {
    if (run !== hello.run) {
      inbox.clear();
      record.clear();
      playhead.reset();
      events.rebuild();
    }
    run = hello.run;
    playhead.hear(hello.now);
    prompt.learn(hello.commands);
    events.learn(hello.explained);
    isDue = true;
  },
  items(items, now) {
    playhead.hear(now);
    for (const item of items) {
      inbox.add(item);
      if (item.happening) speech.hear(item.happening, now);
    }
    if (document.hidden) inbox.work(Infinity); // there are no frames
  },
  keys: (told) => keys.hear(told),
  state: showConnection,
});

function take(item) {
  record.add(item);
  if (item.happening) events.add(item.happening);
  isDue = true;
}

function listen() {
  stream.open({ messages: byId("show-messages").checked, watch: keys.prefix });
}

function showConnection(state) {
  const chip = byId("connection");
  const lost = byId("lost");
  const words = { live: "connected", silent: "silent", lost: "launcher lost" };
  setText(chip, words[state]);
  chip.dataset.state = state;
  document.body.dataset.connection = state;
  playhead.isHeld = state !== "live";
  const wasLost = !lost.hidden;
  lost.hidden = state === "live";
  if (state === "lost") setText(lost, "The launcher is gone, or its address is another. This page shows what it told last, and looks for it.");
  if (state === "silent") setText(lost, "The launcher says nothing: it may be stopped. This page shows what it told last, and waits.");
  if (state === "live" && wasLost) announce("The launcher is found again.");
  isDue = true;
}

// --- what the user chooses ---

function choose(name) {
  chosen = name;
  isDue = true;
}

function setTheme(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  localStorage.setItem("leasehold-theme", theme);
  repaint();
  isDue = true;
}

byId("theme").value = document.documentElement.dataset.theme ?? "system";
byId("theme").addEventListener("change", (event) => setTheme(event.target.value));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  repaint();
  isDue = true;
});
byId("show-messages").addEventListener("change", listen);
byId("play").addEventListener("click", () => playhead.playOrPause());
byId("live").addEventListener("click", () => playhead.toLive());
byId("before").addEventListener("click", () => goToFault(record.faultBefore(playhead.at)));
byId("after").addEventListener("click", () => goToFault(record.faultAfter(playhead.at)));
byId("pace").addEventListener("change", (event) => playhead.setPace(Number(event.target.value)));
byId("window").addEventListener("change", (event) => playhead.setSpan(Number(event.target.value)));
playhead.addEventListener("change", () => {
  isDue = true;
  setText(byId("play"), playhead.isPlaying ? "Freeze" : "Play");
  setAttribute(byId("live"), "aria-pressed", playhead.isLive);
  byId("pace").value = String(playhead.pace);
  document.body.dataset.time = playhead.isLive ? "live" : "past";
});

function goToFault(fault) {
  if (fault) playhead.goTo(fault.at);
  else announce("There is no other fault.");
}

// --- drawing ---

let drawnAt = 0;
let ringDrawnAt = 0;

function frame(real) {
  requestAnimationFrame(frame);
  playhead.tick();
  work(performance.now() + WORK_MS);
  const moves = playhead.isPlaying && !playhead.isHeld;
  const at = playhead.at;
  if (moves && !isStill() && real - ringDrawnAt >= RING_MS) {
    ringDrawnAt = real;
    ring.draw(record.messages, at, playhead.pace);
  }
  const wait = playhead.isLive ? PLOT_LIVE_MS : TEXT_MS;
  if (real - drawnAt < TEXT_MS || !(isDue || moves)) return;
  if (isDue || real - drawnAt >= wait) {
    drawnAt = real;
    isDue = false;
    draw(at);
  }
}

/** Take what has come into the page, until this time is over. */
function work(until) {
  inbox.work(until);
  events.work(until);
  keys.work(until);
}

function draw(at) {
  const view = record.viewAt(at);
  playhead.begins = record.first;
  leases.draw();
  failovers.show();
  events.show(at, playhead.isLive);
  showMoment(at);
  if (!view) return;
  const names = membersOf(view).map((node) => node.name);
  if (!names.includes(chosen)) chosen = null;
  looked = chosen ?? view.leader ?? (names.includes(looked) ? looked : names[0]);
  const node = view.nodes.find((one) => one.name === looked);
  showHeadline(view);
  ring.show(view, looked);
  if (!playhead.isPlaying) ring.draw(record.messages, at, playhead.pace);
  if (node) panel.show(node, view, playhead.isLive ? node : nodeNow(node));
  whole.show(record.viewAt(playhead.now) ?? view);
  logs.show(view, at);
  plot.draw(names);
  plot.showRates(at);
}

function nodeNow(node) {
  const now = record.viewAt(playhead.now)?.nodes.find((other) => other.name === node.name);
  return now ?? { ...node, state: "removed" };
}

function showHeadline(view) {
  const members = membersOf(view);
  const term = Math.max(0, ...members.map((node) => node.term ?? 0));
  const text = view.leader ? `${view.leader} leads in term ${count(term)}` : "No leader";
  setText(byId("headline"), text);
  setAttribute(byId("headline"), "data-state", view.leader ? null : "none");
  const running = members.filter((node) => isRunning(node.state)).length;
  const parts = [`${running} of ${members.length} nodes run`, `revision ${count(view.revision)}`, ...(view.links ?? [])];
  setText(byId("subline"), parts.join(" \u00b7 "));
  const title = `${text} \u2013 Leasehold`;
  if (document.title !== title) document.title = title;
}

function showMoment(at) {
  if (!record.views.length) return;
  const time = clock(record.wall(at), playhead.pace < 0.05 && !playhead.isLive ? 3 : 1);
  setText(byId("moment"), playhead.isLive ? time : `${time}, ${ago(playhead.now - at)}`);
}

listen();
requestAnimationFrame(frame);
