/**
 * What the page knows of the results: studies, columns, and what is chosen where the address is silent.
 * @module context
 */

/**
 * @typedef {{name: string, label: string, kind: string, role: string, meaning: string, key: string, is_swept: boolean}} Column
 * @typedef {{name: string, title: string, description: string, swept: string[], runs: number, path: string}} Study
 */

export class Context {
  /** @param {any} meta */
  constructor(meta) {
    this.location = meta.location;
    this.changes = meta.changes;
    /** @type {Study[]} */
    this.studies = meta.studies;
    /** @type {Map<string, Column>} */
    this.columns = new Map(meta.columns.map((/** @type {Column} */ each) => [each.name, each]));
    /** @type {string[]} */
    this.curveMeasures = meta.curve_measures;
    this.limits = meta.limits;
    /** @type {Set<string>|null} Columns that hold any value, once it is known. */
    this.present = null;
    /** Grows when something of the above is another. */
    this.version = 0;
  }

  /**
   * What offered columns depend on.
   * @param {import("./state.js").State} state
   */
  offered(state) {
    return [this.version, this.chosenStudies(state)];
  }

  /** @param {string} name */
  label(name) {
    return this.columns.get(name)?.label ?? name;
  }

  /** @param {string} name */
  meaning(name) {
    const column = this.columns.get(name);
    return column ? [column.key, column.meaning].filter(Boolean).join(": ") : "";
  }

  /** @param {string} name */
  hasValues(name) {
    return !this.present || this.present.has(name);
  }

  /**
   * Names of the studies in view.
   * @param {import("./state.js").State} state
   */
  chosenStudies(state) {
    const values = state.filters.study?.values;
    return values ?? this.studies.map((study) => study.name);
  }

  /**
   * What varies in the studies in view.
   * @param {import("./state.js").State} state
   * @returns {string[]}
   */
  swept(state) {
    const chosen = this.chosenStudies(state);
    const names = this.studies.filter((study) => chosen.includes(study.name)).flatMap((study) => study.swept);
    const known = [...new Set(names)].filter((name) => this.columns.has(name));
    return known.length ? known : [...this.columns.values()].filter((each) => each.is_swept).map((each) => each.name);
  }

  /** @returns {Column[]} */
  measures() {
    return [...this.columns.values()].filter((each) => each.role === "measure" && this.hasValues(each.name));
  }

  /**
   * The state with a choice for whatever the address does not say.
   * @param {import("./state.js").State} state
   * @returns {import("./state.js").State}
   */
  complete(state) {
    const swept = this.swept(state);
    const axes = swept.length ? swept : ["seed"];
    const isKnown = (/** @type {string} */ name) => this.columns.has(name);
    const first = this.measures().find((each) => each.name === "test_loss") ?? this.measures()[0];
    const measure = isKnown(state.measure) ? state.measure : (first?.name ?? "seed");
    const x = isKnown(state.x) ? state.x : axes[0];
    const other = axes.find((name) => name !== x) ?? "";
    const by = state.by === "-" ? "" : isKnown(state.by) ? state.by : other;
    const gx = isKnown(state.gx) ? state.gx : axes[0];
    const gy = isKnown(state.gy) ? state.gy : (axes.find((name) => name !== gx) ?? "seed");
    const second = ["train_loss", "mean_distinct_neurons", "theta_norm"].find((name) => name !== measure && isKnown(name) && this.hasValues(name));
    return {
      ...state, measure, x, by, gx, gy,
      sx: isKnown(state.sx) ? state.sx : (second ?? axes[0]),
      sy: isKnown(state.sy) ? state.sy : measure,
      cx: isKnown(state.cx) ? state.cx : x,
      curve: this.curveMeasures.includes(state.curve) ? state.curve : (this.curveMeasures.find((each) => each === measure) ?? this.curveMeasures.find((each) => each === "test_loss") ?? this.curveMeasures[0]),
    };
  }

  /**
   * Options of a choice of columns.
   * @param {(column: Column) => boolean} isOffered
   * @param {import("./state.js").State} state
   */
  options(isOffered, state) {
    const swept = new Set(this.swept(state));
    const offered = [...this.columns.values()].filter((each) => isOffered(each) && this.hasValues(each.name));
    offered.sort((one, other) => Number(swept.has(other.name)) - Number(swept.has(one.name)));
    return offered.map((each) => ({ value: each.name, text: each.label, group: swept.has(each.name) ? "swept" : "others", title: this.meaning(each.name) }));
  }

  /** @param {import("./state.js").State} state */
  axisOptions(state) {
    const swept = new Set(this.swept(state));
    const differs = (/** @type {Column} */ each) => each.is_swept || swept.has(each.name) || ["study", "seed", "outcome", "engine"].includes(each.name);
    return this.options(differs, state);
  }

  /** @param {import("./state.js").State} state */
  measureOptions(state) {
    return this.options((each) => each.role === "measure", state);
  }
}

/**
 * Values of a pick or a mark as conditions.
 * @param {Record<string, any>} at
 * @param {Context} context
 * @returns {Record<string, {values: any[]}>}
 */
export function conditions(at, context) {
  const entries = at.run_id !== undefined ? [["run_id", at.run_id]] : Object.entries(at);
  const kept = entries.filter(([name]) => context.columns.has(name) && context.columns.get(name)?.role !== "measure");
  return Object.fromEntries(kept.map(([name, value]) => [name, { values: [value] }]));
}
