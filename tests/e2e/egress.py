#!/usr/bin/env python3
"""The ways to suppliers and in from clients: a CONNECT proxy, private authorities, certificates on
both sides.

    tests/e2e/egress.py --build build/dev [-k NAME]

A TLS end and a proxy of this file's own stand between the built gateway and cloudsim; certificates
are made with openssl. Prints `ok NAME` or `not ok NAME: reason` per case and ends with
`N passed, N failed`.
"""
import argparse
import contextlib
import http.client
import json
import pathlib
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import traceback
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import harness  # noqa: E402
from cloudsim import Cloudsim  # noqa: E402
from stage import SECRET, Gateway, offer_yaml  # noqa: E402

MODEL = "llama-3.3-70b"


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


class Authority:
    """A private authority and what it signs: `name.pem` and `name.key` in a folder."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", 2, "-subj",
                f"/CN={name}", "-keyout", self.file("key"), "-out", self.file("pem"))

    def file(self, suffix, name=None):
        return self.folder / f"{name or self.name}.{suffix}"

    def sign(self, name):
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout",
                self.file("key", name), "-out", self.file("csr", name))
        extensions = self.file("cnf", name)
        extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        openssl("x509", "-req", "-in", self.file("csr", name), "-CA", self.file("pem"), "-CAkey",
                self.file("key"), "-CAcreateserial", "-days", 2, "-extfile", extensions, "-out",
                self.file("pem", name))
        return self.file("pem", name), self.file("key", name)


def pump(source, sink):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def join(one, other):
    threading.Thread(target=pump, args=(one, other), daemon=True).start()
    pump(other, one)


class Listener:
    """Accepts on loopback; `serve(socket)` runs on a thread of its own for each connection."""

    def __init__(self):
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listening.accept()
                threading.Thread(target=self.guarded, args=(client,), daemon=True).start()

    def guarded(self, client):
        with client, contextlib.suppress(OSError, ssl.SSLError):
            self.serve(client)

    def close(self):
        self.listening.close()


class TlsEnd(Listener):
    """TLS in front of a plain port; with `client_ca`, for clients with a certificate alone."""

    def __init__(self, cert, key, port, client_ca=None):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(cert, key)
        if client_ca:
            self.context.verify_mode = ssl.CERT_REQUIRED
            self.context.load_verify_locations(client_ca)
        self.target = port
        self.subjects = []
        super().__init__()

    def serve(self, client):
        with self.context.wrap_socket(client, server_side=True) as inner:
            certificate = inner.getpeercert() or {}
            self.subjects.append([value for part in certificate.get("subject", ())
                                  for _, value in part])
            with socket.create_connection(("127.0.0.1", self.target)) as outer:
                join(inner, outer)


class Proxy(Listener):
    """Takes CONNECT and nothing else; remembers to where."""

    def __init__(self, answer=b"HTTP/1.1 200 Connection established\r\n\r\n"):
        self.answer, self.asked = answer, []
        super().__init__()

    def serve(self, client):
        head = b""
        while b"\r\n\r\n" not in head:
            data = client.recv(4096)
            if not data:
                return
            head += data
        method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
        self.asked.append(f"{method} {target}")
        client.sendall(self.answer)
        if not self.answer.startswith(b"HTTP/1.1 200"):
            return
        host, port = target.rsplit(":", 1)
        with socket.create_connection((host, int(port))) as outer:
            join(client, outer)


class World:
    """cloudsim, two authorities, and certificates of both."""

    def __init__(self, build, folder):
        self.build, self.folder = build, folder
        self.sim = Cloudsim(build, folder / "cloudsim.log")
        self.ours = Authority(folder, "ours")
        self.foreign = Authority(folder, "foreign")
        self.server = self.ours.sign("supplier")
        self.client = self.ours.sign("gateway")
        self.stranger = self.foreign.sign("stranger")
        cloud = self.sim.clouds["openai_compatible"]
        self.port = urllib.parse.urlsplit(cloud["endpoint"]).port
        self.key = cloud["api_key"]

    @contextlib.contextmanager
    def gateway(self, name, endpoint, more="", extra=""):
        """A gateway whose one cloud is at `endpoint`; checks its books when it goes."""
        clouds = {"sim": f"{{kind: openai_compatible, endpoint: \"{endpoint}/v1\", "
                         f"api_key: {self.key}{more}}}"}
        up = Gateway(self.build, self.folder / name, clouds,
                     {"m": {"sim": offer_yaml("sim", MODEL)}}, extra=extra)
        up.start()
        try:
            yield up
            assert not [b for b in up.api("budgets")["budgets"] if b["open_holds"]]
        finally:
            code = up.stop()
        assert code == 0, f"SIGTERM ended it with {code}\n{up.program.tail()}"


def ask(connection, stream=False):
    body = json.dumps({"model": "m", "stream": stream,
                       "messages": [{"role": "user", "content": "hello"}]})
    connection.request("POST", "/v1/chat/completions", body, {
        "authorization": f"Bearer {SECRET}", "content-type": "application/json"})
    reply = connection.getresponse()
    return reply.status, reply.read().decode()


def ask_plainly(up, stream=False):
    return ask(http.client.HTTPConnection("127.0.0.1", up.port, timeout=30), stream)


def expect_served(up):
    for stream in (False, True):
        status, body = ask_plainly(up, stream)
        assert status == 200, f"{status} {body}\n{up.program.tail()}"


def expect_unreachable(up):
    status, body = ask_plainly(up)
    assert status == 502, f"{status} {body}"
    assert json.loads(body)["error"]["code"] == "upstream_unreachable", body


CASES = []


def case(work):
    CASES.append(work)
    return work


@case
def a_private_authority_is_believed_where_it_is_named_and_nowhere_else(world):
    end = TlsEnd(*world.server, world.port)
    at = f"https://localhost:{end.port}"
    with world.gateway("ca", at, f", ca_file: {world.ours.file('pem')}") as up:
        expect_served(up)
    with world.gateway("no-ca", at) as up:
        expect_unreachable(up)
    with world.gateway("other-ca", at, f", ca_file: {world.foreign.file('pem')}") as up:
        expect_unreachable(up)
    end.close()


@case
def a_certificate_is_shown_to_a_supplier_that_asks_for_one(world):
    end = TlsEnd(*world.server, world.port, client_ca=world.ours.file("pem"))
    at = f"https://127.0.0.1:{end.port}"
    ca = f", ca_file: {world.ours.file('pem')}"
    cert, key = world.client
    with world.gateway("mtls", at, f"{ca}, client_cert: {cert}, client_key: {key}") as up:
        expect_served(up)
    assert ["gateway"] in end.subjects, end.subjects
    before = len(end.subjects)
    with world.gateway("no-cert", at, ca) as up:
        expect_unreachable(up)
    cert, key = world.stranger
    with world.gateway("strange", at, f"{ca}, client_cert: {cert}, client_key: {key}") as up:
        expect_unreachable(up)
    assert len(end.subjects) == before, "a connection without our certificate came through"
    end.close()


@case
def a_proxy_is_asked_to_connect_for_tls_and_for_clear_text(world):
    proxy = Proxy()
    end = TlsEnd(*world.server, world.port, client_ca=world.ours.file("pem"))
    cert, key = world.client
    more = (f", proxy: \"http://127.0.0.1:{proxy.port}\", ca_file: {world.ours.file('pem')}, "
            f"client_cert: {cert}, client_key: {key}")
    with world.gateway("proxy-tls", f"https://localhost:{end.port}", more) as up:
        expect_served(up)
    assert set(proxy.asked) == {f"CONNECT localhost:{end.port}"}, proxy.asked
    assert ["gateway"] in end.subjects, "the certificate did not reach through the proxy"
    proxy.asked.clear()
    with world.gateway("proxy-clear", f"http://127.0.0.1:{world.port}",
                       f", proxy: \"http://127.0.0.1:{proxy.port}\"") as up:
        expect_served(up)
    assert set(proxy.asked) == {f"CONNECT 127.0.0.1:{world.port}"}, proxy.asked
    proxy.close()
    end.close()


@case
def a_proxy_that_refuses_costs_nothing_and_reaches_nobody(world):
    proxy = Proxy(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
    before = len(world.sim.served())
    with world.gateway("refused", f"http://127.0.0.1:{world.port}",
                       f", proxy: \"http://127.0.0.1:{proxy.port}\"") as up:
        expect_unreachable(up)
    assert proxy.asked, "the proxy was not asked"
    assert len(world.sim.served()) == before, "the supplier was asked past the proxy"
    proxy.close()


@case
def files_that_cannot_be_used_are_named_before_anything_starts(world):
    cert, _ = world.client
    _, key = world.stranger
    for name, more, word in (
            ("missing", "ca_file: /nowhere/ca.pem", "/nowhere/ca.pem"),
            ("half", f"client_cert: {cert}", "'client_key' is missing"),
            ("mixed", f"client_cert: {cert}, client_key: {key}", "does not belong")):
        config = world.folder / f"{name}.yaml"
        config.write_text("clouds: {c: {kind: openai, api_key: k, endpoint: "
                          f"\"https://127.0.0.1:1/v1\", {more}}}}}\n")
        done = subprocess.run([world.build / "entrepot", "serve", "--config", config],
                              capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 3, f"{name}: {done.returncode} {done.stderr}"
        assert word in done.stdout + done.stderr, f"{name}: {done.stdout}{done.stderr}"


@case
def clients_of_a_tls_listener_show_a_certificate_of_its_authority(world):
    """`client_ca`: who has none, or a stranger's, does not come as far as HTTP."""
    cert, key = world.server
    folder = world.folder / "inbound"
    folder.mkdir()
    port, admin = harness.free_ports(2)
    config = folder / "entrepot.yaml"
    config.write_text(
        f"listen: {{address: \"127.0.0.1:{port}\", tls: {{cert: {cert}, key: {key}, "
        f"client_ca: {world.ours.file('pem')}}}}}\nadmin: {{listen: 127.0.0.1:{admin}}}\n"
        "data: ./data\nclouds: {sim: {kind: openai_compatible, endpoint: "
        f"\"http://127.0.0.1:{world.port}/v1\", api_key: {world.key}}}}}\n"
        f"models: {{m: {{offers: {{sim: {offer_yaml('sim', MODEL)}}}}}}}\n"
        "orgs: {o: {}}\nteams: {t: {org: o}}\n"
        f"keys: {{k: {{team: t, secret: {SECRET}}}}}\n")
    program = harness.Program([world.build / "entrepot", "serve", "--config", config],
                              folder / "gateway.log")

    def connect(pair=None):
        context = ssl.create_default_context(cafile=world.ours.file("pem"))
        if pair:
            context.load_cert_chain(*pair)
        return http.client.HTTPSConnection("localhost", port, timeout=30, context=context)

    try:
        harness.wait_until(lambda: harness.is_up(f"http://127.0.0.1:{admin}/readyz"), 60, "a start")
        for stream in (False, True):
            status, body = ask(connect(world.client), stream)
            assert status == 200, f"{status} {body}\n{program.tail()}"
        for pair in (None, world.stranger):
            try:
                status, body = ask(connect(pair))
            except (OSError, http.client.HTTPException):
                continue
            raise AssertionError(f"it was answered without a certificate: {status} {body}")
        status, _ = ask(connect(world.client))
        assert status == 200, "a refused handshake took the listener with it"
    finally:
        code = program.stop()
    assert code == 0, f"{code}\n{program.tail()}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("-k", metavar="NAME", default="", help="only cases whose name holds NAME")
    options = parser.parse_args()
    folder = harness.scratch("egress")
    world = World(options.build.resolve(), folder)
    passed = failed = 0
    try:
        for work in CASES:
            name = work.__name__.replace("_", " ")
            if options.k not in name:
                continue
            try:
                work(world)
                print(f"ok {name}", flush=True)
                passed += 1
            except Exception:  # one case must not hide the next
                print(f"not ok {name}: {traceback.format_exc()}", flush=True)
                failed += 1
    finally:
        world.sim.stop()
    if not failed:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
