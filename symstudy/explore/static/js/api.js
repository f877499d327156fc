/**
 * Requests to the server. Addresses are relative, so that they hold in a notebook's frame too.
 * @module api
 */

/**
 * What a request was refused with.
 */
export class RequestError extends Error {}

/**
 * @param {string} path
 * @param {object} [body] Sent as JSON; without one it is a GET.
 * @returns {Promise<any>}
 */
export async function request(path, body) {
  let response;
  try {
    response = await fetch(path, body === undefined ? {} : {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
  } catch {
    throw new RequestError("The explorer does not answer. It may have been ended: type symstudy explore again.");
  }
  const values = await response.json().catch(() => ({}));
  if (!response.ok) throw new RequestError(values.error ?? `The server answers ${response.status}.`);
  return values;
}

/**
 * Ask for what panels show.
 * @param {object} filters
 * @param {object[]} want
 * @returns {Promise<any[]>} An answer a panel.
 */
export async function ask(filters, want) {
  const { panels } = await request("panels", { filters, want });
  for (const answer of panels) if (answer.packed) answer.rows = rowsOf(answer.packed);
  return panels;
}

/**
 * Rows of columns that came as bytes.
 * @param {any[]} packed
 * @returns {any[][]}
 */
function rowsOf(packed) {
  const columns = packed.map((column) => {
    if (column.list) return column.list;
    if (column.whole !== undefined) return Array.from(new (column.size === 1 ? Uint8Array : Uint32Array)(bytes(column.whole)));
    if (column.at) return Array.from(new (column.values.length <= 256 ? Uint8Array : Uint16Array)(bytes(column.at)), (at) => column.values[at]);
    const numbers = Array.from(new Float64Array(bytes(column.numbers)));
    for (const at of column.none) numbers[at] = null;
    return numbers;
  });
  return columns[0].map((/** @type {any} */ _, /** @type {number} */ row) => columns.map((column) => column[row]));
}

/** @param {string} text Base64. */
function bytes(text) {
  const raw = atob(text);
  const found = new Uint8Array(raw.length);
  for (let at = 0; at < raw.length; at += 1) found[at] = raw.charCodeAt(at);
  return found.buffer;
}

/**
 * Be told what has changed while studies run.
 * @param {(state: any) => void} onState
 * @param {(isConnected: boolean) => void} onConnection
 */
export function listen(onState, onConnection) {
  const source = new EventSource("live");
  source.onmessage = (event) => {
    onConnection(true);
    onState(JSON.parse(event.data));
  };
  source.onerror = () => onConnection(false);
}
