/**
 * The one store of what is looked at. It is the address of the page: a link restores the view.
 * @module state
 */

/**
 * @typedef {{values?: any[], low?: number|null, high?: number|null}} Condition
 * @typedef {Object} State
 * @property {Record<string, Condition>} filters What is looked at, by column.
 * @property {Record<string, any>} pick Values of the mark whose runs are shown.
 * @property {string} measure
 * @property {string} x
 * @property {string} by
 * @property {string} gx
 * @property {string} gy
 * @property {string} sx
 * @property {string} sy
 * @property {string} cx Axis of the comparison of studies.
 * @property {string} fit
 * @property {string} curve Measure of the learning curves.
 * @property {string} scale `log` or `linear`: axes of the learning curves.
 * @property {string} claim `study/claim` of the open verdict.
 * @property {string} order Column that runs are sorted by.
 * @property {string} falls `1` where from the largest.
 * @property {number} start First row of the run table.
 * @property {string[]} more Columns with a filter of their own beside the swept ones.
 * @property {string} sql
 */

/** @type {State} */
const EMPTY = {
  filters: {}, pick: {}, measure: "", x: "", by: "", gx: "", gy: "", sx: "", sy: "", cx: "", fit: "",
  curve: "", scale: "log", claim: "", order: "", falls: "", start: 0, more: [], sql: "",
};
const OBJECTS = ["filters", "pick", "more"];

/**
 * @param {string} address What follows # in the address.
 * @returns {State}
 */
export function parse(address) {
  const state = structuredClone(EMPTY);
  for (const [key, text] of new URLSearchParams(address.replace(/^#/, ""))) {
    if (!(key in EMPTY)) continue;
    if (OBJECTS.includes(key)) {
      try {
        const value = JSON.parse(text);
        const isList = Array.isArray(value);
        if (value && typeof value === "object" && isList === Array.isArray(EMPTY[key])) state[key] = value;
      } catch { /* a damaged link shows what it can */ }
    } else if (typeof EMPTY[key] === "number") {
      state[key] = Math.max(0, Math.floor(Number(text))) || 0;
    } else state[key] = text;
  }
  return state;
}

/**
 * @param {State} state
 * @returns {string}
 */
export function format(state) {
  const parameters = new URLSearchParams();
  for (const [key, value] of Object.entries(state)) {
    const isEmpty = JSON.stringify(value) === JSON.stringify(EMPTY[key]);
    if (!isEmpty) parameters.set(key, OBJECTS.includes(key) ? JSON.stringify(value) : String(value));
  }
  return parameters.toString();
}

/** The store. */
class Store {
  constructor() {
    /** @type {State} */
    this.state = parse(location.hash);
    /** @type {((state: State) => void)[]} */
    this.listeners = [];
    addEventListener("hashchange", () => {
      if (this.read()) this.tell();
    });
  }

  /** Take the address as it is; returns whether it says something else. */
  read() {
    const now = parse(location.hash);
    const isOther = format(now) !== format(this.state);
    this.state = now;
    return isOther;
  }

  /** @param {(state: State) => void} listener */
  subscribe(listener) {
    this.listeners.push(listener);
  }

  /**
   * Change what is looked at.
   * @param {Partial<State>} change
   * @param {boolean} [isStep] Whether the browser's back button returns to before.
   */
  set(change, isStep = true) {
    const before = format(this.state);
    this.state = { ...this.state, ...change };
    const now = format(this.state);
    if (now === before) return;
    history[isStep ? "pushState" : "replaceState"](null, "", `#${now}`);
    this.tell();
  }

  /**
   * Set or clear the filter of a column.
   * @param {string} column
   * @param {Condition|null} condition
   * @param {boolean} [isStep]
   */
  filter(column, condition, isStep = true) {
    const filters = { ...this.state.filters };
    if (condition === null) delete filters[column];
    else filters[column] = condition;
    this.set({ filters, start: 0 }, isStep);
  }

  tell() {
    for (const listener of this.listeners) listener(this.state);
  }
}

export const store = new Store();
