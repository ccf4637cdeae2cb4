"""Many clients at once against a small budget, with cancels, time-outs and failing suppliers."""
import asyncio
import collections
import decimal
import threading
import time

import books
import harness
import load
import stage

LIMIT = decimal.Decimal("1.00")
# Dear, so that the budget ends before the requests do: about 0.002 USD each.
PRICE = '{input: "20.00", output: "40.00", currency: USD}'
HABITS = load.Habits(streamed=0.6, leaves_after_events=0.1, leaves_after_ms=0.1)
CLOUDS = {"first": "openai", "second": "anthropic", "third": "bedrock"}
WAVES_MAX = 20
LOOKS_MIN = 20


class Watch(threading.Thread):
    """Asks the budget's standing again and again and keeps the highest that was seen."""

    def __init__(self, gateway):
        super().__init__(daemon=True)
        self.gateway, self.over = gateway, threading.Event()
        self.highest, self.asked, self.problem = decimal.Decimal(0), 0, None

    def run(self):
        try:
            while not self.over.is_set():
                standing = books.org_budget(self.gateway)
                self.highest = max(self.highest, standing.settled + standing.held)
                self.asked += 1
                time.sleep(0.01)
        except (OSError, KeyError, ValueError) as error:
            self.problem = f"the budget could not be watched: {error!r}"


def run(build, count, seed):
    """Yields (what has to hold, problem or None)."""
    with books.Scene(build, CLOUDS, PRICE, budget=str(LIMIT)) as scene:
        scene.sim.mixed_faults(seed)
        watch = Watch(scene.gateway)
        watch.start()
        # All at once: their holds fill the budget, and most are refused over money that comes back.
        # Then waves, until what is left is less than a request may cost.
        answers = asyncio.run(load.run(scene.gateway.port, stage.SECRET, ["sim"], count, count,
                                       HABITS, seed))
        for wave in range(1, WAVES_MAX + 1):
            if books.org_budget(scene.gateway).settled > LIMIT * 9 / 10:
                break
            answers += asyncio.run(load.run(scene.gateway.port, stage.SECRET, ["sim"], 100, 20,
                                            HABITS, f"{seed}/{wave}", first=count + 100 * wave))
        ended = collections.Counter((a.status, a.ended) for a in answers)
        print("# budget: " + ", ".join(f"{s} {e}: {n}" for (s, e), n in sorted(ended.items())))
        harness.wait_until(lambda: books.org_budget(scene.gateway).open_holds == 0, 60,
                           "every hold is ended")
        watch.over.set()
        watch.join()
        standing = books.org_budget(scene.gateway)
        print(f"# budget: settled {standing.settled} of {LIMIT}, highest with holds "
              f"{watch.highest} in {watch.asked} looks")
        yield ("the budget was watched all the time",
               watch.problem if watch.problem or watch.asked >= LOOKS_MIN else str(watch.asked))
        yield ("the budget was never overspent",
               None if watch.highest <= LIMIT and standing.settled <= LIMIT else str(watch.highest))
        yield ("the budget was used up to where requests no longer fit",
               None if standing.settled > LIMIT * 9 / 10 else str(standing))
        yield "no hold is left", None if standing.held == 0 else str(standing)
        yield "some clients were refused by the budget", (
            None if any(a.status == 429 for a in answers) else str(ended))
        yield from books.compare(scene, answers)
        yield "ledger verify is clean", scene.stop_and_verify()
