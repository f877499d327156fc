/**
 * The top of the page: where the results are, and panel 1: progress and time left of what runs now.
 * @module header
 */

import { button, element } from "../dom.js";
import { count, duration, number } from "../format.js";
import { Panel } from "../panel.js";
import { store } from "../state.js";

const ENDS = [["done", "done"], ["stopped", "stopped early"], ["failed", "failed"], ["missing", "missing"]];

export class Header {
  /**
   * @param {HTMLElement} root
   * @param {import("../context.js").Context} context
   */
  constructor(root, context) {
    this.context = context;
    this.status = element("p", { id: "connection", role: "status" });
    this.chips = element("div", { class: "chips" });
    root.append(
      element("div", { class: "title" }, element("h1", { text: "symstudy explorer" }), element("p", { class: "soft", text: context.location })),
      this.chips, this.status);
    this.rows = element("div", { class: "accounts" });
    this.panel = new Panel("live", "Progress", "How far are the studies?", { wide: true, sql: false });
    this.live = this.panel.root;
    this.panel.body.append(this.rows);
  }

  /** @param {import("../state.js").State} state */
  update(state) {
    const chips = Object.entries(state.pick).map(([column, value]) => `${this.context.label(column)} = ${value === null ? "none" : number(value)}`);
    const isFiltered = Object.keys(state.filters).some((column) => column !== "study");
    this.chips.replaceChildren(
      ...(chips.length ? [element("span", { class: "chip" }, `Runs of ${chips.join(", ")}`, button("x", () => store.set({ pick: {}, start: 0 }), { "aria-label": "Show all runs again" }))] : []),
      ...(isFiltered ? [button("clear all filters", () => store.set({ filters: state.filters.study ? { study: state.filters.study } : {}, start: 0 }))] : []));
  }

  /** @param {any} state */
  showLive(state) {
    this.showConnection(true);
    this.status.textContent = state.error ? `The results cannot be read any more; what is shown is from before. ${state.error}` : "";
    this.status.className = state.error ? "error" : "";
    const columns = ["study", "planned", ...ENDS.map(([key]) => key)];
    const rows = state.accounts.map((/** @type {any} */ account) => columns.map((name) => account[name]));
    this.panel.answer = { sql: "", columns, rows, notes: [], more: {} };
    this.panel.showExtra();
    this.panel.body.replaceChildren(this.rows);
    const running = new Map(state.running.map((/** @type {any} */ each) => [each.study, each]));
    this.rows.replaceChildren(...state.accounts.map((/** @type {any} */ account) => this.account(account, running.get(account.study))),
      element("p", { class: "legend" }, ...ENDS.map(([key, text]) => element("span", {}, element("i", { class: `swatch ${key}` }), text))));
  }

  /**
   * @param {any} account
   * @param {any} driver
   */
  account(account, driver) {
    const total = Math.max(account.planned, 1);
    const bar = element("div", { class: "bar", role: "img", "aria-label": ENDS.map(([key, text]) => `${account[key]} ${text}`).join(", ") });
    for (const [key] of ENDS) {
      if (!account[key]) continue;
      const part = element("i", { class: key });
      part.style.flexGrow = String(account[key] / total);
      bar.append(part);
    }
    const parts = ENDS.filter(([key]) => account[key]).map(([key, text]) => `${count(account[key])} ${text}`);
    const progress = driver?.progress;
    const words = driver ? (progress ? `runs now: ${progress.lanes} training, ${number(progress.steps_per_second)} steps/s, ${duration(progress.seconds_left)} left` : "starts now") : "";
    return element("div", { class: driver ? "account running" : "account" },
      element("strong", { text: account.study }), bar,
      element("span", { class: "soft", text: `${count(account.planned)} planned: ${parts.join(", ") || "none ended"}` }),
      words ? element("span", { class: "now", text: words.replace("time left not known yet left", "time left not known yet"), title: driver.driver }) : null);
  }

  /** @param {boolean} isConnected */
  showConnection(isConnected) {
    document.documentElement.dataset.connected = String(isConnected);
    if (!isConnected) {
      this.status.className = "error";
      this.status.textContent = "The explorer does not answer: it may have been ended. What is shown is from before.";
    }
  }
}
