/**
 * Panel 4: a measure over two columns, cell by cell; what failed or is missing is hatched.
 * @module grid
 */

import { conditions } from "../context.js";
import { element, select, svg } from "../dom.js";
import { labelStep, number, valueText } from "../format.js";
import { agrees, hideTip, hover, onHover, showTip } from "../hover.js";
import { css, isLight, ramp } from "../palette.js";
import { Panel } from "../panel.js";
import { makeCells } from "./cells.js";
import { store } from "../state.js";

/** Room above the cells, for the name of the axis that goes up. */
const TOP = 22;

export class Grid {
  /** @param {import("../context.js").Context} context */
  constructor(context) {
    this.context = context;
    this.panel = new Panel("grid", "Grid", "How does the measure depend on two hyperparameters at once?", {
      svg: () => this.svg(),
      print: () => ({ filters: store.state.filters, want: this.want(this.state) }),
    });
    /** @type {{key: string, at: Record<string, any>, row?: any[]}[]} */
    this.cells = [];
    /** @type {any} How they are drawn. */
    this.drawing = null;
    this.key = "";
    this.hatched = element("p", { class: "legend" }, element("span", {}, element("i", { class: "swatch hatched" }), "hatched: runs of the cell failed or are missing"));
    onHover((at) => this.drawing?.light(this.cells.map((cell) => agrees(cell.at, at))));
    new ResizeObserver(() => this.answer && this.draw()).observe(this.panel.root);
  }

  /** @param {import("../state.js").State} state */
  update(state) {
    this.state = state;
    this.panel.offer([...this.context.offered(state), state.measure, state.gx, state.gy], () => {
      const axes = this.context.axisOptions(state);
      return [
        select("colour", this.context.measureOptions(state), state.measure, (measure) => store.set({ measure })),
        select("across", axes, state.gx, (gx) => store.set({ gx })),
        select("up", axes, state.gy, (gy) => store.set({ gy })),
      ];
    });
  }

  /** @param {import("../state.js").State} state */
  want(state) {
    return { panel: "grid", x: state.gx, y: state.gy, measure: state.measure };
  }

  /** @param {any} answer @param {import("../state.js").State} state */
  show(answer, state) {
    this.state = state;
    this.answer = this.panel.take(answer) ? answer : null;
    if (this.answer) this.draw();
  }

  draw() {
    const { rows, more } = this.answer;
    const width = Math.max(280, this.panel.body.clientWidth || 600);
    if (width === this.drawnWidth && this.drawn === this.answer) return;
    [this.drawnWidth, this.drawn] = [width, this.answer];
    const xs = more.x;
    const ys = [...more.y].reverse();
    const longest = Math.max(...ys.map((value) => valueText(value).length), 2);
    const left = Math.min(120, longest * 7 + 12);
    const wide = (width - left - 96) / xs.length;
    const high = Math.min(44, Math.max(11, 300 / ys.length));
    const bottom = ys.length * high;
    const means = rows.map((row) => row[2]).filter((value) => typeof value === "number");
    const scale = colourScale(means, more.is_log);
    // Numbers in all cells or in none.
    const digits = Math.max(0, ...means.map((mean) => short(mean).length));
    this.hasNumbers = wide > digits * 6.4 + 5 && high > 14;
    const found = new Map(rows.map((row) => [JSON.stringify([row[0], row[1]]), row]));
    const key = JSON.stringify([this.state.gx, this.state.gy, xs, ys, width, css("--ink")]);
    if (key !== this.key) {
      this.key = key;
      this.build(xs, ys, { width, left, wide, high, bottom });
    }
    this.wash = css("--wash");
    for (const cell of this.cells) cell.row = found.get(cell.key);
    this.drawing.paint(this.cells.map((cell) => this.look(cell.row, scale)));
    this.scale.replaceChildren(...legend(scale, width - 80, Math.min(bottom, 180)));
    this.hatched.hidden = !rows.some((row) => row[6] || row[7]);
    this.panel.place(this.frame, this.hatched);
  }

  /** Make the cells; a brush then changes their colours alone. */
  build(xs, ys, { width, left, wide, high, bottom }) {
    const picture = svg("svg", { width, height: bottom + 52 + TOP, viewBox: `0 ${-TOP} ${width} ${bottom + 52 + TOP}`, role: "application", tabindex: "0", "aria-label": "Grid: arrow keys go from cell to cell, Enter shows its runs" });
    picture.append(hatching());
    this.cells = ys.flatMap((y) => xs.map((x) => ({ key: JSON.stringify([x, y]), at: { [this.state.gx]: x, [this.state.gy]: y } })));
    this.drawing = makeCells(xs.length, ys.length, { left, top: TOP, wide, high });
    picture.append(this.drawing.root);
    this.scale = svg("g");
    picture.append(...this.labels(xs, ys, { left, wide, high, bottom }), this.scale);
    this.picture = picture;
    this.frame = element("div", { class: "overlaid" }, this.drawing.under, picture);
    this.listen(picture, xs.length);
  }

  /** How a cell looks: its colour, its number, and whether runs failed or are missing. */
  look(row, scale) {
    const [mean, failed, missing] = row ? [row[2], row[6], row[7]] : [null, 0, 0];
    if (mean === null) return { fill: this.wash, hatch: failed || missing ? "hatch" : "", text: "", textClass: "" };
    const share = scale.share(mean);
    const hasText = this.hasNumbers && typeof mean === "number";
    return { fill: ramp(share), hatch: failed || missing ? "hatch-light" : "", text: hasText ? short(mean) : "", textClass: isLight(share) ? "on-light" : "on-dark" };
  }

