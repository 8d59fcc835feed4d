"""Stands in for Keystone and Neutron: their HTTP API, as far as kuryr-libnetwork calls it.

    neutron.py [ADDRESS:PORT]          default 127.0.0.1:9696

Networks, subnets, subnet pools, ports and security groups are kept in memory, and addresses are
handed out. No packet is touched: in a cloud too, Neutron's server only decides, and agents on
the hosts act. Here Kuryr's own script acts. Security groups are stored and not enforced.

A line on standard output for each call: service, method, path, what mattered of it, status.

Source of the API: https://docs.openstack.org/api-ref/network/v2/ and
https://docs.openstack.org/api-ref/identity/v3/
"""

import ipaddress
import json
import random
import re
import sys
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from urllib.parse import parse_qs, urlsplit

PROJECT = "a0000000000000000000000000000001"
# Name in the URL -> name of one in JSON.
KINDS = {
    "networks": "network",
    "subnets": "subnet",
    "subnetpools": "subnetpool",
    "ports": "port",
    "security-groups": "security_group",
    "security-group-rules": "security_group_rule",
}
EXTENSIONS = {
    "subnet_allocation": "Subnet Allocation",
    "standard-attr-tag": "Tag support for resources with standard attribute",
    "security-group": "security-group",
    "binding": "Port Binding",
}
# Ids of OpenStack and of Docker, of which the log shows the beginning.
LONG_ID = re.compile(r"\b([0-9a-f]{8})[0-9a-f-]{24,56}\b")
# What a line of the log tells of a body.
SHOWN = (
    "name",
    "cidr",
    "prefixes",
    "gateway_ip",
    "fixed_ips",
    "mac_address",
    "protocol",
    "port_range_min",
    "device_owner",
    "device_id",
    "security_groups",
)


class Refused(Exception):
    """An answer other than 2xx. kind: Neutron's name for the error."""

    def __init__(self, status, kind, message):
        super().__init__(message)
        self.status, self.kind = status, kind

    @classmethod
    def not_found(cls, kind, key):
        name = _title(kind)
        return cls(404, f"{name}NotFound", f"{name} {key} could not be found.")


def _title(kind):
    return KINDS[kind].title().replace("_", "")


