/**
 * The page: builds the panels, and connects them with the address, the server and each other.
 * @module main
 */

import { listen, request } from "./api.js";
import { Context } from "./context.js";
import { Dashboard } from "./dashboard.js";
import { element } from "./dom.js";
import { hideTip, hover } from "./hover.js";
import { Filters } from "./panels/filters.js";
import { Header } from "./panels/header.js";
import { onColours, setPalette } from "./palette.js";
import { store } from "./state.js";
import { Compare } from "./panels/compare.js";
import { Curves } from "./panels/curves.js";
import { Endings } from "./panels/endings.js";
import { Grid } from "./panels/grid.js";
import { Lines } from "./panels/lines.js";
import { Parallel } from "./panels/parallel.js";
import { Provenance } from "./panels/provenance.js";
import { Runs } from "./panels/runs.js";
import { Scatter } from "./panels/scatter.js";
import { SqlBox } from "./panels/sqlbox.js";
import { Verdicts } from "./panels/verdicts.js";

/** Which columns have values is asked anew after so long at the earliest: it looks at every file. */
const LEARN_MS = 60_000;

async function start() {
  const main = /** @type {HTMLElement} */ (document.getElementById("main"));
  let meta;
  try {
    meta = await request("meta");
  } catch (error) {
    main.append(element("p", { class: "error", text: error.message }));
    return;
  }
  setPalette(meta.palette);
  const context = new Context(meta);
  store.read();
  if (!store.state.filters.study && context.studies.length > 1) {
    store.filter("study", { values: [context.studies[0].name] }, false);
  }
  const stateOf = () => context.complete(store.state);
  const dashboard = new Dashboard(stateOf);
  const header = new Header(/** @type {HTMLElement} */ (document.getElementById("top")), context);
  const filters = new Filters(/** @type {HTMLElement} */ (document.getElementById("filters")), context, dashboard);
  const verdicts = new Verdicts(context, dashboard);
  const members = [Grid, Lines, Scatter, Parallel, Curves, Endings, Compare, Runs].map((Kind) => new Kind(context));
  const box = new SqlBox();
  const provenance = new Provenance(context);
  main.append(header.live, verdicts.panel.root, ...members.map((member) => member.panel.root), box.panel.root, provenance.panel.root);
  for (const member of members) dashboard.add({ root: member.panel.root, want: (state) => member.want(state), show: (answer, state) => member.show(answer, state), redraw: member.redraw && (() => member.redraw()) });

  const update = () => {
    const state = stateOf();
    header.update(state);
    filters.update(state);
    dashboard.refresh();
    verdicts.update(state);
    for (const member of members) member.update(state);
    box.update(state);
    provenance.update(state);
  };
  store.subscribe(update);
  update();
  await dashboard.begun;
  await new Promise((painted) => requestAnimationFrame(() => setTimeout(painted)));
  verdicts.load();

  let seen = meta.changes;
  dashboard.changes = seen;
  listen(async (state) => {
    header.showLive(state);
    if (state.changes === seen) return;
    seen = state.changes;
    const now = await request("meta").catch(() => null);
    if (now) Object.assign(context, new Context(now), { present: context.present, version: context.version + 1 });
    dashboard.renew(seen);
    update();
    verdicts.load();
    if (Date.now() - learnt > LEARN_MS) learn();
  }, (isConnected) => header.showConnection(isConnected));

  let learnt = 0;
  async function learn() {
    learnt = Date.now();
    const { columns } = await request("present").catch(() => ({ columns: null }));
    if (!columns) return;
    context.present = new Set(columns);
    context.version += 1;
    update();
  }
  // Only then: it looks at every file, and what is in sight comes first.
  const waiting = setInterval(() => {
    if (dashboard.isBusy || !dashboard.shown.size) return;
    clearInterval(waiting);
    learn();
  }, 200);
  onColours(() => dashboard.redraw());
  addEventListener("keydown", async (event) => {
    if (event.key !== "p" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    await Promise.all([dashboard.drawAll(), provenance.load()]);
    print();
  });
  addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || document.querySelector("dialog[open]")) return;
    hideTip();
    hover(null);
    if (Object.keys(store.state.pick).length) store.set({ pick: {}, start: 0 });
  });
  addEventListener("sql", (event) => box.open(/** @type {CustomEvent} */ (event).detail));
}

start();
