// Shows a packet's journey step by step on a picture, and below it as a table.
//
// Neither imports nor exports, as topology.js, which it follows.

const STEP_MILLISECONDS = 900;
const SPEEDS = [0.5, 1, 2, 4];

function headerBoxes(headers) {
  const outside = create("div", "wbw-header");
  let box = outside;
  let depth = 0;
  for (const header of headers) {
    for (; depth < header.depth; depth += 1) {
      const inner = create("div", "wbw-header");
      box.append(inner);
      box = inner;
    }
    const line = create("div");
    line.append(create("b", "", header.protocol), " ");
    if (!header.fields.length) line.append(header.text);
    header.fields.forEach(([name, value, changed], number) => {
      line.append(number ? ", " : "", `${name} `, create(changed ? "mark" : "span", "", value));
    });
    box.append(line);
  }
  return outside;
}

class Journey {
  constructor(picture, data) {
    Object.assign(this, { picture, data, at: 0, moved: 1, playing: false });
    this.build();
    this.go(0);
  }

  get steps() {
    return this.data.steps;
  }

  build() {
    this.element = create("div", "wbw-journey");
    const controls = create("div", "wbw-controls");
    const buttons = create("span", "wbw-group");
    const button = (words, title, press) => {
      const made = this.picture.button(words, title, press);
      // What is read aloud is what stands on it.
      made.removeAttribute("aria-label");
      buttons.append(made);
      return made;
    };
    this.first = button("First", "Back to the first hop", () => this.go(0));
    this.back = button("Back", "One hop back", () => this.go(this.at - 1));
    this.play = button("Play", "Play from here on", () => this.toggle());
    this.next = button("Step", "One hop on", () => this.walk());
    this.last = button("End", "Where it ended", () => this.go(this.steps.length));
    this.speed = create("select");
    this.speed.setAttribute("aria-label", "Speed");
    for (const speed of SPEEDS) {
      const option = create("option", "", `${speed} ×`);
      option.value = speed;
      option.selected = speed === 1;
      this.speed.append(option);
    }
    this.count = create("span", "wbw-count");
    this.count.setAttribute("role", "status");
    controls.append(create("b", "", this.data.title), buttons, this.speed, this.count);
    this.controls = controls;
    this.now = create("div", "wbw-now");
    const hops = create("details", "wbw-hops");
    this.hops = hops;
    hops.append(create("summary", "", "All hops"), this.table());
    this.element.append(this.now, hops);
    this.picture.canvas.before(controls);
    this.picture.canvas.after(this.element);
  }

  table() {
    const table = create("table");
    const head = create("tr");
    for (const words of ["hop", "where", "interface", "way", "µs", "packet", "what happened before it"]) {
      const cell = create("th", "", words);
      cell.scope = "col";
      head.append(cell);
    }
    table.append(head);
    this.rows = this.steps.map((step, number) => {
      const row = create("tr");
      const open = create("button", "", String(number + 1));
      open.type = "button";
      open.setAttribute("aria-label", `Show hop ${number + 1}`);
      open.addEventListener("click", () => this.go(number));
      const packet = create("details");
      packet.append(create("summary", "", step.flow), headerBoxes(step.headers));
      const notes = create("td");
      for (const note of step.notes) notes.append(create("div", "", note));
      const cells = [open, step.where, step.interface, step.direction, step.time, packet];
      for (const inside of cells) {
        const cell = create("td");
        cell.append(inside);
        row.append(cell);
      }
      row.append(notes);
      return row;
    });
    const last = create("tr");
    const { text, notes, unseen } = this.data.ending;
    const ending = create("td", "", text);
    ending.colSpan = 6;
    const after = create("td");
    for (const note of [...notes, ...unseen]) after.append(create("div", "", note));
    last.append(ending, after);
    table.append(...this.rows, last);
    return table;
  }

  // Show a hop at once; the last position, after all hops, shows how it ended.
  go(number) {
    this.stop();
    this.at = Math.max(0, Math.min(number, this.steps.length));
    this.moved = 1;
    this.tell();
  }

  // Let the packet move on to the next hop.
  walk() {
    if (this.at >= this.steps.length) return;
    this.stop();
    this.advance();
  }

