/**
 * Panel 2: verdicts as the report has them; a click gives the frozen figure and what is drawn in it.
 * @module verdicts
 */

import { request } from "../api.js";
import { axis, Chart, numberAxis } from "../chart.js";
import { conditions } from "../context.js";
import { button, element } from "../dom.js";
import { number, valueText } from "../format.js";
import { lineColours } from "../palette.js";
import { Panel } from "../panel.js";
import { store } from "../state.js";
import { compare } from "./lines.js";

const COLUMNS = ["claim", "study", "verdict", "effect", "low", "high", "unit", "seeds", "p (Holm)", "must hold", "rule"];

/** @param {any} card */
function rowOf(card) {
  return [card.claim, card.folder, card.label, card.effect, card.interval?.low ?? null, card.interval?.high ?? null, card.unit, card.seeds, card.p_adjusted, card.threshold, card.rule_hash];
}

export class Verdicts {
  /**
   * @param {import("../context.js").Context} context
   * @param {import("../dashboard.js").Dashboard} dashboard
   */
  constructor(context, dashboard) {
    this.context = context;
    this.dashboard = dashboard;
    this.panel = new Panel("verdicts", "Verdicts", "What do the data say about the claims, by rules fixed before the data?", { wide: true });
    this.detail = element("div", { class: "detail" });
    this.panel.say("Reading findings ...");
    /** @type {any[]} */
    this.cards = [];
  }

  async load() {
    try {
      const found = await request("verdicts");
      this.cards = found.cards;
      this.refused = found.refused;
      this.error = "";
    } catch (error) {
      this.error = error.message;
    }
    this.update(store.state);
  }

  /** @param {import("../state.js").State} state */
  update(state) {
    if (this.error) {
      this.panel.say(this.error, "error");
      return;
    }
    if (!this.refused) return;
    const chosen = this.context.chosenStudies(state);
    const cards = this.cards.filter((card) => chosen.includes(card.folder));
    this.panel.notes.replaceChildren(...this.refused.map((name) => element("li", { text: `${name} is no finding as symstudy writes them, and is left out.` })));
    this.panel.answer = { sql: [...new Set(cards.flatMap((card) => card.queries ?? []))].join(";\n\n"), columns: COLUMNS, rows: cards.map(rowOf), notes: [], more: {} };
    this.panel.showExtra();
    if (!cards.length) {
      this.panel.say(`No claim has been tested on ${chosen.length === 1 ? "this study" : "these studies"}. To test claims type: symstudy analyze ${this.context.location}`);
      return;
    }
    this.panel.body.replaceChildren(element("div", { class: "cards" }, ...cards.map((card) => this.card(card, state))), this.detail);
    this.showDetail(cards.find((card) => `${card.folder}/${card.claim}` === state.claim));
  }

  /** @param {any} card @param {import("../state.js").State} state */
  card(card, state) {
    const key = `${card.folder}/${card.claim}`;
    const interval = card.interval ? ` [${number(card.interval.low)}, ${number(card.interval.high)}]` : "";
    return element("button", { type: "button", class: `card ${card.verdict}`, "aria-expanded": String(state.claim === key), onclick: () => store.set({ claim: state.claim === key ? "" : key }) },
      element("span", { class: "verdict", text: card.label }),
      element("strong", { text: card.title }),
      element("span", { text: `${card.effect === null ? "no estimate" : number(card.effect)}${interval} ${card.unit}` }),
      element("span", { class: "soft", text: `${card.threshold}; ${card.seeds} seeds` }),
      card.is_stale ? element("span", { class: "warn", text: "stale: rows were added since" }) : null,
      ...card.caveats.map((/** @type {string} */ note) => element("span", { class: "warn", text: note })));
  }

  /** @param {any} card */
  async showDetail(card) {
    const key = card ? `${card.folder}/${card.claim}` : "";
    if (key === this.shown) return;
    this.shown = key;
    if (!card) {
      this.detail.replaceChildren();
      return;
    }
    const about = element("div", {},
      element("p", { text: card.statement }), element("p", { class: "soft", text: card.reference }),
      element("p", { text: card.reason }),
      element("p", { class: "soft", text: `Rule ${card.rule_hash}: ${card.rule_is_frozen === true ? "Fixed before the data." : card.rule_is_frozen === false ? "CHANGED since the study first ran." : "Not fixed with the study."}` }),
      element("details", {}, element("summary", { text: "The rule in words" }), element("p", { class: "soft", text: card.rule })),
      this.parts(card.parts));
    const side = element("div", { class: "drawn" });
    if (card.has_figure) side.append(element("img", { src: `figure/${encodeURIComponent(card.folder)}/${encodeURIComponent(card.claim)}`, alt: `Figure of ${card.title}` }));
    this.detail.replaceChildren(about, side);
    if (!card.has_figure) {
      side.append(element("p", { class: "empty", text: `No figure yet. Type: symstudy plot ${this.context.location} ${card.claim}` }));
      return;
    }
    try {
      const drawn = await request(`figure/${encodeURIComponent(card.folder)}/${encodeURIComponent(card.claim)}/drawn`);
      if (this.shown === key) this.points(side, card, drawn);
    } catch (error) {
      side.append(element("p", { class: "error", text: error.message }));
    }
  }

