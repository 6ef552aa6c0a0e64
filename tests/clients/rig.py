# SPDX-License-Identifier: MIT
"""A router in front of clusters that have a vhost or a broker of their own, as an operator would set it up."""

import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

import pika

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))

from server import die_with_parent, free_port, tail  # noqa: E402 (found only now)

READY_DEADLINE_S = 30


def wait_until(what, predicate, deadline_s=20):
    """Asks until it is true; raises, saying what was awaited, if that takes too long. Returns the true value."""
    end = time.monotonic() + deadline_s
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline_s} s: {what}")
        time.sleep(0.02)


class Broker:
    """One RabbitMQ that a launcher started. Vhosts made here go when the program ends."""

    def __init__(self, url, ctl):
        self.base = url.rsplit("/", 1)[0]
        self.ctl = ctl
        self.vhosts = []
        atexit.register(self.remove_vhosts)

    def run(self, *arguments):
        done = subprocess.run([self.ctl, "-q", *arguments], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise AssertionError(f"rabbitmqctl {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    def add_vhosts(self, *names):
        """In one call, since each start of rabbitmqctl takes a second."""
        self.vhosts += names
        every = '<<".*">>, ' * 3
        self.run("eval", "".join(
            f'rabbit_vhost:add(<<"{name}">>, <<"guest">>), '
            f'rabbit_auth_backend_internal:set_permissions(<<"guest">>, <<"{name}">>, {every}<<"guest">>), '
            for name in names) + "ok.")

    def remove_vhosts(self):
        if self.vhosts:
            gone = "".join(f'rabbit_vhost:delete(<<"{name}">>, <<"guest">>), ' for name in self.vhosts)
            subprocess.run([self.ctl, "-q", "eval", gone + "ok."], capture_output=True, check=False)
        self.vhosts = []

    def url(self, vhost):
        return f"{self.base}/{vhost}"

    def connect(self, vhost):
        return pika.BlockingConnection(pika.URLParameters(self.url(vhost)))

    def stop(self):
        """As an operator stops it: connections closed, ports shut, whatever is transient forgotten."""
        self.run("stop_app")

    def start(self):
        self.run("start_app")


class Router:
    """cluster-routerd with a configuration text, in which {state} and {http} are filled in."""

    def __init__(self, text):
        self.folder = tempfile.mkdtemp(prefix="cluster-router-clients-")
        self.http = free_port()
        self.path = os.path.join(self.folder, "cluster-router.conf")
        self.log = os.path.join(self.folder, "log")
        self.process = None
        self.write(text)
        atexit.register(self.remove)

    def write(self, text):
        node = f"[DEFAULT]\nstate_dir = {self.folder}/state\n\n[http]\nlisten = 127.0.0.1:{self.http}\n\n"
        with open(self.path, "w", encoding="utf-8") as file:
            os.chmod(self.path, 0o600)  # it may hold a password
            file.write(node + text)

    def start(self, wait=True):
        with open(self.log, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(["cluster-routerd", "-c", self.path], stdout=log, stderr=log,
                                            preexec_fn=die_with_parent())
        if wait:
            self.wait_ready()
        return self

    def get(self, path):
        """The JSON of that page, None if there is none."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http}{path}", timeout=5) as answer:
                return json.load(answer)
        except OSError:
            return None

    def is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the router ended with {self.process.returncode}:\n{self.tail()}")
        stats = self.get("/api/v1/stats")
        return stats is not None and all(route["state"] == "running" for route in stats["routes"])

    def wait_ready(self):
        wait_until("the router is ready", self.is_ready, READY_DEADLINE_S)

    def route(self, name="api"):
        """What the route has counted."""
        stats = wait_until("statistics", lambda: self.get("/api/v1/stats"))
        return next(route for route in stats["routes"] if route["route"] == name)

    def reason(self, code):
        return self.route()["reasons"][code]

    def cluster(self, name):
        return next(cluster for cluster in self.route()["clusters"] if cluster["cluster"] == name)

    def tail(self, lines=30):
        return tail(self.log, lines)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        """In order; the exit status, and nothing else than 0 is in order."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(30)
        assert status == 0, f"the router ended with {status}:\n{self.tail()}"

    def remove(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
