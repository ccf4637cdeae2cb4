"""The gateway killed under load, again and again over the same books."""
import asyncio
import random
import threading

import books
import load
import stage

PRICE = '{input: "1.00", output: "2.00", currency: USD}'
HABITS = load.Habits(streamed=0.6, leaves_after_events=0.05, leaves_after_ms=0.05)
CLOUDS = {"first": "openai", "second": "anthropic"}
REQUESTS_PER_ROUND = 120
CONCURRENT = 40


def one_round(scene, number, seed, rng):
    """Starts the gateway, loads it, kills it. Returns what the clients saw."""
    scene.gateway.start()
    answers = []

    def clients():
        answers.extend(asyncio.run(load.run(
            scene.gateway.port, stage.SECRET, ["sim"], REQUESTS_PER_ROUND, CONCURRENT, HABITS,
            f"{seed}/{number}", first=number * REQUESTS_PER_ROUND)))

    thread = threading.Thread(target=clients)
    thread.start()
    thread.join(rng.uniform(0.02, 0.4))
    scene.gateway.kill()
    thread.join()
    return answers


def run(build, rounds, seed):
    """Yields (what has to hold, problem or None)."""
    with books.Scene(build, CLOUDS, PRICE, budget="1000000.00", start=False) as scene:
        scene.sim.slow(event_ms=5)
        rng = random.Random(f"crash/{seed}")
        answers, unclean = [], []
        for number in range(rounds):
            answers += one_round(scene, number, seed, rng)
            problem = scene.verify()
            if problem:
                unclean.append(f"round {number}: {problem}")
        whole = sum(1 for a in answers if a.ended == "whole" and a.status == 200)
        print(f"# crash: {rounds} rounds, {whole} answers whole, "
              f"{sum(1 for a in answers if a.ended == 'cut')} cut by the kill")
        yield f"ledger verify is clean after each of {rounds} kills", "\n".join(unclean[:5]) or None
        yield "the load was under way when the gateway was killed", (
            None if whole and any(a.ended == "cut" for a in answers) else f"{whole} whole")
        scene.gateway.start()
        yield from books.compare(scene, answers)
        standing = books.org_budget(scene.gateway)
        yield "no hold is left", None if standing.held == 0 else str(standing)
        yield "ledger verify is clean at the end", scene.stop_and_verify()
