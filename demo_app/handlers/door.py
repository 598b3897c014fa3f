"""Register, and log in."""

from demo_app.forms import LoginForm, RegisterForm
from demo_app.handlers.base import BaseHandler
from demo_app.storage import NameTaken, User
from tornado_ext.forms import Form


class DoorHandler(BaseHandler):
    """Base of the two pages at the door."""

    template: str
    form: type[Form]

    def whose_password(self) -> tuple[str, str]:
        """Return the name that was sent, as the form reads it, and that it was at the door."""
        return "door", self.form.from_handler(self)["name"].value

    def get(self) -> None:
        """Show the form, or send on who is logged in already."""
        if self.current_user:
            self.redirect(self.next_url())
        else:
            self.show(self.form(handler=self))

    def show(self, form: Form) -> None:
        """Render the page; with 422 if the form was sent and is wrong."""
        if form.errors:
            self.set_status(422)
        self.render(self.template, form=form, next_url=self.next_url())

    async def owner(self, name: str, password: str) -> User | None:
        """Return the user of that name, if the password is his."""
        user = await self.storage.find_user(name)
        known = await self.passwords.verify(user.password_hash if user else None, password)
        return user if known else None

    async def let_in(self, user: User) -> bool:
        """Log ``user`` in; return False if his password was changed meanwhile."""
        self.begin(user)
        await self.session.save()
        # A password that is changed from here on ends this session; was it before?
        if await self.storage.find_user(user.name) == user:
            return True
        self.session.logout()
        return False


class RegisterHandler(DoorHandler):
    """Make an account."""

    template = "register.html"
    form = RegisterForm

    async def post(self) -> None:
        """Make the account and log its owner in."""
        form = self.form.from_handler(self)
        if not await form.is_valid():
            self.show(form)
            return
        data = form.cleaned_data
        password_hash = await self.passwords.hash(data["password"])
        user: User | None
        try:
            user = await self.storage.add_user(data["name"], password_hash)
        except NameTaken:
            # By himself perhaps, a moment ago, when the session could not be stored.
            user = await self.owner(data["name"], data["password"])
        if user is not None:
            welcome = self.locale.translate("Welcome, %s. Your account is ready.")
            self.session.flash(welcome % user.name)
            if await self.let_in(user):
                self.redirect(self.next_url())
                return
        form.add_error("name", "That name is taken.")
        self.show(form)


class LoginHandler(DoorHandler):
    """Log in."""

    template = "login.html"
    form = LoginForm

    async def post(self) -> None:
        """Log in. An unknown name and a wrong password look alike, also to a stopwatch."""
        form = self.form.from_handler(self)
        if not await form.is_valid():
            self.show(form)
            return
        data = form.cleaned_data
        user = await self.owner(data["name"], data["password"])
        if user is not None and await self.let_in(user):
            self.redirect(self.next_url())
            return
        form.add_error(None, "Name or password is wrong.")
        self.show(form)
