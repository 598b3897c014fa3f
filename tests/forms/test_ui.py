"""``{% module Form(form) %}`` in a template."""

import pytest
from tornado.httpclient import AsyncHTTPClient
from tornado.template import DictLoader
from tornado.web import Application, RequestHandler

import tornado_ext.forms
from tornado_ext.forms import Form, StringField


class SearchForm(Form):
    q = StringField(label="Find <anything>")


class Page(RequestHandler):
    def get(self, template: str) -> None:
        made_with = {"handler": self} if self.get_query_argument("handler", "") else {}
        self.render(template, form=SearchForm(**made_with))


@pytest.fixture
def app() -> Application:
    templates = {
        "post": '<form method="post">{% module Form(form) %}</form>',
        "get": "<form>{% module Form(form, xsrf=False) %}</form>",
        "raw": '<form method="post">{% raw form.render() %}</form>',
        "field": '{% raw form["q"].render() %}',
    }
    return Application(
        [("/(.*)", Page)],
        template_loader=DictLoader(templates),
        ui_modules=tornado_ext.forms.ui,
        xsrf_cookies=True,
    )


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("page", "tokens"),
    [
        ("post", 1),
        ("post?handler=1", 1),
        ("get?handler=1", 0),
        ("raw", 0),
        ("raw?handler=1", 1),
        ("field?handler=1", 0),
    ],
)
async def test_a_template_draws_the_form_with_one_token_at_most(
    http_client: AsyncHTTPClient, base_url: str, page: str, tokens: int
) -> None:
    html = (await http_client.fetch(f"{base_url}/{page}")).body.decode()
    assert html.count('name="_xsrf"') == tokens
    assert html.count('<input type="text" name="q"') == 1
    assert html.count("Find &lt;anything&gt;") == 1
