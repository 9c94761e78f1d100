// Conditions on documents, which the address keeps, and the form that changes them.

import { el } from "./dom.js";

const NAMES = ["q", "in_text", "status", "dag_id", "run_id", "task_id", "map_index", "since", "until"];

/** No conditions. */
export const NONE = Object.fromEntries(NAMES.map((name) => [name, ""]));

/** The conditions of the address. Airflow 3.1 writes a run's id unencoded, so that "+" arrives as a space. */
export function conditions() {
  const address = new URLSearchParams(location.search);
  const found = {};
  for (const name of NAMES) {
    const value = address.get(name) || "";
    // Airflow leaves the names of values that a task does not have.
    if (value && !value.startsWith("{")) found[name] = name === "run_id" ? value.replaceAll(" ", "+") : value;
  }
  return found;
}

/** Put conditions into the address without a new entry in the browser's history. */
export function keep(values) {
  const given = Object.entries(values).filter(([, value]) => value);
  const query = given.length ? `?${new URLSearchParams(given)}` : location.pathname;
  history.replaceState(history.state, "", query + location.hash);
}

/** Days of the form as moments of the reader's zone. */
export function asQuery(values) {
  const start = (day, plus) => {
    if (!day) return "";
    const [year, month, date] = day.split("-").map(Number);
    return new Date(year, month - 1, date + plus).toISOString();
  };
  return { ...values, since: start(values.since, 0), until: start(values.until, 1) };
}

const later = (work, milliseconds = 300) => {
  let timer;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(work, milliseconds);
  };
};

/** Replace a form; what was open stays open, and the keyboard stays at its place. */
export function swap(before, fresh) {
  const details = fresh.querySelector("details");
  details.open ||= before.querySelector("details")?.open || false;
  const hadFocus = before.contains(document.activeElement);
  before.replaceWith(fresh);
  if (hadFocus) details.querySelector("summary").focus();
  return fresh;
}

/** The form. `changed` receives the conditions that it sets, and whether it is to be drawn anew. */
export function form(session, values, changed, { search = true } = {}) {
  const emit = () => {
    const next = {};
    for (const input of element.querySelectorAll("[name]")) {
      next[input.name] = input.type === "checkbox" ? (input.checked ? "true" : "") : input.value.trim();
    }
    changed(next);
  };
  const text = (name, label, properties = {}) =>
    el("label", { class: `field ${properties.class || ""}` }, el("span", {}, label),
      el("input", { name, value: values[name] || "", autocomplete: "off", spellcheck: "false", oninput: later(emit), ...properties }));
  const dags = el("select", { name: "dag_id", onchange: emit }, el("option", { value: "" }, "All"),
    session.dag_ids.map((id) => el("option", { value: id, selected: id === values.dag_id }, id)));
  if (values.dag_id && !session.dag_ids.includes(values.dag_id)) {
    dags.append(el("option", { value: values.dag_id, selected: true }, values.dag_id));
  }
  const { status: _, ...withoutStatus } = NONE;
  const isNarrowed = ["dag_id", "run_id", "task_id", "since", "until"].some((name) => values[name]);
  const element = el("form", { class: "filters", role: "search", onsubmit: (event) => { event.preventDefault(); emit(); } },
    search && el("div", { class: "search" },
      text("q", "Search", { type: "search", class: "wide", placeholder: "Part of a name or path", maxlength: 1000 }),
      el("label", { class: "check" }, el("input", { type: "checkbox", name: "in_text", checked: values.in_text === "true", onchange: emit }), " also in the text")),
    el("details", { open: isNarrowed }, el("summary", {}, "Filters"),
      el("div", { class: "fields" },
        el("label", { class: "field" }, el("span", {}, "DAG"), dags),
        text("run_id", "Run", { placeholder: "Whole id of a run" }),
        text("task_id", "Task", { placeholder: "Id of a task" }),
        text("since", "Read from", { type: "date" }),
        text("until", "Read until", { type: "date" }),
        el("button", { type: "button", class: "plain", onclick: () => changed(withoutStatus, true) }, "Clear"))));
  return element;
}
