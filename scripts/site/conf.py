"""Sphinx's settings for the course as a site to read; see build.py."""

from pygments.lexer import Lexer
from pygments.lexers import BashLexer, PythonLexer
from pygments.token import Comment
from sphinx.highlighting import lexers

project = "Docker Networking, Wire by Wire"
extensions = ["myst_nb"]
root_doc = "README"
html_theme = "sphinx_book_theme"
html_title = project
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_theme_options = {"use_download_button": False, "use_fullscreen_button": False}
myst_heading_anchors = 3
# What a reader sees was stored when the lesson was proved.
nb_execution_mode = "off"
# Nothing comes from another site.
nb_ipywidgets_js = {}


class CellLexer(Lexer):
    """A notebook's cell: shell below %%host, else Python."""

    def get_tokens_unprocessed(self, text):
        if not text.startswith("%%host"):
            yield from PythonLexer().get_tokens_unprocessed(text)
            return
        first, _, rest = text.partition("\n")
        yield 0, Comment.Preproc, f"{first}\n"
        for at, kind, value in BashLexer().get_tokens_unprocessed(rest):
            yield at + len(first) + 1, kind, value


lexers["cell"] = CellLexer()
