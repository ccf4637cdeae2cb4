#!/usr/bin/env python3
"""Clouds whose credentials are fetched, through the built gateway: every source, renewal, and loss.

    tests/e2e/credentials.py --build build/dev [-k NAME]

A gateway of its own with cloudsim behind it, which issues what it later demands. No SDK is needed.
Prints `ok NAME` or `not ok NAME: reason` per case and ends with `N passed, N failed`.
"""
import argparse
import json
import pathlib
import shutil
import sys
import time
import traceback
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import harness  # noqa: E402
from cloudsim import Cloudsim  # noqa: E402
from stage import SECRET, Gateway, offer_yaml  # noqa: E402

BEDROCK_MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
LIFETIME_S = 4


class Sim:
    """cloudsim, and who issues credentials there."""

    def __init__(self, build, folder):
        self.cloudsim = Cloudsim(build, folder / "cloudsim.log")
        self.folder = folder
        self.facts = harness.get_json(self.cloudsim.url + "/_sim/identity")

    def issue(self, lifetime_s=3600, status=0):
        body = json.dumps({"lifetime_s": lifetime_s, "status": status}).encode()
        request = urllib.request.Request(self.cloudsim.url + "/_sim/identity", body, method="PUT")
        urllib.request.urlopen(request, timeout=10).read()

    def asked(self, endpoint):
        return harness.get_json(self.cloudsim.url + "/_sim/identity")["asked"].get(endpoint, 0)

    def file(self, name, content):
        path = self.folder / name
        path.write_text(content)
        path.chmod(0o600)
        return path

    def clouds(self):
        """Entries of `clouds:` by name, one for each source."""
        at = self.facts["endpoint"]
        aws, entra, google = (self.facts[name] for name in ("aws", "entra", "google"))
        keys = self.cloudsim.clouds["bedrock"]
        profile = self.file("aws-credentials", "[e2e]\n"
                            f"aws_access_key_id = {keys['access_key_id']}\n"
                            f"aws_secret_access_key = {keys['secret_access_key']}\n")
        web = self.file("web-token", aws["web_identity_token"] + "\n")
        pod = self.file("pod-token", aws["container_token"])
        federated = self.file("federated-token", entra["federated_token"])
        pem = self.file("entra.pem", entra["certificate"] + entra["private_key"])
        key = self.file("gcp.json", google["key_file"])
        oci = self.facts["oci"]
        oci_pem = self.file("oci.pem", oci["private_key"])
        oci_token = self.file("oci-token", oci["session_token"])
        oci_config = self.file("oci-config", f"[DEFAULT]\ntenancy={oci['tenancy']}\n"
                               f"user={oci['user']}\nfingerprint={oci['fingerprint']}\n"
                               f"key_file={oci_pem.name}\nregion=eu-frankfurt-1\n"
                               f"[session]\nsecurity_token_file={oci_token}\n")
        compartment = f", compartment: {self.cloudsim.clouds['oci']['compartment']}"
        app = f"tenant: {entra['tenant']}, client_id: {entra['client_id']}"

        def entry(kind, credentials, more=""):
            cloud = self.cloudsim.clouds[kind]
            region = f", region: {cloud['region']}" if cloud.get("region") else ""
            return (f"{{kind: {kind}, endpoint: \"{cloud['endpoint']}\"{region}{more}, "
                    f"credentials: {{{credentials}}}}}")

        return {
            "aws-environment": entry("bedrock", "from: environment"),
            "aws-profile": entry("bedrock", "from: profile, profile: e2e, "
                                 f"credentials_file: {profile}"),
            "aws-web": entry("bedrock", f"from: web_identity, endpoint: \"{at}\", "
                             f"role_arn: \"{aws['role_arn']}\", token_file: {web}"),
            "aws-instance": entry("bedrock", f"from: instance, endpoint: \"{at}\""),
            "aws-container": entry("bedrock", "from: container, endpoint: "
                                   f"\"{at}{aws['container_path']}\", token_file: {pod}"),
            "entra-secret": entry("azure", f"from: client_secret, endpoint: \"{at}\", {app}, "
                                  "client_secret: \"${env:E2E_ENTRA_SECRET}\""),
            "entra-certificate": entry("azure", f"from: client_certificate, endpoint: \"{at}\", "
                                       f"{app}, certificate: \"${{file:{pem}}}\""),
            "entra-managed": entry("azure", f"from: managed_identity, endpoint: \"{at}\""),
            "entra-workload": entry("azure", f"from: workload_identity, endpoint: \"{at}\", "
                                    f"{app}, token_file: {federated}"),
            "google-account": entry("vertex", "from: service_account, "
                                    f"endpoint: \"{at}/token\"",
                                    f", service_account: \"${{file:{key}}}\", project: "
                                    + self.cloudsim.clouds["vertex"]["project"]),
            "google-metadata": entry("openai_compatible", f"from: metadata, endpoint: \"{at}\""),
            "oci-key": entry("oci", f"from: signing_key, tenancy: {oci['tenancy']}, "
                             f"user: {oci['user']}, fingerprint: \"{oci['fingerprint']}\", "
                             f"private_key: \"${{file:{oci_pem}}}\"", compartment),
            "oci-instance": entry("oci", f"from: instance, endpoint: \"{at}\"", compartment),
            "oci-profile": entry("oci", f"from: profile, config_file: {oci_config}", compartment),
            "oci-session": entry("oci", f"from: profile, profile: session, "
                                 f"config_file: {oci_config}", compartment),
        }

    def environment(self):
        keys = self.cloudsim.clouds["bedrock"]
        return {"AWS_ACCESS_KEY_ID": keys["access_key_id"],
                "AWS_SECRET_ACCESS_KEY": keys["secret_access_key"],
                "E2E_ENTRA_SECRET": self.facts["entra"]["client_secret"]}


