/**
 * The frame of a panel: title, choices, notes, states, and "as a table", "SVG", "SQL", "For print".
 * @module panel
 */

import { request } from "./api.js";
import { button, element, save } from "./dom.js";
import { csv, count, valueText } from "./format.js";

/** Rows that "as a table" shows; the CSV has all that the panel has. */
const MOST_ROWS = 500;

/**
 * @typedef {Object} Answer
 * @property {string} sql
 * @property {string[]} columns
 * @property {any[][]} rows
 * @property {string[]} notes
 * @property {any} more
 * @property {string} [error]
 */

/** A panel of the page. */
export class Panel {
  /**
   * @param {string} name Of files.
   * @param {string} title
   * @param {string} question What it answers, in the field's words.
   * @param {{svg?: () => string, print?: () => object, wide?: boolean, actions?: boolean, sql?: boolean}} [can]
   */
  constructor(name, title, question, can = {}) {
    this.name = name;
    this.can = can;
    /** @type {Answer|null} */
    this.answer = null;
    this.mode = "";
    this.offered = "";
    this.choices = element("div", { class: "choices" });
    this.actions = element("div", { class: "actions" });
    this.body = element("div", { class: "body" }, element("p", { class: "empty", text: "Loading ..." }));
    this.notes = element("ul", { class: "notes" });
    this.extra = element("div", { class: "extra" });
    this.heading = element("h2", { text: title, id: `${name}-title` });
    this.root = element("section", { class: can.wide ? "panel wide" : "panel", id: name, "aria-labelledby": `${name}-title` },
      element("div", { class: "head" }, element("div", {}, this.heading, element("p", { class: "question", text: question })), this.actions),
      this.choices, this.body, this.extra, this.notes);
    if (can.actions !== false) this.addActions();
  }

  addActions() {
    /** @type {Record<string, HTMLElement>} */
    this.toggles = { table: button("as a table", () => this.toggle("table"), { "aria-pressed": "false" }) };
    if (this.can.sql !== false) this.toggles.sql = button("SQL", () => this.toggle("sql"), { "aria-pressed": "false" });
    this.actions.append(this.toggles.table);
    if (this.can.svg) this.actions.append(button("SVG", () => this.saveSvg(), { title: "Save what is drawn here as SVG" }));
    if (this.toggles.sql) this.actions.append(this.toggles.sql);
    if (this.can.print) {
      this.actions.append(button("for print", () => this.print(), { title: "Draw it in the theme of the figures: SVG, CSV and where they come from" }));
    }
  }

  /**
   * Offer choices, made anew only where they are others: a brush changes none.
   * @param {any[]} key What they depend on.
   * @param {() => Element[]} make
   */
  offer(key, make) {
    const text = JSON.stringify(key);
    if (text === this.offered) return;
    this.offered = text;
    this.choices.replaceChildren(...make());
  }

  /** @param {string} mode */
  toggle(mode) {
    this.mode = this.mode === mode ? "" : mode;
    this.showExtra();
  }

  showExtra() {
    if (!this.toggles) return;
    for (const [mode, each] of Object.entries(this.toggles)) each.setAttribute("aria-pressed", String(this.mode === mode));
    this.extra.replaceChildren();
    if (!this.answer || !this.mode) return;
    this.extra.append(this.mode === "table" ? this.table() : this.query());
  }

  table() {
    const { columns, rows } = /** @type {Answer} */ (this.answer);
    const shown = rows.slice(0, MOST_ROWS);
    const body = shown.map((row) => element("tr", {}, ...row.map((value) => element("td", {
      class: typeof value === "number" ? "n" : "", text: valueText(value), title: typeof value === "number" ? String(value) : undefined,
    }))));
    const words = rows.length > MOST_ROWS ? `The first ${count(MOST_ROWS)} of ${count(rows.length)} rows; the CSV has all.` : `${count(rows.length)} rows.`;
    return element("div", { class: "astable" },
      element("p", {}, `${words} `, button("save CSV", () => save(`${this.name}.csv`, "text/csv", csv(columns, rows)))),
      element("div", { class: "scroll", tabindex: "0" }, element("table", {},
        element("thead", {}, element("tr", {}, ...columns.map((name, at) => element("th", { text: name, class: shown.some((row) => typeof row[at] === "number") ? "n" : "" })))),
        element("tbody", {}, ...body))));
  }

  query() {
    const { sql } = /** @type {Answer} */ (this.answer);
    return element("div", {}, element("pre", { tabindex: "0", text: "" }, ...sql.split("\n").flatMap((line) => [line, element("br")])),
      button("copy", () => navigator.clipboard?.writeText(sql)),
      button("open in the SQL box", () => dispatchEvent(new CustomEvent("sql", { detail: sql }))));
  }

  saveSvg() {
    const content = this.can.svg?.();
    if (content) save(`${this.name}.svg`, "image/svg+xml", content);
  }

  async print() {
    const dialog = /** @type {HTMLDialogElement} */ (element("dialog", { "aria-label": "Figure for print" }, element("p", { text: "Drawing ..." })));
    document.body.append(dialog);
    dialog.addEventListener("close", () => dialog.remove());
    dialog.showModal();
    try {
      const files = await request("figure", { ...this.can.print?.(), link: location.href.replace(/\/t\/[^/]+\//, "/") });
      const picture = element("img", { alt: JSON.parse(files.json).caption, src: `data:image/svg+xml;charset=utf-8,${encodeURIComponent(files.svg)}` });
      dialog.replaceChildren(picture, element("p", { class: "question", text: JSON.parse(files.json).caption }), element("div", { class: "actions" },
        ...["svg", "csv", "json"].map((suffix) => button(`save ${suffix.toUpperCase()}`, () => save(`${this.name}.${suffix}`, "text/plain", files[suffix]))),
        button("close", () => dialog.close())));
    } catch (error) {
      dialog.replaceChildren(element("p", { class: "error", text: error.message }), button("close", () => dialog.close()));
    }
  }

  /**
   * Show an answer; returns whether there is something to draw.
   * @param {Answer} answer
   * @returns {boolean}
   */
  take(answer) {
    this.answer = answer.error ? null : answer;
    this.root.removeAttribute("aria-busy");
    this.notes.replaceChildren(...(answer.notes ?? []).map((note) => element("li", { text: note })));
    this.showExtra();
    if (answer.error) {
      this.say(answer.error, "error");
      return false;
    }
    if (!answer.rows.length) {
      this.say(answer.notes.length ? "Nothing to draw, for the reason below." : "No run is in view. Clear a filter, or wait for runs to end.");
      return false;
    }
    return true;
  }

  /**
   * Put a drawing in the panel; one that is there already keeps its place, and the keyboard's focus.
   * @param {...Element} nodes
   */
  place(...nodes) {
    const isThere = nodes.length === this.body.children.length && nodes.every((node, at) => this.body.children[at] === node);
    if (!isThere) this.body.replaceChildren(...nodes);
  }

  /**
   * Say something in the place of a drawing.
   * @param {string} text
   * @param {string} [kind]
   */
  say(text, kind = "empty") {
    this.body.replaceChildren(element("p", { class: kind, text }));
  }
}
