"""A question before the cell that decides it; the learner's answer stays on the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipywidgets import Widget

__all__ = ["predict"]


def predict(question: str, *answers: str) -> Widget:
    """A widget that asks question and keeps the chosen answer in sight; none is marked wrong."""
    import ipywidgets

    choice = ipywidgets.RadioButtons(
        options=answers, value=None, layout={"width": "auto"}, description_allow_html=False
    )
    kept = ipywidgets.Label()

    def chosen(change: dict[str, object]) -> None:
        kept.value = f"Your prediction: {change['new']}. Now run the next cell."

    choice.observe(chosen, names="value")
    return ipywidgets.VBox([ipywidgets.Label(question), choice, kept])
