# SPDX-License-Identifier: MIT
"""Messages for demos, checks and benchmarks: real ones, captured from Cinder, told apart by a message id.

A cluster is put into a message in one of three forms, as real senders would: in a header, in a bare JSON body,
or among the arguments inside the oslo.messaging envelope.
"""

import glob
import hashlib
import json
import os

import pika

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data")
FORMS = ("header", "json", "oslo")
QUEUES = ("cinder-scheduler", "cinder-volume")


def load_captures():
    """The captured requests from the API, as (queue, text of the body, decoded inner message)."""
    captures = []
    for path in sorted(glob.glob(os.path.join(DATA, "[0-9]*.json"))):
        with open(path, encoding="utf-8") as file:
            capture = json.load(file)
        queue = capture["routing_key"].split(".")[0]
        if capture.get("publisher") == "cinder-api" and queue in QUEUES:
            captures.append((queue, capture["body"], json.loads(json.loads(capture["body"])["oslo.message"])))
    if not captures:
        raise SystemExit(f"no captured messages in {DATA}")
    return captures


def body_with_cluster(form, text, message, cluster):
    if form == "json":
        return json.dumps({**message, "cluster": cluster})
    if form == "oslo":
        inner = {**message, "args": {**message["args"], "cluster": cluster}}
        return json.dumps({"oslo.version": "2.0", "oslo.message": json.dumps(inner)})
    return text


class Traffic:
    """Makes message after message and remembers what was made."""

    def __init__(self):
        self.captures = load_captures()
        self.count = 0
        self.made = {}  # message id -> (cluster, hash of the body)

    def next(self, cluster):
        """(queue, properties, body) of a new message for that cluster, in turn of all forms and captures."""
        number = self.count
        self.count += 1
        queue, text, message = self.captures[number // len(FORMS) % len(self.captures)]
        form = FORMS[number % len(FORMS)]
        body = body_with_cluster(form, text, message, cluster).encode()
        identity = f"message-{number}"
        self.made[identity] = (cluster, hashlib.sha256(body).digest())
        properties = pika.BasicProperties(
            content_type="application/json", content_encoding="utf-8", delivery_mode=2, message_id=identity,
            headers={"cluster": cluster} if form == "header" else {})
        return queue, properties, body


class Verdict:
    """Compares what came out with what a Traffic made."""

    def __init__(self, traffic):
        self.made = traffic.made
        self.arrived = {}  # message id -> how often
        self.per_cluster = {}
        self.misrouted = self.altered = self.unexpected = 0

    def take(self, cluster, properties, body):
        """Notes a message that reached that cluster."""
        identity = properties.message_id
        if identity not in self.made:
            self.unexpected += 1
            return
        wanted, digest = self.made[identity]
        self.arrived[identity] = self.arrived.get(identity, 0) + 1
        if self.arrived[identity] == 1:
            self.per_cluster[cluster] = self.per_cluster.get(cluster, 0) + 1
        self.misrouted += cluster != wanted
        self.altered += hashlib.sha256(body).digest() != digest

    @property
    def lost(self):
        return len(self.made) - len(self.arrived)

    @property
    def duplicated(self):
        return sum(self.arrived.values()) - len(self.arrived)

    def is_good(self):
        return not (self.misrouted or self.lost or self.duplicated or self.altered or self.unexpected)

    def line(self, clusters):
        counts = ", ".join(f"{self.per_cluster.get(cluster, 0)} {cluster}" for cluster in clusters)
        line = (f"{len(self.made)} sent: {counts}, {self.misrouted} misrouted, {self.lost} lost, "
                f"{self.duplicated} duplicated")
        if self.altered or self.unexpected:
            line += f", {self.altered} altered, {self.unexpected} never sent"
        return line