  tip(at, row) {
    const names = Object.entries(at).map(([name, value]) => [this.context.label(name), value]);
    if (!row) return [...names, ["runs", "none planned in view"]];
    const [, , mean, seeds, done, stopped, failed, missing] = row;
    const counts = [["done", done], ["stopped early", stopped], ["failed", failed], ["missing", missing]].filter(([, value]) => value);
    return [...names, [`${this.context.label(this.state.measure)}, mean`, mean === null ? "no finite value" : mean], ["seeds", seeds], ...counts];
  }

  labels(xs, ys, { left, wide, high, bottom }) {
    const longest = Math.max(...xs.map((value) => valueText(value).length));
    const step = labelStep(xs.length, xs.length * wide, longest * 6.5 + 8);
    const rowStep = labelStep(ys.length, bottom, 13);
    return [
      ...xs.flatMap((value, i) => (i % step ? [] : [svg("text", { class: "tick", x: left + (i + 0.5) * wide, y: bottom + 15, "text-anchor": "middle", text: valueText(value) })])),
      ...ys.flatMap((value, j) => ((ys.length - 1 - j) % rowStep ? [] : [svg("text", { class: "tick", x: left - 6, y: (j + 0.5) * high + 4, "text-anchor": "end", text: valueText(value) })])),
      svg("text", { class: "axis", x: left + (xs.length * wide) / 2, y: bottom + 38, "text-anchor": "middle", text: this.context.label(this.state.gx) }),
      svg("text", { class: "axis", x: 0, y: -8, text: `${this.context.label(this.state.gy)} ↑` }),
    ];
  }

  listen(picture, columns) {
    this.at = -1;
    const enter = (/** @type {number} */ at, /** @type {number} */ x, /** @type {number} */ y) => {
      showTip(x, y, this.tip(this.cells[at].at, this.cells[at].row), "Click or Enter: its runs and learning curves");
      hover(this.cells[at].at);
    };
    const leave = () => { hideTip(); hover(null); };
    const placeOf = (/** @type {MouseEvent} */ event) => this.drawing.at(event);
    picture.addEventListener("pointermove", (event) => {
      const at = placeOf(event);
      if (at === undefined) leave();
      else enter(at, event.clientX, event.clientY);
    });
    picture.addEventListener("pointerleave", leave);
    picture.addEventListener("click", (event) => {
      const at = placeOf(event);
      if (at !== undefined) this.pick(at);
    });
    picture.addEventListener("blur", leave);
    picture.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
      if (step) {
        event.preventDefault();
        const next = this.at < 0 ? 0 : this.at + step;
        if (next < 0 || next >= this.cells.length) return;
        this.at = next;
        const box = this.drawing.rectOf(next);
        enter(next, box.right, box.top);
      } else if (event.key === "Enter" && this.at >= 0) this.pick(this.at);
    });
  }

  /** @param {number} at */
  pick(at) {
    const picked = this.cells[at].at;
    store.set({ pick: Object.fromEntries(Object.keys(conditions(picked, this.context)).map((name) => [name, picked[name]])), start: 0 });
  }

  svg() {
    if (!this.picture) return "";
    const copy = /** @type {SVGElement} */ (this.picture.cloneNode(true));
    const image = this.drawing.exported();
    if (image) copy.prepend(image);
    return standalone(copy);
  }
}

/**
 * A drawing of the page as a file of its own, with the colours that the style sheet gives it.
 * @param {SVGElement} picture
 */
export function standalone(picture) {
  picture.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  picture.setAttribute("font-family", "system-ui, sans-serif");
  picture.setAttribute("font-size", "12");
  for (const node of picture.querySelectorAll("text")) {
    const own = { "on-light": "#000", "on-dark": "#fff", tick: css("--soft") };
    node.setAttribute("fill", own[node.classList[0]] ?? css("--ink"));
  }
  for (const node of picture.querySelectorAll(".target")) node.remove();
  return new XMLSerializer().serializeToString(picture);
}

/** @param {number} value To three digits. */
function short(value) {
  return number(Number(value.toPrecision(3)));
}

/** @param {number[]} values @param {boolean} isLog */
function colourScale(values, isLog) {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const of = (/** @type {number} */ value) => (isLog ? Math.log(value) : value);
  const span = of(most) - of(least);
  return { least, most, isLog, many: values.length, share: (/** @type {number} */ value) => (span > 0 ? (of(value) - of(least)) / span : 0.5) };
}

function hatching() {
  const lines = (/** @type {string} */ id, /** @type {string} */ colour) => svg("pattern", { id, width: 7, height: 7, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
    svg("line", { x1: 0, y1: 0, x2: 0, y2: 7, stroke: colour, "stroke-width": 2 }));
  return svg("defs", {}, lines("hatch", css("--soft")), lines("hatch-light", "rgba(255,255,255,.55)"));
}

/** The colours and what they mean. */
function legend(scale, x, height) {
  if (!scale.many) return [];
  const parts = [];
  const steps = 24;
  for (let at = 0; at < steps; at += 1) parts.push(svg("rect", { x, y: (height * at) / steps, width: 12, height: height / steps + 0.6, fill: ramp(1 - at / (steps - 1)) }));
  const middle = scale.isLog ? Math.sqrt(scale.least * scale.most) : (scale.least + scale.most) / 2;
  const ends = scale.least === scale.most ? [[height / 2 + 4, scale.most]] : [[10, scale.most], [height / 2 + 4, middle], [height, scale.least]];
  return [...parts, ...ends.map(([y, value]) => svg("text", { class: "tick", x: x + 17, y, text: short(Number(value)) }))];
}

