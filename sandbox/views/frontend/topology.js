// Draws pictures of topologies with vis-network.
//
// This file has neither imports nor exports: topology.py puts it into a function in the page,
// live.py into the module of a widget.

const RADIUS = { nic: 11, vlan: 12, vxlan: 13, veth: 6, interface: 9, port: 8 };
const SOLID = new Set(Object.keys(RADIUS));
const FONT = "Arial, Helvetica, 'Liberation Sans', 'DejaVu Sans Condensed', sans-serif";
const CHANGES = { new: "new", changed: "changed", gone: "gone", wrong: "not as it should be" };
const SIGNS = { new: "+ ", changed: "~ ", gone: "− ", wrong: "✗ " };
// Of a host, these are seen at its frame.
const FRAMED = new Set(["new", "gone", "wrong"]);
const EDGES = {
  cable: { colour: "lan", width: 3 },
  carries: { colour: "network", width: 1.5, dashes: [2, 3] },
  port: { colour: "bridge", width: 1.5, words: "port of a bridge" },
  veth: { colour: "veth", width: 2.5, words: "veth pair" },
  parent: { colour: "vlan", width: 1.5, dashes: [2, 3], words: "stands on" },
  inside: { colour: "interface", width: 1 },
  attached: { colour: "network", width: 1.5 },
  published: { colour: "port", width: 1.5 },
  shares: { colour: "namespace", width: 1.5, dashes: [2, 3], words: "shares a namespace" },
  tunnel: { colour: "vxlan", width: 5, words: "VXLAN tunnel" },
  check: { colour: "wrong", width: 1.5, dashes: [6, 4] },
};
const CURVED = new Set(["tunnel", "shares", "check"]);
const TALLEST = 680;

