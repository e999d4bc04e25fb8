"""What the keys ``pod`` and ``kubespawner`` may say: Kubernetes' own schema, and nothing that another key of the file says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from afkit.facility.edge.layer import is_reserved
from afkit.facility.edge.types import PLACEHOLDER_HINT, unknown_placeholder
from afkit.facility.kube_schema import KubeChecker
from afkit.facility.model import RulePath
from afkit.facility.network import check_network
from afkit.facility.references import layer_data
from afkit.facility.report import Report
from afkit.facility.rules import RESERVED_MOUNTS, Data, entries, mapping
from afkit.facility.tree import Document
from afkit.names import TOKEN_FOLDER

MAIN: Final = "notebook"
"""Name of the main container, also where it means a scheduler's or worker's."""

_IDS: Final = ("runAsUser", "runAsGroup", "fsGroup", "supplementalGroups")
_POD_OWNERS: Final = {
    "nodeSelector": "`node_selector` of pools",
    "tolerations": "`taints` and `tolerations` of pools",
    "runtimeClassName": "`runtime_class` of pools",
    "serviceAccountName": "`kubernetes.service_account`",
    "serviceAccount": "`kubernetes.service_account`",
    "imagePullSecrets": "`kubernetes.pull_secrets`",
    "resources": "`sizes`",
}
_MAIN_OWNERS: Final = {"image": "`images`", "resources": "`sizes`", "ports": "afkit itself"}
_TRAIT_OWNERS: Final = {
    "`images`": "image",
    "`kubernetes.pull_secrets`": "image_pull_secrets",
    "`sizes`": "cpu_guarantee cpu_limit mem_guarantee mem_limit extra_resource_guarantees extra_resource_limits",
    "`node_selector` of pools": "node_selector",
    "`taints` and `tolerations` of pools": "tolerations",
    "`storage`": "volumes volume_mounts storage_pvc_ensure storage_capacity storage_class storage_access_modes storage_selector"
    " storage_extra_labels storage_extra_annotations pvc_name_template remember_pvc_name delete_pvc notebook_dir",
    "`identity.run_as`": "uid gid fs_gid supplemental_gids",
    "`env`": "environment env_keep",
    "`default_url`": "default_url",
    "`kubernetes.service_account`": "service_account automount_service_account_token",
    "`kubernetes.user_namespaces`": "namespace enable_user_namespaces user_namespace_template user_namespace_labels"
    " user_namespace_annotations",
    "`kubernetes.start_timeout`": "start_timeout",
    "`kubernetes.api_timeout`": "k8s_api_request_timeout k8s_api_request_retry_timeout",
    "`profiles` and `options`": "profile_list options_form options_from_form apply_user_options group_overrides profile_form_template"
    " additional_profile_form_template_paths",
    "`pod`": "extra_pod_config extra_container_config extra_containers init_containers extra_labels extra_annotations lifecycle_hooks"
    " common_labels"
    " priority_class_name scheduler_name working_dir image_pull_policy privileged allow_privilege_escalation container_security_context"
    " pod_security_context node_affinity_preferred node_affinity_required pod_affinity_preferred pod_affinity_required"
    " pod_anti_affinity_preferred pod_anti_affinity_required",
}
OWNED_TRAITS: Final = {trait: owner for owner, traits in _TRAIT_OWNERS.items() for trait in traits.split()}
"""Traits of KubeSpawner that another key of the file gives, with that key."""
_OF_THE_HUB: Final = (
    "after_pod_created_hook auth_state_hook component_label consecutive_failure_limit delete_stopped_pods dns_name_template"
    " events_enabled get_pod_url handle_legacy_names hub_connect_ip hub_connect_port hub_connect_url k8s_api_host k8s_api_ssl_ca_cert"
    " k8s_api_threadpool_workers k8s_api_verify_ssl modify_pod_hook oauth_client_allowed_scopes oauth_roles pod_connect_ip"
    " pod_name_template post_stop_hook pre_spawn_hook progress_ready_hook secret_mount_path secret_name_template server_token_scopes"
    " services_enabled slow_spawn_message slow_spawn_message_frequency slow_spawn_message_threshold slug_scheme ssl_alt_names"
    " ssl_alt_names_include_local"
)
HUB_TRAITS: Final = frozenset(_OF_THE_HUB.split())
"""Traits of KubeSpawner that a hub uses before any choice is known, that are code, or that say whom a server may act for."""


@dataclass(slots=True)
class PodRules:
    """The file's data, and what all its layers together give to a Pod."""

    data: Data
    document: Document
    report: Report
    env: set[str] = field(default_factory=set)
    mounts: set[str] = field(default_factory=set)
    volumes: set[str] = field(default_factory=set)

    def owned(self, path: RulePath, owner: str) -> None:
        """Add AF404 for the key at ``path``."""
        message = f"The key {path[-1]!r} does not belong into a Pod of this file."
        self.report.add("AF404", self.document.key_place(path), message, f"It belongs to {owner}.")


