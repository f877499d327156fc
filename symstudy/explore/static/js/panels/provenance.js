/**
 * Panel 11: launches of the studies, what each ran, and what each claim has cost.
 * @module provenance
 */

import { request } from "../api.js";
import { button, element, save } from "../dom.js";
import { counted, number } from "../format.js";
import { Panel } from "../panel.js";

const COLUMNS = ["study", "launch", "at (UTC)", "new runs", "commit", "uncommitted changes", "versions", "host"];

/** @param {any} launch */
function rowOf(launch) {
  const versions = Object.entries(launch.versions).map(([name, version]) => `${name} ${version}`).join(", ");
  return [launch.study, launch.launch, launch.at, launch.new_runs, launch.commit.slice(0, 12) || "outside git", changesOf(launch), versions, launch.host];
}

/** @param {any} launch */
function changesOf(launch) {
  if (launch.changes) return "kept";
  if (launch.changes_left_out) return "too large to be kept";
  if (launch.is_dirty) return "not kept";
  return launch.is_dirty === false ? "none" : "";
}

/** @param {any} launch */
function filesOf(launch) {
  return [launch.packages && "packages.txt", launch.changes && "changes.diff", ...Object.keys(launch.sources).map((path) => `sources/${path}`)].filter(Boolean);
}

export class Provenance {
  /** @param {import("../context.js").Context} context */
  constructor(context) {
    this.context = context;
    this.panel = new Panel("provenance", "Where these results come from", "Which code, packages and machines made them, and how many hours has each claim cost?", { wide: true, sql: false });
    this.text = element("div", { class: "detail" });
    this.changes = -1;
    this.isInSight = false;
    new IntersectionObserver((entries) => {
      this.isInSight = entries.some((entry) => entry.isIntersecting);
      if (this.isInSight) this.load();
    }).observe(this.panel.root);
  }

  /** Ask once it is in sight, and again when rows have been added. */
  async load() {
    if (this.changes === this.context.changes) return;
    this.changes = this.context.changes;
    try {
      this.found = await request("provenance");
      this.error = "";
    } catch (error) {
      this.error = error.message;
      this.changes = -1;
    }
    this.show();
  }

  /** @param {import("../state.js").State} state */
  update(state) {
    this.state = state;
    if (this.isInSight) this.load();
    this.show();
  }

  show() {
    if (this.error) return this.panel.say(this.error, "error");
    if (!this.found || !this.state) return;
    const chosen = this.context.chosenStudies(this.state);
    const launches = this.found.launches.filter((launch) => chosen.includes(launch.study));
    const claims = this.found.claims.filter((claim) => chosen.includes(claim.study));
    this.panel.answer = { sql: "", columns: COLUMNS, rows: launches.map(rowOf), notes: [], more: {} };
    this.panel.showExtra();
    if (!launches.length) return this.panel.say("study.json records no launch of these studies.");
    this.panel.place(this.hours(claims), ...launches.map((launch) => this.launch(launch)), this.text);
  }

  /** @param {any[]} claims */
  hours(claims) {
    return element("ul", { class: "hours" }, ...claims.map((claim) => element("li", {},
      element("strong", { text: claim.claim || "no claim" }),
      ` on ${claim.study}: ${counted(claim.runs, "run")}, ${number(claim.hours)} worker hours`)));
  }

  /** @param {any} launch */
  launch(launch) {
    const [study, , at, runs, commit, changes, versions, host] = rowOf(launch);
    return element("div", { class: "launch" },
      element("p", {}, element("strong", { text: `${study}, ${at}` }), ` ${typeof runs === "number" ? counted(runs, "new run") : "? new runs"} on ${host}; commit `, element("code", { text: commit }), `; uncommitted changes: ${changes || "not known"}; ${versions}`),
      element("div", { class: "actions" }, ...filesOf(launch).map((file) => button(file, () => this.open(launch, file)))));
  }

  /** @param {any} launch @param {string} file */
  async open(launch, file) {
    this.text.replaceChildren(element("p", { class: "empty", text: `Reading ${file} ...` }));
    try {
      const { text } = await request("ran", { study: launch.study, launch: launch.launch, file });
      this.text.replaceChildren(
        element("p", {}, element("strong", { text: `${file} of ${launch.at}` }), " ", button("save", () => save(file, "text/plain", text)), button("close", () => this.text.replaceChildren())),
        element("pre", { class: "scroll", tabindex: "0" }, ...text.split("\n").flatMap((/** @type {string} */ line) => [line, element("br")])));
    } catch (error) {
      this.text.replaceChildren(element("p", { class: "error", text: error.message }));
    }
  }
}
