// Elements made from data. Text is always set as text; HTML comes from the server alone, which cleans it.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...present(children));
  return element;
}

const present = (children) => children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);

/** Replace the children of an element; those that are null or false are left out. */
export const replace = (element, ...children) => element.replaceChildren(...present(children));

/** An HTML element: tag, attributes and listeners (`onclick`), children. */
export const el = (tag, properties = {}, ...children) => fill(document.createElement(tag), properties, children);

/** The same for SVG. */
export const svg = (tag, properties = {}, ...children) => fill(document.createElementNS(SVG, tag), properties, children);

/** An element with HTML that the server has cleaned. */
export function cleaned(html, properties = {}) {
  const element = el("div", properties);
  element.innerHTML = html;
  // Wide tables scroll alone; the keyboard must reach what scrolls.
  for (const table of element.querySelectorAll("table")) {
    const frame = el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table" });
    table.replaceWith(frame);
    frame.append(table);
  }
  // Headings of a document are none of this page.
  for (const heading of element.querySelectorAll("h1, h2, h3, h4, h5, h6")) {
    heading.replaceWith(el("p", { class: `heading ${heading.localName}` }, ...heading.childNodes));
  }
  return element;
}

export const main = () => document.getElementById("main");

/** Replace the content of the page. */
export function show(title, ...content) {
  document.title = title ? `${title} – OCR results` : "OCR results";
  replace(main(), ...content);
}

/** Say something to screen readers. */
export function announce(text) {
  document.getElementById("announcer").textContent = text;
}

/** A message in place of content. */
export function message(heading, text, ...actions) {
  return el("section", { class: "message" }, el("h2", {}, heading), text && el("p", {}, text), actions);
}

/** A link that leaves this page: inside Airflow's frame, only its parent may follow it or download. */
export function outside(properties, ...children) {
  const link = el("a", properties, ...children);
  link.addEventListener("click", (event) => {
    if (window.parent === window) return;
    event.preventDefault();
    const twin = window.parent.document.createElement("a");
    twin.href = link.href;
    if (link.hasAttribute("download")) twin.download = link.download;
    window.parent.document.body.append(twin);
    twin.click();
    twin.remove();
  });
  return link;
}
