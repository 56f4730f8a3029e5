"""Cards say what was recorded, as the Hub wants it, and a card that lacks something is found
out."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causalplug.errors import RepositoryError
from causalplug.hub.card import card_data, render_card
from causalplug.hub.card_check import card_problems, check_card
from causalplug.hub.licenses import may_copy, redistribution
from causalplug.model.facts import training_rows

ROOT = Path(__file__).parents[2]
FACTS = {
    "title": "Front-door on digits",
    "summary": "A digit's image is the only way from treatment to outcome.",
    "repo_id": "me/frontdoor",
    "license": "apache-2.0",
    "pipeline_tag": "unconditional-image-generation",
    "tags": ["image", "causalplug"],
    "datasets": ["ylecun/mnist"],
    "graph": {
        "variables": {"D": "0, 1", "I": "image, 3 x 32 x 32", "A <b>": "red | green"},
        "directed": [["D", "I"], ["I", "A <b>"]],
        "bidirected": [["D", "A <b>"]],
    },
    "assumptions": ["Hands are $steady."],
    "plan": [
        {"module": "I", "action": "PULL", "matches": [], "why": "nothing confounds it"},
        {
            "module": "D+A",
            "action": "TRAIN",
            "objective": "adversarial",
            "matches": ["P(D, I, A)"],
            "why": "D <-> A",
        },
    ],
    "sources": [
        {"distribution": "P(D, I, A)", "rows": 20_000, "dataset": "ylecun/mnist"},
        {"distribution": "P(A, I | do(D))"},
    ],
    "training": [
        {
            "module": "D+A",
            "target": "P(D, I, A)",
            "rows": 1000,
            "tvd": 0.0071,
            "floor": 0.004,
            "mmd": 0.002,
            "mmd_floor": 0.003,
            "converged": True,
        },
        {"module": "D+A", "target": "P(A, I | do(D))", "rows": 500, "converged": False},
    ],
    "warnings": [
        {"name": "weak overlap", "subject": "do(D=1)", "text": "12 % of the rows lack support."}
    ],
    "queries": [
        {
            "query": "P(A | do(D=1))",
            "status": "identifiable",
            "overlap": "weak overlap, 3 % of rows",
        },
        {"query": "P(D | do(A=1))", "status": "not identifiable", "reason": "a hedge"},
    ],
    "parts": [
        {
            "name": "I",
            "role": "generator",
            "repo_id": "user/mnist-cgan",
            "revision": "a" * 40,
            "subfolder": "32",
            "license": "cc-by-nc-4.0",
        },
        {
            "name": "I",
            "role": "encoder",
            "repo_id": "user/mnist-encoder",
            "revision": "b" * 40,
            "copied": True,
        },
    ],
    "fits": [{"variable": "I", "verdict": "off", "reasons": ["D=1 can be told apart"]}],
    "uses": ["Teaching."],
    "limits": ["Digits only."],
    "example": {"do": {"D": 1}, "variables": ["A <b>"]},
}
LEAST = {
    "title": "t",
    "license": "mit",
    "graph": {"variables": {"X": "0, 1"}, "directed": [], "bidirected": []},
}
PART = {
    "title": "MNIST cGAN",
    "license": "mit",
    "repo_id": "user/mnist-cgan",
    "trained_on": "MNIST",
}
ADAPTER = {**PART, "output": "images, 1 x 32 x 32", "labels": {"digit": "0 to 9"}, "variable": "I"}
ENCODER = {**PART, "reads": "images, 1 x 32 x 32", "gives": "32 numbers"}
METRICS = [{"name": "Class agreement", "value": 0.98, "dataset": "ylecun/mnist"}]


def test_the_whole_card():
    assert render_card("dcm", FACTS) == (Path(__file__).parent / "card_dcm.md").read_text(
        encoding="utf-8"
    )


def test_the_card_of_the_demo_is_what_is_written_today():
    """``make cards`` writes both anew."""
    facts = json.loads((ROOT / "recipes/mnist_frontdoor/card.json").read_text(encoding="utf-8"))
    card = (ROOT / "model_cards/mnist_frontdoor.md").read_text(encoding="utf-8")
    assert card == render_card("dcm", facts)
    check_card(card)


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        ("dcm", FACTS),
        ("dcm", LEAST),
        ("adapter", ADAPTER),
        (
            "adapter",
            {**ADAPTER, "metrics": METRICS, "base_model": "user/base", "revision": "c" * 40},
        ),
        ("encoder", ENCODER),
        ("encoder", {**ENCODER, "metrics": METRICS}),
    ],
)
def test_cards_pass_their_check_and_the_hubs_client_reads_them(kind, facts):
    from huggingface_hub import ModelCard

    card = render_card(kind, facts)
    check_card(card)
    data = ModelCard(card).data
    assert data.library_name == "causalplug"
    assert data.license == facts["license"]
    assert {"causalplug", "causal-inference", f"causalplug-{kind}"} <= set(data.tags)
    measured = [r.metric_value for r in data.eval_results or []]
    wanted = [row[key] for row in facts.get("training", []) for key in ("tvd", "mmd") if key in row]
    assert measured == wanted + [row["value"] for row in facts.get("metrics", [])]
    bases = [part["repo_id"] for part in facts.get("parts", [])]
    bases += [facts[key] for key in ["base_model"] if key in facts]
    assert (data.base_model or []) == bases
    assert data.to_dict().get("base_model_relation") == ("adapter" if bases else None)


def test_what_is_unknown_is_said_to_be():
    card = render_card("dcm", {key: value for key, value in LEAST.items() if key != "license"})
    for sentence in [
        "There is no unobserved confounder.",
        "No plan was recorded.",
        "No data source was recorded.",
        "No distance was measured.",
        "No question was checked before publishing.",
        "unknown, none is declared",
        "The author states no intended use.",
        'cp.from_pretrained("path/to/this/folder")',
    ]:
        assert sentence in card
    assert card_problems(card) == ["license is missing"]


def test_facts_are_checked():
    with pytest.raises(
        RepositoryError,
        match=r'facts of the dcm card: "summry" is unknown \(did you mean "summary"\?',
    ):
        render_card("dcm", {**LEAST, "summry": "x"})
    with pytest.raises(RepositoryError, match=r'"training\[0\]\.tvd" is text'):
        render_card(
            "dcm",
            {
                **LEAST,
                "training": [{"module": "X", "target": "P(X)", "converged": True, "tvd": "1"}],
            },
        )
    with pytest.raises(RepositoryError, match='cannot write a card of kind "modle"'):
        render_card("modle", LEAST)


GOOD = render_card("dcm", FACTS)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("---\nlibrary_name", "library_name", "no metadata"),
        ("tags:\n- causalplug\n", "tags: [\n", "no metadata"),
        ("library_name: causalplug", "library_name: other", "library_name is not causalplug"),
        ("license: apache-2.0\n", "", "license is missing"),
        ("- causal-inference\n", "", 'the tag "causal-inference" is missing'),
        ("- causalplug-dcm\n", "", "its tags must name one of"),
        ("base_model_relation: adapter\n", "", "base_model_relation is not one of"),
        ("- user/mnist-cgan\n", "- mnist-cgan\n", "base_model 'mnist-cgan' is not owner/name"),
        ("## Assumptions\n", "", 'the section "Assumptions" is missing'),
        ("## Data\n", "## Data\n\n## Data\n", "not in order, or one is there twice|is empty"),
        ("# Front-door on digits\n", "", "it has no title"),
        ("```mermaid", "```text", "its graph is not drawn"),
        ("v0 --> v1", "v0 --> v7", "its graph has an edge at v7, no variable"),
        ("v0 --> v1", "v0 ---> v1", "a line that cannot be drawn: 'v0 ---> v1'"),
        ("| D | 0, 1 |", "| D | 0, 1 | 2 |", "has 3 cells instead of 2"),
        ("from_pretrained(", "load(", "does not show how to load it"),
        ("import causalplug as cp", "import causalplug as", "its Python code is wrong"),
        ("Teaching.", "Log in with hf_" + "a" * 20, "contains a token"),
        ("Teaching.", "See /home/me/notes", "contains a path of a computer: '/home/me/notes'"),
        ("Teaching.", "$uses", "contains a placeholder"),
        ("Teaching.", "TODO", "contains a placeholder"),
    ],
)
def test_what_is_wrong_with_a_card(old, new, problem):
    assert old in GOOD
    with pytest.raises(RepositoryError, match=rf"^cannot publish the card: .*{problem}"):
        check_card(GOOD.replace(old, new, 1))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(st.text(max_size=12), min_size=9, max_size=9))
def test_text_stays_text(texts):
    """Whatever is in the facts cannot break out of its cell, its box or its string."""
    names = dict.fromkeys(texts[:3])
    edges = [list(names)[:2]] if len(names) > 1 else []
    facts = {
        "title": texts[3] or "t",
        "summary": texts[4],
        "license": "mit",
        "repo_id": texts[5],
        "graph": {
            "variables": dict.fromkeys(names, texts[6]),
            "directed": edges,
            "bidirected": edges,
        },
        "plan": [{"module": texts[7], "action": texts[8], "matches": texts[:2]}],
        "limits": [texts[6]],
        "example": {"do": {texts[0]: texts[1]}, "variables": texts[2:4]},
    }
    problems = card_problems(render_card("dcm", facts))
    assert [p for p in problems if "placeholder" not in p and "title" not in p] == []


def test_metadata_of_damaged_cards(tmp_path):
    path = tmp_path / "README.md"
    bad = [b"", b"no metadata", b"---\n[\n---\n", b"---\n- a\n---\n", b"\xff---\n"]
    bad += [b"---\na: " + b"[" * 5000 + b"\n---\n", b"---\na: 2025-99-99\n---\n"]
    for content in bad:
        path.write_bytes(content)
        assert card_data(path) == {}
    path.write_bytes(b"---\nlicense: mit\n---\n\xff\xfe")
    assert card_data(path) == {"license": "mit"}


def test_licences():
    assert redistribution("MIT") == "yes"
    assert redistribution("cc-by-nc-4.0") == "yes, not for commercial use"
    assert redistribution("other") == "unknown, read the licence"
    assert redistribution(None) == "unknown, none is declared"
    assert may_copy("openrail")
    assert not may_copy("other")
    assert not may_copy(None)


def test_the_facts_of_a_model():
    """A front-door model tells its graph, plan, sources, distances and what may be asked."""
    import causalplug as cp
    from causalplug.model.facts import dcm_facts

    graph = cp.CausalGraph.parse("D -> I -> A; D <-> A")
    variables = {
        "D": cp.Discrete(2),
        "I": cp.Image(1, 8, 8),
        "A": cp.Discrete([f"c{n}" for n in range(12)]),
    }
    dcm = cp.DCM(graph, variables)
    dcm.sources = (cp.Source(["D", "I", "A"]),)
    dcm.plan = cp.plan(graph, dcm.sources)
    distance = {"target": "P(D, A | I)", "rows": 500, "tvd": 0.01, "floor": 0.02}
    dcm.history = {
        "modules": [{"variables": ["D", "A"], "distances": [distance], "converged": True}]
    }
    facts = dcm_facts(
        dcm, title="t", license="mit", repo_id="me/t", queries=["P(A | do(D=1))"], tags=["toy"]
    )
    assert facts["graph"]["variables"] == {
        "D": "0, 1",
        "I": "image, 1 x 8 x 8",
        "A": "12 categories, c0 to c11",
    }
    assert facts["queries"][0]["status"] == "identifiable"
    assert facts["training"] == [{"module": "D+A", "converged": True, **distance}]
    assert [row["module"] for row in facts["plan"]] == ["I", "D+A"]
    assert facts["sources"] == [{"distribution": "P(A, D, I)", "name": None}]
    assert facts["tags"] == ["image", "tabular", "toy"]
    card = render_card("dcm", facts)
    check_card(card)
    assert "| D+A | P(D, A \\| I) | 500 | 0.0100 | 0.0200 | yes |" in card


def test_a_model_trained_on_all_rows_does_not_claim_held_out_ones():
    history = {
        "settings": {"held_out": 0.0},
        "modules": [
            {"variables": ["X"], "converged": True, "distances": [{"target": "P(X)", "tvd": 0.01}]}
        ],
    }
    (row,) = training_rows(history)
    assert row["on"] == "training rows"
    assert "on" not in training_rows(history | {"settings": {"held_out": 0.1}})[0]
