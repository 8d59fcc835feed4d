"""The panel in JupyterLab: launch, see, connect, ping, remove; refused; reset; a terminal."""

import json
import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import expect

from sandbox.steps import Quiet
from tests.browser.notebook import new_cell, open_lesson, run_code_cell

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]


def cell_number(source):
    lesson = json.loads((ROOT / "lessons/00-start-here.ipynb").read_text())
    code = ["".join(c["source"]) for c in lesson["cells"] if c["cell_type"] == "code"]
    return code.index(source)


@pytest.fixture(scope="module")
def notebook(browser, lab, sandbox_up):
    """Lesson 00 in JupyterLab, hosts as new."""
    context = browser.new_context(viewport={"width": 1400, "height": 1500})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.set_default_timeout(60_000)
    open_lesson(page, lab, "00-start-here.ipynb")
    run_code_cell(page, 0)
    yield page
    context.close()


@pytest.fixture(scope="module")
def panel(notebook):
    """The panel of the lesson's own cell."""
    cell = run_code_cell(notebook, cell_number("sandbox.panel()"))
    panel = cell.locator(".wire-by-wire-panel")
    expect(panel.locator(".wbw-canvas canvas")).to_be_visible()
    return panel


@pytest.fixture(autouse=True)
def _new_hosts(panel, sandbox_up):
    sandbox_up.reset(Quiet())
    expect(summary(panel)).to_have_attribute("aria-label", re.compile(r"\b0 containers"))


def summary(panel):
    """What a screen reader is told of the picture."""
    return panel.locator(".wbw-canvas")


def drawn(panel, containers):
    expect(summary(panel)).to_have_attribute("aria-label", re.compile(rf"\b{containers} container"))


def press(panel, name):
    """Press a button and wait until what it set going is done."""
    console = panel.locator(".wire-by-wire-console")
    answered = int(console.get_attribute("data-answered"))
    panel.get_by_role("button", name=name, exact=True).click()
    expect(console).to_have_attribute("data-answered", str(answered + 1))
    expect(panel.get_by_role("button", name=name, exact=True)).to_be_enabled()


def tab(panel, name):
    panel.get_by_role("tab", name=name).click()


def field(panel, label):
    """The control of that label in the tab that is open."""
    return (
        panel.locator(".wire-by-wire-field:visible")
        .filter(has=panel.page.get_by_text(label, exact=True))
        .locator("input, select")
        .first
    )


def launch(panel, name, **fields):
    tab(panel, "Containers")
    field(panel, "Name").fill(name)
    for label, value in ({"Ports": "", "Command": ""} | fields).items():
        field(panel, label).fill(value)
    press(panel, "Launch")


def command(panel):
    return panel.locator(".wire-by-wire-command code")


def answer(panel):
    return panel.locator(".wire-by-wire-answer")


def test_a_virtual_machine_is_started_on_a_bridge_asked_and_stopped(panel, tmp_path):
    tab(panel, "VM")
    field(panel, "Network").select_option("tap in docker0")
    press(panel, "Start VM")
    expect(command(panel)).to_contain_text("ip link set tap0 master docker0 up; vm start --tap")
    expect(answer(panel)).to_contain_text("resumed in")
    expect(panel.locator("details pre")).to_contain_text("virtual machine vm  ─ tap0 on docker0")
    panel.screenshot(path=tmp_path / "vm.png")
    press(panel, "Start VM")
    expect(answer(panel)).to_contain_text("A VM runs on host-a already.")
    field(panel, "Command").fill("hostname; echo $((6 * 7))")
    press(panel, "Run in VM")
    expect(command(panel)).to_have_text("vm exec 'hostname; echo $((6 * 7))'")
    expect(answer(panel)).to_have_text("vm\n42")
    press(panel, "Stop VM")
    expect(command(panel)).to_have_text("vm stop; ip link delete tap0")
    expect(panel.locator("details pre")).not_to_contain_text("virtual machine")
    press(panel, "Run in VM")
    expect(answer(panel)).to_contain_text("no VM runs on this host")


