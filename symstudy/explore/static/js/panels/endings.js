/**
 * Panel 9: how runs ended, by reason, what is missing included, with the line to type.
 * @module endings
 */

import { button, element } from "../dom.js";
import { counted } from "../format.js";
import { hover } from "../hover.js";
import { Panel } from "../panel.js";
import { store } from "../state.js";

export class Endings {
  /** @param {import("../context.js").Context} context */
  constructor(context) {
    this.context = context;
    this.panel = new Panel("endings", "How runs ended", "Which runs failed, why, and what to type to train them again?");
  }

  update() {}

  want() {
    return { panel: "endings" };
  }

  /** @param {any} answer */
  show(answer) {
    if (!this.panel.take(answer)) return;
    const most = Math.max(...answer.rows.map((row) => row[3]));
    this.panel.body.replaceChildren(element("ul", { class: "endings" }, ...answer.rows.map((row, at) => this.row(row, answer.more.type[at], most))));
  }

  /** @param {any[]} row @param {string} line @param {number} most */
  row([study, outcome, reason, runs], line, most) {
    const bar = element("i", { class: `bar ${{ done: "done", stopped: "stopped", missing: "missing" }[outcome] ?? "failed"}` });
    bar.style.width = `${Math.max(1, (100 * runs) / most)}%`;
    const at = { study, outcome, ...(reason ? { reason } : {}) };
    const typed = line.replace("RESULTS", this.context.location.includes(" ") ? `'${this.context.location}'` : this.context.location);
    const show = () => store.set({ pick: at, start: 0 });
    return element("li", { onpointerenter: () => hover({ study, outcome }), onpointerleave: () => hover(null) },
      element("div", { class: "what" }, element("strong", { text: outcome }), element("span", { text: study }), element("span", { class: "n", text: counted(runs, "run") }),
        outcome === "missing" ? null : button("show runs", show)),
      element("div", { class: "track" }, bar),
      reason ? element("p", { class: "reason", text: reason }) : null,
      line ? element("p", { class: "type" }, element("code", { text: typed }), button("copy", () => navigator.clipboard?.writeText(typed))) : null);
  }
}
