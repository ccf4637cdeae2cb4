"""The run-time controls of a cloudsim (apps/cloudsim/README.md), as the cases use them."""
import json
import urllib.request


class Simulator:
    def __init__(self, control_url):
        self.control_url = control_url

    def put(self, config):
        request = urllib.request.Request(
            self.control_url + "/_sim/config", json.dumps(config).encode(),
            {"content-type": "application/json"}, method="PUT")
        with urllib.request.urlopen(request, timeout=10) as reply:
            reply.read()

    def reset(self):
        self.put({})

    def answer(self, text="", tool_calls=()):
        answer = {"text": text}
        if tool_calls:
            answer = {"tool_calls": list(tool_calls)}
        self.put({"all": {"answer": answer}})

    def fail(self, status, message="refused by the simulation", retry_after_s=1):
        self.put({"all": {"fault": "status", "status": status, "message": message,
                          "retry_after_s": retry_after_s}})

    def refuse(self, refusal):
        """A refusal in the words of each cloud (apps/cloudsim/refusals.cc)."""
        self.put({"all": {"fault": "refusal", "refusal": refusal, "retry_after_s": 0}})

    def served(self):
        """What was answered since `forget`, entry by entry (apps/cloudsim/README.md)."""
        with urllib.request.urlopen(self.control_url + "/_sim/served", timeout=10) as reply:
            return [json.loads(line) for line in reply]

    def forget(self):
        urllib.request.urlopen(urllib.request.Request(
            self.control_url + "/_sim/served", method="DELETE"), timeout=10).close()

    def slow(self, event_ms):
        self.put({"all": {"chunk_ms": event_ms, "chunks": 50, "output_tokens": 100}})

    def truncate(self, after_events):
        self.put({"all": {"fault": "truncate_stream", "after_chunks": after_events, "chunks": 20,
                          "output_tokens": 100}})
