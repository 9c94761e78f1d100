// One page: its picture with boxes at the left, its regions, text, tables and attempts at the right.

import { put } from "./api.js";
import { announce, cleaned, el, outside, replace, svg } from "./dom.js";
import { score } from "./list.js";
import { badge, bytes, count, digits, exportName, ratio, time } from "./words.js";

/** The tab that was chosen last, for the next page. */
let chosen = "regions";

/** Elements of a page. `changed` is called after a correction, `next` is the address of the queue's next page. */
export function pageView({ session, id, page, mayCorrect, next, changed }) {
  const address = `documents/${id}/pages/${page.page_number}`;
  const lights = new Map();
  const light = (position, isOn) => {
    for (const each of lights.get(position) || []) each.classList.toggle("on", isOn);
  };
  const join = (position, element) => {
    lights.set(position, [...(lights.get(position) || []), element]);
    element.addEventListener("mouseenter", () => light(position, true));
    element.addEventListener("mouseleave", () => light(position, false));
    element.addEventListener("focusin", () => light(position, true));
    element.addEventListener("focusout", () => light(position, false));
    return element;
  };
  const context = { session, id, page, address, mayCorrect, changed, join };
  const tabs = [
    ["regions", `Regions (${digits(page.regions.length)})`, () => regions(context)],
    ["text", "Text", () => text(context)],
    ["tables", `Tables (${digits(page.tables.length)})`, () => page.tables.map((each) => grid(each))],
    ["attempts", `Attempts (${digits(page.attempts.length)})`, () => page.attempts.map((each, at) => attempt(context, each, at))],
    ["source", "Model's output", () => [el("pre", { class: "scroll source", tabindex: "0" }, page.text || "(empty)")]],
  ].filter(([name]) => name !== "tables" || page.tables.length);
  return [
    el("div", { class: "summary" }, summary(context, next)),
    el("div", { class: "split" },
      picture(context, (position) => document.getElementById(`region-${position}`)?.focus()),
      tabbed(tabs, page.regions.length ? "regions" : "text")),
  ];
}

function summary({ session, page, address, mayCorrect, changed }, next) {
  // The error has the words of its own flag.
  const reasons = page.flags.filter((flag) => flag !== page.error_code).map((flag) => el("li", {}, session.flags[flag] || flag, " ", el("code", {}, flag)));
  const isDoubtful = page.status === "failed" || page.flags.length > 0;
  const accept = (accepted) => act(() => put(`${address}/acceptance`, { accepted, page_created_at: page.created_at, seen_at: page.reviewed_at }), changed);
  return [
    el("h3", {}, `Page ${digits(page.page_number)}`), badge(page.status),
    page.reviewed_at && el("span", { class: "badge good" }, "Corrected"),
    page.accepted_at && el("span", { class: "badge good" }, "Accepted by a person"),
    el("dl", { class: "figures" },
      figure("Score", score(page.score)),
      page.confidence !== null && figure("Confidence", score(page.confidence)),
      page.agreement !== null && figure("Agreement with the text layer", ratio(page.agreement)),
      figure("Mode", page.resolution || "text layer"),
      figure("Tokens", `${digits(page.vision_tokens)} image, ${digits(page.text_tokens)} text`),
      figure("Model's time", `${page.seconds.toFixed(1)} s`),
      page.rotation ? figure("Turned", `${page.rotation}°`) : null),
    el("span", { class: "actions" },
      mayCorrect && isDoubtful && !page.accepted_at && el("button", { type: "button", onclick: () => accept(true) }, "Accept as it is"),
      mayCorrect && page.accepted_at && el("button", { type: "button", class: "plain", onclick: () => accept(false) }, "Withdraw acceptance"),
      next && el("a", { class: "button", href: next }, "Next to review →")),
    page.error && el("p", { class: "error" }, el("strong", {}, page.error_code), " ", page.error),
    reasons.length > 0 && el("ul", { class: "flags" }, reasons),
    page.accepted_at && el("p", { class: "quiet" }, `Accepted by ${page.accepted_by} on `, time(page.accepted_at), "."),
  ];
}

const figure = (label, value) => el("div", {}, el("dt", {}, label), el("dd", {}, value));

