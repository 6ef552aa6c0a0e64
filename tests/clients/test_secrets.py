#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Redis behind a socket and MySQL with TLS, both with a password that stands in a file of its own."""

import os
import subprocess
import sys

import tap
from authority import Authority

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from servers import Servers

PASSWORD = "ge/h@m: 5%"
UNAVAILABLE = 69


def ctl(configuration, *arguments, **environment):
    """Runs clusterctl; nothing it prints may hold the password."""
    done = subprocess.run(["clusterctl", "-c", configuration, *arguments], capture_output=True, text=True, check=False,
                          env={**os.environ, **environment})
    assert PASSWORD not in done.stdout + done.stderr and "%2F" not in done.stdout + done.stderr, done
    return done


class World:
    def __init__(self, servers):
        self.folder = servers.directory
        self.ours, self.other = Authority(self.folder, "ours"), Authority(self.folder, "other")
        self.socket = os.path.join(self.folder, "redis.sock")
        self.mysql = f"mysql://router@127.0.0.1:{servers.mariadb.port}/test"
        self.password_file = self.write("password", PASSWORD + "\n")
        self.prepare_redis(servers.redis)
        self.prepare_mariadb(servers.mariadb)
        servers.start()

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def prepare_redis(self, redis):
        command = [*redis.command(), "--requirepass", PASSWORD, "--unixsocket", self.socket]
        redis.command = lambda: command
        redis.probe = lambda connection: os.path.exists(self.socket)

    def prepare_mariadb(self, mariadb):
        certificate, key = self.ours.issue("mysql", "IP:127.0.0.1")
        with open(os.path.join(mariadb.directory, "first.sql"), "a", encoding="utf-8") as file:
            file.write(f"CREATE USER IF NOT EXISTS router@'%' IDENTIFIED BY '{PASSWORD}' REQUIRE SSL;\n"
                       "GRANT ALL ON test.* TO router@'%';\n")
        plain = mariadb.command
        mariadb.command = lambda: [*plain(), f"--ssl-ca={self.ours.certificate}", f"--ssl-cert={certificate}",
                                   f"--ssl-key={key}"]

    def configure(self, mysql_extra="", password_file=None):
        password_file = password_file or self.password_file
        return self.write("router.conf", f"""
[east]
cluster_member_ips = 10.0.0.11
[redis]
url = unix://{self.socket}?db=0
password_file = {password_file}
[mysql]
url = {self.mysql}
password_file = {password_file}
{mysql_extra}
[http]
listen = off
""")


def works(world):
    """The socket of redis and MySQL with the right authority answer"""
    configuration = world.configure(f"tls_ca = {world.ours.certificate}")
    for arguments in (["db", "sync"], ["cluster", "create", "east"], ["host", "add", "east", "10.0.0.12"]):
        done = ctl(configuration, *arguments)
        assert done.returncode == 0, done
    done = ctl(configuration, "config", "show")
    assert done.returncode == 0 and world.password_file in done.stdout, done


def credentials(world):
    """Credentials of systemd are passwords of redis and MySQL, and without their folder the error says what to do"""
    configuration = world.configure(f"tls_ca = {world.ours.certificate}", "${CREDENTIALS_DIRECTORY}/password")
    done = ctl(configuration, "host", "add", "east", "10.0.0.13", CREDENTIALS_DIRECTORY=world.folder)
    assert done.returncode == 0, done
    done = ctl(configuration, "host", "add", "east", "10.0.0.13")
    assert done.returncode == 78 and "LoadCredential" in done.stderr, done


def wrong_authority(world):
    """A server whose certificate another authority made is not talked to"""
    done = ctl(world.configure(f"tls_ca = {world.other.certificate}"), "db", "sync")
    assert done.returncode == UNAVAILABLE and "certificate" in done.stderr, done


def plain(world):
    """A user who must use TLS is refused without, and the message says so"""
    done = ctl(world.configure(), "db", "sync")
    assert done.returncode == UNAVAILABLE and "Access denied" in done.stderr, done


def wrong_password(world):
    """A wrong password is told without showing it"""
    other = world.write("other", "no such")
    done = ctl(world.configure(password_file=other), "host", "add", "east", "10.0.0.12")
    assert done.returncode == UNAVAILABLE and "WRONGPASS" in done.stderr and "no such" not in done.stderr, done


def public(world):
    """A password that everyone may read is refused, with what to do"""
    public_file = world.write("public", PASSWORD)
    os.chmod(public_file, 0o644)
    done = ctl(world.configure(password_file=public_file), "status")
    assert done.returncode == 78 and f"chmod 640 {public_file}" in done.stderr, done


def main():
    os.umask(0o077)
    tap.need("REDIS_URL", "MYSQL_URL")
    servers = Servers(redis=True, mariadb=True)
    broken = tap.run([works, credentials, wrong_authority, plain, wrong_password, public], World(servers))
    servers.stop()
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