def model_at(name):
    if name.startswith("aws"):
        return BEDROCK_MODEL
    if name.startswith("oci"):
        return "meta.llama-3.3-70b-instruct"
    if name == "google-account":
        return "gemini-2.5-flash"
    return "gpt-4o-mini" if name.startswith("entra") else "llama-3.3-70b"


class Case:
    """One gateway over some of the clouds; a context manager."""

    def __init__(self, build, sim, name, clouds, second=None):
        self.sim = sim
        folder = sim.folder / name
        models = {cloud: {"sim": offer_yaml(cloud, model_at(cloud))} for cloud in clouds}
        entries = {cloud: sim.clouds()[cloud] for cloud in clouds}
        if second:  # a constant key, and dearer: the next offer of every model
            entries["second"] = sim.cloudsim.clouds_yaml()["openai"]
            for offers in models.values():
                offers["second"] = offer_yaml("second", "gpt-4o").replace('"1.00"', '"90.00"')
        self.gateway = Gateway(build, folder, entries, models, environment=sim.environment())

    def __enter__(self):
        self.gateway.start()
        return self

    def __exit__(self, kind, value, trace):
        budgets = self.gateway.api("budgets") if kind is None else None
        code = self.gateway.stop()
        if kind is None:
            assert not [b for b in budgets["budgets"] if b["open_holds"]], budgets
            assert code == 0, f"SIGTERM ended it with {code}\n{self.gateway.program.tail()}"
            verify = harness.run([self.gateway.build / "entrepot", "ledger", "verify",
                                  "--config", self.gateway.config])
            assert verify.returncode == 0, verify.stdout + verify.stderr

    def ask(self, model, stream=False):
        """(status, the offer that served, body)"""
        body = {"model": model, "stream": stream,
                "messages": [{"role": "user", "content": "hello"}]}
        request = urllib.request.Request(
            self.gateway.base_url + "/v1/chat/completions", json.dumps(body).encode(),
            {"authorization": f"Bearer {SECRET}", "content-type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:
                return reply.status, reply.headers["x-entrepot-offer"], reply.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.headers["x-entrepot-offer"], refused.read().decode()


CASES = []


def case(work):
    CASES.append(work)
    return work


@case
def every_source_serves_whole_and_streamed(build, sim):
    with Case(build, sim, "sources", list(sim.clouds())) as up:
        for cloud in sim.clouds():
            for stream in (False, True):
                status, offer, body = up.ask(cloud, stream)
                assert status == 200, f"{cloud}: {status} {body}\n{up.gateway.program.tail()}"
                assert offer == f"{cloud}/sim", offer
    log = up.gateway.program.log.read_text()
    for secret in (sim.facts["entra"]["client_secret"], "PRIVATE KEY", "ya29."):
        assert secret not in log, "a secret is in the log"


def renewed(build, sim, cloud, endpoint):
    """Requests without a pause over more than one lifetime: none of them may notice."""
    sim.issue(lifetime_s=LIFETIME_S)
    before = sim.asked(endpoint)
    with Case(build, sim, f"renewed-{cloud}", [cloud]) as up:
        end = time.monotonic() + 2 * LIFETIME_S
        while time.monotonic() < end:
            status, _, body = up.ask(cloud)
            assert status == 200, f"{status} {body}\n{up.gateway.program.tail()}"
    fetched = sim.asked(endpoint) - before
    # Two cores, thousands of requests: one fetch each time, ahead of the end.
    assert 3 <= fetched <= 12, f"{fetched} requests to {endpoint}"


def lost(build, sim, cloud):
    """The issuer dies: the old credential serves until it expires, then the next offer does."""
    sim.issue(lifetime_s=LIFETIME_S)
    with Case(build, sim, f"lost-{cloud}", [cloud], second=True) as up:
        assert up.ask(cloud)[:2] == (200, f"{cloud}/sim")
        sim.issue(status=503)
        offers = []

        def moved():
            status, offer, body = up.ask(cloud)
            assert status == 200, f"{status} {body}"
            offers.append(offer)
            return offer == f"{cloud}/second"

        began = time.monotonic()
        harness.wait_until(moved, 3 * LIFETIME_S, "the move to the next offer")
        assert offers[0] == f"{cloud}/sim", "the old credential was dropped early"
        assert time.monotonic() - began > LIFETIME_S / 4
        sim.issue()
        harness.wait_until(lambda: up.ask(cloud)[1] == f"{cloud}/sim", 60, "the return")
        log = up.gateway.program.log.read_text()
        assert "could not be renewed" in log and "credentials have expired" in log, log[-2000:]


@case
def aws_keys_are_renewed_under_load(build, sim):
    renewed(build, sim, "aws-web", "sts")


@case
def entra_tokens_are_renewed_under_load(build, sim):
    renewed(build, sim, "entra-certificate", "entra")


@case
def google_tokens_are_renewed_under_load(build, sim):
    renewed(build, sim, "google-account", "google")


@case
def a_dead_aws_issuer_moves_requests_to_the_next_offer(build, sim):
    lost(build, sim, "aws-instance")


@case
def a_dead_entra_issuer_moves_requests_to_the_next_offer(build, sim):
    lost(build, sim, "entra-secret")


@case
def a_dead_google_issuer_moves_requests_to_the_next_offer(build, sim):
    lost(build, sim, "google-metadata")


@case
def without_another_offer_the_client_gets_a_502_and_pays_nothing(build, sim):
    sim.issue(status=500)
    with Case(build, sim, "alone", ["entra-secret"]) as up:
        status, _, body = up.ask("entra-secret")
        assert status == 502, body
        assert json.loads(body)["error"]["code"] == "upstream_auth", body
        spent = [b for b in up.gateway.api("budgets")["budgets"] if b["open_holds"]]
        assert not spent, spent


@case
def validate_names_what_is_missing(build, sim):
    config = sim.file("lacking.yaml", "clouds:\n  aws: {kind: bedrock, region: us-east-1, "
                      "credentials: {from: web_identity}}\n  az: {kind: azure, endpoint: "
                      "\"https://a.openai.azure.com\", credentials: {from: client_secret}}\n")
    done = harness.run(["env", "-u", "AWS_ROLE_ARN", "-u", "AWS_WEB_IDENTITY_TOKEN_FILE",
                        build / "entrepot", "validate", config])
    assert done.returncode == 3, done.returncode
    for name in ("role_arn", "token_file", "tenant", "client_id", "client_secret"):
        assert f"'{name}' is missing" in done.stdout, done.stdout


@case
def oracle_sessions_are_renewed_under_load(build, sim):
    renewed(build, sim, "oci-instance", "oci_federation")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("-k", metavar="NAME", default="", help="only cases whose name holds NAME")
    options = parser.parse_args()
    build = options.build.resolve()
    folder = harness.scratch("credentials")
    sim = Sim(build, folder)
    passed = failed = 0
    try:
        for work in CASES:
            name = work.__name__.replace("_", " ")
            if options.k not in name:
                continue
            try:
                sim.issue()
                sim.cloudsim.controls.reset()
                work(build, sim)
                print(f"ok {name}", flush=True)
                passed += 1
            except Exception:  # one case must not hide the next
                print(f"not ok {name}: {traceback.format_exc()}", flush=True)
                failed += 1
    finally:
        sim.cloudsim.stop()
    if not failed:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
