"""One's own account: the password, and the browsers that are logged in."""

from tornado.web import HTTPError, authenticated

from demo_app.forms import PasswordForm
from demo_app.handlers.base import BaseHandler


class LogoutHandler(BaseHandler):
    """Log out, by POST alone: a link or an image on another site must not be able to."""

    async def post(self) -> None:
        """End the session here, or with ``everywhere`` all of the user's."""
        user_id, key = self.session.user_id, self.session.key
        everywhere = bool(self.get_body_argument("everywhere", ""))
        if everywhere and user_id is not None:
            await self.session_store.revoke_user(user_id)
        self.session.logout()
        await self.session.save()
        if user_id is not None:
            await self.disconnect(user_id, None if everywhere else key)
        self.redirect(self.reverse_url("login"))


class AccountHandler(BaseHandler):
    """Show the account, and change its password."""

    def whose_password(self) -> tuple[str, str]:
        """Return the name of who is logged in, nobody's otherwise, and that it is his own page."""
        return "own", self.current_user.name if self.current_user else ""

    @authenticated
    async def get(self) -> None:
        """Show who is logged in where."""
        await self.show(PasswordForm(handler=self))

    @authenticated
    async def post(self) -> None:
        """Change the password. All sessions end, and a new one begins here."""
        form = PasswordForm.from_handler(self)
        person = self.current_user
        if await form.is_valid():
            user = await self.storage.find_user(person.name)
            stored = user.password_hash if user else None
            old, new = form.cleaned_data["old"], form.cleaned_data["password"]
            # The new one is stored already when the sessions could not be ended the first time.
            verify = self.passwords.verify
            if not (await verify(stored, old) or await verify(stored, new)):
                form.add_error("old", "The password is wrong.")
        if form.errors or user is None:
            self.set_status(422)
            await self.show(form)
            return
        password_hash = await self.passwords.hash(form.cleaned_data["password"])
        await self.storage.set_password(user.id, password_hash)
        await self.session_store.revoke_user(user.id)
        self.session.logout()
        self.session.flash(self.locale.translate("The password is changed."))
        self.begin(user)
        await self.session.save()
        await self.disconnect(str(user.id))
        self.redirect(self.reverse_url("account"))

    async def show(self, form: PasswordForm) -> None:
        """Render the page with ``form`` in it."""
        sessions = await self.session_store.sessions_of(self.current_user.id)
        flashes = await self.session.pop_flashes()
        self.render("me.html", form=form, sessions=sessions, own=self.session.key, flashes=flashes)


class EndSessionHandler(BaseHandler):
    """End one of one's own sessions."""

    @authenticated
    async def post(self, key: str) -> None:
        """End it, if it is one of one's own."""
        sessions = await self.session_store.sessions_of(self.current_user.id)
        if key not in [info.key for info in sessions]:
            raise HTTPError(404)
        await self.session_store.delete(key)
        await self.disconnect(self.current_user.id, key)
        self.redirect(self.reverse_url("account"))
