"""Code of a repository runs for those alone who trust it at a commit that they name; tokens stay
out of everything."""

import json
import sys

import pytest
import torch

import causalplug as cp
from causalplug.errors import RepositoryError
from causalplug.mechanisms.base import MECHANISMS

pytestmark = pytest.mark.filterwarnings(
    "ignore:Use 'content=:DeprecationWarning"
)  # the client's own upload
CODE = """
import causalplug as cp
from causalplug.noise import NoiseSpec

RAN = True

@cp.register_mechanism("{kind}")
class Stripes(cp.FrozenMechanism):
    def __init__(self, pixels=8):
        noise = {{"z": NoiseSpec((pixels,), "uniform")}}
        super().__init__(cp.Image(1, pixels, pixels), [cp.Label("digit", 2)], noise)
        self.pixels = pixels

    def generate(self, labels, noise):
        rows = noise["z"][:, None, None, :] * (labels[:, :, None, None] + 1) / 2
        return rows.expand(-1, 1, self.pixels, -1)

    def config(self):
        return {{"pixels": self.pixels}}
"""


def forget(kind):
    MECHANISMS._classes.pop(kind, None)
    for name in [name for name in sys.modules if name.startswith("causalplug_remote_")]:
        del sys.modules[name]


def test_code_runs_for_those_who_trust_a_commit(hub, repo, cache, tmp_path):
    kind = "stripes-of-a-test"
    (tmp_path / "stripes.py").write_text(CODE.format(kind=kind))
    space = {}
    exec(CODE.format(kind=kind), space)
    part = space["Stripes"]()
    part.push_to_hub(repo, license="mit", code=tmp_path / "stripes.py")
    graph, variables = cp.CausalGraph.parse("D -> I"), {"D": cp.Discrete(2), "I": cp.Image(1, 8, 8)}
    dcm = cp.DCM(graph, variables, mechanisms={"I": part})
    dcm.push_to_hub(f"{repo}-model")
    with torch.no_grad():
        before = dcm(cp.Noise(5, seed=1))["I"]
    forget(kind)
    commit = part.origin.revision
    hub.steer("clear")
    with pytest.raises(
        RepositoryError, match=r'needs code of its own \("stripes\.py"\).*trust_remote_code=True'
    ):
        cp.from_pretrained(repo, cache_dir=cache)
    assert not [path for path in hub.paths() if path.endswith("stripes.py")]
    with pytest.raises(RepositoryError, match=rf"needs a pinned revision.*{commit}"):
        cp.from_pretrained(repo, cache_dir=cache, trust_remote_code=True)
    model = cp.from_pretrained(f"{repo}-model", cache_dir=cache)
    with pytest.raises(RepositoryError, match=r"needs code of its own"), torch.no_grad():
        model(cp.Noise(5, seed=1))
    with pytest.raises(RepositoryError, match=r"with trust_remote_code: it holds a model"):
        cp.from_pretrained(
            f"{repo}-model", cache_dir=cache, revision=dcm.origin.revision, trust_remote_code=True
        )
    assert not any(name.startswith("causalplug_remote_") for name in sys.modules), (
        "code ran without leave"
    )
    loaded = cp.from_pretrained(repo, cache_dir=cache, revision=commit, trust_remote_code=True)
    assert type(loaded).__name__ == "Stripes"
    with torch.no_grad():
        assert torch.equal(
            cp.from_pretrained(f"{repo}-model", cache_dir=cache)(cp.Noise(5, seed=1))["I"], before
        )
    forget(kind)


