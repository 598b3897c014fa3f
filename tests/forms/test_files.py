"""Uploads, through a real server, and what becomes of their names."""

import json

import pytest
from tornado.httpclient import AsyncHTTPClient
from tornado.httputil import HTTPFile
from tornado.web import Application, RequestHandler

from tornado_ext.errors import ConfigurationError
from tornado_ext.forms import FileField, Form, MultipleFileField, StringField
from tornado_ext.forms.files import MAX_NAME, safe_name

TYPE = "multipart/form-data; boundary=b"


class UploadForm(Form):
    title = StringField(required=False)
    photo = FileField(extensions=["png"], content_types=["image/png"], max_size=1000)
    pages = MultipleFileField(required=False, max_files=5, max_size=1000)


class Upload(RequestHandler):
    async def post(self) -> None:
        form = UploadForm.from_handler(self)
        if not await form.is_valid():
            form.render()
            self.set_status(422)
            self.finish(form.errors.as_json())
            return
        photo, pages = form.cleaned_data["photo"], form.cleaned_data["pages"]
        self.write({"photo": [photo.name, photo.size], "pages": [page.name for page in pages]})


@pytest.fixture
def app() -> Application:
    return Application([("/", Upload)])


def part(
    name: str, filename: str | None = None, body: bytes = b"x", type_: str = "image/png"
) -> bytes:
    disposition = f'form-data; name="{name}"'
    if filename is not None:
        disposition += f'; filename="{filename}"'
    head = f"--b\r\nContent-Disposition: {disposition}\r\nContent-Type: {type_}\r\n\r\n"
    return head.encode("utf-8", "surrogateescape") + body + b"\r\n"


class Sender:
    def __init__(self, client: AsyncHTTPClient, url: str) -> None:
        self.client, self.url = client, url

    async def __call__(self, *parts: bytes) -> tuple[int, dict[str, object]]:
        response = await self.client.fetch(
            self.url, method="POST", body=b"".join(parts) + b"--b--\r\n",
            headers={"Content-Type": TYPE}, raise_error=False,
        )  # fmt: skip
        is_json = response.headers["Content-Type"].startswith("application/json")
        return response.code, json.loads(response.body) if is_json else {}


@pytest.fixture
def send(http_client: AsyncHTTPClient, base_url: str) -> Sender:
    return Sender(http_client, base_url)


@pytest.mark.gen_test
async def test_files_arrive_with_the_fields_beside_them(send: Sender) -> None:
    outcome = await send(
        part("title"), part("photo", "a.png", b"12345"), part("pages", "1.txt"), part("pages", "2")
    )
    assert outcome == (200, {"photo": ["a.png", 5], "pages": ["1.txt", "2"]})


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("../../x.png", "x.png"),
        ("/etc/passwd.png", "passwd.png"),
        ("a.php%00.png", "a.php%00.png"),
        ("..png", "png"),
        ("名前.png", "名前.png"),
        ("a" * 296 + ".png", "a" * 196 + ".png"),
    ],
)
async def test_a_name_is_never_a_path(send: Sender, sent: str, name: str) -> None:
    code, answer = await send(part("photo", sent))
    assert (code, answer.get("photo")) == (
        (200, [name, 1]) if "." in name else (422, answer["photo"])
    )


@pytest.mark.gen_test
@pytest.mark.parametrize("name", ["a.php\0.png", "a\udcff.png", "a\r\n.png", '"', "\\", ";", "'"])
async def test_an_odd_name_is_an_error_of_the_client_at_most(send: Sender, name: str) -> None:
    code, _ = await send(part("photo", name))
    assert code in {200, 400, 422}


@pytest.mark.gen_test
async def test_no_name_and_no_bytes_is_what_browsers_send_for_no_file(send: Sender) -> None:
    code, errors = await send(part("photo", "", b""), part("pages", "", b""))
    assert code == 422
    assert errors == {"photo": [{"message": "This field is required.", "code": "required"}]}


@pytest.mark.gen_test
async def test_bytes_without_a_name_are_no_file(send: Sender) -> None:
    assert (await send(part("photo", "", b"abc")))[1]["photo"][0]["code"] == "file"


