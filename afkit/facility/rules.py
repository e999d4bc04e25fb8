"""Rules on which keys stand together, judged on the plain data: they hold whether the values are right or not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from afkit.facility.edge.root import REQUIRED
from afkit.facility.model import RulePath
from afkit.facility.report import Report
from afkit.facility.tree import Document, is_lost

RESERVED_OPTIONS: Final = ("profile", "pool", "image", "size", "server", "next")
"""Names that no option can have: they are keys of ``user_options`` or parameters of a link."""
RESERVED_MOUNTS: Final = ("home", "scratch", "cvmfs", "shm")
"""Names that no shared mount can have: afkit's own volumes have them."""

Data = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rules:
    """The data of a file, its document, and the report."""

    data: Data
    document: Document
    report: Report

    def add(self, code: str, path: RulePath, message: str, hint: str, *, at_key: bool = False) -> None:
        """Add a problem at the value (or the key) at ``path``."""
        place = self.document.key_place(path) if at_key else self.document.place(path)
        self.report.add(code, place, message, hint)

    def missing(self, path: RulePath, key: str, why: str) -> None:
        """Add AF202 for a key that is missing in the mapping at ``path``."""
        if is_lost(self.document.node((*path, key))):
            return
        self.add("AF202", path, f"The key {key!r} is missing here.", why)

    def misplaced(self, path: RulePath, why: str) -> None:
        """Add AF214 for the key at ``path``."""
        self.add("AF214", path, f"The key {path[-1]!r} does not belong here.", why, at_key=True)


def mapping(data: Any, *path: str) -> Data:
    """The mapping at ``path``, empty where there is none."""
    for part in path:
        data = data.get(part) if isinstance(data, dict) else None
    return data if isinstance(data, dict) else {}


def entries(data: Any, *path: str) -> Iterator[tuple[RulePath, Data]]:
    """The mappings in the mapping at ``path``, each with its own path."""
    for key, value in mapping(data, *path).items():
        if isinstance(value, dict):
            yield (*path, key), value


def check_keys(data: Data, document: Document, report: Report) -> None:
    """Apply every rule of this module."""
    rules = Rules(data, document, report)
    _sections(rules)
    _reserved(rules)
    for path, image in entries(data, "images"):
        _exactly_one(rules, path, image, ("image", "match"))
    for path, size in entries(data, "sizes"):
        _size(rules, path, size)
    for path, pool in entries(data, "pools"):
        _pool(rules, path, pool)
    _identity(rules)
    _cvmfs(rules)
    _storage(rules)
    _kubernetes(rules)


def _sections(rules: Rules) -> None:
    for key in REQUIRED[1:]:
        if key not in rules.data:
            rules.missing((), key, f"Every file has `version`, {', '.join(f'`{one}`' for one in REQUIRED[1:])}.")
        elif rules.data[key] == {} and key != "facility":
            rules.add("AF202", (key,), f"{key!r} has no entry.", "Write at least one.")


def _reserved(rules: Rules) -> None:
    data = rules.data
    if "notice" in mapping(data, "facility"):
        rules.add("AF215", ("facility", "notice"), "The key 'notice' is reserved.", "Leave it out.", at_key=True)
    if "everyone" in mapping(data, "groups"):
        hint = "Everybody is in it; choose another name."
        rules.add("AF215", ("groups", "everyone"), "The group 'everyone' is built in and cannot be defined.", hint, at_key=True)
    path: RulePath
    for path, what, names in ((("options",), "option", RESERVED_OPTIONS), (("storage", "shared"), "shared mount", RESERVED_MOUNTS)):
        for name in names:
            if name in mapping(data, *path):
                rules.add("AF215", (*path, name), f"No {what} can be called {name!r}.", "Choose another name.", at_key=True)
    for path, limit in entries(data, "limits"):
        if "per" in limit:
            rules.add("AF215", (*path, "per"), "The key 'per' is reserved for quotas over time.", "Leave it out.", at_key=True)
    for path, pool in entries(data, "pools"):
        _reserved_of_pool(rules, path, pool)


def _reserved_of_pool(rules: Rules, path: RulePath, pool: Data) -> None:
    if "queue" in pool:
        rules.add("AF215", (*path, "queue"), "The key 'queue' is reserved.", "Leave it out.", at_key=True)
    if isinstance(pool.get("provider"), str) and pool["provider"] != "kubernetes":
        rules.add("AF215", (*path, "provider"), "Providers other than `kubernetes` are reserved.", "Write kubernetes, or leave it out.")


def _exactly_one(rules: Rules, path: RulePath, value: Data, keys: tuple[str, ...]) -> None:
    found = [key for key in value if key in keys]
    if len(found) != 1:
        words = " and ".join(f"`{key}`" for key in keys) if len(keys) == 2 else ", ".join(f"`{key}`" for key in keys)
        what = "none of them stands here" if not found else "more than one stands here"
        rules.add("AF213", (*path, found[1]) if found else path, f"Of {words} exactly one is needed; {what}.", "Write one.", at_key=True)


def _size(rules: Rules, path: RulePath, size: Data) -> None:
    amounts = [key for key in ("cpu", "memory") if key in size]
    if "share" in size and amounts:
        rules.add("AF213", (*path, amounts[0]), "A size has `cpu` and `memory`, or a `share`.", "Remove one of them.", at_key=True)
    elif "share" not in size and not amounts:
        rules.add("AF213", path, "A size has `cpu` and `memory`, or a `share`; here stands neither.", "Write {cpu: 1, memory: 2Gi}.")
    elif "share" not in size and len(amounts) == 1:
        rules.missing(path, "memory" if amounts == ["cpu"] else "cpu", "A size has `cpu` and `memory`, or a `share`.")


