"""The examples of who may do what: each asked by a real client."""

import pytest

from tests.docs.conftest import Browse

OTHER_SITE = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}


@pytest.mark.gen_test
async def test_who_is_not_logged_in_is_sent_to_the_login_and_back(browse: Browse) -> None:
    client = browse("authenticated")
    page = await client.get("/orders?page=2")
    assert page.effective_url.endswith("/login?next=%2Forders%3Fpage%3D2")
    assert (await client.post("/orders")).code == 403
    page = await client.post(page.effective_url, {"name": "ann"})
    assert page.body == b"orders of ann, page 2"
    assert (await client.post("/orders")).body == b"ordered"


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "target", ["https://evil.example", "//evil.example", "/\\evil.example", "/\t/evil.example", ""]
)
async def test_next_does_not_lead_to_another_site(browse: Browse, target: str) -> None:
    client = browse("authenticated")
    login = client.post(f"/login?next={target}", {"name": "ann"}, follow_redirects=False)
    assert (await login).headers["Location"] == "/orders"


@pytest.mark.gen_test
async def test_a_form_without_its_token_is_refused(browse: Browse) -> None:
    client = browse("xsrf")
    assert b'name="_xsrf"' in (await client.get("/")).body
    assert (await client.post("/")).body == b"transferred"  # with the token, as a form has it
    wrong = {"X-Xsrftoken": "0" * 32}
    assert (await client.post("/", headers=wrong)).code == 403
    assert (await client.post("/hook", headers=wrong)).body == b"noted"


@pytest.mark.gen_test
async def test_a_request_from_another_site_is_refused_whatever_token_it_has(
    browse: Browse,
) -> None:
    client = browse("xsrf")
    for path in ("/", "/hook"):
        assert (await client.post(path, headers=OTHER_SITE)).code == 403
    trusted = OTHER_SITE | {"Origin": "https://shop.example"}
    assert (await client.post("/", headers=trusted)).code == 200
