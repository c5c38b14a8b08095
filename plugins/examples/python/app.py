"""The component: what the host calls. componentize-py makes `wit_world` from wit/plugin.wit."""

import json

from componentize_py_types import Err
from summarise import INPUT_SCHEMA, OUTPUT_SCHEMA, summarise
from wit_world import exports
from wit_world.imports import log
from wit_world.imports.types import Ctx, Descriptor, Error, ErrorClass


class Describe(exports.Describe):
    def describe(self) -> list[Descriptor]:
        return [
            Descriptor(
                kind="summarise",
                version="0.1.0",
                summary="Count, mean, median and quantiles of a list of numbers",
                input_schema=json.dumps(INPUT_SCHEMA).encode(),
                output_schema=json.dumps(OUTPUT_SCHEMA).encode(),
                capabilities=[],
                state_versions=None,
                meta=[],
            )
        ]


class Activity(exports.Activity):
    def run(self, kind: str, ctx: Ctx, input: bytes) -> bytes:
        document = json.loads(input)
        values = document["kwargs"]["values"]
        config = document.get("config") or {}
        log.log(log.Level.INFO, f"{len(values)} values in attempt {ctx.attempt}")
        try:
            summary = summarise(values, config.get("quantiles"))
        except ValueError as problem:
            raise Err(Error(ErrorClass.INVALID_INPUT, "invalid-input", str(problem), None, None))
        return json.dumps(summary).encode()
