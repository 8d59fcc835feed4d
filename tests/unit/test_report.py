"""A report for a bug has what is needed, and nothing of who and where somebody is."""

import json
import os

import pytest

from sandbox import __main__, paths, report
from sandbox.errors import SandboxError

TOKEN = "f81d4fae7dec11d0a76500a0c91e6bf6aabbccdd"


@pytest.fixture
def ada(tmp_path, monkeypatch, cache):
    """An account called ada, on a machine called engine-room; gives her home."""
    home = tmp_path / "ada's «home»"
    home.mkdir()
    (home / "course").mkdir()
    monkeypatch.chdir(home / "course")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USER", "ada")
    monkeypatch.setenv("WIRE_BY_WIRE_CACHE", str(home / "cache"))
    monkeypatch.setenv("WIRE_BY_WIRE_DATA", str(home / "data"))
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "s3cret-of-the-hub")
    monkeypatch.setenv("DOCKER_HOST", "tcp://ada:hunter@22x@10.1.2.3:2375")
    monkeypatch.setenv("SANDBOX_ENGINE", "vm")
    monkeypatch.setattr(report.getpass, "getuser", lambda: "ada")
    monkeypatch.setattr(report.socket, "gethostname", lambda: "engine-room.lan")
    monkeypatch.setattr(report.platform, "node", lambda: "engine-room")
    (paths.data_dir() / "progress.json").write_text(json.dumps({"learner": "lovelace"}))
    return home


def log(home, text, name="companion.log", sandbox_id="adas-own"):
    folder = paths.state_dir(sandbox_id)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())


BOB = "/home" + "/bob"
PRIVATE = [
    "ada",
    "engine-room",
    "lovelace",
    "s3cret",
    "hunter",
    "22x",
    "10.1.2.3",
    "adas-own",
    TOKEN,
    "192.168.7.9",
    "2001:db8::7",
    "f4:5c:89:aa:bb:cc",
    "bob@example.org",
    BOB,
    "abcdef-9",
]


def test_nothing_of_who_and_where_you_are_is_in_it(ada):
    said = [
        f"cannot open {ada}/course/x, {json.dumps(str(ada))}, {str(ada)!r}: ADA on engine-room.lan",
        f"GET /?token={TOKEN} Authorization: Bearer abcdef-9.x password='abcdef-9' {TOKEN}",
        "from 192.168.7.9:443 and [2001:db8::7]:80 at f4:5c:89:aa:bb:cc, mail bob@example.org",
        f"{BOB}/x, lovelace, s3cret-of-the-hub, adas-own",
        "kept: 198.18.0.11 127.0.0.1 ::1 12:34:56 28.5.2 host-a",
    ]
    log(ada, "\n".join(said))
    # A package's name may have letters of anybody's in it.
    text = report.write().read_text().partition("== Python packages ==")[0]
    for word in PRIVATE:
        assert word not in text.lower(), [
            line for line in text.splitlines() if word in line.lower()
        ]
    assert "kept: 198.18.0.11 127.0.0.1 ::1 12:34:56 28.5.2 host-a" in text


def test_it_says_what_is_needed(ada):
    log(ada, "boom\n")
    log(ada, "Kernel panic - not syncing\n", "console")
    text = report.write().read_text()
    for wanted in (
        "python: 3.",
        "the end of companion.log ==\nboom",
        "Kernel panic",
        "SANDBOX_ENGINE=vm",
        "== The hosts' packages ==",
        "docker 7.",
    ):
        assert wanted in text


def test_only_its_owner_reads_it_and_no_file_is_written_over(ada):
    file = report.write(ada / "report.txt")
    assert file.stat().st_mode & 0o777 == 0o600
    for path in (file, ada / "no/such/folder/report.txt"):
        with pytest.raises(SandboxError, match="could not be written") as caught:
            report.write(path)
        assert "--file" in caught.value.fix


def test_it_is_short_whatever_the_logs_have(ada):
    for name in report.logs():
        log(ada, b"\x1b[2J" + os.urandom(3_000_000) + b"x" * 100_000, name)
    for number in range(9):
        log(ada, "x\n" * 200_000, sandbox_id=f"other-{number}")
    file = report.write()
    assert file.stat().st_size < 512 * 1024
    assert "\x1b" not in file.read_text()


def test_what_fails_says_so_in_its_place(ada, monkeypatch):
    def broken(*_):
        raise RuntimeError("all is broken")

    def silent(*_):
        report.threading.Event().wait(5)

    log(ada, "boom\n")
    monkeypatch.setattr("sandbox.status.doctor", broken)
    monkeypatch.setattr("sandbox.status.status", silent)
    monkeypatch.setattr(report, "PART_SECONDS", 1)
    monkeypatch.setattr(report.platform, "platform", broken)
    monkeypatch.setattr("sandbox.record.path", broken)
    text = report.write().read_text()
    assert text.count("(this part failed: RuntimeError: all is broken)") == 2
    assert "(no answer within 1 s)" in text
    assert "boom" in text


def test_without_a_home_a_folder_or_a_cache_there_is_a_report(ada, tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WIRE_BY_WIRE_CACHE", str(tmp_path / "file/cache"))
    monkeypatch.setenv("WIRE_BY_WIRE_DATA", str(tmp_path / "file/data"))
    monkeypatch.delenv("HOME")
    text = report.write(tmp_path / "report.txt").read_text()
    assert "this part failed" in text
    assert "docker 7." in text


def test_the_command_says_where_it_is(ada, capsys):
    assert __main__.main(["report", "--file", "mine.txt"]) == 0
    assert "mine.txt" in capsys.readouterr().out
