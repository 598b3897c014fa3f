"""Forms: fields under names, the values that were sent to them, and what is wrong with these."""

from collections.abc import Awaitable, Iterator, Mapping, Sequence
from copy import deepcopy
from inspect import isawaitable, iscoroutine
from typing import Any, Final, Self

from tornado.locale import Locale
from tornado.web import RequestHandler

from tornado_ext.errors import ConfigurationError
from tornado_ext.forms.boundfield import BoundField
from tornado_ext.forms.declaration import NAME, Declaration, Definition
from tornado_ext.forms.drawing import CLASSES, drawings, errors_to_html
from tornado_ext.forms.fields import Field
from tornado_ext.forms.html import Attrs, element, to_html, xsrf_html
from tornado_ext.forms.messages import (
    ChoicesNotLoaded,
    FormErrors,
    FormNotValidated,
    ValidationError,
)
from tornado_ext.forms.submission import Submission, from_json, from_request
from tornado_ext.forms.validation import (
    Steps,
    Validation,
    expect_nothing,
    put_in_order,
    run_all,
    settle,
    together,
)

MAX_SHOWN_NAME: Final = 100  # characters of a name that was sent for no field


class Form(Declaration):
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
    out of the class and stand in `fields`. ``name = None`` takes a base's field away.

    ``data`` is any mapping from names to values, each a str, UTF-8 bytes, an `HTTPFile`, a list of
    such, or a Python value; without it the form is unbound: nothing was sent, and it shows initial
    values. ``initial`` goes before the fields' own. ``prefix`` and a hyphen go before every name
    in HTML. With a ``handler`` the form draws its XSRF token and speaks the language of
    ``handler.locale``, unless it is given a ``locale``.

    Raises `ConfigurationError`, when the class is made, for a name or a hook that can't be right.
    """

    def __init__(
        self,
        data: Mapping[str, object] | Submission | None = None,
        *,
        initial: Mapping[str, object] | None = None,
        prefix: str = "",
        handler: RequestHandler | None = None,
        locale: Locale | None = None,
    ) -> None:
        if prefix and not NAME.fullmatch(prefix):
            raise ConfigurationError(f"prefix must be like the name of a field, not {prefix!r}")
        if data is not None and not isinstance(data, Submission):
            data = Submission(data)
        self.handler = handler
        self._submission = data
        self._initial = initial or {}
        self._prefix = f"{prefix}-" if prefix else ""
        self._locale = locale
        self._errors = FormErrors()
        self._cleaned: dict[str, Any] | None = None
        self._validated = False
        self._loaded: dict[str, Field[Any]] = {}

    @classmethod
    def from_handler(
        cls,
        handler: RequestHandler,
        *,
        initial: Mapping[str, object] | None = None,
        prefix: str = "",
    ) -> Self:
        """Make a form of what the request sent: GET and HEAD the query, otherwise the body.

        A body may be a form, with or without files, or a JSON object. A query that has none of the
        fields leaves the form unbound: the page was opened, not sent.
        """
        sent = from_request(handler.request)
        form = cls(sent, initial=initial, prefix=prefix, handler=handler)
        if handler.request.method in ("GET", "HEAD") and form._names.isdisjoint(sent.values):
            form._submission = None
        return form

    @classmethod
    def from_json(cls, text: str | bytes, *, locale: Locale | None = None) -> Self:
        """Make a form of a JSON object, such as a WebSocket message; its types are strict."""
        return cls(from_json(text), locale=locale)

    @property
    def is_bound(self) -> bool:
        """Return whether something was sent. A form that is unbound is never valid."""
        return self._submission is not None

    @property
    def locale(self) -> Locale | None:
        """Return the language that the form speaks; None is English."""
        if self._locale is None and self.handler is not None:
            self._locale = self.handler.locale
        return self._locale

    @property
    def enctype(self) -> str:
        """Return what the ``<form>`` needs as its ``enctype`` for the fields to arrive."""
        files = any(field.is_file for field in self.fields.values())
        return "multipart/form-data" if files else "application/x-www-form-urlencoded"

    @property
    def errors(self) -> FormErrors:
        """Return the messages by field, None for the form as a whole; empty before `is_valid`."""
        return self._errors

    @property
    def cleaned_data(self) -> Mapping[str, Any]:
        """Return the values that passed, by field. Raises `FormNotValidated` before `is_valid`.

        It is a dict. To have its values typed, annotate it in the subclass with a `TypedDict`:
        ``cleaned_data: RegisterData``.
        """
        if self._cleaned is None:
            raise FormNotValidated("cleaned_data is there after: if await form.is_valid(): ...")
        return self._cleaned

    @property
    def changed_data(self) -> list[str]:
        """Return the fields for which something other than the initial value was sent."""
        if self._submission is None:
            return []
        return [
            name
            for name, field in self.fields.items()
            if not field.disabled and self._has_changed(name, self._submission)
        ]

    def is_valid(self) -> Validation:
        """Return an awaitable of whether everything passed; without ``await`` it raises in an if.

        Fields are checked in the order of their declaration, those that must be awaited together,
        and `clean` after them. Done once: later calls give the same answer, or False after
        `add_error`. Raises `FormNotValidated` while it runs already, so in a hook too.
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
        self._refuse(name, error)

    async def load(self) -> Self:
        """Ask for the choices that have to be awaited, all together, and return this form.

        A form that is drawn before `is_valid` needs it; `is_valid` does it by itself.
        """
        await together(self._load(name) for name in self._dynamic if name not in self._loaded)
        return self

    def field(self, name: str) -> Field[Any]:
        """Return a field, with the choices of this form. Raises `ChoicesNotLoaded`."""
        if name in self._dynamic and name not in self._loaded:
            choices = self._dynamic[name].choices_for(self)
            if isawaitable(choices):
                if iscoroutine(choices):
                    choices.close()
                raise ChoicesNotLoaded(f"{name} has choices to await: await form.load() first")
            self._loaded[name] = self._dynamic[name].with_choices(choices)
        return self._loaded.get(name) or self.fields[name]

    def shown_texts(self, name: str) -> Sequence[str]:
        """Return what was sent for a field, or its initial value if nothing could be."""
        field, submission = self.fields[name], self._submission
        if submission is None or field.disabled:
            return self._initial_texts(name)
        return [
            field.shown_again(value)
            if isinstance(value, str) and not submission.typed
            else field.to_text(value)
            for value in submission.shown_values(self._prefix + name, field.many)
        ]

    def __getitem__(self, name: str) -> BoundField:
        # mypy 2.4.1 takes the __hash__ of a class for that of its instances.
        drawing = drawings(type(self), self._prefix, self.locale)[name]  # type: ignore[arg-type]
        return BoundField(self, name, self.field(name), drawing)

    def __iter__(self) -> Iterator[BoundField]:
        return map(self.__getitem__, self.fields)

    def render(self, attrs: Mapping[str, Attrs] | None = None, *, xsrf: bool = True) -> str:
        """Return errors, XSRF token and fields as HTML, for use inside a ``<form>`` of yours.

        ``attrs`` are more attributes for controls, by field. The token is there if the form was
        made with a handler whose application has ``xsrf_cookies``. Pass ``xsrf=False`` if the form
        is sent by GET: a token in a URL leaks.
        """
        attrs = attrs or {}
        token = xsrf_html(self.handler) if xsrf and self.handler else ""
        fields = [self[name].render(attrs.get(name)) for name in self.fields]
        return token + self.render_errors(attrs) + "\n".join(fields)

    def render_errors(self, attrs: Mapping[str, Attrs] | None = None) -> str:
        """Return every error in one list, those of fields with links to them; or nothing.

        ``attrs`` are those that `render` takes: a link leads to the id in them.
        """
        if not self._errors:
            return ""
        items = [to_html(message) for message in self._errors.get(None, ())]
        for name, field in zip(self.fields, self, strict=True):
            id_ = (attrs or {}).get(name, {}).get("id", field.id)
            for message in field.errors:
                text = to_html(f"{field.label}: {message}")
                link = element("a", {"href": f"#{id_}"}, text)
                items.append(text if field.is_hidden else link)
        return errors_to_html(items, {**CLASSES, **self.classes}["summary"])

    async def _validate(self) -> bool:
        if self._submission is None:
            return False
        if self._validated:
            return not self._errors
        if self._cleaned is not None:
            raise FormNotValidated("is_valid() is running already, in a hook or another task")
        self._cleaned = {}
        try:
            await self._check_all(self._submission, self._cleaned)
        except BaseException:
            # Half a validation must not be taken for a whole one.
            self._cleaned = None
            self._errors.clear()
            raise
        self._validated = True
        return not self._errors

    async def _check_all(self, submission: Submission, cleaned: dict[str, Any]) -> None:
        if submission.error is not None:
            self.add_error(None, submission.error)
            return
        if self._dynamic:
            await self.load()
        if self.extra == "forbid":
            self._refuse_extra(submission)
        checks = (self._check(each, submission, cleaned) for each in self._definitions.values())
        if await run_all(checks):
            # Nobody should see which of the awaited ones was done first.
            for done in (self._errors, cleaned):
                put_in_order(done, (None, *self.fields))
        if not self._errors:
            await run_all([self._check_whole()])

    def _check(
        self, definition: Definition, submission: Submission, cleaned: dict[str, Any]
    ) -> Steps:
        name = definition.name
        field = self._loaded.get(name, definition.field)
        if field.disabled:
            cleaned[name] = deepcopy(self._initial_value(name, field.empty))  # shared by all
            return
        try:
            value = field.read(submission, self._prefix + name)
            if value != field.empty:
                for rule in definition.rules:
                    if (outcome := rule(value)) is not None:
                        yield from expect_nothing(outcome, rule)
            elif field.required:
                raise ValidationError(code="required")
            if definition.hook is not None:
                value = yield from settle(getattr(self, definition.hook)(value))
        except ValidationError as error:
            self._refuse(name, error)
        else:
            if name not in self._errors:
                cleaned[name] = value

    def _refuse(self, name: str | None, error: ValidationError) -> None:
        messages = self.messages if name is None else self._definitions[name].messages
        self._errors.setdefault(name, []).append(error.to_message(messages, self.locale))
        if self._cleaned and name is not None:
            self._cleaned.pop(name, None)

    def _check_whole(self) -> Steps:
        try:
            if (outcome := self.clean()) is not None:
                yield from expect_nothing(outcome, self.clean)
        except ValidationError as error:
            self.add_error(None, error)

    def _refuse_extra(self, submission: Submission) -> None:
        known = {*self._names, "_xsrf"}
        for name in submission.values:
            if name.startswith(self._prefix) and name not in known:
                params = {"name": name[:MAX_SHOWN_NAME]}
                self.add_error(None, ValidationError(code="extra", params=params))
                return

    @property
    def _names(self) -> set[str]:
        """Return the names of the fields in HTML."""
        return {self._prefix + name for name in self.fields}

    def _initial_value(self, name: str, empty: object = None) -> Any:
        initial = self._initial.get(name, self.fields[name].initial)
        return empty if initial is None else initial

    def _initial_texts(self, name: str) -> Sequence[str]:
        field, initial = self.fields[name], self._initial_value(name)
        several = field.many and isinstance(initial, tuple | list | set | frozenset)
        return [field.to_text(value) for value in (initial if several else [initial])]

    def _has_changed(self, name: str, submission: Submission) -> bool:
        field = self.field(name)
        try:
            sent = field.read(submission, self._prefix + name)
        except ValidationError:
            return True
        # What comes back untouched is what the initial value was drawn as.
        try:
            shown = field.read(Submission({name: self._initial_texts(name)}), name)
        except ValidationError:
            shown = field.empty
        return not field.is_same(sent, shown)

    async def _load(self, name: str) -> None:
        choices = self._dynamic[name].choices_for(self)
        if isawaitable(choices):
            choices = await choices
        self._loaded[name] = self._dynamic[name].with_choices(choices)
