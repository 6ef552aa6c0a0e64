#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Alert rules and the Grafana board: alerts fire when they should and only then, on metrics that there are."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = os.environ["PROJECT_ROOT"]
sys.path.insert(0, os.path.join(ROOT, "tests", "clients"))
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))

import tap
from server import HOST, free_port

RULES = os.path.join(ROOT, "conf", "examples", "prometheus", "cluster-router.rules.yml")
BOARD = os.path.join(ROOT, "conf", "examples", "grafana", "cluster-router.json")
P = "cluster_router_"
ROUTE = 'instance="r1",route="volume"'

# Alert: its labels besides the name; series for which it fires after 30 minutes; what to change so that it does not.
# Values are written as promtool has it: "AxN" is A for N minutes more, "A+BxN" rises by B.
CASES = {
    "Gone": ({"instance": "r1", "job": "cluster-router"},
             {'up{job="cluster-router",instance="r1"}': "0x30"}, {'up{job="cluster-router",instance="r1"}': "1x30"}),
    "RouteNotConsuming": ({"instance": "r1", "route": "volume"},
                          {f'{P}route_lanes{{{ROUTE},state="running"}}': "2x30",
                           f'{P}route_lanes{{{ROUTE},state="consuming"}}': "1x30"},
                          {f'{P}route_lanes{{{ROUTE},state="consuming"}}': "2x30"}),
    "RouteStuck": ({"instance": "r1", "route": "volume"},
                   {f"{P}in_flight_messages{{{ROUTE}}}": "3x30",
                    f"{P}last_progress_age_seconds{{{ROUTE}}}": "0+60x30"},
                   {f"{P}in_flight_messages{{{ROUTE}}}": "0x30"}),
    "BrokerBlocked": ({"instance": "r1", "route": "volume", "state": "blocked"},
                      {f'{P}route_lanes{{{ROUTE},state="blocked"}}': "1x30"},
                      {f'{P}route_lanes{{{ROUTE},state="blocked"}}': "0x30"}),
    "ClusterBroker": ({"cluster": "east", "state": "down"},
                      {f'{P}cluster_broker_lanes{{{ROUTE},cluster="east",state="down"}}': "1x30"},
                      {f'{P}cluster_broker_lanes{{{ROUTE},cluster="east",state="down"}}': "0x30"}),
    # A drained cluster is not usable either, but its hosts are alive.
    "ClusterDown": ({"cluster": "east"},
                    {f'{P}cluster_usable{{cluster="east",instance="r1"}}': "0x30",
                     f'{P}cluster_hosts{{cluster="east",instance="r1",state="up"}}': "0x30"},
                    {f'{P}cluster_hosts{{cluster="east",instance="r1",state="up"}}': "2x30"}),
    "ParkedLong": ({"route": "volume", "cluster": "east"},
                   {f'{P}parked_oldest_age_seconds{{{ROUTE},cluster="east"}}': "1500+60x30"},
                   {f'{P}parked_oldest_age_seconds{{{ROUTE},cluster="east"}}': "0x30"}),
    "DeadMessages": ({"route": "volume"}, {f"{P}dead_total{{{ROUTE}}}": "0x25 3x5"},
                     {f"{P}dead_total{{{ROUTE}}}": "3x30"}),
    "Nacked": ({"route": "volume"}, {f"{P}nacked_total{{{ROUTE}}}": "0+120x30"},
               {f"{P}nacked_total{{{ROUTE}}}": "0+6x30"}),
    "RedisLost": ({"instance": "r1"}, {f'{P}redis_up{{instance="r1"}}': "0x30"}, {f'{P}redis_up{{instance="r1"}}': "1x30"}),
    "CatalogueLost": ({"instance": "r1"}, {f'{P}mysql_up{{instance="r1"}}': "0x30"},
                      {f'{P}mysql_up{{instance="r1"}}': "1x30"}),
    "ViewOld": ({"instance": "r1"}, {f'{P}view_age_seconds{{instance="r1"}}': "0+60x30"},
                {f'{P}view_age_seconds{{instance="r1"}}': "1x30"}),
    "ViewFrozen": ({"instance": "r1"}, {f'{P}view_frozen{{instance="r1"}}': "1x30"},
                   {f'{P}view_frozen{{instance="r1"}}': "0x30"}),
    "ReloadRefused": ({"instance": "r1"}, {f'{P}config_last_reload_success{{instance="r1"}}': "0x30"},
                      {f'{P}config_last_reload_success{{instance="r1"}}': "1x30"}),
    "ConfigurationsDiffer": ({}, {f'{P}config_info{{instance="r1",fingerprint="a"}}': "1x30",
                                  f'{P}config_info{{instance="r2",fingerprint="b"}}': "1x30"},
                             {f'{P}config_info{{instance="r2",fingerprint="b"}}': "_x30"}),
    "Reconnects": ({"route": "volume"}, {f"{P}reconnects_total{{{ROUTE}}}": "0+1x30"},
                   {f"{P}reconnects_total{{{ROUTE}}}": "7x30"}),
    "Slow": ({"route": "volume"}, {f'{P}hop_seconds_bucket{{{ROUTE},le="1"}}': "0+10x30",
                                   f'{P}hop_seconds_bucket{{{ROUTE},le="10"}}': "0+60x30",
                                   f'{P}hop_seconds_bucket{{{ROUTE},le="+Inf"}}': "0+60x30"},
             {f'{P}hop_seconds_bucket{{{ROUTE},le="1"}}': "0+60x30"}),
}


