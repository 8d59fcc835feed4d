// A widget's view: it follows the model's picture, level of detail and selected node.

function render({ model, el }) {
  const element = create("div", "wire-by-wire-topology");
  element.dataset.drawn = "";
  el.append(element);
  let picture;
  let ended = false;
  const data = () => ({ ...model.get("picture"), detail: model.get("detail") });
  const guarded = (act) => {
    try {
      element.querySelector(":scope > .wbw-note")?.remove();
      act();
    } catch (error) {
      explain(element, error);
    }
  };
  const keep = (name, value) => {
    model.set(name, value);
    model.save_changes();
  };
  const update = () => guarded(() => picture?.update(data()));
  const detail = () => guarded(() => picture?.show(model.get("detail")));
  const selected = () => guarded(() => picture?.select(model.get("selected")));
  model.on("change:picture", update);
  model.on("change:detail", detail);
  model.on("change:selected", selected);
  library().then((vis) => {
    if (ended) return;
    guarded(() => {
      picture = new Picture(vis, element, data(), {
        onDetail: (level) => keep("detail", level),
        onSelect: (node) => keep("selected", node),
      });
      picture.select(model.get("selected"));
    });
  }, (error) => explain(element, error));
  return () => {
    ended = true;
    model.off("change:picture", update);
    model.off("change:detail", detail);
    model.off("change:selected", selected);
    picture?.remove();
  };
}

let unpacked;
function library() {
  unpacked ??= unpack(PACKED);
  return unpacked;
}

export default { render };
