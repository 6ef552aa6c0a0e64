# SPDX-License-Identifier: MIT
"""OpenStack Cinder from Debian's packages in two clusters, set up by the files under conf/examples/cinder.

The API is on the vhost "/" of the first broker, cluster east has the vhost "east" there, west the vhost "west" of the
second broker. Nothing of Cinder is changed; its storage is the driver that it ships for tests without devices.
"""

import os
import signal
import subprocess
import sys

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
EXAMPLE = os.path.join(ROOT, "conf", "examples", "cinder")
sys.path.insert(0, os.path.join(ROOT, "tests", "clients"))

from rig import die_with_parent, free_port, tail  # noqa: E402 (found only now)

BACKEND = "fake"
# As the example calls them; a name with dots is the harder one.
HOSTS = {"east": "east-node", "west": "west-node-2.example.org"}
STOP_DEADLINE_S = 30

# What an installation has anyway, whatever its messages do.
BASE = """\
[DEFAULT]
auth_strategy = noauth
api_paste_config = /usr/share/cinder-common/api-paste.ini
resource_query_filters_file = {folder}/resource_filters.json
state_path = {folder}
osapi_volume_listen = 127.0.0.1
osapi_volume_listen_port = {port}
osapi_volume_workers = 2
enabled_backends = {backend}
scheduler_driver_init_wait_time = 5
quota_volumes = -1
quota_snapshots = -1
quota_gigabytes = -1
[database]
connection = {database}
max_pool_size = 3
max_overflow = 2
[coordination]
backend_url = file://{folder}/coordination
[oslo_concurrency]
lock_path = {folder}/lock
[{backend}]
volume_driver = cinder.tests.fake_driver.FakeLoggingVolumeDriver
volume_backend_name = {backend}
"""


def example(name, *changes):
    """A file of the example with these pairs (what stands there, what should)."""
    with open(os.path.join(EXAMPLE, name), encoding="utf-8") as file:
        text = file.read()
    for old, new in changes:
        if old not in text:
            raise AssertionError(f"conf/examples/cinder/{name} has no {old!r} to adapt")
        text = text.replace(old, new)
    return text


def address(broker):
    """HOST:PORT"""
    return broker.base.rsplit("@", 1)[1]


def router_text(first, second):
    """The router's example with our brokers; the rest is as it stands there. The rig says where HTTP listens."""
    there = "rabbit.example.org:5672"
    return example("cluster-router.conf", ("[http]\nlisten = 127.0.0.1:9419\n", ""),
                   (f"{there}/%2f", f"{address(first)}/east"), (f"{there}/west", f"{address(second)}/west"),
                   (f"{there}/api", f"{address(first)}/%2f"))


def make_users(broker, *vhosts):
    """As docs/cinder.md does: two users, and all permissions on these vhosts."""
    for user in ("cinder", "router"):
        broker.run("add_user", user, "secret")
    for vhost in vhosts:
        if vhost != "/":
            broker.run("add_vhost", vhost)
        for user in ("cinder", "router"):
            broker.run("set_permissions", "-p", vhost, user, ".*", ".*", ".*")


class Stack:
    """The services, each a process of its own with its log in the folder."""

    def __init__(self, folder, first, second, database):
        self.folder = folder
        self.port = free_port()
        self.processes = {}
        os.makedirs(os.path.join(folder, "lock"))
        self.write("resource_filters.json", "{}\n")
        self.write("base.conf", BASE.format(folder=folder, port=self.port, backend=BACKEND, database=database))
        there = "rabbit.example.org:5672"
        self.write("api.conf", example("cinder-api.conf", (f"{there}/api", f"{address(first)}/")))
        self.write("east.conf", f"[DEFAULT]\ntransport_url = rabbit://cinder:secret@{address(first)}/east\n"
                                f"host = {HOSTS['east']}\n")
        self.write("west.conf", example("cinder-cluster.conf", (f"{there}/west", f"{address(second)}/west"),
                                        ("#host = west-node", f"host = {HOSTS['west']}")))

    def write(self, name, text):
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
            file.write(text)

    def options(self, *names):
        return [word for name in ("base", *names) for word in ("--config-file", f"{self.folder}/{name}.conf")]

    def log(self, name):
        return os.path.join(self.folder, f"{name}.log")

    def make_database(self):
        with open(self.log("database"), "w", encoding="utf-8") as log:
            done = subprocess.run(["cinder-manage", *self.options(), "db", "sync"], stdout=log, stderr=log, check=False)
        if done.returncode != 0:
            raise AssertionError(f"cinder-manage db sync ended with {done.returncode}:\n{tail(self.log('database'))}")

    def spawn(self, name, program, settings):
        # A group of its own, so that its workers can be ended with it.
        with open(self.log(name), "w", encoding="utf-8") as log:
            self.processes[name] = subprocess.Popen([program, *self.options(settings)], stdin=subprocess.DEVNULL,
                                                    stdout=log, stderr=log, cwd=self.folder, start_new_session=True,
                                                    preexec_fn=die_with_parent())

    def start(self):
        for cluster in HOSTS:
            self.spawn(f"{cluster}-scheduler", "cinder-scheduler", cluster)
            self.spawn(f"{cluster}-volume", "cinder-volume", cluster)
        self.spawn("api", "cinder-api", "api")

    def check(self):
        for name, process in self.processes.items():
            if process.poll() is not None:
                raise AssertionError(f"{name} ended with {process.returncode}:\n{tail(self.log(name))}")

    def complaints(self):
        """Every line that a service has logged as an error."""
        found = []
        for name in self.processes:
            with open(self.log(name), encoding="utf-8", errors="replace") as log:
                found += [f"{name}: {line.rstrip()}" for line in log if " ERROR " in line or " CRITICAL " in line]
        return found

    def stop(self):
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(STOP_DEADLINE_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self.processes = {}