def _pool(rules: Rules, path: RulePath, pool: Data) -> None:
    for index, toleration in enumerate(pool["tolerations"] if isinstance(pool.get("tolerations"), list) else ()):
        if isinstance(toleration, dict):
            _toleration(rules, (*path, "tolerations", index), toleration)
    accelerator = pool.get("accelerator")
    if not isinstance(accelerator, dict):
        return
    here = (*path, "accelerator")
    _exactly_one(rules, here, accelerator, ("resource", "device_class"))
    if "selectors" in accelerator and "device_class" not in accelerator:
        rules.misplaced((*here, "selectors"), "It belongs to `device_class`.")
    for key, vendor in (("cuda", "nvidia"), ("rocm", "amd")):
        if key in accelerator and accelerator.get("vendor") in tuple({"nvidia", "amd", "intel"} - {vendor}):
            rules.misplaced((*here, key), f"It belongs to accelerators of the vendor {vendor}.")


def _toleration(rules: Rules, path: RulePath, toleration: Data) -> None:
    if toleration.get("operator") == "Exists" and "value" in toleration:
        rules.misplaced((*path, "value"), "With the operator Exists there is no value.")
    if toleration.get("operator") != "Exists" and "key" not in toleration:
        rules.missing(path, "key", "Only with `operator: Exists` may it be left out.")
    if "tolerationSeconds" in toleration and toleration.get("effect") != "NoExecute":
        rules.misplaced((*path, "tolerationSeconds"), "It belongs to the effect NoExecute.")


def _identity(rules: Rules) -> None:
    issuers = mapping(rules.data, "identity", "issuers")
    if issuers and "allow" not in mapping(rules.data, "identity"):
        rules.missing(("identity",), "allow", "With issuers, write the groups whose members may log in: [physicists], or everyone.")
    for path, issuer in entries(rules.data, "identity", "issuers"):
        if issuer.get("dialect") != "hub":
            for key in ("url", "client"):
                if key not in issuer:
                    rules.missing(path, key, "Every issuer but one of dialect `hub` has it.")
            continue
        for key in ("url", "client"):
            if key in issuer:
                rules.misplaced((*path, key), "Dialect `hub` is JupyterHub's own authenticator, which is configured there.")
        if len(issuers) > 1:
            hint = "Remove the other issuers, or describe this one by `url` and `client`."
            rules.add("AF517", (*path, "dialect"), "The dialect `hub` stands alone: no other issuer can stand beside it.", hint)


def _cvmfs(rules: Rules) -> None:
    cvmfs = mapping(rules.data, "cvmfs")
    driver = cvmfs.get("driver")
    if "storage_class" in cvmfs and driver in ("host", "directory", "none"):
        rules.misplaced(("cvmfs", "storage_class"), "It belongs to the driver `csi`.")
    if "path" in cvmfs and driver in ("csi", "none"):
        rules.misplaced(("cvmfs", "path"), "It belongs to the drivers `host` and `directory`.")
    if driver == "host" and isinstance(cvmfs.get("path"), str) and not cvmfs["path"].startswith("/"):
        rules.add("AF212", ("cvmfs", "path"), "The path of the nodes' /cvmfs is not absolute.", "Begin with /.")
    for path, repository in entries(rules.data, "cvmfs", "repositories"):
        if isinstance(repository.get("pin"), dict):
            _exactly_one(rules, (*path, "pin"), repository["pin"], ("tag", "root_hash", "date"))


def _storage(rules: Rules) -> None:
    for name in ("home", "scratch"):
        mount = mapping(rules.data, "storage").get(name)
        if isinstance(mount, dict):
            _mount(rules, ("storage", name), mount)
    for path, mount in entries(rules.data, "storage", "shared"):
        _mount(rules, path, mount)


def _mount(rules: Rules, path: RulePath, mount: Data) -> None:
    sources = [key for key in ("size", "claim", "volume") if key in mount]
    if not sources:
        rules.add("AF213", path, "Of `size`, `claim` and `volume` one is needed; none of them stands here.", "Write one.", at_key=True)
    elif "claim" in mount and "volume" in mount:
        rules.add("AF213", (*path, "volume"), "A mount has one source: `claim` or `volume`, not both.", "Remove one.", at_key=True)
    if "volume" in mount:
        _only_claims(rules, path, mount, ("storage_class", "access"), "this is a volume")
    elif sources == ["size"] and path != ("storage", "home") and "storage_class" not in mount:
        _only_claims(rules, path, mount, ("access",), "this is node disk (a `storage_class` makes it a claim)")


def _only_claims(rules: Rules, path: RulePath, mount: Data, keys: tuple[str, ...], what: str) -> None:
    for key in keys:
        if key in mount:
            rules.misplaced((*path, key), f"It belongs to claims, and {what}.")


def _kubernetes(rules: Rules) -> None:
    """Judge what Kubernetes needs beside; a file with the section is meant for it."""
    if "kubernetes" not in rules.data:
        return
    needed: tuple[tuple[str, ...], ...] = (("facility", "url"), ("identity",), ("storage", "home"), ("kubernetes", "namespace"))
    for path in needed:
        if path[-1] not in mapping(rules.data, *path[:-1]):
            message = f"A facility on Kubernetes needs `{'.'.join(path)}`."
            rules.add("AF220", ("kubernetes",), message, "Add it, or remove the section `kubernetes`.", at_key=True)
