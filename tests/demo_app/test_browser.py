"""Two people with real browsers, on one process and on two with everything private behind them."""

import shlex
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import axe_core_python
import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.demo_app.browser import PASSWORD, Person, chromium, look
from tests.demo_app.process import Program
from tests.demo_app.wire import cut_off
from tornado_ext.sessions.codec import key_of
from tornado_ext.sessions.sharded import ShardedRedisStore
from tornado_ext.testing._process import free_port

ADDRESS = r"http://127\.0\.0\.1:\d+"
AXE = Path(next(iter(axe_core_python.__path__)), "axe.min.js")
IS_TOO_WIDE = "return document.scrollingElement.scrollWidth > innerWidth"
RUN_AXE = "const done = arguments[0]; axe.run().then(found => done(found.violations))"
# Let time pass 20 times as fast, and note what is shown of the connection and when it is tried.
HURRY = """
window.later = setTimeout;
window.waits = [];
window.setTimeout = (work, wait) => {
    if (work === connect) waits.push(wait);
    return later(work, wait / 20);
};
window.states = [];
new MutationObserver(() => states.push(state.textContent)).observe(state, { childList: true });
"""
TEN_WAITS = """
const done = arguments[0];
const look = () => waits.length < 10 ? later(look, 20) : done(waits.slice(0, 10));
look();
"""
SHARD = r"session shard (?P<name>\w)  127\.0\.0\.1:(?P<port>\d+) +pid (?P<pid>\d+)$"


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
        program.prints(ADDRESS)
        yield program


@pytest.fixture(scope="module", params=["embedded", "full"])
def addresses(request: pytest.FixtureRequest) -> list[str]:
    """The address of the app, for the first person and for the second."""
    program: Program = request.getfixturevalue(request.param)
    return [program.prints(ADDRESS)[0][0]] * 2


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


def test_people_chat_on_when_a_shard_is_killed_and_started_again_as_the_guide_says(
    drivers: list[Chrome], full: Program
) -> None:
    people = meet(drivers, [full.prints(ADDRESS)[0][0]] * 2, ["cleo", "dave"])
    for each in people:
        each.register()
        each.enter("lobby")
    cleo, dave = people

    shards = {match["name"]: match for match in full.prints(SHARD)}
    ring = ShardedRedisStore({name: f"redis://127.0.0.1:{m['port']}" for name, m in shards.items()})
    victim, replica = ring.owners(key_of(cleo.session_id))
    (named,) = [each for each in shards.values() if f"kill -9 {each['pid']}\n" in full.output]
    subprocess.run(["kill", "-9", shards[victim]["pid"]], check=True)

    cleo.say("a shard is gone")
    dave.hears("a shard is gone")
    for each in people:
        each.driver.refresh()
        assert each.path == "/rooms/lobby"
        each.wait_until_connected()
        each.sees("cleo", "dave")
    dave.say("and nobody noticed")
    cleo.hears("a shard is gone", "and nobody noticed")

    cleo.open("/internals")
    cleo.wait_for(lambda: cleo.texts(f"[data-shard={victim}] .status"), ["away"])
    assert cleo.texts(f"[data-shard={victim}] .part") == ["owner"]
    assert cleo.texts(f"[data-shard={replica}] .part") == ["replica"]

    start = full.prints(r"^ +redis-server .*$")[0][0].replace(named["port"], shards[victim]["port"])
    with subprocess.Popen(shlex.split(start), stdout=subprocess.DEVNULL) as shard:
        try:
            cleo.wait_for(lambda: cleo.texts("[data-shard] .status"), ["ok"] * 3)
        finally:
            shard.terminate()
    for each in people:
        assert each.complaints() == []


def test_rooms_unread_messages_and_history(drivers: list[Chrome], embedded: Program) -> None:
    address = embedded.prints(ADDRESS)[0][0]
    gus, hal = people = meet(drivers, [address, address], ["gus", "hal"])
    for each in people:
        each.register()
    gus.open("/")
    gus.fill(room="garden")
    gus.wait_until_connected()
    hal.enter("garden")
    hal.enter("lobby")
    script = "for (let number = 0; number < 60; number++) say(`message ${number}`)"
    gus.driver.execute_script(script)  # type: ignore[no-untyped-call]
    gus.hears("message 59")
    hal.wait_for(lambda: hal.texts("[data-room=garden] .count"), ["60"])

    hal.enter("garden")
    assert hal.texts(".text")[0] == "message 10"
    hal.driver.execute_script("scroller.scrollTop = 0")  # type: ignore[no-untyped-call]
    hal.wait_for(lambda: hal.texts(".text")[:1], ["message 0"])
    assert hal.texts(".text") == [f"message {number}" for number in range(60)]
    assert hal.texts("#older") == []

    hal.driver.find_element(By.ID, "text").send_keys("I am abo")
    gus.wait_for(lambda: gus.texts("#typing"), ["hal is typing"])
    hal.say("ut to send https://example.com/?a=1.")
    gus.hears("I am about to send https://example.com/?a=1.")
    assert gus.texts(".text a") == ["https://example.com/?a=1"]

    hal.leave_by(".title form button")
    assert hal.path == "/"
    assert hal.texts("section h2") == ["Yours", "Others", "Make a room"]
    for each in people:
        assert each.complaints() == []


