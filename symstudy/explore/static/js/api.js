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
