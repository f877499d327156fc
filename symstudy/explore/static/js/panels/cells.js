/**
 * Cells of a grid: shapes of their own, or, where they are many, one picture with a pixel a cell.
 * @module cells
 */

import { element, svg } from "../dom.js";
import { css } from "../palette.js";

/** More cells than these are a picture: to style thousands of shapes takes the browser longer than a brush may. */
const MOST_SHAPES = 1200;
/** Cells that are outlined at once in a picture. */
const MOST_LIT = 600;

/**
 * @typedef {{x: number, y: number, width: number, height: number}} Box
 * @typedef {{fill: string, hatch: string, text: string, textClass: string}} Look `hatch` is the name of a pattern, or empty.
 */

/**
 * Cells of a grid, in rows from the top.
 * @param {number} columns
 * @param {number} rows
 * @param {{left: number, top: number, wide: number, high: number}} place Of the grid in the picture, and size of a cell.
 */
export function makeCells(columns, rows, place) {
  return columns * rows > MOST_SHAPES ? new CellPicture(columns, rows, place) : new CellShapes(columns, rows, place);
}

/** @returns {Box} */
function boxOf(at, columns, { left, wide, high }, gap) {
  const [row, column] = [Math.floor(at / columns), at % columns];
  return { x: left + column * wide + gap, y: row * high + gap, width: wide - 2 * gap, height: high - 2 * gap };
}

/** A shape a cell. */
class CellShapes {
  constructor(columns, rows, place) {
    const gap = place.wide > 8 && place.high > 8 ? 0.5 : 0;
    this.boxes = Array.from({ length: columns * rows }, (_, at) => boxOf(at, columns, place, gap));
    this.fills = this.boxes.map((box) => svg("rect", box));
    this.nodes = this.fills.map((fill) => svg("g", { class: "cell" }, fill));
    this.places = new Map(this.nodes.map((node, at) => [node, at]));
    this.root = svg("g", {}, ...this.nodes);
    this.under = null;
  }

  /** @param {Look[]} looks */
  paint(looks) {
    looks.forEach((look, at) => {
      const [node, box] = [this.nodes[at], this.boxes[at]];
      this.fills[at].setAttribute("fill", look.fill);
      while (node.childNodes.length > 1) node.lastChild?.remove();
      if (look.hatch) node.append(svg("rect", { ...box, fill: `url(#${look.hatch})` }));
      if (look.text) node.append(svg("text", { x: box.x + box.width / 2, y: box.y + box.height / 2 + 4, "text-anchor": "middle", class: look.textClass, text: look.text }));
    });
  }

  /** @param {boolean[]} isLit */
  light(isLit) {
    this.nodes.forEach((node, at) => node.classList.toggle("lit", isLit[at]));
  }

  /** @param {Event} event @returns {number|undefined} */
  at(event) {
    return this.places.get(/** @type {SVGElement} */ (/** @type {Element} */ (event.target).closest(".cell")));
  }

  /** @param {number} at */
  rectOf(at) {
    return this.nodes[at].getBoundingClientRect();
  }

  /** What an SVG of its own needs besides the shapes. */
  exported() {
    return null;
  }
}

/** A pixel a cell, on a canvas under the SVG that has the labels. */
class CellPicture {
  constructor(columns, rows, place) {
    [this.columns, this.rows, this.place] = [columns, rows, place];
    this.under = /** @type {HTMLCanvasElement} */ (element("canvas", { width: columns, height: rows, "aria-hidden": "true" }));
    const { left, top, wide, high } = place;
    this.size = { x: left, y: 0, width: columns * wide, height: rows * high };
    Object.assign(this.under.style, { left: `${left}px`, top: `${top}px`, width: `${this.size.width}px`, height: `${this.size.height}px` });
    this.area = svg("rect", { ...this.size, fill: "transparent", class: "cells-area target" });
    this.hatches = svg("g");
    this.outlines = svg("g", { class: "outlines" });
    this.root = svg("g", {}, this.hatches, this.area, this.outlines);
  }

  /** @param {Look[]} looks */
  paint(looks) {
    const pen = /** @type {CanvasRenderingContext2D} */ (this.under.getContext("2d"));
    looks.forEach((look, at) => {
      pen.fillStyle = look.fill;
      pen.fillRect(at % this.columns, Math.floor(at / this.columns), 1, 1);
    });
    this.hatches.replaceChildren(...looks.flatMap((look, at) => (look.hatch ? [svg("rect", { ...this.box(at), fill: `url(#${look.hatch})` })] : [])));
  }

  /** @param {boolean[]} isLit */
  light(isLit) {
    const lit = isLit.flatMap((each, at) => (each ? [at] : [])).slice(0, MOST_LIT);
    this.outlines.replaceChildren(...lit.map((at) => svg("rect", { ...this.box(at), class: "lit", fill: "none" })));
  }

  /** @param {PointerEvent|MouseEvent} event @returns {number|undefined} */
  at(event) {
    const frame = this.area.getBoundingClientRect();
    const [x, y] = [event.clientX - frame.left, event.clientY - frame.top];
    const [column, row] = [Math.floor((x / frame.width) * this.columns), Math.floor((y / frame.height) * this.rows)];
    const isIn = column >= 0 && column < this.columns && row >= 0 && row < this.rows;
    return isIn ? row * this.columns + column : undefined;
  }

  /** @param {number} at */
  rectOf(at) {
    const frame = this.area.getBoundingClientRect();
    const { x, y, width, height } = this.box(at);
    return new DOMRect(frame.left + x - this.size.x, frame.top + y, width, height);
  }

  box(at) {
    return boxOf(at, this.columns, this.place, 0);
  }

  exported() {
    const image = svg("image", { ...this.size, href: this.under.toDataURL(), preserveAspectRatio: "none" });
    image.setAttribute("style", `image-rendering: pixelated; background: ${css("--paper")}`);
    return image;
  }
}
