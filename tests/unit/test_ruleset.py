"""The rules of a real host's state, in the order of asking, and which of them matched since."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sandbox
from sandbox import show
from sandbox.model.difference import diff
from sandbox.model.firewall.hooks import ruleset
from sandbox.model.read import read_host
from sandbox.model.state import Chain, Namespace, Rule, Snapshot
from sandbox.views.ruleset import Ruleset
from tests.states import capture
from tests.unit.test_model import host


def later(state, *hits):
    """The namespace after packets: hits are pieces of rules' text, each matched once more."""
    own = state.namespace
    rules = tuple(
        dataclasses.replace(rule, packets=(rule.packets or 0) + any(it in rule.text for it in hits))
        for rule in own.rules
    )
    return dataclasses.replace(own, rules=rules)


def test_hooks_and_tables_come_in_the_order_in_which_the_kernel_asks():
    starts = ruleset(host("bridge").namespace)
    assert [(it.hook.name, it.chain.table) for it in starts] == [
        ("PREROUTING", "raw"),
        ("PREROUTING", "nat"),
        ("FORWARD", "filter"),
        ("OUTPUT", "nat"),
        ("POSTROUTING", "nat"),
    ]


def test_a_chain_stands_below_the_rule_that_leads_to_it():
    said = str(Ruleset("host-a", ruleset(host("bridge").namespace), matched=False))
    assert (
        "  nat PREROUTING, policy ACCEPT\n"
        "    1  go to DOCKER to a LOCAL address\n"
        "        1  RETURN in by br-"
    ) in said


def test_only_what_matched_since_is_told_and_the_rest_is_folded_in_html():
    state = host("bridge")
    hit = later(state, "--dport 8080 -j DNAT", "--dst-type LOCAL -j DOCKER", "-s 172.17")
    shown = Ruleset("host-a", ruleset(hit, state.namespace), matched=True)
    said = str(shown).splitlines()
    assert said[:4] == [
        "host-a",
        "PREROUTING: what comes in, before its way is chosen",
        "  nat PREROUTING, policy ACCEPT",
        "    1  go to DOCKER to a LOCAL address  (+1 packet)",
    ]
    assert said[4].startswith("        4  DNAT tcp 8080 → 172.18.0.2:80")
    assert not [line for line in said if "RETURN" in line or "FORWARD" in line]
    html = shown._repr_html_()
    assert "<details open><summary><b>PREROUTING" in html
    assert "<details><summary><b>FORWARD" in html


def test_nothing_matched_is_said():
    own = host("bridge").namespace
    assert str(Ruleset("host-a", ruleset(own, own), matched=True)) == "host-a\nno rule matched"


def test_ip6_has_rules_of_its_own():
    said = str(Ruleset("host-a", ruleset(host("bridge").namespace, family="ip6"), matched=False))
    assert "fd00:5::2" in said
    assert "172.18" not in said


def test_a_rule_that_was_made_in_between_counts_from_its_start():
    own = host("bridge").namespace
    new = Rule("ip", "raw", "PREROUTING", "-p udp -j DROP", "DROP", 3, 300)
    [start, *_] = ruleset(dataclasses.replace(own, rules=(new, *own.rules)), own)
    assert (start.rules[0].hits, start.rules[1].hits) == (3, 0)
    remade = dataclasses.replace(own, rules=(dataclasses.replace(new, packets=1), *own.rules))
    [start, *_] = ruleset(remade, dataclasses.replace(own, rules=(new, *own.rules)))
    assert start.rules[0].hits == 1


def test_a_rule_that_the_kernel_does_not_count_stands_in_its_place():
    own = host("bridge").namespace
    silent = Rule("ip", "raw", "PREROUTING", "-p udp -j DROP", "DROP")
    [start, *_] = ruleset(dataclasses.replace(own, rules=(silent, *own.rules)))
    assert (start.rules[0].rule, start.rules[0].hits) == (silent, None)
    assert start.rules[1].number == 2


NAMES = ("FORWARD", "one", "two", "three")


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from((*NAMES, "DROP")))))
def test_chains_that_lead_to_each_other_end(edges):
    rules = tuple(Rule("ip", "filter", c, f"-j {t}", t, 0, 0) for c, t in edges)
    chains = tuple(Chain("ip", "filter", name, "ACCEPT") for name in NAMES)
    space = Namespace("host-a", "host-a", "host", 1, (), chains=chains, rules=rules)
    starts = ruleset(space)
    assert (
        [len(it.rules) for it in starts] == [n]
        if (n := sum(chain == "FORWARD" for chain, _ in edges))
        else starts == ()
    )
    str(Ruleset("host-a", starts, matched=False))


def test_rules_that_could_not_be_read_are_not_shown_as_none():
    raw = json.loads(json.dumps(capture.load("bridge")["host-a"]["state"]))
    own = next(it for it in raw["namespaces"] if it["own"])
    del own["rules"]
    own["rules_error"] = "Operation not permitted"
    for program in ("iptables", "ip6tables"):
        raw[program] = {"text": "", "error": "Permission denied", "status": 4}
    state = read_host("host-a", "198.18.0.11", raw)
    unread = state.namespace.rules_unread
    assert unread == (
        "iptables-save: Permission denied; ip6tables-save: Permission denied; "
        "Operation not permitted"
    )
    assert unread in state.namespace.unread
    shown = Ruleset("host-a", ruleset(state.namespace), matched=False, unread=unread)
    for text in (repr(shown), shown._repr_html_()):
        assert f"The rules could not be read: {unread}" in text
    assert "no rules" not in repr(shown)
    before, after = (Snapshot(0.0, "198.18.0.0/24", (it,)) for it in (host("bridge"), state))
    assert f"the packet filter could not be read: {unread}" in str(diff(before, after))
    assert "DOCKER" not in str(diff(before, after))


def test_a_part_of_the_rules_that_could_not_be_saved_is_told_and_a_warning_is_not():
    raw = json.loads(json.dumps(capture.load("bridge")["host-a"]["state"]))
    raw["iptables"] |= {"error": "# Warning: iptables-legacy tables present", "status": 0}
    assert read_host("host-a", "198.18.0.11", raw).namespace.rules_unread == ""
    raw["iptables"] |= {"error": "", "status": 1}
    unread = read_host("host-a", "198.18.0.11", raw).namespace.rules_unread
    assert unread == "iptables-save: status 1"


def test_rules_that_are_not_there_are_one_message(monkeypatch):
    first, second = (
        Snapshot(0.0, "198.18.0.0/24", (host("bridge", name),)) for name in ("host-a", "host-b")
    )
    monkeypatch.setattr(show, "settled", lambda *_, **__: first)
    assert str(sandbox.firewall("a", since=first)).endswith("no rule matched")
    with pytest.raises(sandbox.SandboxError, match="no family 'ip5'"):
        sandbox.firewall("a", family="ip5")
    with pytest.raises(sandbox.SandboxError, match="'before' is not a snapshot"):
        sandbox.firewall("a", since="before")
    with pytest.raises(sandbox.SandboxError, match="not known"):
        sandbox.firewall("a", since=second)
