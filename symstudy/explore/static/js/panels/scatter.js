/**
 * Panel 6: any two columns: a point a run, or colours of their number where there are many.
 * @module scatter
 */

import { axis, Chart, numberAxis } from "../chart.js";
import { element, select } from "../dom.js";
import { count, number, valueText } from "../format.js";
import { css, lineColours, ramp } from "../palette.js";
import { Panel } from "../panel.js";
import { store } from "../state.js";
import { compare, MOST_NAMED, pickMark, some } from "./lines.js";

export class Scatter {
  /** @param {import("../context.js").Context} context */
  constructor(context) {
    this.context = context;
    this.panel = new Panel("scatter", "Any two columns", "Do two quantities go together across runs?", {
      svg: () => this.chart.svg(),
      print: () => ({ filters: store.state.filters, want: this.want(this.state) }),
    });
    this.chart = new Chart((at) => pickMark(at, context));
    this.legend = element("ul", { class: "lines-legend" });
  }

  /** @param {import("../state.js").State} state */
  update(state) {
    this.state = state;
    this.panel.offer([...this.context.offered(state), state.sx, state.sy], () => {
      const options = this.context.options((each) => each.kind !== "text" || each.is_swept || each.name === "outcome", state);
      return [
        select("across", options, state.sx, (sx) => store.set({ sx })),
        select("up", options, state.sy, (sy) => store.set({ sy })),
      ];
    });
  }

  /** @param {import("../state.js").State} state */
  want(state) {
    return { panel: "scatter", x: state.sx, y: state.sy, by: state.by || null };
  }

  /** @param {any} answer @param {import("../state.js").State} state */
  show(answer, state) {
    this.state = state;
    if (!this.panel.take(answer)) return;
    this.panel.place(this.chart.box, this.legend);
    if (answer.more.form === "density") this.density(answer, state);
    else this.points(answer, state);
  }

  points({ columns, rows, more }, state) {
    const [i, j, b] = [state.sx, state.sy, state.by].map((name) => columns.indexOf(name));
    const keys = b < 0 ? [null] : [...new Set(rows.map((row) => row[b]))].sort(compare);
    const colours = lineColours(keys);
    const [px, py] = more.axes.map(placer);
    const marks = [];
    const series = keys.map((key, k) => {
      const own = b < 0 ? rows : rows.filter((row) => row[b] === key);
      own.forEach((row, at) => marks.push({
        series: k, index: at, place: [px(row[i]), py(row[j])], at: Object.fromEntries(columns.map((name, c) => [name, row[c]])),
        tip: columns.map((name, c) => [this.context.label(name), row[c]]).filter(([name]) => name !== "pack id"),
      }));
      return { type: "scatter", symbolSize: rows.length > 800 ? 5 : 7, itemStyle: { color: colours[k], opacity: 0.6 }, emphasis: { scale: 1.8, itemStyle: { opacity: 1, borderColor: css("--ink"), borderWidth: 2 } }, data: own.map((row) => [px(row[i]), py(row[j])]) };
    });
    this.chart.draw({ xAxis: this.axis("x", state.sx, more.axes[0], rows.map((row) => row[i])), yAxis: this.axis("y", state.sy, more.axes[1], rows.map((row) => row[j])), series }, marks);
    this.legend.replaceChildren(...(b < 0 ? [] : [element("li", { class: "soft", text: this.context.label(state.by) }), ...some(keys, MOST_NAMED).map((k) => swatchItem(colours[k], valueText(keys[k])))]));
  }

  density({ rows, more }, state) {
    const most = Math.max(...rows.map((row) => row[2]));
    const sides = more.axes.map((form, side) => places(form, rows.map((row) => row[side])));
    const [xs, ys] = sides.map((side) => side.labels);
    const data = rows.map(([x, y, runs]) => [sides[0].at(x), sides[1].at(y), runs]);
    const shade = (/** @type {number} */ runs) => ramp(Math.log1p(runs) / Math.log1p(most));
    const marks = rows.map((row, index) => ({
      series: 0, index, place: [data[index][0], data[index][1]], at: {},
      tip: [[this.context.label(state.sx), xs[data[index][0]]], [this.context.label(state.sy), ys[data[index][1]]], ["runs", count(row[2])]],
    }));
    const side = (side, name, labels) => axis(this.context.label(name), side, { type: "category", data: labels, splitLine: { show: false }, axisLabel: { interval: Math.ceil(labels.length / 7) - 1, formatter: (/** @type {string} */ text) => text.split(" to ")[0] } });
    this.chart.draw({
      xAxis: side("x", state.sx, xs), yAxis: side("y", state.sy, ys),
      series: [{ type: "heatmap", data: data.map((row) => ({ value: row, itemStyle: { color: shade(row[2]) } })), emphasis: { itemStyle: { borderColor: css("--ink"), borderWidth: 1 } } }],
      visualMap: { show: false, min: 0, max: most, inRange: { color: [ramp(0)] }, seriesIndex: [] },
    }, marks);
    this.legend.replaceChildren(element("li", { class: "soft", text: "runs in a field" }), ...[1, Math.round(Math.sqrt(most)), most].map((runs) => swatchItem(shade(runs), count(runs))));
  }

  axis(side, name, form, values) {
    if (form.form === "categories") return axis(this.context.label(name), side, { type: "category", data: form.values.filter((value) => value !== null).map(valueText) });
    return numberAxis(this.context.label(name), side, form.form === "log", values, number);
  }
}

function placer(form) {
  if (form.form !== "categories") return (/** @type {any} */ value) => value;
  const values = form.values.filter((/** @type {any} */ value) => value !== null);
  return (/** @type {any} */ value) => values.indexOf(value);
}

/** Labels of the fields along one side, and where a value is; 0 and below have a field of their own. */
function places(form, values) {
  if (form.form !== "bins") return { labels: form.values.map(valueText), at: (/** @type {any} */ value) => form.values.indexOf(value) };
  const shift = values.includes(-1) ? 1 : 0;
  return { labels: [...(shift ? ["0 or below"] : []), ...binLabels(form.edges)], at: (/** @type {number} */ value) => value + shift };
}

function binLabels(edges) {
  return edges.slice(0, -1).map((/** @type {number} */ low, /** @type {number} */ at) => `${number(low)} to ${number(edges[at + 1])}`);
}

function swatchItem(colour, text) {
  const swatch = element("i", { class: "swatch" });
  swatch.style.background = colour;
  return element("li", {}, swatch, text);
}
