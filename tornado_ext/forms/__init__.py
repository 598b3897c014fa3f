"""Forms: one declaration gives the check, the message and the HTML; every check may be awaited."""

from tornado_ext.forms import ui
from tornado_ext.forms.boundfield import BoundField
from tornado_ext.forms.choices import BooleanField, ChoiceField, MultipleChoiceField
from tornado_ext.forms.fields import (
    EmailField,
    Field,
    HiddenField,
    JSONField,
    PasswordField,
    SlugField,
    StringField,
    TextField,
    URLField,
)
from tornado_ext.forms.files import FileField, MultipleFileField, UploadedFile
from tornado_ext.forms.form import Form
from tornado_ext.forms.html import to_html, xsrf_html
from tornado_ext.forms.messages import (
    TRANSLATIONS,
    ChoicesNotLoaded,
    FormErrors,
    FormNotValidated,
    ValidationError,
)
from tornado_ext.forms.scalars import (
    DateField,
    DateTimeField,
    DecimalField,
    FloatField,
    IntegerField,
    IPAddressField,
    TimeField,
    UUIDField,
)
from tornado_ext.forms.widgets import (
    Checkbox,
    Checkboxes,
    Input,
    Radios,
    Select,
    Textarea,
    Widget,
)

__all__ = [
    "TRANSLATIONS",
    "BooleanField",
    "BoundField",
    "Checkbox",
    "Checkboxes",
    "ChoiceField",
    "ChoicesNotLoaded",
    "DateField",
    "DateTimeField",
    "DecimalField",
    "EmailField",
    "Field",
    "FileField",
    "FloatField",
    "Form",
    "FormErrors",
    "FormNotValidated",
    "HiddenField",
    "IPAddressField",
    "Input",
    "IntegerField",
    "JSONField",
    "MultipleChoiceField",
    "MultipleFileField",
    "PasswordField",
    "Radios",
    "Select",
    "SlugField",
    "StringField",
    "TextField",
    "Textarea",
    "TimeField",
    "URLField",
    "UUIDField",
    "UploadedFile",
    "ValidationError",
    "Widget",
    "to_html",
    "ui",
    "xsrf_html",
]
