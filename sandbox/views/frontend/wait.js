// Draw this output by the copy of the library that one output of the notebook brings.
(() => {
  const deadline = Date.now() + 10000;
  const advice =
    "The drawing needs the notebook's first topology: run the cell that shows it, or restart " +
    "the kernel and run all cells.";
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
  look();
})();
