#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Private RabbitMQ, Redis and MariaDB for a test, a demo or a benchmark.

Every server listens on 127.0.0.1 at a free port and keeps its data in one temporary directory, so it neither
meets the machine's own servers nor another launcher, and runs as whoever calls. RabbitMQ also gets an epmd,
a cookie and a node name of its own. Whatever happens to the launcher, nothing outlives it: servers are told
by the kernel when it dies, and directories left by a killed launcher are removed by the next one.

From a program:

    with Servers(rabbits=2, redis=True) as servers:
        servers.rabbits[0].url, servers.redis.port
        servers.rabbits[1].kill(); servers.rabbits[1].start()

From a shell, see --help.
"""

import argparse
import atexit
import fcntl
import glob
import os
import shutil
import signal
import subprocess
import sys
import tempfile

from server import HOST, STOP_DEADLINE_S, Server, ServerError, die_with_parent, free_port, libc

RABBITMQ_BIN = "/usr/lib/rabbitmq/bin"  # the scripts behind Debian's wrapper, which insists on its own user
DIRECTORY_PREFIX = "cluster-router-servers-"
PR_SET_CHILD_SUBREAPER = 36


def make_directory():
    """A new directory, held by a lock for as long as this process lives; removes those that nobody holds."""
    for old in glob.glob(os.path.join(tempfile.gettempdir(), DIRECTORY_PREFIX + "*")):
        try:
            with open(os.path.join(old, "lock")) as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(old, ignore_errors=True)
        except OSError:
            pass  # in use, not ours, or just being made
    path = tempfile.mkdtemp(prefix=DIRECTORY_PREFIX)
    lock = open(os.path.join(path, "lock"), "w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    return path, lock


class Epmd(Server):
    """Erlang's port mapper: one for all our nodes, instead of the machine's at port 4369."""

    name = "epmd"

    def command(self):
        return [shutil.which("epmd") or "/usr/bin/epmd", "-port", str(self.port), "-address", HOST]

    def probe(self, connection):
        return True


def node_name(number):
    return f"crtest-{os.getpid()}-{number}@localhost"


class RabbitMQ(Server):
    """A node; its cluster has @cluster_size nodes, numbered from 1, that find each other while they start."""

    name = "RabbitMQ"

    def __init__(self, directory, epmd_port, number, plugins=(), cluster_size=1):
        super().__init__(directory)
        self.number = number
        self.epmd_port = epmd_port
        self.distribution_port = free_port()
        self.node = node_name(number)
        self.ctl = os.path.join(directory, "rabbitmqctl")
        self.url = f"amqp://guest:guest@{HOST}:{self.port}/%2f"
        mates = range(1, cluster_size + 1) if cluster_size > 1 else ()
        self._write("rabbitmq.conf", f"listeners.tcp.1 = {HOST}:{self.port}\n" + "".join(
            f"cluster_formation.classic_config.nodes.{mate} = {node_name(mate)}\n" for mate in mates))
        self._write("plugins", f"[{','.join(plugins)}].\n")
        self._write(".erlang.cookie", "cluster-router-test", 0o400)
        exports = "".join(f"export {key}='{value}'\n" for key, value in self.settings().items())
        self._write("rabbitmqctl", f"#!/bin/sh\n{exports}exec {RABBITMQ_BIN}/rabbitmqctl \"$@\"\n", 0o755)

    def _write(self, name, text, mode=0o644):
        path = os.path.join(self.directory, name)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, mode)

    def settings(self):
        inside = self.directory
        return {
            "HOME": inside,  # where Erlang looks for the cookie
            "ERL_EPMD_PORT": str(self.epmd_port),
            "ERL_EPMD_ADDRESS": HOST,
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_DIST_PORT": str(self.distribution_port),
            "RABBITMQ_MNESIA_BASE": f"{inside}/mnesia",
            "RABBITMQ_LOG_BASE": f"{inside}/logs",
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": f"{inside}/pid",
            "RABBITMQ_CONFIG_FILE": f"{inside}/rabbitmq.conf",
            "RABBITMQ_ADVANCED_CONFIG_FILE": f"{inside}/advanced.config",
            "RABBITMQ_GENERATED_CONFIG_DIR": f"{inside}/config",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{inside}/plugins",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            # With "input" allowed the script becomes the server itself, so that its pid is the server's.
            "RABBITMQ_ALLOW_INPUT": "1",
            "RABBITMQ_SERVER_START_ARGS": "-noinput",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_CTL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1",
        }

    def environment(self):
        own = {key: value for key, value in os.environ.items()
               if not key.startswith(("RABBITMQ_", "ERL_")) and key != "NOTIFY_SOCKET"}
        return {**own, **self.settings()}

    def command(self):
        return [f"{RABBITMQ_BIN}/rabbitmq-server"]

    def probe(self, connection):
        connection.sendall(b"AMQP\x00\x00\x09\x01")
        return connection.recv(1) == b"\x01"  # a method frame: connection.start

    def rabbitmqctl(self, *arguments):
        """Runs rabbitmqctl on this node; returns its output, raises ServerError if it fails."""
        done = subprocess.run([self.ctl, *arguments], capture_output=True, text=True)
        if done.returncode != 0:
            raise ServerError(f"rabbitmqctl {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout


class Redis(Server):
    name = "Redis"

    def __init__(self, directory):
        super().__init__(directory)
        self.url = f"redis://{HOST}:{self.port}/0"

    def command(self):
        return [shutil.which("redis-server") or "/usr/bin/redis-server", "--bind", HOST, "--port",
                str(self.port), "--dir", self.directory, "--save", "", "--appendonly", "no"]

    def probe(self, connection):
        connection.sendall(b"PING\r\n")
        return connection.recv(5) == b"+PONG"


class MariaDB(Server):
    """The first start makes the system tables and then becomes the server. The database `test` exists; root
    has no password."""

    name = "MariaDB"

    def __init__(self, directory):
        super().__init__(directory)
        self.url = f"mysql://root@{HOST}:{self.port}/test"
        self.socket = os.path.join(directory, "socket")
        self.data = os.path.join(directory, "data")
        with open(os.path.join(directory, "first.sql"), "w") as first:
            first.write("CREATE DATABASE IF NOT EXISTS test;\n")

    def command(self):
        user = ["--user=root"] if os.geteuid() == 0 else []
        server = [shutil.which("mariadbd") or "/usr/sbin/mariadbd", "--no-defaults", *user, f"--datadir={self.data}",
                  f"--socket={self.socket}", f"--pid-file={self.directory}/pid", f"--port={self.port}",
                  f"--bind-address={HOST}", f"--init-file={self.directory}/first.sql",
                  "--innodb-buffer-pool-size=16M", "--innodb-log-file-size=8M",
                  "--innodb-flush-log-at-trx-commit=0", "--max-connections=50"]
        if os.path.isdir(self.data):
            return server
        install = ["mariadb-install-db", "--no-defaults", *user, f"--datadir={self.data}",
                   "--auth-root-authentication-method=normal", "--skip-test-db"]
        return ["/bin/sh", "-c", 'tables=$1; shift; sh -c "$tables" && exec "$@"', "sh", " ".join(install), *server]

    def probe(self, connection):
        return connection.recv(5)[4:] == b"\x0a"  # the greeting of protocol 10; an error would be 0xff


class Servers:
    """The servers asked for, started together. Use from the main thread: they die with the one that starts
    them. @plugins are enabled in every RabbitMQ; @clustered: these are the nodes of one cluster."""

    def __init__(self, rabbits=0, redis=False, mariadb=False, plugins=(), clustered=False):
        self.directory, self._lock = make_directory()
        atexit.register(self.stop)
        self.clustered = clustered
        self.epmd = Epmd(f"{self.directory}/epmd") if rabbits else None
        self.rabbits = [RabbitMQ(f"{self.directory}/rabbit{number}", self.epmd.port, number, plugins,
                                 rabbits if clustered else 1)
                        for number in range(1, rabbits + 1)]
        self.redis = Redis(f"{self.directory}/redis") if redis else None
        self.mariadb = MariaDB(f"{self.directory}/mariadb") if mariadb else None

    def all(self):
        return [server for server in (self.epmd, *self.rabbits, self.redis, self.mariadb) if server]

    def start(self):
        try:
            if self.epmd:  # before any node, which would otherwise start one that stays
                self.epmd.start()
                self.epmd.wait_ready()
            others = [server for server in self.all() if server is not self.epmd]
            for server in others:
                server.start()
            for server in others:
                server.wait_ready()
        except BaseException:
            self.stop()
            raise

    def stop(self):
        for server in reversed(self.all()):
            server.ask_to_stop()
        for server in reversed(self.all()):
            server.stop()
        shutil.rmtree(self.directory, ignore_errors=True)
        self._lock.close()
        atexit.unregister(self.stop)

    def variables(self):
        """What a program needs to find the servers, as environment variables."""
        found = {}
        for rabbit in self.rabbits:
            suffix = "" if rabbit.number == 1 else f"_{rabbit.number}"
            found["AMQP_URL" + suffix] = rabbit.url
            found["RABBITMQCTL" + suffix] = rabbit.ctl
            found["RABBITMQ_PID" + suffix] = str(rabbit.process.pid)
        if self.clustered:
            found["AMQP_CLUSTER_URL"] = ",".join(rabbit.url for rabbit in self.rabbits)
        if self.redis:
            found["REDIS_URL"] = self.redis.url
            found["REDIS_PID"] = str(self.redis.process.pid)
        if self.mariadb:
            found["MYSQL_URL"] = self.mariadb.url
            found["MYSQL_PID"] = str(self.mariadb.process.pid)
        return found

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()


class Stopped(Exception):
    def __init__(self, number):
        super().__init__(number)
        self.number = number


def raise_stopped(number, _frame):
    raise Stopped(number)


def children():
    """Process ids of our children, those that were handed to us because their parent ended included."""
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path) as stat:
                text = stat.read()
        except OSError:
            continue
        if int(text.rpartition(")")[2].split()[1]) == os.getpid():
            yield int(path.split("/")[2])


def end_leftovers(keep):
    """Kills what the command left running; @keep are our servers."""
    while True:
        left = [pid for pid in children() if pid not in keep]
        if not left:
            return
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass


def wait_for(child, servers):
    """Waits for @child and meanwhile buries the orphans that the kernel hands to us. A RabbitMQ that the command
    kills is started again, as a machine's service manager would."""
    while child.returncode is None:
        processes = {server.process.pid: server.process for server in servers.all()}
        processes[child.pid] = child
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT).si_pid
        if ended in processes:
            processes[ended].wait()
        else:
            os.waitpid(ended, 0)
        for rabbit in servers.rabbits:
            if rabbit.process.returncode == -signal.SIGKILL:
                rabbit.start()
    return child.returncode


