// Small helpers for the document. What is shown is always set as text, never as markup.

export const byId = (id) => document.getElementById(id);

/** A new element: its attributes (`text`, `class`, `on` among them) and its children. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "text") element.textContent = value;
    else if (name === "on") for (const [kind, act] of Object.entries(value)) element.addEventListener(kind, act);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

/** A button that shows a moment (`when`, in words), and goes there. */
export function makeMoment(when, go) {
  return make("button", { type: "button", class: "when", text: when, "aria-label": `Go to ${when}`, on: { click: go } });
}

/** A field for a number, at most `max`; its label is for those who listen, its unit for those who see. */
export function makeNumber(id, label, value, max, unit) {
  return make("label", {}, make("input", { id, type: "number", min: 0, max, value, "aria-label": label }), unit);
}

/** Let these be the children, in this order. Those that stay are not moved: they keep the focus. */
export function arrange(parent, children) {
  children.forEach((child, place) => {
    if (parent.children[place] !== child) parent.insertBefore(child, parent.children[place] ?? null);
  });
  while (parent.children.length > children.length) parent.lastElementChild.remove();
}

/** Put an element in the place of another, in which something may have the focus. */
export function replaceFocused(old, next, selector) {
  const hadFocus = old.contains(document.activeElement);
  old.replaceWith(next);
  if (hadFocus) next.querySelector(selector)?.focus();
}

/** A new element of SVG. */
export function makeSvg(tag, attributes = {}) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

/** Set a text, and touch the document only if it is another. */
export function setText(element, text) {
  const next = String(text ?? "");
  if (element.textContent !== next) element.textContent = next;
}

/** Set an attribute, or remove it (null), and touch the document only if it is another. */
export function setAttribute(element, name, value) {
  if (value === null) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
  } else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

const sizes = new WeakMap();
const sizing = new ResizeObserver((changed) => {
  for (const { target, contentRect } of changed) sizes.set(target, contentRect);
});

/** The size of an element, which is asked for once: to ask in each frame costs a layout each. */
export function sizeOf(element) {
  if (!sizes.has(element)) {
    sizes.set(element, element.getBoundingClientRect());
    sizing.observe(element);
  }
  return sizes.get(element);
}

/** Size a canvas to its box; its context in CSS pixels, and its size. Cleared. */
export function fit(canvas) {
  const { width, height } = sizeOf(canvas);
  const scale = Math.min(window.devicePixelRatio || 1, 2);
  const [w, h] = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

/** Draw a cross on a canvas, with arms of this length. */
export function drawCross(context, x, y, arm, colour) {
  context.beginPath();
  context.strokeStyle = colour;
  context.lineWidth = arm / 2;
  context.moveTo(x - arm, y - arm);
  context.lineTo(x + arm, y + arm);
  context.moveTo(x + arm, y - arm);
  context.lineTo(x - arm, y + arm);
  context.stroke();
}

let colours = null;

/** The colours of the page's theme, by their names in style.css, as a canvas takes them. */
export function palette() {
  if (colours === null) {
    const names = ["ink", "muted", "faint", "line", "surface", "accent", "soft", "harm", "harm-soft"];
    // A variable holds the colours of both themes; an element in that colour has the one in force.
    const sample = make("i", { hidden: true });
    document.body.append(sample);
    colours = Object.fromEntries(names.map((name) => {
      sample.style.color = `var(--${name})`;
      return [name, getComputedStyle(sample).color];
    }));
    sample.remove();
  }
  return colours;
}

/** The theme has changed. */
export function repaint() {
  colours = null;
}

const still = window.matchMedia("(prefers-reduced-motion: reduce)");

/** Whether the user wants no movement. */
export const isStill = () => still.matches;
