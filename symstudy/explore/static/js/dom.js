/**
 * Elements of the page. Text of results is only ever set as text, never as markup.
 * @module dom
 */

const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/**
 * Text with characters that cannot be seen as escapes: they could hide or reorder what is shown.
 * @param {unknown} value
 * @returns {string}
 */
export function printable(value) {
  return String(value).replace(HIDDEN, (character) => {
    if (character === "\n" || character === "\t") return " ";
    const code = character.codePointAt(0) ?? 0;
    return code < 256 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
  });
}

/**
 * An element with attributes and children.
 * @param {string} name
 * @param {Record<string, any>} [attributes] `on...` are listeners, `class` and `text` are themselves.
 * @param {...(Node|string|null|undefined)} children
 * @returns {HTMLElement}
 */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  fill(made, attributes, children);
  return made;
}

/**
 * The same in SVG.
 * @param {string} name
 * @param {Record<string, any>} [attributes]
 * @param {...(Node|string|null|undefined)} children
 * @returns {SVGElement}
 */
export function svg(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  fill(made, attributes, children);
  return made;
}

/**
 * @param {Element} made
 * @param {Record<string, any>} attributes
 * @param {(Node|string|null|undefined)[]} children
 */
function fill(made, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "text") made.textContent = printable(value);
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : String(value));
  }
  for (const child of children) {
    if (child === null || child === undefined) continue;
    made.append(typeof child === "string" ? printable(child) : child);
  }
}

/**
 * A drop-down list.
 * @param {string} label
 * @param {{value: string, text: string, title?: string, group?: string}[]} options
 * @param {string} chosen
 * @param {(value: string) => void} onChange
 * @returns {HTMLElement}
 */
export function select(label, options, chosen, onChange) {
  const list = /** @type {HTMLSelectElement} */ (element("select", { onchange: () => onChange(list.value) }));
  const groups = new Map();
  const isGrouped = new Set(options.map((each) => each.group).filter(Boolean)).size > 1;
  for (const { value, text, title, group } of options) {
    if (isGrouped && group && !groups.has(group)) {
      groups.set(group, element("optgroup", { label: group }));
      list.append(groups.get(group));
    }
    (groups.get(group) ?? list).append(element("option", { value, text, title: title && printable(title), selected: value === chosen }));
  }
  return element("label", { class: "choice" }, element("span", { text: label }), list);
}

/**
 * A button.
 * @param {string} text
 * @param {() => void} onClick
 * @param {Record<string, any>} [attributes]
 * @returns {HTMLElement}
 */
export function button(text, onClick, attributes = {}) {
  return element("button", { type: "button", onclick: onClick, text, ...attributes });
}

/**
 * Offer a file to be saved.
 * @param {string} name
 * @param {string} type
 * @param {string} content
 */
export function save(name, type, content) {
  const address = URL.createObjectURL(new Blob([content], { type }));
  const link = element("a", { href: address, download: name.replace(/[^\w.-]+/g, "_") });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}