def promtool(*arguments, **options):
    if not shutil.which("promtool"):
        raise tap.Skip("no promtool")
    return subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False, **options)


def rules_text():
    with open(RULES, encoding="utf-8") as file:
        return file.read()


def one_test(alert, labels, series, fires):
    severity = re.search(rf"alert: ClusterRouter{alert}\n.*?severity: (\w+)", rules_text(), re.DOTALL)[1]
    firing = {"alertname": f"ClusterRouter{alert}", "alertstate": "firing", "severity": severity, **labels}
    text = ",".join(f'{key}="{value}"' for key, value in sorted(firing.items()))
    return {"interval": "1m", "name": f"{alert} {'fires' if fires else 'is silent'}",
            "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "promql_expr_test": [{"expr": f'ALERTS{{alertname="ClusterRouter{alert}",alertstate="firing"}}',
                                  "eval_time": "28m",
                                  "exp_samples": [{"labels": f"ALERTS{{{text}}}", "value": 1}] if fires else []}]}


def fire():
    """Every alert fires when it should, and not for its counterexample"""
    names = re.findall(r"alert: ClusterRouter(\w+)", rules_text())
    assert sorted(names) == sorted(CASES), "an alert without a case, or a case without an alert"
    tests = []
    for alert, (labels, series, change) in CASES.items():
        tests += [one_test(alert, labels, series, True), one_test(alert, labels, {**series, **change}, False)]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "test.yml")
        with open(path, "w", encoding="utf-8") as file:  # JSON is YAML
            json.dump({"rule_files": [RULES], "evaluation_interval": "1m", "tests": tests}, file)
        done = promtool("test", "rules", path)
    assert done.returncode == 0, done.stdout + done.stderr


def texts():
    """Texts of alerts speak only of labels that their alert has"""
    for alert, text in re.findall(r"alert: ClusterRouter(\w+)\n(.*?)(?=\n\n|\Z)", rules_text(), re.DOTALL):
        used = set(re.findall(r"\$labels\.(\w+)", text))
        assert used <= set(CASES[alert][0]), (alert, used)


def read_metrics():
    """What a router says that has a route, redis and MySQL, none of which answers."""
    port, nowhere = free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "router.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"[DEFAULT]\nstate_dir = {folder}\n[east]\ncluster_member_ips = e\n[broker]\n"
                       f"url = amqp://{HOST}:{nowhere}\n[redis]\nurl = redis://{HOST}:{nowhere}\n[mysql]\n"
                       f"url = mysql://u@{HOST}:{nowhere}/d\n[http]\nlisten = {HOST}:{port}\n[route:r]\nqueue = q\n"
                       "cluster_from = header:c\ndestination = queue:q.{cluster}\n")
        with subprocess.Popen(["cluster-routerd", "-c", path], stderr=subprocess.DEVNULL) as router:
            try:
                return ask(f"http://{HOST}:{port}/metrics", router)
            finally:
                router.send_signal(signal.SIGTERM)


def ask(url, router):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and router.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return answer.read().decode()
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the router does not answer")


def exist():
    """Every metric in rules and board is one that a router has"""
    metrics = read_metrics()
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", metrics, re.MULTILINE))
    with open(BOARD, encoding="utf-8") as file:
        board = json.load(file)
    used = set(re.findall(P + "[a-z0-9_]+", rules_text() + json.dumps(board)))
    assert len(used) > 20, used
    for name in used:
        family = re.sub("_bucket$", "", name)
        assert family in kinds, f"{name} is in no /metrics"
        assert (kinds[family] == "histogram") == (family != name), name
    done = promtool("check", "metrics", input=metrics)
    assert done.returncode == 0 and not done.stdout + done.stderr, done.stdout + done.stderr


def board_queries():
    """Prometheus can read every query of the board"""
    with open(BOARD, encoding="utf-8") as file:
        board = json.load(file)
    queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    queries += [mark["expr"] for mark in board["annotations"]["list"]]
    plain = [re.sub(r"\$__rate_interval", "5m", query) for query in queries]
    rules = [{"record": f"q{number}", "expr": query} for number, query in enumerate(plain)]
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        json.dump({"groups": [{"name": "board", "rules": rules}]}, file)
        file.flush()
        done = promtool("check", "rules", file.name)
    assert done.returncode == 0, done.stdout + done.stderr


tap.finish(tap.run([fire, texts, exist, board_queries]))
