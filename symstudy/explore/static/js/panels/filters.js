/**
 * Panel 3: the study picker, and a histogram for each filter; a histogram ignores its own filter.
 * @module filters
 */

import { element, select } from "../dom.js";
import { count } from "../format.js";
import { store } from "../state.js";
import { Histogram } from "./histogram.js";

export class Filters {
  /**
   * @param {HTMLElement} root
   * @param {import("../context.js").Context} context
   * @param {import("../dashboard.js").Dashboard} dashboard
   */
  constructor(root, context, dashboard) {
    this.context = context;
    this.dashboard = dashboard;
    this.studies = element("fieldset", { class: "studies" });
    this.list = element("div", { class: "histograms" });
    this.add = element("div", {});
    /** @type {Map<string, {histogram: Histogram, member: any}>} */
    this.shown = new Map();
    root.append(element("h2", { text: "Filters" }), this.studies, this.list, this.add);
  }

  /** @param {import("../state.js").State} state */
  update(state) {
    this.updateStudies(state);
    const wanted = [...new Set([...this.context.swept(state), state.measure, "outcome", "seed", ...state.more, ...Object.keys(state.filters)])]
      .filter((name) => name !== "study" && this.context.columns.has(name));
    for (const [name, { member, histogram }] of this.shown) {
      if (wanted.includes(name)) continue;
      this.dashboard.remove(member);
      histogram.root.remove();
      this.shown.delete(name);
    }
    for (const name of wanted) {
      if (!this.shown.has(name)) {
        const histogram = new Histogram(name, this.context);
        const member = { root: histogram.root, want: () => ({ panel: "histogram", column: name }), show: (answer, now) => histogram.show(answer, now), isEarly: true };
        this.shown.set(name, { histogram, member });
      }
      const { histogram, member } = /** @type {any} */ (this.shown.get(name));
      if (!this.dashboard.members.includes(member)) this.dashboard.add(member);
      histogram.update(state);
    }
    const roots = wanted.map((name) => /** @type {any} */ (this.shown.get(name)).histogram.root);
    if (roots.some((root, at) => this.list.children[at] !== root)) this.list.replaceChildren(...roots);
    const key = JSON.stringify([...this.context.offered(state), wanted]);
    if (key !== this.offered) this.offer(wanted, state);
    this.offered = key;
  }

  /** Offer the columns that have no histogram yet. */
  offer(wanted, state) {
    const options = this.context.options((each) => !wanted.includes(each.name) && !["run_id", "cell_id", "config", "study"].includes(each.name), state);
    this.add.replaceChildren(select("Filter by", [{ value: "", text: "another column ..." }, ...options], "", (value) => value && store.set({ more: [...store.state.more, value] })));
  }

  /** @param {import("../state.js").State} state */
  updateStudies(state) {
    const { studies } = this.context;
    this.studies.replaceChildren(element("legend", { text: studies.length > 1 ? "Studies" : "Study" }));
    const chosen = this.context.chosenStudies(state);
    for (const study of studies) {
      const toggle = () => {
        const now = chosen.includes(study.name) ? chosen.filter((name) => name !== study.name) : [...chosen, study.name];
        store.filter("study", now.length === studies.length || !now.length ? null : { values: now });
      };
      this.studies.append(element("label", { title: study.title },
        studies.length > 1 ? element("input", { type: "checkbox", checked: chosen.includes(study.name), onchange: toggle }) : null,
        element("span", { text: study.name }), element("span", { class: "soft", text: count(study.runs) })));
    }
  }
}
