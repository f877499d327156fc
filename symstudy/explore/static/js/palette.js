/**
 * Colours: those of the figures, readable in grey and to colour-blind readers.
 * @module palette
 */

/** Okabe and Ito's colours in seaborn's order, as the server's figures have them. */
let categories = ["#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc", "#ca9161", "#56b4e9", "#949494"];
const VIRIDIS = ["#440154", "#482475", "#414487", "#355f8d", "#2a788e", "#21918c", "#22a884", "#44bf70", "#7ad151", "#bddf26", "#fde725"];

/** @param {string[]} colours */
export function setPalette(colours) {
  categories = colours;
}

/** As in the style sheet: paper is never dark. */
const DARK = "screen and (prefers-color-scheme: dark)";

/** @returns {boolean} */
export function isDark() {
  return matchMedia(DARK).matches;
}

/** @param {() => void} redraw Called when colours have become others, and before and after a print. */
export function onColours(redraw) {
  for (const query of [DARK, "print"]) {
    matchMedia(query).addEventListener("change", () => {
      values.clear();
      redraw();
    });
  }
}

/**
 * @param {string} name Of a variable of the style sheet.
 * @returns {string}
 */
export function css(name) {
  const known = values.get(name);
  if (known !== undefined) return known;
  const value = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  values.set(name, value);
  return value;
}

/** Values of the style sheet: to ask the browser for one a mark takes as long as to draw it. */
const values = new Map();

/**
 * A colour between dark and light, by a number from 0 to 1.
 * @param {number} share
 * @returns {string}
 */
export function ramp(share) {
  return RAMP[Math.round(Math.min(Math.max(share, 0), 1) * (RAMP.length - 1))] ?? RAMP[0];
}

/** @param {number} share @returns {string} */
function mixed(share) {
  const place = Math.min(Math.max(share, 0), 1) * (VIRIDIS.length - 1);
  const at = Math.min(Math.floor(place), VIRIDIS.length - 2);
  const [one, other] = [VIRIDIS[at], VIRIDIS[at + 1]].map(channels);
  const colour = one.map((value, i) => Math.round(value + (other[i] - value) * (place - at)));
  return `rgb(${colour.join(",")})`;
}

/** @param {string} colour @returns {number[]} */
function channels(colour) {
  return [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16));
}

const RAMP = Array.from({ length: 1001 }, (_, at) => mixed(at / 1000));

/**
 * Whether text on a colour of the ramp must be dark.
 * @param {number} share
 */
export function isLight(share) {
  return share > 0.55;
}

/**
 * Colours of lines: categories up to four or without an order, else from light to dark.
 * @param {any[]} keys
 * @returns {string[]}
 */
export function lineColours(keys) {
  const isOrdered = keys.every((key) => typeof key === "number");
  if (keys.length <= 4 || (!isOrdered && keys.length <= categories.length)) {
    return keys.map((_, at) => categories[at % categories.length]);
  }
  const [start, end] = isDark() ? [0.28, 1] : [0.92, 0.05];
  return keys.map((_, at) => ramp(start + ((end - start) * at) / Math.max(keys.length - 1, 1)));
}
