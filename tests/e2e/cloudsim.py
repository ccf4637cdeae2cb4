"""A running cloudsim: its clouds as the gateway's configuration wants them, and what it served."""
import dataclasses
import json
import urllib.request

import harness
from simulator import Simulator


@dataclasses.dataclass
class Served:
    """One answered request. `usage` in normal form; `reported`: it left cloudsim."""
    cloud: str
    exchange: str
    status: int
    usage: dict
    reported: bool
    completed: bool
    fault: str


class Cloudsim:
    def __init__(self, build, log, invoice=None):
        """`invoice`: a folder for the sellers' bills, written when it ends."""
        bills = ["--invoice", invoice] if invoice else []
        self.program = harness.Program(
            [build / "cloudsim", "--listen", "127.0.0.1:0", "--json", *bills], log)
        ready = self.program.wait_ready()
        self.url, self.clouds = ready["control_url"], ready["clouds"]
        self.identity_url = ready["identity_url"]
        self.controls = Simulator(self.url)

    def stop(self):
        self.program.stop(10)

    def clouds_yaml(self, timeouts=None):
        """Entries of `clouds:` by name; bedrock and oci twice, signed and by a key, and vertex
        twice, by tokens of the metadata server and by a key."""
        entries = {}
        for name, cloud in self.clouds.items():
            common = f'kind: {cloud["kind"]}, endpoint: "{cloud["endpoint"]}"'
            common += f', timeouts: {timeouts}' if timeouts else ""
            key = f', api_key: "{cloud["api_key"]}"'
            region = f', region: {cloud["region"]}' if cloud.get("region") else ""
            if cloud.get("service"):
                region += f', service: {cloud["service"]}'
            if cloud["kind"] == "bedrock":
                if name == "bedrock":
                    entries["bedrock_bearer"] = f"{{{common}{region}{key}}}"
                key = (f', access_key_id: "{cloud["access_key_id"]}", '
                       f'secret_access_key: "{cloud["secret_access_key"]}"')
            if name == "oci":
                region += f', compartment: {cloud["compartment"]}'
                entries["oci_signed"] = f"{{{common}{region}{self.oci_credentials()}}}"
            if name == "vertex":
                entries["vertex_express"] = f"{{{common}{key}}}"
                region += f', project: {cloud["project"]}'
                key = f', credentials: {{from: metadata, endpoint: "{self.identity_url}"}}'
            entries[name] = f"{{{common}{region}{key}}}"
        return entries

    def oci_credentials(self):
        oci = harness.get_json(self.url + "/_sim/identity")["oci"]
        # A JSON text is one of YAML.
        return (f', credentials: {{from: signing_key, tenancy: {oci["tenancy"]}, '
                f'user: {oci["user"]}, fingerprint: "{oci["fingerprint"]}", '
                f'private_key: {json.dumps(oci["private_key"])}}}')

    def model_of(self, cloud):
        for suffix in ("_bearer", "_signed", "_express"):
            cloud = cloud.removesuffix(suffix)
        return self.clouds[cloud]["models"][0]

    def served(self):
        entries = []
        with urllib.request.urlopen(self.url + "/_sim/served", timeout=60) as reply:
            for line in reply:
                entry = json.loads(line)
                entries.append(Served(entry["cloud"], entry["exchange"], entry["status"],
                                      entry["usage"], entry["reported"], entry["completed"],
                                      entry["fault"]))
        return entries

    # ---- behaviours of the simulations ----

    def slow(self, event_ms):
        self.controls.put({"all": {"chunk_ms": event_ms}})

    def mixed_faults(self, seed):
        """Three of ten requests meet a fault."""
        faults = ["dead", "throttle", "overload", "error500", "truncate_stream", "stream_error",
                  "bad_crc", "wrong_content_type", "empty", "no_usage"]
        mix = [{"fault": fault, "per_mille": 30} for fault in faults]
        self.controls.put({"all": {"mix": mix, "seed": seed, "chunk_ms": 2}})

    def break_cloud(self, cloud, fault):
        name = {"throttled": "throttle", "truncated": "truncate_stream"}.get(fault, fault)
        self.controls.put({"clouds": {cloud: {"fault": name}}})
