// The instructor's page: asks for the room every few seconds, and draws a row a learner.

const EVERY = 5000;
const token = location.hash.slice(1);
const [summary, table, legend] = ["summary", "room", "legend"].map((id) => document.getElementById(id));

function cell(tag, text, className = "", title = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className) made.className = className;
  if (title) made.title = title;
  return made;
}

function row(...cells) {
  const made = document.createElement("tr");
  made.append(...cells);
  return made;
}

function minutes(seconds) {
  return `${Math.round(seconds / 60)} min`;
}

// What a learner has of a lesson or lab: its text, its class, and how that is said.
function standing(item, learner) {
  const mine = learner[item.kind === "lab" ? "labs" : "lessons"][item.name];
  if (!mine) return ["", "", "not begun"];
  if (item.kind === "lab") {
    const text = mine.points ? String(mine.best) : "·";
    const state = mine.done ? "done" : mine.best ? "half" : "begun";
    return [text, state, `${mine.best} of ${mine.points} points`];
  }
  if (!mine.answered) return ["·", "begun", "begun"];
  const all = mine.answered >= mine.questions;
  const said = `quiz: ${mine.right} of ${mine.questions} right at the first try`;
  return [`${mine.right}/${mine.questions}`, all ? "done" : "half", said];
}

function isLate(learner, item, state) {
  return Boolean(item) && state !== "done" && learner.there > 60 * item.minutes;
}

function draw({ course, learners }) {
  const items = new Map(course.map((item) => [item.name, item]));
  const seen = learners.map((learner) => {
    const item = items.get(learner.item);
    const [, state] = item ? standing(item, learner) : [];
    return { learner, item, late: isLate(learner, item, state) };
  });
  // Who may need help comes first, the longest there before others.
  seen.sort((one, other) => other.late - one.late || other.learner.there - one.learner.there);
  const heads = course.map((item) => cell(
    "th", item.name.slice(0, 2), item.kind, `${item.kind} ${item.name}: ${item.title}`,
  ));
  for (const head of heads) head.scope = "col";
  table.tHead.replaceChildren(
    row(
      cell("th", ""), ...["lesson", "lab"].map((kind) => {
        const group = cell("th", kind === "lab" ? "labs" : "lessons");
        group.colSpan = course.filter((item) => item.kind === kind).length;
        return group;
      }), cell("th", ""), cell("th", ""),
    ),
    row(cell("th", "who"), ...heads, cell("th", "where"), cell("th", "last seen")),
  );
  table.tBodies[0].replaceChildren(...seen.map(({ learner, item, late }) => {
    const who = cell("th", learner.name || learner.learner.slice(0, 4), late ? "late" : "");
    who.scope = "row";
    const cells = course.map((it) => {
      const [text, state, said] = standing(it, learner);
      const here = it === item ? " here" : "";
      return cell("td", text, state + here, `${it.name}: ${said}`);
    });
    const where = item ? `${item.name}, ${minutes(learner.there)}` : "";
    return row(
      who, ...cells, cell("td", where, late ? "where late" : "where"),
      cell("td", `${minutes(learner.silent)} ago`),
    );
  }));
  const counts = course.map((item) => {
    const begun = learners.filter((learner) => standing(item, learner)[1]).length;
    return cell("td", String(begun), "", `${begun} have begun ${item.name}`);
  });
  const begun = cell("th", "begun by");
  begun.scope = "row";
  table.tFoot.replaceChildren(row(begun, ...counts, cell("td", ""), cell("td", "")));
  const late = seen.filter((it) => it.late).length;
  summary.textContent = `${learners.length} learners; ${late} may need help`;
  table.hidden = legend.hidden = learners.length === 0;
}

async function ask() {
  try {
    const answer = await fetch("room", { headers: { Authorization: `token ${token}` } });
    const told = await answer.json();
    if (answer.ok) draw(told);
    else summary.textContent = told.error;
  } catch (error) {
    summary.textContent = `The wall does not answer: ${error.message}`;
  }
  setTimeout(ask, EVERY);
}

addEventListener("hashchange", () => location.reload());
ask();
