// Numbers, times and statuses as people read them.

const LANGUAGES = navigator.languages;
const WHEN = new Intl.DateTimeFormat(LANGUAGES, { dateStyle: "medium", timeStyle: "short" });
const EXACTLY = new Intl.DateTimeFormat(LANGUAGES, { dateStyle: "full", timeStyle: "long" });
const NUMBER = new Intl.NumberFormat(LANGUAGES);

export const count = (number, one, many = `${one}s`) => `${NUMBER.format(number)} ${number === 1 ? one : many}`;
export const digits = (number) => NUMBER.format(number);
export const ratio = (value) => (value === null || value === undefined ? "–" : value.toFixed(2));

/** A time in the reader's zone; the tooltip has its name. */
export function time(value) {
  const element = document.createElement("time");
  if (!value) {
    element.textContent = "–";
    return element;
  }
  const moment = new Date(value);
  element.dateTime = value;
  element.title = EXACTLY.format(moment);
  element.textContent = WHEN.format(moment);
  return element;
}

export function bytes(size) {
  if (size === null || size === undefined) return "–";
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${unit && size < 10 ? size.toFixed(1) : NUMBER.format(Math.round(size))} ${units[unit]}`;
}

const STATUS = {
  done: ["Done", "good", "✓"],
  partial: ["Partial", "warn", "◐"],
  failed: ["Failed", "bad", "✕"],
  processing: ["Processing", "busy", "…"],
  ok: ["Accepted", "good", "✓"],
  recovered: ["Accepted after retry", "good", "↻"],
  text_layer: ["Text layer", "good", "≡"],
};
export const DOCUMENT_STATUSES = ["done", "partial", "failed", "processing"];

export const statusName = (status) => (STATUS[status] || [status])[0];
export const statusClass = (status) => (STATUS[status] || ["", "busy"])[1];
export const statusSign = (status) => (STATUS[status] || ["", "", "?"])[2];

export function badge(status) {
  const element = document.createElement("span");
  element.className = `badge ${statusClass(status)}`;
  const sign = document.createElement("span");
  sign.ariaHidden = "true";
  sign.textContent = statusSign(status);
  element.append(sign, ` ${statusName(status)}`);
  return element;
}

const EXPORTS = {
  markdown: "Markdown",
  text: "Plain text",
  json: "JSON",
  jsonl: "JSON Lines, a page a line",
  regions_jsonl: "JSON Lines, a region a line",
  csv: "Table as CSV",
  pdf: "Searchable PDF",
  hocr: "hOCR",
  alto: "ALTO",
  docling: "Docling document",
  figures: "Figure",
  overlay: "Picture with boxes",
  webp: "Picture of the page",
  manifest: "List of files",
};
export const exportName = (kind) => EXPORTS[kind] || kind;

/** File name and place of a URI. */
export function nameOf(uri) {
  const path = uri.replace(/\/+$/, "");
  const cut = path.split("#attachment=")[0].lastIndexOf("/") + 1;
  return { name: decoded(path.slice(cut)) || uri, place: path.slice(0, cut) };
}

function decoded(name) {
  // Attached files have percent-encoded names behind the file's.
  const [file, ...attached] = name.split("#attachment=");
  try {
    return [file, ...attached.map(decodeURIComponent)].join(" › ");
  } catch {
    return name;
  }
}
