"""A client's secret, read anew whenever it is needed, so that one that was changed counts at once."""

from __future__ import annotations

import os

from afkit.errors import PlatformError
from afkit.facility.model import Issuer
from afkit.names import client_secret_variable
from afkit.oidc import Token

__all__ = ["client_secret"]


def client_secret(issuer: Issuer) -> Token:
    """The secret of the hub's client at an issuer. Raises `PlatformError`, which says where it was looked for and never what was found."""
    source = issuer.client_secret
    if source is None:
        raise PlatformError(f"The issuer {issuer.name!r} has no secret of its client.", "Write client.secret in the facility file.")
    if source.file is not None:
        try:
            found = source.file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            hint = "Mend the file, or `client.secret` of the facility file."
            raise PlatformError(f"The client's secret of {issuer.name!r} cannot be read from {source.file}.", hint) from error
        where = str(source.file)
    else:
        variable = source.env or client_secret_variable(issuer.name)
        found, where = os.environ.get(variable, "").strip(), f"${variable}"
    if not found:
        raise PlatformError(f"The client's secret of {issuer.name!r} is empty: {where}.", "Give the hub the secret there.")
    return Token(found)
