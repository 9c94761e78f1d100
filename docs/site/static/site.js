// Buttons that copy blocks of code, and diagrams in the colours of the chosen theme.
"use strict";

const copyButton = (block) => {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.setAttribute("aria-label", "Copy the code");
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(block.innerText);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
  return button;
};

const diagrams = [];
let drawn = Promise.resolve();

const draw = async () => {
  // The theme's own script may set it later than this runs.
  const theme = document.documentElement.dataset.theme;
  const dark = theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  mermaid.initialize({ startOnLoad: false, theme: dark ? "dark" : "neutral", flowchart: { useMaxWidth: false } });
  for (const [number, { element, text }] of diagrams.entries()) {
    let { svg } = await mermaid.render(`diagram-${number}`, text);
    element.innerHTML = svg;
    // From left to right in the source, as a repository's host has room for it; from top to bottom where it has none.
    if (element.scrollWidth > element.clientWidth + 1) {
      ({ svg } = await mermaid.render(`diagram-${number}`, text.replace(/^(flowchart|graph) LR/, "$1 TB")));
      element.innerHTML = svg;
    }
  }
};

const drawAgain = () => { drawn = drawn.then(draw); };

document.addEventListener("DOMContentLoaded", () => {
  // Without a secure context, browsers have no clipboard.
  if (navigator.clipboard) {
    for (const block of document.querySelectorAll("div.highlight > pre")) {
      block.parentElement.append(copyButton(block));
    }
  }
  for (const element of document.querySelectorAll("pre.mermaid")) {
    diagrams.push({ element, text: element.textContent });
  }
  if (diagrams.length && window.mermaid) {
    drawAgain();
    new MutationObserver(drawAgain).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  }
});
