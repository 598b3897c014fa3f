"""How the nodes of a ring are, without being heard of by any of them."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tornado_ext.errors import ConfigurationError
from tornado_ext.sessions._sharding import upkeep as timing
from tornado_ext.sessions._sharding.node import OK, Node, NodeFailed
from tornado_ext.sessions._sharding.replicas import Replicas
from tornado_ext.sessions._sharding.upkeep import Upkeep
from tornado_ext.sessions.ring import Ring

APART = 1.25  # looks of processes: one that takes a node for away has set its marks by then
PLACED = 10_000  # keys, to tell shares
SAMPLE = 1000  # keys of a node: where there are more, the number of sessions is an estimate
HEADER = "node", "state", "weight", "share", "sessions", "memory", "eviction"


@dataclass(frozen=True, slots=True)
class Contents:
    """What a node says that it has."""

    sessions: str = "-"
    memory: str = "-"
    eviction: str = "-"


async def status(replicas: Replicas) -> tuple[str, bool]:
    """Return a table of the nodes, and whether all are ok."""
    states = await states_of(replicas)
    contents = await asyncio.gather(*(contents_of(n, replicas) for n in replicas.nodes.values()))
    shares = shares_of(replicas.ring)
    rows = [HEADER]
    for node, has in zip(replicas.nodes.values(), contents, strict=True):
        weight, share = str(replicas.ring.weights[node.name]), f"{shares[node.name]:.0%}"
        rows.append(
            (node.name, states[node.name], weight, share, has.sessions, has.memory, has.eviction)
        )
    others = [f"Processes have another ring: {words(ring)}." for ring in other_rings(replicas)]
    return "\n".join([*table(rows), *others, ""]), set(states.values()) == {OK}


async def states_of(replicas: Replicas) -> dict[str, str]:
    """Return the state of each node and why, by name: the worse of two looks."""
    upkeep = Upkeep(replicas, asyncio.get_running_loop(), silent=True)
    states: dict[str, str] = {}
    for pause in (0.0, APART * timing.INTERVAL):
        await asyncio.sleep(pause)
        await upkeep.look()
        for name, node in replicas.nodes.items():
            state = node.state(replicas.ring.description)
            if state != OK or name not in states:
                states[name] = f"{state}: {node.why}" if node.why else state
    return states


def other_rings(replicas: Replicas) -> list[str]:
    """Return the rings that processes said to have in the last seconds, other than this one."""
    heard = {ring for node in replicas.nodes.values() for ring in node.rings}
    return sorted(heard - {replicas.ring.description})


def words(description: str) -> str:
    """Return a ring as people write it."""
    try:
        ring = Ring.described(description)
    except (ValueError, ConfigurationError):
        return repr(description)
    nodes = (name if weight == 1 else f"{name}*{weight}" for name, weight in ring.weights.items())
    return f"{' '.join(nodes)}, replicas {ring.replicas}"


def shares_of(ring: Ring) -> dict[str, float]:
    """Return the share of all copies that each node owns, to about a percent."""
    counts = Counter(name for key in range(PLACED) for name in ring.owners(str(key)))
    return {name: counts[name] / counts.total() for name in ring.weights}


async def contents_of(node: Node, replicas: Replicas) -> Contents:
    """Ask a node what it holds; nothing is known of one that is away."""
    if node.away:
        return Contents()
    try:
        cursor, keys = await node.scan("0", "*", SAMPLE)
        size, info = await node.size(), await node.memory()
    except NodeFailed:
        return Contents()
    sessions = sum(key.startswith(f"{replicas.prefix}session:") for key in keys)
    about = "" if cursor == "0" else "about "
    if cursor != "0":
        sessions = round(size * sessions / len(keys)) if keys else 0
    most = int(info["maxmemory"])
    memory = megabytes(int(info["used_memory"])) + (f" of {megabytes(most)}" if most else "")
    return Contents(f"{about}{sessions:,}", memory, info["maxmemory_policy"])


def megabytes(size: int) -> str:
    return f"{size / 2**20:,.1f} MB"


def table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return the lines of a table; all but the first two columns are for numbers."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if column in (0, 1, len(widths) - 1) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines
