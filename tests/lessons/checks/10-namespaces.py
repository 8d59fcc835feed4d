"""What lesson 10 claims of network namespaces, where its outputs do not show it."""

from between_cells import after

from tests.hosts import ok

WAYS = """
read -r pid key < <(docker inspect -f '{{.State.Pid}} {{.NetworkSettings.SandboxKey}}' web)
nsenter --target "$pid" --net readlink /proc/self/ns/net
nsenter --net="$key" readlink /proc/self/ns/net
ip netns exec web readlink /proc/self/ns/net
readlink /proc/self/ns/net
"""


@after("ip netns attach web $pid")
def three_ways_lead_into_one_namespace_which_is_not_the_hosts(a, b):
    by_process, by_file, by_name, own = ok(a, WAYS).splitlines()
    assert by_process == by_file == by_name != own
