// Keys typed at the course's widgets and pictures are theirs: JupyterLab's shortcuts, by which x
// cuts a cell and an arrow selects another, stay out of it. Saving the notebook is left to it.

function keepKeys() {
  if (window.wireByWireKeys) return;
  window.wireByWireKeys = true;
  // JupyterLab listens at the document and looks for this attribute (Lumino's CommandRegistry) on
  // the focused element itself, whichever that is: so it is set before the event gets there.
  const listen = (event) => {
    const at = event.target;
    if (!(at instanceof Element) || !at.closest("[class*='wire-by-wire']")) return;
    const saves = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "s";
    at.toggleAttribute("data-lm-suppress-shortcuts", !saves);
  };
  window.addEventListener("keydown", listen, true);
}