def test_reading_works_without_javascript(drivers: list[Chrome], embedded: Program) -> None:
    address = embedded.prints(ADDRESS)[0][0]
    ida, jan = meet(drivers, [address, address], ["ida", "jan"])
    ida.register()
    ida.enter("lobby")
    ida.say("read me")
    ida.hears("read me")
    jan.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        jan.register()
        jan.open("/rooms/lobby")
        texts = [each.text for each in jan.driver.find_elements(By.CSS_SELECTOR, ".text")]
        assert texts[-1] == "read me"
        assert "Writing needs it" in jan.driver.find_element(By.TAG_NAME, "main").text
        leave = jan.driver.find_element(By.ID, "leave")
        assert not leave.is_displayed()
        jan.leave_by("noscript button")
        assert jan.path == "/rooms/lobby"
        assert jan.driver.find_element(By.ID, "leave").is_displayed()
        assert jan.driver.find_elements(By.CSS_SELECTOR, "noscript button") == []
        jan.open("/")
        jan.log_out()
        assert jan.path == "/login"
        jan.log_in()
        assert jan.path == "/"
    finally:
        jan.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_other_browser_is_thrown_out_by_a_new_password_or_by_hand(
    drivers: list[Chrome], embedded: Program
) -> None:
    address = embedded.prints(ADDRESS)[0][0]
    here, there = meet(drivers, [address, address], ["kim", "kim"])
    here.register()
    there.open("/login")
    there.log_in()
    there.enter("lobby")
    here.open("/account")
    assert len(here.texts(".sessions li")) == 2
    here.driver.find_element(By.NAME, "old").send_keys(PASSWORD)
    here.driver.find_element(By.NAME, "password").send_keys("another horse")
    here.leave_by("#password button")
    assert here.texts(".notice") == ["The password is changed."]
    there.wait_for(lambda: [there.path], ["/login?next=%2Frooms%2Flobby"])
    assert len(here.texts(".sessions li")) == 1
    there.fill(name="kim", password="another horse")
    there.wait_until_connected()
    here.open("/account")
    here.leave_by(".sessions form button")
    there.wait_for(lambda: [there.path], ["/login?next=%2Frooms%2Flobby"])
    assert here.complaints() == []
    here.leave_by("[name=everywhere]")
    assert here.path == "/login"


def test_page_is_chinese_for_who_chooses_it(drivers: list[Chrome], embedded: Program) -> None:
    address = embedded.prints(ADDRESS)[0][0]
    lin, _ = meet(drivers, [address, address], ["lin", "lin"])
    lin.register()
    lin.open("/rooms/lobby")
    lin.open("/language/zh_CN?next=/rooms/lobby")
    lin.wait_for(lambda: lin.texts("#state"), ["已连接"])
    assert lin.driver.find_element(By.TAG_NAME, "html").get_attribute("lang") == "zh-CN"
    lin.open("/language/en_US?next=/rooms/lobby")
    lin.wait_until_connected()


def test_message_written_while_the_network_is_cut_is_sent_when_it_is_back(
    drivers: list[Chrome], embedded: Program
) -> None:
    address = embedded.prints(ADDRESS)[0][0]
    with cut_off(int(address.rpartition(":")[2])) as wire:
        mia, ned = meet(drivers, [f"http://127.0.0.1:{wire.port}", address], ["mia", "ned"])
        for each in (mia, ned):
            each.register()
            each.enter("lobby")
        wire.cut()
        mia.say("from the tunnel")
        ned.say("are you there?")
        mia.wait_for(lambda: mia.texts("#state"), ["Reconnecting"])
        assert mia.texts("#pending li") == ["from the tunnel"]
        wire.mend()
        mia.wait_until_connected()
        mia.hears("are you there?", "from the tunnel")
        ned.hears("are you there?", "from the tunnel")
        assert mia.texts("#pending li") == []


