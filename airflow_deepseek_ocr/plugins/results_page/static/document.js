// One document: its facts, its downloads, its pages.

import { get } from "./api.js";
import { announce, el, message, outside, replace, show } from "./dom.js";
import { pageView } from "./page.js";
import { nextInQueue } from "./queue.js";
import { badge, bytes, count, digits, exportName, nameOf, statusClass, statusName, statusSign, time } from "./words.js";

/** Buttons of pages around the current one. */
const BUTTONS = matchMedia("(max-width: 820px)").matches ? 8 : 30;

/** Show a document at one of its pages. */
export async function showDocument(session, id, wanted, left) {
  const data = await get(`documents/${id}`, {}, left);
  const { document: found, pages } = data;
  const { name } = nameOf(found.uri);
  const numbers = pages.map((page) => page.page_number);
  let current = numbers.includes(wanted) ? wanted : numbers[0];
  let requests = new AbortController();
  left.addEventListener("abort", () => requests.abort());
  const strip = el("nav", { class: "strip", "aria-label": "Pages" });
  const place = el("div", { class: "page" });

  const go = async (number, isReplaced = false) => {
    if (number === undefined) return;
    current = number;
    // Not through the hash: the document need not be fetched again.
    history[isReplaced ? "replaceState" : "pushState"]({}, "", `#${id}/${number}`);
    await load();
  };

  const load = async () => {
    requests.abort();
    requests = new AbortController();
    drawStrip();
    place.setAttribute("aria-busy", "true");
    try {
      const page = await get(`documents/${id}/pages/${current}`, {}, requests.signal);
      replace(place, pageView({ session, id, page, mayCorrect: data.may_correct, next: nextInQueue(id, current), changed }));
      announce(`Page ${current}, ${statusName(page.status)}`);
    } catch (error) {
      if (error.name === "AbortError") return;
      replace(place, message("The page cannot be shown", error.message, el("button", { type: "button", onclick: load }, "Try again")));
    } finally {
      place.removeAttribute("aria-busy");
    }
  };

  const changed = async () => {
    const fresh = await get(`documents/${id}`);
    pages.splice(0, pages.length, ...fresh.pages);
    await load();
  };

  const drawStrip = () => {
    const at = numbers.indexOf(current);
    const first = Math.max(0, Math.min(at - BUTTONS / 2, numbers.length - BUTTONS));
    const step = (label, sign, target) => el("button", {
      type: "button", class: "step", "aria-label": label, title: label, disabled: target === undefined, onclick: () => go(target),
    }, sign);
    const pick = (page) => {
      const state = page.reviewed_at ? "corrected" : page.accepted_at ? "accepted by a person" : statusName(page.status);
      return el("button", {
        type: "button", class: `pick ${page.reviewed_at || page.accepted_at ? "good" : statusClass(page.status)}`,
        "aria-current": page.page_number === current ? "page" : null, title: `Page ${page.page_number}: ${state}`,
        "aria-label": `Page ${page.page_number}, ${state}`, onclick: () => go(page.page_number),
      }, digits(page.page_number), el("span", { class: "sign", "aria-hidden": "true" }, page.reviewed_at || page.accepted_at ? "✓" : statusSign(page.status)));
    };
    replace(strip,
      step("Previous page", "‹", numbers[at - 1]),
      ...pages.slice(first, first + BUTTONS).map(pick),
      step("Next page", "›", numbers[at + 1]),
      numbers.length > BUTTONS && el("label", { class: "jump" }, "Page ",
        el("input", {
          type: "number", min: numbers[0], max: numbers.at(-1), value: current,
          onchange: (event) => { const number = Number(event.target.value); if (numbers.includes(number)) go(number); },
        }), ` of ${digits(numbers.at(-1))}`));
  };

  const keys = (event) => {
    const isTyping = event.target.closest("input, textarea, select, [role=tab], [contenteditable], .scroll");
    // Another page would throw away what a person writes.
    if (isTyping || event.altKey || event.ctrlKey || event.metaKey || document.querySelector(".editor")) return;
    const by = { ArrowLeft: -1, ArrowRight: 1, k: -1, j: 1 }[event.key];
    if (by) go(numbers[numbers.indexOf(current) + by]);
  };
  const back = () => {
    const [first, second] = location.hash.slice(1).split("/");
    if (Number(first) === id && numbers.includes(Number(second)) && Number(second) !== current) {
      current = Number(second);
      load();
    }
  };

  show(name, head(data, id, name), numbers.length ? [numbers.length > 1 && strip, place] : nothing(found));
  addEventListener("keydown", keys, { signal: left });
  addEventListener("popstate", back, { signal: left });
  if (numbers.length) await go(current, true);
}

