"""Grafana's dashboards as far as these need them (schema 39, Grafana 10.4 and later): panels that look alike, laid out in
the order in which they are told, and what has to hold of a finished one."""

import json
import re

SCHEMA = 39
WIDTH = 24
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
# Where the runbooks are published: a constant of each dashboard, changed there or when it is provisioned.
RUNBOOKS = "https://git.example.com/ml-inference-api/blob/main/docs/runbooks"
TAG = "ml-inference-api"


def query(expr, legend, exemplar=False):
    """A target: its expression, the names of its series, and whether its exemplars are shown."""
    return {"expr": " ".join(expr.split()), "legendFormat": legend} | ({"exemplar": True} if exemplar else {})


def panel(kind, title, description, unit, targets, **more):
    """A panel without its place. `more`: w, h, runbook (page and section), lines (thresholds above `base`), and defaults of fields."""
    w, h = more.pop("w", 8), more.pop("h", 8)
    runbook, lines, base = more.pop("runbook", None), more.pop("lines", None), more.pop("base", "green")
    defaults = {"unit": unit} | more
    made = {"type": kind, "title": title, "description": description, "gridPos": {"h": h, "w": w}, "datasource": DATASOURCE}
    if lines:
        steps = [{"color": base, "value": None}, *({"color": color, "value": at} for at, color in lines)]
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}
    made["fieldConfig"] = {"defaults": defaults, "overrides": []}
    if runbook:
        made["links"] = [{"title": f"Runbook: {runbook}", "url": f"${{runbooks}}/{runbook}", "targetBlank": True}]
    made["targets"] = [{"refId": chr(65 + at), "datasource": DATASOURCE} | it for at, it in enumerate(targets)]
    return made


def series(title, description, unit, *targets, **more):
    """Lines over time. `stack=True` puts them on each other."""
    custom = {"fillOpacity": 8, "lineWidth": 1, "showPoints": "never"}
    if more.pop("stack", False):
        custom |= {"stacking": {"mode": "normal", "group": "A"}, "fillOpacity": 40}
    if more.get("lines"):
        custom["thresholdsStyle"] = {"mode": "dashed"}
    made = panel("timeseries", title, description, unit, targets, **({"min": 0, "custom": custom} | more))
    made["options"] = {
        "legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return made


def number(title, description, unit, expr, **more):
    """One number, the latest."""
    made = panel("stat", title, description, unit, [query(expr, "")], **({"w": 4, "h": 4} | more))
    made["options"] = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "area"}
    return made


def heatmap(title, description, unit, expr, **more):
    """A histogram's buckets over time."""
    target = query(expr, "{{le}}", more.pop("exemplar", False)) | {"format": "heatmap"}
    made = panel("heatmap", title, description, unit, [target], **more)
    made["options"] = {
        "calculate": False, "yAxis": {"unit": unit}, "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64},
        "exemplars": {"color": "rgba(255,0,255,0.7)"}, "tooltip": {"mode": "single", "yHistogram": True},
        "filterValues": {"le": 1e-9}, "legend": {"show": False},
    }  # fmt: skip
    return made


def table(title, description, unit, expr, **more):
    """The labels of a series, a row each."""
    target = query(expr, "") | {"format": "table", "instant": True, "range": False}
    made = panel("table", title, description, unit, [target], **({"w": WIDTH, "h": 6} | more))
    hidden = dict.fromkeys(["Time", "__name__", "job"], True)
    made["transformations"] = [{"id": "organize", "options": {"excludeByName": hidden}}]
    return made


def row(title):
    return {"type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": {"h": 1, "w": WIDTH}}


def variable(name, selector):
    """A choice of the values that a label has on a series."""
    text = f"label_values({selector}, {name})"
    return {
        "type": "query", "name": name, "label": name, "datasource": DATASOURCE, "definition": text,
        "query": {"query": text, "refId": name}, "refresh": 2, "sort": 1, "multi": True, "includeAll": True,
        "allValue": ".*", "current": {"text": ["All"], "value": ["$__all"]},
    }  # fmt: skip