// The library, which arrives as base64 of gzip, without its leaving a global behind.
async function unpack(packed) {
  const bytes = Uint8Array.from(atob(packed), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const source = await new Response(stream).text();
  const exports = {};
  new Function("exports", "module", "define", source)(exports, { exports }, undefined);
  return exports;
}

function create(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

// JupyterLab says whether its theme is dark; elsewhere the background behind the picture does.
function isDark(element) {
  const said = document.body.dataset.jpThemeLight;
  if (said) return said === "false";
  for (let at = element.parentElement; at; at = at.parentElement) {
    const parts = getComputedStyle(at).backgroundColor.match(/[\d.]+/g)?.map(Number);
    if (!parts || parts[3] === 0) continue;
    return 0.3 * parts[0] + 0.59 * parts[1] + 0.11 * parts[2] < 128;
  }
  return false;
}

function channels(colour) {
  return [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
}

function mix(colour, ground, share) {
  const [top, below] = [channels(colour), channels(ground)];
  return `rgb(${top.map((value, at) => Math.round(value * share + below[at] * (1 - share)))})`;
}

function roundedPath(context, x, y, width, height, radius) {
  context.beginPath();
  context.roundRect(x, y, width, height, radius);
}

function chamferedPath(context, x, y, width, height) {
  const cut = Math.min(12, height / 2);
  context.beginPath();
  context.moveTo(x + cut, y);
  context.lineTo(x + width - cut, y);
  context.lineTo(x + width, y + height / 2);
  context.lineTo(x + width - cut, y + height);
  context.lineTo(x + cut, y + height);
  context.lineTo(x, y + height / 2);
  context.closePath();
}

function octagonPath(context, x, y, width, height) {
  const cut = 8;
  context.beginPath();
  context.moveTo(x + cut, y);
  context.lineTo(x + width - cut, y);
  context.lineTo(x + width, y + cut);
  context.lineTo(x + width, y + height - cut);
  context.lineTo(x + width - cut, y + height);
  context.lineTo(x + cut, y + height);
  context.lineTo(x, y + height - cut);
  context.lineTo(x, y + cut);
  context.closePath();
}

// Shapes with the label inside that vis-network does not have.
const OUTLINES = {
  cable: (context, x, y, w, h) => roundedPath(context, x, y, w, h, h / 2),
  pill: (context, x, y, w, h) => roundedPath(context, x, y, w, h, Math.min(16, h / 2)),
  bar: chamferedPath,
  octagon: octagonPath,
  frame: (context, x, y, w, h) => roundedPath(context, x, y, w, h, 0),
  tab: (context, x, y, w, h) => roundedPath(context, x, y, w, h, 4),
};

// style: gives what is drawn now; vis-network keeps the first function that it was given.
function labelled(style) {
  return ({ ctx, x, y, state }) => {
    const { node, label, line: outline, fill, border, dashes, text: ink } = style();
    const lines = label.split("\n");
    const font = (line) => `${line === 0 && node.group !== "lan" ? "bold " : ""}12px ${FONT}`;
    const widths = lines.map((text, line) => {
      ctx.font = font(line);
      return ctx.measureText(text).width;
    });
    const [from, to] = node.reach ?? [];
    const width = node.reach
      ? 2 * Math.min(x - from, to - x)
      : Math.max(...widths) + 22;
    const height = 15 * lines.length + 10;
    return {
      nodeDimensions: { width, height },
      drawNode() {
        const [left, top] = [x - width / 2, y - height / 2];
        ctx.save();
        ctx.setLineDash(dashes);
        ctx.lineWidth = border + (state.selected ? 1.5 : 0);
        ctx.strokeStyle = outline;
        ctx.fillStyle = fill;
        if (node.reach) OUTLINES[node.shape](ctx, from, top, to - from, height);
        else OUTLINES[node.shape](ctx, left, top, width, height);
        ctx.fill();
        ctx.stroke();
        if (node.shape === "frame") ctx.strokeRect(left + 3, top + 3, width - 6, height - 6);
        ctx.textAlign = "center";
        ctx.textBaseline = "middle";
        ctx.fillStyle = ink;
        lines.forEach((text, line) => {
          ctx.font = font(line);
          ctx.fillText(text, x, y + 15 * (line - (lines.length - 1) / 2));
        });
        ctx.restore();
      },
    };
  };
}

// One picture in an element: its switch, canvas, legend and text.
class Picture {
  constructor(vis, element, data, { onDetail, onSelect } = {}) {
    Object.assign(this, { vis, element, data, onDetail, onSelect });
    this.detail = data.detail;
    keepKeys();
    this.started = performance.now();
    this.styles = new Map();
    this.build();
    this.themed = () => this.retheme();
    this.themes = new MutationObserver(this.themed);
    this.themes.observe(document.body, { attributeFilter: ["data-jp-theme-light"] });
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.scheme.addEventListener("change", this.themed);
    this.sizes = new ResizeObserver(() => this.resized());
    this.sizes.observe(this.canvas);
    if (data.journey) this.journey = new Journey(this, data.journey);
    this.retheme();
  }

  get view() {
    return this.data.views[this.detail];
  }

  build() {
    const text = this.element.querySelector("pre") ?? create("pre", "", this.data.text);
    text.textContent = this.data.text ?? text.textContent;
    this.bar = create("div", "wbw-bar");
    const levels = create("span", "wbw-group");
    levels.setAttribute("role", "group");
    levels.setAttribute("aria-label", "Level of detail");
    this.levels = Object.entries({ simple: "Simple", full: "Full" }).map(([level, words]) => {
      const button = this.button(words, words, () => this.show(level));
      button.dataset.detail = level;
      return button;
    });
    levels.append(...this.levels);
    const zoom = create("span", "wbw-group");
    zoom.append(
      this.button("−", "Zoom out", () => this.zoom(1 / 1.25)),
      this.button("+", "Zoom in", () => this.zoom(1.25)),
      this.button("Fit", "Fit all of it", () => this.fit()),
    );
    this.bar.append(levels, zoom);
    this.canvas = create("div", "wbw-canvas");
    this.canvas.setAttribute("role", "img");
    this.legend = create("div", "wbw-legend");
    const details = create("details", "wbw-text");
    details.append(create("summary", "", "As text"), text);
    this.text = text;
    // vis-network would take every turn of the wheel; the page needs it to scroll.
    this.canvas.addEventListener(
      "wheel", (event) => event.ctrlKey || event.metaKey || event.stopPropagation(),
      { capture: true },
    );
    this.parts = [this.bar, this.canvas, this.legend, details];
    this.element.append(...this.parts);
    this.describe();
  }

  button(words, title, press) {
    const button = create("button", "", words);
    button.type = "button";
    button.title = title;
    button.setAttribute("aria-label", title);
    button.addEventListener("click", press);
    return button;
  }

  describe() {
    const { journey, summary } = this.data;
    const told = journey && `Journey of ${journey.title}. ${journey.ending.text}`;
    this.canvas.setAttribute("aria-label", told ?? summary);
    for (const button of this.levels) {
      button.setAttribute("aria-pressed", String(button.dataset.detail === this.detail));
    }
  }

  // vis-network needs an element that has a size; one that is scrolled away has none.
  resized() {
    if (!this.element.isConnected || !this.canvas.clientWidth) {
      this.stop();
    } else if (!this.network) {
      this.start();
    } else if (!this.moved) {
      this.fit();
    }
  }

  start() {
    const { nodes, edges } = this.items();
    this.nodes = new this.vis.DataSet(nodes);
    this.edges = new this.vis.DataSet(edges);
    this.setHeight();
    const network = new this.vis.Network(
      this.canvas, { nodes: this.nodes, edges: this.edges }, this.data.options,
    );
    this.network = network;
    network.on("beforeDrawing", (context) => this.background(context));
    network.on("afterDrawing", (context) => this.journey?.draw(context));
    network.once("afterDrawing", () => {
      this.element.dataset.milliseconds ??= Math.round(performance.now() - this.started);
    });
    network.on("dragStart", ({ nodes }) => { this.moved ||= nodes.length === 0; });
    network.on("zoom", () => { this.moved = true; });
    network.on("select", ({ nodes }) => {
      this.selected = nodes[0] ?? "";
      this.onSelect?.(this.selected);
    });
    this.select(this.selected ?? "");
    if (this.seen) network.moveTo(this.seen);
    else this.fit();
  }

  stop() {
    if (!this.network) return;
    this.seen = this.moved
      ? { position: this.network.getViewPosition(), scale: this.network.getScale() }
      : undefined;
    this.network.destroy();
    this.network = undefined;
  }

  remove() {
    this.stop();
    this.journey?.remove();
    this.sizes.disconnect();
    this.themes.disconnect();
    this.scheme.removeEventListener("change", this.themed);
    for (const part of this.parts) part.remove();
  }

  show(detail) {
    if (!(detail in this.data.views) || detail === this.detail) return;
    this.detail = detail;
    this.describe();
    this.refresh();
    this.moved = false;
    this.setHeight();
    this.fit();
    this.onDetail?.(detail);
  }

  // New data in place of the old: what stays is not touched, and neither is the viewport.
  update(data) {
    this.journey?.remove();
    this.journey = undefined;
    this.data = data;
    this.text.textContent = data.text;
    if (data.journey) this.journey = new Journey(this, data.journey);
    this.describe();
    this.refresh();
    this.setHeight();
    if (!this.moved) this.fit();
  }

  refresh() {
    this.drawLegend();
    if (!this.network) return;
    const { nodes, edges } = this.items();
    for (const [set, items] of [[this.edges, edges], [this.nodes, nodes]]) {
      const kept = new Set(items.map(({ id }) => id));
      set.remove(set.getIds().filter((id) => !kept.has(id)));
    }
    this.nodes.update(nodes);
    this.edges.update(edges);
    this.network.redraw();
  }

  retheme() {
    this.element.dataset.theme = isDark(this.element) ? "dark" : "light";
    const style = getComputedStyle(this.element);
    this.colour = (name) => style.getPropertyValue(`--wbw-${name}`).trim() || "#888888";
    this.refresh();
  }

  setHeight() {
    const [left, top, right, bottom] = this.view.bounds;
    const scale = Math.min(1, this.canvas.clientWidth / (right - left));
    const height = Math.min(TALLEST, Math.max(160, Math.ceil((bottom - top) * scale)));
    this.canvas.style.height = `${height}px`;
  }

  fit() {
    if (!this.network) return;
    this.moved = false;
    this.setHeight();
    const { clientWidth, clientHeight } = this.canvas;
    this.network.setSize(`${clientWidth}px`, `${clientHeight}px`);
    const [left, top, right, bottom] = this.view.bounds;
    const scale = Math.min(1, clientWidth / (right - left), clientHeight / (bottom - top));
    this.network.moveTo({ position: { x: (left + right) / 2, y: (top + bottom) / 2 }, scale });
    this.network.redraw();
  }

  zoom(factor) {
    if (!this.network) return;
    this.moved = true;
    this.network.moveTo({ scale: this.network.getScale() * factor });
  }

  // The current view's nodes and edges as vis-network takes them.
  items() {
    const { nodes, edges } = this.view;
    const ends = nodes.filter(({ group }) => group === "container").map(({ id }) => id);
    const containers = new Set(ends);
    return {
      nodes: nodes.map((node) => this.node(node)),
      edges: edges.map((edge) => this.edge(edge, containers)),
    };
  }

  // The node of that id, if the picture has it; "" for none.
  select(id) {
    this.selected = id;
    if (!this.network) return;
    const known = this.nodes.get(id) !== null && id !== "";
    this.network.selectNodes(known ? [id] : [], false);
  }

  node(node) {
    const own = this.colour(node.group);
    const line = node.change ? this.colour(node.change) : own;
    const ground = this.colour(node.host ? "region" : "surface");
    const solid = SOLID.has(node.group);
    const share = solid ? (node.change === "gone" ? 0.35 : 1) : 0.14;
    const fill = mix(own, ground, share);
    const border = node.change ? 3 : 1.5;
    const dashes = node.change === "gone" ? [6, 4] : [];
    const text = this.colour(node.change === "gone" ? "faint" : "text");
    const label = (SIGNS[node.change] ?? "") + node.label;
    const colours = { background: fill, border: line };
    const drawn = {
      ...node, label, title: this.data.titles[node.id],
      color: { ...colours, highlight: colours, hover: colours },
      borderWidth: border, borderWidthSelected: border + 1.5,
      shapeProperties: { borderDashes: dashes.length ? dashes : false, borderRadius: 7 },
      size: RADIUS[node.group] ?? 10,
      margin: { top: 7, bottom: 7, left: 11, right: 11 },
      font: {
        face: FONT, size: 12, color: text,
        background: solid || node.group === "endpoint" ? ground : undefined,
      },
    };
    if (node.shape in OUTLINES) {
      drawn.shape = "custom";
      // vis-network would take a label that it does not draw into the node's bounding box.
      drawn.label = undefined;
      this.styles.set(node.id, { node, label, line, fill, border, dashes, text });
      drawn.ctxRenderer = labelled(() => this.styles.get(node.id));
    }
    return drawn;
  }

  edge(edge, containers) {
    const { colour, width, dashes } = EDGES[edge.kind];
    const line = this.colour(edge.change || colour);
    // A container without a wire: its line goes past the bridge, if there is one.
    const bare = this.detail === "full" && edge.kind === "attached" && containers.has(edge.from);
    return {
      ...edge,
      id: `${edge.kind} ${edge.from} ${edge.to}`,
      color: { color: line, highlight: line, hover: line, opacity: 0.85 },
      width: width + (edge.change ? 1.5 : 0),
      dashes: edge.change === "gone" ? [8, 6] : dashes ?? false,
      hidden: edge.kind === "cable",
      smooth: CURVED.has(edge.kind) || bare
        ? { enabled: true, type: "curvedCCW", roundness: 0.12 }
        : { enabled: false },
      font: {
        face: FONT, size: 11, color: this.colour("text"), strokeWidth: 0,
        background: this.colour("region"),
      },
    };
  }

  // Frames of the hosts, and the cables from their interfaces straight up to the LAN.
  background(context) {
    context.save();
    for (const { box: [left, top, right, bottom], change } of this.view.frames) {
      roundedPath(context, left, top, right - left, bottom - top, 14);
      context.fillStyle = this.colour("region");
      context.fill();
      context.setLineDash(change === "gone" ? [8, 6] : []);
      context.lineWidth = FRAMED.has(change) ? 2.5 : 1;
      context.strokeStyle = this.colour(FRAMED.has(change) ? change : "region-line");
      context.stroke();
    }
    for (const { kind, change, from, to } of this.view.edges) {
      // While one level takes the place of the other, not all of its nodes are there yet.
      if (kind !== "cable" || !this.nodes.get(from) || !this.nodes.get(to)) continue;
      const start = this.network.getPosition(from);
      const end = this.network.getPosition(to);
      context.beginPath();
      context.setLineDash(change === "gone" ? [8, 6] : []);
      context.lineWidth = EDGES.cable.width + (change ? 1.5 : 0);
      context.strokeStyle = this.colour(change || "lan");
      context.moveTo(start.x, start.y);
      context.lineTo(start.x, end.y);
      context.stroke();
    }
    context.restore();
  }

  drawLegend() {
    const { nodes, edges } = this.view;
    const kinds = new Set(nodes.map(({ group }) => group));
    const wires = new Set(edges.map(({ kind }) => kind));
    const changes = new Set([...nodes, ...edges].map(({ change }) => change));
    const entries = [];
    for (const [kind, [shape, words]] of Object.entries(this.data.kinds)) {
      if (kinds.has(kind)) entries.push(this.entry(words, symbol(shape, this.colour(kind))));
    }
    for (const [kind, { words, colour, width, dashes }] of Object.entries(EDGES)) {
      if (!words || !wires.has(kind)) continue;
      entries.push(this.entry(words, wire(this.colour(colour), width, dashes)));
    }
    for (const [change, words] of Object.entries(CHANGES)) {
      if (!changes.has(change)) continue;
      const dashes = change === "gone" ? [4, 3] : undefined;
      entries.push(this.entry(SIGNS[change] + words, wire(this.colour(change), 3, dashes)));
    }
    this.legend.replaceChildren(...entries);
  }

  entry(words, image) {
    const entry = create("span", "wbw-entry");
    entry.append(image, words);
    return entry;
  }
}

const SVG = "http://www.w3.org/2000/svg";
const OUTLINE = {
  cable: "M4 5h14a3 3 0 0 1 0 6h-14a3 3 0 0 1 0-6z",
  tab: "M3 3h16v10h-16z",
  square: "M6 3h10v10h-10z",
  diamond: "M11 1l7 7-7 7-7-7z",
  star: "M11 1l2 5h5l-4 3 2 6-5-4-5 4 2-6-4-3h5z",
  pill: "M7 3h8a5 5 0 0 1 0 10h-8a5 5 0 0 1 0-10z",
  bar: "M5 3h12l4 5-4 5h-12l-4-5z",
  octagon: "M6 2h10l4 4v4l-4 4h-10l-4-4v-4z",
  dot: "M7 8a4 4 0 1 1 8 0a4 4 0 1 1-8 0z",
  triangle: "M11 2l6 11h-12z",
  triangleDown: "M11 14l6-11h-12z",
  box: "M5 2h12a3 3 0 0 1 3 3v6a3 3 0 0 1-3 3h-12a3 3 0 0 1-3-3v-6a3 3 0 0 1 3-3z",
  frame: "M2 2h18v12h-18zM5 5h12v6h-12z",
  text: "M4 6h14M4 10h10",
};
const FILLED = new Set(["square", "diamond", "star", "dot", "triangle", "triangleDown"]);

function drawing(path, attributes) {
  const image = document.createElementNS(SVG, "svg");
  for (const [name, value] of Object.entries({
    viewBox: "0 0 22 16", width: 22, height: 16, "aria-hidden": true,
  })) image.setAttribute(name, value);
  const line = document.createElementNS(SVG, "path");
  line.setAttribute("d", path);
  for (const [name, value] of Object.entries(attributes)) line.setAttribute(name, value);
  image.append(line);
  return image;
}

function symbol(shape, colour) {
  const solid = FILLED.has(shape);
  return drawing(OUTLINE[shape], {
    stroke: colour, "stroke-width": 1.5,
    fill: colour, "fill-opacity": solid ? 1 : 0.14,
  });
}

function wire(colour, width, dashes) {
  return drawing("M1 8h20", {
    stroke: colour, "stroke-width": width, "stroke-dasharray": (dashes ?? []).join(" "),
  });
}

function explain(element, error) {
  console.error(error);
  const note = create("p", "wbw-note");
  note.setAttribute("role", "alert");
  note.textContent = `The topology could not be drawn: ${error.message ?? error}`;
  element.append(note);
}

// Draw every stored picture in the page that is not drawn yet.
async function drawAll(library) {
  const waiting = document.querySelectorAll(".wire-by-wire-topology:not([data-drawn])");
  for (const element of waiting) {
    const stored = element.querySelector("script[type='application/json']");
    // JupyterLab takes scripts out of a notebook that it does not trust; its text stays.
    if (!stored) continue;
    element.dataset.drawn = "";
    element.querySelector(".wbw-note")?.remove();
    try {
      new Picture(await library, element, JSON.parse(stored.textContent));
    } catch (error) {
      explain(element, error);
    }
  }
}

// Let the other outputs of the page draw by this copy of the library and of this file.
function share(css, packed) {
  const style = document.querySelector("style[data-wire-by-wire]") ?? create("style");
  style.dataset.wireByWire = "";
  style.textContent = css;
  document.head.append(style);
  const library = unpack(packed);
  window.wireByWireTopology = { drawAll: () => drawAll(library) };
  return drawAll(library);
}
