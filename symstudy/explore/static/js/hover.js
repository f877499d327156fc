/**
 * Hover of a run or a cell, in every panel: marks that agree with it in the columns they share.
 * @module hover
 */

import { element, printable } from "./dom.js";
import { valueText } from "./format.js";

/** @typedef {Record<string, any>} At Values of a mark, by column. */

/** @type {((at: At|null) => void)[]} */
const listeners = [];
/** @type {At|null} */
let now = null;

/** @param {(at: At|null) => void} listener */
export function onHover(listener) {
  listeners.push(listener);
}

/** @param {At|null} at */
export function hover(at) {
  if (at === now) return;
  now = at;
  for (const listener of listeners) listener(at);
}

/** Columns that tell single runs apart, and say nothing of a mark of several. */
const OWN = ["run_id", "pack_id"];

/**
 * Whether a mark agrees with what is hovered in all columns that both have, one at least.
 * @param {At} mark
 * @param {At|null} at
 * @returns {boolean}
 */
export function agrees(mark, at) {
  if (!at) return false;
  if (mark.run_id !== undefined && at.run_id !== undefined) return mark.run_id === at.run_id;
  let shared = 0;
  for (const [column, value] of Object.entries(mark)) {
    if (OWN.includes(column) || !(column in at)) continue;
    if (at[column] !== value) return false;
    shared += column === "study" ? 0 : 1;
  }
  return shared > 0;
}

const tip = () => /** @type {HTMLElement} */ (document.getElementById("tip"));

/**
 * Show text beside a place of the window.
 * @param {number} x
 * @param {number} y
 * @param {[string, any][]} pairs Names and values.
 * @param {string} [hint]
 */
export function showTip(x, y, pairs, hint = "") {
  const list = element("dl");
  for (const [name, value] of pairs) list.append(element("dt", { text: name }), element("dd", { text: valueText(value) }));
  const box = tip();
  box.replaceChildren(list, ...(hint ? [element("p", { text: printable(hint) })] : []));
  box.hidden = false;
  const { width, height } = box.getBoundingClientRect();
  const left = x + 14 + width > innerWidth ? x - width - 14 : x + 14;
  const above = y + 14 + height > innerHeight ? y - height - 14 : y + 14;
  box.style.left = `${Math.max(4, left)}px`;
  box.style.top = `${Math.max(4, above)}px`;
}

export function hideTip() {
  tip().hidden = true;
}
