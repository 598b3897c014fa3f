"""Text and attributes as HTML."""

import pytest

from tornado_ext.errors import ConfigurationError
from tornado_ext.forms.html import attributes_to_html, to_html


def test_everything_that_html_reads_is_escaped() -> None:
    assert to_html("<b>&\"'</b>") == "&lt;b&gt;&amp;&quot;&#x27;&lt;/b&gt;"


def test_what_cannot_be_written_is_replaced() -> None:
    assert to_html("a\0b\x1b\x85\ud800c") == "a\ufffdb\ufffdc"


def test_line_breaks_and_tabs_are_kept() -> None:
    assert to_html("a\r\n\tb") == "a\r\n\tb"


def test_an_attribute_without_a_value_stands_alone_and_none_leaves_it_out() -> None:
    attrs = {"required": True, "disabled": False, "minlength": None, "min": 0, "title": '"<'}
    assert attributes_to_html(attrs) == ' required min="0" title="&quot;&lt;"'


def test_names_that_frameworks_use_are_taken() -> None:
    attrs = {"data-x": "1", "@click": "go", ":class": "a", "hx-on:click.once": "b"}
    assert attributes_to_html(attrs).count("=") == 4


@pytest.mark.parametrize("name", ["", "a b", 'a"', "a>", "a=b", "a\n", "/a", "1a", "é"])
def test_a_name_that_could_break_out_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="can't be the name of an HTML attribute"):
        attributes_to_html({name: "x"})
