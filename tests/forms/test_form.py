"""A form: what is awaited, in which order, and what it says afterwards."""

import asyncio
import enum
from collections.abc import Callable
from datetime import datetime, time

import pytest
from tornado import gen
from tornado.httpclient import AsyncHTTPClient
from tornado.web import Application, RequestHandler

from tornado_ext.errors import ConfigurationError
from tornado_ext.forms import (
    BooleanField,
    ChoiceField,
    DateTimeField,
    DecimalField,
    Field,
    FileField,
    FloatField,
    Form,
    FormNotValidated,
    IntegerField,
    IPAddressField,
    JSONField,
    MultipleChoiceField,
    PasswordField,
    StringField,
    TextField,
    TimeField,
    ValidationError,
)

TOKEN = 'name="_xsrf"'


class RegisterForm(Form):
    username = StringField(min_length=3, messages={"taken": "Somebody has that name."})
    password = PasswordField(min_length=5)
    age = IntegerField(required=False)

    async def clean_username(self, value: str) -> str:
        await asyncio.sleep(0)
        if value == "taken":
            raise ValidationError("Taken.", code="taken")
        return value.lower()

    def clean(self) -> None:
        if self.cleaned_data["password"] == self.cleaned_data["username"]:
            self.add_error("password", "Not your name.", code="same")


GOOD = {"username": ["Annabel"], "password": ["correct horse"], "age": ["42"]}


class RegisterHandler(RequestHandler):
    def get(self) -> None:
        self.write(RegisterForm.from_handler(self).render())

    async def post(self) -> None:
        form = RegisterForm.from_handler(self)
        if form.is_valid():  # await forgotten: must not let anybody in
            self.write("registered")


@pytest.fixture
def app(request: pytest.FixtureRequest) -> Application:
    return Application([("/", RegisterHandler)], **getattr(request, "param", {}))


@pytest.mark.gen_test
async def test_a_valid_form_has_cleaned_values() -> None:
    form = RegisterForm(GOOD)
    assert await form.is_valid() is True
    assert form.errors == {}
    assert form.cleaned_data == {"username": "annabel", "password": "correct horse", "age": 42}


@pytest.mark.gen_test
async def test_an_invalid_form_has_messages_by_field_and_the_values_that_passed() -> None:
    form = RegisterForm({**GOOD, "password": ["x"]})
    assert await form.is_valid() is False
    assert form.errors == {"password": ["Use 5 or more characters."]}
    assert form.cleaned_data == {"username": "annabel", "age": 42}


def test_without_await_there_is_no_answer() -> None:
    form = RegisterForm(GOOD)
    for forgotten in (
        lambda: bool(form.is_valid()),
        lambda: not form.is_valid(),
        lambda: form.is_valid() == True,  # noqa: E712
        lambda: form.is_valid() != False,  # noqa: E712
    ):
        with pytest.raises(FormNotValidated, match="must be awaited"):
            forgotten()


@pytest.mark.gen_test
async def test_a_handler_that_forgets_await_fails(
    http_client: AsyncHTTPClient, base_url: str
) -> None:
    response = await http_client.fetch(
        base_url, method="POST", body="username=annabel&password=password", raise_error=False
    )
    assert response.code == 500
    assert b"registered" not in response.body


def test_cleaned_data_is_not_there_before_validation() -> None:
    for form in (RegisterForm(GOOD), RegisterForm()):
        with pytest.raises(FormNotValidated, match="cleaned_data"):
            form.cleaned_data  # noqa: B018


@pytest.mark.gen_test
async def test_a_form_that_nothing_was_sent_to_is_not_valid_and_has_no_errors() -> None:
    form = RegisterForm()
    assert not form.is_bound
    assert await form.is_valid() is False
    assert form.errors == {}


@pytest.mark.gen_test
@pytest.mark.parametrize("encode", [str, str.encode])
async def test_a_message_in_json_is_a_form_too(encode: Callable[[str], str | bytes]) -> None:
    form = RegisterForm.from_json(
        encode('{"username": "Zo\u00eb", "password": "correct horse", "age": 42}')
    )
    assert await form.is_valid()
    assert form.cleaned_data == {"username": "zo\u00eb", "password": "correct horse", "age": 42}
    form = RegisterForm.from_json(encode("["))
    assert not await form.is_valid()
    assert form.errors[None][0].code == "json"


