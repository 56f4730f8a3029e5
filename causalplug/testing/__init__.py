"""The suites that the author of a mechanism or an encoder runs: subclass one in a test file.

.. code-block:: python

    class TestMyGenerator(MechanismTester):
        def make(self) -> Mechanism:
            return MyGenerator(...)

pytest then collects every check. They ask what training, sampling and saving rely on, nothing about
quality. :class:`MechanismTester` is for frozen mechanisms of every kind,
:class:`TrainableMechanismTester` for trainable ones, :class:`EncoderTester` for encoders.
"""

from __future__ import annotations

from causalplug.hub.card_check import check_card
from causalplug.testing.encoders import EncoderTester
from causalplug.testing.frozen import MechanismTester
from causalplug.testing.trainable import TrainableMechanismTester

__all__ = ["EncoderTester", "MechanismTester", "TrainableMechanismTester", "check_card"]
