"""The overlay: what a choice gives to every Pod that runs for it, server or worker alike. Pure.

`overlay` makes the facility's own part; `finish` lays the ``pod`` of the layers over it and puts right what only the whole Pod
shows: other containers' security and mounts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from afkit.errors import IncompatibleError
from afkit.facility.model import Facility, Kubernetes, Mount
from afkit.facility.pod_rules import MAIN
from afkit.names import AUDIENCE, POOL_LABEL, PROFILE_LABEL, SESSIONS_ACCOUNT, TOKEN_FOLDER
from afkit.pods.cvmfs import cvmfs_volumes
from afkit.pods.environment import env_list, session_env, told
from afkit.pods.layers import Session
from afkit.pods.merge import merge_pods
from afkit.pods.objects import marks
from afkit.pods.person import Person
from afkit.pods.placeholders import Names, fill, fill_all
from afkit.pods.placement import container_resources, placement
from afkit.pods.security import main_context, pod_context, with_defaults
from afkit.pods.storage import Volume, is_made, mounts_of, storage_names, volume_of
from afkit.policy.model import Selection
from afkit.quantities import format_memory

__all__ = ["Choice", "Files", "Overlay", "files_of", "finish", "overlay"]

_SHM: Final = "/dev/shm"  # noqa: S108 - a path in the container
_MOST_TEXT: Final = 2**20
"""Bytes that a Secret holds."""
_NO_KEY: Final = re.compile(r"[^-._a-zA-Z0-9]+")
_TOKEN_LIFE: Final = 3600
"""Seconds that a Pod's token lives; the kubelet renews it in time."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen, for whom: everything that a Pod of it is made from. ``worker``: not the server itself."""

    facility: Facility
    selection: Selection
    session: Session
    person: Person
    names: Names
    worker: bool = False

    @property
    def kubernetes(self) -> Kubernetes:
        """The cluster's side; a file without it has the defaults."""
        return self.facility.kubernetes or Kubernetes()


@dataclass(frozen=True, slots=True)
class Files:
    """The ``files`` of a choice: the Secret that holds them, and key in it → path and text."""

    secret: str
    texts: Mapping[str, tuple[str, str]]

    def data(self) -> dict[str, str]:
        """The Secret's texts by key."""
        return {key: text for key, (_, text) in self.texts.items()}


@dataclass(frozen=True, slots=True)
class Overlay:
    """The facility's own part of a Pod, and how containers mount its volumes by name."""

    pod: dict[str, Any]
    hows: Mapping[str, Mapping[str, Any]]


def files_of(choice: Choice, secret: str) -> Files:
    """The files of a choice in a Secret of that name. Raises `IncompatibleError` where it cannot hold them."""
    made: dict[str, tuple[str, str]] = {}
    for number, (path, text) in enumerate(sorted(choice.session.files.items())):
        key = _NO_KEY.sub("-", path.rpartition("/")[2])[-100:]
        made[f"{number}-{key}"] = (path, fill(text, choice.names))
    if sum(len(key) + len(text.encode("utf-8", "replace")) for key, (_, text) in made.items()) > _MOST_TEXT:
        raise IncompatibleError(
            "The files that come with this choice are together larger than Kubernetes can bring into a server.",
            "Ask the administrators to put them on a volume.",
        )
    return Files(secret, made)


def overlay(choice: Choice, files: Files, owned_env: Mapping[str, str], base_env: Iterable[Mapping[str, Any]] = ()) -> Overlay:
    """The facility's own part of a Pod, without its name.

    ``owned_env`` are further variables that nothing changes, ``base_env`` the administrator's, as Kubernetes writes them.
    """
    facility, selection, person, kubernetes = choice.facility, choice.selection, choice.person, choice.kubernetes
    volumes = _volumes(choice, files)
    spec: dict[str, Any] = {
        **placement(selection.pool),
        "serviceAccountName": kubernetes.service_account or SESSIONS_ACCOUNT,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pod_context(person),
        "containers": [_main(choice, files, volumes, owned_env, base_env)],
        "volumes": [dict(volume.volume) for volume in volumes],
    }
    if kubernetes.pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in kubernetes.pull_secrets]
    about = marks(facility, person)
    about["labels"] |= {PROFILE_LABEL: selection.profile.name, POOL_LABEL: selection.pool.name}
    return Overlay({"metadata": about, "spec": spec}, {volume.volume["name"]: volume.mount for volume in volumes})


def _main(
    choice: Choice, files: Files, volumes: list[Volume], owned_env: Mapping[str, str], base_env: Iterable[Mapping[str, Any]]
) -> dict[str, Any]:
    selection, person = choice.selection, choice.person
    main: dict[str, Any] = {"name": MAIN, "image": selection.reference, "imagePullPolicy": _pull_policy(selection.reference)}
    values = session_env(choice.session, choice.names)
    mounts = [{"mountPath": volume.path, **volume.mount} for volume in volumes if volume.path]
    home = choice.facility.storage.home
    if home is not None and any(mount["name"] == "home" for mount in mounts):
        main["workingDir"] = fill(home.path or home.mount, choice.names)
        values.setdefault("HOME", main["workingDir"])
        mounts += _fresh_home(home, mounts[0], choice.names)
    owned = {**told(choice.facility, selection, choice.session, person, choice.names), **owned_env}
    main["env"] = env_list(values, owned, base_env)
    main["resources"] = container_resources(selection.pool, selection.resources)
    main["volumeMounts"] = mounts + _file_mounts(files, volumes[-1].mount)
    context = main_context(person)
    return main | ({"securityContext": context} if context else {})


