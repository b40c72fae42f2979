// Numbers, times and bytes as people read them.

const GROUPS = new Intl.NumberFormat("en");

/** A count with its thousands apart; a dash where nobody knows. */
export function count(value) {
  if (value === null || value === undefined) return "\u2013";
  return typeof value === "number" ? GROUPS.format(value) : String(value);
}

/** A duration in ms, with two or three digits that count. */
export function millis(value) {
  if (value === null || value === undefined) return "\u2013";
  if (value === 0) return "0 ms";
  if (value < 9.95) return `${value.toFixed(1)} ms`;
  if (value < 999.5) return `${Math.round(value)} ms`;
  return value < 99950 ? `${(value / 1000).toFixed(1)} s` : `${Math.round(value / 1000)} s`;
}

/** A size in bytes. */
export function bytes(value) {
  if (value === null || value === undefined) return "\u2013";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let [size, unit] = [value, 0];
  while (size >= 1024 && unit < units.length - 1) [size, unit] = [size / 1024, unit + 1];
  return `${unit && size < 10 ? size.toFixed(1) : Math.round(size)} ${units[unit]}`;
}

/** The time of day of a moment in seconds since 1970, `digits` behind the second. */
export function clock(wall, digits = 0) {
  const date = new Date(wall * 1000);
  const two = (number) => String(number).padStart(2, "0");
  const whole = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return digits ? `${whole}.${String(date.getMilliseconds()).padStart(3, "0").slice(0, digits)}` : whole;
}

/** How long ago something was, in seconds. */
export function ago(seconds) {
  if (seconds < 0.5) return "now";
  if (seconds < 10) return `${seconds.toFixed(1)} s ago`;
  if (seconds < 120) return `${Math.round(seconds)} s ago`;
  return `${Math.round(seconds / 60)} min ago`;
}

/** Base64 as bytes. */
export function fromBase64(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

/** A text as base64 of its UTF-8 bytes. */
export function toBase64(text) {
  return btoa(Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join(""));
}

/** Bytes in base64 as text, or in hexadecimal where they are no text. */
export function readable(base64) {
  const data = fromBase64(base64);
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(data);
    if (!/[\u0000-\u0008\u000b-\u001f\u007f]/.test(text)) return { text, isText: true };
  } catch { /* it is no text */ }
  return { text: Array.from(data, (byte) => byte.toString(16).padStart(2, "0")).join(" "), isText: false };
}

/** The value in the middle, or at another part, of numbers in any order. */
export function quantile(numbers, part) {
  if (!numbers.length) return null;
  const sorted = Float64Array.from(numbers).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))];
}
