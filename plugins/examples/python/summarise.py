"""Figures of a list of numbers: plain Python that knows nothing of components, so that
`python3 -m unittest` tests it."""

import statistics

INPUT_SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["kwargs"],
    "properties": {
        "kwargs": {
            "type": "object",
            "required": ["values"],
            "properties": {
                "values": {"type": "array", "items": {"type": "number"}, "minItems": 1},
            },
        },
        "config": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "quantiles": {
                    "type": "integer",
                    "minimum": 2,
                    "maximum": 1000,
                    "description": "Into how many parts of equal size the cut points divide the values",
                },
            },
        },
    },
}

OUTPUT_SCHEMA = {
    "type": "object",
    "required": ["count", "mean", "median"],
    "properties": {
        "count": {"type": "integer"},
        "mean": {"type": "number"},
        "median": {"type": "number"},
        "stdev": {"type": ["number", "null"]},
        "cut_points": {"type": "array", "items": {"type": "number"}},
    },
}


def summarise(values: list[float], quantiles: int | None = None) -> dict:
    """Raises ValueError with a sentence for people."""
    if not values:
        raise ValueError("kwargs.values is empty: there is nothing to summarise")
    summary = {
        "count": len(values),
        "mean": statistics.fmean(values),
        "median": statistics.median(values),
        "stdev": statistics.stdev(values) if len(values) > 1 else None,
    }
    if quantiles is not None:
        if len(values) < 2:
            raise ValueError("config.quantiles needs two values or more in kwargs.values")
        summary["cut_points"] = statistics.quantiles(values, n=quantiles)
    return summary
