/**
 * Panel 5: a measure against a column, a line for each value of another, with the interval over seeds.
 * @module lines
 */

import { axis, Chart, labelled, numberAxis } from "../chart.js";
import { ask } from "../api.js";
import { conditions } from "../context.js";
import { element, select } from "../dom.js";
import { number, valueText } from "../format.js";
import { css, lineColours } from "../palette.js";
import { Panel } from "../panel.js";
import { store } from "../state.js";

/** Points up to which each has a symbol, and a whisker for its interval; of more, intervals are bands. */
const MOST_SYMBOLS = 400;
/** More bands than these are drawn fainter, since they lie upon each other. */
const FEW_BANDS = 6;
const FITS = [{ value: "", text: "no law" }, { value: "power", text: "a x^b" }, { value: "power+floor", text: "c + a x^b" }, { value: "broken", text: "a x^b, broken" }];

export class Lines {
  /** @param {import("../context.js").Context} context */
  constructor(context) {
    this.context = context;
    this.panel = new Panel("lines", "Scaling", "How does the measure change along one hyperparameter?", {
      svg: () => this.chart.svg(),
      print: () => ({ filters: store.state.filters, want: { ...this.want(this.state), fit: this.state.fit } }),
    });
    this.chart = new Chart((at) => pickMark(at, context));
    this.legend = element("ul", { class: "lines-legend" });
  }

  /** @param {import("../state.js").State} state */
  update(state) {
    this.state = state;
    this.panel.offer([...this.context.offered(state), state.measure, state.x, state.by, state.fit], () => {
      const axes = this.context.axisOptions(state);
      return [
        select("measure", this.context.measureOptions(state), state.measure, (measure) => store.set({ measure })),
        select("along", axes, state.x, (x) => store.set({ x })),
        select("a line for each", [{ value: "-", text: "(one line)" }, ...axes.filter((each) => each.value !== state.x)], state.by || "-", (by) => store.set({ by })),
        select("fit", FITS, state.fit, (fit) => store.set({ fit })),
      ];
    });
  }

  /** @param {import("../state.js").State} state */
  want(state) {
    return { panel: "lines", x: state.x, by: state.by && state.by !== state.x ? state.by : null, measure: state.measure, for: state.fit };
  }

  /** @param {any} answer @param {import("../state.js").State} state */
  show(answer, state) {
    this.state = state;
    if (!this.panel.take(answer)) return;
    this.panel.place(this.chart.box, this.legend);
    const by = state.by && state.by !== state.x ? state.by : "";
    const about = { x: state.x, by, measure: state.measure, context: this.context };
    drawLines(this.chart, this.legend, answer, about);
    if (state.fit) this.fit(answer, state, about);
  }

  /** Draw the fitted laws, which take longer than the means: nothing waits for them. */
  async fit(answer, state, about) {
    const wait = element("li", { class: "soft", text: "fitting ..." });
    this.legend.append(wait);
    const want = [{ ...this.want(state), fit: state.fit }];
    const fitted = await ask(state.filters, want).then(([first]) => first, (error) => ({ error: error.message }));
    wait.remove();
    if (this.panel.answer !== answer) return;
    if (fitted.error) this.legend.append(element("li", { class: "error", text: fitted.error }));
    else if (this.panel.take(fitted)) {
      this.panel.place(this.chart.box, this.legend);
      drawLines(this.chart, this.legend, fitted, about);
    }
  }
}

/**
 * Show the runs of a mark.
 * @param {Record<string, any>} at
 * @param {import("../context.js").Context} context
 */
export function pickMark(at, context) {
  const kept = Object.keys(conditions(at, context));
  store.set({ pick: Object.fromEntries(kept.map((name) => [name, at[name]])), start: 0 });
}

/**
 * Lines of means with whiskers, the seeds' own points, and fitted laws.
 * @param {Chart} chart
 * @param {HTMLElement} legend
 * @param {any} answer
 * @param {{x: string, by: string, measure: string, context: import("../context.js").Context}} about
 */
