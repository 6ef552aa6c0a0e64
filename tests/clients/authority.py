# SPDX-License-Identifier: MIT
"""Certificates for tests."""

import os
import subprocess


class Authority:
    """A private certificate authority, made by openssl."""

    def __init__(self, folder, name):
        self.folder = folder
        self.certificate, self.key = self.path(f"{name}.pem"), self.path(f"{name}.key")
        self.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                     "-keyout", self.key, "-out", self.certificate)

    def path(self, name):
        return os.path.join(self.folder, name)

    def openssl(self, *arguments):
        done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def issue(self, name, alternative, days=2):
        """A certificate for these names, such as DNS:localhost; returns its path and that of its key. One of -1 days
        has expired."""
        certificate, key, request, extra = (self.path(f"{name}.{end}") for end in ("pem", "key", "csr", "ext"))
        with open(extra, "w", encoding="utf-8") as file:
            file.write(f"subjectAltName = {alternative}\n")
        self.openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        self.openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial",
                     "-days", str(days), "-extfile", extra, "-out", certificate)
        return certificate, key
