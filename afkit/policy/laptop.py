"""What of a facility file a laptop does not apply. Pure; only what the file really uses is listed.

Source: facility-file.md, "On a laptop".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from afkit.facility.model import Facility, Layer, RunAs, SecretKey
from afkit.policy.text import listing

__all__ = ["not_applied"]


_SAID: Final = {
    "files": "The `files` of `session` keys are not written.",
    "pod": "The `pod` of `session` keys is not applied: there are no pods here.",
    "kubespawner": "The `kubespawner` of `session` keys is not applied.",
}


def not_applied(facility: Facility) -> tuple[str, ...]:
    """Sentences for whoever uses this file on one machine: at the start of the hub, in the form and in a session."""
    layers = tuple(_layers(facility))
    said = (
        "Images are not applied: servers run in the Python environment of this machine.",
        _issuers(facility),
        _storage(facility),
        _cvmfs(facility),
        _secrets(layers),
        *_layer_keys(layers),
        "`run_as` is not applied: all servers run as one user of the operating system." if _run_as(facility) else "",
        "The section `kubernetes` is not applied." if facility.kubernetes is not None else "",
    )
    return tuple(sentence for sentence in said if sentence)


def _layers(facility: Facility) -> Iterable[Layer]:
    yield facility.session
    yield from (pool.layer for pool in facility.pools.values())
    yield from (image.layer for image in facility.images.values())
    yield from (profile.layer for profile in facility.profiles.values())
    for option in facility.options.values():
        for choice in option.choices.values():
            yield choice.layer


def _layer_keys(layers: Iterable[Layer]) -> Iterable[str]:
    used = {key for layer in layers for key in _SAID if getattr(layer, key)}
    return (sentence for key, sentence in _SAID.items() if key in used)


def _issuers(facility: Facility) -> str:
    issuers = facility.identity.issuers if facility.identity else {}
    if not issuers:
        return ""
    return f"Nobody logs in through {listing(issuers, 'or')}: people are those of `identity.local` and of `--user`."


def _storage(facility: Facility) -> str:
    storage = facility.storage
    named = [mount.name for mount in (storage.home, storage.scratch) if mount is not None]
    if not named and not storage.shared:
        return ""
    return f"Storage is not mounted ({listing((*named, *storage.shared), 'and')}): homes are folders of the state directory."


def _cvmfs(facility: Facility) -> str:
    cvmfs = facility.cvmfs
    if cvmfs is None or cvmfs.driver in ("directory", "none"):
        return ""
    return f"CVMFS is not mounted: its driver is `{cvmfs.driver}`, and a laptop applies `directory`."


def _secrets(layers: Iterable[Layer]) -> str:
    names = sorted({name for layer in layers for name, value in layer.env.items() if isinstance(value, SecretKey)})
    return f"{listing(names, 'and')} {'is' if len(names) == 1 else 'are'} not set: a laptop has no Kubernetes Secrets." if names else ""


def _run_as(facility: Facility) -> bool:
    # the record has the contract's defaults filled in; where the file itself says something, there is a place for it
    return ("identity", "run_as") in facility.positions or any(
        issuer.run_as != RunAs() for issuer in (facility.identity.issuers.values() if facility.identity else ())
    )
