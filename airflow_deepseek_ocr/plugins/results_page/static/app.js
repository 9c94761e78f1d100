// The page: which view its address names. "#" the documents, "#queue" the queue, "#4/2" page 2 of document 4.

import { ApiError, get, heading } from "./api.js";
import { el, main, message, outside, show } from "./dom.js";
import { showDocument } from "./document.js";
import { showDocuments } from "./list.js";
import { showQueue } from "./queue.js";

let session = null;
let left = new AbortController();

function failed(error) {
  if (error.name === "AbortError") return;
  if (!(error instanceof ApiError)) console.error(error);
  const actions = [el("button", { type: "button", onclick: route }, "Try again")];
  if (error.status === 401) {
    const here = encodeURIComponent(location.href);
    actions.unshift(outside({ class: "button", href: `../api/v2/auth/login?next=${here}` }, "Log in"));
  }
  show("", message(heading(error), error.message, ...actions));
}

async function route() {
  left.abort();
  left = new AbortController();
  const { signal } = left;
  const [first, second] = location.hash.slice(1).split("/");
  const isQueue = first === "queue";
  for (const [id, isHere] of [["nav-documents", !isQueue && !first], ["nav-queue", isQueue]]) {
    const link = document.getElementById(id);
    if (isHere) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  try {
    if (!session) {
      session = await get("session", {}, signal);
      document.getElementById("user").textContent = session.user;
    }
    if (isQueue) await showQueue(session, signal);
    else if (/^\d+$/.test(first)) await showDocument(session, Number(first), Number(second) || null, signal);
    else await showDocuments(session, signal);
  } catch (error) {
    // What was left may fail late.
    if (!signal.aborted) failed(error);
  }
}

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main().focus();
});
addEventListener("hashchange", route);
addEventListener("popstate", (event) => {
  if (event.state?.list) route();
});
addEventListener("unhandledrejection", (event) => failed(event.reason));
route();
