"""Messages, labels and help in the language of the request, through tornado.locale."""

import csv
import subprocess
import sys
from collections.abc import Iterator

import pytest
from tornado import locale
from tornado.httpclient import AsyncHTTPClient
from tornado.web import Application, RequestHandler

from tornado_ext.forms import TRANSLATIONS, ChoiceField, Form, IntegerField, ValidationError
from tornado_ext.forms.messages import MESSAGES


class OrderForm(Form):
    size = ChoiceField(choices=[("s", "Small")], label="Size", help_text="Of the cup.")
    count = IntegerField(min_value=1, initial=1)

    def clean_count(self, value: int) -> int:
        if value > 1:
            raise ValidationError("Only one.", code="one")
        return value


class Order(RequestHandler):
    async def get(self) -> None:
        form = OrderForm.from_handler(self)
        await form.is_valid()
        self.write(form.render())


@pytest.fixture
def app() -> Application:
    return Application([("/", Order)])


@pytest.fixture(scope="module", autouse=True)
def translations(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give the application translations of its own: some in Chinese, and French."""
    own, none = tmp_path_factory.mktemp("own"), tmp_path_factory.mktemp("none")
    (own / "zh_CN.csv").write_text(
        '"Size","尺寸"\n"Of the cup.","杯子的。"\n"Small","小杯"\n"Only one.","只能一个。"\n'
        '"Enter a whole number.","要整数。"\n'
    )
    (own / "fr_FR.csv").write_text('"This field is required.","Ce champ est obligatoire."\n')
    locale.load_translations(str(own))
    yield
    locale.load_translations(str(none))


async def page(client: AsyncHTTPClient, url: str, language: str) -> str:
    response = await client.fetch(url, headers={"Accept-Language": language})
    return response.body.decode()


@pytest.mark.gen_test
async def test_messages_come_in_the_language_of_the_request(
    http_client: AsyncHTTPClient, base_url: str
) -> None:
    html = await page(http_client, f"{base_url}/?count=0", "zh-CN,zh;q=0.9")
    assert "<li>此项为必填项。</li>" in html
    assert "<li>请输入不小于 1 的数。</li>" in html
    assert ">请选择…</option>" in html


@pytest.mark.gen_test
async def test_labels_help_options_and_own_messages_are_the_applications(
    http_client: AsyncHTTPClient, base_url: str
) -> None:
    html = await page(http_client, f"{base_url}/?count=2", "zh-CN")
    for text in ("尺寸</label>", ">杯子的。</p>", ">小杯</option>", "<li>只能一个。</li>"):
        assert text in html
    assert '<a href="#id_size">尺寸: 此项为必填项。</a>' in html


@pytest.mark.gen_test
async def test_the_applications_translation_goes_before_the_packages(
    http_client: AsyncHTTPClient, base_url: str
) -> None:
    assert "<li>要整数。</li>" in await page(http_client, f"{base_url}/?count=x", "zh-CN")


@pytest.mark.gen_test
async def test_a_language_is_added_with_one_file(
    http_client: AsyncHTTPClient, base_url: str
) -> None:
    html = await page(http_client, f"{base_url}/?count=x", "fr-FR")
    assert "<li>Ce champ est obligatoire.</li>" in html
    assert "<li>Enter a whole number.</li>" in html  # not in that file


@pytest.mark.gen_test
async def test_each_request_has_its_own_language(
    http_client: AsyncHTTPClient, base_url: str
) -> None:
    pages = [
        await page(http_client, f"{base_url}/?count=0", each) for each in ("zh-CN", "en", "zh-CN")
    ]
    assert ["小杯" in html for html in pages] == [True, False, True]


@pytest.mark.gen_test
async def test_a_form_without_a_handler_can_be_told_its_language() -> None:
    form = OrderForm.from_json("{}", locale=locale.get("zh_CN"))
    assert not await form.is_valid()
    assert form.errors["size"] == ["此项为必填项。"]
    assert form["size"].label == "尺寸"


def test_the_packages_own_file_can_be_all_that_is_loaded() -> None:
    program = (
        "import tornado.locale, tornado_ext.forms as forms\n"
        "tornado.locale.load_translations(str(forms.TRANSLATIONS))\n"
        "print(tornado.locale.get('zh_CN').translate('Choose…'))"
    )
    command = [sys.executable, "-X", "utf8", "-c", program]
    assert subprocess.check_output(command, encoding="utf-8").strip() == "请选择…"


def test_every_text_of_the_package_is_translated_with_the_same_parameters() -> None:
    with (TRANSLATIONS / "zh_CN.csv").open(encoding="utf-8", newline="") as file:
        chinese = dict(csv.reader(file))
    assert set(chinese) == {*MESSAGES.values(), "Choose…"}
    for text, translation in chinese.items():
        assert parameters(text) == parameters(translation)


def parameters(text: str) -> set[str]:
    return {part.partition("}")[0] for part in text.split("{")[1:]}
