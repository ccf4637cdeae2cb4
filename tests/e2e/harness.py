"""Starts the built programs for tests, waits until they are ready, and stops them."""
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

START_TIMEOUT_S = 60  # a sanitizer build on a busy machine


class StartFailed(Exception):
    pass


# Below the kernel's range for outgoing connections: what is free now stays free.
PORTS = range(20_000, 32_000)


def free_ports(count):
    """Different ports that are free. Only for what cannot be told to take port 0 and say which."""
    found = []
    for port in random.sample(PORTS, len(PORTS)):
        if len(found) == count:
            break
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
    return found


class Program:
    """A child process whose first line of standard output says, as JSON, where it listens."""

    def __init__(self, command, log, environment=None):
        self.log = pathlib.Path(log)
        self.errors = open(self.log, "ab")
        self.child = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=self.errors, env={**os.environ, **(environment or {})})
        self.ready = None

    def wait_ready(self):
        """The first line as JSON. Raises StartFailed with the end of the log."""
        lines = []
        reader = threading.Thread(target=lambda: lines.append(self.child.stdout.readline()),
                                  daemon=True)
        reader.start()
        reader.join(START_TIMEOUT_S)
        if not lines or not lines[0].startswith(b"{"):
            self.kill()
            said = lines[0].decode(errors="replace") if lines else ""
            raise StartFailed(f"{self.child.args[:2]} said {said!r}\n{self.tail()}")
        self.ready = json.loads(lines[0])
        threading.Thread(target=self._drain, daemon=True).start()
        return self.ready

    def _drain(self):
        for _ in self.child.stdout:
            pass

    def tail(self, lines=30):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def alive(self):
        return self.child.poll() is None

    def stop(self, timeout_s=60):
        """SIGTERM, and its exit code; killed when it does not end."""
        if self.alive():
            self.child.send_signal(signal.SIGTERM)
        try:
            return self.child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            return None
        finally:
            self.errors.close()

    def kill(self):
        if self.alive():
            self.child.kill()
        self.child.wait()


def wait_until(condition, timeout_s=30, what="the condition"):
    """Asks until it holds; returns its value."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not hold within {timeout_s} s")
        time.sleep(0.02)


def get_json(url, token=None, timeout_s=30):
    request = urllib.request.Request(
        url, headers={"authorization": f"Bearer {token}"} if token else {})
    with urllib.request.urlopen(request, timeout=timeout_s) as reply:
        return json.load(reply)


def is_up(url):
    try:
        with urllib.request.urlopen(url, timeout=1) as reply:
            return reply.status == 200
    except OSError:
        return False


def scratch(name):
    return pathlib.Path(tempfile.mkdtemp(prefix=f"entrepot-{name}-"))


def run(command, timeout_s=120):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          timeout=timeout_s, check=False)