function nothing(found) {
  if (found.status === "processing") return message("Being read", "A task is reading this document. Its pages appear here when they are stored.");
  return message("No pages", found.error || "No page of this document is stored.");
}

function head(data, id, name) {
  const { document: found, versions, exports } = data;
  const { place } = nameOf(found.uri);
  const others = versions.filter((each) => each.id !== id);
  // A person may not see the documents of the DAG that read it.
  const current = others.find((each) => each.is_current);
  return el("header", { class: "head" },
    el("p", { class: "crumbs" }, el("a", { href: "#" }, "← All documents")),
    el("div", { class: "line" }, el("h2", {}, name), badge(found.status), downloads(id, exports)),
    el("p", { class: "place" }, place),
    !found.is_current && el("p", { class: "quiet" }, "Another version or setting of this document is current. ", current && el("a", { href: `#${current.id}` }, "Show it")),
    found.error && el("p", { class: "error" }, el("strong", {}, found.error_code), " ", found.error),
    el("div", { class: "line" },
      el("details", {}, el("summary", {}, `${count(Math.max(found.page_count, data.pages.length), "page")} · ${found.model} · ${found.resolution}`), facts(found)),
      others.length > 0 && el("details", {}, el("summary", {}, count(others.length, "other version or setting", "other versions or settings")),
        el("ul", { class: "versions" }, others.map((each) => el("li", {},
          el("a", { href: `#${each.id}` }, time(each.finished_at), ` ${each.version.slice(0, 24) || "version unknown"}`), " ", badge(each.status), each.is_current && " current",
          el("span", { class: "place" }, `${each.model} · ${each.resolution} · ${each.prompt.slice(0, 60)}`)))))));
}

function downloads(id, exports) {
  const entry = (path, label, size) => el("li", {}, outside({ href: path, download: "" }, label, size && el("span", { class: "place" }, size)));
  return el("details", { class: "menu" }, el("summary", { class: "button" }, "Download"),
    el("ul", {},
      entry(`api/documents/${id}/markdown`, "Markdown", "from the database, with corrections"),
      exports.map((each) => entry(`api/documents/${id}/exports/${each.id}/file`, exportName(each.kind), `${each.name} · ${bytes(each.size_bytes)}`)),
      !exports.length && el("li", { class: "quiet" }, "The task wrote no exports. The operator's argument exports names formats.")));
}

function facts(found) {
  const task = found.dag_id && found.run_id && found.task_id;
  const mapped = found.map_index !== null && found.map_index >= 0 ? `/mapped/${found.map_index}` : "";
  const address = task && `../dags/${encodeURIComponent(found.dag_id)}/runs/${encodeURIComponent(found.run_id)}/tasks/${encodeURIComponent(found.task_id)}${mapped}`;
  let settings = found.config;
  try {
    settings = JSON.stringify(JSON.parse(found.config), null, 2);
  } catch {
    // Shown as it is.
  }
  const list = [
    ["Address", found.uri],
    ["Version", found.version || "–"],
    ["Stored", time(found.last_modified)],
    ["Type and size", `${found.media_type || "unknown"}, ${bytes(found.size_bytes)}`],
    ["Model", found.revision ? `${found.model} at ${found.revision}` : found.model],
    ["Prompt", found.prompt],
    ["Resolution", found.resolution],
    ["Read", time(found.finished_at)],
    ["Times claimed", digits(found.claims)],
    task && ["Task", outside({ href: address }, `${found.dag_id} › ${found.run_id} › ${found.task_id}${mapped && ` [${found.map_index}]`}`)],
    ["All settings", el("details", {}, el("summary", {}, "Processing configuration"), el("pre", { class: "scroll", tabindex: "0" }, settings))],
  ].filter(Boolean);
  return el("dl", {}, list.map(([label, value]) => [el("dt", {}, label), el("dd", {}, value)]));
}
