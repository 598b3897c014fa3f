"""Asking one node, or several at once."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence, Set
from dataclasses import dataclass
from typing import Any

from tornado_ext.sessions._sharding.node import Node, NodeFailed

PROMPT = 0.5  # seconds for a write to reach all owners; if they are over, the first is asked again


@dataclass(slots=True)
class Decision:
    """Who took a write first, what it said, and who is to take it then."""

    node: Node
    verdict: Any
    others: list[Node]
    run_id: str  # of that node
    filling: str  # and the last one that it needed
    prompt_until: float  # loop time; after that it may have been emptied and filled anew
    owners: Set[str]
    known_until: float  # loop time, for these owners


async def decided(node: Node, asking: Awaitable[Any]) -> Any:
    """Return what a node says, or raise `NodeFailed` if it was restarted meanwhile.

    What it has missed meanwhile makes no difference: it took this, and its doubts are asked about.
    """
    verdict = await asking
    if not node.complete:
        raise NodeFailed(f"node {node.name!r} was restarted")
    return verdict


async def answers_of(
    nodes: Sequence[Node], ask: Callable[[Node], Awaitable[Any]]
) -> dict[Node, Any]:
    """Return what each node says that does not fail; raise other errors."""
    if len(nodes) == 1:  # as it is with two replicas: no tasks
        try:
            return {nodes[0]: await ask(nodes[0])}
        except NodeFailed:
            return {}
    replies = await asyncio.gather(*map(ask, nodes), return_exceptions=True)
    for reply in replies:
        if isinstance(reply, BaseException) and not isinstance(reply, NodeFailed):
            raise reply
    answers = zip(nodes, replies, strict=True)
    return {node: reply for node, reply in answers if not isinstance(reply, NodeFailed)}
