"""Forms: one declaration gives the check, the message and the HTML; every check may be awaited."""

from tornado_ext.forms import ui
from tornado_ext.forms.boundfield import BoundField
from tornado_ext.forms.fields import (
    BooleanField,
    ChoiceField,
    EmailField,
    Field,
    IntegerField,
    PasswordField,
    StringField,
)
from tornado_ext.forms.form import Form, xsrf_html
from tornado_ext.forms.messages import FormErrors, FormNotValidated, ValidationError
from tornado_ext.forms.widgets import Checkbox, Input, Select, Widget

__all__ = [
    "BooleanField",
    "BoundField",
    "Checkbox",
    "ChoiceField",
    "EmailField",
    "Field",
    "Form",
    "FormErrors",
    "FormNotValidated",
    "Input",
    "IntegerField",
    "PasswordField",
    "Select",
    "StringField",
    "ValidationError",
    "Widget",
    "ui",
    "xsrf_html",
]
