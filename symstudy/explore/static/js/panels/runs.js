/**
 * Panel 10, second part: the runs as a table, a page at a time.
 * @module runs
 */

import { conditions } from "../context.js";
import { button, element } from "../dom.js";
import { count, valueText } from "../format.js";
import { agrees, hover, onHover } from "../hover.js";
import { Panel } from "../panel.js";
import { store } from "../state.js";

const PAGE = 25;

export class Runs {
  /** @param {import("../context.js").Context} context */
  constructor(context) {
    this.context = context;
    this.panel = new Panel("runs", "Runs", "Every run in view: click a heading to sort, a row to see its learning curve.", { wide: true });
    /** @type {{at: Record<string, any>, node: HTMLElement}[]} */
    this.rows = [];
    onHover((at) => this.rows.forEach((row) => row.node.classList.toggle("lit", agrees(row.at, at))));
  }

  update() {}

  /** @param {import("../state.js").State} state */
  want(state) {
    const columns = [...new Set([...this.context.swept(state), state.measure, state.sx, state.sy, ...state.more, "reason"])].filter((name) => this.context.columns.has(name));
    const order = this.context.columns.has(state.order) ? state.order : null;
    return { panel: "table", columns, count: PAGE, start: state.start, order, falls: state.falls === "1", and: conditions(state.pick, this.context) };
  }

  /** @param {any} answer @param {import("../state.js").State} state */
  show(answer, state) {
    const isShown = this.panel.take(answer);
    if (!isShown && !answer.error && state.start > 0) {
      this.panel.body.append(button("go to the first page", () => store.set({ start: 0 })));
    }
    if (!isShown) return;
    const { columns, rows, more } = answer;
    const shown = columns.filter((name) => name !== "pack_id");
    // By the column: NaN and nothing stand under the numbers too.
    const isNumber = (/** @type {string} */ name) => this.context.columns.get(name)?.kind === "number";
    const head = shown.map((name) => {
      const isOrder = state.order === name;
      const turn = () => store.set({ order: name, falls: isOrder && state.falls !== "1" ? "1" : "", start: 0 });
      return element("th", { class: isNumber(name) ? "n" : "", "aria-sort": isOrder ? (state.falls === "1" ? "descending" : "ascending") : "none", title: this.context.meaning(name) },
        button(this.context.label(name) + (isOrder ? (state.falls === "1" ? " ↓" : " ↑") : ""), turn, { class: "quiet" }));
    });
    this.rows = rows.map((row) => {
      const at = Object.fromEntries(columns.map((name, i) => [name, row[i]]));
      const pick = () => store.set({ pick: { run_id: at.run_id } });
      const node = element("tr", {
        tabindex: "0", onpointerenter: () => hover(at), onpointerleave: () => hover(null), onfocus: () => hover(at), onblur: () => hover(null), onclick: pick,
        onkeydown: (/** @type {KeyboardEvent} */ event) => this.onKey(event, pick),
      }, ...shown.map((name) => element("td", { class: isNumber(name) ? "n" : name === "run_id" ? "id" : "", text: valueText(at[name]), title: String(at[name] ?? "") })));
      return { at, node };
    });
    this.panel.body.replaceChildren(
      element("div", { class: "scroll" }, element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...this.rows.map((row) => row.node)))),
      this.pager(more, rows.length));
  }

  /** @param {KeyboardEvent} event @param {() => void} pick */
  onKey(event, pick) {
    const row = /** @type {HTMLElement} */ (event.currentTarget);
    const other = { ArrowDown: row.nextElementSibling, ArrowUp: row.previousElementSibling }[event.key];
    if (event.key === "Enter") pick();
    else if (other) {
      event.preventDefault();
      /** @type {HTMLElement} */ (other).focus();
    }
  }

  /** @param {{total: number, start: number}} more @param {number} many */
  pager({ total, start }, many) {
    return element("p", { class: "pager" },
      button("previous", () => store.set({ start: Math.max(0, start - PAGE) }), { disabled: start === 0 }),
      element("span", { text: `${count(start + 1)} to ${count(start + many)} of ${count(total)}` }),
      button("next", () => store.set({ start: start + PAGE }), { disabled: start + many >= total }));
  }
}