@pytest.mark.gen_test
async def test_an_empty_mapping_was_sent() -> None:
    form = RegisterForm({})
    assert form.is_bound
    assert await form.is_valid() is False
    assert set(form.errors) == {"username", "password"}


@pytest.mark.gen_test
async def test_names_that_are_no_fields_are_ignored() -> None:
    form = RegisterForm({**GOOD, "is_admin": ["1"]})
    assert await form.is_valid()
    assert "is_admin" not in form.cleaned_data


@pytest.mark.gen_test
async def test_clean_of_a_field_may_be_awaited_and_its_messages_are_the_fields() -> None:
    form = RegisterForm({**GOOD, "username": ["taken"]})
    assert not await form.is_valid()
    assert form.errors.as_json() == {
        "username": [{"message": "Somebody has that name.", "code": "taken"}]
    }


@pytest.mark.gen_test
async def test_any_hook_may_be_plain_async_or_a_coroutine_of_tornados() -> None:
    class Hooks(Form):
        a = StringField()
        b = StringField()
        c = StringField()

        def clean_a(self, value: str) -> str:
            return value + "!"

        async def clean_b(self, value: str) -> str:
            await asyncio.sleep(0)
            return value + "!"

        @gen.coroutine
        def clean_c(self, value: str):
            yield gen.moment
            return value + "!"

        async def clean(self) -> None:
            await asyncio.sleep(0)
            raise ValidationError("Never.", code="never")

    form = Hooks({"a": "1", "b": "2", "c": "3"})
    assert not await form.is_valid()
    assert form.cleaned_data == {"a": "1!", "b": "2!", "c": "3!"}
    assert form.errors == {None: ["Never."]}


@pytest.mark.gen_test
async def test_plain_hooks_run_in_order_before_awaited_ones_and_not_for_a_field_that_failed() -> (
    None
):
    called: list[str] = []

    class Ordered(Form):
        a = StringField()
        b = StringField(max_length=1)
        c = StringField()

        def clean_c(self, value: str) -> str:
            called.append("c")
            return value

        async def clean_a(self, value: str) -> str:
            await asyncio.sleep(0)
            called.append("a")
            return value

        def clean_b(self, value: str) -> str:
            called.append("b")
            return value

        def clean(self) -> None:
            called.append("all")

    assert not await Ordered({"a": "1", "b": "22", "c": "3"}).is_valid()
    assert called == ["c", "a"]
    assert await Ordered({"a": "1", "b": "2", "c": "3"}).is_valid()
    assert called == ["c", "a", "b", "c", "a", "all"]


@pytest.mark.gen_test
async def test_validation_is_done_once() -> None:
    form = RegisterForm({**GOOD, "password": ["x"]})
    assert [await form.is_valid(), await form.is_valid()] == [False, False]
    assert form.errors == {"password": ["Use 5 or more characters."]}


class PaymentForm(Form):
    """Wait in each hook until the test lets it go on; ``runs`` counts them."""

    amount = IntegerField()
    note = StringField()

    def __init__(self, data: dict[str, object]) -> None:
        super().__init__(data)
        self.runs = 0
        self.gate = asyncio.Semaphore(0)

    async def clean_amount(self, value: int) -> int:
        self.runs += 1
        await self.gate.acquire()
        if value > 100:
            raise ValidationError("Too much.")
        return value

    async def clean_note(self, value: str) -> str:
        await self.gate.acquire()
        return value


@pytest.mark.gen_test
async def test_a_validation_that_runs_is_not_run_a_second_time() -> None:
    form = PaymentForm({"amount": 999, "note": "x"})
    first = asyncio.ensure_future(form.is_valid())
    await asyncio.sleep(0)
    with pytest.raises(FormNotValidated, match="is running already"):
        await form.is_valid()
    form.gate.release()
    form.gate.release()
    assert await first is False
    assert form.runs == 1
    assert form.errors == {"amount": ["Too much."]}


@pytest.mark.gen_test
async def test_no_one_is_told_that_a_form_is_valid_because_another_gave_up() -> None:
    form = PaymentForm({"amount": 999, "note": "x"})
    first, second = (asyncio.ensure_future(form.is_valid()) for _ in range(2))
    await asyncio.sleep(0)
    form.gate.release()  # the amount is found wrong
    form.gate.release()
    for _ in range(3):
        await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    third = asyncio.ensure_future(form.is_valid())
    for _ in range(4):
        form.gate.release()
    outcomes = await asyncio.gather(second, third, return_exceptions=True)
    assert isinstance(outcomes[0], FormNotValidated)
    assert outcomes[1] is False


