"""Two processes make the sample of one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pandas as pd

from tests.sampling.exact import random_model

SCRIPT = """
import sys, torch
torch.set_num_threads(1)
from tests.sampling.exact import random_model
import numpy as np
_, dcm = random_model(2, 4)
tables = {
    "plain": dcm.sample(1001, distributed=True),
    "given": dcm.sample(500, given={"V1": 0}, do={"V0": 1}, distributed=True, batch_size=200),
    "rows": dcm.sample(301, given={"V2": np.arange(301) % 2}, distributed=True),
    "counterfactual": dcm.counterfactual(
        400, evidence={"V1": 1, "V3": 0}, do={"V0": 0}, distributed=True
    ),
}
from accelerate import PartialState
from causalplug.sampling import distributed
state = PartialState()
def work():
    if state.process_index == 1:
        raise ValueError("no memory")
    return 1
try:
    distributed._together(work)
except Exception as error:
    stopped = f"{type(error).__name__}: {error}"
expected = ["SamplingError: Another process has stopped: ValueError: no memory",
            "ValueError: no memory"]
assert stopped == expected[state.process_index], stopped
assert state.num_processes == 2
for name, table in tables.items():
    table.to_json(f"{sys.argv[1]}/{name}-{state.process_index}.json")
    with open(f"{sys.argv[1]}/{name}-{state.process_index}.rate", "w") as file:
        file.write(repr(table.attrs["acceptance_rate"]))
state.destroy_process_group()
"""


def _single() -> dict[str, pd.DataFrame]:
    import numpy as np

    _, dcm = random_model(2, 4)
    return {
        "plain": dcm.sample(1001),
        "given": dcm.sample(500, given={"V1": 0}, do={"V0": 1}),
        "rows": dcm.sample(301, given={"V2": np.arange(301) % 2}),
        "counterfactual": dcm.counterfactual(400, evidence={"V1": 1, "V3": 0}, do={"V0": 0}),
    }


def test_two_processes_make_the_sample_of_one_and_stop_together(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    root = Path(__file__).parents[2]
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    common = {
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "ACCELERATE_USE_CPU": "true",
    }
    path = os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])
    running = [
        subprocess.Popen(
            [sys.executable, str(script), str(tmp_path)],
            env={
                **os.environ,
                **common,
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "PYTHONPATH": path,
            },
            cwd=root,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    said = [process.communicate(timeout=120)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0], "\n".join(said)
    for name, expected in _single().items():
        for rank in range(2):
            found = pd.read_json(tmp_path / f"{name}-{rank}.json")
            assert found.to_numpy().tolist() == expected.to_numpy().tolist(), name
            rate = float((tmp_path / f"{name}-{rank}.rate").read_text())
            assert rate == expected.attrs["acceptance_rate"]


def test_one_process_is_two_of_one() -> None:
    _, dcm = random_model(2, 4)
    assert dcm.sample(50, given={"V1": 0}, distributed=True).equals(dcm.sample(50, given={"V1": 0}))
