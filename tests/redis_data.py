"""What a private Redis has on its disk while it does not run."""

import shutil
from pathlib import Path

from tornado_ext.testing import RedisServer

LOG = "appendonlydir"  # of Redis 7; a RedisServer keeps every write there


def keep(server: RedisServer) -> Path:
    """Keep aside what a server has now; return where."""
    kept = server.data / "kept"
    shutil.copytree(server.data / LOG, kept, dirs_exist_ok=True)
    return kept


def forget(server: RedisServer) -> None:
    """Have a server that was killed come back empty."""
    shutil.rmtree(server.data / LOG)


def put_back(server: RedisServer, kept: Path) -> None:
    """Have a server that was killed come back with what it had when it was kept aside."""
    forget(server)
    shutil.copytree(kept, server.data / LOG)
