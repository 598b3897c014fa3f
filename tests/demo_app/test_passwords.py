"""Password hashes."""

import asyncio
from collections.abc import Iterator

import pytest
from argon2 import extract_parameters
from tornado.ioloop import IOLoop

from demo_app import passwords as module
from demo_app.passwords import Passwords, TooBusy


@pytest.fixture
def passwords(io_loop: IOLoop) -> Iterator[Passwords]:
    passwords = Passwords()
    yield passwords
    io_loop.run_sync(passwords.close)


@pytest.mark.gen_test
async def test_right_password_is_recognised(passwords: Passwords) -> None:
    stored = await passwords.hash("correct horse 茶")
    assert await passwords.verify(stored, "correct horse 茶")


@pytest.mark.gen_test
async def test_wrong_password_is_refused(passwords: Passwords) -> None:
    assert not await passwords.verify(await passwords.hash("correct horse"), "correct house")


@pytest.mark.gen_test
async def test_nobody_has_a_password(passwords: Passwords) -> None:
    assert not await passwords.verify(None, "")


@pytest.mark.gen_test
async def test_nobody_costs_as_much_as_somebody(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = await passwords.hash("correct horse")
    checked = []

    def matches(stored: str, password: str) -> bool:
        checked.append(extract_parameters(stored))
        return original(stored, password)

    original = passwords._matches
    monkeypatch.setattr(passwords, "_matches", matches)
    await passwords.verify(None, "wrong horse")
    await passwords.verify(stored, "wrong horse")
    assert len(checked) == 2
    assert checked[0] == checked[1]


@pytest.mark.gen_test
async def test_damaged_hash_is_refused(passwords: Passwords) -> None:
    assert not await passwords.verify("no hash", "anything")


@pytest.mark.gen_test
async def test_hash_is_argon2id(passwords: Passwords) -> None:
    assert (await passwords.hash("correct horse")).startswith("$argon2id$")


@pytest.mark.gen_test
async def test_event_loop_goes_on_meanwhile(passwords: Passwords) -> None:
    hashing = asyncio.ensure_future(passwords.hash("correct horse"))
    turns = 0
    while not hashing.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns > 10


@pytest.mark.gen_test
async def test_full_queue_refuses_at_once(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 2)
    answers = await asyncio.gather(
        *(passwords.verify(None, "x") for _ in range(3)), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [bool, bool, TooBusy]
    assert not await passwords.verify(None, "x")
