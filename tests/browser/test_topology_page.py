"""The topology's picture in a browser: saved pages, and outputs side by side in one page."""

import itertools
import json
import re

import pytest

from sandbox.views import topology
from sandbox.views.graph import Mark
from sandbox.views.topology import Topology
from sandbox.widgets.live import LiveTopology
from tests.unit import snapshots

playwright = pytest.importorskip("playwright.sync_api")
EVIL = '<img src=x onerror="document.title=1">'
PICTURE = ".wire-by-wire-topology"


@pytest.fixture
def page(browser):
    """A page that fails the test when it asks for anything or a script of it fails."""
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.set_default_timeout(20_000)
    asked, failed = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: failed.append(str(error)))
    page.on("console", lambda line: line.type == "error" and failed.append(line.text))
    yield page
    page.close()
    assert [url for url in asked if not url.startswith(("file:", "about:", "blob:"))] == []
    assert failed == []


@pytest.fixture
def show(page, tmp_path):
    """Opens a page with these outputs below each other."""

    def open_page(*outputs, dark=""):
        path = tmp_path / "page.html"
        body = "\n".join(outputs)
        theme = f' data-jp-theme-light="{json.dumps(not dark)}"' if dark != "" else ""
        path.write_text(f"<!doctype html><meta charset=utf-8><body{theme}>{body}</body>")
        page.goto(path.as_uri())
        return page

    return open_page


def output(shown, *, carry=True):
    return shown._html(carry=carry)


def drawn(page, number=0):
    """Wait until that picture is drawn; return its element."""
    page.wait_for_function(
        "n => document.querySelectorAll('.wire-by-wire-topology')[n]?.dataset.milliseconds",
        arg=number,
    )
    return page.locator(PICTURE).nth(number)


def count_colour(picture, colour):
    """How many pixels of the picture have that colour, #rrggbb."""
    return picture.evaluate(
        """(element, colour) => {
          const canvas = element.querySelector('canvas');
          const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
          const wanted = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
          let count = 0;
          for (let at = 0; at < data.length; at += 4) {
            if (wanted.every((value, channel) => data[at + channel] === value)) count += 1;
          }
          return count;
        }""",
        colour,
    )


def colour_of(picture, name):
    return picture.evaluate(
        "(element, name) => getComputedStyle(element).getPropertyValue(`--wbw-${name}`).trim()",
        name,
    )


def test_a_saved_page_draws_by_itself(page, tmp_path):
    page.goto(Topology(snapshots.everything()).save(tmp_path / "saved.html").as_uri())
    picture = drawn(page)
    # So much is in it that a published port, one line of text, is drawn small.
    picture.get_by_role("button", name="Zoom in").click()
    page.wait_for_timeout(300)
    assert count_colour(picture, colour_of(picture, "port")) > 100
    assert "10 containers" in picture.get_by_role("img").get_attribute("aria-label")
    legend = picture.locator(".wbw-legend").inner_text()
    assert "VXLAN tunnel" in legend
    assert "veth" not in legend


def test_what_is_wrong_is_red(page, tmp_path):
    marks = [Mark(("host-a/client", "host-a/web"), "no answer"), Mark(("host-a",), "no rule")]
    path = Topology(snapshots.lesson(), marks=marks).save(tmp_path / "saved.html")
    page.goto(path.as_uri())
    picture = drawn(page)
    page.wait_for_timeout(300)
    picture.screenshot(path=tmp_path / "wrong.png")
    assert count_colour(picture, colour_of(picture, "wrong")) > 100
    assert "✗ not as it should be" in picture.locator(".wbw-legend").inner_text()


def test_the_switch_shows_every_interface(page, show):
    show(output(Topology(snapshots.lesson())))
    picture = drawn(page)
    simple = picture.get_by_role("button", name="Simple")
    assert simple.get_attribute("aria-pressed") == "true"
    simple.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    playwright.expect(picture.locator(".wbw-legend")).to_contain_text("veth pair")
    assert simple.get_attribute("aria-pressed") == "false"
    page.wait_for_timeout(200)
    assert count_colour(picture, colour_of(picture, "veth")) > 50
    simple.press("Enter")
    playwright.expect(picture.locator(".wbw-legend")).not_to_contain_text("veth pair")


def test_details_show_on_hover_as_plain_text(page, show):
    host = snapshots.Host("host-a", "198.18.0.11")
    host.bridge("bridge", subnet="172.17.0.0/16", device="docker0")
    host.run(EVIL, ("bridge", "172.17.0.2/16", "eth0", "docker0"))
    snapshot = snapshots.Snapshot(0.0, "198.18.0.0/24", (host.state(),))
    shown = Topology(snapshot)
    show(output(shown))
    picture = drawn(page)
    x, y = shown.positions["simple"].places[f"host-a/{EVIL}"]
    left, top, right, bottom = shown._picture.data["views"]["simple"]["bounds"]
    box = picture.locator("canvas").bounding_box()
    scale = min(1, box["width"] / (right - left), box["height"] / (bottom - top))
    page.mouse.move(
        box["x"] + box["width"] / 2 + (x - (left + right) / 2) * scale,
        box["y"] + box["height"] / 2 + (y - (top + bottom) / 2) * scale,
    )
    tooltip = picture.locator(".vis-tooltip")
    playwright.expect(tooltip).to_be_visible()
    assert f"container {EVIL}\nimage toolbox\nstate running" in tooltip.inner_text()
    assert tooltip.locator(":not(br)").count() == picture.locator("img").count() == 0
    assert page.title() != "1"