@pytest.mark.gen_test
async def test_an_empty_file_is_named(send: Sender) -> None:
    errors = (await send(part("photo", "{limit}.png", b"")))[1]
    assert errors["photo"] == [{"message": "{limit}.png is empty.", "code": "empty_file"}]


@pytest.mark.gen_test
async def test_of_several_files_each_is_checked(send: Sender) -> None:
    good, bad = part("pages", "1"), part("pages", "2", b"x" * 1001)
    for files in ([good, bad], [bad, good]):
        errors = (await send(part("photo", "a.png"), *files))[1]
        assert errors["pages"] == [{"message": "2 is larger than 1000 B.", "code": "file_size"}]


@pytest.mark.gen_test
async def test_a_hundred_files_at_once_are_too_many(send: Sender) -> None:
    code, errors = await send(part("photo", "a.png"), *[part("pages", "p")] * 95)
    assert (code, errors["pages"][0]["code"]) == (422, "max_files")
    assert (await send(*[part("pages", "p")] * 100))[0] == 400  # Tornado's own limit


@pytest.mark.gen_test
async def test_a_file_for_a_field_of_text_is_an_error(send: Sender) -> None:
    errors = (await send(part("title", "a.png"), part("photo", "a.png")))[1]
    assert errors["title"][0]["code"] == "invalid"


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("photo.png", "photo.png"),
        ("../../x", "x"),
        ("..\\..\\x", "x"),
        ("C:\\Users\\ann\\x.png", "x.png"),
        ("/", "file"),
        ("..", "file"),
        (" . ", "file"),
        ("", "file"),
        ("a.php\0.png", "a.php_.png"),
        ("a\u202egnp.exe", "a_gnp.exe"),
        ("a\ud800.png", "a_.png"),
        ("a\u061cb.png", "a_b.png"),
        ("-rf", "rf"),
        (".-rf", "rf"),
        ("--", "file"),
        ("a:b|c?.png", "a_b_c_.png"),
        (".htaccess", "htaccess"),
        ("x" * 300, "x" * 200),
        ("x" * 300 + ".png", "x" * 196 + ".png"),
        ("x." + "y" * 300, "x." + "y" * 198),
        ("字" * 300 + ".png", "字" * 65 + ".png"),
    ],
)
def test_a_safe_name_is_the_last_part_of_a_path_and_short(sent: str, name: str) -> None:
    assert safe_name(sent) == name
    assert len(name.encode()) <= MAX_NAME


@pytest.mark.gen_test
async def test_a_content_type_may_be_said_in_any_case() -> None:
    class Photo(Form):
        x = FileField(content_types=["Image/PNG"])

    form = Photo({"x": HTTPFile(filename="a.png", body=b"x", content_type="image/png")})
    assert await form.is_valid()


def test_the_browser_is_told_what_is_accepted() -> None:
    form = UploadForm()
    assert 'accept=".png,image/png"' in form["photo"].render()
    assert " multiple" in form["pages"].render()
    assert " multiple" not in form["photo"].render()
    assert form.enctype == "multipart/form-data"
    assert Form().enctype == "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"max_size": 0}, "max_size must be a whole number above 0, not 0"),
        ({"max_files": 1.5}, "max_files must be"),
        ({"max_total": "1 MB"}, "max_total must be"),
        ({"extensions": "png"}, "extensions must be a list of texts, not 'png'"),
        ({"content_types": [b"image/png"]}, "content_types must be"),
    ],
)
def test_limits_that_cannot_be_right_are_named(arguments: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        MultipleFileField(**arguments)


@pytest.mark.gen_test
@pytest.mark.parametrize(("limit", "shown"), [(1024, "1 kB"), (10 * 1024**2, "10 MB")])
async def test_sizes_are_said_as_people_do(limit: int, shown: str) -> None:
    form = type("Sized", (Form,), {"x": FileField(max_size=limit)})
    sent = form({"x": HTTPFile(filename="a", body=b"x" * (limit + 1), content_type="x/y")})
    assert not await sent.is_valid()
    assert sent.errors["x"] == [f"a is larger than {shown}."]
