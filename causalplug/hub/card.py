"""Model cards, written from facts: a template of ``model_cards/`` filled with what was recorded,
and nothing else."""

from __future__ import annotations

__all__ = ["CARD_FACTS", "card_data", "render_card"]

import importlib.resources
import os
import re
import string
from pathlib import Path
from typing import Literal

from causalplug.errors import RepositoryError
from causalplug.files.validation import check_keys
from causalplug.hub.card_parts import bullets, code, literal, mermaid, number, picture, table, text
from causalplug.hub.licenses import redistribution
from causalplug.values import Json, Named

_FRONT = re.compile(r"\A\s*---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_MAX_FRONT = 1 << 16
_COMMON = {
    "title": str,
    "summary?": str,
    "repo_id?": str | None,
    "license?": str | None,
    "tags?": list[str],
    "datasets?": list[str],
    "pipeline_tag?": str | None,
    "uses?": list[str],
    "limits?": list[str],
    "pictures?": dict[str, str],
}
_PART = {
    "name": str,
    "role": str,
    "repo_id?": str | None,
    "revision?": str | None,
    "subfolder?": str,
    "license?": str | None,
    "copied?": bool,
}
_ORIGIN = {
    "source?": str | None,
    "trained_on?": str | None,
    "paper?": str | None,
    "base_model?": str | None,
    "revision?": str | None,
}
_METRICS = [{"name": str, "value": float, "type?": str, "dataset?": str | None}]
CARD_FACTS: dict[str, Json] = {
    "dcm": {
        **_COMMON,
        "graph": {"variables": {str: str}, "directed": [list[str]], "bidirected": [list[str]]},
        "assumptions?": list[str],
        "plan?": [
            {
                "module": str,
                "action": str,
                "objective?": str | None,
                "matches?": list[str],
                "why?": str,
            }
        ],
        "sources?": [
            {"distribution": str, "name?": str | None, "rows?": int | None, "dataset?": str | None}
        ],
        "training?": [
            {
                "module": str,
                "target": str,
                "rows?": int | None,
                "tvd?": float | None,
                "floor?": float | None,
                "mmd?": float | None,
                "mmd_floor?": float | None,
                "on?": str,
                "converged": bool | None,
            }
        ],
        "queries?": [
            {"query": str, "name?": str | None, "status": str, "reason?": str, "overlap?": str}
        ],
        "parts?": [_PART],
        "fits?": [{"variable": str, "verdict": str, "reasons?": list[str]}],
        "warnings?": [{"name": str, "subject": str, "text": str}],
        "example?": {"do": dict[str, object], "variables": list[str]},
    },
    "adapter": {
        **_COMMON,
        **_ORIGIN,
        "output": str,
        "labels?": {str: str},
        "variable?": str,
        "metrics?": _METRICS,
    },
    "encoder": {
        **_COMMON,
        **_ORIGIN,
        "reads": str,
        "gives": str,
        "variable?": str,
        "metrics?": _METRICS,
    },
}
"""The facts of each kind of card, for :func:`~causalplug.files.validation.check_keys`."""


def render_card(kind: Literal["dcm", "adapter", "encoder"], facts: Named) -> str:
    """Write a card. What no fact is given for is said to be unknown; nothing is made up.

    Args:
        kind: What the repository holds.
        facts: See :data:`CARD_FACTS`. In a DCM's, ``graph.variables`` maps names to descriptions of
            their values; ``plan`` has one entry per module in training order; ``training`` one per
            matched distribution, with the distances and what two samples of the data would have
            ("floor"); ``queries`` has one per question, ``status`` being that of its
            identification; ``parts`` are the generators and encoders that were plugged in.

    Returns:
        Markdown with YAML metadata, as the Hub reads it.

    Raises:
        RepositoryError: A fact is unknown, missing or of a wrong type.
    """
    if kind not in CARD_FACTS:
        raise RepositoryError(
            f'cannot write a card of kind "{kind}"; known are {", ".join(CARD_FACTS)}'
        )
    found = check_keys(dict(facts), CARD_FACTS[kind], where=f"the facts of the {kind} card")
    sections = {"dcm": _dcm, "adapter": _adapter, "encoder": _encoder}[kind](found)
    sections |= {
        "title": text(found["title"]),
        "summary": text(found.get("summary", "")),
        "uses": _uses(found),
    }
    sections["pictures"] = "\n\n".join(picture(*pair) for pair in found.get("pictures", {}).items())
    template = (importlib.resources.files("causalplug.model_cards") / f"{kind}.md").read_text(
        encoding="utf-8"
    )
    body = re.sub(r"\n{3,}", "\n\n", string.Template(template).substitute(sections))
    return f"---\n{_front(kind, found)}---\n\n{body}"


def card_data(path: str | os.PathLike) -> Json:
    """Return the metadata at the head of a card; empty where there is none or it cannot be read.

    A card is written for people; a mistake in it must not keep a model from loading.
    """
    with open(Path(path), "rb") as file:
        return front_matter(file.read(_MAX_FRONT).decode(errors="replace")) or {}


def front_matter(card: str) -> Json | None:
    """The metadata of a card's text; None where there is none or it is not a mapping."""
    import yaml

    if (match := _FRONT.match(card[:_MAX_FRONT])) is None:
        return None
    try:
        value = yaml.safe_load(match[1])
    except (yaml.YAMLError, RecursionError, ValueError):
        return None
    if isinstance(value, dict):
        return value
    return None


def _front(kind: str, facts: Named) -> str:
    import yaml

    bases = [part["repo_id"] for part in facts.get("parts", []) if part.get("repo_id")]
    if facts.get("base_model"):
        bases += [facts["base_model"]]
    results = _results(facts)
    data: Json = {
        "library_name": "causalplug",
        "pipeline_tag": facts.get("pipeline_tag"),
        "license": facts.get("license"),
        "tags": list(
            dict.fromkeys(
                ["causalplug", "causal-inference", f"causalplug-{kind}", *facts.get("tags", [])]
            )
        ),
        "datasets": list(dict.fromkeys(facts.get("datasets", []))),
        "base_model": list(dict.fromkeys(bases)),
        "base_model_relation": "adapter" if bases else None,
        "model-index": [{"name": facts["title"], "results": results}] if results else None,
    }
    kept = {key: value for key, value in data.items() if value}

    class Plain(yaml.SafeDumper):
        """Writes a value that occurs twice out twice: other readers of cards know no anchors."""

        def ignore_aliases(self, data: object) -> bool:
            return True

    return str(yaml.dump(kept, Dumper=Plain, sort_keys=False, allow_unicode=True, width=1000))


def _results(facts: Named) -> list[Json]:
    """The measured numbers in the Hub's form (model-index)."""
    task = {"type": "causal-inference", "name": "Causal inference"}
    results = []
    for row in facts.get("training", []):
        metrics = [
            {"type": kind, "name": f"{name} of {row['target']}", "value": round(row[key], 6)}
            for key, kind, name in [
                ("tvd", "total-variation-distance", "TVD"),
                ("mmd", "maximum-mean-discrepancy", "squared MMD"),
            ]
            if row.get(key) is not None
        ]
        if metrics:
            results.append(
                {
                    "task": task,
                    "dataset": {"type": "custom", "name": row.get("on", "held-out rows")},
                    "metrics": metrics,
                }
            )
    for row in facts.get("metrics", []):
        name = row.get("dataset") or "held-out data"
        metric = {
            "type": row.get("type", row["name"].lower().replace(" ", "-")),
            "name": row["name"],
        }
        dataset = {"type": row.get("dataset") or "custom", "name": name}
        results.append(
            {"task": task, "dataset": dataset, "metrics": [{**metric, "value": row["value"]}]}
        )
    return results


def _dcm(facts: Named) -> dict[str, str]:
    graph, parts = facts["graph"], facts.get("parts", [])
    pulled = {part["name"] for part in parts if part["role"] != "encoder"}
    confounded = []
    for a, b in graph["bidirected"]:
        confounded.append(f"{a} and {b} are affected by something that was not observed.")
    assumptions = [
        "The graph is right: every arrow that is not drawn is an effect that does not exist.",
        *(confounded or ["There is no unobserved confounder."]),
        *facts.get("assumptions", []),
    ]
    rows = []
    for row in facts.get("plan", []):
        rows.append(
            (
                row["module"],
                row["action"],
                row.get("objective"),
                ", ".join(row.get("matches", [])),
                row.get("why"),
            )
        )
    return {
        "graph": mermaid(graph["variables"], graph["directed"], graph["bidirected"], pulled)
        + "\n\nSolid arrows are causes, dotted ones unobserved confounders"
        + (", dashed boxes pretrained generators." if pulled else "."),
        "variables": table(
            ["variable", "values"], graph["variables"].items(), "It has no variables."
        ),
        "assumptions": bullets(assumptions, ""),
        "plan": table(
            ["module", "action", "objective", "matched distributions", "why"],
            rows,
            "No plan was recorded.",
        ),
        "sources": table(
            ["distribution", "name", "rows", "dataset"],
            [
                (row["distribution"], row.get("name"), row.get("rows"), row.get("dataset"))
                for row in facts.get("sources", [])
            ],
            "No data source was recorded.",
        ),
        "training": _training(facts),
        "queries": _queries(facts),
        "warnings": _warnings(facts),
        "parts": _parts(facts),
        "fits": _fits(facts),
        "code": _dcm_code(facts),
    }


def _training(facts: Named) -> str:
    rows = []
    for row in facts.get("training", []):
        rows.append(
            (
                row["module"],
                row["target"],
                row.get("rows"),
                *(number(row.get(key), 4) for key in ("tvd", "floor", "mmd", "mmd_floor")),
                {True: "yes", False: "no", None: "not compared"}[row["converged"]],
            )
        )
    on = next((row["on"] for row in facts.get("training", []) if "on" in row), "held-out rows")
    head = ["module", "distribution", on, "TVD", "floor", "MMD²", "floor of MMD²", "converged"]
    found = table(head, rows, "No distance was measured.")
    note = "\n\nThe floor is the distance that two samples of the data of these sizes would have."
    return found + (note if rows else "")


def _queries(facts: Named) -> str:
    rows = []
    for row in facts.get("queries", []):
        rows.append(
            (row.get("name"), row["query"], row["status"], row.get("overlap"), row.get("reason"))
        )
    head = ["name", "question", "status", "overlap", "why"]
    found = table(head, rows, "No question was checked before publishing.")
    return (
        found + "\n\nAny other question is checked when it is asked: what graph and data do not "
        "determine is refused."
    )


def _warnings(facts: Named) -> str:
    rows = []
    for row in facts.get("warnings", []):
        rows.append((row["name"], row["subject"], row["text"]))
    found = table(["warning", "of", "why"], rows, "Training recorded no warnings.")
    if rows:
        return found + "\n\nAnswers that these concern carry them."
    return found


def _parts(facts: Named) -> str:
    own = facts.get("license")
    rows: list[tuple[object, ...]] = [
        ("trained weights", "trained here", "this repository", None, own, redistribution(own))
    ]
    for part in facts.get("parts", []):
        if part.get("repo_id") is None:
            place = "this computer"
        else:
            place = part["repo_id"]
        if part.get("subfolder"):
            place += f"/{part['subfolder']}"
        where = place
        if part.get("copied"):
            where = f"copy of {place}"
        license = part.get("license")
        commit = (part.get("revision") or "")[:8]
        rows.append((part["name"], part["role"], where, commit, license, redistribution(license)))
    return table(["part", "role", "where", "commit", "licence", "may be passed on"], rows, "")


def _fits(facts: Named) -> str:
    rows = []
    for row in facts.get("fits", []):
        rows.append((row["variable"], row["verdict"], "; ".join(row.get("reasons", []))))
    generators = [part for part in facts.get("parts", []) if part["role"] != "encoder"]
    if not generators and not rows:
        return ""
    otherwise = "Whether the generators fit the data was not checked."
    return table(["generator of", "fits the data", "why"], rows, otherwise)


def _uses(facts: Named) -> str:
    limits = [
        *facts.get("limits", []),
        "Outside the range of its data, and for units that its data do not represent, its answers "
        "mean nothing.",
    ]
    found = bullets(facts.get("uses", []), "The author states no intended use.")
    return f"{found}\n\nLimits:\n\n{bullets(limits, '')}"


def _dcm_code(facts: Named) -> str:
    name = facts.get("repo_id") or "path/to/this/folder"
    load = f"dcm = cp.from_pretrained({literal(name)})  # revision=<commit hash> pins it"
    lines = ["import causalplug as cp", "", load]
    if example := facts.get("example"):
        do, variables = literal(example["do"]), literal(example["variables"])
        lines.append(f"dcm.sample(1_000, do={do}, variables={variables}, seed=0)")
    return code(lines)


def _origin(facts: Named) -> str:
    base = facts.get("base_model")
    if base and facts.get("revision"):
        base = f"{base}, commit {facts['revision']}"
    license = facts.get("license")
    rows = [
        ("weights from", facts.get("source")),
        ("made from", base),
        ("trained on", facts.get("trained_on")),
        ("paper", facts.get("paper")),
        ("licence", license or "none is declared"),
        ("may be passed on", redistribution(license)),
    ]
    return table(["", ""], [row for row in rows if row[1]], "")


def _metrics(facts: Named) -> str:
    rows = []
    for row in facts.get("metrics", []):
        rows.append((row["name"], number(row["value"], 4), row.get("dataset")))
    return table(["measure", "value", "data"], rows, "Nothing was measured before publishing.")


def _part_code(facts: Named, argument: str) -> str:
    name = facts.get("repo_id") or "path/to/this/folder"
    variable = facts.get("variable", "X")
    load = f"{argument}={{{literal(variable)}: cp.from_pretrained({literal(name)})}}"
    return code(["import causalplug as cp", "", f"dcm = cp.DCM(graph, variables, {load})"])


def _adapter(facts: Named) -> dict[str, str]:
    return {
        "output": text(facts["output"]),
        "labels": table(
            ["label", "values"], facts.get("labels", {}).items(), "Nothing: it is unconditional."
        ),
        "origin": _origin(facts),
        "metrics": _metrics(facts),
        "code": _part_code(facts, "mechanisms"),
    }


def _encoder(facts: Named) -> dict[str, str]:
    return {
        "output": table(["reads", "gives"], [(facts["reads"], facts["gives"])], ""),
        "origin": _origin(facts),
        "metrics": _metrics(facts),
        "code": _part_code(facts, "encoders"),
    }