def _file_mounts(files: Files, mount: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"mountPath": path, **mount, "subPath": key, "readOnly": True} for key, (path, _) in files.texts.items()]


def _fresh_home(home: Mount, mount: Mapping[str, Any], names: Names) -> list[dict[str, Any]]:
    """A home below the mount of a claim that was just made: mounted too, so that the kubelet makes it, for the right group."""
    root, path = home.mount.rstrip("/"), (home.path or home.mount).rstrip("/")
    if not is_made(home) or not path.startswith(f"{root}/"):
        return []
    rest = fill(path.removeprefix(f"{root}/"), names)
    below = mount.get("subPath", "").rstrip("/")
    return [{**mount, "mountPath": fill(path, names), "subPath": f"{below}/{rest}" if below else rest}]


def _pull_policy(reference: str) -> str:
    """Images without a tag, or with ``latest``, are pulled always: what is on the node may be another."""
    name = reference.rpartition("/")[2]
    return "Always" if "@" not in name and name.partition(":")[2] in ("", "latest") else "IfNotPresent"


def _volumes(choice: Choice, files: Files) -> list[Volume]:
    """All volumes in the order of the file; that of the files, where there are any, is the last."""
    facility, person, names = choice.facility, choice.person, choice.names
    about = marks(facility, person)
    made = [
        volume_of(facility, mount, names, person, about)
        for mount in mounts_of(facility, choice.session.storage, person, workers=choice.worker)
    ]
    made += cvmfs_volumes(facility, choice.session.cvmfs)
    if choice.selection.resources.shm:
        shm = {"medium": "Memory", "sizeLimit": format_memory(choice.selection.resources.shm)}
        made.append(Volume({"name": "shm", "emptyDir": shm}, {"name": "shm"}, _SHM))
    taken = _taken(choice)
    made.append(_token(_free("afkit-token", taken)))
    if files.texts:
        name = _free("afkit-files", taken)
        made.append(Volume({"name": name, "secret": {"secretName": files.secret, "defaultMode": 0o444}}, {"name": name}, ""))
    return made


def _taken(choice: Choice) -> set[str]:
    volumes = (choice.session.pod.get("spec") or {}).get("volumes") or ()
    return {*choice.facility.storage.shared, *(str(one.get("name")) for one in volumes)}


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name = f"{name}-x"
    return name


def _token(name: str) -> Volume:
    """The one token of a Pod: for the facility's services, and refused by the API server."""
    token = {"serviceAccountToken": {"audience": AUDIENCE, "expirationSeconds": _TOKEN_LIFE, "path": "token"}}
    return Volume({"name": name, "projected": {"sources": [token]}}, {"name": name, "readOnly": True}, TOKEN_FOLDER)


def finish(choice: Choice, pod: Mapping[str, Any], hows: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """``pod`` with the layers' own ``pod`` over it; nothing of the facility's is lost.

    Init and side containers belong to servers only. Every container mounts ``storage`` as the entry says (``hows``), unless it
    says otherwise itself, and keeps to ``restricted`` likewise.
    """
    said = _of_worker(choice.session.pod) if choice.worker else choice.session.pod
    whole = merge_pods(pod, fill_all(said, choice.names)) if said else dict(pod)
    spec = whole["spec"]
    spec["automountServiceAccountToken"] = False
    absent = storage_names(choice.facility).difference(volume["name"] for volume in spec["volumes"])
    for key in ("initContainers", "containers"):
        if key in spec:
            spec[key] = [_container(one, hows, absent) for one in spec[key]]
    return whole


def _of_worker(pod: Mapping[str, Any]) -> dict[str, Any]:
    spec = {key: value for key, value in (pod.get("spec") or {}).items() if key != "initContainers"}
    if "containers" in spec:
        main = [one for one in spec["containers"] if one.get("name") == MAIN]
        spec["containers"] = [{key: value for key, value in one.items() if key != "lifecycle"} for one in main]
    return {**pod, "spec": spec}


def _container(container: Mapping[str, Any], hows: Mapping[str, Mapping[str, Any]], absent: frozenset[str]) -> dict[str, Any]:
    made = {**container, "securityContext": with_defaults(container.get("securityContext") or {})}
    if "volumeMounts" in container:
        mounts = (mount for mount in container["volumeMounts"] if mount["name"] not in absent)
        made["volumeMounts"] = [
            mount | {key: hows[mount["name"]][key] for key in hows.get(mount["name"], ()) if key not in mount} for mount in mounts
        ]
    return made
