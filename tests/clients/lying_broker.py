# SPDX-License-Identifier: MIT
"""A broker that speaks AMQP 0-9-1 just far enough for a router, and lies when it is told to.

It holds messages of one shared queue, each with a body of its own, and keeps the books that a checker needs: which of
them it has confirmed a publish of, and which were acknowledged although it had not.
"""

import itertools
import socket
import threading

from pika import frame, spec

from rig import free_port

HEADER_BYTES = 8  # of the protocol
FRAME_MAX = 131072
CHANNEL = 1


def method(content, channel=CHANNEL):
    return frame.Method(channel, content).marshal()


def header(body_bytes, channel=CHANNEL, properties=None):
    return frame.Header(channel, body_bytes, properties or spec.BasicProperties()).marshal()


def body(content, channel=CHANNEL):
    return frame.Body(channel, content).marshal()


class Gone(Exception):
    """The connection is closed, by whomever."""


class Peer(threading.Thread):
    """One connection of the router, served in a thread."""

    def __init__(self, broker, connection):
        super().__init__(daemon=True)
        self.broker = broker
        self.socket = connection
        self.name = "?"  # what the router calls the connection
        self.unread = b""
        self.tags = itertools.count(1)
        self.delivered = {}  # tag -> body
        self.published = itertools.count(1)
        self.number, self.content = 0, b""  # of the last publish
        self.consumer = None
        self.gone = threading.Event()
        self.lock = threading.Lock()  # deliveries come from more than one thread

    def send(self, *parts):
        try:
            with self.lock:
                self.socket.sendall(b"".join(parts))
        except OSError as error:
            raise Gone from error

    def receive(self):
        try:
            more = self.socket.recv(65536)
        except OSError as error:
            raise Gone from error
        if not more:
            raise Gone
        self.unread += more

    def read_frame(self):
        while True:
            used, found = frame.decode_frame(self.unread)
            if found:
                self.unread = self.unread[used:]
                return found
            self.receive()

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def run(self):
        try:
            self.log_in()
            while True:
                self.serve(self.read_frame())
        except Gone:
            pass
        finally:
            self.gone.set()
            self.broker.forget(self)
            self.socket.close()

    def lies(self, moment):
        """True if the broker lied at this moment, in place of what an honest one would have said."""
        return self.broker.lies(self, moment)

    def log_in(self):
        while len(self.unread) < HEADER_BYTES:
            self.receive()
        self.unread = self.unread[HEADER_BYTES:]
        if not self.lies("protocol"):
            self.send(method(spec.Connection.Start(0, 9, {"product": "liar"}, "PLAIN", "en_US"), 0))
        self.name = self.read_frame().method.client_properties["connection_name"]
        if not self.lies("tune"):
            self.send(method(spec.Connection.Tune(2047, FRAME_MAX, 60), 0))

    def serve(self, found):
        if isinstance(found, frame.Heartbeat):
            return
        content = found.method
        answer = getattr(self, "on_" + content.NAME.replace(".", "_").lower(), None)
        if answer:
            answer(found.channel_number, content)
        elif content.synchronous and not getattr(content, "nowait", False):
            if not self.lies(content.NAME):
                self.send(method(self.ok_of(content), found.channel_number))

    @staticmethod
    def ok_of(content):
        if isinstance(content, spec.Queue.Declare):
            return spec.Queue.DeclareOk(content.queue, 0, 0)
        if isinstance(content, spec.Basic.Consume):
            return spec.Basic.ConsumeOk(content.consumer_tag)
        if isinstance(content, spec.Basic.Cancel):
            return spec.Basic.CancelOk(content.consumer_tag)
        return getattr(spec, content.NAME.split(".", maxsplit=1)[0]).__dict__[type(content).__name__ + "Ok"]()

    def on_basic_consume(self, channel, content):
        if not content.nowait:
            self.send(method(self.ok_of(content), channel))
        self.consumer = content.consumer_tag
        if not self.lies("consume"):
            self.broker.deliver_all()

    def on_basic_publish(self, channel, content):
        size, got = self.read_frame().body_size, b""
        while len(got) < size:
            got += self.read_frame().fragment
        self.number, self.content = next(self.published), got
        if not self.lies("publish"):
            self.confirm(channel)

    def confirm(self, channel=CHANNEL):
        """The last publish."""
        self.broker.confirmed.add(self.content)
        self.send(method(spec.Basic.Ack(self.number), channel))

    def on_basic_ack(self, _channel, content):
        self.broker.acknowledge(self, content.delivery_tag, content.multiple)

    def on_basic_nack(self, _channel, content):
        self.delivered.pop(content.delivery_tag, None)

    def on_connection_close(self, _channel, _content):
        self.send(method(spec.Connection.CloseOk(), 0))
        raise Gone

    def deliver(self, content, properties=None):
        tag = next(self.tags)
        self.delivered[tag] = content
        self.send(method(spec.Basic.Deliver(self.consumer, tag, False, "", "shared")),
                  header(len(content), properties=properties), body(content))


class LyingBroker:
    """Listens until the program ends. The lie is told once, to the first peer and at the first moment that it is meant
    for: what() of a Peer, which says what else is done, or nothing."""

    def __init__(self, port=None):
        self.port = port or free_port()
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.lock = threading.RLock()
        self.door = threading.Lock()  # who holds it keeps new connections waiting
        self.peers = []
        self.waiting = []  # bodies of the shared queue that are not acknowledged
        self.confirmed = set()
        self.early = []  # acknowledged before they were confirmed
        self.lie = None
        self.victim = None  # to whom it was told
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            connection, _ = self.listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.door:
                peer = Peer(self, connection)
                with self.lock:
                    self.peers.append(peer)
                peer.start()

    def forget(self, peer):
        with self.lock:
            self.peers.remove(peer)

    def lies(self, peer, moment):
        with self.lock:
            lie = self.lie
            if not lie or lie.moment != moment or lie.role not in peer.name:
                return False
            self.lie = None
        self.victim = peer
        lie.tell(peer)
        return True

    def cut_all(self):
        with self.lock:
            peers = list(self.peers)
        for peer in peers:
            peer.close()
        for peer in peers:
            peer.gone.wait()

    def prepare(self, lie):
        """For the next connections."""
        with self.door:
            self.cut_all()
            self.victim = None
            self.lie = lie

    def offer(self, content):
        """A message comes into the shared queue."""
        with self.lock:
            self.waiting.append(content)
        self.deliver_all()

    def deliver_all(self):
        """To the first that consumes, what it has not yet."""
        with self.lock:
            peer = next((peer for peer in self.peers if peer.consumer and "intake" in peer.name), None)
            if not peer:
                return
            for content in self.waiting:
                if content not in peer.delivered.values():
                    try:
                        peer.deliver(content)
                    except Gone:
                        return

    def acknowledge(self, peer, tag, multiple):
        with self.lock:
            for one in [known for known in peer.delivered if known == tag or (multiple and known < tag)]:
                content = peer.delivered.pop(one)
                if content not in self.confirmed:
                    self.early.append(content)
                if content in self.waiting:
                    self.waiting.remove(content)
