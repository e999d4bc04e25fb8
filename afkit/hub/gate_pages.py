"""The first gate of the pages: guards in front of the hub's own page handlers.

A link fills the form in and starts nothing. A refused choice is answered by the form itself, with what was chosen, the
sentence and whom to ask, and a 4xx. Nothing of a refused choice is stored.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from jupyterhub.handlers.pages import SpawnHandler
from jupyterhub.scopes import needs_scope

from afkit.errors import MalformedError, RequestError
from afkit.hub import form
from afkit.hub.bodies import check_arguments, check_size
from afkit.hub.gate_rest import admit, check_server_name, refused, settle, uncancelled
from afkit.hub.offerform import Shown, form_html
from afkit.hub.refusal import HEADER, Refused, log_error, reason_of, status_of

if TYPE_CHECKING:
    from jupyterhub.handlers.pages import SpawnHandler as _Page
else:
    _Page = object  # the guards stand in front of a handler of the hub, which comes after them in the order of resolution

__all__ = ["guarded"]

_KEPT: Final = frozenset({"next", "display_name", "_xsrf"})
"""Parameters of the hub's own in the address of the form; everything else there is a choice."""

_FORM_TYPES: Final = ("application/x-www-form-urlencoded", "multipart/form-data")


class PageGuard(_Page):
    """Checks query and form fields of every page."""

    async def prepare(self) -> None:
        """After the hub's own checks, so that a page for which one has to log in still asks for that first."""
        await super().prepare()
        self.settings["afkit"].source.current()  # what the hub itself has from the file is as new as the file
        try:
            self._check_arguments()
        except RequestError as error:
            raise Refused(error) from None

    def log_exception(self, typ: Any, value: BaseException | None, tb: Any) -> None:
        """Without what tornado would log of a query."""
        log_error(self, value, (typ, value, tb))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """The hub's own error page, with the reason in the header."""
        with contextlib.suppress(RequestError):
            self._check_arguments()  # the hub may have refused the request before the guard has looked
        if not hasattr(self, "_jupyterhub_user"):
            # JupyterHub 5 cannot say that an address is no UTF-8, since it has not looked yet who asks
            self._jupyterhub_user = None
            self._resolve_roles_and_scopes()
        error = kwargs.get("exc_info", (None, None, None))[1]
        if 400 <= status_code < 500:
            self.set_header(HEADER, reason_of(status_code, error))
        super().write_error(status_code, **kwargs)

    def _check_arguments(self) -> None:
        try:
            check_arguments(self.request.query_arguments, "link")
            check_size(len(self.request.body), "Send the form's fields only.")
            check_arguments(self.request.body_arguments, "form")
        except RequestError:
            for arguments in (self.request.arguments, self.request.query_arguments, self.request.body_arguments):
                arguments.clear()  # the page that says so reads them too
            raise


class SpawnGuard(PageGuard):
    """The page on which a server is chosen."""

    afkit_admitted: tuple[Any, str] | None = None
    afkit_shown: Shown | None = None
    _found: tuple[str, Any] | None = None

    def find_user(self, name: str) -> Any:
        """The hub's user, looked for once a request: gate and hub both need it, and each look is several to the database."""
        if self._found is None or self._found[0] != name:
            self._found = (name, super().find_user(name))
        return self._found[1]

    @needs_scope("servers")
    async def _get(self, user_name: str, server_name: str, **more: Any) -> Any:
        """Show the form; the hub starts the server where there is nothing to choose."""
        self.afkit_shown = self._link()
        # what is taken out here is a choice to the hub, which would start a server with it; the hub has read display_name
        for arguments in (self.request.query_arguments, self.request.arguments):
            for name in [name for name in arguments if name != "next"]:
                del arguments[name]
        try:
            return await super()._get(user_name=user_name, server_name=server_name, **more)
        finally:
            settle(self)

    @needs_scope("servers")
    async def _post(self, user_name: str, server_name: str, **more: Any) -> Any:
        """Judge what was chosen before the hub makes a record of it."""
        user = self.find_user(user_name)
        if user is None or (server_name in user.spawners and user.spawners[server_name].active):
            return await super()._post(user_name=user_name, server_name=server_name, **more)
        asked: dict[str, str] = {}
        try:
            self._check_form()
            await check_server_name(self, user, server_name)
            asked = form.parse(_decoded(self.request.body_arguments))
            admit(self, user, server_name, asked, "form")
        except RequestError as error:
            refused(self, user, server_name, (), "form", error)
            return await self._refuse(user, server_name, asked, error)
        except Refused as judged:
            return await self._refuse(user, server_name, asked, judged.error)
        try:
            return await super()._post(user_name=user_name, server_name=server_name, **more)
        finally:
            settle(self)

    async def spawn_single_user(self, user: Any, server_name: str = "", *args: Any, options: Any = None, **kwargs: Any) -> Any:
        """The one way from a request to a start; judged here unless it was before."""
        admit(self, user, server_name, options, "form")
        return await uncancelled(super().spawn_single_user(user, server_name, *args, options=options, **kwargs))

    def append_query_parameters(self, url: str, exclude: Iterable[str] | None = None) -> str:  # noqa: ARG002  # the hub's own signature
        """A choice in the address of the form is not carried on to the server's address; the hub keeps ``next`` by itself."""
        return url

    async def _render_form(self, for_user: Any, spawner_options_form: str, *args: Any, **kwargs: Any) -> str:
        """The page around the form, with the status of what it says."""
        if self.afkit_shown is not None and self.afkit_shown.refusal is not None and self.afkit_shown.status >= 400:
            self.set_header(HEADER, self.afkit_shown.refusal.reason)
            self.set_status(self.afkit_shown.status)
        html: str = await super()._render_form(for_user, spawner_options_form, *args, **kwargs)
        return html

    def _link(self) -> Shown:
        """The choice in a link: ``?profile=…``, or ``?opt-profile=…`` as JupyterHub 6 writes it."""
        fields = {name.removeprefix("opt-"): values for name, values in self.request.query_arguments.items() if name not in _KEPT}
        if not fields:
            return Shown()
        try:
            return Shown(asked=form.parse(_decoded(fields)))
        except RequestError as error:
            return Shown(asked={}, refusal=error, status=status_of(error))

    def _check_form(self) -> None:
        kind = self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if self.request.body and kind not in _FORM_TYPES:
            raise MalformedError("This is no form.", "Send the form's fields, or use the REST API.")

    async def _refuse(self, user: Any, server: str, asked: Mapping[str, str], error: RequestError) -> None:
        self.afkit_shown = Shown(asked=asked, refusal=error, status=status_of(error))
        try:
            html = form_html(self.settings["afkit"], user, server, self.afkit_shown)
        except RequestError as nobody:
            raise Refused(nobody) from None
        self.finish(await self._render_form(user, html))


def guarded(handler: type) -> type:
    """A subclass of one of the hub's page handlers that checks what it is sent."""
    guard = SpawnGuard if issubclass(handler, SpawnHandler) else PageGuard
    # the hub's metrics are labelled by the module and the name of the class
    return type(handler.__name__, (guard, handler), {"__module__": handler.__module__})


def _decoded(arguments: Mapping[str, Iterable[bytes]]) -> dict[str, list[str]]:
    """Text of a query or form whose encoding `check_arguments` has checked; tornado gives names as Latin-1 text."""
    return {name.encode("latin-1").decode("utf-8"): [value.decode("utf-8") for value in values] for name, values in arguments.items()}
