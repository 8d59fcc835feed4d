// Draw this output by the copy of the library that an output of the notebook brings, or else by that
// of JupyterLab's server: the other may be out of sight, cleared, or of a kernel that has ended.
(() => {
  const deadline = Date.now() + 10000;
  const advice =
    "The drawing needs the notebook's first topology: run the cell that shows it, or restart " +
    "the kernel and run all cells.";
  const ask = () => {
    const page = document.getElementById("jupyter-config-data");
    const extensions = page && JSON.parse(page.textContent).fullLabextensionsUrl;
    if (!extensions || document.querySelector("script[data-wire-by-wire]")) return;
    const script = document.createElement("script");
    script.src = `${extensions}/wire-by-wire/drawing.js`;
    script.dataset.wireByWire = "";
    // The next output asks again.
    script.onerror = () => script.remove();
    document.head.append(script);
  };
  const look = () => {
    if (window.wireByWireTopology) return void window.wireByWireTopology.drawAll();
    if (Date.now() < deadline) return void setTimeout(look, 100);
    for (const element of document.querySelectorAll(".wire-by-wire-topology:not([data-drawn])")) {
      if (element.querySelector(".wbw-note")) continue;
      const note = document.createElement("p");
      note.className = "wbw-note";
      note.textContent = advice;
      element.append(note);
    }
  };
  if (!window.wireByWireTopology) ask();
  look();
})();
