"""Small helpers of tensors."""

import torch

from causalplug.tensors import unraveled


def test_joint_codes_are_taken_apart_as_torch_does():
    joint = torch.arange(24).view(4, 6)
    for found, wanted in zip(
        unraveled(joint, (2, 3, 4)), torch.unravel_index(joint, (2, 3, 4)), strict=True
    ):
        assert torch.equal(found, wanted)
    assert unraveled(joint, ()) == ()
