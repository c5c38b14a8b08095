"""Random recurrence rules with the times that python-dateutil 2.9.0 gives: one JSON object a line.

    python dateutil_cases.py SEED COUNT > dateutil.jsonl

`error` is set where dateutil rejects the rule or raises while it looks for times. Rules on which
it spends more than two seconds are left out, and so are those that the crate refuses on purpose
(a numbered BYDAY outside of months and years, BYMONTHDAY=0, numbers below 1, parts given twice).
"""

import datetime as dt
import json
import random
import signal
import sys
import warnings

from dateutil.rrule import rrulestr

warnings.simplefilter("ignore")
DAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]
FREQS = ["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY"]


class Late(Exception):
    pass


def alarm(*_):
    raise Late()


signal.signal(signal.SIGALRM, alarm)


def some(r, values, most):
    return ",".join(str(v) for v in r.sample(values, min(len(values), r.randint(1, most))))


def signed(limit):
    return [n for n in range(-limit, limit + 1) if n]


def byday(r, freq):
    days = r.sample(DAYS, r.randint(1, 5))
    if freq in ("YEARLY", "MONTHLY") and r.random() < 0.6:
        most = 5 if freq == "MONTHLY" else r.choice([5, 53])
        days = [f"{r.choice(signed(most))}{d}" for d in days]
        if r.random() < 0.15:
            days.append(r.choice(DAYS))
    return ",".join(days)


def rule(r, start):
    freq = r.choice(FREQS)
    parts = [f"FREQ={freq}"]

    def maybe(chance, name, value):
        if r.random() < chance:
            parts.append(f"{name}={value()}")

    maybe(0.5, "INTERVAL", lambda: r.choice([1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 13, 15, 20, 24, 30, 45, 60, 90, 97, 1000]))
    maybe(0.25, "BYMONTH", lambda: some(r, list(range(1, 13)), 4))
    maybe(0.3, "BYDAY", lambda: byday(r, freq))
    maybe(0.2, "BYMONTHDAY", lambda: some(r, signed(31), 5))
    maybe(0.08, "BYYEARDAY", lambda: some(r, signed(366), 20))
    maybe(0.12, "BYWEEKNO", lambda: some(r, [1, 2, 51, 52, 53, -1, -2, -52, -53] + signed(53), 12))
    maybe(0.05, "BYEASTER", lambda: some(r, list(range(-80, 251)), 4))
    maybe(0.3, "BYHOUR", lambda: some(r, list(range(24)), 4))
    maybe(0.3, "BYMINUTE", lambda: some(r, list(range(60)), 4))
    maybe(0.2, "BYSECOND", lambda: some(r, list(range(60)), 4))
    maybe(0.2, "WKST", lambda: r.choice(DAYS))
    maybe(0.15, "BYSETPOS", lambda: some(r, [1, 1, 2, 3, -1, -1, -2] + signed(366), 3))
    maybe(0.15, "COUNT", lambda: r.choice([1, 2, 3, 10, 30, 100, 1000, 5000]))
    maybe(0.1, "UNTIL", lambda: (start + dt.timedelta(seconds=r.randint(0, 10 * 366 * 86400))).strftime("%Y%m%dT%H%M%S"))
    head, rest = parts[0], parts[1:]
    r.shuffle(rest)
    return ";".join([head] + rest)


def stamps(r, start):
    return ",".join(
        (start + dt.timedelta(days=r.randint(0, 900), seconds=r.choice([0, 0, 0, 3600, 60]))).strftime("%Y%m%dT%H%M%S")
        for _ in range(r.randint(1, 4))
    )


def case(r):
    start = dt.datetime(2020, 1, 1)
    lines = []
    if r.random() < 0.7:
        start = dt.datetime(r.randint(1995, 2025), 1, 1) + dt.timedelta(days=r.randint(0, 365))
        start += dt.timedelta(seconds=r.choice([0, 9 * 3600, 34200, r.randint(0, 86399)]))
        lines.append(f"DTSTART:{start:%Y%m%dT%H%M%S}")
    first = rule(r, start)
    bare = not lines or r.random() < 0.5
    lines.append(first if bare else "RRULE:" + first)
    if r.random() < 0.12:
        lines.append("RRULE:" + rule(r, start))
    if r.random() < 0.1:
        lines.append("EXRULE:" + rule(r, start))
    if r.random() < 0.1:
        lines.append("EXDATE:" + stamps(r, start))
    if r.random() < 0.1:
        lines.append("RDATE:" + stamps(r, start))
    text = r.choice(["\n", "\n", "\r\n", " "]).join(lines)
    after = start + dt.timedelta(seconds=r.choice([0, r.randint(-86400, 5 * 366 * 86400), r.randint(0, 90000)]))
    out = {"rule": text, "from": after.isoformat(), "expected": [], "error": None}
    signal.setitimer(signal.ITIMER_REAL, 2)
    try:
        found = rrulestr(text, dtstart=dt.datetime(2020, 1, 1))
        for time in found.xafter(after, count=8, inc=True):
            if time.year >= 2400:
                break
            out["expected"].append(time.isoformat())
    except Late:
        return None
    except Exception as error:
        out["error"] = f"{type(error).__name__}: {error}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return out


def main():
    r, wanted = random.Random(int(sys.argv[1])), int(sys.argv[2])
    while wanted:
        if (one := case(r)) is not None:
            print(json.dumps(one))
            wanted -= 1


main()
