"""Forms: fields under names, the values that were sent to them, and what is wrong with these."""

from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping
from inspect import isawaitable
from types import MappingProxyType
from typing import Any, ClassVar, NoReturn, Self

from tornado.web import RequestHandler

from tornado_ext.errors import ConfigurationError
from tornado_ext.forms.boundfield import BoundField, NamedField, errors_to_html
from tornado_ext.forms.fields import Field
from tornado_ext.forms.messages import FormErrors, FormNotValidated, ValidationError
from tornado_ext.forms.submission import Submission, from_json, from_request


class Validation:
    """Await this to validate a form. It is neither true nor false: ``await`` was forgotten."""

    __slots__ = ("_run",)

    def __init__(self, run: Callable[[], Awaitable[bool]]) -> None:
        self._run = run

    def __await__(self) -> Generator[Any, None, bool]:
        return self._run().__await__()

    def __bool__(self) -> NoReturn:
        raise FormNotValidated("is_valid() must be awaited: if await form.is_valid(): ...")

    def __eq__(self, _: object) -> NoReturn:
        self.__bool__()

    __hash__ = object.__hash__  # asyncio.gather needs it


class Form:
    """Check what was sent, and draw itself as HTML. Subclass it and declare fields::

        class RegisterForm(Form):
            name = StringField(max_length=20)
            email = EmailField()

            async def clean_name(self, value: str) -> str:
                if await users.exists(value):
                    raise ValidationError("That name is taken.", code="taken")
                return value

    ``clean_<field>`` is called with the value of a field that passed its own rules, and returns
    the value to keep. It and `clean` may be ``def`` or ``async def``. The declarations are taken
    out of the class and stand in `fields`.

    ``data`` is any mapping from names to values, each a str, UTF-8 bytes, a list of such, or a
    Python value; without it the form is unbound: nothing was sent, and it shows initial values.
    ``initial`` goes before the fields' own. With a ``handler`` the form draws its XSRF token.

    Raises `ConfigurationError`, when the class is made, for a name or a hook that can't be right.
    """

    fields: ClassVar[Mapping[str, Field[Any]]] = MappingProxyType({})
    _declared: ClassVar[Mapping[str, Field[Any]]] = MappingProxyType({})  # by this class itself
    _named: ClassVar[Mapping[str, NamedField]] = MappingProxyType({})

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        cls._declared = _declarations(cls)
        for name in cls._declared:
            delattr(cls, name)
        fields: dict[str, Field[Any]] = {}
        for base in reversed(cls.__mro__):
            if issubclass(base, Form):
                fields |= base._declared
            elif _declarations(base):
                raise ConfigurationError(
                    f"{base.__name__} declares fields and is no form: class {base.__name__}(Form)"
                )
        for name in vars(cls):
            if name.startswith("clean_") and name.removeprefix("clean_") not in fields:
                raise ConfigurationError(f"{cls.__name__}.{name}: there is no field of that name")
        cls.fields = MappingProxyType(fields)
        hooks = {name: f"clean_{name}" for name in fields if hasattr(cls, f"clean_{name}")}
        cls._named = MappingProxyType(
            {name: NamedField(name, field, hooks.get(name)) for name, field in fields.items()}
        )

    def __init__(
        self,
        data: Mapping[str, object] | Submission | None = None,
        *,
        initial: Mapping[str, object] | None = None,
        handler: RequestHandler | None = None,
    ) -> None:
        self._submission = data if isinstance(data, Submission | None) else Submission(data)
        self._initial = initial or {}
        self._handler = handler
        self._errors = FormErrors()
        self._cleaned: dict[str, Any] | None = None
        self._validated = False

    @classmethod
    def from_handler(
        cls, handler: RequestHandler, *, initial: Mapping[str, object] | None = None
    ) -> Self:
        """Make a form of what the request sent: GET and HEAD the query, otherwise the body.

        A body may be a form, with or without files, or a JSON object. A query that has none of the
        fields leaves the form unbound: the page was opened, not sent.
        """
        submission = from_request(handler.request)
        opened = handler.request.method in ("GET", "HEAD")
        if opened and cls.fields.keys().isdisjoint(submission.values):
            return cls(initial=initial, handler=handler)
        return cls(submission, initial=initial, handler=handler)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Make a form of a JSON object, such as a WebSocket message; its types are strict."""
        return cls(from_json(text))

    @property
    def is_bound(self) -> bool:
        """Return whether something was sent. A form that is unbound is never valid."""
        return self._submission is not None

    @property
    def errors(self) -> FormErrors:
        """Return the messages by field, None for the form as a whole; empty before `is_valid`."""
        return self._errors

    @property
    def cleaned_data(self) -> dict[str, Any]:
        """Return the values that passed, by field. Raises `FormNotValidated` before `is_valid`."""
        if self._cleaned is None:
            raise FormNotValidated("cleaned_data is there after: if await form.is_valid(): ...")
        return self._cleaned

    def is_valid(self) -> Validation:
        """Return an awaitable of whether everything passed; without ``await`` it raises in an if.

        Fields are checked in the order of their declaration, and `clean` after them. Done once:
        later calls give the same answer, or False after `add_error`. Raises `FormNotValidated`
        while it runs already, so in a hook too.
        """
        return Validation(self._validate)

    def clean(self) -> Awaitable[None] | None:
        """Override this to check fields against each other; ``def`` or ``async def``.

        Called when every field has passed, so `cleaned_data` has all of them. Use `add_error`, or
        raise `ValidationError` for an error of the form as a whole.
        """
        return None

    def add_error(
        self, name: str | None, error: str | ValidationError, *, code: str = "invalid"
    ) -> None:
        """Say what is wrong with a field, or with the form as a whole if ``name`` is None.

        The field's value is taken out of `cleaned_data`. ``code`` belongs to an error that is text.
        """
        if name is not None and name not in self.fields:
            raise ConfigurationError(f"add_error: {type(self).__name__} has no field {name!r}")
        if isinstance(error, str):
            error = ValidationError(error, code=code)
        messages = {} if name is None else self.fields[name].messages
        self._errors.setdefault(name, []).append(error.to_message(messages))
        if self._cleaned is not None and name is not None:
            self._cleaned.pop(name, None)

    def shown_value(self, name: str) -> object:
        """Return what was sent for a field, or its initial value if nothing could be."""
        if self._submission is None or self.fields[name].disabled:
            return self._initial.get(name, self.fields[name].initial)
        return self._submission.shown_value(name)

    def __getitem__(self, name: str) -> BoundField:
        return BoundField(self, self._named[name])

    def __iter__(self) -> Iterator[BoundField]:
        return (BoundField(self, named) for named in self._named.values())

    def render(self, *, xsrf: bool = True) -> str:
        """Return errors, XSRF token and fields as HTML, for use inside a ``<form>`` of yours.

        The token is there if the form was made with a handler whose application has
        ``xsrf_cookies``. Pass ``xsrf=False`` if the form is sent by GET: a token in a URL leaks.
        """
        token = xsrf_html(self._handler) if xsrf and self._handler else ""
        errors = errors_to_html(self._errors.get(None, ()), 'class="form-errors" role="alert"')
        return token + errors + "\n".join([field.render() for field in self])

    async def _validate(self) -> bool:
        if self._submission is None:
            return False
        if self._validated:
            return not self._errors
        if self._cleaned is not None:
            raise FormNotValidated("is_valid() is running already, in a hook or another task")
        self._cleaned = {}
        try:
            await self._check_all(self._submission)
        except BaseException:
            # Half a validation must not be taken for a whole one.
            self._cleaned = None
            self._errors.clear()
            raise
        self._validated = True
        return not self._errors

    async def _check_all(self, submission: Submission) -> None:
        try:
            if submission.error is not None:
                raise submission.error
            for named in self._named.values():
                await self._check(named, submission)
            if not self._errors and (outcome := self.clean()) is not None:
                await _expect_nothing(outcome, self.clean)
        except ValidationError as error:
            self.add_error(None, error)

    async def _check(self, named: NamedField, submission: Submission) -> None:
        name, field = named.name, named.field
        if field.disabled:
            initial = self.shown_value(name)
            self.cleaned_data[name] = field.empty if initial is None else initial
            return
        try:
            value = _read(name, field, submission)
            if value != field.empty:
                for rule in named.rules:
                    if (outcome := rule(value)) is not None:
                        await _expect_nothing(outcome, rule)
            if named.hook is not None:
                value = getattr(self, named.hook)(value)
                if isawaitable(value):
                    value = await value
        except ValidationError as error:
            self.add_error(name, error)
        else:
            if name not in self._errors:
                self.cleaned_data[name] = value


def xsrf_html(handler: RequestHandler) -> str:
    """Return the hidden field with the XSRF token, if the application has ``xsrf_cookies``."""
    return handler.xsrf_form_html() if handler.settings.get("xsrf_cookies") else ""


def _declarations(cls: type) -> dict[str, Field[Any]]:
    return {name: value for name, value in vars(cls).items() if isinstance(value, Field)}


async def _expect_nothing(outcome: object, check: object) -> None:
    """Await what a check returned. A value in the end is a misunderstanding, not to be ignored."""
    if isawaitable(outcome):
        outcome = await outcome
    if outcome is not None:
        name, kind = getattr(check, "__qualname__", repr(check)), type(outcome).__name__
        raise ConfigurationError(f"{name} must raise ValidationError or return None, not {kind}")


def _read(name: str, field: Field[Any], submission: Submission) -> Any:
    """Return the value sent for a field, as its kind has it."""
    sent = submission.value(name)
    if sent is None:
        value = field.empty
    elif isinstance(sent, str) and not submission.typed:
        value = field.from_text(sent)
    else:
        value = field.from_json(sent)
    if field.required and value == field.empty:
        raise ValidationError(code="required")
    return value