def moments(name, expr, title, color):
    """An annotation at the times that are a series' values."""
    return {
        "name": name, "datasource": DATASOURCE, "enable": True, "iconColor": color, "expr": expr, "titleFormat": title,
        "textFormat": "{{instance}}", "useValueForTime": True, "step": "60s",
    }  # fmt: skip


def dashboard(name, title, description, variables, annotations, panels):
    """A whole dashboard: panels get numbers, and places from left to right."""
    x = y = height = 0
    for number_of, it in enumerate(panels, 1):
        place = it["gridPos"]
        if x + place["w"] > WIDTH:
            x, y, height = 0, y + height, 0
        it["id"], place["x"], place["y"] = number_of, x, y
        x, height = x + place["w"], max(height, place["h"])
    datasource = {"type": "datasource", "name": "datasource", "label": "Prometheus", "query": "prometheus", "refresh": 1}
    runbooks = {"type": "constant", "name": "runbooks", "label": "runbooks", "query": RUNBOOKS, "hide": 2}
    runbooks["current"] = {"text": RUNBOOKS, "value": RUNBOOKS}
    others = {"type": "dashboards", "title": "Other dashboards", "tags": [TAG], "asDropdown": False}
    pages = {"type": "link", "title": "Runbooks", "url": "${runbooks}/README.md", "icon": "doc", "targetBlank": True}
    return {
        "uid": f"mia-{name}", "title": title, "description": description, "tags": [TAG], "schemaVersion": SCHEMA,
        "version": 1, "editable": True, "graphTooltip": 1, "refresh": "30s", "timezone": "browser",
        "time": {"from": "now-1h", "to": "now"},
        "links": [others | {"includeVars": True, "keepTime": True}, pages],
        "templating": {"list": [datasource, *variables, runbooks]},
        "annotations": {"list": annotations},
        "panels": panels,
    }  # fmt: skip


def written(board):
    """The file's text: a line for each panel, variable and annotation, so that a change of one is a change of a line."""

    def lines(items):
        return "[\n" + ",\n".join(json.dumps(it, ensure_ascii=False) for it in items) + "\n]"

    parts = []
    for key, value in board.items():
        if key == "panels":
            text = lines(value)
        elif key in {"templating", "annotations"}:
            text = '{"list": ' + lines(value["list"]) + "}"
        else:
            text = json.dumps(value, ensure_ascii=False)
        parts.append(f'"{key}": {text}')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def overlap(one, other):
    """Whether two places have a cell in common."""
    one, other = one["gridPos"], other["gridPos"]
    return (
        one["x"] < other["x"] + other["w"] and other["x"] < one["x"] + one["w"]
        and one["y"] < other["y"] + other["h"] and other["y"] < one["y"] + one["h"]
    )  # fmt: skip


def problems(board):
    """What is wrong with a dashboard, whoever wrote it."""
    ids = [it["id"] for it in board["panels"]]
    if len(set(ids)) != len(ids):
        yield "two panels have the same id"
    for at, it in enumerate(board["panels"]):
        name, place = it["title"], it["gridPos"]
        yield from (f"{name} and {other['title']} overlap" for other in board["panels"][:at] if overlap(it, other))
        if place["x"] + place["w"] > WIDTH:
            yield f"{name} does not fit the width"
        if it["type"] == "row":
            continue
        if it.get("datasource") != DATASOURCE:
            yield f"{name} has another datasource than the variable"
        if not it["fieldConfig"]["defaults"].get("unit"):
            yield f"{name} has no unit"
        if not it.get("description", "").endswith("."):
            yield f"{name} has no description"
        if not it.get("targets"):
            yield f"{name} asks for nothing"
        for target in it.get("targets", []):
            if it["type"] == "timeseries" and not target.get("legendFormat"):
                yield f"{name} has a series without a name"
    known = {it["name"] for it in board["templating"]["list"]} | {"__rate_interval", "__range", "__interval"}
    for used in re.findall(r"\$\{?(\w+)", json.dumps(board["panels"])):
        if used not in known:
            yield f"${used} is no variable"
