# SPDX-License-Identifier: MIT
"""One server process on 127.0.0.1: its port, its directory, its log, its start and its end."""

import ctypes
import os
import random
import signal
import socket
import subprocess
import time

HOST = "127.0.0.1"
START_DEADLINE_S = 90
STOP_DEADLINE_S = 15
PR_SET_PDEATHSIG = 1

libc = ctypes.CDLL(None, use_errno=True)
_ports_given = set()


class ServerError(Exception):
    """A server could not be started or stopped; the text says why and shows the end of its log."""


def free_port():
    """A port that nobody listens on, below those that the kernel gives to outgoing connections: so it is
    still free when a server is started again on it."""
    while True:
        port = random.randint(12000, 31999)
        if port in _ports_given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        _ports_given.add(port)
        return port


def die_with_parent(signal_number=signal.SIGKILL):
    """For preexec_fn: the kernel sends that signal when the thread that started us ends."""
    parent = os.getpid()

    def apply():
        libc.prctl(PR_SET_PDEATHSIG, signal_number)
        if os.getppid() != parent:
            os._exit(1)
    return apply


def tail(path, lines=25):
    try:
        with open(path, errors="replace") as log:
            return "".join(log.readlines()[-lines:])
    except OSError as error:
        return f"({error})\n"


class Server:
    """One server process. start() only begins: wait_ready() is what waits, so that several start at once."""

    name = "server"
    stop_signal = signal.SIGTERM

    def __init__(self, directory):
        self.directory = directory
        os.makedirs(directory)
        self.log = os.path.join(directory, "log")
        self.port = free_port()
        self.process = None

    def command(self):
        raise NotImplementedError

    def environment(self):
        return dict(os.environ)

    def probe(self, connection):
        """Whether the peer of this fresh connection is ready to serve."""
        raise NotImplementedError

    def spawn(self, command):
        # A session of its own: Ctrl-C at the terminal is for the launcher, which then stops us in order.
        with open(self.log, "a") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                    env=self.environment(), cwd=self.directory, start_new_session=True,
                                    preexec_fn=die_with_parent())

    def start(self):
        self.process = self.spawn(self.command())

    def is_ready(self):
        try:
            with socket.create_connection((HOST, self.port), timeout=2) as connection:
                return self.probe(connection)
        except OSError:
            return False

    def wait_ready(self, deadline_s=START_DEADLINE_S):
        end = time.monotonic() + deadline_s
        while not self.is_ready():
            if self.process.poll() is not None:
                raise ServerError(f"{self.name} ended with status {self.process.returncode} while starting; "
                                  f"the end of its log:\n{tail(self.log)}")
            if time.monotonic() > end:
                raise ServerError(f"{self.name} is not ready after {deadline_s} s; the end of its log:\n"
                                  f"{tail(self.log)}")
            time.sleep(0.05)

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def pause(self):
        self.signal(signal.SIGSTOP)

    def resume(self):
        self.signal(signal.SIGCONT)

    def kill(self):
        """kill -9."""
        if self.is_running():
            self.process.kill()
            self.process.wait()

    def ask_to_stop(self):
        if self.is_running():
            self.resume()
            self.signal(self.stop_signal)

    def stop(self):
        """In order; kill -9 if that takes too long."""
        self.ask_to_stop()
        try:
            if self.process is not None:
                self.process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def restart(self):
        self.stop()
        self.start()
        self.wait_ready()
