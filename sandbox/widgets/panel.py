"""The panel: launch containers, make networks, try who reaches whom, and see it happen."""

from __future__ import annotations

import contextlib
import html
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import ipywidgets as widgets

from sandbox.errors import SandboxError
from sandbox.guest import vm
from sandbox.hosts import actions
from sandbox.hosts.actions import Action, HostCommand, Refused
from sandbox.hosts.events import EngineEvents
from sandbox.hosts.sandbox import Sandbox
from sandbox.model.difference import steady
from sandbox.model.state import HostState, Snapshot
from sandbox.widgets.box import Box
from sandbox.widgets.console import Console
from sandbox.widgets.live import LiveTopology

__all__ = ["Panel"]

# Changes that follow each other within this time are marked as one.
BURST_SECONDS = 4.0
DEFAULT_PARENT = "eth0"
BUILT_IN = ("bridge", "host", "none")


class _Field:
    """A control with its label, and below it what is wrong with what it holds."""

    def __init__(self, control: widgets.Widget, label: str) -> None:
        control.description = label
        control.layout.width = "auto"
        control.style.description_width = "88px"
        self.control = control
        self._error = widgets.HTML(layout={"display": "none"})
        self.box = widgets.VBox([control, self._error])
        self.box.add_class("wire-by-wire-field")
        if hasattr(control, "value"):
            control.observe(lambda _: self.say(""), names="value")

    @property
    def value(self) -> str:
        """What is written, without spaces around it; what is chosen, as it is."""
        value = self.control.value or ""
        return value if isinstance(self.control, widgets.Dropdown) else value.strip()

    def say(self, what: str) -> None:
        """Show what is wrong; "" for nothing."""
        self._error.value = _alert(what)
        self._error.layout.display = "" if what else "none"

    def offer(self, options: Iterable[str]) -> None:
        """Offer these values; what is chosen stays if it is among them."""
        listed = tuple(options)
        if isinstance(self.control, widgets.Combobox):
            self.control.options = listed
        elif self.control.options != listed:
            kept = self.control.value
            self.control.options = listed
            self.control.value = kept if kept in listed else next(iter(listed), None)


