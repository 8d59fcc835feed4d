"""What lesson 03 claims of containers without a network, where its outputs do not show it."""

from between_cells import after

from tests.hosts import ok


@after("docker exec vault curl -s http://10.9.0.2")
def the_host_looks_for_vault_at_its_gateway_as_for_anybody_unknown(a, b):
    assert ok(a, "ip route get 10.9.0.1").startswith("10.9.0.1 via 198.18.0.1 dev eth0")


# After the quiz the hosts are put back as new.
@after("quizzes/03-none.toml")
def docker_gives_out_an_address_that_was_taken_by_hand(a, b):
    job, vault = ok(a, "docker inspect -f '{{.State.Pid}}' job vault").split()
    ok(a, f"nsenter -t {job} -n ip addr add 172.17.0.3/16 dev eth0")
    # Its wire to web is in the place where Docker puts an eth0.
    ok(a, f"nsenter -t {vault} -n ip link del eth0")
    ok(a, "docker network disconnect none vault; docker network connect bridge vault")
    assert "172.17.0.3/16" in ok(a, "docker exec vault ip -br -4 addr show eth0")


@after("quizzes/03-none.toml")
def once_none_is_left_docker_connects_a_container_and_does_so_again_at_a_restart(a, b):
    ok(a, "ip link del wire; docker network create shop")
    ok(a, "docker network disconnect none job; docker network connect shop job")
    look = "docker exec job ip -br -4 addr show eth0"
    assert "172.18.0.2/24" in ok(a, look)
    ok(a, "docker restart -t 0 job")
    assert "172.18.0.2/24" in ok(a, look), "what Docker connected did not come back"
