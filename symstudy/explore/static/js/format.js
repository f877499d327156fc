/**
 * Numbers and values as a reader wants them.
 * @module format
 */

/**
 * A number to three or four digits.
 * @param {any} value
 * @returns {string}
 */
export function number(value) {
  if (value === null || value === undefined) return "none";
  if (typeof value !== "number") return String(value);
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e5) return String(value);
  if (size >= 1e5 || size < 1e-3) return value.toExponential(2).replace(/\.?0+e/, "e").replace("e+", "e");
  return String(Number(value.toPrecision(4)));
}

/**
 * A value of a column.
 * @param {any} value
 * @returns {string}
 */
export function valueText(value) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "boolean") return value ? "yes" : "no";
  return typeof value === "number" ? number(value) : String(value);
}

/**
 * A count with separators.
 * @param {number} value
 * @returns {string}
 */
export function count(value) {
  return Number(value).toLocaleString("en-US");
}

/**
 * A count with its noun: "1 run", "2,000 runs".
 * @param {number} value
 * @param {string} noun
 * @returns {string}
 */
export function counted(value, noun) {
  return `${count(value)} ${noun}${value === 1 ? "" : "s"}`;
}

/**
 * Seconds as a person says them.
 * @param {number|null} seconds
 * @returns {string}
 */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "time left not known yet";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${(seconds / 3600).toFixed(1)} h`;
  return `${(seconds / 86400).toFixed(1)} days`;
}

/**
 * Rows as CSV in which no text begins a formula.
 * @param {string[]} columns
 * @param {any[][]} rows
 * @returns {string}
 */
export function csv(columns, rows) {
  const cell = (/** @type {any} */ value) => {
    if (value === null || value === undefined) return "";
    if (typeof value === "number") return String(value);
    let text = String(value);
    const isNumber = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$|^[+-]?(Infinity|NaN)$/i.test(text);
    if (/^[=+\-@\t\r]/.test(text) && !isNumber) text = `'${text}`;
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [columns, ...rows].map((row) => row.map(cell).join(",")).join("\n") + "\n";
}

/**
 * Where the labels of an axis of many values stand so that they do not overlap.
 * @param {number} many Number of values.
 * @param {number} room Pixels of the axis.
 * @param {number} each Pixels of a label.
 * @returns {number} Every how many values have a label.
 */
export function labelStep(many, room, each) {
  return Math.max(1, Math.ceil((many * each) / Math.max(room, 1)));
}
