/**
 * ECharts in a panel: size, theme, hover, keyboard, and SVG.
 * @module chart
 */

import { element } from "./dom.js";
import { agrees, hideTip, hover, onHover, showTip } from "./hover.js";
import { css } from "./palette.js";

/* global echarts */

/** Pixels from a mark within which it is pointed at. */
const NEAR = 24;

/** @type {Promise<void>|null} */
let library = null;

/** Load ECharts once something is drawn with it: a megabyte that the first histograms do not wait for. */
function load() {
  library ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = new URL("../vendor/echarts.min.js", import.meta.url).href;
    script.onload = () => resolve();
    script.onerror = () => {
      library = null;
      reject(new Error("The explorer does not answer: its charts could not be loaded. Type symstudy explore again."));
    };
    document.head.append(script);
  });
  return library;
}

/**
 * @typedef {Object} Mark
 * @property {number} series
 * @property {number} index
 * @property {Record<string, any>} at
 * @property {[string, any][]} tip
 * @property {[any, any]} place Values on both axes.
 */

export class Chart {
  /**
   * @param {(at: Record<string, any>) => void} onPick
   * @param {number} [height]
   */
  constructor(onPick, height = 340) {
    this.onPick = onPick;
    this.box = element("div", { class: "chart", tabindex: "0", role: "application", "aria-label": "Chart: arrow keys go from mark to mark, Enter shows its runs, Esc leaves" });
    this.box.style.height = `${height}px`;
    /** @type {any} */
    this.chart = null;
    /** @type {any} */
    this.option = null;
    /** @type {Mark[]} */
    this.marks = [];
    this.at = -1;
    new ResizeObserver(() => this.fit()).observe(this.box);
    onHover((at) => this.highlight(at));
    this.box.addEventListener("keydown", (event) => this.onKey(event));
    this.box.addEventListener("blur", () => this.leave());
  }

  start() {
    if (this.chart) return;
    this.chart = echarts.init(this.box, null, { renderer: "canvas" });
    this.chart.on("mouseover", (event) => !this.isBare && this.enter(this.markOf(event), event.event?.event));
    this.chart.on("mouseout", () => !this.isBare && this.leave());
    this.chart.on("click", (event) => {
      if (this.isBare) return;
      const mark = this.markOf(event);
      if (mark) this.onPick(mark.at);
    });
    const zr = this.chart.getZr();
    zr.on("mousemove", (event) => {
      if (!this.isBare) return;
      const mark = this.nearest(event);
      if (mark === this.near) return;
      this.near = mark;
      if (mark) this.enter(mark, event.event);
      else this.leave();
    });
    zr.on("click", (event) => {
      const mark = this.isBare && this.nearest(event);
      if (mark) this.onPick(mark.at);
    });
    zr.on("globalout", () => {
      if (this.isBare && this.near) this.leave();
      this.near = undefined;
    });
  }

  /** Take the size of the box, where it is another: to draw twice takes twice as long. */
  fit() {
    const { clientWidth, clientHeight } = this.box;
    if (this.chart && (this.chart.getWidth() !== clientWidth || this.chart.getHeight() !== clientHeight)) this.chart.resize();
  }

  /**
   * The mark next to a place, where marks have no symbols of their own to point at.
   * @param {{offsetX: number, offsetY: number}} event
   * @returns {Mark|undefined}
   */
  nearest({ offsetX, offsetY }) {
    let [found, least] = [undefined, NEAR ** 2];
    for (const mark of this.marks) {
      const [x, y] = this.chart.convertToPixel({ gridIndex: 0 }, mark.place);
      const far = (x - offsetX) ** 2 + (y - offsetY) ** 2;
      if (far < least) [found, least] = [mark, far];
    }
    return found;
  }

  /** @param {any} event @returns {Mark|undefined} */
  markOf(event) {
    return this.byPlace.get(`${event.seriesIndex}/${event.dataIndex}`);
  }

  /**
   * Draw.
   * @param {any} option
   * @param {Mark[]} marks
   * @param {boolean} [isBare] Whether marks have no symbols: the nearest one is pointed at then.
   */
  draw(option, marks, isBare = false) {
    this.marks = marks;
    this.isBare = isBare;
    this.near = undefined;
    this.byPlace = new Map(marks.map((mark) => [`${mark.series}/${mark.index}`, mark]));
    this.option = { ...base(), ...option };
    if (typeof echarts !== "undefined") this.show();
    else load().then(() => this.show(), (error) => this.box.replaceChildren(element("p", { class: "error", text: error.message })));
  }

  show() {
    this.start();
    this.fit();
    this.chart.setOption(this.option, { notMerge: true });
  }

  /** @param {Mark|undefined} mark @param {MouseEvent} [event] */
  enter(mark, event) {
    if (!mark || !this.chart) return;
    const box = this.box.getBoundingClientRect();
    const [x, y] = this.chart.convertToPixel({ seriesIndex: mark.series }, mark.place) ?? [0, 0];
    showTip(event?.clientX ?? box.left + x, event?.clientY ?? box.top + y, mark.tip, "Click or Enter: its runs and learning curves");
    hover(mark.at);
  }

