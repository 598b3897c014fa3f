"""What a class of forms declares: its fields in their order, and the hooks that go with them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Final, Literal, TypeAlias

from tornado_ext.errors import ConfigurationError
from tornado_ext.forms.choices import ChoicesField
from tornado_ext.forms.fields import Field

# It becomes part of ids. Tornado reads the names in a query as Latin-1, and "_xsrf" is taken.
NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")

Declared: TypeAlias = Mapping[str, Field[Any] | None]  # None takes a base's field away


class Definition:
    """Hold what validation needs of a field, looked up once for each class of forms."""

    __slots__ = ("field", "hook", "messages", "name", "rules")

    def __init__(self, form: "type[Declaration]", name: str, field: Field[Any]) -> None:
        if not NAME.fullmatch(name):
            raise ConfigurationError(
                f"{name!r} can't be the name of a field: it must be ASCII letters, "
                "digits, _ and -, the first a letter"
            )
        self.name = name
        self.field = field
        self.messages = {**form.messages, **field.messages}
        self.rules = field.rules()
        self.hook = f"clean_{name}" if hasattr(form, f"clean_{name}") else None


class Declaration:
    """Take the fields out of the body of a class of forms: the base of `Form`."""

    fields: ClassVar[Mapping[str, Field[Any]]] = MappingProxyType({})

    # Override these in a subclass.
    field_order: ClassVar[Sequence[str]] = ()  #: Names; others follow as they are declared
    extra: ClassVar[Literal["ignore", "forbid"]] = "ignore"  #: What was sent for no field
    messages: ClassVar[Mapping[str, str]] = MappingProxyType({})  #: Texts by code; fields' go first
    #: CSS classes by part, and by part and kind of widget: ``{"label:checkbox": "..."}``.
    classes: ClassVar[Mapping[str, str]] = MappingProxyType({})

    _declared: ClassVar[Declared] = MappingProxyType({})  # by this class itself
    _definitions: ClassVar[Mapping[str, Definition]] = MappingProxyType({})
    _dynamic: ClassVar[Mapping[str, ChoicesField[Any, Any]]] = MappingProxyType({})

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        bases = [base for base in reversed(cls.__mro__[1:]) if issubclass(base, Declaration)]
        inherited = {name for base in bases for name in base._declared}
        cls._declared = _declarations(cls, inherited)
        for name in cls._declared:
            delattr(cls, name)
        _check_mixins(cls)
        cls.fields = _in_order([each._declared for each in (*bases, cls)], cls.field_order)
        _check_names(cls)
        cls._definitions = {
            name: Definition(cls, name, field) for name, field in cls.fields.items()
        }
        cls._dynamic = {
            name: field
            for name, field in cls.fields.items()
            if isinstance(field, ChoicesField) and field.is_dynamic
        }


def _declarations(form: type, inherited: Iterable[str] = ()) -> Declared:
    """Return the fields in the body of a class, and None under the name of an inherited one."""
    return {
        name: value
        for name, value in vars(form).items()
        if isinstance(value, Field) or (value is None and name in inherited)
    }


def _in_order(declared: Iterable[Declared], order: Sequence[str]) -> Mapping[str, Field[Any]]:
    fields: dict[str, Field[Any] | None] = {}
    for each in declared:
        fields |= each
    kept = {name: field for name, field in fields.items() if field is not None}
    first = {name: kept[name] for name in order if name in kept}
    return MappingProxyType({**first, **kept})


def _check_mixins(form: type[Declaration]) -> None:
    for base in form.__mro__:
        if not issubclass(base, Declaration) and _declarations(base):
            raise ConfigurationError(
                f"{base.__name__} declares fields and is no form: class {base.__name__}(Form)"
            )


def _check_names(form: type[Declaration]) -> None:
    own = vars(form)
    hooks = {name: name.removeprefix("clean_") for name in own if name.startswith("clean_")}
    ordered = {f"field_order, {name}": name for name in own.get("field_order", ())}
    for said, name in {**hooks, **ordered}.items():
        if name not in form.fields:
            raise ConfigurationError(f"{form.__name__}.{said}: there is no field of that name")
    if form.extra not in ("ignore", "forbid"):
        raise ConfigurationError(f'extra must be "ignore" or "forbid", not {form.extra!r}')
