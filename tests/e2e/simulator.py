"""The controls of a running cloudsim, as the e2e cases use them."""
import json
import urllib.request


class Simulator:
    def __init__(self, url):
        self.url = url

    def _set(self, state):
        request = urllib.request.Request(self.url + "/control", json.dumps(state).encode(),
                                         {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as reply:
            reply.read()

    def reset(self):
        self._set({})

    def answer(self, text="", tool_calls=()):
        self._set({"answer": {"text": text, "tool_calls": list(tool_calls)}})

    def fail(self, status, message="", retry_after_s=1):
        self._set({"fail": {"status": status, "message": message, "retry_after_s": retry_after_s}})

    def slow(self, event_ms):
        self._set({"slow": {"event_ms": event_ms}})

    def truncate(self, after_events):
        self._set({"truncate": {"after_events": after_events}})
