"""Random cron rules with the times that croniter 6.0.0 gives: one JSON object a line.

    python croniter_cases.py SEED COUNT > croniter.jsonl

`error` is "validate" where croniter rejects the rule, "generate" where it runs out of times; some
of the rejected ones are dropped. Left out are rules that the crate refuses on purpose, and rules
for which croniter steps over days of the next month: see dialect.rs.
"""

import datetime as dt
import json
import random
import re
import sys

from croniter import croniter
from croniter.croniter import CroniterError

RANGES = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 6), (0, 59), (2020, 2040)]
MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
DAYS = "sun mon tue wed thu fri sat".split()
BROKEN = ["", "-1", "1e1", "x", "*5", "1--2", "1-", "/5", "1/2/3", "*-5", "L", "#1"]


def value(field):
    low, high = RANGES[field]
    number = random.randint(low, high)
    if random.random() < 0.03:
        number = 2100 if field == 6 else random.choice([high + 1, 7, 60, 100])
    if field == 4 and random.random() < 0.15:
        number = 7
    if field == 3 and random.random() < 0.3:
        return random.choice(MONTHS)
    if field == 4 and random.random() < 0.3:
        name = random.choice(DAYS)
        return name.upper() if random.random() < 0.3 else name
    return "0%d" % number if random.random() < 0.05 else str(number)


def special(field):
    if field == 2:
        to_last = value(field) + "-L"
        return random.choice(["L", "l", to_last, "%s/%d" % (to_last, random.randint(1, 6)), "L-3", "15W", "LW"])
    if field == 4:
        names = "%s-%s#%d" % (random.choice(DAYS), random.choice(DAYS), random.randint(1, 5))
        nth = ["%s#%d" % (value(4), random.randint(*bounds)) for bounds in [(1, 5), (0, 6)]]
        return random.choice(nth + [names, "L" + value(4), "L%d" % random.randint(0, 6), "L", "5L", "1-5#2"])
    return random.choice([value(field)] * 20 + BROKEN)


def item(field):
    kind = random.random()
    if kind < 0.35:
        return value(field)
    if kind < 0.5:
        return value(field) + "-" + value(field)
    if kind < 0.6:
        return "%s-%s/%d" % (value(field), value(field), random.randint(0 if random.random() < 0.1 else 1, 12))
    if kind < 0.7:
        return "*/%d" % random.choice([1, 2, 3, 5, 7, 10, 15, 20, 30, 45, 60, 90])
    if kind < 0.78:
        return "%s/%d" % (value(field), random.randint(1, 20))
    if kind < 0.82:
        return "*"
    return "?" if kind < 0.84 else special(field)


def field_text(field):
    if random.random() < (0.35 if field in (2, 3, 4, 6) else 0.15):
        return "*"
    return ",".join(item(field) for _ in range(random.choice([1, 1, 1, 1, 2, 3])))


def refused_here(text):
    fields = text.lower().split()
    if any(re.search(r"(^|,)[rh]($|[,/(])", field) for field in fields):
        return True
    return any(re.search(r"(^|,|-)0+($|,|/|-)", fields[n]) for n in (2, 3, 6) if n < len(fields))


def steps_over_days(text):
    try:
        days = croniter.expand(text)[0][2]
    except CroniterError:
        return False
    if "*" in days:
        return False
    numbers = [day for day in days if day != "l"]
    for length in (28, 29, 30):
        late = [day for day in numbers if day > length]
        if not late or max([day for day in numbers if day <= length], default=0) >= length:
            continue
        if "l" in days or any(day < min(late) - length for day in numbers):
            return True
    return False


def case():
    text = " ".join(field_text(field) for field in range(random.choice([5, 5, 5, 5, 6, 7])))
    if refused_here(text) or steps_over_days(text):
        return None
    start = dt.datetime(random.randint(2019, 2032), random.randint(1, 12), random.randint(1, 28))
    start += dt.timedelta(seconds=random.randint(0, 86399))
    found = {"text": text, "day_or": random.random() < 0.6, "start": start.isoformat() + "Z"}
    if not croniter.is_valid(text):
        found["error"] = "validate"
        return found if random.random() < 0.4 else None
    times = croniter(text, start - dt.timedelta(seconds=1), day_or=found["day_or"])
    found["walls"] = []
    try:
        for _ in range(4):
            found["walls"].append(times.get_next(dt.datetime).isoformat() + "Z")
    except CroniterError:
        found["error"] = "generate"
    return found


def main():
    random.seed(int(sys.argv[1]))
    count = int(sys.argv[2])
    while count:
        found = case()
        if found is not None:
            print(json.dumps(found))
            count -= 1


main()