@pytest.mark.gen_test
async def test_two_forms_are_validated_at_the_same_time() -> None:
    forms = RegisterForm(GOOD), RegisterForm({})
    assert await asyncio.gather(*(form.is_valid() for form in forms)) == [True, False]


@pytest.mark.gen_test
async def test_a_hook_cannot_ask_whether_its_form_is_valid() -> None:
    class Circular(Form):
        a = StringField()

        async def clean_a(self, value: str) -> str:
            return value if await self.is_valid() else ""

    with pytest.raises(FormNotValidated, match="is running already"):
        await Circular({"a": "1"}).is_valid()


@pytest.mark.gen_test
async def test_an_error_added_in_clean_takes_the_value_away() -> None:
    form = RegisterForm({**GOOD, "username": ["annabel"], "password": ["annabel"]})
    assert not await form.is_valid()
    assert form.errors["password"][0].code == "same"
    assert "password" not in form.cleaned_data


@pytest.mark.gen_test
async def test_an_error_added_by_a_fields_own_hook_takes_the_value_away() -> None:
    class Own(Form):
        a = StringField()

        def clean_a(self, value: str) -> str:
            self.add_error("a", "No.")
            return value

    form = Own({"a": "1"})
    assert not await form.is_valid()
    assert form.cleaned_data == {}


@pytest.mark.gen_test
async def test_an_error_added_afterwards_makes_the_form_invalid() -> None:
    form = RegisterForm(GOOD)
    assert await form.is_valid()
    form.add_error(None, ValidationError("Try later.", code="later"))
    assert not await form.is_valid()
    assert form.errors.as_json() == {"__all__": [{"message": "Try later.", "code": "later"}]}


def test_an_error_of_no_field_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="RegisterForm has no field 'nickname'"):
        RegisterForm(GOOD).add_error("nickname", "No.")


@pytest.mark.gen_test
async def test_half_a_validation_is_not_taken_for_a_whole_one() -> None:
    down = True

    class Flaky(Form):
        a = StringField(max_length=1)
        b = StringField()

        def clean_b(self, value: str) -> str:
            if down:
                raise ConnectionError("the database is away")
            return value

    form = Flaky({"a": "11", "b": "2"})
    with pytest.raises(ConnectionError):
        await form.is_valid()
    assert form.errors == {}
    with pytest.raises(FormNotValidated):
        form.cleaned_data  # noqa: B018
    down = False
    assert not await form.is_valid()
    assert form.errors == {"a": ["Use 1 or fewer characters."]}


@pytest.mark.gen_test
async def test_a_disabled_field_cannot_be_tampered_with() -> None:
    class Account(Form):
        plan = StringField(disabled=True, initial="free", max_length=4)
        name = StringField()

    form = Account({"plan": ["gold!"], "name": ["ann"]})
    assert await form.is_valid()
    assert form.cleaned_data == {"plan": "free", "name": "ann"}
    assert form["plan"].value == "free"
    assert Account({"plan": ["gold!"]}, initial={"plan": "paid"})["plan"].value == "paid"


@pytest.mark.gen_test
async def test_a_disabled_field_without_an_initial_value_is_empty() -> None:
    class Disabled(Form):
        text = StringField(disabled=True)
        answer = BooleanField(disabled=True)
        number = IntegerField(disabled=True)
        count = IntegerField(disabled=True, initial=0)

    form = Disabled({"text": "x", "answer": "on", "number": "1"})
    assert await form.is_valid()
    assert form.cleaned_data == {"text": "", "answer": False, "number": None, "count": 0}


@pytest.mark.parametrize("data", ["name=ann", b"name=ann", [("name", "ann")], 5])
def test_data_that_is_no_mapping_is_refused_and_not_shown(data: object) -> None:
    with pytest.raises(ConfigurationError, match=r"must be a mapping .*, not") as caught:
        RegisterForm(data)
    assert "ann" not in str(caught.value)


@pytest.mark.gen_test
async def test_clean_may_not_return_anything() -> None:
    class Plain(RegisterForm):
        def clean(self) -> dict[str, object]:
            return self.cleaned_data

    class Async(RegisterForm):
        async def clean(self) -> dict[str, object]:
            return self.cleaned_data

    for form in (Plain(GOOD), Async(GOOD)):
        with pytest.raises(ConfigurationError, match=r"(Plain|Async)\.clean must .*, not dict"):
            await form.is_valid()