function picture({ id, page, join }, chose) {
  const width = page.width || 1;
  const height = page.height || Math.round(width * 1.414);
  const boxes = svg("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  // Small boxes last: they are above the large ones, and can be reached.
  const all = page.regions.flatMap((region) => region.boxes.map((box) => ({ region, box: ordered(box) })));
  all.sort((a, b) => area(b.box) - area(a.box));
  for (const { region, box: [x1, y1, x2, y2] } of all) {
    const rect = svg("rect", { x: x1, y: y1, width: x2 - x1, height: y2 - y1, class: `box ${kind(region.label)}` });
    rect.addEventListener("click", () => chose(region.position));
    boxes.append(join(region.position, rect));
  }
  const sheet = el("div", { class: "sheet-of-paper" });
  sheet.style.aspectRatio = `${width} / ${height}`;
  sheet.style.width = `min(100%, calc((100vh - 70px) * ${width / height}))`;
  const note = (words) => el("figcaption", { class: "quiet" }, words);
  const figure = el("figure", { class: "picture" }, sheet);
  if (page.has_picture) {
    const image = el("img", { src: `api/documents/${id}/pages/${page.page_number}/picture`, alt: `Page ${page.page_number} of the document`, decoding: "async" });
    image.addEventListener("error", () => {
      image.remove();
      figure.append(note("The stored picture cannot be fetched. The boxes show where the regions are."));
    });
    sheet.append(image);
  } else {
    figure.append(note(page.width ? "No picture of this page is stored; the operator's exports=[\"webp\"] stores one." : "The page could not be rendered."));
  }
  sheet.append(boxes);
  return figure;
}

const ordered = ([x1, y1, x2, y2]) => [Math.min(x1, x2), Math.min(y1, y2), Math.max(x1, x2), Math.max(y1, y2)];
const area = ([x1, y1, x2, y2]) => (x2 - x1) * (y2 - y1);
const KINDS = { title: "title", sub_title: "title", table: "table", image: "figure", figure: "figure", equation: "formula", formula: "formula" };
const kind = (label) => KINDS[label] || "text";

function tabbed(tabs, fallback) {
  const panel = el("div", { class: "panel", role: "tabpanel", id: "panel", tabindex: "0" });
  const buttons = tabs.map(([name, label]) =>
    el("button", { type: "button", role: "tab", id: `tab-${name}`, "aria-controls": "panel", onclick: () => select(name) }, label));
  const select = (name) => {
    chosen = name;
    const at = tabs.findIndex(([each]) => each === name);
    buttons.forEach((button, index) => {
      button.setAttribute("aria-selected", String(index === at));
      button.tabIndex = index === at ? 0 : -1;
    });
    panel.setAttribute("aria-labelledby", buttons[at].id);
    const content = tabs[at][2]();
    replace(panel, content.length ? content : [el("p", { class: "quiet" }, "Nothing here.")]);
  };
  const bar = el("div", { class: "tabs", role: "tablist", "aria-label": "Views of the page" }, buttons);
  bar.addEventListener("keydown", (event) => {
    const at = buttons.findIndex((button) => button.tabIndex === 0);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const index = (to + tabs.length) % tabs.length;
    select(tabs[index][0]);
    buttons[index].focus();
  });
  const names = tabs.map(([name]) => name);
  const isUseful = names.includes(chosen) && !(chosen === "regions" && fallback === "text");
  const previous = chosen;
  select(isUseful ? chosen : fallback);
  chosen = isUseful ? chosen : previous;
  return el("div", { class: "sides" }, bar, panel);
}

function regions(context) {
  const { page, join } = context;
  return page.regions.map((each, at) => {
    const label = `${at + 1} ${each.label}`;
    const card = el("section", { class: `region ${kind(each.label)}`, id: `region-${each.position}`, tabindex: "0", "aria-label": `Region ${label}` });
    const draw = () => replace(card,
      el("div", { class: "label" }, el("span", {}, label),
        each.confidence !== null && each.confidence !== undefined && el("span", {}, `confidence ${ratio(each.confidence)}`),
        each.reviewed_at && el("span", {}, "corrected"),
        context.mayCorrect && el("button", { type: "button", class: "plain edit", "aria-label": `Correct region ${label}`, onclick: edit }, "Correct")),
      body(each), doubtful(page, each), each.description && el("p", { class: "quiet" }, each.description), ...changedBy(each));
    const edit = () => card.append(editor({
      value: each.reviewed_text ?? each.text, own: each.reviewed_text !== null && each.reviewed_text !== undefined,
      save: (text) => put(`${context.address}/regions/${each.position}/review`, { text, page_created_at: page.created_at, seen_at: each.reviewed_at }),
      done: context.changed, cancel: draw, name: `Text of region ${label}`, before: card,
    }));
    draw();
    return join(each.position, card);
  });
}

function body(each) {
  return rendered(each.reviewed_text ?? each.text, each.html);
}

/** A text as HTML from the server. Long texts come without, so that a page stays quick. */
function rendered(text, html) {
  if (!text) return el("p", { class: "quiet" }, "No text.");
  return html === null ? el("pre", { class: "scroll", tabindex: "0" }, text) : cleaned(html, { class: "model" });
}

/** The words of a region of which the model was not sure, until a person corrects it. */
function doubtful(page, region) {
  const words = region.reviewed_at ? [] : page.uncertain_words.filter((each) => each.region === region.position);
  return words.length > 0 && el("p", { class: "doubts" }, "Uncertain: ",
    words.slice(0, 20).flatMap((each, at) => [at > 0 && ", ", el("mark", { title: `confidence ${ratio(each.confidence)}` }, each.word)]));
}

function changedBy(each) {
  if (!each.reviewed_at) return [];
  return [
    el("p", { class: "quiet" }, `Corrected by ${each.reviewed_by} on `, time(each.reviewed_at), "."),
    el("details", {}, el("summary", {}, "The model's own text"), el("pre", { class: "scroll", tabindex: "0" }, each.markdown ?? each.text)),
  ];
}

function text(context) {
  const { page, address, mayCorrect, changed } = context;
  const holder = el("div");
  const draw = () => replace(holder,
    mayCorrect && el("p", {}, el("button", { type: "button", onclick: edit }, "Correct the text of the page")),
    rendered(page.reviewed_text ?? page.markdown, page.html),
    ...changedBy(page),
    words(page),
    page.exports.length > 0 && el("details", {}, el("summary", {}, count(page.exports.length, "file of this page", "files of this page")),
      el("ul", {}, page.exports.map((each) => el("li", {},
        outside({ href: `api/documents/${context.id}/exports/${each.id}/file`, download: "" }, exportName(each.kind)), el("span", { class: "place" }, `${each.name} · ${bytes(each.size_bytes)}`))))));
  const edit = () => replace(holder, editor({
    value: page.reviewed_text ?? page.markdown, own: page.reviewed_text !== null,
    save: (value) => put(`${address}/review`, { text: value, page_created_at: page.created_at, seen_at: page.reviewed_at }),
    done: changed, cancel: draw, name: "Text of the page, as Markdown", before: holder,
  }));
  draw();
  return [holder];
}

function words(page) {
  const uncertain = page.uncertain_words;
  if (!uncertain.length) return "";
  return el("details", {}, el("summary", {}, count(uncertain.length, "uncertain word")),
    el("ul", { class: "words" }, uncertain.slice(0, 200).map((each) => el("li", {},
      each.word, " ", el("span", { class: "quiet" }, ratio(each.confidence))))));
}

function editor({ value, own, save, done, cancel, name, before }) {
  const area = el("textarea", { rows: Math.min(24, Math.max(4, value.split("\n").length + 2)), "aria-label": name, spellcheck: "true" });
  area.value = value;
  const said = el("p", { class: "error", role: "alert" });
  const run = async (text) => {
    for (const button of form.querySelectorAll("button")) button.disabled = true;
    try {
      await save(text);
      announce(text === null ? "The model's text is back" : "Saved");
      await done();
    } catch (error) {
      said.textContent = error.message;
      for (const button of form.querySelectorAll("button")) button.disabled = false;
    }
  };
  const close = () => { cancel(); before.focus?.(); };
  const form = el("form", {
    class: "editor",
    onsubmit: (event) => { event.preventDefault(); run(area.value); },
    onkeydown: (event) => {
      event.stopPropagation();
      if (event.key === "Escape") close();
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) run(area.value);
    },
  }, area, said, el("div", { class: "actions" },
    el("button", { type: "submit", class: "strong" }, "Save"),
    el("button", { type: "button", onclick: close }, "Cancel"),
    own && el("button", { type: "button", class: "plain", onclick: () => run(null) }, "Take the model's text again")));
  queueMicrotask(() => area.focus());
  return form;
}

