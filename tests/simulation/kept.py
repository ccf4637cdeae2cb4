"""The gateway killed while suppliers work on what nobody waits for."""
import json
import signal
import time
import urllib.request

import books
import stage

PRICE = '{input: "1.00", output: "2.00", currency: USD}'
CLOUDS = {"first": "openai"}
ANSWERS, BATCHES = 12, 3
WORK_MS = 10_000  # longer than it takes to ask for all of them
END_TIMEOUT_S = 60


def post(gateway, path, body, kind="application/json"):
    """What the gateway answers, and the exchange that it was."""
    request = urllib.request.Request(f"{gateway.base_url}{path}", body, {
        "authorization": f"Bearer {stage.SECRET}", "content-type": kind})
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.load(reply), reply.headers["x-entrepot-exchange"]


def start_answer(gateway, number):
    ask = {"model": "sim", "input": f"Say {number}.", "background": True, "max_output_tokens": 50}
    return post(gateway, "/v1/responses", json.dumps(ask).encode())[1]


def start_batch(gateway):
    lines = "\n".join(json.dumps({
        "custom_id": f"r{n}", "method": "POST", "url": "/v1/chat/completions",
        "body": {"model": "sim", "max_tokens": 50,
                 "messages": [{"role": "user", "content": f"Say {n}."}]}}) for n in range(3))
    form = ("--xx\r\ncontent-disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n"
            "--xx\r\ncontent-disposition: form-data; name=\"file\"; filename=\"in.jsonl\"\r\n\r\n"
            f"{lines}\r\n--xx--\r\n")
    file, _ = post(gateway, "/v1/files", form.encode(), "multipart/form-data; boundary=xx")
    ask = {"input_file_id": file["id"], "endpoint": "/v1/chat/completions",
           "completion_window": "24h", "metadata": {"sim_ms": str(WORK_MS)}}
    return post(gateway, "/v1/batches", json.dumps(ask).encode())[1]


def killed(scene):
    """Kills the gateway and starts it anew. Returns what `ledger verify` found meanwhile."""
    scene.gateway.kill()
    problem = scene.verify()
    scene.gateway.start()
    return problem


def run(build):
    """Yields (what has to hold, problem or None)."""
    with books.Scene(build, CLOUDS, PRICE, budget="1000.00") as scene:
        scene.sim.controls.put({"all": {"background_ms": WORK_MS}})
        gateway, supplier = scene.gateway, scene.sim.program.child
        begun = [start_answer(gateway, n) for n in range(ANSWERS)]
        begun += [start_batch(gateway) for _ in range(BATCHES)]
        supplier.send_signal(signal.SIGSTOP)  # nobody says how far it is
        before = books.org_budget(gateway)
        unclean = [killed(scene), killed(scene)]  # the second has nothing but what the first left
        after = books.org_budget(gateway)
        print(f"# kept: {len(begun)} held at {before.held}, after two kills at {after.held}")
        yield "ledger verify is clean after each kill", next(filter(None, unclean), None)
        yield "what is worked on keeps its hold", (
            None if after.held == before.held and after.open_holds == len(begun)
            else f"{before}, then {after}")
        supplier.send_signal(signal.SIGCONT)
        deadline = time.monotonic() + END_TIMEOUT_S
        while books.org_budget(gateway).open_holds and time.monotonic() < deadline:
            time.sleep(0.2)
        standing = books.org_budget(gateway)
        yield "no hold is left", None if standing.held == 0 else str(standing)
        doubtful, cost = [], books.D(0)
        for exchange in begun:
            for attempt in gateway.api(f"exchanges/{exchange}")["attempts"]:
                usage = attempt["usage"]
                cost += books.D(attempt["cost"] or 0)
                expected = (usage.get("input", 0) + 2 * usage.get("output", 0)) / books.D(1_000_000)
                if books.is_doubtful(attempt) or not usage.get("output") \
                        or books.D(attempt["cost"]) != expected:
                    doubtful.append(f"{exchange}: {attempt}")
        yield "each is booked at what its supplier said", "\n".join(doubtful[:5]) or None
        yield "the budget has what they cost", (
            None if standing.settled == cost else f"{standing.settled}, not {cost}")
        yield "ledger verify is clean at the end", scene.stop_and_verify()
