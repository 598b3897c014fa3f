"""Faults planted in the protocol, which the simulation has to find."""

from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from tornado_ext.sessions import sharded
from tornado_ext.sessions._sharding import node, scripts
from tornado_ext.sessions._sharding.copies import Copy

NEWEST_WINS = """
local done, at = {}, 1
for number, key in ipairs(KEYS) do
  local kind, left, first, last = ARGV[at], ARGV[at + 1], at + 3, at + 2 + ARGV[at + 2]
  local theirs = {}
  for i = first, last, 2 do theirs[ARGV[i]] = ARGV[i + 1] end
  local seen = redis.call('HGET', key, 'seen')
  if kind ~= 'hash' or theirs.gone or not seen or seen < theirs.seen then
    redis.call('DEL', key)
    for i = first, last, 2 do
      if kind == 'zset' then
        redis.call('ZADD', key, ARGV[i + 1], ARGV[i])
      else
        redis.call('HSET', key, ARGV[i], ARGV[i + 1])
      end
    end
    redis.call('PEXPIRE', key, left)
  end
  done[number], at = 1, last + 1
end
return done
"""
NO_TOMBSTONE = """
local held = redis.call('HGETALL', KEYS[1])
return {redis.call('DEL', KEYS[1]), held}
"""


def newest_wins(patch: pytest.MonkeyPatch) -> None:
    """Take the copy that was seen last, and no field of the others."""

    def merge(copies: Iterable[Copy]) -> Copy:
        held = [copy for copy in copies if copy]
        gone = [copy for copy in held if "gone" in copy]
        return max(gone or held, key=lambda copy: copy.get("seen", ""), default={})

    patch.setattr(sharded, "merge", merge)
    patch.setattr(scripts, "MERGE", NEWEST_WINS)


def no_marks(patch: pytest.MonkeyPatch) -> None:
    """Let no node remember what another has missed."""

    async def write(
        self: node.Node, script: str, write: node.Write, marks: Sequence[str], *args: Any
    ) -> Any:
        head = write.ttl, str(write.key), write.stamp
        return await self.run(script, [str(write.key)], *head, *args)

    async def mark(self: node.Node, write: node.Write, nodes: Sequence[str]) -> None: ...

    patch.setattr(node.Node, "write", write)
    patch.setattr(node.Node, "mark", mark)


def no_tombstones(patch: pytest.MonkeyPatch) -> None:
    """Delete, and leave nothing."""
    patch.setattr(scripts, "BURY", NO_TOMBSTONE)


def late_writes_win(patch: pytest.MonkeyPatch) -> None:
    """Take a field from whatever comes last."""
    _change(patch, "SAVE", "if last < stamp then", "if true then")


def new_marks_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    """Take away a mark that was set anew while what it stands for was copied."""
    _change(patch, "UNMARK", "== ARGV[2]", "~= ''")


def _change(patch: pytest.MonkeyPatch, script: str, old: str, new: str) -> None:
    text = getattr(scripts, script)
    assert old in text
    patch.setattr(scripts, script, text.replace(old, new))


FAULTS = [newest_wins, no_marks, no_tombstones, late_writes_win, new_marks_are_forgotten]
