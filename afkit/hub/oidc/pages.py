"""The pages of a login: the choice of a provider, the way there, and the way back."""

from __future__ import annotations

import contextlib
import hmac
import re
import time
from collections.abc import Iterator
from typing import Any, Final

from jinja2 import Environment, select_autoescape
from jupyterhub.handlers.base import BaseHandler
from jupyterhub.handlers.login import LoginHandler
from jupyterhub.utils import url_path_join
from oauthenticator.oauth2 import _serialize_state
from tornado.httputil import url_concat

from afkit.errors import IdentityError, PlatformError
from afkit.hub.oidc.pending import COOKIE, LIFE, Pending, begin, cookie_of, from_cookie, superfluous
from afkit.hub.refusal import LoginRefused

__all__ = ["BeginPage", "CallbackPage", "ChoicePage", "refusing"]

LAST: Final = "afkit-issuer"
"""Cookie with the name of the issuer through which this browser has logged in last."""
_DAYS: Final = 180
_ERROR: Final = re.compile(r"[a-z_]{1,64}", re.ASCII)
_CHOICE: Final = Environment(autoescape=select_autoescape(default=True), trim_blocks=True, lstrip_blocks=True).from_string(
    """<div class="af-panel service-login">
  <p class="af-lead">Log in with</p>
  {% for each in issuers %}
  <p class="af-line">
    <a class="af-button" href="{{ each.url }}"{% if each.last %} autofocus{% endif %}>{{ each.name }}</a>
    {% if each.last %}<span class="af-hint">as last time</span>{% endif %}
  </p>
  {% endfor %}
</div>
"""
)


@contextlib.contextmanager
def refusing() -> Iterator[None]:
    """Errors of a login as answers of the hub; nothing of them is a failure of the hub."""
    try:
        yield
    except IdentityError as error:
        raise LoginRefused(403, error, error.reason) from None
    except PlatformError as error:
        raise LoginRefused(503, error, "provider") from None


class ChoicePage(LoginHandler):
    """JupyterHub's login page, with the providers of the facility file on it; one alone is not asked for."""

    async def get(self) -> None:
        """The page, or the way to the only provider."""
        self.authenticator.look_again()
        await super().get()

    async def post(self) -> None:
        """Nobody has a password here."""
        error = IdentityError("Nobody logs in here by a password.", "Choose a provider on the login page.")
        raise LoginRefused(403, error, "refused")

    def render_template(self, name: str, **more: Any) -> Any:
        """The hub's own, with the choice."""
        if name == "login.html":
            more["custom_html"] = self._choice()
        return super().render_template(name, **more)

    def _choice(self) -> str:
        last = self.get_cookie(LAST)
        asked = {"next": self.get_argument("next")} if self.get_argument("next", "") else {}
        base = url_path_join(self.hub.base_url, "oauth_login")
        listed = [
            {"name": name, "url": url_concat(url_path_join(base, name), asked), "last": name == last}
            for name in self.authenticator.issuers()
        ]
        listed.sort(key=lambda each: not each["last"])
        return _CHOICE.render(issuers=listed)


class BeginPage(BaseHandler):
    """The way to a provider."""

    async def get(self, name: str) -> None:
        """Remember the login in a cookie, and go."""
        with refusing():
            child = self.authenticator.child(name)
            metadata = await child.metadata()
        # checked here, by the hub's own rule of where a login may lead; what the cookie has is signed
        next_url = self.get_next_url() if self.get_argument("next", "") else ""
        pending = begin(name, next_url, time.time())
        known = [(cookie, from_cookie(self.get_secure_cookie(cookie))) for cookie in self.request.cookies if cookie.startswith(COOKIE)]
        for cookie in superfluous(known):
            self.clear_cookie(cookie, path=self.hub.base_url)
        self._set_cookie(
            cookie_of(pending.state), pending.cookie(), expires_days=None, max_age=LIFE, path=self.hub.base_url, samesite="Lax"
        )  # fmt: skip
        asked = {
            "response_type": "code",
            "client_id": child.client_id,
            "redirect_uri": child.get_callback_url(self),
            "scope": " ".join(child.scope),
            **child.authorize_params(pending),
        }
        self.redirect(url_concat(metadata.authorize, asked))

    def append_query_parameters(self, url: str, exclude: Any = None) -> str:  # noqa: ARG002  # the hub's own signature
        """Nothing of this address is carried on."""
        return url


class CallbackPage(BaseHandler):
    """The way back."""

    pending: Pending | None = None

    async def get(self, name: str) -> None:
        """Whoever comes from the provider, with a code or with a refusal."""
        with refusing():
            child = self.authenticator.child(name)
            self.pending = self._pending(name)
            self._check_answer(child, (await child.metadata()).sends_iss)
        user = await self.login_user()
        if user is None:
            error = IdentityError("You may not log in to this facility.", "Ask the administrators.")
            raise LoginRefused(403, error, "refused")
        self._set_cookie(LAST, name, encrypted=False, expires_days=_DAYS, path=self.hub.base_url, samesite="Lax")
        self._jupyterhub_user = user
        self.redirect(self.pending.next or self.get_next_url(user))

    def get_state_cookie(self) -> str:
        """The login as oauthenticator would have kept it: it takes the verifier of PKCE from there."""
        return str(_serialize_state({"code_verifier": self.pending.verifier if self.pending else ""}))

    def append_query_parameters(self, url: str, exclude: Any = None) -> str:  # noqa: ARG002  # the hub's own signature
        """Nothing of this address is carried on: it has a code."""
        return url

    def _pending(self, name: str) -> Pending:
        """The login that this is the end of: begun in this browser, at this issuer, and not long ago."""
        state = self.get_argument("state", "")
        cookie = cookie_of(state)
        found = from_cookie(self.get_secure_cookie(cookie, max_age_days=LIFE / 86_400))
        self.clear_cookie(cookie, path=self.hub.base_url)
        if found is None or not hmac.compare_digest(found.state.encode(), state.encode("utf-8", "replace")):
            error = IdentityError("This login was not begun in this browser, or too long ago.", "Log in again.")
            raise LoginRefused(400, error, "unknown-login")
        if found.issuer != name:
            raise LoginRefused(400, IdentityError("This login was begun at another provider.", "Log in again."), "mixed-up")
        return found

    def _check_answer(self, child: Any, sends_iss: bool) -> None:
        """The provider is the one that was asked (RFC 9207; one that says so always names itself), and has sent a code."""
        said = self.get_argument("iss", "")
        if (said or sends_iss) and said != child.issuer.url:
            raise LoginRefused(400, IdentityError("This answer is of another provider.", "Log in again."), "mixed-up")
        if not self.get_argument("code", ""):
            word = self.get_argument("error", "")
            told = f" ({word})" if _ERROR.fullmatch(word) else ""
            error = IdentityError(f"The provider has not logged you in{told}.", "Log in again, or ask the administrators.")
            raise LoginRefused(403, error, "provider-refused")
