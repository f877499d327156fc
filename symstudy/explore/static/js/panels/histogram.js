/**
 * A histogram that is a filter: drag over bars, click one, or use the keyboard.
 * @module histogram
 */

import { button, element, svg } from "../dom.js";
import { count, labelStep, number, valueText } from "../format.js";
import { hideTip, hover, onHover, showTip } from "../hover.js";
import { store } from "../state.js";

const WIDTH = 240;
const HEIGHT = 58;

/**
 * @typedef {{label: string, runs: number, value?: any, low?: number, high?: number}} Bar
 */

export class Histogram {
  /**
   * @param {string} column
   * @param {import("../context.js").Context} context
   */
  constructor(column, context) {
    this.column = column;
    this.context = context;
    /** @type {Bar[]} */
    this.bars = [];
    this.clear = button("clear", () => store.filter(column, null), { class: "quiet", hidden: true });
    this.said = element("p", { class: "aside" });
    this.plot = element("div", { class: "plot" });
    this.name = element("h3", { text: context.label(column), title: context.meaning(column) });
    this.root = element("div", { class: "histogram", "data-column": column }, element("div", { class: "head" }, this.name, this.clear), this.plot, this.said);
    onHover((at) => this.highlight(at));
  }

  /** @param {import("../state.js").State} state */
  update(state) {
    this.state = state;
    this.name.textContent = this.context.label(this.column);
    this.clear.hidden = !(this.column in state.filters);
    this.paint();
  }

  /**
   * @param {any} answer
   * @param {import("../state.js").State} state
   */
  show(answer, state) {
    this.root.removeAttribute("aria-busy");
    this.state = state;
    if (answer.error) {
      this.bars = [];
      this.plot.replaceChildren();
      this.said.textContent = answer.error;
      return;
    }
    const { form, aside = [] } = answer.more;
    const words = [...answer.notes, ...aside.map(([what, runs]) => `${what}: ${count(runs)}`)];
    this.said.textContent = words.join("; ");
    this.isBins = form === "bins";
    this.bars = form === "none" ? [] : this.isBins
      ? answer.rows.map(([low, high, runs]) => ({ low, high, runs, label: `${number(low)} to ${number(high)}` }))
      : answer.rows.map(([value, runs]) => ({ value, runs, label: valueText(value) }));
    this.draw();
  }

  draw() {
    const many = this.bars.length;
    if (!many) {
      this.plot.replaceChildren();
      return;
    }
    const most = Math.max(1, ...this.bars.map((bar) => bar.runs));
    const heights = this.bars.map((bar) => (bar.runs ? Math.max(2, (bar.runs / most) * (HEIGHT - 4)) : 0));
    const drawn = JSON.stringify([this.isBins, ...this.bars.map((bar) => bar.label)]);
    if (drawn !== this.drawn || !this.picture?.isConnected) this.build(many);
    this.drawn = drawn;
    this.rects.forEach((/** @type {SVGElement} */ rect, /** @type {number} */ at) => {
      rect.setAttribute("y", String(HEIGHT - heights[at]));
      rect.setAttribute("height", String(heights[at]));
    });
    this.paint();
  }

  /** Make the bars; a brush of another histogram then changes their heights alone. */
  build(many) {
    const each = WIDTH / many;
    const picture = svg("svg", {
      viewBox: `0 0 ${WIDTH} ${HEIGHT + 16}`, tabindex: "0", role: "application",
      "aria-label": `${this.context.label(this.column)}: histogram and filter. Arrow keys go from bar to bar, Enter selects, Esc clears`,
    });
    this.rects = this.bars.map((_, at) => {
      const rect = svg("rect", { x: at * each + each * 0.06, width: each * 0.88, y: HEIGHT, height: 0, rx: 1 });
      const target = svg("rect", { class: "target", x: at * each, width: each, y: 0, height: HEIGHT + 16, "data-at": at });
      picture.append(rect, target);
      return rect;
    });
    picture.append(svg("line", { class: "base", x1: 0, x2: WIDTH, y1: HEIGHT, y2: HEIGHT }), ...this.labels(each));
    picture.addEventListener("pointerdown", (event) => this.startDrag(event, picture));
    picture.addEventListener("pointermove", (event) => this.onMove(event, picture));
    picture.addEventListener("pointerup", () => this.endDrag());
    picture.addEventListener("pointercancel", () => this.endDrag());
    picture.addEventListener("pointerleave", () => this.leave());
    picture.addEventListener("keydown", (event) => this.onKey(event));
    picture.addEventListener("blur", () => this.leave());
    const hadFocus = this.plot.contains(document.activeElement);
    this.picture = picture;
    this.plot.replaceChildren(picture);
    if (hadFocus) picture.focus({ preventScroll: true });
  }

