"""Two people with real browsers, on one process and on two with everything private behind them."""

import os
import signal
from collections.abc import Iterator

import pytest
from selenium.webdriver import Chrome

from tests.demo_app.browser import Person, chromium
from tests.demo_app.process import Program
from tornado_ext.sessions.codec import key_of
from tornado_ext.sessions.sharded import ShardedRedisStore
from tornado_ext.testing._process import free_port

ADDRESS = r"http://127\.0\.0\.1:\d+"
SHARD = r"127\.0\.0\.1:(?P<port>\d+) +session shard (?P<name>\w), pid (?P<pid>\d+)"


@pytest.fixture(scope="module")
def drivers() -> Iterator[list[Chrome]]:
    with chromium() as first, chromium() as second:
        yield [first, second]


@pytest.fixture(scope="module")
def embedded() -> Iterator[Program]:
    with Program("demo_app", "--port=0") as program:
        yield program


@pytest.fixture(scope="module")
def full() -> Iterator[Program]:
    with Program("demo_app.full", "--port=0") as program:
        program.prints("Ctrl-C stops all of it")
        yield program


@pytest.fixture(scope="module", params=["embedded", "full"])
def addresses(request: pytest.FixtureRequest) -> list[str]:
    """The addresses of the app, for the first person and for the second."""
    program: Program = request.getfixturevalue(request.param)
    found = [match[0] for match in program.prints(ADDRESS)]
    return [found[0], found[-1]]


def meet(drivers: list[Chrome], addresses: list[str], names: list[str]) -> list[Person]:
    """Return two people who have not been here before."""
    for driver in drivers:
        driver.get("about:blank")
        driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
    return [Person(*each) for each in zip(drivers, addresses, names, strict=True)]


def test_two_people_register_log_in_and_chat(drivers: list[Chrome], addresses: list[str]) -> None:
    ann, ben = people = meet(drivers, addresses, ["ann", "<script>alert('ben')</script>"])
    for each in people:
        each.register()
        assert each.path == "/"
        each.log_out()
        assert each.path == "/login"
        each.open("/rooms/lobby")
        assert each.path == "/login?next=%2Frooms%2Flobby"
        each.log_in()
        assert each.path == "/rooms/lobby"
        each.wait_until_connected()
    for each in people:
        each.sees("ann", ben.name)

    ann.say("hello")
    ben.hears("hello")
    ben.say("<script>alert('message')</script>")
    ann.hears("hello", "<script>alert('message')</script>")
    assert ben.name in ann.texts(".author")

    ann.driver.refresh()
    ann.wait_until_connected()
    ann.hears("hello", "<script>alert('message')</script>")
    assert ben.name in ann.texts(".author")

    ben.open("/")
    ann.sees("ann")
    for each in people:
        assert each.complaints() == []


def test_people_chat_on_while_a_shard_dies_that_holds_neither(
    drivers: list[Chrome], full: Program
) -> None:
    addresses = [match[0] for match in full.prints(ADDRESS)][:2]
    people = meet(drivers, addresses, ["cleo", "dave"])
    for each in people:
        each.register()
        each.enter("lobby")
    cleo, dave = people

    shards = {match["name"]: match for match in full.prints(SHARD)}
    ring = ShardedRedisStore({name: f"redis://127.0.0.1:{m['port']}" for name, m in shards.items()})
    holders = {ring.owners(key_of(each.session_id))[0] for each in people}
    victim = sorted(shards.keys() - holders)[0]
    os.kill(int(shards[victim]["pid"]), signal.SIGKILL)

    cleo.say("a shard is gone")
    dave.hears("a shard is gone")
    for each in people:
        each.driver.refresh()
        assert each.path == "/rooms/lobby"
        each.wait_until_connected()
        each.sees("cleo", "dave")
    dave.say("and nobody noticed")
    cleo.hears("a shard is gone", "and nobody noticed")
    for each in people:
        assert each.complaints() == []


def test_browser_connects_again_after_a_restart(drivers: list[Chrome]) -> None:
    with Program("demo_app", f"--port={free_port()}") as program:
        address = program.prints(ADDRESS)[0][0]
        ann, ben = people = meet(drivers, [address, address], ["ann", "ben"])
        for each in people:
            each.register()
            each.enter("lobby")
        program.end()
        for each in people:
            each.wait_for(lambda each=each: each.texts("#state"), ["Reconnecting"])
        program.restart()
        for each in people:
            each.wait_until_connected()
        ann.say("still here")
        ben.hears("still here")


def test_message_in_flight_is_sent_again_when_the_connection_drops(drivers: list[Chrome]) -> None:
    with Program("demo_app", f"--port={free_port()}") as program:
        address = program.prints(ADDRESS)[0][0]
        ann, _ = meet(drivers, [address, address], ["ann", "ben"])
        ann.register()
        ann.enter("lobby")
        program.process.send_signal(signal.SIGSTOP)
        for text in ("in flight", "and another"):
            ann.say(text)
        ann.wait_for(lambda: ann.texts("#pending li"), ["in flight", "and another"])
        program.end(signal.SIGKILL)
        program.restart()
        ann.wait_until_connected()
        ann.hears("in flight", "and another")
        assert ann.texts("#pending li") == []


def test_message_that_did_arrive_is_shown_once(drivers: list[Chrome]) -> None:
    with Program("demo_app", f"--port={free_port()}") as program:
        address = program.prints(ADDRESS)[0][0]
        ann, _ = meet(drivers, [address, address], ["ann", "ben"])
        ann.register()
        ann.enter("lobby")
        ann.driver.execute_script(  # type: ignore[no-untyped-call]
            "text.value = 'arrived'; composer.requestSubmit(); socket.close()"
        )
        ann.wait_until_connected()
        ann.say("end")
        ann.hears("end")
        assert ann.texts(".text") == ["arrived", "end"]


def test_who_logged_out_elsewhere_is_shown_the_door_on_reconnecting(drivers: list[Chrome]) -> None:
    with Program("demo_app", f"--port={free_port()}") as program:
        address = program.prints(ADDRESS)[0][0]
        ann, _ = meet(drivers, [address, address], ["ann", "ben"])
        ann.register()
        ann.enter("lobby")
        program.end()
        ann.driver.delete_cookie("session")
        program.restart()
        ann.wait_for(lambda: [ann.path], ["/login?next=%2Frooms%2Flobby"])
