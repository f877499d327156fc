/**
 * Panel 8: learning curves of up to 50 runs: those of the mark that was clicked, or the first in view.
 * @module curves
 */

import { request } from "../api.js";
import { Chart, numberAxis } from "../chart.js";
import { conditions } from "../context.js";
import { element, select } from "../dom.js";
import { counted, number, valueText } from "../format.js";
import { css, lineColours } from "../palette.js";
import { Panel } from "../panel.js";
import { store } from "../state.js";
import { compare, MOST_NAMED, pickMark, some } from "./lines.js";

export class Curves {
  /** @param {import("../context.js").Context} context */
  constructor(context) {
    this.context = context;
    this.panel = new Panel("curves", "Learning curves", "How did single runs get there?", { svg: () => this.chart.svg() });
    this.chart = new Chart((at) => pickMark(at, context));
    this.legend = element("ul", { class: "lines-legend" });
    this.asked = 0;
    this.redraw = () => {};
  }

  /** @param {import("../state.js").State} state */
  update(state) {
    this.state = state;
    this.panel.offer([...this.context.offered(state), state.curve, state.scale], () => [
      select("measure", this.context.curveMeasures.map((name) => ({ value: name, text: this.context.label(name) })), state.curve, (curve) => store.set({ curve })),
      select("axes", [{ value: "log", text: "logarithmic" }, { value: "linear", text: "linear" }], state.scale, (scale) => store.set({ scale })),
    ]);
  }

  /** @param {import("../state.js").State} state */
  want(state) {
    const swept = this.context.swept(state);
    return { panel: "table", columns: swept, count: this.context.limits.curves, order: swept[0] ?? "seed", and: conditions(state.pick, this.context), for: [state.curve, state.scale, state.by] };
  }

  /** @param {any} answer @param {import("../state.js").State} state */
  async show(answer, state) {
    this.state = state;
    this.panel.root.removeAttribute("aria-busy");
    if (answer.error || !answer.rows.length) {
      this.panel.take({ ...answer, notes: [] });
      return;
    }
    const asked = (this.asked += 1);
    const runAt = answer.columns.indexOf("run_id");
    let found;
    try {
      found = await request("history", { runs: answer.rows.map((row) => row[runAt]), measure: state.curve });
    } catch (error) {
      found = { error: error.message };
    }
    if (asked !== this.asked) return;
    this.redraw = () => this.draw(answer, found, state);
    this.redraw();
  }

  draw(answer, found, state) {
    const isLog = state.scale !== "linear";
    const byRun = new Map(answer.rows.map((row) => [row[answer.columns.indexOf("run_id")], Object.fromEntries(answer.columns.map((name, i) => [name, row[i]]))]));
    const curves = found.error ? [] : found.curves;
    const rows = curves.flatMap((curve) => curve.points.map(([step, value]) => [curve.study, curve.run_id, step, value]));
    const isDrawn = (step, value) => typeof value === "number" && (!isLog || (step > 0 && value > 0));
    const left = rows.filter((row) => !isDrawn(row[2], row[3]));
    const notes = [];
    if (answer.more.total > curves.length) notes.push(`${curves.length} of ${answer.more.total.toLocaleString("en-US")} runs in view: click a mark of another panel, or filter, to see others.`);
    const unfinished = left.filter((row) => typeof row[3] !== "number").length;
    if (unfinished) notes.push(`Not drawn: ${counted(unfinished, "probe")} without a finite value.`);
    if (left.length > unfinished) notes.push(`No place on logarithmic axes: ${counted(left.length - unfinished, "probe")} at step 0, or at a value of 0 or below.`);
    const sql = `select study, run_id, step, "${state.curve}" as value from history\nwhere run_id in (${[...byRun.keys()].map((id) => `'${id.replaceAll("'", "''")}'`).join(", ")})\norder by study, run_id, step`;
    if (!this.panel.take({ sql, columns: ["study", "run_id", "step", state.curve], rows, notes, more: {}, error: found.error })) return;
    if (left.length === rows.length) {
      this.panel.say(isLog ? "No probe has a value above 0 at a step above 0. Choose linear axes." : "No probe has a finite value.");
      return;
    }
    this.panel.place(this.chart.box, this.legend);
    this.lines(curves, byRun, isDrawn, isLog, state);
  }

  lines(curves, byRun, isDrawn, isLog, state) {
    const keyOf = (/** @type {string} */ id) => (state.by ? byRun.get(id)?.[state.by] : null);
    const keys = [...new Set(curves.map((curve) => keyOf(curve.run_id) ?? null))].sort(compare);
    const colours = lineColours(keys);
    const marks = [];
    const all = [];
    const series = curves.map((curve, at) => {
      const colour = colours[keys.indexOf(keyOf(curve.run_id) ?? null)];
      const points = curve.points.filter(([step, value]) => isDrawn(step, value));
      all.push(...points);
      points.forEach((point, index) => marks.push({ series: at, index, place: point, at: byRun.get(curve.run_id) ?? {}, tip: [...Object.entries(byRun.get(curve.run_id) ?? {}).filter(([name]) => name !== "pack_id").map(([name, value]) => [this.context.label(name), value]), ["step", point[0]], [this.context.label(state.curve), point[1]]] }));
      return { type: "line", data: points, symbol: "circle", symbolSize: 4, showSymbol: true, itemStyle: { color: colour, opacity: 0.9 }, lineStyle: { color: colour, width: 1.2, opacity: 0.75 }, emphasis: { lineStyle: { width: 3, opacity: 1 }, itemStyle: { borderColor: css("--ink"), borderWidth: 1 } } };
    });
    this.chart.draw({
      xAxis: numberAxis("step", "x", isLog, all.map((point) => point[0]), number),
      yAxis: numberAxis(this.context.label(state.curve), "y", isLog, all.map((point) => point[1]), number), series,
    }, marks);
    this.legend.replaceChildren(...(state.by && keys.length ? [element("li", { class: "soft", text: this.context.label(state.by) }), ...some(keys, MOST_NAMED).map((k) => item(colours[k], valueText(keys[k])))] : []));
  }
}

function item(colour, text) {
  const swatch = element("i", { class: "swatch" });
  swatch.style.background = colour;
  return element("li", {}, swatch, text);
}
