// The list of documents.

import { get } from "./api.js";
import { announce, el, message, replace, show } from "./dom.js";
import { asQuery, conditions, form, keep, NONE, swap } from "./filters.js";
import { badge, count, digits, DOCUMENT_STATUSES, nameOf, ratio, statusName, time } from "./words.js";

/** Show the documents that the address names. */
export async function showDocuments(session, left) {
  let values = conditions();
  let before = [];
  let requests = new AbortController();
  left.addEventListener("abort", () => requests.abort());
  const counts = el("div", { class: "chips", role: "group", "aria-label": "Status" });
  const results = el("div", { class: "results" });
  let filters = el("div");

  const change = (next, isRedrawn = false) => {
    values = { ...values, ...next };
    before = [];
    keep(values);
    if (isRedrawn) draw();
    load().catch(fail);
  };

  const draw = () => {
    filters = swap(filters, form(session, values, change));
  };

  const fail = (error) => {
    if (error.name === "AbortError") return;
    replace(results, message("That did not work", error.message,
      el("button", { type: "button", onclick: () => load().catch(fail) }, "Try again")));
    announce(error.message);
  };

  const load = async () => {
    requests.abort();
    requests = new AbortController();
    const { signal } = requests;
    results.setAttribute("aria-busy", "true");
    const query = asQuery(values);
    if (query.map_index === "-1") delete query.map_index;
    try {
      const listing = await get("documents", { ...query, before: before.at(-1) }, signal);
      replace(results, ...table(listing));
    } finally {
      results.removeAttribute("aria-busy");
    }
    const numbers = await get("counts", query, signal).catch((error) => {
      if (error.name === "AbortError") throw error;
      return null;
    });
    chips(numbers);
  };

  const chips = (numbers) => {
    const chip = (status, label, number) =>
      el("button", {
        type: "button", class: "chip", "aria-pressed": String((values.status || "") === status),
        onclick: () => change({ status }),
      }, label, number !== null && el("span", { class: "number" }, number));
    const isSearch = values.in_text === "true" && values.q;
    const all = !numbers || isSearch ? null : numbers.total > session.most_counted ? `${digits(session.most_counted)}+` : digits(numbers.total);
    replace(counts,
      chip("", "All", all),
      ...DOCUMENT_STATUSES.map((each) => chip(each, statusName(each), all === null ? null : digits(numbers.statuses[each] || 0))));
  };

  const table = (listing) => {
    const rows = listing.documents;
    if (!rows.length && !listing.is_partial && !before.length) return [empty(values, el("button", { type: "button", onclick: () => change(NONE, true) }, "Show all documents"))];
    announce(count(rows.length, "document"));
    return [
      rows.length > 0 && el("div", { class: "sheet" }, el("table", { class: "list" },
        el("caption", { class: "unseen" }, "Documents, newest first"),
        el("thead", {}, el("tr", {}, ["Document", "Status", "Pages", "Lowest score", "Run", "Read"].map((name) => el("th", { scope: "col" }, name)))),
        el("tbody", {}, rows.map(row)))),
      listing.is_partial && el("p", { class: "quiet" },
        rows.length ? "The search stopped here after some seconds; older documents were not searched yet." : "Nothing found in the newest documents. Older ones were not searched yet."),
      pager(listing, rows),
    ].filter(Boolean);
  };

  const pager = (listing, rows) => {
    const newer = before.length > 0 && el("button", { type: "button", onclick: () => { before.pop(); load().catch(fail); } }, "← Newer");
    const older = listing.next_before !== null && el("button", {
      type: "button", onclick: () => { before.push(listing.next_before); load().then(() => scrollTo(0, 0)).catch(fail); },
    }, listing.is_partial && rows.length < 50 ? "Continue the search →" : "Older →");
    return (newer || older) && el("nav", { class: "pager", "aria-label": "Pages of the list" }, newer || el("span"), older || el("span"));
  };

  show("", filters, counts, results);
  draw();
  chips(null);
  await load().catch((error) => {
    if (error.status === 401 || !results.isConnected) throw error;
    if (!results.children.length && error.code?.startsWith("database")) throw error;
    fail(error);
  });
}

function row(each) {
  const { name, place } = nameOf(each.uri);
  const pages = Math.max(each.page_count, each.pages);
  const ended = each.finished_at || each.updated_at;
  const run = [each.task_id, each.map_index >= 0 && each.map_index !== null ? `[${each.map_index}]` : ""].join("");
  return el("tr", {},
    el("td", { class: "name" },
      el("a", { href: `#${each.id}` }, name), el("span", { class: "place" }, place),
      each.error && el("span", { class: "error" }, each.error)),
    el("td", { "data-label": "Status" }, badge(each.status)),
    el("td", { "data-label": "Pages" }, pages ? digits(pages) : "–",
      each.failed_pages > 0 && el("span", { class: "place" }, `${digits(each.failed_pages)}\u00a0failed`)),
    el("td", { "data-label": "Lowest score" }, score(each.lowest_score)),
    el("td", { "data-label": "Run", class: "run" },
      each.dag_id ? [el("span", {}, each.dag_id), el("span", { class: "place" }, `${each.run_id || ""} · ${run}`)] : el("span", { class: "quiet" }, "not from a DAG")),
    el("td", { "data-label": "Read" }, time(ended)));
}

/** A score with a bar, as text for those who do not see the bar. */
export function score(value) {
  if (value === null || value === undefined) return el("span", { class: "quiet" }, "–");
  const meter = el("span", { class: `bar ${value < 0.5 ? "bad" : value < 0.8 ? "warn" : "good"}`, "aria-hidden": "true" }, el("span"));
  meter.firstChild.style.inlineSize = `${Math.round(value * 100)}%`;
  return el("span", { class: "score" }, ratio(value), meter);
}

function empty(values, all) {
  const isNarrowed = Object.entries(values).some(([name, value]) => value && name !== "in_text");
  if (values.run_id && !values.q) {
    return message("This run read no documents",
      "Documents that were stored before are skipped, and keep the run that read them. Documents of other DAGs are not shown without the right to see them.", all);
  }
  return isNarrowed
    ? message("Nothing found", "No document that you may see fits. Try fewer conditions.", all)
    : message("No documents yet", "Documents that DeepSeekOCROperator reads appear here, if you may see the task instances of their DAG.");
}
