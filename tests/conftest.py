"""No test reaches the internet: the Hub's client is pointed at a Hub on loopback before anything
imports it."""

import atexit
import os
import re
import sys
import tempfile
import zlib
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from hub_fixture import HubProcess

_hub = HubProcess().start()
atexit.register(_hub.stop)
_home = tempfile.TemporaryDirectory(prefix="hub-home-")
os.environ |= _hub.env(Path(_home.name))


@pytest.fixture
def hub(tmp_path):
    """The Hub, without the faults and the log of earlier tests; its repositories stay."""
    _hub.steer("clear")
    return _hub


@pytest.fixture
def repo(request):
    """The id of a repository of alice's that no other test uses."""
    name = re.sub(r"[^A-Za-z0-9]+", "-", request.node.nodeid.split("::", 1)[1])
    return f"alice/{name[:60].strip('-')}-{zlib.crc32(request.node.nodeid.encode()):08x}"
