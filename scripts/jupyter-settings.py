"""Give this Python's JupyterLab the course's settings, terminals with that Python first, and what
draws pictures.
"""

import json
import shutil
import sys
from pathlib import Path

from sandbox.views.topology import carried

SCRIPTS = Path(__file__).absolute().parent
lab = Path(sys.prefix, "share/jupyter/lab/settings")
lab.mkdir(parents=True, exist_ok=True)
shutil.copy(SCRIPTS / "jupyterlab-settings.json", lab / "overrides.json")
server = Path(sys.prefix, "etc/jupyter/jupyter_config.json")
server.parent.mkdir(parents=True, exist_ok=True)
shell = ["bash", "--rcfile", str(SCRIPTS / "terminal.bashrc")]
server.write_text(json.dumps({"ServerApp": {"terminado_settings": {"shell_command": shell}}}))
# Its server gives this folder's files to every page; wait.js asks for this one.
drawing = Path(sys.prefix, "share/jupyter/labextensions/wire-by-wire/drawing.js")
drawing.parent.mkdir(parents=True, exist_ok=True)
drawing.write_text(carried(), encoding="utf-8")