def test_code_stays_with_what_was_loaded_with_it(tmp_path):
    kind, code = "stripes-that-travel", tmp_path / "stripes.py"
    code.write_text(CODE.format(kind=kind))
    space = {}
    exec(CODE.format(kind=kind), space)
    space["Stripes"]().save_pretrained(tmp_path / "first", code=code, license="mit")
    code.unlink()
    for known in (True, False):  # whether the kind is installed where it is loaded and saved again
        if not known:
            forget(kind)
        loaded = cp.from_pretrained(tmp_path / "first", trust_remote_code=not known)
        again = loaded.asked(label_map={0: 1, 1: 0}).save_pretrained(
            tmp_path / f"again-{known}", code=None
        )
        assert (again / "stripes.py").read_bytes() == (
            tmp_path / "first" / "stripes.py"
        ).read_bytes()
        assert "It needs code of its own, stripes.py" in (again / "README.md").read_text()
        loaded.save_pretrained(tmp_path / "first")  # into its own folder
        forget(kind)
        with pytest.raises(RepositoryError, match="needs code of its own"):
            cp.from_pretrained(again)
        assert type(cp.from_pretrained(again, trust_remote_code=True)).__name__ == "Stripes"
    copied = cp.DCM(
        cp.CausalGraph.parse("D -> I"),
        {"D": cp.Discrete(2), "I": loaded.image},
        mechanisms={"I": loaded},
    )
    copied.save_pretrained(tmp_path / "model", frozen="copy")
    forget(kind)
    inside = cp.from_pretrained(tmp_path / "model", subfolder="frozen/0", trust_remote_code=True)
    assert type(inside).__name__ == "Stripes"


def test_code_that_fails_is_an_error_of_the_repository(tmp_path):
    folder = cp.ConvEncoder(cp.Image(1, 8, 8)).save_pretrained(tmp_path / "encoder")
    config = json.loads((folder / "config.json").read_text()) | {
        "code": "c.py",
        "kind": "nobody-has-this",
    }
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(RepositoryError, match=r'no file "c\.py"'):
        cp.from_pretrained(folder, trust_remote_code=True)
    (folder / "c.py").write_text("1 / 0")
    with pytest.raises(RepositoryError, match=r"its code c\.py fails: ZeroDivisionError"):
        cp.from_pretrained(folder, trust_remote_code=True)
    (folder / "c.py").write_text("x = 1")
    with pytest.raises(RepositoryError, match="is not registered"):
        cp.from_pretrained(folder, trust_remote_code=True)
    (folder / "c.py").write_text("#" * (4 << 20 | 1))
    with pytest.raises(RepositoryError, match="too many for a file of code"):
        cp.from_pretrained(folder, trust_remote_code=True)
    config["code"] = "../c.py"
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(RepositoryError, match="leaves the folder"):
        cp.from_pretrained(folder, trust_remote_code=True)


def test_tokens_are_in_no_file_of_a_published_model(hub, repo, tmp_path, cache, caplog):
    token = "hf_alicealicealice"
    dcm = cp.DCM(cp.CausalGraph.parse("D -> A"), {"D": cp.Discrete(2), "A": cp.Discrete(2)})
    dcm.push_to_hub(repo, token=token, license="mit")
    loaded = cp.from_pretrained(repo, token=token, cache_dir=cache)
    loaded.save_pretrained(tmp_path / "model")
    texts = [
        path.read_bytes()
        for place in (tmp_path / "model", cache)
        for path in place.rglob("*")
        if path.is_file()
    ]
    assert len(texts) > 5
    assert not any(token.encode() in text for text in texts)
    assert token not in repr(loaded.origin) + caplog.text
    with pytest.raises(RepositoryError, match="contains a token") as caught:
        dcm.push_to_hub(repo, token=token, license="mit", summary=f"Log in with {token}")
    assert token not in str(caught.value)


def test_weights_cannot_pass_for_code_that_is_saved_again_in_their_place(tmp_path):
    folder = cp.ConvEncoder(cp.Image(1, 8, 8)).save_pretrained(tmp_path / "encoder")
    config = json.loads((folder / "config.json").read_text()) | {"code": "model.safetensors"}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(RepositoryError, match=r"model\.safetensors as code"):
        cp.from_pretrained(folder)