  /** @param {number} each Width of a bar. */
  labels(each) {
    const text = (/** @type {number} */ x, /** @type {string} */ what, /** @type {string} */ anchor) => svg("text", { x, y: HEIGHT + 13, "text-anchor": anchor, text: what });
    if (this.isBins) {
      const [first, last] = [this.bars[0], this.bars[this.bars.length - 1]];
      return [text(0, number(first.low), "start"), text(WIDTH, number(last.high), "end")];
    }
    const longest = Math.max(...this.bars.map((bar) => bar.label.length));
    const step = labelStep(this.bars.length, WIDTH, longest * 6 + 8);
    return this.bars.flatMap((bar, at) => (at % step ? [] : [text(at * each + each / 2, shorten(bar.label, each * step), "middle")]));
  }

  /** Colour the bars by the filter. */
  paint() {
    const filter = this.state?.filters[this.column];
    this.rects?.forEach((rect, at) => {
      const bar = this.bars[at];
      if (!bar) return;
      rect.setAttribute("class", !filter || this.isIn(bar, filter) ? "in" : "out");
    });
  }

  /**
   * @param {Bar} bar
   * @param {import("../state.js").Condition} filter
   */
  isIn(bar, filter) {
    if (filter.values) return !this.isBins && filter.values.includes(bar.value);
    const [low, high] = [filter.low ?? -Infinity, filter.high ?? Infinity];
    return this.isBins ? bar.high > low && bar.low < high : bar.value >= low && bar.value <= high;
  }

  /** @param {PointerEvent} event @param {SVGElement} picture */
  place(event, picture) {
    const box = picture.getBoundingClientRect();
    const share = (event.clientX - box.left) / Math.max(box.width, 1);
    return Math.min(this.bars.length - 1, Math.max(0, Math.floor(share * this.bars.length)));
  }

  /** @param {PointerEvent} event @param {SVGElement} picture */
  startDrag(event, picture) {
    picture.setPointerCapture(event.pointerId);
    this.from = this.to = this.place(event, picture);
    this.isMoved = false;
  }

  /** @param {PointerEvent} event @param {SVGElement} picture */
  onMove(event, picture) {
    const at = this.place(event, picture);
    if (this.from === undefined) {
      this.point(at, event.clientX, event.clientY);
      return;
    }
    if (at === this.to) return;
    this.isMoved = true;
    this.to = at;
    this.choose(Math.min(this.from, at), Math.max(this.from, at), false);
  }

  endDrag() {
    if (this.from === undefined) return;
    const [from, isMoved] = [this.from, this.isMoved];
    this.from = undefined;
    if (!isMoved) this.toggle(from);
  }

  /**
   * Filter to the bars from one to another.
   * @param {number} first
   * @param {number} last
   * @param {boolean} isStep
   */
  choose(first, last, isStep) {
    if (this.isBins) {
      const isEnd = last === this.bars.length - 1;
      store.filter(this.column, { low: this.bars[first].low, high: isEnd ? this.bars[last].high : this.bars[last].high }, isStep);
    } else store.filter(this.column, { values: this.bars.slice(first, last + 1).map((bar) => bar.value) }, isStep);
  }

  /** @param {number} at */
  toggle(at) {
    const filter = store.state.filters[this.column];
    if (this.isBins) {
      const isOnly = filter && filter.low === this.bars[at].low && filter.high === this.bars[at].high;
      if (isOnly) store.filter(this.column, null);
      else this.choose(at, at, true);
      return;
    }
    const { value } = this.bars[at];
    const values = filter?.values ?? [];
    const now = values.includes(value) ? values.filter((each) => each !== value) : [...values, value];
    store.filter(this.column, now.length && now.length < this.bars.length ? { values: now } : null);
  }

  /** @param {number} at @param {number} x @param {number} y */
  point(at, x, y) {
    const bar = this.bars[at];
    showTip(x, y, [[this.context.label(this.column), bar.label], ["runs", bar.runs]]);
    hover(this.isBins ? null : { [this.column]: bar.value });
  }

  leave() {
    hideTip();
    hover(null);
  }

  /** @param {KeyboardEvent} event */
  onKey(event) {
    const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (step) {
      event.preventDefault();
      this.at = ((this.at ?? -step) + step + this.bars.length) % this.bars.length;
      const box = this.rects[this.at].getBoundingClientRect();
      this.point(this.at, box.right, box.top);
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.toggle(this.at ?? 0);
    } else if (event.key === "Escape") {
      store.filter(this.column, null);
      event.stopPropagation();
    }
  }

  /** @param {Record<string, any>|null} at */
  highlight(at) {
    this.rects?.forEach((rect, place) => {
      const bar = this.bars[place];
      const value = at?.[this.column];
      const isLit = at && this.column in at && (this.isBins ? value >= bar.low && value <= bar.high : value === bar.value);
      rect.classList.toggle("lit", Boolean(isLit));
    });
  }
}

/** @param {string} text @param {number} room Pixels. */
function shorten(text, room) {
  const most = Math.max(3, Math.floor(room / 6));
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}