def test_initial_values_are_shown_until_something_is_sent() -> None:
    class Profile(Form):
        name = StringField(initial="ann")
        age = IntegerField(initial=42)

    assert [field.value for field in Profile()] == ["ann", "42"]
    assert [field.value for field in Profile(initial={"age": 7})] == ["ann", "7"]
    assert [field.value for field in Profile({"name": ["bob"]}, initial={"age": 7})] == ["bob", ""]


@pytest.mark.gen_test
async def test_two_forms_of_a_class_share_nothing_but_their_fields() -> None:
    first, second = RegisterForm({}), RegisterForm(GOOD)
    assert not await first.is_valid()
    assert await second.is_valid()
    assert second.errors == {}
    assert first.fields is second.fields


def test_a_subclass_adds_and_replaces_fields_and_leaves_its_base_alone() -> None:
    class Strict(RegisterForm):
        age = IntegerField(min_value=18)
        email = StringField()

    assert list(Strict.fields) == ["username", "password", "age", "email"]
    assert Strict.fields["age"].required
    assert list(RegisterForm.fields) == ["username", "password", "age"]
    assert not RegisterForm.fields["age"].required


def test_the_nearest_base_decides_as_it_does_for_methods() -> None:
    class Base(Form):
        x = StringField()

    class Number(Base):
        x = IntegerField()

    class Other(Base):
        y = StringField()

    class Both(Other, Number):
        pass

    assert list(Both.fields) == ["x", "y"]
    assert isinstance(Both.fields["x"], IntegerField)


def test_fields_of_a_base_that_is_no_form_are_refused() -> None:
    class Mixin:
        name = StringField()

    with pytest.raises(ConfigurationError, match=r"Mixin declares fields .* class Mixin\(Form\)"):
        type("Mixed", (Mixin, Form), {})


@pytest.mark.gen_test
async def test_a_field_may_have_the_name_of_anything_else() -> None:
    class Odd(Form):
        errors = StringField()
        clean = StringField()
        fields = StringField()
        cleaned_data = StringField()

    form = Odd({"errors": "1", "clean": "2", "fields": "3", "cleaned_data": "4"})
    assert await form.is_valid()
    assert form.cleaned_data == {"errors": "1", "clean": "2", "fields": "3", "cleaned_data": "4"}


def test_a_hook_for_no_field_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"Typo\.clean_user_name: there is no field"):

        class Typo(Form):
            username = StringField()

            def clean_user_name(self, value: str) -> str:
                return value


def test_a_field_that_is_not_there_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="nickname"):
        RegisterForm()["nickname"]


@pytest.mark.gen_test
async def test_the_whole_form_has_its_own_errors_first_then_the_fields_in_order() -> None:
    form = RegisterForm({**GOOD, "password": ["x"]})
    await form.is_valid()
    form.add_error(None, "<b>No.</b>")
    html = form.render()
    assert html.startswith(
        '<div class="form-errors" role="alert"><ul><li>&lt;b&gt;No.&lt;/b&gt;</li>'
    )
    places = [html.index(field.render()) for field in form]
    assert places == sorted(places)
    assert 'value="Annabel"' in html
    assert "style" not in html
    assert "<script" not in html


def test_a_form_made_without_a_handler_has_no_token() -> None:
    assert TOKEN not in RegisterForm().render()


@pytest.mark.gen_test
@pytest.mark.parametrize("app", [{"xsrf_cookies": True}], indirect=True)
async def test_a_form_made_from_a_handler_has_the_token(
    app: Application, http_client: AsyncHTTPClient, base_url: str
) -> None:
    response = await http_client.fetch(base_url)
    assert response.body.decode().count(TOKEN) == 1
    assert "_xsrf=" in response.headers["Set-Cookie"]


@pytest.mark.gen_test
async def test_there_is_no_token_if_the_application_checks_none(
    http_client: AsyncHTTPClient, base_url: str
) -> None:
    response = await http_client.fetch(base_url)
    assert TOKEN not in response.body.decode()
    assert "Set-Cookie" not in response.headers