def run_command(command, servers):
    """The command's exit status, 128 + N if a signal ended it or us."""
    child = None
    try:
        child = subprocess.Popen(command, env={**os.environ, **servers.variables()},
                                 preexec_fn=die_with_parent(signal.SIGTERM))
        status = wait_for(child, servers)
        return status if status >= 0 else 128 - status
    except Stopped as stopped:
        if child is not None:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            child.terminate()
            try:
                child.wait(STOP_DEADLINE_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        return 128 + stopped.number
    except OSError as error:
        print(f"servers: cannot run {command[0]}: {error.strerror}", file=sys.stderr)
        return 127


def parse_arguments():
    parser = argparse.ArgumentParser(
        prog="servers.py",
        usage="servers.py [--rabbit N | --rabbit-cluster N] [--plugin NAME] [--redis] [--mariadb] -- COMMAND ...",
        description="Runs COMMAND beside private servers and stops them when it ends; exits with its status.",
        epilog="COMMAND finds them in AMQP_URL (of further nodes: AMQP_URL_2 ...; all nodes of a "
               "cluster, separated by commas: AMQP_CLUSTER_URL), REDIS_URL, MYSQL_URL; "
               "in RABBITMQCTL the rabbitmqctl that reaches the node (\"$RABBITMQCTL\" list_queues), and in "
               "RABBITMQ_PID, REDIS_PID, MYSQL_PID their process ids.")
    parser.add_argument("--rabbit", type=int, default=0, metavar="N", help="start N RabbitMQ nodes")
    parser.add_argument("--rabbit-cluster", type=int, default=0, metavar="N", help="start one RabbitMQ of N nodes")
    parser.add_argument("--plugin", action="append", default=[], metavar="NAME", help="enable it in every RabbitMQ")
    parser.add_argument("--redis", action="store_true", help="start Redis")
    parser.add_argument("--mariadb", action="store_true", help="start MariaDB")
    parser.add_argument("command", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.command[:1] == ["--"]:
        del arguments.command[0]
    if arguments.rabbit and arguments.rabbit_cluster:
        parser.error("--rabbit and --rabbit-cluster exclude each other")
    if not arguments.command:
        parser.error("which COMMAND? See --help")
    return arguments


def main():
    arguments = parse_arguments()
    signal.signal(signal.SIGINT, raise_stopped)
    signal.signal(signal.SIGTERM, raise_stopped)
    signal.signal(signal.SIGHUP, raise_stopped)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)  # a shell ignores it for what it starts in the background
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
    servers = None
    try:
        servers = Servers(arguments.rabbit or arguments.rabbit_cluster, arguments.redis, arguments.mariadb,
                          arguments.plugin, clustered=arguments.rabbit_cluster > 0)
        servers.start()
        return run_command(arguments.command, servers)
    except ServerError as error:
        print(f"servers: {error}", file=sys.stderr)
        return 69
    except Stopped as stopped:
        return 128 + stopped.number
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        if servers:
            end_leftovers({server.process.pid for server in servers.all() if server.process})
            servers.stop()


if __name__ == "__main__":
    sys.exit(main())
