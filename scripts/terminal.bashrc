# The shell of JupyterLab's terminals: the account's own, with the course's Python first.
# A login shell, JupyterLab's default, would take that away: /etc/profile sets PATH anew.
# shellcheck shell=bash source=/dev/null
[ ! -e ~/.bashrc ] || . ~/.bashrc
. "$(dirname "${BASH_SOURCE[0]}")/../.venv/bin/activate"
