/**
 * What panels need, asked for together: one request for all that is in sight, one at a time.
 * @module dashboard
 */

import { ask } from "./api.js";

/**
 * @typedef {Object} Member
 * @property {HTMLElement} root
 * @property {(state: import("./state.js").State) => object|null} want What it needs; null for nothing.
 * @property {(answer: any, state: import("./state.js").State) => void} show
 * @property {() => void} [redraw] Draws the same in other colours, where `show` would ask for more first.
 * @property {boolean} [isEarly] Whether it is drawn before others when the page opens.
 */

export class Dashboard {
  /** @param {() => import("./state.js").State} stateOf */
  constructor(stateOf) {
    this.stateOf = stateOf;
    /** @type {Member[]} */
    this.members = [];
    /** @type {Map<Member, string>} What each shows. */
    this.shown = new Map();
    /** @type {Map<Member, any>} The last answers, drawn again in other colours. */
    this.answers = new Map();
    this.isWhole = false;
    this.inSight = new Set();
    this.changes = 0;
    this.isBusy = false;
    this.isStale = false;
    /** Resolves when what comes first is drawn. */
    this.begun = new Promise((resolve) => { this.begin = resolve; });
    this.observer = new IntersectionObserver((entries) => {
      for (const entry of entries) this.inSight[entry.isIntersecting ? "add" : "delete"](entry.target);
      this.refresh();
    }, { rootMargin: "240px" });
  }

  /** @param {Member} member */
  add(member) {
    this.members.push(member);
    this.observer.observe(member.root);
  }

  /** @param {Member} member */
  remove(member) {
    this.members = this.members.filter((each) => each !== member);
    this.shown.delete(member);
    this.answers.delete(member);
    this.inSight.delete(member.root);
    this.observer.unobserve(member.root);
  }

  /** @param {number} changes Grows when rows are added. */
  renew(changes) {
    if (changes === this.changes) return;
    this.changes = changes;
    this.shown.clear();
    this.refresh();
  }

  /** Draw everything anew, in other colours: at once, since a page that is printed does not wait. */
  redraw() {
    const state = this.stateOf();
    for (const [member, answer] of this.answers) (member.redraw ?? member.show)(answer, state);
  }

  /** Draw what is out of sight too: a page that is printed has all panels. */
  async drawAll() {
    while (this.isBusy) await new Promise((resolve) => { setTimeout(resolve, 50); });
    this.isWhole = true;
    try {
      await this.refresh();
    } finally {
      this.isWhole = false;
    }
  }

  async refresh() {
    if (this.isBusy) {
      this.isStale = true;
      return;
    }
    this.isBusy = true;
    try {
      do {
        this.isStale = false;
        await this.round();
        this.begin();
      } while (this.isStale);
    } finally {
      this.isBusy = false;
      document.documentElement.dataset.round = String(Number(document.documentElement.dataset.round ?? 0) + 1);
    }
  }

  async round() {
    const state = this.stateOf();
    const isFirst = !this.shown.size;
    let due = [];
    for (const member of this.members) {
      // What is in sight is known after a first frame, which the filters do not wait for.
      if (!this.isWhole && !this.inSight.has(member.root) && !(isFirst && member.isEarly)) continue;
      const want = member.want(state);
      const key = JSON.stringify([state.filters, want]);
      if (this.shown.get(member) !== key) due.push({ member, want, key });
    }
    if (isFirst && due.some(({ member }) => member.isEarly)) {
      // The filters are quickest to work out: a page of a million runs shows them before the rest.
      due = due.filter(({ member }) => member.isEarly);
      this.isStale = true;
    }
    for (const { member, key } of due) this.shown.set(member, key);
    due = due.filter(({ want }) => want);
    if (!due.length) return;
    for (const { member } of due) member.root.setAttribute("aria-busy", "true");
    let answers;
    try {
      answers = await ask(state.filters, due.map((each) => each.want));
    } catch (error) {
      answers = due.map(() => ({ error: error.message }));
      for (const { member } of due) this.shown.delete(member);
    }
    const drawing = due.map(({ member }, at) => {
      this.answers.set(member, answers[at]);
      return member.show(answers[at], state);
    });
    // Some ask for more first, which only a print waits for.
    if (this.isWhole) await Promise.all(drawing);
  }
}