class Cloud:
    """What Neutron's database would hold: by kind, as in KINDS, things as in JSON."""

    def __init__(self):
        self.store = {kind: {} for kind in KINDS}
        self.default_group = self.create("security-groups", {"name": "default"})["id"]

    def create(self, kind, given):
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        thing = {
            "id": str(uuid.uuid4()),
            "name": "",
            "description": "",
            "tags": [],
            "project_id": PROJECT,
            "tenant_id": PROJECT,
            "created_at": now,
            **getattr(self, "_" + KINDS[kind])(given),
        }
        self.store[kind][thing["id"]] = thing
        return thing

    def find(self, kind, /, **wanted):
        """All whose fields have these values, or one of them where a value is a list."""
        filters = {
            name: value if isinstance(value, list) else [value] for name, value in wanted.items()
        }
        return [thing for thing in self.store[kind].values() if matches(thing, filters)]

    def show(self, kind, key):
        try:
            return self.store[kind][key]
        except KeyError:
            raise Refused.not_found(kind, key) from None

    def update(self, kind, key, given):
        thing = self.show(kind, key)
        thing |= given
        return _bind(thing) if kind == "ports" else thing

    def delete(self, kind, key):
        self.show(kind, key)
        if users := self._users(kind, key):
            name = _title(kind)
            raise Refused(409, f"{name}InUse", f"{name} {key} is in use by {users[0]['id']}.")
        parts = {
            "networks": ("subnets", "network_id"),
            "security-groups": ("security-group-rules", "security_group_id"),
        }
        if kind in parts:
            part, owner = parts[kind]
            for thing in self.find(part, **{owner: key}):
                del self.store[part][thing["id"]]
        del self.store[kind][key]

    def _users(self, kind, key):
        match kind:
            case "networks":
                return self.find("ports", network_id=key)
            case "subnets":
                return self.find("ports", fixed_ips=f"subnet_id={key}")
            case "subnetpools":
                return self.find("subnets", subnetpool_id=key)
            case "security-groups":
                return [one for one in self.find("ports") if key in one["security_groups"]]
        return []

    def _network(self, given):
        return {"admin_state_up": True, "shared": False, "status": "ACTIVE", "mtu": 1500} | given

    def _subnetpool(self, given):
        version = ipaddress.ip_network(given["prefixes"][0]).version
        return {"shared": False, "is_default": False, "ip_version": version} | given

    def _subnet(self, given):
        self.show("networks", given["network_id"])
        range_ = ipaddress.ip_network(given["cidr"])
        for other in self.find("subnets", network_id=given["network_id"]):
            if range_.overlaps(ipaddress.ip_network(other["cidr"])):
                raise Refused(400, "InvalidInput", f"{range_} overlaps with {other['cidr']}.")
        subnet = {
            "gateway_ip": str(range_[1]),
            "ip_version": range_.version,
            "enable_dhcp": True,
            "host_routes": [],
            "dns_nameservers": [],
            "subnetpool_id": None,
            **given,
        }
        subnet["enable_dhcp"] = str(subnet["enable_dhcp"]).lower() == "true"
        return subnet

    def _port(self, given):
        self.show("networks", given["network_id"])
        port = {
            "admin_state_up": True,
            "device_id": "",
            "device_owner": "",
            "security_groups": [self.default_group],
            "binding:host_id": "",
            "binding:vnic_type": "normal",
            "binding:profile": {},
            # The prefix that OpenStack gives to virtual interfaces.
            "mac_address": f"fa:16:3e:{random.randbytes(3).hex(':')}",
            **given,
        }
        asked = given.get("fixed_ips") or [
            {"subnet_id": one["id"]} for one in self.find("subnets", network_id=given["network_id"])
        ]
        port["fixed_ips"] = [self._allocate(**one) for one in asked]
        return _bind(port)

    def _security_group(self, given):
        return {"security_group_rules": [], "stateful": True} | given

    def _security_group_rule(self, given):
        self.show("security-groups", given["security_group_id"])
        return {"direction": "ingress", "ethertype": "IPv4", "protocol": None} | given

    def _allocate(self, subnet_id, ip_address=None):
        """An address of the subnet that no port has: the one asked for, or the lowest."""
        subnet = self.show("subnets", subnet_id)
        taken = {
            one["ip_address"]
            for port in self.find("ports", fixed_ips=f"subnet_id={subnet_id}")
            for one in port["fixed_ips"]
        }
        if ip_address in taken:
            raise Refused(
                409,
                "IpAddressAlreadyAllocated",
                f"IP address {ip_address} already allocated in subnet {subnet_id}",
            )
        taken.add(subnet["gateway_ip"])
        hosts = map(str, ipaddress.ip_network(subnet["cidr"]).hosts())
        ip_address = ip_address or next((host for host in hosts if host not in taken), None)
        if ip_address is None:
            raise Refused(409, "IpAddressGenerationFailure", f"No more addresses in {subnet_id}.")
        return {"subnet_id": subnet_id, "ip_address": ip_address}


def _bind(port):
    """What Neutron answers for a port on a host where a Linux bridge is the virtual switch."""
    bound = bool(port["binding:host_id"])
    port["binding:vif_type"] = "bridge" if bound else "unbound"
    port["binding:vif_details"] = {"port_filter": True} if bound else {}
    port["status"] = "ACTIVE" if bound else "DOWN"
    return port


def matches(thing, filters):
    """Whether thing fits filters such as those of ?name=x&tags=a,b&fixed_ips=ip_address=10.0.0.5.

    filters: by field, values of which one has to be there; of tags, all.
    """
    for name, values in filters.items():
        if name in ("fields", "limit", "marker"):
            continue
        if name == "tags":
            fits = set(",".join(values).split(",")) <= set(thing["tags"])
        elif name == "fixed_ips":
            asked = parse_qs("&".join(values))
            fits = any(
                all(one.get(key) in wanted for key, wanted in asked.items())
                for one in thing["fixed_ips"]
            )
        else:
            fits = str(thing.get(name, "")) in values
        if not fits:
            return False
    return True


def keystone(method, path, here):
    """Keystone's (status, answer, headers). here: this server's URL."""
    if method == "GET":
        link = {"rel": "self", "href": f"{here}/v3/"}
        return 200, {"version": {"id": "v3.14", "status": "stable", "links": [link]}}, {}
    if path != "/v3/auth/tokens":
        raise Refused(404, "NotFound", path)
    end = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(time.time() + 24 * 3600))
    domain = {"id": "default", "name": "Default"}
    endpoint = {
        "interface": "public",
        "region": "RegionOne",
        "region_id": "RegionOne",
        "url": here,
        "id": uuid.uuid4().hex,
    }
    token = {
        "methods": ["password"],
        "expires_at": end,
        "issued_at": end,
        "user": {"id": "kuryr", "name": "kuryr", "domain": domain},
        "project": {"id": PROJECT, "name": "service", "domain": domain},
        "roles": [{"id": "admin", "name": "admin"}],
        "catalog": [
            {"type": "network", "name": "neutron", "id": "neutron", "endpoints": [endpoint]}
        ],
    }
    return 201, {"token": token}, {"X-Subject-Token": uuid.uuid4().hex}


