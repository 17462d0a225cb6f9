"""A simulator of NetworkPolicies: what the rendered rules let in and out, held against connections.yaml. The table is whole:
every actor and port that it does not allow must be denied. Enforcement itself is the CNI's, which no check here can see.

The check takes the objects and the case's values, and yields a sentence for each problem. check.py runs it.
"""

import ipaddress
from pathlib import Path

import manifests
import yaml
from manifests import of_kind, selects

TABLE = yaml.safe_load((Path(__file__).parent / "connections.yaml").read_text())


def peer_matches(peer, policy_namespace, actor):
    """Whether a NetworkPolicyPeer means this actor."""
    if "ipBlock" in peer:
        address = ipaddress.ip_address(actor["address"])
        inside = [address in ipaddress.ip_network(it) for it in peer["ipBlock"].get("except", [])]
        return address in ipaddress.ip_network(peer["ipBlock"]["cidr"]) and not any(inside)
    if "namespace" not in actor:
        return False
    if "namespaceSelector" in peer:
        if not selects(peer["namespaceSelector"], {"kubernetes.io/metadata.name": actor["namespace"]}):
            return False
    elif actor["namespace"] != policy_namespace:
        return False
    return "podSelector" not in peer or selects(peer["podSelector"], actor.get("labels", {}))


def port_matches(rule_ports, port, protocol, named):
    """Whether a rule's ports (none: all) contain a port's number; `named` has the names of the destination's ports."""
    if not rule_ports:
        return True
    for it in rule_ports:
        first = it.get("port")
        first = named.get(first) if isinstance(first, str) else first
        inside = "port" not in it or first is not None and first <= port <= it.get("endPort", first)
        if inside and it.get("protocol", "TCP") == protocol:
            return True
    return False


def allowed(policies, direction, actor, port, protocol, named):
    """Whether any of the policies that select the server lets a connection pass; without one all passes."""
    key, peers = {"in": ("ingress", "from"), "out": ("egress", "to")}[direction]
    holding = [it for it in policies if key.capitalize() in it["spec"]["policyTypes"]]
    if not holding:
        return True
    for it in holding:
        for rule in it["spec"].get(key) or []:
            who = rule.get(peers)
            namespace = it["metadata"]["namespace"]
            if who and not any(peer_matches(peer, namespace, actor) for peer in who):
                continue
            if port_matches(rule.get("ports"), port, protocol, named):
                return True
    return False


def wanted(case, direction):
    """(actor, port as the table writes it) of all that may pass in a case."""
    parts = [TABLE["always"], TABLE["cases"][case] or {}]
    return {(actor, port) for part in parts for actor, some in part.get(direction, {}).items() for port in some}


def connections(objects, values):
    """The rules let through exactly what connections.yaml says."""
    case = values["case"]
    if case not in TABLE["cases"]:
        yield f"scripts/chart/connections.yaml does not say what may connect in the case {case}"
        return
    for _, pod in manifests.pods(of_kind(objects, *manifests.WORKLOADS)):
        named = manifests.ports(pod)
        policies = [it for it in of_kind(objects, "NetworkPolicy") if selects(it["spec"]["podSelector"], pod["metadata"]["labels"])]
        for direction in ("in", "out"):
            right = wanted(case, direction)
            for port in TABLE["ports"][direction]:
                protocol, number = port.split("/") if "/" in str(port) else ("TCP", port)
                number = named.get(number) if direction == "in" and not str(number).isdigit() else int(number)
                if number is None:
                    yield f"the pods have no port {port}"
                    continue
                for actor, its in TABLE["actors"].items():
                    passes = allowed(policies, direction, its, number, protocol, named if direction == "in" else {})
                    if passes != ((actor, port) in right):
                        way = f"{actor} to {port} of the server" if direction == "in" else f"the server to {port} of {actor}"
                        yield f"{way} is {'let through' if passes else 'denied'}, and connections.yaml says the contrary"


def table(objects, values):
    """The table names no case and no actor that is not there."""
    for case in TABLE["cases"].keys() - manifests.cases().keys():
        yield f"scripts/chart/connections.yaml has the case {case}, which no file of ci/ is"
    for part in [TABLE["always"], *TABLE["cases"].values()]:
        for direction, some in (part or {}).items():
            for actor, its_ports in some.items():
                if actor not in TABLE["actors"] or not set(its_ports) <= set(TABLE["ports"][direction]):
                    yield f"scripts/chart/connections.yaml allows {actor} {its_ports}, and has no such actor or port"


CHECKS = {check.__name__: check for check in (connections, table)}
