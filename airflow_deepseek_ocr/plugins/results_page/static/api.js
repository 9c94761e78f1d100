// Requests to the server, and their errors in words.

export class ApiError extends Error {
  constructor(status, text, code = "") {
    super(text);
    this.status = status;
    this.code = code;
  }
}

async function answer(path, options) {
  let response;
  try {
    response = await fetch(path, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "The API server does not answer. Check the network, and try again.");
  }
  const body = await response.json().catch(() => ({}));
  if (response.ok) return body;
  const detail = body.detail || {};
  if (typeof detail === "string") throw new ApiError(response.status, detail);
  if (Array.isArray(detail)) throw new ApiError(response.status, detail.map((each) => `${each.loc?.at(-1)}: ${each.msg}`).join(". "));
  throw new ApiError(response.status, detail.message || `The API server answered with status ${response.status}.`, detail.code);
}

const query = (values) => {
  const given = Object.entries(values).filter(([, value]) => value !== "" && value !== null && value !== undefined && value !== false);
  return given.length ? `?${new URLSearchParams(given)}` : "";
};

/** GET, with a query. */
export const get = (path, values = {}, signal = undefined) => answer(`api/${path}${query(values)}`, { signal });

/** PUT with a JSON body. */
export const put = (path, body) =>
  answer(`api/${path}`, { method: "PUT", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

/** Heading for an error. */
export function heading(error) {
  if (error.status === 401) return "You are not logged in";
  if (error.status === 403) return "You may not do this";
  if (error.status === 404) return "Not found";
  if (error.status === 504) return "The search took too long";
  if (error.code === "database_outdated") return "The results database is not ready";
  if (error.code === "database_newer") return "The results database is newer than this Airflow";
  if (error.code === "database_connection") return "No results database";
  if (error.code?.startsWith("database")) return "The results database cannot be read";
  return "That did not work";
}