  leave() {
    hideTip();
    hover(null);
  }

  /** @param {Record<string, any>|null} at */
  highlight(at) {
    if (!this.chart) return;
    this.chart.dispatchAction({ type: "downplay" });
    if (!at) return;
    const found = new Map();
    for (const mark of this.marks) {
      if (!agrees(mark.at, at)) continue;
      if (!found.has(mark.series)) found.set(mark.series, []);
      found.get(mark.series).push(mark.index);
    }
    for (const [seriesIndex, dataIndex] of found) this.chart.dispatchAction({ type: "highlight", seriesIndex, dataIndex });
  }

  /** @param {KeyboardEvent} event */
  onKey(event) {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step && this.marks.length) {
      event.preventDefault();
      this.at = (this.at + step + this.marks.length) % this.marks.length;
      this.enter(this.marks[this.at]);
    } else if (event.key === "Enter" && this.marks[this.at]) this.onPick(this.marks[this.at].at);
    else if (event.key === "Escape") this.leave();
  }

  /** @returns {string} */
  svg() {
    if (!this.chart) return "";
    const twin = echarts.init(null, null, { renderer: "svg", ssr: true, width: this.box.clientWidth || 800, height: this.box.clientHeight });
    twin.setOption({ ...this.option, animation: false, backgroundColor: css("--paper") });
    const content = twin.renderToSVGString();
    twin.dispose();
    return content;
  }
}

/** What all charts share. */
function base() {
  return {
    animation: false,
    textStyle: { fontFamily: css("--sans"), color: css("--ink") },
    grid: { left: 64, right: 20, top: 16, bottom: 48, containLabel: false },
  };
}

/**
 * An axis.
 * @param {string} name
 * @param {"x"|"y"} side
 * @param {any} more
 */
export function axis(name, side, more) {
  const soft = css("--soft");
  return {
    name,
    nameLocation: "middle",
    nameGap: side === "x" ? 30 : 48,
    nameTextStyle: { color: css("--ink"), fontSize: 12 },
    axisLabel: { color: soft, fontSize: 11, hideOverlap: true, ...more.axisLabel },
    axisLine: { show: true, lineStyle: { color: css("--line-strong") } },
    axisTick: { show: true, lineStyle: { color: css("--line-strong") } },
    splitLine: { show: side === "y", lineStyle: { color: css("--line") } },
    ...Object.fromEntries(Object.entries(more).filter(([key]) => key !== "axisLabel")),
  };
}

/**
 * Labelled values of a logarithmic axis: powers of ten, with 2 and 5 between where these are few.
 * @param {number} low
 * @param {number} high
 * @returns {number[]}
 */
function logTicks(low, high) {
  const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  const decades = Math.log10(high / low);
  const each = Math.max(1, Math.ceil(decades / 7));
  const steps = decades < 0.7 ? [1, 1.5, 2, 3, 4, 5, 6, 8] : decades < 3.2 ? [1, 2, 5] : [1];
  const ticks = [];
  for (let power = first; power <= last; power += 1) {
    if (steps.length === 1 && power % each) continue;
    for (const step of steps) ticks.push(Number((step * 10 ** power).toPrecision(6)));
  }
  const inside = ticks.filter((tick) => tick >= low && tick <= high);
  return inside.length > 2 ? inside : evenTicks(low, high);
}

/**
 * Round values, evenly spaced, where a range is too narrow for 1, 2 and 5.
 * @param {number} low
 * @param {number} high
 * @returns {number[]}
 */
function evenTicks(low, high) {
  const rough = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((each) => each * power >= rough) ?? 10);
  const ticks = [];
  for (let at = Math.ceil(low / step); at * step <= high; at += 1) ticks.push(Number((at * step).toPrecision(6)));
  return ticks.length ? ticks : [low, high];
}

/**
 * A logarithmic or linear axis around positive numbers.
 * @param {string} name
 * @param {"x"|"y"} side
 * @param {boolean} isLog
 * @param {number[]} values
 * @param {(value: number) => string} text
 */
export function numberAxis(name, side, isLog, values, text) {
  const finite = values.filter((value) => Number.isFinite(value));
  const least = Math.min(...finite);
  const most = Math.max(...finite);
  if (isLog) {
    const ticks = logTicks(least / 1.15, most * 1.15);
    return axis(name, side, { type: "log", min: least / 1.15, max: most * 1.15, axisTick: { show: true, customValues: ticks, lineStyle: { color: css("--line-strong") } }, axisLabel: { formatter: text, customValues: ticks } });
  }
  return axis(name, side, { type: "value", scale: true, axisLabel: { formatter: text } });
}

/**
 * An axis with labels at the values that were swept, where these are few.
 * @param {any} made An axis of numbers.
 * @param {number[]} values
 */
export function labelled(made, values) {
  const distinct = [...new Set(values)];
  if (distinct.length > 12) return made;
  return { ...made, axisTick: { ...made.axisTick, customValues: distinct }, axisLabel: { ...made.axisLabel, customValues: distinct } };
}
