"""A kernel shows one widget of a kind for a sandbox."""

import ipywidgets as widgets

from sandbox.widgets.registry import replace


def test_a_new_widget_closes_the_earlier_one_of_its_kind_and_sandbox_alone():
    made = [
        replace(kind, sandbox_id, kind)
        for kind in (widgets.VBox, widgets.HBox)
        for sandbox_id in ("one", "two")
    ]
    closed = []
    for widget in made:
        widget.close = lambda widget=widget: closed.append(widget)
    assert replace(widgets.VBox, "one", widgets.VBox) is not made[0]
    assert closed == [made[0]]
