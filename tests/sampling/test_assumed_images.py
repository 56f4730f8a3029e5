"""Counterfactuals of images under the assumption that the trained mechanism is the true one."""

import numpy as np
import pytest
import torch

import causalplug as cp
from causalplug.errors import MechanismError, NotIdentifiableError, QueryError

IMAGE = cp.Assume("invertible", effect="I")
NUMBER = cp.Assume("monotone noise", effect="B")


def model(graph, mechanism=None):
    variables = {
        "D": cp.Discrete(2),
        "T": cp.Continuous(),
        "B": cp.Continuous(),
        "I": cp.Image(1, 4, 4),
    }
    mechanism = mechanism or cp.InvertibleImage(latent_size=2, width=4)
    dcm = cp.DCM(cp.CausalGraph.parse(graph), variables, mechanisms={"I": mechanism})
    dcm.sources = (cp.Source(["D", "T", "B", "I"], name="rows"),)
    return dcm


def rows(n=3):
    generator = torch.Generator().manual_seed(0)
    return {
        "D": np.arange(n) % 2,
        "T": np.linspace(-1, 1, n),
        "B": np.linspace(0, 1, n),
        "I": torch.rand(n, 1, 4, 4, generator=generator),
    }


CHAIN = "T -> B; T -> I; B -> I; D -> I"


def test_the_answer_carries_what_it_rests_on():
    dcm = model(CHAIN)
    with pytest.raises(NotIdentifiableError):
        dcm.counterfactual(rows(), do={"D": 1})
    found = dcm.counterfactual(rows(), do={"D": 1}, assume=IMAGE)
    assert found.attrs["identification"] == "identifiable"
    assert found.attrs["assumptions"] == [str(IMAGE)]
    assert "as its trained mechanism says" in found.attrs["assumptions"][0]
    assert [w["name"] for w in found.attrs["warnings"]] == ["assumption"]
    free = dcm.counterfactual(rows(), do={"D": 1}, allow_unidentified=True)
    for one, other in zip(found["I"], free["I"], strict=True):
        assert torch.equal(one, other)


def test_numbers_on_the_way_need_an_assumption_of_their_own():
    dcm = model(CHAIN)
    with pytest.raises(NotIdentifiableError):
        dcm.counterfactual(rows(), do={"T": 0.5}, assume=IMAGE)
    found = dcm.counterfactual(rows(), do={"T": 0.5}, assume=[IMAGE, NUMBER])
    assert set(found.attrs["assumptions"]) == {str(IMAGE), str(NUMBER)}


def test_a_hidden_cause_of_what_is_seen_and_stays_does_not_matter():
    dcm = model(f"{CHAIN}; D <-> T")
    found = dcm.counterfactual(rows(), do={"T": 0.5}, assume=[IMAGE, NUMBER])
    assert found.attrs["identification"] == "identifiable"
    # of a row whose category was not seen it says something that one table does not
    without = {name: column for name, column in rows().items() if name != "D"}
    with pytest.raises(NotIdentifiableError):
        dcm.counterfactual(without, do={"T": 0.5}, assume=[IMAGE, NUMBER])


def test_a_confounded_image_is_refused():
    dcm = model(f"{CHAIN}; D <-> I")
    with pytest.raises(QueryError, match="shares a hidden cause with D"):
        dcm.counterfactual(rows(), do={"D": 1}, assume=IMAGE)


def test_a_mechanism_that_gives_the_image_back_roughly_is_refused():
    dcm = model(CHAIN, cp.InvertibleImage(latent_size=2, width=4, residual=False))
    with pytest.raises(QueryError, match="no map from noise that can be turned round exactly"):
        dcm.counterfactual(rows(), do={"D": 1}, assume=IMAGE)


def plain(graph=CHAIN):
    """A model whose image has the mechanism that it gets by itself."""
    variables = model(CHAIN).variables
    dcm = cp.DCM(cp.CausalGraph.parse(graph), variables)
    dcm.sources = (cp.Source(["D", "T", "B", "I"], name="rows"),)
    return dcm


def test_every_refusal_leads_to_the_next_step():
    """From the mechanism that an image gets by itself to an answer, by what the messages say."""
    with pytest.raises(MechanismError, match=r"cp\.InvertibleImage\(\)"):
        plain().counterfactual(rows(), do={"D": 1})
    with pytest.raises(MechanismError, match=r"cp\.InvertibleImage\(\)"):
        plain(f"{CHAIN}; D <-> I").counterfactual(rows(), do={"D": 1})
    with pytest.raises(MechanismError, match=r"cp\.InvertibleImage\(\)"):
        plain().abduct(rows())
    said = r"assume=causalplug\.Assume\(\"invertible\", effect='I'\)\.$"
    with pytest.raises(NotIdentifiableError, match=said):
        model(CHAIN).counterfactual(rows(), do={"D": 1})
    rough = cp.InvertibleImage(latent_size=2, width=4, residual=False)
    way = r"mechanisms=\{'I': causalplug\.InvertibleImage\(\)\}"
    with pytest.raises(NotIdentifiableError, match=f"assume=.*{way}"):
        model(CHAIN, rough).counterfactual(rows(), do={"D": 1})
    with pytest.raises(QueryError, match=way):
        model(CHAIN, rough).counterfactual(rows(), do={"D": 1}, assume=IMAGE)


def test_no_way_is_named_that_does_not_lead_there():
    with pytest.raises(NotIdentifiableError) as refused:
        model(f"{CHAIN}; D <-> I").counterfactual(rows(), do={"D": 1})
    assert "assume=" not in str(refused.value)
    with pytest.raises(NotIdentifiableError) as refused:
        plain().counterfactual(5, evidence={"D": 0, "B": (0, 1)}, do={"T": 0.5}, variables=["B"])
    assert "assume=" not in str(refused.value)


def test_a_category_is_refused():
    with pytest.raises(QueryError, match="finitely many values"):
        cp.identify(
            cp.CausalGraph.parse("X -> Y"),
            "P(Y_{X=1} | X=0, Y=1)",
            domains={"X": (0, 1), "Y": (0, 1)},
            assume=cp.Assume("invertible", effect="Y"),
        )
