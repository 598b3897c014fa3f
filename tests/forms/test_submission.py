"""What a request sent, read by a stock handler behind a real server."""

import json
from urllib.parse import urlencode

import pytest
from tornado.httpclient import AsyncHTTPClient
from tornado.web import Application, RequestHandler

from tornado_ext.forms import BooleanField, Form, IntegerField, StringField
from tornado_ext.forms.submission import Submission

FORM = "application/x-www-form-urlencoded"


class ContactForm(Form):
    name = StringField(max_length=20)
    age = IntegerField(required=False)
    news = BooleanField(required=False)


class Contact(RequestHandler):
    async def answer(self) -> None:
        form = ContactForm.from_handler(self)
        if await form.is_valid():
            self.set_header("X-Name", form.cleaned_data["name"])
            self.write(form.cleaned_data)
        else:
            self.write({"bound": form.is_bound, "errors": form.errors.as_json()})
        form.render()

    get = head = post = put = delete = answer


@pytest.fixture
def app() -> Application:
    return Application([("/", Contact)])


class Sender:
    def __init__(self, client: AsyncHTTPClient, url: str) -> None:
        self.client, self.url = client, url

    async def __call__(
        self, method: str, body: str | bytes | None = None, type_: str = FORM, query: str = ""
    ) -> dict:
        response = await self.client.fetch(
            f"{self.url}/?{query}",
            method=method,
            body=body,
            headers={"Content-Type": type_},
            allow_nonstandard_methods=True,
        )
        return json.loads(response.body)

    async def codes(self, *args: str | bytes, **kwargs: str) -> dict[str, list[str]]:
        errors = (await self(*args, **kwargs))["errors"]
        return {name: [each["code"] for each in found] for name, found in errors.items()}


@pytest.fixture
def send(http_client: AsyncHTTPClient, base_url: str) -> Sender:
    return Sender(http_client, base_url)


ANN = {"name": "Ann", "age": 42, "news": True}


def test_what_was_sent_is_not_in_the_repr() -> None:
    assert "secret" not in repr(Submission({"password": ["secret"]}))


@pytest.mark.gen_test
async def test_a_get_sends_its_query(send: Sender) -> None:
    assert await send("GET", query="name=Ann&age=42&news=on") == ANN


@pytest.mark.gen_test
async def test_a_head_sends_its_query(http_client: AsyncHTTPClient, base_url: str) -> None:
    response = await http_client.fetch(f"{base_url}/?name=Ann", method="HEAD")
    assert response.headers["X-Name"] == "Ann"


@pytest.mark.gen_test
async def test_a_get_ignores_its_body(send: Sender) -> None:
    assert (await send("GET", "name=Ann"))["bound"] is False


@pytest.mark.gen_test
@pytest.mark.parametrize("query", ["", "page=2", "%ff=%ff"])
async def test_a_page_that_is_opened_sends_nothing(send: Sender, query: str) -> None:
    assert await send("GET", query=query) == {"bound": False, "errors": {}}


@pytest.mark.gen_test
async def test_a_query_with_any_field_is_sent(send: Sender) -> None:
    assert await send.codes("GET", query="age=1") == {"name": ["required"]}


@pytest.mark.gen_test
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_other_methods_send_their_body(send: Sender, method: str) -> None:
    assert await send(method, urlencode({"name": "Ann", "age": "42", "news": "on"})) == ANN


@pytest.mark.gen_test
async def test_query_and_body_are_never_merged(send: Sender) -> None:
    assert await send.codes("POST", "age=1", query="name=Ann") == {"name": ["required"]}
    assert await send("POST", "name=Ann", query="age=1&name=Bob") == {
        "name": "Ann", "age": None, "news": False,
    }  # fmt: skip


@pytest.mark.gen_test
async def test_an_empty_body_is_an_empty_form(send: Sender) -> None:
    assert await send.codes("POST", "") == {"name": ["required"]}
    assert await send.codes("POST", "whatever", "text/plain") == {"name": ["required"]}


@pytest.mark.gen_test
async def test_a_multipart_form_is_read(send: Sender) -> None:
    parts = "".join(
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in (("name", "Ann"), ("age", "42"), ("news", "on"))
    )
    assert await send("POST", f"{parts}--b--\r\n", "multipart/form-data; boundary=b") == ANN


@pytest.mark.gen_test
async def test_bytes_that_are_not_utf8_and_nul_are_errors_of_their_fields(send: Sender) -> None:
    assert await send.codes("POST", "name=%ff&age=%fe") == {"name": ["invalid"], "age": ["invalid"]}
    assert await send.codes("GET", query="name=a%00b") == {"name": ["control"]}
    parts = b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\n\xff\r\n--b--\r\n'
    codes = await send.codes("POST", parts, "multipart/form-data; boundary=b")
    assert codes == {"name": ["invalid"]}


@pytest.mark.gen_test
async def test_a_repeated_key_is_an_error(send: Sender) -> None:
    assert await send.codes("POST", "name=Ann&name=Bob") == {"name": ["repeated"]}
    assert await send.codes("GET", query="name=Ann&name=Ann") == {"name": ["repeated"]}


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "type_", ["application/json", "Application/JSON; charset=utf-8", "application/problem+json"]
)
async def test_json_is_read(send: Sender, type_: str) -> None:
    assert await send("POST", json.dumps(ANN), type_) == ANN


@pytest.mark.gen_test
async def test_json_types_are_strict(send: Sender) -> None:
    body = json.dumps({"name": 5, "age": "42", "news": 1})
    assert await send.codes("POST", body, "application/json") == {
        "name": ["invalid"], "age": ["integer"], "news": ["boolean"],
    }  # fmt: skip


@pytest.mark.gen_test
@pytest.mark.parametrize("name", [r"a\u0000b", r"\ud800", r"a\nb"])
async def test_control_characters_and_surrogates_in_json_are_an_error(
    send: Sender, name: str
) -> None:
    codes = await send.codes("POST", f'{{"name": "{name}"}}', "application/json")
    assert codes == {"name": ["control"]}


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"name=Ann",
        b'{"name": "Ann"} x',
        b'"Ann"',
        b"[]",
        b"null",
        b'{"name": "\xff"}',
        '{"name": "Ann"}'.encode("utf-16"),
        b'\xef\xbb\xbf{"name": "Ann"}',
        b'{"name": "Ann", "name": "Bob"}',
        b'{"name": "Ann", "age": NaN}',
        b'{"name": "Ann", "age": -Infinity}',
        b'{"age": ' + b"9" * 5001 + b"}",
        b'{"name": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        b'{"name": [' + b"1," * 60_000 + b"1]}",
        b'{"name": [' + b"[]," * 3_000_000 + b"1]}",
        b'{"name": "' + b'\\"' * 5_000_000,
        b'{"name": ' + b'{"a":' * 10_000 + b"1" + b"}" * 10_000 + b"}",
    ],
    ids=lambda body: repr(body[:20]),
)
async def test_a_body_that_is_not_a_json_object_is_an_error_of_the_form(
    send: Sender, body: bytes
) -> None:
    assert await send.codes("POST", body, "application/json") == {"__all__": ["json"]}


@pytest.mark.gen_test
async def test_a_json_text_may_have_more_commas_than_json_may_have_values() -> None:
    class Letter(Form):
        text = StringField()

    form = Letter.from_json(json.dumps({"text": '"[{\\,' * 60_000}))
    assert await form.is_valid()
