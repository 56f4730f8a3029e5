"""A Space of a published model: its files, and its publication on the Hub."""

import pytest
import yaml

import causalplug as cp

GRAPH = cp.CausalGraph.parse("X -> Y; X <-> Y")


@pytest.fixture
def dcm():
    return cp.DCM(GRAPH, {"X": cp.Discrete(2), "Y": cp.Discrete(["no", "yes"])})


def test_a_model_that_is_not_published_has_no_space(dcm, tmp_path):
    with pytest.raises(cp.RepositoryError, match="Publish it first with push_to_hub"):
        dcm.save_space(tmp_path / "space")
    dcm.save_pretrained(tmp_path / "model")
    loaded = cp.from_pretrained(tmp_path / "model")
    with pytest.raises(cp.RepositoryError, match="Publish it first"):
        loaded.push_space("alice/nothing")


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # the client's own upload
def test_a_space_pulls_the_commit_that_was_published(hub, repo, dcm, tmp_path, monkeypatch):
    commit = dcm.push_to_hub(repo, license="mit").oid
    folder = dcm.save_space(tmp_path / "space", title='The "bow"', n=500)
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "app.py",
        "requirements.txt",
    ]
    facts = yaml.safe_load((folder / "README.md").read_text(encoding="utf-8").split("---")[1])
    assert facts["sdk"] == "gradio"
    assert facts["title"] == 'The "bow"'
    assert facts["models"] == [repo]
    lines = (folder / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert lines == [f"causalplug[demo]>={cp.__version__}"]

    pulled = {}
    monkeypatch.setattr(
        "causalplug.demo.app", lambda model, **options: pulled.update(options, model=model)
    )
    exec((folder / "app.py").read_text(encoding="utf-8"), {"__name__": "space"})
    assert pulled["model"].origin.revision == commit
    assert pulled["title"] == 'The "bow"'
    assert pulled["n"] == 500

    info = dcm.push_space(f"{repo[:80]}-space", title="The bow")
    made = hub.steer("commits", kind="space", id=f"{repo[:80]}-space")["commits"]
    assert sorted(name for name in made[info.oid][1] if name != ".gitattributes") == [
        "README.md",
        "app.py",
        "requirements.txt",
    ]


def test_a_title_is_one_line(hub, repo, dcm, tmp_path):
    dcm.push_to_hub(repo, license="mit")
    with pytest.raises(cp.RepositoryError, match="its title is one line"):
        dcm.save_space(tmp_path / "space", title="a\nb")
