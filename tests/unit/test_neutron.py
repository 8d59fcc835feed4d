"""What stands in for OpenStack's Neutron answers as Neutron does, as far as Kuryr asks."""

import json
import threading
import urllib.error
import urllib.request

import pytest

from sandbox.guest.kuryr.neutron import Server

NETWORK = {"network": {"name": "blue"}}


@pytest.fixture
def call():
    """call(METHOD, path, body) gives (status, answer, headers) of a server of the test's own."""
    with Server(("127.0.0.1", 0)) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

        def asked(method, path, body=None):
            data = body if isinstance(body, bytes) else json.dumps(body).encode() if body else None
            request = urllib.request.Request(
                f"http://127.0.0.1:{server.server_port}{path}", data, method=method
            )
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    said = answer.read()
                    return answer.status, json.loads(said) if said else None, answer.headers
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, json.loads(error.read())["NeutronError"]["type"], {}

        yield asked
        server.shutdown()


@pytest.fixture
def subnet(call):
    network = call("POST", "/v2.0/networks", NETWORK)[1]["network"]["id"]
    given = {"network_id": network, "cidr": "10.40.0.0/29", "ip_version": 4}
    return call("POST", "/v2.0/subnets", {"subnets": [given]})[1]["subnets"][0]


def port(call, subnet, **given):
    return call("POST", "/v2.0/ports", {"port": {"network_id": subnet["network_id"], **given}})


def test_a_token_comes_with_the_address_of_neutron(call):
    status, answer, headers = call("POST", "/v3/auth/tokens", {"auth": {}})
    assert (status, bool(headers["X-Subject-Token"])) == (201, True)
    [service] = answer["token"]["catalog"]
    assert service["type"] == "network"
    [endpoint] = service["endpoints"]
    with urllib.request.urlopen(endpoint["url"], timeout=10) as answer:
        assert json.load(answer)["versions"][0]["id"] == "v2.0"


def test_each_port_gets_the_lowest_free_address_and_a_mac_address_of_openstacks(call, subnet):
    ports = [port(call, subnet)[1]["port"] for _ in range(2)]
    assert [one["fixed_ips"][0]["ip_address"] for one in ports] == ["10.40.0.2", "10.40.0.3"]
    assert all(one["mac_address"].startswith("fa:16:3e:") for one in ports)
    assert call("DELETE", f"/v2.0/ports/{ports[0]['id']}")[0] == 204
    assert port(call, subnet)[1]["port"]["fixed_ips"][0]["ip_address"] == "10.40.0.2"


def test_an_address_is_given_once(call, subnet):
    wanted = {"fixed_ips": [{"subnet_id": subnet["id"], "ip_address": "10.40.0.5"}]}
    assert port(call, subnet, **wanted)[0] == 201
    assert port(call, subnet, **wanted)[:2] == (409, "IpAddressAlreadyAllocated")


def test_a_full_subnet_says_so(call, subnet):
    for _ in range(5):
        assert port(call, subnet)[0] == 201
    assert port(call, subnet)[:2] == (409, "IpAddressGenerationFailure")


def test_a_port_is_bound_when_it_is_given_a_host(call, subnet):
    one = port(call, subnet)[1]["port"]
    assert (one["status"], one["binding:vif_type"]) == ("DOWN", "unbound")
    path = f"/v2.0/ports/{one['id']}"
    bound = call("PUT", path, {"port": {"binding:host_id": "host-a"}})[1]["port"]
    assert (bound["status"], bound["binding:vif_type"]) == ("ACTIVE", "bridge")
    assert call("GET", path)[1]["port"] == bound


def test_things_are_found_by_their_fields_and_by_all_of_their_tags(call, subnet):
    network = subnet["network_id"]
    for tag in ("red", "green"):
        assert call("PUT", f"/v2.0/networks/{network}/tags/{tag}")[0] == 201

    def found(query):
        return [one["id"] for one in call("GET", f"/v2.0/networks?{query}")[1]["networks"]]

    assert found("name=blue") == found("tags=red,green") == [network]
    assert found("name=green") == found("tags=red,yellow") == []
    assert call("DELETE", f"/v2.0/networks/{network}/tags/yellow")[:2] == (404, "TagNotFound")
    one = port(call, subnet)[1]["port"]
    both = f"fixed_ips=subnet_id%3D{subnet['id']}&fixed_ips=ip_address%3D10.40.0."
    assert call("GET", f"/v2.0/ports?{both}2")[1]["ports"] == [one]
    assert call("GET", f"/v2.0/ports?{both}3")[1]["ports"] == []


def test_what_is_in_use_stays_and_its_parts_go_with_it(call, subnet):
    one = port(call, subnet)[1]["port"]
    network = f"/v2.0/networks/{subnet['network_id']}"
    assert call("DELETE", network)[:2] == (409, "NetworkInUse")
    assert call("DELETE", f"/v2.0/subnets/{subnet['id']}")[:2] == (409, "SubnetInUse")
    call("DELETE", f"/v2.0/ports/{one['id']}")
    assert call("DELETE", network)[0] == 204
    assert call("GET", f"/v2.0/subnets/{subnet['id']}")[:2] == (404, "SubnetNotFound")


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("GET", "/v2.0/routers", None, (404, "HTTPNotFound")),
        ("GET", "/v2.0/extensions/dvr", None, (404, "ExtensionNotFound")),
        ("GET", "/v2.0/ports/none", None, (404, "PortNotFound")),
        ("PUT", "/v2.0/networks", NETWORK, (405, "HTTPMethodNotAllowed")),
        ("POST", "/v2.0/networks", b"{", (400, "BadRequest")),
        ("POST", "/v2.0/networks", b"[]", (400, "BadRequest")),
        ("POST", "/v2.0/networks", {"network": "blue"}, (400, "BadRequest")),
        ("POST", "/v2.0/ports", {"port": {"fixed_ips": ["10.0.0.2"]}}, (400, "BadRequest")),
        ("POST", "/v2.0/ports", {"port": {}}, (400, "BadRequest")),
        ("POST", "/v3/users", {}, (404, "NotFound")),
    ],
)
def test_what_is_not_there_is_refused_as_neutron_does(call, method, path, body, expected):
    assert call(method, path, body)[:2] == expected


def test_overlapping_subnets_of_one_network_are_refused(call, subnet):
    given = {"network_id": subnet["network_id"], "cidr": "10.40.0.0/24"}
    assert call("POST", "/v2.0/subnets", {"subnet": given})[:2] == (400, "InvalidInput")


def test_each_call_is_a_line_of_the_log_with_short_ids(call, capsys):
    network = call("POST", "/v2.0/networks", NETWORK)[1]["network"]["id"]
    assert capsys.readouterr().out == "neutron  POST   /v2.0/networks name=blue -> 201\n"
    call("PUT", f"/v2.0/networks/{network}/tags/kuryr:{'ab' * 16}")
    assert capsys.readouterr().out == (
        f"neutron  PUT    /v2.0/networks/{network[:8]}…/tags/kuryr:abababab… -> 201\n"
    )
