// The queue of pages to review.

import { get } from "./api.js";
import { announce, el, message, replace, show } from "./dom.js";
import { asQuery, conditions, form, keep, swap } from "./filters.js";
import { score } from "./list.js";
import { badge, nameOf } from "./words.js";

const KEY = "deepseek-ocr-queue";

/** The address of the page after this one in the queue that was last shown; null at its end. */
export function nextInQueue(id, number) {
  try {
    const pages = JSON.parse(sessionStorage.getItem(KEY) || "[]");
    const place = pages.indexOf(`${id}/${number}`);
    return place >= 0 && place + 1 < pages.length ? `#${pages[place + 1]}` : null;
  } catch {
    return null;
  }
}

/** Show the queue. */
export async function showQueue(session, left) {
  let values = conditions();
  let order = "score";
  let below = "0.8";
  let after = [];
  let requests = new AbortController();
  left.addEventListener("abort", () => requests.abort());
  const results = el("div", { class: "results" });
  let filters = el("div");

  const load = async () => {
    requests.abort();
    requests = new AbortController();
    const query = { ...asQuery({ ...values, q: "", in_text: "" }), order, below, after: after.at(-1) };
    const listing = await get("queue", query, requests.signal);
    sessionStorage.setItem(KEY, JSON.stringify(listing.pages.map((each) => `${each.document_id}/${each.page_number}`)));
    replace(results, ...table(listing));
  };
  const restart = () => {
    after = [];
    load().catch(fail);
  };
  const fail = (error) => {
    if (error.name === "AbortError") return;
    replace(results, message("That did not work", error.message, el("button", { type: "button", onclick: () => load().catch(fail) }, "Try again")));
    announce(error.message);
  };
  const change = (next, isRedrawn = false) => {
    values = { ...values, ...next };
    keep(values);
    if (isRedrawn) draw();
    restart();
  };
  const draw = () => {
    filters = swap(filters, form(session, values, change, { search: false }));
  };
  const choose = (label, options, chosen, changed) =>
    el("label", { class: "field" }, el("span", {}, label),
      el("select", { onchange: (event) => { changed(event.target.value); restart(); } },
        options.map(([value, name]) => el("option", { value, selected: value === chosen }, name))));

  const better = (place, name) =>
    el("button", { type: "button", onclick: () => { after.push(place); load().then(() => scrollTo(0, 0)).catch(fail); } }, name);

  const table = (listing) => {
    if (!listing.pages.length && listing.next_after !== null) return [message("None found yet", "The search is not at its end: the pages that it has seen belong to older versions of documents.", better(listing.next_after, "Continue"))];
    if (!listing.pages.length) return [message("Nothing to review", "No page that you may see failed or is below the value, or people have corrected or accepted them all.")];
    return [
      el("div", { class: "sheet" }, el("table", { class: "list" },
        el("caption", { class: "unseen" }, "Pages to review, worst first"),
        el("thead", {}, el("tr", {}, ["Page", "Status", "Score", "Confidence", "Reasons"].map((name) => el("th", { scope: "col" }, name)))),
        el("tbody", {}, listing.pages.map((each) => row(session, each))))),
      el("nav", { class: "pager", "aria-label": "Pages of the list" },
        after.length ? el("button", { type: "button", onclick: () => { after.pop(); load().catch(fail); } }, "← Worse") : el("span"),
        listing.next_after !== null && better(listing.next_after, "Better →")),
    ];
  };

  show("To review",
    el("div", { class: "intro" },
      el("h2", {}, "Pages to review"),
      el("p", { class: "quiet" }, "The worst first. A page leaves the list when a person corrects or accepts it.")),
    el("div", { class: "fields start" },
      choose("Order by", [["score", "Score"], ["confidence", "Confidence"]], order, (value) => { order = value; }),
      choose("Below", ["0.3", "0.5", "0.8", "0.9", "1"].map((value) => [value, value]), below, (value) => { below = value; })),
    filters,
    results);
  draw();
  await load();
}

function row(session, each) {
  const { name, place } = nameOf(each.uri);
  const reasons = each.flags.map((flag) => session.flags[flag] || flag);
  return el("tr", {},
    el("td", { class: "name" }, el("a", { href: `#${each.document_id}/${each.page_number}` }, `${name}, page ${each.page_number}`), el("span", { class: "place" }, place)),
    el("td", { "data-label": "Status" }, badge(each.status)),
    el("td", { "data-label": "Score" }, score(each.score)),
    el("td", { "data-label": "Confidence" }, score(each.confidence)),
    el("td", { "data-label": "Reasons", class: "reasons" }, reasons.length ? reasons.join(" ") : each.error_code || "–"));
}
