// Listens to clicks on the nodes of a Graphviz chart that stands elsewhere on the page.
// Data: of (class of the element around the chart).
// Answers by the trigger "node": the node's name in the DOT text.

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const around = parentElement.ownerDocument.querySelector("." + data.of);
  if (!around) return;
  const name_of = (node) => node?.querySelector("title")?.textContent ?? null;
  const tell = (event) => {
    const name = name_of(event.target.closest("g.node"));
    if (name) setTriggerValue("node", { name });
  };
  const mark = () => {
    for (const node of around.querySelectorAll("g.node")) {
      node.style.cursor = "pointer";
      node.setAttribute("tabindex", "0");
      node.setAttribute("role", "button");
      node.setAttribute("aria-label", node.querySelector("text")?.textContent ?? "");
    }
  };
  mark();
  // The chart is drawn later than this runs, and drawn anew whenever the diagram changes.
  const observer = new MutationObserver(mark);
  observer.observe(around, { childList: true, subtree: true });
  const on_key = (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); tell(event); }
  };
  around.addEventListener("click", tell);
  around.addEventListener("keydown", on_key);
  return () => {
    observer.disconnect();
    around.removeEventListener("click", tell);
    around.removeEventListener("keydown", on_key);
  };
}
