#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A broker that breaks the protocol: the router leaves the connection or takes no notice, lives on, acknowledges
nothing that was not confirmed, and routes the message as soon as the broker is honest again."""

import collections
import itertools
import random
import struct
import sys
import time

from pika import spec

import tap
from lying_broker import CHANNEL, FRAME_MAX, LyingBroker, body, header, method
from rig import Router, wait_until

CONFIGURATION = """
[east]
cluster_member_ips = 10.0.0.1
[broker]
url = amqp://guest:guest@127.0.0.1:{port}/%2f
retry_max = 50ms
[route:api]
queue = shared
cluster_from = json:/cluster
destination = queue:{{queue}}.{{cluster}}
"""
DEADLINE_S = 30
NEVER_CONFIRMED_S = 0.3
HUGE = 10 ** 18

# What is said, to which connection of the router ("" to any), at which moment; and whether the router must hang up.
Lie = collections.namedtuple("Lie", "what role moment tell leaves")


def raw(kind, channel, payload, length=None, end=b"\xce"):
    return struct.pack(">BHI", kind, channel, len(payload) if length is None else length) + payload + end


def deliver(peer, tag, channel=CHANNEL, consumer=None):
    return method(spec.Basic.Deliver(consumer or peer.consumer, tag, False, "", "shared"), channel)


def say(*parts):
    """Those bytes; a callable is asked for them."""
    return lambda peer: peer.send(*(part(peer) if callable(part) else part for part in parts))


def confirmed_then(*parts):
    def tell(peer):
        peer.confirm()
        peer.send(*parts)
    return tell


def ack(number, multiple=False, channel=CHANNEL):
    return method(spec.Basic.Ack(number, multiple), channel)


def returned(properties=None, size=3, code=312):
    return (method(spec.Basic.Return(code, "NO_ROUTE", "", "shared.east")) + header(size, properties=properties)
            + body(b"lie"))


def naming(seq):
    return spec.BasicProperties(headers={"x-router-seq": seq})


def properties(flags, rest):
    """A header frame of a body of 3 bytes."""
    return raw(2, CHANNEL, struct.pack(">HHQH", 60, 0, 3, flags) + rest)


NOISE = random.Random(2026).randbytes(3000)
UNKNOWN = raw(1, CHANNEL, struct.pack(">HH", 999, 7))
HEADERS = 1 << 13
DEEP = b"F\0\0\0\5"

AT_LOGIN = [
    Lie("an answer in HTTP", "", "protocol", say(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"), True),
    Lie("another version of AMQP", "", "protocol", say(b"AMQP\x00\x01\x00\x00"), True),
    Lie("noise", "", "protocol", say(NOISE), True),
    Lie("nothing, and hangs up", "", "protocol", lambda peer: peer.close(), True),
    Lie("a frame of 4 GB", "", "protocol", say(struct.pack(">BHI", 1, 0, 2 ** 32 - 1), NOISE), True),
    Lie("a frame of 2 GB", "", "protocol", say(struct.pack(">BHI", 1, 0, 2 ** 31), NOISE), True),
    Lie("a frame of no bytes", "", "protocol", say(raw(1, 0, b"")), True),
    Lie("a method that is cut off", "", "protocol", say(raw(1, 0, struct.pack(">HHBBI", 10, 10, 0, 9, 5000))), True),
    Lie("a method that does not exist", "", "tune", say(raw(1, 0, struct.pack(">HH", 999, 1))), True),
    Lie("frames of at most 1 byte", "", "tune", say(method(spec.Connection.Tune(2047, 1, 60), 0)), False),
    Lie("frames of at most 4095 bytes", "", "tune", say(method(spec.Connection.Tune(2047, 4095, 60), 0)), False),
    Lie("frames of any size", "", "tune", say(method(spec.Connection.Tune(2047, 0, 60), 0)), False),
    Lie("no limit of channels", "", "tune", say(method(spec.Connection.Tune(0, FRAME_MAX, 60), 0)), False),
    Lie("one channel", "", "tune", say(method(spec.Connection.Tune(1, FRAME_MAX, 60), 0)), False),
    Lie("no heartbeats", "", "tune", say(method(spec.Connection.Tune(2047, FRAME_MAX, 0), 0)), False),
    Lie("a heartbeat of 18 hours", "", "tune", say(method(spec.Connection.Tune(2047, FRAME_MAX, 65535), 0)), False),
    Lie("close for open", "", "Connection.Open", say(method(spec.Connection.Close(530, "no\0\xff", 10, 40), 0)), True),
    Lie("close for a channel", "", "Channel.Open", say(method(spec.Channel.Close(504, "x" * 255, 20, 10))), True),
    Lie("another answer than asked for", "intake", "Queue.Declare", say(method(spec.Queue.DeleteOk(3))), True),
]

TO_INTAKE = [(what, say(*parts), leaves) for what, leaves, *parts in [
    ("a body of 8 EB", True, lambda peer: deliver(peer, 1), header(2 ** 63)),
    ("a body of 5 GB", True, lambda peer: deliver(peer, 1), header(5 * 2 ** 30)),
    ("more of a body than announced", True, lambda peer: deliver(peer, 1), header(3), body(b"four")),
    ("less of a body than announced", False, lambda peer: deliver(peer, 1), header(9), body(b"four"),
     lambda peer: deliver(peer, 1)),
    ("a header without a message", True, header(3)),
    ("a body without a message", True, body(b"lie")),
    ("a body without its header", True, lambda peer: deliver(peer, 1), body(b"lie")),
    ("two messages at once", False, lambda peer: deliver(peer, 1), lambda peer: deliver(peer, 2)),
    ("a message numbered 0", True, lambda peer: deliver(peer, 0), header(3), body(b"lie")),
    ("a message numbered 2 first", True, lambda peer: deliver(peer, 2), header(3), body(b"lie")),
    ("two messages of one number", True, lambda peer: (deliver(peer, 1) + header(3) + body(b"lie")) * 2),
    ("a message on a channel that is not open", True, lambda peer: deliver(peer, 1, 7), header(3, 7), body(b"lie", 7)),
    ("a message on channel 0", True, lambda peer: deliver(peer, 1, 0), header(3, 0), body(b"lie", 0)),
    ("a body on another channel", True, lambda peer: deliver(peer, 1), header(3), body(b"lie", 7)),
    ("a method that does not exist", True, UNKNOWN),
    ("an end of a frame that is none", True, raw(3, CHANNEL, b"lie", end=b"\xcd")),
    ("a frame of an unknown kind", False, raw(77, CHANNEL, b"lie")),
    ("properties that are cut off", True, lambda peer: deliver(peer, 1), properties(HEADERS, b"\0\0\7\xd0"),
     body(b"lie")),
    ("a field of an unknown kind", True, lambda peer: deliver(peer, 1),
     properties(HEADERS, struct.pack(">I", 3) + b"\1aZ"), body(b"lie")),
    ("tables deeper than they are long", True, lambda peer: deliver(peer, 1),
     properties(HEADERS, struct.pack(">I", 4 * 7) + (b"\1a" + DEEP) * 4), body(b"lie")),
    ("all properties and none of their bytes", True, lambda peer: deliver(peer, 1), properties(0xfffc, b""),
     body(b"lie")),
    ("properties without an end", True, lambda peer: deliver(peer, 1), properties(0x0001, b"\0\1" * 200), body(b"lie")),
    ("the end of a consumer that is nobody's", False, method(spec.Basic.Cancel("c" * 255))),
    ("a confirm where nothing was published", False, ack(1, True), ack(0)),
    ("a return where nothing was published", False, returned()),
    ("noise", True, NOISE),
    ("the end of the connection", True, method(spec.Connection.Close(320, "x" * 255, 0, 0), 0)),
    ("the end of the channel", True, method(spec.Channel.Close(0, "\0", 0, 0))),
]]

TO_OUTLET = [
    ("a confirm of number 0", say(ack(0)), False),
    ("a confirm of all up to number 0", say(ack(0, True)), False),
    ("a confirm of what comes later", say(ack(HUGE)), False),
    ("a confirm of all up to what comes later", say(ack(HUGE, True)), False),
    ("a refusal of what comes later", say(method(spec.Basic.Nack(HUGE, True))), False),
    ("a confirm on a channel that is not open", say(lambda peer: ack(peer.number, channel=7)), True),
    ("a confirm on channel 0", say(lambda peer: ack(peer.number, channel=0)), True),
    ("the same confirm twice", confirmed_then(ack(1), ack(1, True)), False),
    ("a refusal after the confirm", confirmed_then(method(spec.Basic.Nack(1))), False),
    ("a return after the confirm", confirmed_then(returned(naming(1))), False),
    ("a return that names nothing", say(returned()), False),
    ("a return that names what comes later", say(returned(naming(10 ** 9))), False),
    ("a return that names a number below 0", say(returned(naming(-5))), False),
    ("a return that names a text", say(returned(naming("one"))), False),
    ("a return that is cut off", say(method(spec.Basic.Return(312, "", "", "")), header(9), body(b"x"), ack(HUGE)),
     False),
    ("a return with more body than announced", say(returned(size=2)), True),
    ("a delivery", say(method(spec.Basic.Deliver("c0", 1, False, "", "")), header(3), body(b"lie")), False),
    ("an answer to nothing", say(method(spec.Queue.DeclareOk("q", 2 ** 32 - 1, 7)), method(spec.Basic.CancelOk("c0"))),
     False),
    ("the end of a channel that is not open", say(method(spec.Channel.Close(404, "lie", 60, 40), 9)), True),
    ("the end of the channel, for no reason", say(method(spec.Channel.Close(0, "\0\xff", 0, 0))), False),
    ("that it is blocked, and at once that it is not",
     say(method(spec.Connection.Blocked("x" * 255), 0), method(spec.Connection.Unblocked(), 0)), False),
    ("a confirm that is cut off", say(raw(1, CHANNEL, struct.pack(">HHI", 60, 80, 0))), True),
    ("a method that does not exist", say(UNKNOWN), True),
    ("noise", say(NOISE), True),
]

LIES = (AT_LOGIN + [Lie(what, "intake", "consume", tell, leaves) for what, tell, leaves in TO_INTAKE]
        + [Lie(what, "outlet", "publish", tell, leaves) for what, tell, leaves in TO_OUTLET])


class World:
    def __init__(self):
        self.broker = LyingBroker()
        self.router = Router(CONFIGURATION.format(port=self.broker.port)).start()
        self.numbers = itertools.count(1)

    def offer(self):
        content = b'{"cluster": "east", "number": %d}' % next(self.numbers)
        self.broker.offer(content)
        return content

    def check(self):
        status = self.router.process.poll()
        assert status is None, f"the router ended with {status}:\n{self.router.tail()}"
        assert not self.broker.early, f"acknowledged and never confirmed: {self.broker.early}"

    def expect_routed(self, content):
        wait_until("the message is confirmed and acknowledged",
                   lambda: self.check() or content not in self.broker.waiting, DEADLINE_S)
        assert content in self.broker.confirmed
        self.check()


def promise_of(lie):
    def promise(world):
        broker = world.broker
        broker.early.clear()
        broker.prepare(lie)
        content = world.offer()
        victim = wait_until("the lie was told", lambda: world.check() or broker.victim, DEADLINE_S)
        if lie.leaves:
            assert victim.gone.wait(DEADLINE_S), "the router stays with a broker that lies"
        elif lie.role:
            time.sleep(NEVER_CONFIRMED_S)
        world.check()
        broker.cut_all()
        world.expect_routed(content)

    promise.__doc__ = f"{lie.what}, told to {lie.role or 'any'} at {lie.moment}"
    return promise


def stops_in_order(world):
    """After all of it the router still stops in order"""
    world.router.stop()


if __name__ == "__main__":
    tap.finish(tap.run([promise_of(lie) for lie in LIES] + [stops_in_order], World()))
