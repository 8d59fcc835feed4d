"""What the course's widgets share."""

from __future__ import annotations

import html
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import ipywidgets as widgets
import traitlets

from sandbox.errors import SandboxError
from sandbox.views.keys import KEEPS_KEYS, keys

__all__ = ["Box", "Worker"]


class Box(widgets.VBox):
    """A column of widgets that keeps the keys typed at it. Its text, where no widget can be shown,
    is its repr.
    """

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)
        self.add_class(KEEPS_KEYS)

    @traitlets.validate("children")
    def _with_keys(self, proposal: dict[str, tuple[widgets.Widget, ...]]) -> tuple[object, ...]:
        own = tuple(it for it in proposal["value"] if it is not keys())
        return (*own, keys())

    def _repr_mimebundle_(self, **options: object) -> dict[str, object] | None:
        bundle: dict[str, object] | None = super()._repr_mimebundle_(**options)
        if bundle:
            # The text of all these widgets would say nothing.
            bundle["text/plain"] = repr(self)
        return bundle


class Worker(Box):
    """A column of widgets whose buttons begin what takes a while, one at a time.

    While one works the others are off, see ``_enable``; what goes wrong is said in ``_message``.
    """

    def __init__(self) -> None:
        super().__init__()
        self._busy = self._closed = False
        self._pool = ThreadPoolExecutor(1)
        self._message = widgets.HTML()

    def close(self) -> None:
        """Remove the widgets; what was begun comes to its end."""
        self._closed = True
        self._pool.shutdown(wait=False)
        super().close()

    def _enable(self) -> None:
        """Switch the controls on or off, as ``_busy`` says."""
        raise NotImplementedError

    def _button(self, label: str, act: Callable[[], None], tip: str) -> widgets.Button:
        button = widgets.Button(description=label, tooltip=tip, layout={"width": "auto"})
        button.on_click(lambda _: self._start(act))
        return button

    def _start(self, act: Callable[[], None]) -> None:
        # Clicks wait in the kernel while a cell runs, one that closes this perhaps; only the
        # first of them counts.
        if not (self._busy or self._closed):
            self._busy = True
            self._attempt(self._enable)
            self._pool.submit(self._work, act)

    def _work(self, act: Callable[[], None]) -> None:
        try:
            self._attempt(act)
        finally:
            self._busy = False
            self._attempt(self._enable)

    def _attempt(self, act: Callable[[], None]) -> None:
        """Call it; what goes wrong is said. No one else would hear of it in the background."""
        try:
            act()
        except SandboxError as error:
            self._say(str(error), failed=True)
        except Exception as error:
            self._say(f"{type(error).__name__}: {error}. Press the button again.", failed=True)

    def _say(self, text: str, shown: str = "", then: str = "", *, failed: bool = False) -> None:
        """Show a text, what a command showed or is, and what to do then."""
        role = "alert" if failed else "status"
        block = f"<pre>{html.escape(shown)}</pre>" if shown else ""
        self._message.value = (
            f'<div role="{role}"><p style="white-space: pre-line">{html.escape(text)}</p>{block}'
            f"<p>{html.escape(then)}</p></div>"
        )
