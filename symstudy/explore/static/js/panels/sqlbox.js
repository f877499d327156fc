/**
 * Panel 10, last part: SQL on all tables, read-only, with limits of time, memory and rows.
 * @module sqlbox
 */

import { request } from "../api.js";
import { button, element, save } from "../dom.js";
import { csv, count, valueText } from "../format.js";
import { Panel } from "../panel.js";
import { store } from "../state.js";

const ROWS = 1000;
const SHOWN = 200;
const EXAMPLE = "select width, gamma, avg(test_loss) as test_loss, count(*) as seeds\nfrom runs group by all order by all";

export class SqlBox {
  constructor() {
    this.panel = new Panel("sql", "SQL", "Anything else: one SELECT over runs, history, layers, cells, certificates, planned and missing. Ctrl+Enter runs it.", { wide: true, actions: false });
    this.text = /** @type {HTMLTextAreaElement} */ (element("textarea", { rows: "5", spellcheck: "false", "aria-label": "SQL", placeholder: EXAMPLE }));
    this.text.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.run();
    });
    this.result = element("div", { class: "result", "aria-live": "polite" });
    this.go = button("run", () => this.run());
    this.panel.body.replaceChildren(this.text, element("div", { class: "actions" }, this.go), this.result);
  }

  /** @param {import("../state.js").State} state */
  update(state) {
    if (state.sql && document.activeElement !== this.text) this.text.value = state.sql;
  }

  /** @param {string} sql */
  open(sql) {
    this.text.value = sql;
    this.panel.root.scrollIntoView({ behavior: "auto" });
    this.text.focus();
    this.run();
  }

  async run() {
    const sql = this.text.value.trim() || EXAMPLE;
    this.text.value = sql;
    store.set({ sql }, false);
    this.go.setAttribute("disabled", "");
    this.result.replaceChildren(element("p", { class: "soft", text: "Running: it is stopped after 5 s." }));
    try {
      const { answers } = await request("sql", { queries: [sql], rows: ROWS });
      this.show(answers[0]);
    } catch (error) {
      this.result.replaceChildren(element("p", { class: "error", text: error.message }));
    } finally {
      this.go.removeAttribute("disabled");
    }
  }

  /** @param {any} answer */
  show({ columns, rows, is_all: isAll, error }) {
    if (error) {
      this.result.replaceChildren(element("p", { class: "error", text: error }));
      return;
    }
    const words = isAll ? `${count(rows.length)} rows.` : `The first ${count(ROWS)} rows; there are more. For all of them type: symstudy query RESULTS SQL -o rows.parquet`;
    const more = rows.length > SHOWN ? ` ${SHOWN} are shown, the CSV has ${count(rows.length)}.` : "";
    this.result.replaceChildren(
      element("p", {}, `${words}${more} `, button("save CSV", () => save("rows.csv", "text/csv", csv(columns, rows)))),
      element("div", { class: "scroll", tabindex: "0" }, element("table", {},
        element("thead", {}, element("tr", {}, ...columns.map((name, at) => element("th", { text: name, class: rows.some((row) => typeof row[at] === "number") ? "n" : "" })))),
        element("tbody", {}, ...rows.slice(0, SHOWN).map((row) => element("tr", {}, ...row.map((value) => element("td", { class: typeof value === "number" ? "n" : "", text: typeof value === "object" && value !== null ? JSON.stringify(value) : valueText(value), title: typeof value === "number" ? String(value) : undefined }))))))));
  }
}
