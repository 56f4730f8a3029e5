"""Wrong settings: an error of ours that names the argument, before any work."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

import causalplug as cp
from causalplug.errors import CausalPlugError
from tests.attack.wrong_settings import wrong

GRAPH = cp.CausalGraph.parse("X -> Y; Z -> Y")
VARIABLES = {"X": cp.Discrete(2), "Y": cp.Discrete(2), "Z": cp.Continuous()}
_GENERATOR = np.random.default_rng(0)
ROWS = {
    "X": _GENERATOR.integers(0, 2, 60),
    "Y": _GENERATOR.integers(0, 2, 60),
    "Z": _GENERATOR.normal(size=60),
}


def model():
    return cp.DCM(GRAPH, VARIABLES, hidden=(4,))


MODEL = model()
SAMPLING = {
    "seed": "seed",
    "allow_unidentified": "flag",
    "interpolate": "names",
    "batch_size": "count?",
    "min_acceptance": "share0",
    "time_limit": "positive?",
}
SHOWN = {"progress": "flag?"}
EFFECT = {
    "n": "count?",
    "level": "share",
    "data": "object?",
    "one_step": "flag?",
    "interval": "word",
    **SAMPLING,
    **SHOWN,
}
TRAINING = {
    "preset": "word?",
    "epochs": "count?",
    "objective": "objects?",
    "strategy": "word",
    "projections": "flag",
    "steps": "count?",
    "batch_size": "count",
    "gradient_accumulation_steps": "count",
    "processes": "word",
    "learning_rate": "positive?",
    "critic_learning_rate": "positive?",
    "critic_steps": "count",
    "penalty": "least0",
    "critic_hidden": "widths",
    "gradient": "word",
    "max_enumeration": "count",
    "max_cells": "count",
    "draws": "count",
    "temperature": "no names",
    "ema": "share0",
    "held_out": "share0",
    "validate_every": "count",
    "patience": "count?",
    "bank_rows": "count",
    "image_steps": "count",
    "encoder_steps": "natural",
    "save_every": "count",
    "seed": "seed",
    "threads": "count?",
    "check_fit": "flag",
    "check_graph": "flag",
    "check_overlap": "flag",
    "tolerance": "share0",
}
IMAGES = torch.rand(8, 1, 8, 8)
IMAGE = cp.Image(1, 8, 8)
ENCODER = cp.ConvEncoder(IMAGE, 4, channels=(2,), hidden=4)
DIGIT = {"digit": (torch.zeros(8, dtype=torch.long), cp.Discrete(2))}

CALLS = {
    "sample": (
        lambda **k: MODEL.sample(**({"n": 2} | k)),
        {
            "n": "count",
            "do": "mapping?",
            "given": "mapping?",
            "variables": "names?",
            "images": "word",
            "distributed": "flag",
            **SAMPLING,
            **SHOWN,
        },
    ),
    "sample_batches": (
        lambda **k: MODEL.sample_batches(**({"n": 2} | k)),
        {"n": "count", "do": "mapping?", "given": "mapping?", "variables": "names?", **SAMPLING},
    ),
    "counterfactual": (
        lambda **k: MODEL.counterfactual(**({"n": 2, "do": {"X": 1}} | k)),
        {
            "n": "rows",
            "evidence": "list?",
            "do": "mapping?",
            "worlds": "mapping?",
            "variables": "names?",
            "factual": "flag",
            "draws": "count",
            "images": "word",
            "distributed": "flag",
            **SAMPLING,
            **SHOWN,
        },
    ),
    "abduct": (
        lambda **k: MODEL.abduct(**({"n": 2, "evidence": {"X": 1}} | k)),
        {"n": "rows", "evidence": "list?", "draws": "count", **SAMPLING},
    ),
    "replay": (
        lambda **k: MODEL.replay(**({"noise": cp.Noise(2)} | k)),
        {"noise": "object", "do": "mapping?", "variables": "names?", "images": "word"},
    ),
    "estimate": (
        lambda **k: MODEL.estimate(**({"query": "P(Y=1 | do(X=1))", "n": 9} | k)),
        {
            "query": "query",
            "compare": "word?",
            "pictures": "natural",
            "bounds": "flag",
            **EFFECT,
        },
    ),
    "ate": (
        lambda **k: MODEL.ate(**({"outcome": "Y", "treatment": "X", "n": 9} | k)),
        {"outcome": "word", "treatment": "word", "given": "mapping?", **EFFECT},
    ),
    "curve": (
        lambda **k: MODEL.curve(
            **({"outcome": "Y", "treatment": "X", "values": [0, 1], "n": 9} | k)
        ),
        {
            "outcome": "word",
            "treatment": "word",
            "values": "no names",
            "given": "mapping?",
            **EFFECT,
        },
    ),
    "refute": (
        lambda **k: MODEL.refute(**({"query": "ATE(Y, X)", "data": ROWS, "n": 9, "steps": 1} | k)),
        {"query": "query", "data": "object", "n": "count", "seed": "seed", "steps": "count?"},
    ),
    "module": (MODEL.module, {"name": "no names"}),
    "DCM": (
        lambda **k: cp.DCM(**({"graph": GRAPH, "variables": VARIABLES} | k)),
        {
            "graph": "object",
            "variables": "object",
            "mechanisms": "objects?",
            "encoders": "objects?",
            "confounder_size": "natural",
            "confounders": "widths",
            "hidden": "widths",
            "seed": "seed",
        },
    ),
    "fit": (
        lambda **k: cp.fit(**({"dcm": model(), "sources": ROWS, "steps": 1} | k)),
        {
            "dcm": "object",
            "sources": "object",
            "output_dir": "path?",
            "seed": "seed",
            "accelerator": "object?",
            "log_with": "text?",
            "resume_from_checkpoint": "any",
            "progress": "flag",
            "replicates": "natural",
            "queries": "object?",
            **TRAINING,
        },
    ),
    "TrainingConfig": (cp.TrainingConfig, TRAINING),
    "Trainer": (
        lambda **k: cp.Trainer(**({"dcm": model(), "sources": [cp.DataSource(ROWS)]} | k)),
        {
            "dcm": "object",
            "sources": "object",
            "config": "object?",
            "output_dir": "path?",
            "accelerator": "object?",
            "progress": "flag",
            "queries": "object?",
        },
    ),
    "Ensemble": (
        lambda **k: cp.Ensemble(**({"members": [MODEL, MODEL]} | k)),
        {"members": "object", "level": "share"},
    ),
    "DataSource": (
        lambda **k: cp.DataSource(**({"frame": ROWS} | k)),
        {
            "frame": "object",
            "do": "keys",
            "columns": "keys?",
            "name": "text?",
            "clusters": "word?",
            "split": "text?",
            "revision": "text?",
            "streaming": "flag",
            "max_memory": "count",
            "cache_dir": "path?",
            "separator": "text?",
            "decimal": "word?",
            "encoding": "word?",
            "where": "mapping?",
        },
    ),
    "Source": (
        lambda **k: cp.Source(**({"recorded": ["X"]} | k)),
        {"recorded": "text", "do": "named", "name": "text?"},
    ),
    "plan": (
        lambda **k: cp.plan(**({"graph": GRAPH} | k)),
        {
            "graph": "object",
            "available": "mapping?",
            "objective": "mapping?",
            "kinds": "mapping?",
            "explicit": "mapping?",
            "do": "names",
            "only": "names?",
        },
    ),
    "identify": (
        lambda **k: cp.identify(**({"graph": GRAPH, "query": "P(Y | do(X=1))"} | k)),
        {"graph": "object", "query": "query", "domains": "mapping?", "interpolate": "names"},
    ),
    "bounds": (
        lambda **k: cp.bounds(
            **({"graph": GRAPH, "query": "P(Y=1 | do(X=1))", "data": ROWS, "resamples": 2} | k)
        ),
        {
            "graph": "object",
            "query": "query",
            "data": "object",
            "domains": "mapping?",
            "ranges": "mapping?",
            "assume": "widths",
            "encoders": "mapping?",
            "threshold": "share0",
            "most_unknowns": "count",
            "nodes": "count",
            "resamples": "natural",
            "seed": "seed",
        },
    ),
    "check_graph": (
        lambda **k: cp.check_graph(**({"graph": GRAPH, "data": ROWS, "most_tests": 1} | k)),
        {
            "graph": "object",
            "data": "object",
            "encoders": "mapping?",
            "level": "share",
            "most_rows": "count",
            "most_tests": "count",
            "most_fixed": "natural",
            "seed": "seed",
        },
    ),
    "check_overlap": (
        lambda **k: cp.check_overlap(
            **({"graph": GRAPH, "query": "P(Y=1 | do(X=1))", "data": ROWS} | k)
        ),
        {
            "graph": "object",
            "query": "query",
            "data": "object",
            "encoders": "mapping?",
            "domains": "mapping?",
            "threshold": "share",
            "tolerance": "share0",
            "fewest": "count",
            "most_rows": "count",
            "seed": "seed",
        },
    ),
    "check_projection": (
        lambda **k: cp.check_projection(
            **({"encoder": ENCODER, "images": IMAGES, "targets": DIGIT, "steps": 1} | k)
        ),
        {
            "encoder": "object",
            "images": "object",
            "targets": "object",
            "tolerance": "share0",
            "steps": "count",
            "seed": "seed",
        },
    ),
    "fit_encoder": (
        lambda **k: cp.fit_encoder(
            **({"encoder": ENCODER, "images": IMAGES, "targets": DIGIT, "steps": 1} | k)
        ),
        {
            "encoder": "object",
            "images": "object",
            "targets": "mapping",
            "seed": "seed",
            "steps": "count",
            "batch_size": "count",
            "lr": "positive",
            "held_out": "share",
        },
    ),
    "fit_generator": (
        lambda **k: cp.fit_generator(
            **({"variable": IMAGE, "images": IMAGES, "labels": DIGIT, "steps": 1} | k)
        ),
        {
            "variable": "object",
            "images": "object",
            "labels": "mapping",
            "seed": "seed",
            "steps": "count",
            "learning_rate": "positive",
            "penalty": "least0",
            "progress": "flag",
            "license": "text?",
            "source": "text?",
        },
    ),
    "infer_variables": (cp.infer_variables, {"sources": "object"}),
    "from_pretrained": (
        lambda **k: cp.from_pretrained(**({"source": "nothing-is-here/at-all"} | k)),
        {
            "source": "text",
            "revision": "text?",
            "subfolder": "text",
            "cache_dir": "path?",
            "token": "any",
            "local_files_only": "flag",
            "force_download": "flag",
            "module": "text?",
            "variable": "object?",
            "prompts": "any",
            "labels": "any",
            "classes": "any",
            "steps": "count?",
            "guidance_scale": "positive?",
            "negative_prompt": "text?",
            "call": "mapping?",
            "variant": "text?",
            "scheduler": "text?",
            "size": "count?",
            "trust_remote_code": "flag",
            "use": "word?",
        },
    ),
    "CausalGraph.parse": (
        lambda **k: cp.CausalGraph.parse(**({"text": "X -> Y"} | k)),
        {"text": "text", "format": "word", "latents": "list"},
    ),
    "CausalGraph.read": (
        lambda **k: cp.CausalGraph.read(**({"path": "no.dot"} | k)),
        {"path": "word", "format": "word?", "latents": "list"},
    ),
    "CausalGraph.from_edges": (
        cp.CausalGraph.from_edges,
        {"directed": "widths", "bidirected": "widths", "variables": "list"},
    ),
    "CausalGraph.m_separated": (
        lambda **k: GRAPH.m_separated(**({"x": "X", "y": "Z"} | k)),
        {"x": "keys", "y": "keys", "given": "keys"},
    ),
    "CausalGraph.closure": (
        lambda **k: GRAPH.closure(**({"variables": "X"} | k)),
        {"variables": "keys", "do": "keys"},
    ),
    "CausalGraph.parents": (GRAPH.parents, {"variable": "word"}),
    "Discrete": (cp.Discrete, {"categories": "categories"}),
    "Continuous": (
        lambda **k: cp.Continuous(**({"low": -5.0, "high": 9.0} | k)),
        {"low": "number", "high": "high", "precise": "flag"},
    ),
    "Image": (
        lambda **k: cp.Image(**({"channels": 1, "height": 2, "width": 2} | k)),
        {"channels": "count", "height": "count", "width": "count", "low": "number"},
    ),
    "Vector": (cp.Vector, {"size": "count"}),
    "Text": (cp.Text, {"length": "count"}),
    "Evidence": (
        lambda **k: cp.Evidence(**({"values": {"X": 1}} | k)),
        {"values": "mapping", "do": "mapping"},
    ),
    "Interval": (
        cp.Interval,
        {"low": "number", "high": "number", "includes_low": "flag", "includes_high": "flag"},
    ),
    "Policy": (
        lambda **k: cp.Policy(**({"function": lambda x: x, "reads": ("X",)} | k)),
        {"function": "function", "reads": "words", "random": "flag"},
    ),
    "Assume": (
        lambda **k: cp.Assume(**({"kind": "monotone", "cause": "X", "effect": "Y"} | k)),
        {"kind": "word", "cause": "text", "effect": "text"},
    ),
    "Condition": (
        lambda **k: cp.Condition(**({"name": "a", "kind": cp.Discrete(2)} | k)),
        {"name": "text", "kind": "object"},
    ),
    "Label": (
        lambda **k: cp.Label(**({"name": "a", "categories": 2} | k)),
        {"name": "text", "categories": "categories"},
    ),
    "Noise": (
        lambda **k: cp.Noise(**({"n": 3} | k)),
        {"n": "natural", "seed": "seed", "fixed": "mapping?"},
    ),
    "ConvEncoder": (
        lambda **k: cp.ConvEncoder(**({"variable": IMAGE} | k)),
        {"variable": "object", "size": "count", "channels": "no names", "hidden": "count"},
    ),
    "Query.parse": (cp.Query.parse, {"text": "query"}),
    "Query": (
        lambda **k: cp.Query(**({"outcomes": "Y"} | k)),
        {"outcomes": "text", "do": "any", "given": "any", "expectation": "flag"},
    ),
    "save_pretrained": (MODEL.save_pretrained, {"folder": "path"}),
    "register_mechanism": (cp.register_mechanism, {"kind": "text"}),
    "register_encoder": (cp.register_encoder, {"kind": "text"}),
    "register_variable": (cp.register_variable, {"kind": "text"}),
    "Latent": (
        lambda **k: cp.adapters.Latent(**({"size": 3} | k)),
        {
            "size": "count",
            "distribution": "word",
            "low": "number",
            "mean": "number",
            "std": "positive",
        },
    ),
}
CASES = [
    (call, argument, kind)
    for call, (_, arguments) in CALLS.items()
    for argument, kind in arguments.items()
]


def outcome(call, argument, value):
    """What a call makes of a value: a word, and what is beside it."""
    started = time.process_time()
    try:
        CALLS[call][0](**{argument: value})
    except (CausalPlugError, TypeError, ValueError) as error:
        if time.process_time() - started > 2:
            return "slow", str(error)
        if isinstance(error, CausalPlugError):
            return "refused", str(error)
        named = argument in str(error) and "causalplug" in str(error.__traceback__.tb_next)
        return ("refused" if named else "foreign"), f"{type(error).__name__}: {error}"
    except Exception as error:
        return "foreign", f"{type(error).__name__}: {error}"
    return "accepted", ""


@pytest.mark.parametrize("call", CALLS)
def test_a_wrong_value_is_refused_before_any_work(call):
    found = {}
    for argument, kind in CALLS[call][1].items():
        for name, value in wrong(kind).items():
            word, said = outcome(call, argument, value)
            if word != "refused":
                found[f"{argument}={name}"] = (word, said[:200])
    assert not found