@pytest.mark.gen_test
async def test_awaited_checks_of_different_fields_go_on_together_and_errors_keep_their_order() -> (
    None
):
    both = asyncio.Barrier(2)

    class Together(Form):
        a = StringField()
        b = StringField(min_length=2)
        c = StringField()

        async def clean_a(self, value: str) -> str:
            await both.wait()
            await asyncio.sleep(0.01)
            raise ValidationError("Late.")

        async def clean_c(self, value: str) -> str:
            await both.wait()
            raise ValidationError("Early.")

    form = Together({"a": "1", "b": "2", "c": "3"})
    assert not await asyncio.wait_for(form.is_valid()._run(), 5)
    assert list(form.errors) == ["a", "b", "c"]


@pytest.mark.gen_test
async def test_an_awaited_validator_and_the_hook_of_a_field_run_one_after_the_other() -> None:
    ran: list[str] = []

    async def slow(value: str) -> None:
        await asyncio.sleep(0)
        ran.append("validator")

    class InTurn(Form):
        a = StringField(validators=[slow])
        b = StringField(validators=[slow])

        def clean_a(self, value: str) -> str:
            ran.append("hook")
            return value

    form = InTurn({"a": "1", "b": "2"})
    assert await form.is_valid()
    assert ran.index("validator") < ran.index("hook")
    assert list(form.cleaned_data) == ["a", "b"]


@pytest.mark.gen_test
async def test_a_failure_in_one_awaited_check_leaves_no_other_running() -> None:
    ended: list[str] = []

    class Failing(Form):
        a = StringField()
        b = StringField()

        async def clean_a(self, value: str) -> str:
            await asyncio.sleep(0)
            raise ConnectionError("the database is away")

        async def clean_b(self, value: str) -> str:
            try:
                await asyncio.sleep(3600)
            finally:
                ended.append("b")
            return value

    with pytest.raises(ConnectionError):
        await Failing({"a": "1", "b": "2"}).is_valid()
    assert ended == ["b"]


@pytest.mark.gen_test
async def test_a_failure_in_a_plain_check_leaves_no_coroutine_behind() -> None:
    class Failing(Form):
        a = StringField()
        b = StringField()

        async def clean_a(self, value: str) -> str:
            return value

        def clean_b(self, value: str) -> str:
            raise ConnectionError("the database is away")

    with pytest.raises(ConnectionError):  # and no warning: those are errors here
        await Failing({"a": "1", "b": "2"}).is_valid()


@pytest.mark.gen_test
async def test_messages_of_a_form_are_for_all_its_fields_and_a_field_may_differ() -> None:
    class Terse(Form):
        messages = {"required": "Needed.", "extra": "No {name}!"}
        extra = "forbid"
        a = StringField()
        b = StringField(messages={"required": "B, please."})

    form = Terse({"c": "1"})
    assert not await form.is_valid()
    assert form.errors == {None: ["No c!"], "a": ["Needed."], "b": ["B, please."]}


@pytest.mark.gen_test
async def test_a_name_that_is_no_field_can_be_refused() -> None:
    class Strict(Form):
        extra = "forbid"
        a = StringField()

    assert await Strict({"a": "1", "_xsrf": "token"}).is_valid()
    form = Strict({"a": "1", "<b>" + "x" * 1000: "1"})
    assert not await form.is_valid()
    assert form.errors[None][0].code == "extra"
    assert len(form.errors[None][0]) < 200
    assert "&lt;b&gt;" in form.render()


def test_what_to_do_with_extra_names_must_be_known() -> None:
    with pytest.raises(ConfigurationError, match="extra must be"):
        type("Wrong", (Form,), {"extra": "refuse"})


def test_a_subclass_takes_a_field_away_and_puts_it_back_at_the_end() -> None:
    class Short(RegisterForm):
        age = None

    class Again(Short):
        age = IntegerField()

    class Other(Short):
        name = StringField()

    assert list(Short.fields) == ["username", "password"]
    assert list(Again.fields) == ["username", "password", "age"]
    assert list(Other.fields) == ["username", "password", "name"]
    assert "age" in RegisterForm.fields


def test_fields_can_be_put_in_order() -> None:
    class Ordered(RegisterForm):
        email = StringField()
        field_order = ["email", "password"]

    class Shorter(Ordered):
        password = None

    assert list(Ordered.fields) == ["email", "password", "username", "age"]
    assert list(Shorter.fields) == ["email", "username", "age"]
    with pytest.raises(ConfigurationError, match=r"field_order, nickname: there is no field"):
        type("Wrong", (RegisterForm,), {"field_order": ["nickname"]})


class AddressForm(Form):
    street = StringField(help_text="And number.")
    extra = "forbid"