export function drawLines(chart, legend, answer, { x, by, measure, context }) {
  const { more, rows } = answer;
  const keys = more.lines;
  const colours = lineColours(keys);
  const isCategories = more.x_form === "categories";
  const places = [...new Set(rows.map((row) => row[1]))].sort(compare);
  const place = (/** @type {any} */ value) => (isCategories ? places.indexOf(value) : value);
  const series = [];
  const marks = [];
  const drawn = new Set(keys);
  const isBare = rows.filter((row) => drawn.has(row[0])).length > MOST_SYMBOLS;
  const ofKey = new Map(keys.map((/** @type {any} */ key) => [key, []]));
  for (const row of rows) if (isCategories || row[1] !== null) ofKey.get(row[0])?.push(row);
  const bands = [];
  keys.forEach((key, k) => {
    const own = ofKey.get(key).sort((one, other) => compare(one[1], other[1]));
    const usable = own.filter((row) => !more.is_log || row[2] > 0);
    const index = series.length;
    const ends = usable.map((row) => [place(row[1]), row[3], row[4], row[2]]);
    series.push(lineSeries(usable.map((row) => [place(row[1]), row[2]]), colours[k], isBare));
    if (isBare) bands.push({ ends, colour: colours[k] });
    else series.push(whiskers(ends, colours[k], more.is_log));
    usable.forEach((row, at) => marks.push({
      series: index, index: at, place: [place(row[1]), row[2]],
      at: { [x]: row[1], ...(by ? { [by]: key } : {}) },
      get tip() { // worked out where it is shown
        return [[context.label(x), row[1]], ...(by ? [[context.label(by), key]] : []), [`${context.label(measure)}, mean`, row[2]],
          ["95 % interval over seeds", row[3] === null ? "none: one seed" : `${number(row[3])} to ${number(row[4])}`], ["seeds", row[5]], ["runs", row[6]]];
      },
    }));
    const seeds = more.seeds.filter((row) => row[0] === key && (!more.is_log || row[4] > 0));
    const at = series.length;
    if (seeds.length) series.push({ type: "scatter", silent: false, symbolSize: 4, itemStyle: { color: colours[k], opacity: 0.35 }, emphasis: { itemStyle: { opacity: 1, borderColor: css("--ink"), borderWidth: 1 } }, data: seeds.map((row) => [place(row[1]), row[4]]) });
    seeds.forEach((row, i) => marks.push({
      series: at, index: i, place: [place(row[1]), row[4]],
      at: { [x]: row[1], ...(by ? { [by]: key } : {}), study: row[2], seed: row[3] },
      tip: [[context.label(x), row[1]], ...(by ? [[context.label(by), key]] : []), ["seed", row[3]], [context.label(measure), row[4]]],
    }));
    const law = more.laws.find((/** @type {any} */ each) => each.line === key);
    if (law) series.push({ type: "line", silent: true, showSymbol: false, data: law.points, lineStyle: { color: colours[k], type: "dashed", width: 1.2 } });
  });
  if (bands.length) series.push(allBands(bands, more.is_log, keys.length > FEW_BANDS ? 0.06 : 0.16));
  const text = (/** @type {number} */ value) => number(value);
  const ys = rows.flatMap((row) => [row[2], row[3], row[4]]).filter((value) => typeof value === "number" && (!more.is_log || value > 0));
  const horizontal = isCategories
    ? axis(context.label(x), "x", { type: "category", data: places.map(valueText) })
    : labelled(numberAxis(context.label(x), "x", more.x_form === "log", places.filter((value) => value !== null), text), places.filter((value) => value !== null));
  chart.draw({ xAxis: horizontal, yAxis: numberAxis(context.label(measure), "y", more.is_log, [...ys, ...more.seeds.map((row) => row[4]).filter((value) => !more.is_log || value > 0)], text), series }, marks, isBare);
  const hasIntervals = rows.some((row) => row[3] !== null);
  const said = [hasIntervals && `${isBare ? "band" : "bar"}: 95 % interval over seeds`, more.seeds.length && "small point: one seed"].filter(Boolean).join("; ");
  legend.replaceChildren(...(by ? [element("li", { class: "soft", text: context.label(by) })] : []), ...(by || more.laws.length ? some(keys, more.laws.length ? keys.length : MOST_NAMED).map((k) => legendItem(keys[k], colours[k], by, more.laws)) : []), ...(said ? [element("li", { class: "soft", text: said })] : []));
}