def check_pods(data: Data, document: Document, report: Report) -> None:
    """Check ``pod`` and ``kubespawner`` of every layer, and the volumes of ``storage``."""
    rules = PodRules(data, document, report)
    layers = [(path, layer) for path, layer in layer_data(data) if "pod" in layer or "kubespawner" in layer]
    storage = mapping(data, "storage")
    _check_volumes(rules, storage)
    check_network(rules.data, rules.document, rules.report)
    if not layers:
        return
    _collect(rules, storage, layers)
    for path, layer in layers:
        for trait in mapping(layer, "kubespawner"):
            place = document.key_place((*path, "kubespawner", trait))
            if trait in OWNED_TRAITS:
                report.add("AF409", place, f"The trait {trait!r} belongs to another key of the file.", f"Write {OWNED_TRAITS[trait]}.")
            elif trait in HUB_TRAITS:
                hint = f"Set c.KubeSpawner.{trait} in the hub's own configuration."
                report.add("AF412", place, f"The trait {trait!r} is the same for all servers of a hub.", hint)
        if isinstance(layer.get("pod"), dict):
            _check_pod(rules, layer["pod"], (*path, "pod"))


def _collect(rules: PodRules, storage: Data, layers: list[tuple[RulePath, Data]]) -> None:
    own = [mapping(storage, name) for name in ("home", "scratch")] + [mount for _, mount in entries(storage, "shared")]
    rules.mounts = {mount["mount"].rstrip("/") for mount in own if isinstance(mount.get("mount"), str)}
    rules.mounts |= {"/cvmfs", "/dev/shm", TOKEN_FOLDER}  # noqa: S108 - paths in the container
    for _, layer in layer_data(rules.data):
        rules.env.update(mapping(layer, "env"))
        rules.mounts.update(mapping(layer, "files"))
    rules.volumes = {*RESERVED_MOUNTS, *mapping(storage, "shared")}
    for _, layer in layers:
        rules.volumes.update(str(volume.get("name")) for _, volume in _dicts(mapping(layer, "pod", "spec").get("volumes"), ()))


def _dicts(values: Any, path: RulePath) -> Iterator[tuple[RulePath, Data]]:
    for index, value in enumerate(values if isinstance(values, list) else ()):
        if isinstance(value, dict):
            yield (*path, index), value


def _check_pod(rules: PodRules, pod: Data, path: RulePath) -> None:
    for key in pod:
        if key not in ("metadata", "spec"):
            close = rules.report.near(key, ("metadata", "spec"))
            hint = f"Did you mean {close!r}?" if close else "A `pod` has `metadata` and `spec`."
            rules.report.add("AF402", rules.document.key_place((*path, key)), f"A `pod` has no key {key[:60]!r} here.", hint)
    _check_metadata(rules, pod.get("metadata"), (*path, "metadata"))
    spec = pod.get("spec")
    if spec is None:
        return
    here = (*path, "spec")
    KubeChecker(rules.document, rules.report).check(spec, "PodSpec", here, whole=False)
    if isinstance(spec, dict):
        _check_spec(rules, spec, here)


def _check_metadata(rules: PodRules, metadata: Any, path: RulePath) -> None:
    if metadata is None:
        return
    checker = KubeChecker(rules.document, rules.report)
    checker.check(metadata, "ObjectMeta", path, whole=False)
    for key in mapping({"metadata": metadata}, "metadata"):
        if key in ("labels", "annotations"):
            for name in mapping(metadata, key):
                if name.startswith(("afkit.io/", "hub.jupyter.org/")) or name == "app.kubernetes.io/managed-by":
                    place = rules.document.key_place((*path, key, name))
                    rules.report.add("AF215", place, f"The key {name[:80]!r} is written by afkit.", "Choose a key of your own domain.")
        else:
            rules.owned((*path, key), "afkit itself; of `metadata` there are `labels` and `annotations`")