def test_browser_connects_again_after_a_restart_at_random_intervals_that_double(
    drivers: list[Chrome],
) -> None:
    with Program("demo_app", f"--port={free_port()}") as program:
        address = program.prints(ADDRESS)[0][0]
        ann, ben = people = meet(drivers, [address, address], ["ann", "ben"])
        for each in people:
            each.register()
            each.enter("lobby")
            each.driver.execute_script(HURRY)  # type: ignore[no-untyped-call]
        program.end()
        for each in people:
            each.wait_for(lambda each=each: each.texts("#state"), ["Reconnecting"])
            waits = each.driver.execute_async_script(TEN_WAITS)  # type: ignore[no-untyped-call]
            for wait, most in zip(waits, [500, 1000, 2000, 4000, 8000, *[15000] * 5], strict=True):
                assert most / 2 <= wait <= most
            assert len({round(wait) for wait in waits[-5:]}) > 1
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


def test_refused_message_is_back_in_the_box_and_the_connection_stays(
    drivers: list[Chrome], embedded: Program
) -> None:
    ann, _ = meet(drivers, [embedded.prints(ADDRESS)[0][0]] * 2, ["una", ""])
    ann.register()
    ann.enter("lobby")
    ann.driver.execute_script(HURRY)  # type: ignore[no-untyped-call]
    ann.say("\u200b")
    ann.wait_for(lambda: ann.texts("#problem"), ["The message is empty."])
    assert ann.draft == "\u200b"
    assert ann.texts("#pending li") == []
    ann.driver.execute_async_script("later(arguments[0], 500)")  # type: ignore[no-untyped-call]
    ann.driver.execute_script("say('\\u0001'.repeat(900))")  # type: ignore[no-untyped-call]
    ann.wait_for(lambda: ann.texts("#problem"), ["The message is too long."])
    assert ann.texts("#pending li") == []
    assert ann.driver.execute_script("return states") == []  # type: ignore[no-untyped-call]


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


def test_axe_finds_nothing(drivers: list[Chrome], full: Program) -> None:
    address = full.prints(ADDRESS)[0][0]
    oda, _ = meet(drivers, [address, address], ["oda", ""])
    oda.open("/login")
    assert violations(oda) == []
    oda.open("/register")
    oda.fill(name=" ", password="short")
    assert violations(oda) == []
    oda.register()
    for room in ("one", "two"):
        oda.open("/")
        oda.fill(room=room)
    oda.wait_until_connected()
    oda.say("see https://example.com")
    oda.hears("see https://example.com")
    oda.driver.execute_script("pending.push({ key: '1', text: 'waits' }); keep();")  # type: ignore[no-untyped-call]
    assert violations(oda) == []
    for page in ("/", "/account", "/internals", "/nothing"):
        oda.open(page)
        assert violations(oda) == [], page


def test_everything_can_be_done_by_keyboard(drivers: list[Chrome], embedded: Program) -> None:
    address = embedded.prints(ADDRESS)[0][0]
    pia, _ = meet(drivers, [address, address], ["pia", ""])
    pia.open("/register")
    pia.press(pia.name, Keys.TAB, PASSWORD, Keys.ENTER)
    pia.wait_for(lambda: [pia.path], ["/"])
    pia.press(Keys.TAB, Keys.ENTER)  # skips to the content
    pia.press(Keys.TAB, Keys.ENTER)  # the first room
    pia.wait_until_connected()
    pia.focus("#text")
    pia.press("by hand", Keys.ENTER)
    pia.hears("by hand")
    pia.focus(".title form button")
    pia.press(Keys.ENTER)
    pia.wait_for(lambda: [pia.path], ["/"])


def violations(person: Person) -> list[str]:
    """Return what axe-core finds on the page: a light desktop, then a dark phone."""
    found: list[str] = []
    person.driver.execute_script(AXE.read_text(encoding="utf-8"))  # type: ignore[no-untyped-call]
    for scheme, width in (("dark", 320), ("light", 1280)):
        look(person.driver, scheme)
        metrics = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": False}
        person.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        if person.driver.execute_script(IS_TOO_WIDE):  # type: ignore[no-untyped-call]
            found.append(f"scrolls sideways at {width} pixels")
        rules = person.driver.execute_async_script(RUN_AXE)  # type: ignore[no-untyped-call]
        found += [f"{rule['id']}: {[node['target'] for node in rule['nodes']]}" for rule in rules]
    return found
