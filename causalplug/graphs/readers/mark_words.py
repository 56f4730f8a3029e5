"""The words that attributes of vertices and edges are made of."""

from __future__ import annotations

import re

__all__ = [
    "ANALYSIS",
    "ARROWS",
    "DRAWING",
    "EDGE_KINDS",
    "EDGE_KIND_KEYS",
    "FILLERS",
    "HIDDEN",
    "NO",
    "NOT",
    "NOTHING",
    "OBSERVED",
    "OF_LOOKS",
    "PLAIN_WORDS",
    "ROLE_KEYS",
    "SELECTED",
    "SUSPECT",
    "SUSPECT_ARROW",
    "SUSPECT_EDGE",
    "SUSPECT_EDGE_TEXT",
    "SUSPECT_END",
    "SUSPECT_RECORDED",
    "SUSPECT_SELECTION",
    "SUSPECT_STYLE",
    "YES",
]

HIDDEN = frozenset(
    [
        "latent",
        "latents",
        "l",
        "unobserved",
        "u",
        "hidden",
        "unmeasured",
        "unrecorded",
        "unobservable",
        "latentvariable",
        "unobservedconfounder",
        "latentconfounder",
        "hiddenconfounder",
        "unmeasuredconfounder",
    ]
)
OBSERVED = frozenset(
    ["observed", "observable", "obs", "measured", "recorded", "manifest", "visible"]
)
SELECTED = frozenset(
    [
        "selected",
        "s",
        "selection",
        "selectionnode",
        "selectionvariable",
        "snode",
        "conditioned",
        "conditionedon",
    ]
)
ANALYSIS = frozenset(
    [
        "exposure",
        "exposures",
        "e",
        "outcome",
        "outcomes",
        "o",
        "adjusted",
        "a",
        "adjustednode",
        "adjustment",
        "source",
        "target",
        "treatment",
        "treatments",
    ]
)
"""Roles in somebody's analysis; they say nothing about how the rows were recorded."""
ROLE_KEYS = frozenset(
    [
        "type",
        "role",
        "roles",
        "kind",
        "status",
        "class",
        "nodetype",
        "vertextype",
        "variabletype",
        "vartype",
        "noderole",
        "variablerole",
        "visibility",
        "observability",
        "flag",
        "flags",
        "classes",
        "mark",
        "marks",
        "tag",
        "tags",
    ]
)
PLAIN_WORDS = (
    ANALYSIS
    | OBSERVED
    | frozenset(
        [
            "mediator",
            "mediators",
            "covariate",
            "covariates",
            "instrument",
            "instruments",
            "collider",
            "endogenous",
            "continuous",
            "discrete",
            "categorical",
            "binary",
            "ordinal",
            "nominal",
            "numeric",
            "number",
            "integer",
            "int",
            "float",
            "double",
            "real",
            "bool",
            "boolean",
            "string",
            "str",
            "text",
            "image",
            "count",
            "node",
            "vertex",
            "variable",
            "nature",
            "default",
            "normal",
            "basic",
            "domain",
        ]
    )
)
FILLERS = frozenset(
    [
        "and",
        "cause",
        "causes",
        "common",
        "confounder",
        "confounders",
        "confounding",
        "factor",
        "factors",
        "node",
        "nodes",
        "or",
        "the",
        "variable",
        "variables",
        "vertex",
        "vertices",
    ]
)
NOT = frozenset(["not", "non", "never"])
SUSPECT = re.compile(
    "latent|hidden|unob|observ|unmeas|measur|unrec|record|censor|missing|confound|unseen|invisib|unknown"
    "|exogen"
)
"""Keys that may say that a variable is hidden; a no to them says nothing."""
SUSPECT_RECORDED = re.compile("collected|available|indata|hasdata|^data(set)?$|known|endogen")
"""Keys that may say that a variable is recorded; a no to them may say that it is hidden."""
SUSPECT_SELECTION = re.compile("select|condition(?!al)|inclu|exclu|sampled")
SUSPECT_STYLE = re.compile("dash|dot|invis")
"""Lines by which drawings tell hidden variables apart."""
YES = frozenset({"yes", "true", "1", "1.0", "y", "t", "on"})
NOTHING = frozenset({"", "none", "null", "never", "missing", "na", "nan"})
NO = frozenset({"no", "false", "0", "0.0", "n", "f", "off"})

EDGE_KINDS = {
    "directed": "->",
    "->": "->",
    "-->": "->",
    "causal": "->",
    "bidirected": "<->",
    "bi-directed": "<->",
    "<->": "<->",
    "<-->": "<->",
    "undirected": "--",
    "--": "--",
    "---": "--",
    "circle": "o-o",
    "o-o": "o-o",
    "o->": "o->",
    "<-o": "o->",
    "o-": "o-",
    "<-": "<-",
    "<--": "<-",
    "last": "->",
    "first": "<-",
    "both": "<->",
    "none": "--",
    "to": "->",
    "from": "<-",
    "to, from": "<->",
    "to,from": "<->",
    "to;from": "<->",
    "from, to": "<->",
    "from,to": "<->",
    "from;to": "<->",
}
EDGE_KIND_KEYS = frozenset(
    ["type", "edgetype", "kind", "edge", "edgekind", "arrow", "arrows", "marktype"]
)
SUSPECT_EDGE = re.compile(
    "latent|hidden|unob|unmeas|confound|circle|direct|select|endpoint|revers|symmetric|mutual"
)
SUSPECT_ARROW = re.compile("arrow|marker|head")
SUSPECT_END = re.compile("start|begin|source|tail|from|end|target|to$")
OF_LOOKS = re.compile("(color|colour|size|scale|width|fill|strikethrough|label|offset|port|id)$")
"""How the parts of an edge look that may be arrows, without saying whether they are there."""
ARROWS = frozenset(["arrow", "arrows"])
SUSPECT_EDGE_TEXT = re.compile("latent|hidden|unobs|unmeas|confound|bidirect|undirect|<-+>|o-|-o")
DRAWING = frozenset(["graphics", "labelgraphics", "position", "viz"])
"""Lists of attributes that only draw; their arrows and the styles of their lines are read."""
