"""One supplier dead, slow, throttled or truncating under load while another is healthy."""
import asyncio
import collections

import books
import load
import stage

PRICE = '{input: "1.00", output: "2.00", currency: USD}'
CLOUDS = {"first": "openai", "second": "anthropic"}


def run(build, count, seed):
    """Yields (what has to hold, problem or None), per fault."""
    for fault in ("dead", "slow", "throttled", "truncated"):
        with books.Scene(build, CLOUDS, PRICE, budget="1000000.00",
                         timeouts="{connect_ms: 500, first_byte_ms: 1000, idle_ms: 2000}") as scene:
            scene.sim.break_cloud(scene.kinds["first"], fault)
            # A cut after the first byte is the client's to see; before it, nobody's.
            habits = load.Habits(streamed=0.0 if fault == "truncated" else 0.5)
            answers = asyncio.run(load.run(scene.gateway.port, stage.SECRET, ["sim"], count, 20,
                                           habits, seed))
            bad = collections.Counter((a.status, a.ended, a.failed) for a in answers
                                      if a.status != 200 or a.ended != "whole" or a.failed)
            yield (f"a supplier that is {fault} costs no client an answer",
                   None if not bad else f"{dict(bad)} of {count}")
            yield f"ledger verify is clean after {fault}", scene.stop_and_verify()