def test_launch_connect_ping_and_remove(panel, sandbox_up, tmp_path):
    launch(panel, "web", Ports="8080:80")
    expect(command(panel)).to_have_text("docker run -d --name web -p 8080:80 toolbox")
    drawn(panel, 1)
    expect(panel.locator("details pre")).to_contain_text("published  0.0.0.0, [::]:8080 → web")
    launch(panel, "client", Command="sleep infinity")
    drawn(panel, 2)
    tab(panel, "Networks")
    field(panel, "Name").fill("shop")
    press(panel, "Create")
    expect(command(panel)).to_have_text("docker network create -d bridge shop")
    tab(panel, "Containers")
    for name in ("web", "client"):
        field(panel, "Container").select_option(name)
        panel.locator(".wire-by-wire-field select:visible").last.select_option("shop")
        press(panel, "Connect")
        expect(command(panel)).to_have_text(f"docker network connect shop {name}")
    expect(panel.locator("details pre")).to_contain_text("network shop (bridge)")
    panel.screenshot(path=tmp_path / "connected.png")
    tab(panel, "Probe")
    field(panel, "From").select_option("client")
    field(panel, "To").fill("web")
    press(panel, "Ping")
    expect(command(panel)).to_have_text("docker exec client ping -c 3 -W 1 web")
    expect(answer(panel)).to_contain_text("3 received")
    press(panel, "HTTP")
    expect(answer(panel)).to_contain_text(re.compile(r"hello from \w{12}, you are 172\.18\."))
    tab(panel, "Containers")
    field(panel, "Container").select_option("web")
    press(panel, "Remove")
    expect(command(panel)).to_have_text("docker rm -f web")
    drawn(panel, 1)
    names = [it.name for it in sandbox_up.host("a").client.containers.list(all=True)]
    assert names == ["client"]


def test_what_the_engine_refuses_stands_beside_its_field(panel):
    launch(panel, "web", Ports="8080:80")
    press(panel, "Launch")
    name = panel.locator(".wire-by-wire-field", has=panel.page.get_by_placeholder("web; Docker"))
    expect(name.get_by_role("alert")).to_contain_text("already in use")
    launch(panel, "web2", Ports="80000:80")
    ports = panel.locator(".wire-by-wire-field", has=panel.page.get_by_placeholder("8080:80,"))
    expect(ports.get_by_role("alert")).to_contain_text("is not a port that can be published")
    expect(name.get_by_role("alert")).to_have_count(0)
    field(panel, "Ports").fill("")
    expect(ports.get_by_role("alert")).to_have_count(0)


def test_the_picture_follows_what_happens_elsewhere(panel, sandbox_up):
    host = sandbox_up.host("b")
    assert host.run("docker run -d --name far toolbox").code == 0
    drawn(panel, 1)
    assert host.run("docker rm -f far").code == 0
    drawn(panel, 0)


def test_the_picture_follows_the_hosts_through_a_reset(panel, sandbox_up):
    launch(panel, "web")
    drawn(panel, 1)
    sandbox_up.reset(Quiet())
    drawn(panel, 0)
    launch(panel, "web")
    drawn(panel, 1)


def test_every_driver_has_its_fields(panel):
    tab(panel, "Networks")
    for driver, labels in (
        ("macvlan", {"Parent", "VLAN id", "Mode"}),
        ("ipvlan", {"Parent", "VLAN id", "Mode"}),
        ("overlay", set()),
        ("bridge", set()),
    ):
        field(panel, "Driver").fill(driver)
        field(panel, "Driver").press("Tab")
        for label in ("Parent", "VLAN id", "Mode"):
            shown = panel.locator(".widget-label:visible", has_text=re.compile(f"^{label}$"))
            expect(shown).to_have_count(1 if label in labels else 0)
    field(panel, "Driver").fill("ipvlan")
    field(panel, "Driver").press("Tab")
    field(panel, "Name").fill("routed")
    field(panel, "Subnet").fill("10.6.0.0/24")
    field(panel, "Mode").select_option("l3")
    field(panel, "VLAN id").fill("20")
    press(panel, "Create")
    expect(command(panel)).to_have_text(
        "docker network create -d ipvlan --subnet 10.6.0.0/24"
        " -o parent=eth0.20 -o ipvlan_mode=l3 routed"
    )
    field(panel, "Subnet").fill("")
    field(panel, "Driver").fill("bridge")
    field(panel, "Driver").press("Tab")


def test_the_command_is_copied(panel, notebook):
    launch(panel, "web")
    panel.get_by_role("button", name="Copy").click()
    copied = notebook.evaluate("navigator.clipboard.readText()")
    assert copied == "docker run -d --name web toolbox"


