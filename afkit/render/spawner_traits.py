"""A server's Pod as overrides of KubeSpawner's traits, with KubeSpawner's own placeholders. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from afkit.errors import CallError
from afkit.facility.model import Facility, RunAs
from afkit.facility.pod_rules import MAIN
from afkit.pods.blanks import blank
from afkit.pods.environment import limits_env
from afkit.pods.overlay import Choice
from afkit.pods.person import Person
from afkit.pods.placeholders import fill, fill_all
from afkit.pods.storage import is_made, mounts_of
from afkit.quantities import format_memory

__all__ = ["FILES", "Traits", "fixed_ids"]

Object = dict[str, Any]

FILES: Final = "afkit-files"
_BLANK: Final = re.compile(r"\0([a-z_]+)\0")
_KNOWN: Final = frozenset(("username", "escaped_username", "unescaped_username", "servername", "pvc_name"))
_OURS: Final = re.compile(r"AFKIT_|JUPYTER_IMAGE|JUPYTERHUB_DEFAULT_URL")
_VOLUMES: Final = ("afkit-token", "afkit-files")
"""What is mounted for afkit's own services, and what a Secret of afkit's own would hold."""
_SPEC: Final = frozenset(
    ("containers", "initContainers", "nodeSelector", "tolerations", "volumes", "securityContext", "serviceAccountName",
     "automountServiceAccountToken", "imagePullSecrets")
)  # fmt: skip
_MAIN_KEYS: Final = frozenset(
    ("name", "image", "imagePullPolicy", "env", "resources", "volumeMounts", "workingDir", "securityContext", "lifecycle", "ports")
)
"""What has a trait of its own; the rest goes by ``extra_pod_config`` and ``extra_container_config``."""


def fixed_ids(facility: Facility) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Ids of `run_as` that are numbers, as fields of a person; what of it comes with a login is said."""
    rules = facility.identity.run_as if facility.identity else RunAs()
    given = {"uid": rules.uid, "gid": rules.gid, "fs_gid": rules.fs_group, "groups": rules.groups}
    ids: dict[str, Any] = {name: value for name, value in given.items() if isinstance(value, int | tuple)}
    if rules.fs_group == "none":
        ids["fs_gid"] = given["fs_gid"] = None
    claimed = [name for name, value in given.items() if isinstance(value, str)]
    notes = (f"identity.run_as: a list takes no claims; {name} of servers is the default." for name in claimed)
    return {**ids, "root": bool(rules.root)}, tuple(notes)