/** Lines that the legend names; of more, some from first to last. */
export const MOST_NAMED = 10;

/**
 * Places of some of many keys, from the first to the last.
 * @param {any[]} keys
 * @param {number} most
 * @returns {number[]}
 */
export function some(keys, most) {
  if (keys.length <= most) return keys.map((_, k) => k);
  return Array.from({ length: most }, (_, at) => Math.round((at * (keys.length - 1)) / (most - 1)));
}

function legendItem(key, colour, by, laws) {
  const swatch = element("i", { class: "swatch" });
  swatch.style.background = colour;
  const law = laws.find((/** @type {any} */ each) => each.line === key);
  const words = [by ? valueText(key) : "", law ? law.text : ""].filter(Boolean).join(": ");
  return element("li", {}, swatch, words);
}

function lineSeries(data, colour, isBare) {
  return { type: "line", data, symbol: "circle", symbolSize: 7, showSymbol: !isBare, itemStyle: { color: colour }, lineStyle: { color: colour, width: 1.8 }, emphasis: { scale: 1.6, itemStyle: { borderColor: css("--ink"), borderWidth: 2 } }, z: 3 };
}

/** Vertical lines from one end of an interval to the other. */
function whiskers(data, colour, isLog) {
  return {
    type: "custom", silent: true, z: 2, data, encode: { x: 0, y: [3] },
    renderItem: (/** @type {any} */ _, /** @type {any} */ api) => {
      const [low, high] = [api.value(1), api.value(2)];
      if (!Number.isFinite(low) || !Number.isFinite(high)) return null;
      const [x, top] = api.coord([api.value(0), high]);
      const bottom = isLog && low <= 0 ? api.getHeight() * 2 : api.coord([api.value(0), low])[1];
      const style = { stroke: colour, lineWidth: 1.4, opacity: 0.85 };
      const line = (/** @type {any} */ shape) => ({ type: "line", shape, style });
      return { type: "group", children: [line({ x1: x, y1: top, x2: x, y2: bottom }), line({ x1: x - 4, y1: top, x2: x + 4, y2: top }), line({ x1: x - 4, y1: bottom, x2: x + 4, y2: bottom })] };
    },
    clip: true,
  };
}

/** For each line, one shape from all lower ends of intervals to all upper ends. */
function allBands(bands, isLog, opacity) {
  const shapes = bands.map(({ ends, colour }) => ({ colour, whole: ends.filter(([, low, high]) => Number.isFinite(low) && Number.isFinite(high)) })).filter(({ whole }) => whole.length);
  return {
    type: "custom", silent: true, z: 2, clip: true, data: shapes.length ? [shapes[0].whole[0]] : [], encode: { x: 0, y: [3] },
    renderItem: (/** @type {any} */ _, /** @type {any} */ api) => {
      const below = api.getHeight() * 2;
      const children = shapes.map(({ whole, colour }) => {
        const upper = whole.map(([x, , high]) => api.coord([x, high]));
        const lower = whole.map(([x, low]) => (isLog && low <= 0 ? [api.coord([x, 1])[0], below] : api.coord([x, low])));
        return { type: "polygon", shape: { points: [...upper, ...lower.reverse()] }, style: { fill: colour, opacity } };
      });
      return { type: "group", children };
    },
  };
}

/** Order of values: numbers by size, then texts, nothing last. */
export function compare(one, other) {
  if (one === other) return 0;
  if (one === null) return 1;
  if (other === null) return -1;
  if (typeof one === "number" && typeof other === "number") return one - other;
  return String(one) < String(other) ? -1 : 1;
}
