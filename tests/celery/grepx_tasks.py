"""What a stock Celery worker serves in the tests. Every task counts its runs in Redis itself."""

import os
import time

import redis
from celery import Celery

URL = os.environ["BROKER_URL"]
app = Celery("grepx_tasks", broker=URL, backend=URL)
app.conf.broker_connection_retry_on_startup = True
counters = redis.Redis.from_url(URL)


def count(name):
    return counters.incr(f"ran:{name}")


@app.task(name="data.download_historical")
def download_historical(ticker, period="1mo"):
    count(f"download:{ticker}")
    prices = [100 + (i * 7) % 13 for i in range(30)]
    return {"ticker": ticker, "period": period, "prices": prices}


@app.task(name="indicators.calculate_rsi")
def calculate_rsi(ticker, prices=None, window=14):
    count(f"rsi:{ticker}")
    prices = prices or [100 + (i * 7) % 13 for i in range(30)]
    gains = [max(b - a, 0) for a, b in zip(prices, prices[1:])]
    losses = [max(a - b, 0) for a, b in zip(prices, prices[1:])]
    gain, loss = sum(gains[-window:]) / window, sum(losses[-window:]) / window
    return {"ticker": ticker, "rsi": 100.0 if loss == 0 else 100 - 100 / (1 + gain / loss)}


@app.task(name="tests.echo")
def echo(*args, **kwargs):
    count("echo")
    return {"args": list(args), "kwargs": kwargs}


@app.task(name="tests.fail")
def fail(message="no luck"):
    count("fail")
    raise ValueError(message)


@app.task(name="tests.flaky")
def flaky(fails=2):
    ran = count("flaky")
    if ran <= fails:
        raise ConnectionError(f"run {ran} fails")
    return {"ran": ran}


@app.task(name="tests.slow")
def slow(seconds=60, name="slow"):
    count(f"{name}:started")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.05)
    count(f"{name}:finished")
    return {"slept": seconds}


@app.task(name="tests.nan")
def nan():
    return {"a": float("nan"), "b": [float("inf"), -float("inf")], "c": 1.5}


@app.task(name="tests.big")
def big(size=5_000_000):
    return "x" * size


@app.task(name="tests.unserialisable")
def unserialisable():
    return object()


@app.task(name="tests.own_retry", bind=True, max_retries=2, default_retry_delay=0)
def own_retry(self):
    ran = count("own_retry")
    if ran <= 2:
        raise self.retry(exc=RuntimeError(f"run {ran}"), countdown=0)
    return {"ran": ran}


@app.task(name="tests.progress", bind=True)
def progress(self):
    self.update_state(state="PROGRESS", meta={"step": 1, "of": 2})
    time.sleep(0.3)
    return "done"


@app.task(name="tests.die")
def die():
    count("die")
    os.kill(os.getpid(), 9)


def tried(task, run):
    """One execution of one attempt: a second one counts to 2."""
    return count(f"attempt:{run}:{task.request.id}")


@app.task(name="crash.once", bind=True)
def once(self, run, seconds=0, number=0):
    tried(self, run)
    time.sleep(seconds)
    return number


@app.task(name="crash.flaky", bind=True)
def flaky_once(self, run):
    tried(self, run)
    if counters.incr(f"tries:{run}") == 1:
        raise ConnectionError("the first attempt fails")


MOST = "if tonumber(ARGV[1]) > tonumber(redis.call('GET', KEYS[1]) or '0') then redis.call('SET', KEYS[1], ARGV[1]) end"


@app.task(name="crash.gauged", bind=True)
def gauged(self, run, gauge, seconds=0.1):
    tried(self, run)
    counters.eval(MOST, 1, f"most:{gauge}", counters.incr(f"live:{gauge}"))
    try:
        time.sleep(seconds)
    finally:
        counters.decr(f"live:{gauge}")


@app.task(name="tests.count")
def counted(number):
    count("counted")
    return number * 2
