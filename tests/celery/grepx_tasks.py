"""What a stock Celery worker serves in the tests. Every task counts its runs in Redis itself."""

import os
import time
import uuid

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


@app.task(name="tests.traced", bind=True)
def traced(self):
    told = self.request.get("traceparent")
    if count("traced") == 1:
        raise ConnectionError(told)
    return told


@app.task(name="tests.slow")
def slow(seconds=60, name="slow"):
    count(f"{name}:started")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.05)
    count(f"{name}:finished")
    return {"slept": seconds}


@app.task(name="tests.slow_late", acks_late=True)
def slow_late(seconds=60, name="slow"):
    return slow(seconds, name)


@app.task(name="tests.slow_once")
def slow_once(seconds=5):
    if count("slow_once") > 1:
        return "another"
    time.sleep(seconds)
    count("slow_once:finished")
    return "the first"


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


# Redis may be away while a task of the crash tests runs. What is counted there is a set, so that an
# entry which is made once more after a lost answer counts once.
def patiently(command, *words):
    for _ in range(600):
        try:
            return counters.execute_command(command, *words)
        except redis.exceptions.RedisError:
            time.sleep(0.1)
    return counters.execute_command(command, *words)


def tried(task, run):
    """One execution of one attempt; what Celery itself has delivered again stands elsewhere."""
    again = task.request.delivery_info.get("redelivered")
    kind = "redelivered" if again else "attempt"
    patiently("SADD", f"ran:{kind}:{run}:{task.request.id}", str(uuid.uuid4()))


def ended(task, run):
    patiently("SADD", f"ran:ended:{run}", task.request.id)


@app.task(name="crash.once", bind=True)
def once(self, run, seconds=0, number=0):
    tried(self, run)
    time.sleep(seconds)
    ended(self, run)
    return number


@app.task(name="crash.flaky", bind=True)
def flaky_once(self, run):
    tried(self, run)
    patiently("SET", f"first:{run}", self.request.id, "NX")
    if patiently("GET", f"first:{run}").decode() == self.request.id:
        raise ConnectionError("the first attempt fails")
    ended(self, run)


MOST = """redis.call('SADD', KEYS[1], ARGV[1])
local live = redis.call('SCARD', KEYS[1])
if live > tonumber(redis.call('GET', KEYS[2]) or '0') then redis.call('SET', KEYS[2], live) end"""


@app.task(name="crash.gauged", bind=True)
def gauged(self, run, gauge, seconds=0.1):
    tried(self, run)
    patiently("EVAL", MOST, 2, f"live:{gauge}", f"most:{gauge}", self.request.id)
    try:
        time.sleep(seconds)
    finally:
        patiently("SREM", f"live:{gauge}", self.request.id)
    ended(self, run)


@app.task(name="tests.count")
def counted(number):
    count("counted")
    return number * 2
