"""The recipe's quick mode, from the bundled digits to the answers, the pictures and a model that can be loaded."""

import json
import warnings

import causalplug as cp
from causalplug.errors import ConvergenceWarning
from recipes.mnist_frontdoor.run import main


def test_quick_mode(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 4,000 rows and 150 steps are for looking, not for answers
        result = main(["--quick", "--output-dir", str(tmp_path)])
    assert json.loads((tmp_path / "result.json").read_text())["max_tvd"] == result["max_tvd"]
    assert min(row["tvd_naive"] for row in result["do"].values()) > 0.12
    assert result["max_tvd"] < 0.1
    assert min(result["shown"].values()) > 0.65
    assert {path.name for path in tmp_path.glob("*.png")} == {"plan.png", "training.png", "images.png"}
    dcm = cp.from_pretrained(tmp_path / "dcm")
    assert dcm.estimate("P(A | do(D=1))", n=500).table is not None