def neutron(cloud, method, path, query, body, here):
    """Neutron's (status, answer). query: by name, values; body: parsed JSON."""
    if path in ("", "/"):
        link = {"rel": "self", "href": f"{here}/v2.0/"}
        return 200, {"versions": [{"id": "v2.0", "status": "CURRENT", "links": [link]}]}
    if found := re.fullmatch(r"/v2\.0/extensions/([\w-]+)", path):
        if found[1] not in EXTENSIONS:
            raise Refused(404, "ExtensionNotFound", f"Extension {found[1]} not found.")
        return 200, {"extension": {"alias": found[1], "name": EXTENSIONS[found[1]]}}
    found = re.fullmatch(r"/v2\.0/([\w-]+)(?:/([\w-]+)(?:/tags/(.+))?)?", path)
    if not found or found[1] not in KINDS:
        raise Refused(404, "HTTPNotFound", "The resource could not be found.")
    kind, key, tag = found.groups()
    if tag:
        return _tagged(cloud.show(kind, key), method, tag)
    if key:
        return _one(cloud, method, kind, key, body)
    return _collection(cloud, method, kind, query, body)


def _tagged(thing, method, tag):
    tags = thing["tags"]
    if method == "PUT":
        thing["tags"] = [*tags, *({tag} - set(tags))]
        return 201, None
    if method != "DELETE":
        raise _not_allowed()
    if tag not in tags:
        raise Refused(404, "TagNotFound", f"Tag {tag} could not be found.")
    tags.remove(tag)
    return 204, None


def _collection(cloud, method, kind, query, body):
    one, many = KINDS[kind], kind.replace("-", "_")
    if method == "GET":
        return 200, {many: cloud.find(kind, **query)}
    if method != "POST":
        raise _not_allowed()
    if many in body:
        return 201, {many: [cloud.create(kind, given) for given in body[many]]}
    return 201, {one: cloud.create(kind, body[one])}


def _one(cloud, method, kind, key, body):
    one = KINDS[kind]
    match method:
        case "GET":
            return 200, {one: cloud.show(kind, key)}
        case "PUT":
            return 200, {one: cloud.update(kind, key, body[one])}
        case "DELETE":
            return 204, cloud.delete(kind, key)
    raise _not_allowed()


def _not_allowed():
    return Refused(405, "HTTPMethodNotAllowed", "Method not allowed.")


class Call(BaseHTTPRequestHandler):
    """One HTTP call to either service."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        url = urlsplit(self.path)
        query = parse_qs(url.query, keep_blank_values=True)
        service = "keystone" if url.path.startswith("/v3") else "neutron"
        body, told, headers = {}, [], {}
        try:
            body = json.loads(self.rfile.read(length)) if length else {}
            told = about(query, body)
            here = "http://" + self.headers["Host"]
            with self.server.lock:
                if service == "keystone":
                    status, answer, headers = keystone(self.command, url.path, here)
                else:
                    cloud = self.server.cloud
                    status, answer = neutron(cloud, self.command, url.path, query, body, here)
        except Refused as error:
            status, answer = error.status, _error(error.kind, str(error))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            status, answer = 400, _error("BadRequest", repr(error))
        line = " ".join([f"{service:8} {self.command:6} {url.path}", *told])
        print(LONG_ID.sub(r"\1…", line), "->", status, flush=True)
        data = b"" if answer is None else json.dumps(answer).encode()
        self.send_response(status)
        headers |= {"Content-Type": "application/json", "Content-Length": str(len(data))}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_DELETE = _answer

    def log_message(self, *_):
        pass


def _error(kind, message):
    return {"NeutronError": {"type": kind, "message": message, "detail": ""}}


def about(query, body):
    """What is worth reading of a call, each as name=value."""
    told = [f"{name}={','.join(values)}" for name, values in query.items()]
    for things in body.values() if isinstance(body, dict) else ():
        for thing in things if isinstance(things, list) else [things]:
            for name in SHOWN:
                if value := thing.get(name):
                    if name == "fixed_ips":
                        value = [one.get("ip_address", "any") for one in value]
                    value = ",".join(map(str, value)) if isinstance(value, list) else value
                    told.append(f"{name}={value}")
    return told


class Server(ThreadingHTTPServer):
    """Both services on one address, with a cloud of their own."""

    daemon_threads = True

    def __init__(self, address):
        self.cloud, self.lock = Cloud(), Lock()
        super().__init__(address, Call)


if __name__ == "__main__":
    address, _, port = (sys.argv[1] if sys.argv[1:] else "127.0.0.1:9696").rpartition(":")
    Server((address, int(port))).serve_forever()
