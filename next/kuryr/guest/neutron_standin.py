"""A stand-in for Keystone and Neutron: their HTTP API as far as kuryr-libnetwork calls it.

    neutron_standin.py [ADDRESS:PORT]          default 127.0.0.1:9696

It keeps networks, subnets, pools, ports and security groups in memory and hands out addresses.
It does no networking at all: in a real cloud too, Neutron's server only decides, and agents on
the hosts act. Here kuryr's own binding script acts. Security groups are stored, not enforced.

One line on standard output for each call: service, method, path, what mattered, status.
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
from urllib.parse import parse_qsl, urlsplit

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
# What a log line shows of a body.
SHOWN = ("name", "cidr", "prefixes", "gateway_ip", "fixed_ips", "mac_address", "protocol",
         "port_range_min", "device_owner", "device_id", "security_groups")


class Refused(Exception):
    """An answer other than 2xx. kind: Neutron's name for the error."""

    def __init__(self, status, kind, message):
        super().__init__(message)
        self.status, self.kind = status, kind


class Cloud:
    """Everything that Neutron's database would hold."""

    def __init__(self):
        self.lock = Lock()
        self.store = {kind: {} for kind in KINDS}
        self.default_group = self.create("security-groups", {"name": "default"})["id"]

    # --- the five operations that each collection has ---

    def create(self, kind, given):
        thing = {"id": str(uuid.uuid4()), "name": "", "description": "", "tags": [],
                 "project_id": PROJECT, "tenant_id": PROJECT,
                 "created_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        thing |= getattr(self, "new_" + KINDS[kind])(given)
        self.store[kind][thing["id"]] = thing
        return thing

    def find(self, kind, wanted):
        return [thing for thing in self.store[kind].values() if matches(thing, wanted)]

    def show(self, kind, key):
        try:
            return self.store[kind][key]
        except KeyError:
            name = KINDS[kind].title().replace("_", "")
            raise Refused(404, name + "NotFound", f"{name} {key} could not be found.") from None

    def update(self, kind, key, given):
        thing = self.show(kind, key)
        thing |= given
        if kind == "ports":
            self.bind(thing)
        return thing

    def delete(self, kind, key):
        self.show(kind, key)
        users = {
            "networks": lambda: self.ports(network_id=key),
            "subnets": lambda: [p for p in self.ports() for ip in p["fixed_ips"]
                                if ip["subnet_id"] == key],
            "subnetpools": lambda: self.find("subnets", {"subnetpool_id": [key]}),
            "security-groups": lambda: [p for p in self.ports() if key in p["security_groups"]],
        }.get(kind, list)()
        if users:
            name = KINDS[kind].title().replace("_", "")
            raise Refused(409, name + "InUse", f"{name} {key} is in use by {users[0]['id']}.")
        if kind == "networks":
            for subnet in self.find("subnets", {"network_id": [key]}):
                del self.store["subnets"][subnet["id"]]
        if kind == "security-groups":
            for rule in self.find("security-group-rules", {"security_group_id": [key]}):
                del self.store["security-group-rules"][rule["id"]]
        del self.store[kind][key]

    def ports(self, **wanted):
        return self.find("ports", {name: [value] for name, value in wanted.items()})

    # --- what a new one of each kind is like ---

    def new_network(self, given):
        return {"admin_state_up": True, "shared": False, "status": "ACTIVE", "mtu": 1500} | given

    def new_subnetpool(self, given):
        version = ipaddress.ip_network(given["prefixes"][0]).version
        return {"shared": False, "is_default": False, "ip_version": version} | given

    def new_subnet(self, given):
        self.show("networks", given["network_id"])
        network = ipaddress.ip_network(given["cidr"])
        for other in self.find("subnets", {"network_id": [given["network_id"]]}):
            if network.overlaps(ipaddress.ip_network(other["cidr"])):
                raise Refused(400, "InvalidInput", f"{network} overlaps with {other['cidr']}.")
        subnet = {"gateway_ip": str(network[1]), "ip_version": network.version,
                  "enable_dhcp": True, "host_routes": [], "dns_nameservers": [],
                  "subnetpool_id": None} | given
        subnet["enable_dhcp"] = str(subnet["enable_dhcp"]).lower() == "true"
        return subnet

    def new_port(self, given):
        network = self.show("networks", given["network_id"])
        port = {"admin_state_up": True, "status": "DOWN", "device_id": "", "device_owner": "",
                "security_groups": [self.default_group], "binding:host_id": "",
                "binding:vnic_type": "normal", "binding:profile": {},
                "mac_address": "fa:16:3e:" + ":".join(f"{random.randrange(256):02x}"
                                                      for _ in range(3))} | given
        asked = given.get("fixed_ips") or [
            {"subnet_id": s["id"]} for s in self.find("subnets", {"network_id": [network["id"]]})]
        port["fixed_ips"] = [self.allocate(**one) for one in asked]
        return self.bind(port)

    def new_security_group(self, given):
        return {"security_group_rules": [], "stateful": True} | given

    def new_security_group_rule(self, given):
        self.show("security-groups", given["security_group_id"])
        return {"direction": "ingress", "ethertype": "IPv4", "protocol": None} | given

    def allocate(self, subnet_id, ip_address=None):
        """An address of the subnet that no port has: the one asked for, or the lowest."""
        subnet = self.show("subnets", subnet_id)
        taken = {ip["ip_address"] for port in self.ports() for ip in port["fixed_ips"]
                 if ip["subnet_id"] == subnet_id}
        if ip_address in taken:
            raise Refused(409, "IpAddressAlreadyAllocated",
                          f"IP address {ip_address} already allocated in subnet {subnet_id}")
        taken.add(subnet["gateway_ip"])
        hosts = map(str, ipaddress.ip_network(subnet["cidr"]).hosts())
        ip_address = ip_address or next((host for host in hosts if host not in taken), None)
        if ip_address is None:
            raise Refused(409, "IpAddressGenerationFailure", f"No more addresses in {subnet_id}.")
        return {"subnet_id": subnet_id, "ip_address": ip_address}

    def bind(self, port):
        """What the mechanism driver of a Linux-bridge cloud answers for a port on a host."""
        bound = bool(port["binding:host_id"])
        port["binding:vif_type"] = "bridge" if bound else "unbound"
        port["binding:vif_details"] = {"port_filter": True} if bound else {}
        port["status"] = "ACTIVE" if bound else "DOWN"
        return port


def matches(thing, wanted):
    """Whether a filter such as ?name=x&tags=a,b&fixed_ips=ip_address=10.0.0.5 fits thing."""
    for name, values in wanted.items():
        if name in ("fields", "limit", "marker"):
            continue
        if name == "tags":
            if not set(",".join(values).split(",")) <= set(thing["tags"]):
                return False
        elif name == "fixed_ips":
            pairs = [value.split("=", 1) for value in values]
            asked = {}
            for key, value in pairs:
                asked.setdefault(key, set()).add(value)
            if not any(all(ip.get(key) in values for key, values in asked.items())
                       for ip in thing["fixed_ips"]):
                return False
        elif str(thing.get(name, "")) not in values:
            return False
    return True


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    cloud = Cloud()

    def handle_call(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else {}
        url = urlsplit(self.path)
        query = {}
        for name, value in parse_qsl(url.query, keep_blank_values=True):
            query.setdefault(name, []).append(value)
        headers = {}
        try:
            with self.cloud.lock:
                if url.path.startswith("/v3"):
                    service, status, answer, headers = "keystone", *self.keystone(url.path)
                else:
                    service = "neutron"
                    status, answer = self.neutron(url.path, query, body)
        except Refused as error:
            status = error.status
            answer = {"NeutronError": {"type": error.kind, "message": str(error), "detail": ""}}
        except (KeyError, TypeError, ValueError) as error:
            status = 400
            answer = {"NeutronError": {"type": "BadRequest", "message": repr(error), "detail": ""}}
        data = json.dumps(answer).encode() if answer is not None else b""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        print(f"{service:8} {self.command:6} {url.path}", about(query, body), "->", status,
              flush=True)

    do_GET = do_POST = do_PUT = do_DELETE = handle_call

    def log_message(self, *_):
        pass

    def keystone(self, path):
        here = "http://" + self.headers["Host"]
        if self.command == "GET":
            version = {"id": "v3.14", "status": "stable",
                       "links": [{"rel": "self", "href": here + "/v3/"}]}
            return 200, {"version": version}, {}
        if path != "/v3/auth/tokens":
            raise Refused(404, "NotFound", path)
        end = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(time.time() + 24 * 3600))
        endpoint = {"interface": "public", "region": "RegionOne", "region_id": "RegionOne",
                    "url": here, "id": uuid.uuid4().hex}
        token = {
            "methods": ["password"], "expires_at": end, "issued_at": end,
            "user": {"id": "kuryr", "name": "kuryr",
                     "domain": {"id": "default", "name": "Default"}},
            "project": {"id": PROJECT, "name": "service",
                        "domain": {"id": "default", "name": "Default"}},
            "roles": [{"id": "admin", "name": "admin"}],
            "catalog": [{"type": "network", "name": "neutron", "id": "neutron",
                         "endpoints": [endpoint]}],
        }
        return 201, {"token": token}, {"X-Subject-Token": uuid.uuid4().hex}

    def neutron(self, path, query, body):
        cloud = self.cloud
        if path in ("", "/"):
            link = {"rel": "self", "href": f"http://{self.headers['Host']}/v2.0/"}
            return 200, {"versions": [{"id": "v2.0", "status": "CURRENT", "links": [link]}]}
        if found := re.fullmatch(r"/v2\.0/extensions/([\w-]+)", path):
            if found[1] not in EXTENSIONS:
                raise Refused(404, "ExtensionNotFound", f"Extension {found[1]} not found.")
            return 200, {"extension": {"alias": found[1], "name": EXTENSIONS[found[1]]}}
        found = re.fullmatch(r"/v2\.0/([\w-]+)(?:/([\w-]+)(?:/tags/(.+))?)?", path)
        if not found or found[1] not in KINDS:
            raise Refused(404, "HTTPNotFound", "The resource could not be found.")
        kind, key, tag = found.groups()
        one = KINDS[kind]
        many = kind.replace("-", "_")
        match self.command, key, tag:
            case "GET", None, _:
                return 200, {many: cloud.find(kind, query)}
            case "POST", None, _ if many in body:
                return 201, {many: [cloud.create(kind, given) for given in body[many]]}
            case "POST", None, _:
                return 201, {one: cloud.create(kind, body[one])}
            case "PUT", _, str():
                tags = cloud.show(kind, key)["tags"]
                tags += [tag] if tag not in tags else []
                return 201, None
            case "DELETE", _, str():
                tags = cloud.show(kind, key)["tags"]
                if tag not in tags:
                    raise Refused(404, "TagNotFound", f"Tag {tag} could not be found.")
                tags.remove(tag)
                return 204, None
            case "GET", _, None:
                return 200, {one: cloud.show(kind, key)}
            case "PUT", str(), None:
                return 200, {one: cloud.update(kind, key, body[one])}
            case "DELETE", str(), None:
                cloud.delete(kind, key)
                return 204, None
        raise Refused(405, "HTTPMethodNotAllowed", "Method not allowed.")


def about(query, body):
    """The part of a call that is worth reading, in one line."""
    parts = [f"{name}={','.join(values)}" for name, values in query.items()]
    for things in body.values():
        for thing in things if isinstance(things, list) else [things]:
            for name in SHOWN:
                if value := thing.get(name):
                    if name == "fixed_ips":
                        value = ",".join(ip.get("ip_address", "any") for ip in value)
                    value = ",".join(map(str, value)) if isinstance(value, list) else value
                    parts.append(f"{name}={value}")
    return " ".join(part if len(part) < 60 else part[:56] + "..." for part in parts)


if __name__ == "__main__":
    address, _, port = (sys.argv[1] if sys.argv[1:] else "127.0.0.1:9696").rpartition(":")
    ThreadingHTTPServer((address, int(port)), Handler).serve_forever()