class Traits:
    """The overrides of one choice. ``notes``: what could not be carried over, once `all` was called."""

    def __init__(self, choice: Choice, pod: Mapping[str, Any]) -> None:
        self._choice = choice
        self._spec = pod["spec"]
        self._main = next(one for one in self._spec["containers"] if one["name"] == MAIN)
        self.notes: list[str] = []

    def all(self) -> Object:
        """Every trait, empty ones left out."""
        session = self._choice.session
        home = self._home()
        made = {**self._of_main(), **self._of_pod(own_home=bool(home)), **home, **self._metadata()}
        made |= {name: self._fixed(name, value) for name, value in fill_all(session.kubespawner, self._choice.names).items()}
        self._note_the_rest()
        return {name: value for name, value in made.items() if value not in ({}, [], "")}

    def _note_the_rest(self) -> None:
        session, cvmfs = self._choice.session, self._choice.facility.cvmfs
        if session.files:
            self.notes.append("files: nobody makes their Secret; bring them by the chart's singleuser.extraFiles.")
        if session.lifetime.idle is not None or session.lifetime.max is not None:
            self.notes.append("lifetime: use jupyterhub-idle-culler.")
        if session.cvmfs and cvmfs is not None and cvmfs.driver == "csi":
            self.notes.append("cvmfs: make the claims that the volumes name; dead repositories are not looked for.")

    def _of_main(self) -> Object:
        main, needs = self._main, self._choice.selection.resources
        ours = limits_env(needs).keys()
        env = [one for one in main["env"] if not _OURS.match(one["name"]) and one["name"] not in ours]
        variables = {one["name"]: one.get("value", one) for one in env}
        mounts = [mount for mount in main["volumeMounts"] if mount["name"] not in _VOLUMES]
        rest = {key: value for key, value in main.items() if key not in _MAIN_KEYS}
        return {
            "image": main["image"],
            "image_pull_policy": main["imagePullPolicy"],
            "cpu_guarantee": needs.cpu / 1000,
            "cpu_limit": None if needs.cpu_limit is None else needs.cpu_limit / 1000,
            "mem_guarantee": needs.memory,
            "mem_limit": needs.memory_limit,
            "extra_resource_guarantees": _others(main["resources"].get("requests", {})),
            "extra_resource_limits": _others(main["resources"].get("limits", {})),
            "environment": self._filled(variables),
            "volume_mounts": self._filled(mounts),
            "working_dir": self._fixed("working_dir", main.get("workingDir", "")),
            "lifecycle_hooks": self._fixed("lifecycle_hooks", main.get("lifecycle", {})),
            # of the context, these two have traits with other defaults
            "uid": None,
            "allow_privilege_escalation": None,
            "container_security_context": main["securityContext"],
            "default_url": self._fixed("default_url", fill(self._choice.session.default_url, self._choice.names)),
            "extra_container_config": self._fixed("extra_container_config", rest),
        }

    def _of_pod(self, *, own_home: bool) -> Object:
        spec, account = self._spec, self._choice.kubernetes.service_account
        return {
            "node_selector": spec["nodeSelector"],
            "tolerations": spec.get("tolerations", []),
            "service_account": account or "",
            "automount_service_account_token": False,
            "image_pull_secrets": [one["name"] for one in spec.get("imagePullSecrets", ())],
            "fs_gid": None,
            "supplemental_gids": [],
            "pod_security_context": spec["securityContext"],
            "volumes": self._filled(_volumes(spec["volumes"], own_home=own_home)),
            "init_containers": self._filled(spec.get("initContainers", [])),
            "extra_containers": self._filled([one for one in spec["containers"] if one["name"] != MAIN]),
            "extra_pod_config": self._filled({key: value for key, value in spec.items() if key not in _SPEC}),
        }

    def _metadata(self) -> Object:
        """What the file's ``pod`` says; afkit's own marks would claim the Pod for it."""
        said = self._choice.session.pod.get("metadata") or {}
        labels, annotations = (fill_all(said.get(key) or {}, self._choice.names) for key in ("labels", "annotations"))
        return {"extra_labels": self._filled(labels), "extra_annotations": self._filled(annotations)}

    def _home(self) -> Object:
        """The home's claim, which KubeSpawner makes where it is missing."""
        made_ones = {mount.name: mount for mount in mounts_of(*self._mounted()) if is_made(mount)}
        home = made_ones.pop("home", None)
        self.notes += [f"storage.{name}: make each person's claim; KubeSpawner makes the home's only." for name in made_ones]
        if home is None:
            return {}
        if home.claim is not None:
            template = self._filled(fill(home.claim, self._choice.names))
            self.notes.append(f"storage.home: KubeSpawner names claims once for all: c.KubeSpawner.pvc_name_template = {template!r}.")
        made: Object = {
            "storage_pvc_ensure": True,
            "storage_capacity": format_memory(home.size or 1),
            "storage_access_modes": [home.access],
        }
        return made | ({} if home.storage_class is None else {"storage_class": home.storage_class})

    def _mounted(self) -> tuple[Facility, tuple[str, ...], Person]:
        return self._choice.facility, self._choice.session.storage, self._choice.person

    def _filled(self, value: Any) -> Any:
        """A value in which KubeSpawner fills placeholders in: its own, and every other brace doubled."""
        if isinstance(value, str):
            return _template(value)
        if isinstance(value, Mapping):
            return {key: self._filled(one) for key, one in value.items()}
        return [self._filled(one) for one in value] if isinstance(value, list | tuple) else value

    def _fixed(self, trait: str, value: Any) -> Any:
        """A value in which KubeSpawner fills in nothing. Raises `CallError` where something would have to be."""
        if isinstance(value, str) and "\0" in value:
            raise CallError(
                f"KubeSpawner fills in no placeholder in {trait}, and {_shown(value)!r} has one.", "Such a facility needs afkit's hub."
            )
        for one in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
            self._fixed(trait, one)
        return value


def _volumes(volumes: Iterable[Mapping[str, Any]], *, own_home: bool) -> list[Object]:
    """The volumes without afkit's own and its marks; ``own_home``: KubeSpawner names the home's claim."""
    made: list[Object] = []
    for volume in volumes:
        if volume["name"] == "home" and own_home:
            made.append({**volume, "persistentVolumeClaim": {"claimName": blank("pvc_name")}})
        elif "ephemeral" in volume:
            made.append({**volume, "ephemeral": {"volumeClaimTemplate": {"spec": volume["ephemeral"]["volumeClaimTemplate"]["spec"]}}})
        elif volume["name"] not in _VOLUMES:
            made.append(dict(volume))
    return made


def _others(amounts: Mapping[str, str]) -> dict[str, str]:
    return {name: amount for name, amount in amounts.items() if name not in ("cpu", "memory")}


def _template(text: str) -> str:
    parts = _BLANK.split(text)
    for word in parts[1::2]:
        if word not in _KNOWN:
            raise CallError(
                f"KubeSpawner has no placeholder {{{word}}}, and {_shown(text)!r} has it.", "Such a facility needs afkit's hub."
            )
    return "".join(f"{{{part}}}" if number % 2 else part.replace("{", "{{").replace("}", "}}") for number, part in enumerate(parts))


def _shown(text: str) -> str:
    return _BLANK.sub(lambda match: f"{{{match[1]}}}", text)[:100]
