/**
 * Panel 10, first part: the studies in view beside each other, along an axis that they share.
 * @module compare
 */

import { Chart } from "../chart.js";
import { button, element, select } from "../dom.js";
import { Panel } from "../panel.js";
import { store } from "../state.js";
import { drawLines, pickMark } from "./lines.js";

export class Compare {
  /** @param {import("../context.js").Context} context */
  constructor(context) {
    this.context = context;
    this.panel = new Panel("compare", "Studies beside each other", "Do studies agree where they share settings?", { wide: true, svg: () => this.chart.svg(), print: () => ({ filters: store.state.filters, want: this.want(this.state) ?? {} }) });
    this.chart = new Chart((at) => pickMark(at, context));
    this.legend = element("ul", { class: "lines-legend" });
  }

  /** @param {import("../state.js").State} state */
  update(state) {
    this.state = state;
    this.panel.root.hidden = this.context.studies.length < 2;
    if (this.context.chosenStudies(state).length < 2) {
      this.panel.offer([], () => []);
      this.panel.answer = null;
      this.panel.notes.replaceChildren();
      this.panel.body.replaceChildren(element("p", { class: "empty" }, "One study is in view. ", button("show all studies", () => store.filter("study", null))));
      return;
    }
    this.panel.offer([...this.context.offered(state), state.measure, state.cx], () => [
      select("measure", this.context.measureOptions(state), state.measure, (measure) => store.set({ measure })),
      select("along", this.context.axisOptions(state), state.cx, (cx) => store.set({ cx })),
    ]);
  }

  /** @param {import("../state.js").State} state */
  want(state) {
    if (this.context.chosenStudies(state).length < 2) return null;
    return { panel: "lines", x: state.cx, by: "study", measure: state.measure };
  }

  /** @param {any} answer @param {import("../state.js").State} state */
  show(answer, state) {
    if (!this.panel.take(answer)) return;
    this.panel.place(this.chart.box, this.legend);
    drawLines(this.chart, this.legend, answer, { x: state.cx, by: "study", measure: state.measure, context: this.context });
  }
}
