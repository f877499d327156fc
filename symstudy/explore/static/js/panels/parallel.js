/**
 * Panel 7: parallel coordinates of cells; a click on a value of an axis filters to it.
 * @module parallel
 */

import { element, svg } from "../dom.js";
import { labelStep, number, valueText } from "../format.js";
import { agrees, hideTip, hover, onHover, showTip } from "../hover.js";
import { css, isDark, ramp } from "../palette.js";
import { Panel } from "../panel.js";
import { store } from "../state.js";
import { standalone } from "./grid.js";
import { pickMark } from "./lines.js";

const HEIGHT = 300;
const TOP = 40;
/** Place of 0 and below on a logarithmic axis. */
const BELOW = TOP + HEIGHT + 16;

export class Parallel {
  /** @param {import("../context.js").Context} context */
  constructor(context) {
    this.context = context;
    this.panel = new Panel("parallel", "Cells across all axes", "Which combinations of hyperparameters give which values?", { svg: () => (this.picture ? standalone(/** @type {SVGElement} */ (this.picture.cloneNode(true))) : "") });
    /** @type {{at: Record<string, any>, node: SVGElement, tip: [string, any][]}[]} */
    this.lines = [];
    onHover((at) => this.lines.forEach((line) => line.node.classList.toggle("lit", agrees(line.at, at))));
    new ResizeObserver(() => this.answer && this.draw()).observe(this.panel.root);
  }

  /** @param {import("../state.js").State} state */
  update(state) {
    this.state = state;
  }

  /** @param {import("../state.js").State} state */
  want(state) {
    const swept = this.context.swept(state).slice(0, 7);
    return { panel: "parallel", axes: swept.length ? swept : ["seed"], measure: state.measure };
  }

  /** @param {any} answer @param {import("../state.js").State} state */
  show(answer, state) {
    this.state = state;
    this.answer = this.panel.take(answer) ? answer : null;
    this.lines = [];
    if (this.answer) this.draw();
  }

  draw() {
    const width = Math.max(300, this.panel.body.clientWidth || 600);
    if (width === this.drawnWidth && this.drawn === this.answer) return;
    [this.drawnWidth, this.drawn] = [width, this.answer];
    const { axes, form } = this.answer.more;
    const [left, right] = [64, 76];
    const step = axes.length > 1 ? (width - left - right) / (axes.length - 1) : 0;
    const xs = axes.map((_, at) => left + at * step);
    const picture = svg("svg", { width, height: HEIGHT + TOP + 26, role: "application", tabindex: "0", "aria-label": "Cells as lines across axes: arrow keys go from line to line, Enter shows its runs" });
    this.lines = [];
    const group = svg("g", { class: "cells", fill: "none" });
    if (form === "lines") this.addLines(group, axes, xs);
    else this.addBands(group, axes, xs);
    picture.append(group, ...axes.flatMap((axis, at) => this.axis(axis, xs[at], at === axes.length - 1, step < 170 && at % 2 === 1)));
    this.listen(picture);
    this.picture = picture;
    const last = this.context.label(axes[axes.length - 1].name);
    const said = form === "lines" ? [element("p", { class: "legend", text: `A line is a cell, in the colour of its mean ${last} on the last axis.` })] : [];
    this.panel.body.replaceChildren(picture, ...said);
  }

  addLines(group, axes, xs) {
    const { rows } = this.answer;
    const last = axes[axes.length - 1];
    const names = axes.slice(0, -1).map((axis) => axis.name);
    for (const row of rows) {
      const values = row.slice(2, 2 + axes.length);
      const points = values.map((value, at) => `${xs[at].toFixed(1)},${placeOn(axes[at], value).toFixed(1)}`);
      const share = 1 - (placeOn(last, values[axes.length - 1]) - TOP) / HEIGHT;
      const node = svg("polyline", { points: points.join(" "), stroke: tint(share), "stroke-width": rows.length > 400 ? 0.8 : 1.4, opacity: rows.length > 400 ? 0.5 : 0.75 });
      const at = Object.fromEntries(names.map((name, i) => [name, values[i]]));
      if (this.context.studies.length > 1) at.study = row[0];
      const tip = [...names.map((name, i) => [this.context.label(name), values[i]]), [`${this.context.label(last.name)}, mean`, values[axes.length - 1]], ["runs", row[row.length - 1]]];
      this.lines.push({ at, node, tip });
      group.append(node);
    }
  }

  addBands(group, axes, xs) {
    const { rows } = this.answer;
    const most = Math.max(...rows.map((row) => row[3]));
    for (const [axis, from, to, runs] of rows) {
      const one = spot(axes[axis], Number(from));
      const other = spot(axes[axis + 1], Number(to));
      const share = Math.sqrt(runs / most);
      const node = svg("line", { x1: xs[axis], y1: one.y, x2: xs[axis + 1], y2: other.y, stroke: css("--accent"), "stroke-width": 0.4 + 7 * share, opacity: 0.08 + 0.42 * share });
      const at = { [axes[axis].name]: one.value, [axes[axis + 1].name]: other.value };
      for (const name of Object.keys(at)) if (at[name] === undefined) delete at[name];
      this.lines.push({ at, node, tip: [[this.context.label(axes[axis].name), one.text], [this.context.label(axes[axis + 1].name), other.text], ["runs", runs]] });
      group.append(node);
    }
  }