def test_changes_are_coloured_and_explained(page, show):
    less, more = snapshots.lesson(client=False), snapshots.lesson()
    show(output(Topology(more, before=less)), output(Topology(less, before=more), carry=False))
    new, gone = drawn(page, 0), drawn(page, 1)
    assert count_colour(new, colour_of(new, "new")) > 100
    assert count_colour(gone, colour_of(gone, "gone")) > 100
    assert "+ new" in new.locator(".wbw-legend").inner_text()
    assert "− gone" in gone.locator(".wbw-legend").inner_text()


@pytest.mark.parametrize("detail", ["simple", "full"])
@pytest.mark.parametrize("snapshot", [snapshots.lesson(), snapshots.many(8)], ids=["lesson", "8"])
def test_no_two_labels_overlap_as_drawn(page, show, snapshot, detail):
    # The boxes are vis-network's own, of the fonts that this machine has.
    source = output(Topology(snapshot, detail=detail))
    show(source.replace("this.network = network;", "window.networks = [this.network = network];"))
    drawn(page)
    boxes = page.evaluate(
        "networks[0].body.nodeIndices.map((id) => [id, networks[0].getBoundingBox(id)])"
    )
    assert len(boxes) > 10
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        apart = (
            a["right"] <= b["left"] + 2
            or b["right"] <= a["left"] + 2
            or a["bottom"] <= b["top"] + 2
            or b["bottom"] <= a["top"] + 2
        )
        assert apart, (one, other, a, b)


def test_one_output_carries_the_library_for_all(page, show):
    shown = Topology(snapshots.lesson())
    # The second stands before the one that carries the library, as after a re-run.
    show(*(output(shown, carry=number == 1) for number in range(3)))
    for number in range(3):
        drawn(page, number)
    assert page.evaluate("typeof vis") == "undefined"


def test_without_the_library_the_text_stays_with_what_to_do(page, show):
    page.clock.install()
    show(output(Topology(snapshots.lesson()), carry=False))
    page.clock.run_for(11_000)
    picture = page.locator(PICTURE)
    playwright.expect(picture.locator("p")).to_contain_text("restart the kernel")
    assert "├─ network bridge" in picture.locator("pre").inner_text()


def test_an_output_that_comes_later_is_drawn_too(page, show):
    show(output(Topology(snapshots.lesson())))
    drawn(page)
    later = output(Topology(snapshots.many(2)), carry=False)
    # As JupyterLab inserts an output: its scripts are made anew.
    page.evaluate(
        """(html) => {
          const host = document.createElement('div');
          host.innerHTML = html;
          for (const script of host.querySelectorAll('script')) {
            const copy = document.createElement('script');
            for (const { name, value } of script.attributes) copy.setAttribute(name, value);
            copy.textContent = script.textContent;
            script.replaceWith(copy);
          }
          document.body.append(host);
        }""",
        later,
    )
    drawn(page, 1)


def test_a_picture_that_was_scrolled_away_is_drawn_again(page, show):
    show(output(Topology(snapshots.lesson())))
    picture = drawn(page)
    page.evaluate("window.kept = document.querySelector('.wire-by-wire-topology'); kept.remove()")
    page.wait_for_function("!kept.querySelector('canvas')")
    page.evaluate("document.body.append(kept)")
    playwright.expect(picture.locator("canvas")).to_be_visible()


def test_a_picture_in_a_hidden_place_is_drawn_when_it_shows(page, show):
    show(f"<div id=closed hidden>{output(Topology(snapshots.lesson()))}</div>")
    page.wait_for_selector(f"{PICTURE}[data-drawn]", state="attached")
    page.wait_for_timeout(300)
    assert page.locator("canvas").count() == 0
    page.evaluate("document.querySelector('#closed').hidden = false")
    drawn(page)


def test_it_follows_jupyterlabs_theme(page, show):
    show(output(Topology(snapshots.lesson())), dark=False)
    picture = drawn(page)
    assert picture.get_attribute("data-theme") == "light"
    light = colour_of(picture, "region")
    assert count_colour(picture, light) > 10_000
    page.evaluate("document.body.dataset.jpThemeLight = 'false'")
    playwright.expect(picture).to_have_attribute("data-theme", "dark")
    page.wait_for_timeout(300)
    assert count_colour(picture, light) == 0
    assert count_colour(picture, colour_of(picture, "region")) > 10_000