def _check_spec(rules: PodRules, spec: Data, path: RulePath) -> None:
    for key, owner in _POD_OWNERS.items():
        if key in spec:
            rules.owned((*path, key), owner)
    for key in _IDS:
        if key in mapping(spec, "securityContext"):
            rules.owned((*path, "securityContext", key), "`identity.run_as`")
    taken = {*RESERVED_MOUNTS, *mapping(rules.data, "storage", "shared")}
    for here, volume in _dicts(spec.get("volumes"), (*path, "volumes")):
        if str(volume.get("name")) in taken:
            message = f"The volume {volume['name']!r} is made by `storage`."
            hint = "Choose another name; every container may mount that one."
            rules.report.add("AF406", rules.document.place((*here, "name")), message, hint)
    for key in ("initContainers", "containers"):
        for here, container in _dicts(spec.get(key), (*path, key)):
            _check_container(rules, container, here, main=key == "containers" and container.get("name") == MAIN)


def _check_container(rules: PodRules, container: Data, path: RulePath, *, main: bool) -> None:
    for here, mount in _dicts(container.get("volumeMounts"), (*path, "volumeMounts")):
        name = mount.get("name")
        if isinstance(name, str) and name not in rules.volumes:
            close = rules.report.near(name, rules.volumes)
            hint = f"Did you mean {close!r}?" if close else "Add it to `volumes`, or to `storage.shared`."
            rules.report.add("AF306", rules.document.place((*here, "name")), f"There is no volume {name[:60]!r}.", hint)
        if main and str(mount.get("mountPath")).rstrip("/") in rules.mounts:
            hint = "Choose another path, or change `storage` or `files`."
            place = rules.document.place((*here, "mountPath"))
            rules.report.add("AF405", place, "The main container has something at this path already.", hint)
    if main:
        _check_main(rules, container, path)


def _check_main(rules: PodRules, container: Data, path: RulePath) -> None:
    for key, owner in _MAIN_OWNERS.items():
        if key in container:
            rules.owned((*path, key), owner)
    for key in _IDS:
        if key in mapping(container, "securityContext"):
            rules.owned((*path, "securityContext", key), "`identity.run_as`")
    for here, variable in _dicts(container.get("env"), (*path, "env")):
        name = variable.get("name")
        if isinstance(name, str) and is_reserved(name):
            rules.report.add("AF401", rules.document.place((*here, "name")), f"The facility sets {name[:60]} itself.", "Leave it out.")
        elif isinstance(name, str) and name in rules.env:
            message = f"The variable {name[:60]} stands in `env` already."
            rules.report.add("AF405", rules.document.place((*here, "name")), message, "Write it in one of the two places.")


def _check_volumes(rules: PodRules, storage: Data) -> None:
    mounts: list[tuple[RulePath, Data]] = [(("storage", name), mapping(storage, name)) for name in ("home", "scratch")]
    mounts += [(("storage", *path), mount) for path, mount in entries(storage, "shared")]
    for path, mount in mounts:
        volume = mount.get("volume")
        if isinstance(volume, dict):
            here = (*path, "volume")
            if len(volume) != 1:
                hint = "Write one, for example {nfs: {server: HOST, path: PATH}}."
                rules.report.add("AF213", rules.document.place(here), "A volume has exactly one source.", hint)
            for kind, source in volume.items():
                _check_volume(rules, kind, source, here)
            _check_words(rules, volume, here)


def _check_volume(rules: PodRules, kind: str, source: Any, path: RulePath) -> None:
    checker = KubeChecker(rules.document, rules.report)
    if kind == "name":
        rules.owned((*path, kind), "afkit itself: the volume has the entry's name")
    elif kind == "persistentVolumeClaim":
        rules.owned((*path, kind), "`claim`")
    elif kind == "csi" and isinstance(source, dict) and "volumeHandle" in source:
        checker.check(source, "CSIPersistentVolumeSource", (*path, kind), whole=True)
    else:
        checker.check({kind: source}, "VolumeSource", path, whole=True)


def _check_words(rules: PodRules, value: Any, path: RulePath) -> None:
    """Refuse placeholders that do not exist in the texts of a volume."""
    if isinstance(value, dict):
        for key, one in value.items():
            _check_words(rules, one, (*path, key))
    elif isinstance(value, list):
        for index, one in enumerate(value):
            _check_words(rules, one, (*path, index))
    elif isinstance(value, str):
        wrong = unknown_placeholder(value)
        if wrong is not None:
            rules.report.add("AF210", rules.document.place(path), f"There is no placeholder {wrong}.", PLACEHOLDER_HINT)