  /** @param {any[]} parts */
  parts(parts) {
    if (!parts.length) return element("p", { class: "soft", text: "No part was tested." });
    return element("div", { class: "scroll" }, element("table", {},
      element("thead", {}, element("tr", {}, ...["part", "verdict", "estimate", "interval", "must hold"].map((text) => element("th", { text })))),
      element("tbody", {}, ...parts.map((part) => element("tr", {}, element("td", { text: part.name }), element("td", { class: part.decides ? part.verdict : "soft", text: part.decides ? part.verdict : "reported" }),
        element("td", { class: "n", text: part.effect === null ? "-" : number(part.effect) }), element("td", { class: "n", text: part.interval ? `${number(part.interval.low)} to ${number(part.interval.high)}` : "-" }), element("td", { text: part.rule }))))));
  }

  /** What is drawn in the figure, as points that lead to their runs. */
  points(side, card, drawn) {
    const names = drawn.columns;
    const isAxis = (/** @type {string} */ name) => this.context.columns.get(name)?.role === "hyperparameter" || name === "seed";
    const x = names.find(isAxis);
    const y = names.find((/** @type {string} */ name) => ["median", "mean", "value", card.claim].includes(name)) ?? names.find((/** @type {string} */ name) => this.context.columns.get(name)?.role === "measure");
    side.append(element("p", { class: "soft", text: drawn.caption }));
    if (!x || !y) {
      side.append(element("p", { class: "soft", text: "Its points do not say which hyperparameters they are of, so they lead to no runs." }));
      return;
    }
    const panels = [...new Set(drawn.rows.map((row) => row[names.indexOf("panel")] ?? ""))];
    const box = element("div", { class: "points" });
    side.append(element("p", {}, element("strong", { text: "The figure's points" }), " lead to their runs and learning curves."), box);
    for (const panel of panels) this.pointChart(box, card, drawn, { panel, x, y, isAxis });
    side.append(button("all runs of this study", () => store.set({ pick: {}, filters: { study: { values: [card.folder] } } })));
  }

  pointChart(box, card, { columns, rows }, { panel, x, y, isAxis }) {
    const at = (/** @type {string} */ name) => columns.indexOf(name);
    const own = rows.filter((/** @type {any[]} */ row) => (at("panel") < 0 || row[at("panel")] === panel) && typeof row[at(y)] === "number" && row[at(x)] !== null);
    if (!own.length) return;
    const others = columns.filter((/** @type {string} */ name) => isAxis(name) && name !== x && new Set(own.map((row) => row[at(name)])).size > 1);
    const keyOf = (/** @type {any[]} */ row) => (others.length ? row[at(others[0])] : null);
    const keys = [...new Set(own.map(keyOf))].sort(compare);
    const colours = lineColours(keys);
    const marks = [];
    const series = keys.map((key, k) => {
      const points = own.filter((/** @type {any[]} */ row) => keyOf(row) === key);
      points.forEach((/** @type {any[]} */ row, /** @type {number} */ index) => {
        const held = Object.fromEntries(columns.filter(isAxis).filter((/** @type {string} */ name) => row[at(name)] !== null).map((/** @type {string} */ name) => [name, row[at(name)]]));
        marks.push({ series: k, index, place: [row[at(x)], row[at(y)]], at: { ...held, study: card.folder }, tip: columns.map((/** @type {string} */ name, /** @type {number} */ c) => [this.context.label(name), row[c]]) });
      });
      return { type: "scatter", symbolSize: 9, itemStyle: { color: colours[k], opacity: 0.85 }, emphasis: { scale: 1.6 }, data: points.map((/** @type {any[]} */ row) => [row[at(x)], row[at(y)]]) };
    });
    const chart = new Chart((mark) => {
      const kept = Object.keys(conditions(mark, this.context));
      store.set({ pick: Object.fromEntries(kept.map((name) => [name, mark[name]])), start: 0 });
      document.getElementById("curves")?.scrollIntoView({ behavior: "auto", block: "center" });
    }, 220);
    box.append(element("figure", {}, element("figcaption", { text: String(panel || y) + (others.length ? `, by ${this.context.label(others[0])}: ${keys.map(valueText).join(", ")}` : "") }), chart.box));
    const xs = own.map((/** @type {any[]} */ row) => row[at(x)]);
    const ys = own.map((/** @type {any[]} */ row) => row[at(y)]);
    const isLog = (/** @type {any[]} */ values) => values.every((value) => typeof value === "number" && value > 0) && Math.max(...values) > 30 * Math.min(...values);
    const isNumbers = xs.every((value) => typeof value === "number");
    chart.draw({
      xAxis: isNumbers ? numberAxis(this.context.label(x), "x", isLog(xs), xs, number) : axis(this.context.label(x), "x", { type: "category" }),
      yAxis: numberAxis(y, "y", isLog(ys), ys, number), series,
    }, marks);
  }
}