def test_a_saved_page_follows_the_readers_theme(page, tmp_path):
    page.emulate_media(color_scheme="dark")
    page.goto(Topology(snapshots.lesson()).save(tmp_path / "saved.html").as_uri())
    picture = drawn(page)
    assert picture.get_attribute("data-theme") == "dark"
    page.emulate_media(color_scheme="light")
    playwright.expect(picture).to_have_attribute("data-theme", "light")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_has_enough_contrast(page, show, theme):
    show(output(Topology(snapshots.lesson())), dark=theme == "dark")
    picture = drawn(page)

    def luminance(name):
        value = colour_of(picture, name)
        channels = [int(value[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    def contrast(one, other):
        low, high = sorted([luminance(one), luminance(other)])
        return (high + 0.05) / (low + 0.05)

    for text, ground in itertools.product(("text", "faint"), ("surface", "region")):
        assert contrast(text, ground) >= 4.5, (text, ground)
    for kind in (*topology_kinds(), "new", "changed", "gone"):
        assert contrast(kind, "region") >= 2.5, kind


def topology_kinds():
    return re.findall(r"--wbw-(\w+): #", topology.front_end("topology.css").split("}")[0])[5:-3]


WIDGET = """async ([source, state]) => {
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const { default: widget } = await import(url);
  const listeners = {};
  window.model = {
    get: (name) => state[name],
    set: (name, value) => { state[name] = value; listeners[`change:${name}`]?.(); },
    save_changes() {},
    on: (event, listener) => { listeners[event] = listener; },
    off: (event) => { delete listeners[event]; },
  };
  window.end = widget.render({ model, el: document.body });
}"""


def test_the_widget_follows_its_model_and_tells_it_what_was_clicked(page, show):
    live = LiveTopology(snapshots.lesson(client=False), detail="full")
    # The same file as a page's own, but that this test may ask vis-network.
    source = live._esm.replace("this.network = network;", "window.net = this.network = network;")
    show("")
    state = {"picture": live.picture, "detail": "full", "selected": ""}
    page.evaluate(WIDGET, [source, state])
    picture = drawn(page)
    canvas = page.evaluate_handle("document.querySelector('canvas')")
    page.get_by_role("button", name="Zoom in").click()
    scale = page.evaluate("net.getScale()")
    live.show(snapshots.lesson())
    page.evaluate("picture => model.set('picture', picture)", live.picture)
    playwright.expect(picture.locator(".wbw-legend")).to_contain_text("+ new")
    assert page.evaluate("net.body.data.nodes.get('host-a/client').change") == "new"
    assert page.evaluate("canvas => canvas === document.querySelector('canvas')", canvas)
    assert page.evaluate("net.getScale()") == scale
    page.get_by_role("button", name="Simple").click()
    assert page.evaluate("model.get('detail')") == "simple"
    box = picture.locator("canvas").bounding_box()
    at = page.evaluate("net.canvasToDOM(net.getPosition('host-a/web'))")
    page.mouse.click(box["x"] + at["x"], box["y"] + at["y"])
    page.wait_for_function("model.get('selected') === 'host-a/web'")
    page.evaluate("end()")
    assert page.locator("canvas").count() == 0
    assert page.evaluate("typeof vis + typeof wireByWireTopology") == "undefinedundefined"


def test_a_widget_that_cannot_be_drawn_says_so(browser, tmp_path):
    page = browser.new_page()
    (tmp_path / "page.html").write_text("<!doctype html><body></body>")
    page.goto((tmp_path / "page.html").as_uri())
    live = LiveTopology(snapshots.lesson())
    page.evaluate(WIDGET, [live._esm, {"picture": {}, "detail": "full", "selected": ""}])
    playwright.expect(page.locator(".wbw-note")).to_contain_text("could not be drawn")
    page.close()


def test_a_picture_that_cannot_be_drawn_says_so(browser, tmp_path):
    page = browser.new_page()
    source = output(Topology(snapshots.lesson())).replace('"simple":{"nodes"', '"simple":{"n"')
    (tmp_path / "page.html").write_text(f"<!doctype html><meta charset=utf-8>{source}")
    page.goto((tmp_path / "page.html").as_uri())
    note = page.locator(".wbw-note")
    playwright.expect(note).to_contain_text("could not be drawn")
    playwright.expect(page.locator("pre")).to_contain_text("├─ network bridge")
    page.close()


def test_a_hundred_nodes_are_drawn_in_200_milliseconds(page, show):
    shown = Topology(snapshots.many(32), detail="full")
    assert len(shown._picture.data["views"]["full"]["nodes"]) >= 100
    # The first picture of a page also compiles the library.
    show(output(Topology(snapshots.lesson())), output(shown, carry=False))
    taken = []
    for _ in range(3):
        taken.append(int(drawn(page, 1).get_attribute("data-milliseconds")))
        page.reload()
    # The machine may be busy with something else for one of them.
    assert min(taken) <= 200
    print(f"100 nodes: {taken} ms")