def test_everything_has_a_label_and_is_reached_by_the_keyboard(panel, notebook):
    for name in ("Containers", "Networks", "Probe"):
        tab(panel, name)
        unnamed = panel.evaluate(
            """panel => [...panel.querySelectorAll("input, select, button")]
                .filter(it => it.offsetParent && !it.labels?.length && !it.textContent.trim()
                        && !it.ariaLabel)
                .map(it => it.outerHTML)"""
        )
        assert unnamed == []
    tab(panel, "Containers")
    field(panel, "Name").fill("keys")
    field(panel, "Ports").fill("")
    field(panel, "Command").fill("")
    field(panel, "Command").press("Tab")
    notebook.keyboard.press("Enter")
    expect(command(panel)).to_have_text("docker run -d --name keys toolbox")
    drawn(panel, 1)
    full = panel.get_by_role("button", name="Full")
    full.focus()
    notebook.keyboard.press("Enter")
    expect(full).to_have_attribute("aria-pressed", "true")
    panel.get_by_role("button", name="Simple").click()


def test_a_terminal_in_a_container_opens_with_one_click(panel, notebook, sandbox_up):
    launch(panel, "web")
    drawn(panel, 1)
    # Its tab hides the panel.
    panel.get_by_role("button", name="Terminal in container").click()
    expect(command(panel)).to_have_text("docker exec -it web sh")
    screen = notebook.locator(".jp-Terminal .xterm-screen")
    screen.click()
    host = sandbox_up.host("a")
    deadline = time.monotonic() + 60
    # What a terminal shows is drawn on a canvas, so the answer goes to a file.
    while host.run("docker exec web cat /mark").stdout.strip() != "here":
        assert time.monotonic() < deadline, "the terminal does nothing"
        notebook.keyboard.type("echo here > /mark\n")
        time.sleep(0.5)
    notebook.locator(".lm-TabBar-tab.lm-mod-current .lm-TabBar-tabCloseIcon").first.click()
    notebook.get_by_role("tab", name="00-start-here.ipynb").first.click()
    expect(summary(panel)).to_be_visible()


def test_what_was_launched_is_chosen_and_a_terminal_that_cannot_open_is_told(panel, notebook):
    launch(panel, "web")
    launch(panel, "")
    drawn(panel, 2)
    chosen = field(panel, "Container")
    expect(chosen).not_to_have_value("web")
    expect(chosen).to_have_value(re.compile("_"))
    chosen.select_option("web")
    press(panel, "Stop")
    tabs = notebook.locator(".lm-DockPanel-tabBar .lm-TabBar-tab").count()
    press(panel, "Terminal in container")
    expect(answer(panel)).to_contain_text("is not running")
    beside = panel.locator(".wire-by-wire-field").filter(has_text="is not running")
    expect(beside).to_have_count(1)
    assert notebook.locator(".lm-DockPanel-tabBar .lm-TabBar-tab").count() == tabs
    press(panel, "Start")
    expect(answer(panel)).not_to_contain_text("is not running")
    notebook.route("**/api/terminals*", lambda route: route.fulfill(status=403))
    press(panel, "Terminal on host")
    expect(answer(panel)).to_contain_text("No terminal opens here: the server answered 403")
    notebook.unroute("**/api/terminals*")
    tab(panel, "Networks")
    field(panel, "Name").fill("x")
    press(panel, "Create")
    expect(field(panel, "Network")).to_have_value("x")
    expect(answer(panel)).not_to_contain_text("No terminal")


def test_the_picture_goes_dark_with_jupyterlab(panel, notebook, tmp_path):
    lightness = """element => {
        const found = getComputedStyle(element).backgroundColor.match(/\\d+/g).map(Number);
        return (found[0] + found[1] + found[2]) / 3;
    }"""
    picture = panel.locator(".wire-by-wire-topology")
    assert picture.evaluate(lightness) > 200
    theme(notebook, "JupyterLab Dark")
    try:
        expect(notebook.locator("body")).to_have_attribute("data-jp-theme-light", "false")
        assert picture.evaluate(lightness) < 60
        panel.screenshot(path=tmp_path / "dark.png")
    finally:
        theme(notebook, "JupyterLab Light")
    expect(notebook.locator("body")).to_have_attribute("data-jp-theme-light", "true")


def theme(page, name):
    page.evaluate(
        "name => jupyterapp.commands.execute('apputils:change-theme', {theme: name})", name
    )


def test_after_the_kernel_restarts_a_panel_finds_what_runs(notebook, sandbox_up):
    assert sandbox_up.host("a").run("docker run -d --name web toolbox").code == 0
    notebook.evaluate("void jupyterapp.commands.execute('kernelmenu:restart')")
    notebook.get_by_role("button", name="Confirm Kernel Restart").click()
    expect(notebook.locator("#jp-main-statusbar")).to_contain_text("(ipykernel) | Idle")
    cell = new_cell(notebook, "import sandbox; sandbox.panel()")
    notebook.keyboard.press("Control+Enter")
    drawn(cell.locator(".wire-by-wire-panel"), 1)