  /** An axis: line, name, labels. */
  axis(axis, x, isLast, isLow) {
    const parts = [svg("line", { class: "axisline", x1: x, x2: x, y1: TOP, y2: TOP + HEIGHT, stroke: css("--line-strong") }),
      svg("text", { class: "axis", x, y: isLow ? 27 : 13, "text-anchor": isLast ? "end" : x < 80 ? "start" : "middle", dx: isLast ? 60 : x < 80 ? -40 : 0, text: this.context.label(axis.name) })];
    const side = isLast ? 1 : -1;
    const label = (y, text) => svg("g", {},
      svg("rect", { class: "plate", fill: css("--paper"), x: isLast ? x + 5 : x - 9 - text.length * 6.3, y: y - 7, width: text.length * 6.3 + 4, height: 14, rx: 2 }),
      svg("text", { class: "tick halo", x: x + side * 7, y: y + 4, "text-anchor": isLast ? "start" : "end", text }));
    if (axis.form === "categories") {
      const step = labelStep(axis.values.length, HEIGHT, 14);
      axis.values.forEach((value, at) => {
        if (at % step) return;
        const text = label(placeOn(axis, value), shorten(valueText(value)));
        text.classList.add("choose");
        text.addEventListener("click", () => store.filter(axis.name, store.state.filters[axis.name] ? null : { values: [value] }));
        parts.push(text);
      });
    } else if (axis.form === "bins") {
      const { edges } = axis;
      const [low, high] = [edges[0], edges[edges.length - 1]];
      const middle = axis.is_log ? Math.sqrt(low * high) : (low + high) / 2;
      if (axis.is_log && axis.has_below) parts.push(label(BELOW, "≤ 0"));
      for (const value of [low, middle, high]) parts.push(label(placeOn(axis, value), number(Number(value.toPrecision(3)))));
    }
    return parts;
  }

  listen(picture) {
    const enter = (/** @type {any} */ line, x, y) => {
      showTip(x, y, line.tip, "Click or Enter: its runs and learning curves");
      hover(line.at);
    };
    const leave = () => { hideTip(); hover(null); };
    for (const line of this.lines) {
      line.node.addEventListener("pointermove", (event) => enter(line, event.clientX, event.clientY));
      line.node.addEventListener("pointerleave", leave);
      line.node.addEventListener("click", () => pickMark(line.at, this.context));
    }
    let at = -1;
    picture.addEventListener("blur", leave);
    picture.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (step && this.lines.length) {
        event.preventDefault();
        at = (at + step + this.lines.length) % this.lines.length;
        const box = picture.getBoundingClientRect();
        enter(this.lines[at], box.left + 80, box.top + 20);
      } else if (event.key === "Enter" && this.lines[at]) pickMark(this.lines[at].at, this.context);
    });
  }
}

/** Height of a value on an axis. */
function placeOn(axis, value) {
  if (axis.form === "categories") {
    const at = axis.values.indexOf(value);
    return TOP + HEIGHT * (axis.values.length > 1 ? 1 - at / (axis.values.length - 1) : 0.5);
  }
  if (axis.form === "none" || value === null) return TOP + HEIGHT;
  const { edges } = axis;
  const of = (/** @type {number} */ each) => (axis.is_log ? Math.log(Math.max(each, edges[0])) : each);
  const [low, high] = [of(edges[0]), of(edges[edges.length - 1])];
  if (axis.is_log && value <= 0) return BELOW;
  const share = high > low ? (of(value) - low) / (high - low) : 0.5;
  return TOP + HEIGHT * (1 - Math.min(1, Math.max(0, share)));
}

/** Where a band ends, what its value is, and how it is said. */
function spot(axis, at) {
  if (axis.form === "categories") {
    const value = axis.values[at];
    return { y: placeOn(axis, value), value, text: valueText(value) };
  }
  if (axis.form === "none" || at < 0) return { y: BELOW, value: undefined, text: "0 or below" };
  const [low, high] = [axis.edges[at], axis.edges[at + 1]];
  const middle = axis.is_log ? Math.sqrt(low * high) : (low + high) / 2;
  return { y: placeOn(axis, middle), value: undefined, text: `${number(low)} to ${number(high)}` };
}

/** A colour of the ramp that is seen on the page. */
function tint(share) {
  return isDark() ? ramp(0.25 + 0.75 * share) : ramp(0.9 * share);
}

/** @param {string} text */
function shorten(text) {
  return text.length > 9 ? `${text.slice(0, 8)}…` : text;
}