class Panel(Box):
    """Controls for the hosts of a running sandbox beside their topology, which follows live.

    Each click shows the docker command that does the same. close() ends it; it survives a reset
    of the hosts.
    """

    def __init__(self, sandbox: Sandbox, *, detail: str = "simple") -> None:
        self._sandbox = sandbox
        self._hosts = {name: sandbox.host(name) for name in sandbox.hosts}
        self._shown = self._baseline = sandbox.snapshot()
        self._read: dict[str, HostState] = {}
        self._changed_at = 0.0
        self._lock = threading.RLock()
        self._wanted = threading.Event()
        self._closed = False
        self._worker = ThreadPoolExecutor(1)
        self._buttons: list[widgets.Button] = []
        self._blamed: dict[str, str] = {}
        self._made = ""
        self.console = Console()
        self.topology = LiveTopology(self._shown, detail=detail)
        self._make_controls()
        self._trouble = widgets.HTML()
        left = widgets.VBox(
            [self.host, self._trouble, self._tabs], layout={"width": "400px", "flex": "0 0 auto"}
        )
        right = widgets.VBox([self.topology], layout={"flex": "1 1 420px", "min_width": "0"})
        both = widgets.HBox([left, right], layout={"flex_flow": "row wrap", "width": "100%"})
        super().__init__([both, self.console], layout={"width": "100%"})
        self.add_class("wire-by-wire-panel")
        self._images = {name: self._read_images(name) for name in self._hosts}
        self._offer()
        self.topology.observe(self._selected, names="selected")
        threading.Thread(target=self._refresh, daemon=True).start()
        self._events = EngineEvents(list(self._hosts.values()), self._wanted.set)

    def __repr__(self) -> str:
        return f"<Panel of {', '.join(self._hosts)}>"

    def close(self) -> None:
        """Stop following the hosts and remove the widgets."""
        self._closed = True
        self._events.close()
        self._wanted.set()
        self._worker.shutdown(wait=False)
        super().close()

    # ---- controls

    def _make_controls(self) -> None:
        self.host = widgets.ToggleButtons(options=list(self._hosts), description="Host")
        self.host.style.description_width = "60px"
        self.host.style.button_width = "80px"
        self.host.observe(lambda _: self._offer(), names="value")
        self.fields: dict[str, _Field] = {}
        self._tabs = widgets.Tab(
            [
                widgets.VBox([*self._launch(), *self._containers()]),
                widgets.VBox([*self._new_network(), *self._networks()]),
                widgets.VBox(self._probe()),
                widgets.VBox(self._machine()),
            ],
            titles=("Containers", "Networks", "Probe", "VM"),
        )

    def _field(self, key: str, control: widgets.Widget, label: str) -> widgets.Widget:
        field = self.fields[key] = _Field(control, label)
        return field.box

    def _button(
        self, label: str, act: Callable[[], None], tip: str, **blamed: str
    ) -> widgets.Button:
        """A button. blamed: which field is at fault when an action names another one."""
        button = widgets.Button(description=label, tooltip=tip, layout={"width": "auto"})
        button.on_click(lambda _: self._guarded(act, blamed))
        self._buttons.append(button)
        return button

    def _launch(self) -> list[widgets.Widget]:
        return [
            _heading("Launch a container"),
            self._field("image", widgets.Combobox(value="toolbox", placeholder="toolbox"), "Image"),
            self._field("name", widgets.Text(placeholder="web; Docker chooses one"), "Name"),
            self._field("network", widgets.Dropdown(options=["bridge"]), "Network"),
            self._field("ports", widgets.Text(placeholder="8080:80, 127.0.0.1:53:53/udp"), "Ports"),
            self._field("command", widgets.Text(placeholder="the image's own"), "Command"),
            self._button("Launch", self._on_launch, "docker run -d"),
        ]

    def _containers(self) -> list[widgets.Widget]:
        return [
            _heading("Containers that are there"),
            self._field("container", widgets.Dropdown(options=[]), "Container"),
            _row(
                self._button("Start", lambda: self._on_container(actions.start), "docker start"),
                self._button("Stop", lambda: self._on_container(actions.stop), "docker stop"),
                self._button("Remove", lambda: self._on_container(actions.remove), "docker rm -f"),
                self._button("Logs", lambda: self._on_container(actions.logs), "docker logs"),
            ),
            self._field("endpoint", widgets.Dropdown(options=["bridge"]), "Network"),
            _row(
                self._button("Connect", lambda: self._on_endpoint(actions.connect),
                             "docker network connect", network="endpoint"),
                self._button("Disconnect", lambda: self._on_endpoint(actions.disconnect),
                             "docker network disconnect", network="endpoint"),
            ),
            _row(
                self._button("Terminal in container", self._on_container_terminal, "a shell in it"),
                self._button("Terminal on host", self._on_host_terminal, "a shell on the host"),
            ),
        ]  # fmt: skip

    def _new_network(self) -> list[widgets.Widget]:
        driver = widgets.Combobox(value="bridge", options=actions.DRIVERS, ensure_option=False)
        boxes = [
            _heading("Create a network"),
            self._field("driver", driver, "Driver"),
            self._field("network_name", widgets.Text(placeholder="shop"), "Name"),
            self._field("subnet", widgets.Text(placeholder="Docker chooses one"), "Subnet"),
            self._field("gateway", widgets.Text(placeholder="the subnet's first"), "Gateway"),
            self._field("parent", widgets.Text(value=DEFAULT_PARENT), "Parent"),
            self._field("vlan", widgets.Text(placeholder="none; 1 to 4094"), "VLAN id"),
            self._field("mode", widgets.Dropdown(options=actions.MODES["macvlan"]), "Mode"),
            self._field("internal", widgets.Checkbox(indent=False), "Internal: no way out"),
            self._field("ipv6", widgets.Checkbox(indent=False), "IPv6 too"),
            _row(
                self._button("Create", self._on_create, "docker network create",
                             name="network_name"),
                self._button("Make a swarm", self._on_swarm, "docker swarm init and join",
                             network="driver"),
            ),
        ]  # fmt: skip
        driver.observe(lambda _: self._fit_driver(), names="value")
        self._fit_driver()
        return boxes

    def _networks(self) -> list[widgets.Widget]:
        return [
            _heading("Networks that are there"),
            self._field("old_network", widgets.Dropdown(options=[]), "Network"),
            self._button("Remove network", self._on_remove_network, "docker network rm",
                         network="old_network"),
        ]  # fmt: skip

    def _probe(self) -> list[widgets.Widget]:
        return [
            _heading("Who reaches whom?"),
            self._field("from", widgets.Dropdown(options=[]), "From"),
            self._field("to", widgets.Combobox(placeholder="a name or an address"), "To"),
            self._field("port", widgets.Text(value="80"), "Port"),
            _row(
                self._button("Ping", self._on_ping, "docker exec … ping", container="from"),
                self._button("HTTP", self._on_curl, "docker exec … curl", container="from"),
            ),
        ]

    def _machine(self) -> list[widgets.Widget]:
        return [
            _heading("A virtual machine on the host"),
            self._field("vm_network", widgets.Dropdown(options=[]), "Network"),
            _row(
                self._button("Start VM", self._on_start_vm, "vm start"),
                self._button("Stop VM", self._on_stop_vm, "vm stop"),
            ),
            self._field("vm_command", widgets.Text(placeholder="uname -r"), "Command"),
            self._button("Run in VM", self._on_run_in_vm, "vm exec"),
        ]

    def _fit_driver(self) -> None:
        """Show what belongs to the chosen driver."""
        driver = self.fields["driver"].value
        modes = actions.MODES.get(driver, ())
        for key in ("parent", "vlan", "mode"):
            self.fields[key].box.layout.display = "" if modes else "none"
        if modes:
            self.fields["mode"].offer(modes)
        self.fields["ipv6"].box.layout.display = "none" if driver == "overlay" else ""

    # ---- what is there

    @property
    def _state(self) -> HostState:
        found = self._shown.host(self.host.value)
        assert found is not None
        return found

    def _offer(self) -> None:
        """Offer in every list what the chosen host has now.

        While it cannot be read, as in a reset, its lists stay: what is chosen would be lost.
        """
        with self._lock:
            state = self._state
            if not state.unread:
                self._read[state.name] = state
            self._offer_of(self._read.get(state.name, state))

    def _offer_of(self, state: HostState) -> None:
        running = [it for it in state.containers if it.state == "running"]
        networks = [it.name for it in state.networks if not it.ingress]
        self.fields["container"].offer(it.name for it in state.containers)
        self.fields["from"].offer(it.name for it in running)
        self.fields["network"].offer(networks)
        self.fields["endpoint"].offer(networks)
        self.fields["old_network"].offer(it for it in networks if it not in BUILT_IN)
        for it in state.containers:
            self._choose(it.id, it.name, "container")
        for made in state.networks:
            self._choose(made.id, made.name, "old_network", "endpoint")
        self.fields["image"].offer(self._images[state.name])
        self.fields["to"].offer(_targets(self._shown))
        own = state.namespace.interfaces if state.namespace else ()
        self.fields["vm_network"].offer(
            actions.vm_networks((it.name for it in own if it.kind == "bridge"), [DEFAULT_PARENT])
        )
        silent = [
            f"{it.name}: {it.unread.splitlines()[0]}" for it in self._shown.hosts if it.unread
        ]
        self._trouble.value = _alert("; ".join(silent))

    def _choose(self, id: str, name: str, *keys: str) -> None:
        """Choose in these lists what the last click made, once it is there."""
        if id and id == self._made:
            self._made = ""
            for key in keys:
                self.fields[key].control.value = name

    def _read_images(self, name: str) -> list[str]:
        """Names of the images that a host has; none if its Engine is silent."""
        with contextlib.suppress(Exception):
            found = self._hosts[name].client.images.list()
            return sorted(tag.removesuffix(":latest") for image in found for tag in image.tags)
        return []

    def _selected(self, change: dict[str, str]) -> None:
        """A node was clicked in the picture: choose its host and container."""
        host, _, name = change["new"].partition("/")
        if host in self._hosts:
            self.host.value = host
            if self._state.container(name):
                self.fields["container"].control.value = name

    def _refresh(self) -> None:
        while not self._closed:
            self._wanted.wait()
            self._wanted.clear()
            if self._closed:
                return
            try:
                self._look()
            except Exception as error:
                # The next event of a host finds the thread alive, and looks again.
                self._answer(f"The picture is not up to date: {error!r}", failed=True)

    def _look(self) -> None:
        """Take a snapshot, and show it if something changed."""
        try:
            now = self._sandbox.snapshot()
        except SandboxError as error:
            self._answer(str(error), failed=True)
            return
        # Only this thread changes what is shown.
        if [*map(steady, now.hosts)] == [*map(steady, self._shown.hosts)]:
            return
        images = {name: self._read_images(name) for name in self._hosts}
        moment = time.monotonic()
        if any(host.unread for host in self._shown.hosts):
            # A host that could not be read, as in a reset: all of it would look new.
            self._baseline = now
        elif moment - self._changed_at > BURST_SECONDS:
            self._baseline = self._shown
        self._changed_at = moment
        with self._lock:
            self._shown, self._images = now, images
            self.topology.show(now, before=self._baseline)
            self._offer()

    # ---- clicks

    def _guarded(self, act: Callable[[], None], blamed: dict[str, str]) -> None:
        """Do what a click asks for; what cannot be asked is said beside its field."""
        for field in self.fields.values():
            field.say("")
        self.console.place = self.console.command = ""
        self._answer("")
        self._blamed = blamed
        try:
            act()
        except Refused as refused:
            self._refuse(refused, blamed)
            self.console.answered += 1

    def _refuse(self, refused: Refused, blamed: dict[str, str]) -> None:
        text = " ".join(filter(None, (refused.what, refused.fix)))
        field = self.fields.get(blamed.get(refused.field, refused.field))
        if field is not None:
            field.say(text)
        self._answer(text, failed=True)

    def _answer(self, text: str, *, failed: bool = False) -> None:
        with self._lock:
            self.console.failed, self.console.answer = failed, text

    def _run(
        self,
        steps: Sequence[tuple[str, Action | HostCommand]],
        doing: str,
        then: Callable[[str], None] = lambda said: None,
    ) -> None:
        """Perform actions, each on its host, one after the other, while the page stays usable.

        then: called with what the last one said, if none failed.
        """
        self.console.place = ", ".join(dict.fromkeys(f"{name}$" for name, _ in steps))
        self.console.command = "; ".join(str(action) for _, action in steps)
        self._set_busy(doing)
        self._worker.submit(self._work, steps, self._blamed, then)

    def _work(
        self,
        steps: Sequence[tuple[str, Action | HostCommand]],
        blamed: dict[str, str],
        then: Callable[[str], None],
    ) -> None:
        said = ""
        try:
            for name, action in steps:
                said = actions.perform(self._hosts[name], action)
            self._answer(said or "Done.")
            then(said)
        except Refused as refused:
            self._refuse(refused, blamed)
        except SandboxError as error:
            self._answer(str(error), failed=True)
        except Exception as error:
            self._answer(f"{type(error).__name__}: {error}", failed=True)
        finally:
            # Events tell of most changes; a probe and a failure may have none.
            self._wanted.set()
            self._set_busy("")
            self.console.answered += 1

    def _set_busy(self, doing: str) -> None:
        self.console.busy = doing
        for button in self._buttons:
            button.disabled = bool(doing)

    def _choose_made(self, id: str) -> None:
        # Its event may have come before its answer.
        self._made = id
        self._offer()

    def _value(self, key: str) -> str:
        return self.fields[key].value

    def _on_launch(self) -> None:
        network = self._value("network")
        action = actions.run(
            self._value("image"),
            name=self._value("name"),
            network="" if network == "bridge" else network,
            ports=self._value("ports"),
            command=self._value("command"),
        )
        self._run([(self.host.value, action)], "Starting a container …", self._choose_made)

    def _on_container(self, make: Callable[[str], Action]) -> None:
        action = make(self._value("container"))
        self._run([(self.host.value, action)], f"{action} …")

    def _on_endpoint(self, make: Callable[[str, str], Action]) -> None:
        action = make(self._value("endpoint"), self._value("container"))
        self._run([(self.host.value, action)], f"{action} …")

    def _on_create(self) -> None:
        driver = self._value("driver")
        layered = driver in actions.MODES
        try:
            vlan = int(self._value("vlan")) if layered and self._value("vlan") else None
        except ValueError:
            raise Refused(
                "vlan", "A VLAN id is a number.", fix="Write one from 1 to 4094."
            ) from None
        action = actions.create_network(
            self._value("network_name"),
            driver,
            subnet=self._value("subnet"),
            gateway=self._value("gateway"),
            parent=self._value("parent") if layered else "",
            vlan=vlan,
            mode=self._value("mode") if layered else "",
            internal=self.fields["internal"].control.value,
            ipv6=self.fields["ipv6"].control.value and driver != "overlay",
        )
        self._run([(self.host.value, action)], "Creating a network …", self._choose_made)

    def _on_remove_network(self) -> None:
        action = actions.remove_network(self._value("old_network"))
        self._run([(self.host.value, action)], f"{action} …")

    def _on_swarm(self) -> None:
        """Join all hosts to a swarm that the chosen one manages."""
        manager = self._hosts[self.host.value]
        steps = []
        if self._state.swarm != "active":
            steps.append((manager.name, actions.start_swarm(manager.address)))
        for name in self._hosts:
            other = self._shown.host(name)
            if other and name != manager.name and other.swarm != "active":
                steps.append((name, actions.join_swarm(manager, manager.address)))
        if not steps:
            raise Refused("driver", "The hosts are in a swarm already.")
        self._run(steps, "Making a swarm …")

    def _on_ping(self) -> None:
        action = actions.ping(self._value("from"), self._value("to"))
        self._run([(self.host.value, action)], f"{action} …")

    def _on_curl(self) -> None:
        try:
            port = int(self._value("port") or "80")
        except ValueError:
            raise Refused("port", "A port is a number.", fix="Write one such as 80.") from None
        action = actions.curl(self._value("from"), self._value("to"), port)
        self._run([(self.host.value, action)], f"{action} …")

    def _vm_state(self) -> HostState:
        """The chosen host now: no event of its Engine tells of a virtual machine."""
        (state,) = self._sandbox.snapshot((self.host.value,)).hosts
        return state

    def _on_start_vm(self) -> None:
        state = self._vm_state()
        if any(machine.name == vm.NAME for machine in state.machines):
            raise Refused("vm_network", f"A VM runs on {state.name} already.", fix="Stop it.")
        there = [it.name for it in state.namespace.interfaces] if state.namespace else []
        steps = actions.start_vm(self._value("vm_network"), there)
        self._run([(state.name, step) for step in steps], "Starting the VM …")

    def _on_stop_vm(self) -> None:
        state = self._vm_state()
        ours = [machine for machine in state.machines if machine.name == vm.NAME]
        steps = actions.stop_vm(ref.name for machine in ours for ref in machine.interfaces)
        self._run([(state.name, step) for step in steps], "Stopping the VM …")

    def _on_run_in_vm(self) -> None:
        step = actions.run_in_vm(self._value("vm_command"))
        self._run([(self.host.value, step)], f"{step} …")

    def _on_host_terminal(self) -> None:
        # With no input it ends at once, and proves that one starts.
        self._open_terminal(HostCommand(("bash", "-l")))

    def _on_container_terminal(self) -> None:
        name = self._value("container")
        self._open_terminal(actions.shell(name), name)

    def _open_terminal(self, proof: Action | HostCommand, *container: str) -> None:
        """Open a terminal on the host or in its container, once what it runs has been tried."""
        argv = [sys.executable, "-m", "sandbox", "shell", self.host.value, *container]
        self._run(
            [(self.host.value, proof)],
            "Opening a terminal …",
            lambda _: self.console.open_terminal([*argv, "--id", self._sandbox.id]),
        )


def _alert(what: str) -> str:
    """HTML that says what is wrong; "" for nothing."""
    return f'<div class="wire-by-wire-error" role="alert">{html.escape(what)}</div>' if what else ""


def _heading(text: str) -> widgets.Widget:
    return widgets.HTML(f'<div class="wire-by-wire-heading">{html.escape(text)}</div>')


def _row(*children: widgets.Widget) -> widgets.Widget:
    return widgets.HBox(children, layout={"flex_flow": "row wrap"})


def _targets(snapshot: Snapshot) -> list[str]:
    """Names of containers and their addresses, and addresses of the hosts."""
    found: dict[str, None] = {}
    for container in snapshot.containers():
        if container.state == "running":
            found[container.name] = None
            for endpoint in container.endpoints:
                found[endpoint.address.partition("/")[0]] = None
    found.update(dict.fromkeys(host.address for host in snapshot.hosts))
    return [name for name in found if name]