@pytest.mark.gen_test
async def test_two_forms_on_a_page_are_told_apart_by_their_prefixes() -> None:
    sent = {"home-street": "A 1", "work-street": "", "other": "x"}
    home, work = AddressForm(sent, prefix="home"), AddressForm(sent, prefix="work")
    assert await home.is_valid()
    assert home.cleaned_data == {"street": "A 1"}
    assert not await work.is_valid()
    assert work.errors == {"street": ["This field is required."]}
    html = work.render()
    for part in ('name="work-street"', 'id="id_work-street"', 'for="id_work-street"'):
        assert part in html
    assert 'href="#id_work-street"' in html


@pytest.mark.parametrize("prefix", ['"><b>', "a b", "1", "_"])
def test_a_prefix_that_cannot_be_a_name_is_refused(prefix: str) -> None:
    with pytest.raises(ConfigurationError, match="prefix must be"):
        AddressForm(prefix=prefix)


def test_changed_data_are_the_fields_that_differ_from_what_was_shown() -> None:
    class Profile(Form):
        name = StringField(initial="ann")
        age = IntegerField(required=False)
        news = BooleanField(required=False, initial=True)
        plan = StringField(disabled=True, initial="free")

    sent = {"name": " ann ", "age": "", "news": "on", "plan": "gold"}
    assert Profile(sent).changed_data == []
    assert Profile(sent, initial={"age": 7}).changed_data == ["age"]
    assert Profile({"name": "bob", "age": "x"}).changed_data == ["name", "age", "news"]
    assert Profile().changed_data == []


@pytest.mark.gen_test
async def test_the_value_of_a_disabled_field_belongs_to_its_form() -> None:
    class Plan(Form):
        limits = JSONField(initial={"rooms": 1}, disabled=True)

    first, second = Plan({}), Plan({})
    assert await first.is_valid()
    first.cleaned_data["limits"]["rooms"] = 9
    assert await second.is_valid()
    assert second.cleaned_data["limits"] == {"rooms": 1}


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


SIZES = [("s", "Small"), ("big", "Big")]


@pytest.mark.parametrize(
    "field",
    [
        StringField(initial=" x "),
        TextField(initial="a\r\nb"),
        DecimalField(initial=0.1),
        FloatField(initial=1),
        ChoiceField(choices=Color, initial="red"),
        ChoiceField(choices=SIZES, initial="xl", required=False),
        MultipleChoiceField(choices=[(1, "One"), (2, "Two")], initial=1),
        MultipleChoiceField(choices=SIZES, initial="big"),
        MultipleChoiceField(choices=SIZES, initial=["big", "s"]),
        IPAddressField(initial="0::1"),
        JSONField(initial="1"),
        JSONField(initial={"b": 1, "a": (2,)}),
        TimeField(initial=time(1, 2, 3, 4)),
        DateTimeField(initial=datetime(2026, 1, 1, 1, 2, 3, 123456)),
        FileField(),
    ],
    ids=repr,
)
def test_what_comes_back_untouched_has_not_changed(field: Field[object]) -> None:
    form = type("OneField", (Form,), {"x": field})
    options = {text for text, _ in field.options}
    shown = [text for text in form()["x"].values if not options or text in options]
    assert form({"x": shown}).changed_data == []


@pytest.mark.parametrize(
    ("field", "sent"),
    [
        (JSONField(initial=1), "true"),
        (JSONField(initial={"a": 1}), '{"a": "1"}'),
        (TimeField(initial=time(1, 2, 3, 4)), "01:02:03.001"),
        (MultipleChoiceField(choices=SIZES, initial="big"), ["big", "s"]),
        (MultipleChoiceField(choices=SIZES, initial=("big", "s")), []),
    ],
)
def test_another_value_than_was_shown_has_changed(field: Field[object], sent: object) -> None:
    assert type("OneField", (Form,), {"x": field})({"x": sent}).changed_data == ["x"]


def test_a_moment_has_not_changed_where_no_control_shows_a_difference() -> None:
    class Alarm(Form):
        at = TimeField(initial=time(1, 2, 3, 123456))

    assert Alarm.from_json('{"at": "01:02:03.123456"}').changed_data == []


@pytest.mark.gen_test
async def test_making_a_form_makes_no_fields() -> None:
    first, second = RegisterForm(GOOD), RegisterForm({})
    await first.is_valid()
    for name, field in RegisterForm.fields.items():
        assert first.field(name) is second.field(name) is field