async function act(work, changed) {
  try {
    await work();
    await changed();
  } catch (error) {
    announce(error.message);
    document.querySelector(".summary")?.append(el("p", { class: "error", role: "alert" }, error.message));
  }
}

function grid(table) {
  const rows = Array.from({ length: table.row_count }, () => el("tr"));
  for (const cell of table.cells) {
    rows[cell.row_index]?.append(el(cell.is_header ? "th" : "td", {
      rowspan: cell.row_span > 1 ? cell.row_span : null, colspan: cell.column_span > 1 ? cell.column_span : null,
    }, cell.text));
  }
  const size = `${count(table.row_count, "row")}, ${count(table.column_count, "column")}`;
  return el("section", { class: "table" },
    el("h4", {}, table.caption || `Table ${digits(table.position + 1)}`),
    el("p", { class: "quiet" }, size, table.is_ragged && ". Its rows have different widths", table.is_truncated && ". It has more cells than are stored", "."),
    el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table" }, el("table", { class: "grid" }, el("tbody", {}, rows))));
}

function attempt({ session, page }, each, at) {
  const isStored = each.text === null || each.text === undefined;
  return el("section", { class: "attempt" },
    el("h4", {}, `${at + 1}. ${each.how}`, isStored && el("span", { class: "badge good" }, "stored")),
    el("dl", { class: "figures" }, figure("Score", score(each.score)), figure("Mode", each.resolution || "text layer"),
      figure("Tokens", `${digits(each.vision_tokens)} image, ${digits(each.text_tokens)} text`), figure("Model's time", `${each.seconds.toFixed(1)} s`)),
    each.error_code && el("p", { class: "error" }, each.error_code),
    each.flags.length > 0 && el("ul", { class: "flags" }, each.flags.map((flag) => el("li", {}, session.flags[flag] || flag, " ", el("code", {}, flag)))),
    el("details", {}, el("summary", {}, "Output"), el("pre", { class: "scroll", tabindex: "0" }, (isStored ? page.text : each.text) || "(empty)")));
}