  advance() {
    this.at += 1;
    this.moved = 0;
    this.tell();
    const length = STEP_MILLISECONDS / Number(this.speed.value);
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
      this.moved = 1;
      this.picture.network?.redraw();
      if (this.playing) this.timer = setTimeout(() => this.onward(), 1.5 * length);
      return;
    }
    const began = performance.now();
    const move = (time) => {
      this.moved = Math.min(1, Math.max(0, (time - began) / length));
      this.picture.network?.redraw();
      if (this.moved < 1) this.frame = requestAnimationFrame(move);
      else if (this.playing) this.timer = setTimeout(() => this.onward(), length / 2);
    };
    this.frame = requestAnimationFrame(move);
  }

  onward() {
    if (this.at < this.steps.length) this.advance();
    else this.stop();
  }

  toggle() {
    if (this.playing) {
      this.stop();
      return;
    }
    if (this.at >= this.steps.length) this.go(0);
    this.setPlaying(true);
    this.advance();
  }

  stop() {
    cancelAnimationFrame(this.frame);
    clearTimeout(this.timer);
    this.moved = 1;
    this.setPlaying(false);
    this.picture.network?.redraw();
  }

  setPlaying(playing) {
    this.playing = playing;
    this.play.textContent = playing ? "Pause" : "Play";
    this.play.title = playing ? "Stand still here" : "Play from here on";
  }

  remove() {
    this.stop();
    this.controls.remove();
    this.element.remove();
  }

  // What is known about the hop that is shown.
  tell() {
    const { at, steps } = this;
    const step = steps[at];
    this.element.dataset.at = at;
    this.first.disabled = this.back.disabled = at === 0;
    this.next.disabled = this.last.disabled = at >= steps.length;
    this.count.textContent = this.words(step);
    this.rows.forEach((row, number) => {
      if (number === at) row.setAttribute("aria-current", "step");
      else row.removeAttribute("aria-current");
    });
    const row = this.rows[at];
    if (row) this.hops.scrollTop = row.offsetTop - this.hops.clientHeight / 2;
    if (!step) {
      const { text, notes, unseen } = this.data.ending;
      this.now.dataset.leg = "";
      this.now.replaceChildren(create("b", "", text), list([...notes, ...unseen]));
    } else {
      const where = `${step.where}  ${step.interface} ${step.direction}`;
      const title = create("div");
      const back = step.leg === "answer" ? ", on its way back" : "";
      title.append(create("b", "", where), `  ${step.time} µs${back}`);
      this.now.dataset.leg = step.leg;
      const parts = [title, headerBoxes(step.headers)];
      if (step.notes.length) parts.splice(1, 0, create("div", "", "Before it:"), list(step.notes));
      this.now.replaceChildren(...parts);
    }
    this.picture.network?.redraw();
  }

  // Which hop is shown, of those on the way there or of those on the way back.
  words(step) {
    if (!step) return "the end";
    const back = step.leg === "answer";
    const leg = this.steps.filter((it) => (it.leg === "answer") === back);
    return `${back ? "way back" : "way there"}, hop ${leg.indexOf(step) + 1} of ${leg.length}`;
  }

  place(number) {
    const step = this.steps[number] ?? this.steps[this.steps.length - 1];
    const node = number < this.steps.length ? step?.node : this.data.ending.node ?? step?.node;
    const name = node?.[this.picture.detail];
    if (!name || !this.picture.nodes?.get(name)) return undefined;
    return this.picture.network.getPosition(name);
  }

  draw(context) {
    const { picture } = this;
    const shown = Math.min(this.at, this.steps.length - 1);
    context.save();
    context.lineCap = "round";
    for (let number = 1; number <= shown; number += 1) {
      const [from, to] = [this.place(number - 1), this.place(number)];
      const back = this.steps[number].leg === "answer";
      // The answer does not begin where the probe's last hop was drawn to.
      if (!from || !to || back !== (this.steps[number - 1].leg === "answer")) continue;
      const part = number === this.at ? this.moved : 1;
      // Both ways are seen, side by side.
      const long = Math.hypot(to.x - from.x, to.y - from.y) || 1;
      const aside = { x: (3 * (from.y - to.y)) / long, y: (3 * (to.x - from.x)) / long };
      context.strokeStyle = picture.colour(back ? "answer" : "probe");
      context.setLineDash(back ? [8, 6] : []);
      context.lineWidth = 4;
      context.beginPath();
      context.moveTo(from.x + aside.x, from.y + aside.y);
      context.lineTo(
        from.x + (to.x - from.x) * part + aside.x, from.y + (to.y - from.y) * part + aside.y,
      );
      context.stroke();
    }
    context.setLineDash([]);
    if (this.at >= this.steps.length) this.drawEnd(context);
    else this.drawPacket(context, shown);
    context.restore();
  }

  drawPacket(context, number) {
    const to = this.place(number);
    if (!to) return;
    const from = number && this.moved < 1 ? this.place(number - 1) ?? to : to;
    const [x, y] = ["x", "y"].map((axis) => from[axis] + (to[axis] - from[axis]) * this.moved);
    const answer = this.steps[number].leg === "answer";
    context.fillStyle = this.picture.colour(answer ? "answer" : "probe");
    context.strokeStyle = this.picture.colour("surface");
    context.lineWidth = 2;
    roundedPath(context, x - 13, y - 9, 26, 18, 4);
    context.fill();
    context.stroke();
    context.beginPath();
    context.moveTo(x - 10, y - 6);
    context.lineTo(x, y + 1);
    context.lineTo(x + 10, y - 6);
    context.stroke();
  }

  drawEnd(context) {
    const { good } = this.data.ending;
    const at = this.place(this.steps.length);
    if (!at) return;
    const { x, y } = at;
    context.fillStyle = this.picture.colour(good ? "new" : "gone");
    context.strokeStyle = this.picture.colour("surface");
    context.lineWidth = 3;
    context.beginPath();
    context.arc(x, y, 13, 0, 2 * Math.PI);
    context.fill();
    context.beginPath();
    if (good) {
      context.moveTo(x - 6, y);
      context.lineTo(x - 1, y + 5);
      context.lineTo(x + 7, y - 5);
    } else {
      context.moveTo(x - 5, y - 5);
      context.lineTo(x + 5, y + 5);
      context.moveTo(x + 5, y - 5);
      context.lineTo(x - 5, y + 5);
    }
    context.stroke();
  }
}

function list(lines) {
  const element = create("ul");
  element.append(...lines.map((line) => create("li", "", line)));
  return element;
}
