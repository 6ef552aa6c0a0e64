# SPDX-License-Identifier: MIT
"""Cinder's API over HTTP, and the life of a volume: everything that a user does with it, one after the other."""

import json
import time
import urllib.error
import urllib.request

from stack import BACKEND, HOSTS

PROJECT = "a" * 32
MICROVERSION = "volume 3.48"  # from 3.49 on, to list services is also a call
CONNECTOR = {"initiator": "iqn.2004-10.org.example:node", "ip": "192.0.2.1", "host": "compute", "platform": "x86_64",
             "os_type": "linux", "multipath": False, "mountpoint": "/dev/vdb", "mode": "rw"}
REQUEST_DEADLINE_S = 90  # more than rpc_response_timeout, after which the API itself gives up
STATUS_DEADLINE_S = 90
LOOK_S = 0.2

# What one life sends to its cluster: create a volume, its snapshot, a volume of that and a clone; attach, detach,
# capabilities, which are calls; delete the four.
REQUESTS, CALLS = 11, 3


class Wrong(Exception):
    """Cinder did not do what it was asked for."""


class Cinder:
    def __init__(self, port):
        self.url = f"http://127.0.0.1:{port}/v3/{PROJECT}"

    def ask(self, method, path, body=None):
        """(status, JSON document or None)."""
        request = urllib.request.Request(self.url + path, method=method, headers={
            "X-Auth-Token": f"admin:{PROJECT}", "Content-Type": "application/json",
            "OpenStack-API-Version": MICROVERSION})
        data = None if body is None else json.dumps(body).encode()
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, data, timeout=REQUEST_DEADLINE_S) as answer:
                text, status = answer.read(), answer.status
        except urllib.error.HTTPError as error:
            text, status = error.read(), error.code
        return status, json.loads(text) if text else None

    def do(self, method, path, body=None):
        """The document; raises if Cinder refuses."""
        status, document = self.ask(method, path, body)
        if status >= 300:
            raise Wrong(f"{method} {path}: {status}: {document}")
        return document

    def services(self):
        """{(program, host)} of those that are up."""
        try:
            found = self.do("GET", "/os-services")["services"]
        except (OSError, Wrong):
            return set()
        return {(service["binary"], service["host"]) for service in found if service["state"] == "up"}

    def wait_status(self, kind, identity, wanted):
        """Until it has that status; None: until it is gone. Returns it."""
        end = time.monotonic() + STATUS_DEADLINE_S
        while True:
            status, document = self.ask("GET", f"/{kind}s/{identity}")
            if status == 404 and wanted is None:
                return None
            if status != 200:
                raise Wrong(f"{kind} {identity}: {status}: {document}")
            found = document[kind]
            if found["status"] == wanted:
                return found
            if found["status"].startswith("error"):
                raise Wrong(f"{kind} {identity} is {found['status']} instead of {wanted or 'gone'}")
            if time.monotonic() > end:
                raise Wrong(f"{kind} {identity} is still {found['status']} after {STATUS_DEADLINE_S} s")
            time.sleep(LOOK_S)

    def make(self, kind, **fields):
        """Once it is available."""
        identity = self.do("POST", f"/{kind}s", {kind: fields})[kind]["id"]
        return self.wait_status(kind, identity, "available")

    def remove(self, kind, identity):
        self.do("DELETE", f"/{kind}s/{identity}")
        self.wait_status(kind, identity, None)

    def make_volume(self, cluster, **fields):
        volume = self.make("volume", size=1, **fields)
        host = volume["os-vol-host-attr:host"]
        if host != f"{HOSTS[cluster]}@{BACKEND}#{BACKEND}":
            raise Wrong(f"volume {volume['id']} for {cluster} is on {host}")
        return volume["id"]

    def attach_and_detach(self, volume):
        """Both are calls: the API waits for what the volume service says."""
        attachment = self.do("POST", "/attachments", {"attachment": {"volume_uuid": volume, "connector": CONNECTOR}})
        attachment = attachment["attachment"]
        if attachment["connection_info"]["driver_volume_type"] != "iscsi":
            raise Wrong(f"attaching {volume}: {attachment}")
        self.do("POST", f"/attachments/{attachment['id']}/action", {"os-complete": {}})
        self.wait_status("volume", volume, "in-use")
        self.do("DELETE", f"/attachments/{attachment['id']}")
        self.wait_status("volume", volume, "available")

    def capabilities(self, cluster):
        """A call that names its cluster by the host only."""
        found = self.do("GET", f"/capabilities/{HOSTS[cluster]}@{BACKEND}")
        if found["volume_backend_name"] != BACKEND or found["storage_protocol"] != BACKEND:
            raise Wrong(f"capabilities of {cluster}: {found}")

    def pools(self):
        """A call to a scheduler that names no cluster: the names of its pools."""
        return [pool["name"] for pool in self.do("GET", "/scheduler-stats/get_pools")["pools"]]


def live(cinder, cluster):
    """The life of a volume, of a copy made from its snapshot and of a clone."""
    # The zone of the first cluster is what Cinder fills in for users who ask for none.
    zone = {} if cluster == "east" else {"availability_zone": cluster}
    volume = cinder.make_volume(cluster, **zone)
    snapshot = cinder.make("snapshot", volume_id=volume)["id"]
    copy = cinder.make_volume(cluster, snapshot_id=snapshot)
    clone = cinder.make_volume(cluster, source_volid=volume, **zone)
    cinder.attach_and_detach(volume)
    cinder.capabilities(cluster)
    cinder.remove("volume", copy)
    cinder.remove("volume", clone)
    cinder.remove("snapshot", snapshot)
    cinder.remove("volume", volume)
