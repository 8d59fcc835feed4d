// The command that a click stood for, ready to copy, and what came of it.

const COMMAND = "terminal:open";

function element(parent, tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  parent.append(made);
  return made;
}

async function copy(text, button) {
  await navigator.clipboard.writeText(text);
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = "Copy"), 1500);
}

function pageConfig() {
  const holder = document.getElementById("jupyter-config-data");
  return holder ? JSON.parse(holder.textContent) : {};
}

// A terminal that runs argv, in a tab of JupyterLab. place: an element of the notebook.
async function openTerminal(argv, place) {
  const { baseUrl, token } = pageConfig();
  if (!baseUrl) throw new Error("this page is not JupyterLab");
  const xsrf = document.cookie.match(/(?:^|; )_xsrf=([^;]*)/);
  const headers = { "Content-Type": "application/json" };
  if (xsrf) headers["X-XSRFToken"] = decodeURIComponent(xsrf[1]);
  if (token) headers["Authorization"] = `token ${token}`;
  const reply = await fetch(`${baseUrl}api/terminals`, {
    method: "POST",
    headers,
    body: JSON.stringify({ shell_command: argv }),
  });
  if (!reply.ok) throw new Error(`the server answered ${reply.status}`);
  const { name } = await reply.json();
  // make lab has JupyterLab show its commands (expose_app_in_browser).
  if (window.jupyterapp) {
    await window.jupyterapp.commands.execute(COMMAND, { name });
    return;
  }
  // Elsewhere it runs a command when an element that names one is clicked, and asks first in a
  // notebook that is not trusted.
  const link = document.createElement("button");
  link.dataset.commandlinkerCommand = COMMAND;
  link.dataset.commandlinkerArgs = JSON.stringify({ name });
  link.hidden = true;
  place.append(link);
  link.click();
  link.remove();
}

function render({ model, el }) {
  el.classList.add("wire-by-wire-console");
  const line = element(el, "div", "wire-by-wire-command");
  const place = element(line, "span", "wire-by-wire-place");
  const command = element(line, "code", "");
  command.setAttribute("aria-label", "The same as a command");
  const button = element(line, "button", "wire-by-wire-copy", "Copy");
  const busy = element(el, "div", "wire-by-wire-busy");
  const bar = element(busy, "progress", "");
  const doing = element(busy, "span", "");
  const answer = element(el, "pre", "wire-by-wire-answer");
  answer.setAttribute("role", "log");
  answer.tabIndex = 0;
  button.onclick = () =>
    copy(model.get("command"), button).catch(() => (button.textContent = "Select it and copy"));

  function show() {
    place.textContent = model.get("place");
    command.textContent = model.get("command") || "Every button shows here the command that it runs.";
    button.hidden = !model.get("command");
    busy.hidden = !model.get("busy");
    doing.textContent = model.get("busy");
    bar.setAttribute("aria-label", model.get("busy"));
    answer.textContent = model.get("answer");
    answer.hidden = !model.get("answer");
    el.dataset.answered = model.get("answered");
    answer.classList.toggle("wire-by-wire-failed", model.get("failed"));
  }

  for (const name of ["place", "command", "busy", "answer", "failed", "answered"]) {
    model.on(`change:${name}`, show);
  }
  model.on("msg:custom", ({ terminal, instead }) => {
    openTerminal(terminal, el).catch((error) => {
      const said = `No terminal opens here: ${error.message}.\nIn one of your own: ${instead}`;
      model.set({ answer: said, failed: true });
      model.save_changes();
    });
  });
  show();
}

export default { render };
