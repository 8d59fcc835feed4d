"""The panel: a module for each tab, and what the tabs share."""

from sandbox.widgets.panel.panel import Panel

__all__ = ["Panel"]
