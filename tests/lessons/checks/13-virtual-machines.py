"""Lesson 13: what the host sees of its VM, which address others see, and what ``vm`` says."""

from dataclasses import replace

from between_cells import after

import sandbox
from tests.hosts import ok

# The cell before the last, which puts the hosts back as new.
QUIZ = "quizzes/13-virtual-machines.toml"


@after("vm start --port 8080:80")
def user_mode_nat_has_no_interface_on_the_host(a, b):
    now = sandbox.snapshot("a")
    [host] = now.hosts
    [machine] = host.machines
    assert (machine.user_mode, machine.interfaces) == (True, ())
    without = replace(now, hosts=(replace(host, machines=()),))
    assert "+ virtual machine vm: user-mode NAT" in str(sandbox.diff(without, now))


@after("ps -C busybox,qemu-system-x86_64")
def the_container_has_the_hosts_memory_and_the_vm_its_own(a, b):
    memory = "grep MemTotal /proc/meminfo"
    assert ok(a, memory) == ok(a, f"docker exec web {memory}") != ok(a, f"vm exec {memory}")


@after("conntrack -L -p tcp")
def the_hosts_kernel_never_saw_an_address_of_the_vm(a, b):
    flows = ok(a, "conntrack -L 2> /dev/null")
    assert "src=198.18.0.11 dst=198.18.0.12" in flows
    assert "10.0.2.15" not in flows


@after("curl -s http://198.18.0.11:8080")
def a_caller_at_loopback_is_the_router_to_the_vm(a, b):
    assert ok(a, "curl -s -m 20 http://127.0.0.1:8080") == "hello from vm, you are 10.0.2.2"


@after("ip neigh show 198.18.0.100")
def what_the_vm_sends_has_its_new_address(a, b):
    assert "52:54:00:00:00:99" in ok(b, "ip neigh show 198.18.0.100")


@after(QUIZ)
def on_macvtap_the_vm_answers_the_lan(a, b):
    assert ok(b, "curl -s -m 20 http://198.18.0.100") == "hello from vm, you are 198.18.0.12"


@after(QUIZ)
def vm_says_what_came_of_a_command_and_of_the_machine(a, b):
    late = a.run("vm exec --timeout 2 sleep 4")
    assert (late.code, late.stderr.count("\n")) == (125, 1)
    assert "no answer in time" in late.stderr
    next_ = a.run("vm exec 'echo one\necho two\nexit 7'")
    assert (next_.code, next_.stdout) == (7, "one\ntwo\n")
    assert "runs already" in a.run("vm start").stderr
    ok(a, "vm stop")
    assert sandbox.snapshot("a").hosts[0].machines == ()


@after(QUIZ)
def a_container_that_may_makes_an_interface_in_its_own_namespace(a, b):
    ok(a, "docker run -d --name admin --cap-add NET_ADMIN toolbox")
    make = "ip link add dummy0 type dummy && ip -br link show dummy0"
    assert ok(a, f"docker exec admin sh -c '{make}'").startswith("dummy0")
    assert a.run("ip link show dummy0").code == 1


@after(QUIZ)
def a_bridge_without_an_address_of_the_host_is_internal(a, b):
    create = (
        "docker network create {} -o com.docker.network.bridge.gateway_mode_ipv4=isolated alone"
    )
    assert "internal" in a.run(create.format("")).stderr
    ok(a, create.format("--internal"))
    bridge = "br-$(docker network inspect -f '{{slice .Id 0 12}}' alone)"
    assert ok(a, f"ip -o link show {bridge}")
    assert ok(a, f"ip -o -4 address show {bridge}") == ""
