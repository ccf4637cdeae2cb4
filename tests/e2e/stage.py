"""A gateway with simulated clouds of every supplier kind behind it, on ports of their own."""
import json
import pathlib
import shutil

import harness
from cloudsim import Cloudsim

ACCESS_KEY = {"id": "EKIDE2E0123456789AB", "secret": "e2e/0123456789abcdef0123456789"}
SECRET = "sk-e2e-0123456789abcdef0123456789abcdef"
# One that may name what has no bound, and another that may and is somebody else.
CLAMPING, STRANGER = "sk-e2e-clamping-0123456789abcdef", "sk-e2e-stranger-0123456789abcdef"
KEPT_KEYS = "\n".join(
    f"  {name}: {{team: e2e, secret: {secret}, models: [\"*\"], policy: {{on_unbounded: clamp}}}}"
    for name, secret in (("clamping", CLAMPING), ("stranger", STRANGER)))
# Client's model name, kind of the cloud, id at the cloud.
TARGETS = [
    ("e2e-openai", "openai", "gpt-4o-mini"),
    ("e2e-compatible", "openai_compatible", "llama-3.3-70b"),
    ("e2e-azure", "azure", "gpt-4o-mini"),
    ("e2e-anthropic", "anthropic", "claude-sonnet-4-5-20250929"),
    ("e2e-bedrock", "bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    ("e2e-oci", "oci", "xai.grok-4"),
    # Native chat: of a dedicated endpoint, and in Cohere's second version.
    ("e2e-oci-native", "oci_signed", "ocid1.generativeaiendpoint.oc1.eu-frankfurt-1.simulated"),
    ("e2e-oci-cohere", "oci_signed", "cohere.command-a-reasoning-08-2025"),
    ("e2e-bedrock-mantle", "bedrock_mantle", "openai.gpt-oss-120b"),
    ("e2e-bedrock-bearer", "bedrock_bearer", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    ("e2e-gemini", "gemini", "gemini-2.5-flash"),
    ("e2e-cohere", "cohere", "command-a-reasoning-08-2025"),
    ("e2e-vertex-gemini", "vertex", "gemini-2.5-flash"),
    ("e2e-vertex-claude", "vertex", "claude-sonnet-4-5@20250929"),
    ("e2e-vertex-llama", "vertex", "meta/llama-3.3-70b-instruct-maas"),
    ("e2e-vertex-mistral", "vertex", "mistral-medium-3"),
    ("e2e-vertex-express", "vertex_express", "gemini-3-flash-preview"),
]
# In the OpenAI SDK's suite only: Bedrock's first service asked in OpenAI's format.
SUITE_TARGETS = [("e2e-bedrock-openai", "bedrock", "openai.gpt-oss-120b-1:0")]
# In the matrix only: models that take texts and no more.
TEXT_TARGETS = [("e2e-llama", "bedrock", "meta.llama3-8b-instruct-v1:0"),
                ("e2e-oci-cohere-1", "oci_signed", "cohere.command-r-08-2024")]
# Models that make vectors: the same, whichever cloud is asked.
VECTORS = [
    ("e2e-vectors-openai", "openai", "text-embedding-3-small"),
    ("e2e-vectors-compatible", "openai_compatible", "bge-m3"),
    ("e2e-vectors-azure", "azure", "text-embedding-3-small"),
    ("e2e-vectors-gemini", "gemini", "gemini-embedding-2"),
    ("e2e-vectors-vertex", "vertex", "text-embedding-005"),
    ("e2e-vectors-vertex-001", "vertex", "gemini-embedding-001"),
    ("e2e-vectors-vertex-2", "vertex_express", "gemini-embedding-2"),
    ("e2e-vectors-titan", "bedrock", "amazon.titan-embed-text-v2:0"),
    ("e2e-vectors-bedrock-cohere", "bedrock", "cohere.embed-english-v3"),
    ("e2e-vectors-cohere", "cohere", "embed-v4.0"),
]
# Whose suppliers count tokens, and one whose does not.
COUNTERS = [
    ("e2e-count-openai", "openai", "gpt-4o-mini"),
    ("e2e-count-anthropic", "anthropic", "claude-sonnet-4-5-20250929"),
    ("e2e-count-gemini", "gemini", "gemini-2.5-flash"),
    ("e2e-count-vertex", "vertex", "gemini-2.5-flash"),
    ("e2e-count-vertex-claude", "vertex", "claude-sonnet-4-5@20250929"),
    ("e2e-count-bedrock", "bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    ("e2e-count-compatible", "openai_compatible", "llama-3.3-70b"),
]
# Besides conversations: name, kind of the cloud, id at the cloud, prices per million, the rest.
TOKENS = {"input": "2.00", "image_in": "2.50", "audio_in": "3.00", "output": "8.00"}
TEXT = {"input": "1.00", "output": "2.00"}
MEDIA = [
    ("media-completions", "openai", "gpt-3.5-turbo-instruct", TEXT, 4096),
    ("media-completions-azure", "azure", "gpt-3.5-turbo-instruct", TEXT, 4096),
    ("media-completions-compatible", "openai_compatible", "tiny-instruct", TEXT, 4096),
    ("media-moderation", "openai", "omni-moderation-latest", {"requests": "0"}, None),
    ("media-image", "openai", "gpt-image-1-mini", TOKENS, None),
    ("media-image-azure", "azure", "gpt-image-1-mini", TOKENS, None),
    ("media-image-piece", "openai", "dall-e-2", {"images": "20000"}, None),
    ("media-speech", "openai", "tts-1", {"characters": "15.00"}, None),
    ("media-speech-tokens", "openai", "gpt-4o-mini-tts",
     {"input": "0.60", "audio_out": "12.00"}, 16000),
    ("media-whisper", "openai", "whisper-1", {"audio_seconds": "100.00"}, None),
    ("media-whisper-azure", "azure", "whisper-1", {"audio_seconds": "100.00"}, None),
    ("media-whisper-compatible", "openai_compatible", "whisper-large-v3",
     {"audio_seconds": "100.00"}, None),
    ("media-transcribe", "openai", "gpt-4o-transcribe", TOKENS, 2000),
    ("media-rerank", "cohere", "rerank-v3.5", {"searches": "2000.00"}, None),
    ("media-rerank-compatible", "openai_compatible", "rerank-tiny",
     {"input": "0.05", "output": "0"}, None),
]
PRICE = '{input: "1.00", cache_read: "0.10", output: "2.00", currency: USD}'


def offer_yaml(cloud, model_id):
    return (f"{{cloud: {cloud}, id: \"{model_id}\", context_tokens: 128000, "
            f"max_output_tokens: 4096, price: {PRICE}}}")


def vectors_yaml(cloud, model_id):
    return (f"{{cloud: {cloud}, id: \"{model_id}\", input_type: document, "
            'price: {input: "1.00", output: "0", currency: USD}}')


def media_yaml(cloud, model_id, prices, output_tokens):
    price = ", ".join(f'{meter}: "{price}"' for meter, price in prices.items())
    parts = [f'cloud: {cloud}, id: "{model_id}"']
    if price:
        parts.append(f"price: {{{price}, currency: USD}}")
    if output_tokens:
        parts.append(f"max_output_tokens: {output_tokens}")
    return f"{{{', '.join(parts)}}}"


class Gateway:
    """One `entrepot serve` over a configuration that this class writes."""

    def __init__(self, build, folder, clouds, models, budget="1000000.00", extra="",
                 environment=None, certificate=None):
        """`certificate`: a file with a certificate and its key, for a gateway that speaks TLS."""
        self.build, self.folder = pathlib.Path(build), pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config = self.folder / "entrepot.yaml"
        self.clouds, self.models, self.budget, self.extra = clouds, models, budget, extra
        self.environment, self.certificate = environment, certificate
        self.program = self.base_url = self.admin_url = None

    def write_config(self, port, admin_port):
        listen = f"127.0.0.1:{port}"
        if self.certificate:
            pair = f"{{cert: {self.certificate}, key: {self.certificate}}}"
            listen = f"{{address: \"{listen}\", tls: {pair}}}"
        lines = [f"listen: {listen}", f"admin: {{listen: 127.0.0.1:{admin_port}}}",
                 "data: ./data", "threads: 2", "currency: USD", "clouds:"]
        lines += [f"  {name}: {text}" for name, text in self.clouds.items()]
        lines += ["models:"]
        for name, offers in self.models.items():
            lines += [f"  {name}:", "    offers:"]
            lines += [f"      {offer}: {text}" for offer, text in offers.items()]
        lines += [f'orgs: {{e2e: {{budgets: [{{limit: "{self.budget}", period: month}}]}}}}',
                  "teams: {e2e: {org: e2e}}",
                  "keys:", "  e2e:", "    team: e2e", f"    secret: {SECRET}",
                  f"    aws: {{access_key_id: {ACCESS_KEY['id']}, secret: {ACCESS_KEY['secret']}}}",
                  '    models: ["*"]', self.extra]
        self.config.write_text("\n".join(lines) + "\n")

    def start(self):
        port, admin_port = harness.free_ports(2)
        self.write_config(port, admin_port)
        self.program = harness.Program([self.build / "entrepot", "serve", "--config", self.config],
                                       self.folder / "gateway.log", self.environment)
        self.base_url = f"http{'s' if self.certificate else ''}://127.0.0.1:{port}"
        self.admin_url = f"http://127.0.0.1:{admin_port}"
        self.port = port

        def ready():
            if not self.program.alive():
                raise harness.StartFailed(self.program.tail())
            plain = [self.admin_url] + ([] if self.certificate else [self.base_url])
            return all(harness.is_up(url + "/readyz") for url in plain)

        harness.wait_until(ready, harness.START_TIMEOUT_S, "the gateway's two /readyz")
        self.token = (self.folder / "data/admin.token").read_text().strip()
        return self

    def api(self, path):
        return harness.get_json(f"{self.admin_url}/api/{path}", self.token)

    def stop(self):
        return self.program.stop()

    def kill(self):
        self.program.kill()


def listed(targets):
    """As the plan has them; what one cloud speaks in several formats are kinds of their own."""
    return [{"kind": name.removeprefix("e2e-") if kind.startswith(("oci_signed", "vertex"))
             else kind, "model": name} for name, kind, _ in targets]


def make_certificate(folder):
    """A file with a certificate for 127.0.0.1, signed by itself, and its key."""
    both = pathlib.Path(folder) / "tls.pem"
    done = harness.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                        "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
                        "-keyout", both, "-out", both.with_suffix(".cert")])
    if done.returncode != 0:
        raise harness.StartFailed(done.stderr)
    with open(both, "a") as out:
        out.write(both.with_suffix(".cert").read_text())
    return both


class Stage:
    """cloudsim, and one gateway with an offer of each kind. A context manager."""

    def __init__(self, build):
        self.build = pathlib.Path(build)
        self.folder = harness.scratch("e2e")

    def __enter__(self):
        self.sim = Cloudsim(self.build, self.folder / "cloudsim.log")
        clouds = self.sim.clouds_yaml()
        models = {name: {"sim": offer_yaml(kind, model_id)}
                  for name, kind, model_id in TARGETS + SUITE_TARGETS + TEXT_TARGETS + COUNTERS}
        models |= {name: {"sim": vectors_yaml(kind, model_id)} for name, kind, model_id in VECTORS}
        for name, kind, model_id, prices, output_tokens in MEDIA:
            models[name] = {"sim": media_yaml(kind, model_id, prices, output_tokens)}
        self.gateway = Gateway(self.build, self.folder, clouds, models, extra=KEPT_KEYS)
        try:
            self.gateway.start()
        except BaseException:
            self.sim.stop()
            raise
        self.secure = None
        return self

    def with_tls(self):
        """A second gateway before the same clouds, which speaks TLS; what a plan says of it."""
        if self.secure is None:
            certificate = make_certificate(self.folder)
            self.secure = Gateway(self.build, self.folder / "secure", self.gateway.clouds,
                                  self.gateway.models, certificate=certificate).start()
        return {"tls_url": self.secure.base_url, "ca_file": str(self.secure.certificate)}

    def __exit__(self, kind, value, trace):
        if self.secure is not None:
            self.secure.stop()
        if self.gateway.program.alive():
            self.gateway.stop()
        self.sim.stop()
        if kind is None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def plan(self):
        return {"base_url": self.gateway.base_url + "/v1", "api_key": SECRET,
                "access_key": ACCESS_KEY, "clamping_key": CLAMPING, "stranger_key": STRANGER,
                "admin_url": self.gateway.admin_url, "admin_token": self.gateway.token,
                "sim_url": self.sim.url,
                "vectors": [{"kind": kind, "model": name} for name, kind, _ in VECTORS],
                "counters": [{"kind": kind, "model": name} for name, kind, _ in COUNTERS],
                "targets": listed(TARGETS), "suite_targets": listed(SUITE_TARGETS),
                "text_targets": listed(TEXT_TARGETS)}

    def checks(self):
        """What has to hold when the suites are over, as (name, problem or None)."""
        try:
            budgets = self.gateway.api("budgets")
            held = json.dumps(budgets)
            open_holds = [b for b in budgets["budgets"] if b["open_holds"] != 0]
            yield "no hold is left open", (held if open_holds else None)
        except Exception as problem:  # a broken admin plane is the finding
            yield "no hold is left open", repr(problem)
        code = self.gateway.stop()
        yield "SIGTERM ends the gateway with 0", (None if code == 0 else
                                                  f"{code}\n{self.gateway.program.tail()}")
        done = harness.run([self.build / "entrepot", "ledger", "verify", "--config",
                            self.gateway.config])
        yield "ledger verify is clean", (None if done.returncode == 0 else
                                         f"exit {done.returncode}: {done.stdout}{done.stderr}")
