"""What lesson 02 claims of host mode, where its outputs do not show it."""

from between_cells import after

from tests.hosts import ok


@after("docker exec client ip route")
def what_client_shows_from_inside_is_what_the_host_shows(a, b):
    look = "ip -br -4 addr; ip route; hostname; cat /etc/hosts"
    assert ok(a, f"docker exec client sh -c '{look}'") == ok(a, look)


# After the quiz the hosts are put back as new.
@after("quizzes/02-host.toml")
def loopback_leads_a_container_in_host_mode_to_the_proxy_without_any_rule(a, b):
    assert ok(a, "docker exec web curl -s http://127.0.0.1:8080").endswith("you are 172.17.0.1")
    counted = ok(a, "iptables -t nat -vnxL DOCKER | awk '/dpt:8080/ {print $1}'")
    assert counted == "0", "the DNAT rule rewrote what the proxy should have taken"


@after("quizzes/02-host.toml")
def on_a_bridge_net_admin_lets_a_container_change_its_own_namespace_only(a, b):
    add = "ip link add spare0 type dummy && ip -br link show spare0"
    made = ok(a, f"docker run --rm --cap-add NET_ADMIN toolbox sh -c '{add}'")
    assert made.startswith("spare0")
    assert a.run("ip link show spare0").code == 1, "on a bridge it changed the host"
