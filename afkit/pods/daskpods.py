"""The Pods of a Dask cluster: scheduler and workers with all that the session's layers give them, and the commands in them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

from afkit.errors import IncompatibleError
from afkit.facility.model import Facility
from afkit.names import DEVICES_ANNOTATION
from afkit.pods.environment import literal
from afkit.pods.layers import Session, session_of
from afkit.pods.overlay import Choice, Files, files_of, finish, overlay
from afkit.pods.person import Person
from afkit.pods.placement import DEVICES, device_template
from afkit.pods.storage import mounts_of
from afkit.policy.cluster import ClusterPlan, WorkerGroup
from afkit.policy.model import Selection
from afkit.policy.text import quoted

__all__ = ["FOLDER", "Cluster", "scheduler_pod", "worker_template"]

Object = dict[str, Any]

FOLDER: Final = "/etc/afkit"
"""Where a cluster's Secret lies in its pods."""
_ONE_THREAD: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_GRACE: Final = 60
"""Seconds in which a worker that is told to stop hands over what it holds."""
_VOLUME: Final = "afkit-dask"


@dataclass(frozen=True)
class Cluster:
    """One cluster while its objects are made. ``about``: labels and annotations of all of them; ``name``: of the objects."""

    facility: Facility
    plan: ClusterPlan
    person: Person
    name: str
    about: Mapping[str, Mapping[str, str]]
    address: str
    programs: tuple[str, ...] = ()

    def choice(self, selection: Selection) -> Choice:
        """Everything that a pod of this selection is made from."""
        session = self._session(selection)
        return Choice(self.facility, selection, session, self.person, self.person.names(selection.server), worker=True)

    def _session(self, selection: Selection) -> Session:
        session = session_of(self.facility, selection)
        known = self.facility.cvmfs.repositories if self.facility.cvmfs else {}
        asked = {*session.cvmfs, *self.plan.cvmfs}
        return replace(session, cvmfs=tuple(name for name in known if name in asked)) if self.plan.cvmfs else session

    def files(self, selection: Selection, part: str) -> Files:
        """The files of a pod of this selection."""
        return files_of(self.choice(selection), f"{self.name}-{part}-files")

    @cached_property
    def scheduler_files(self) -> Files:
        """Those of the scheduler."""
        return self.files(self.plan.scheduler, "scheduler")

    @cached_property
    def worker_files(self) -> tuple[Files, ...]:
        """Those of each group's workers."""
        return tuple(self.files(group.selection, group.name) for group in self.plan.groups)

    def devices(self, group: WorkerGroup) -> Object | None:
        """The template of the claims of a group's devices, where its pool gives devices by claims."""
        metadata = {"name": f"{self.name}-{group.name}-devices", "namespace": self.person.namespace}
        about = {key: dict(value) for key, value in self.about.items()}
        return device_template(group.selection.pool, group.selection.resources, {**metadata, **about})


def scheduler_pod(cluster: Cluster) -> Object:
    """The scheduler. It is never begun anew: an empty one would look like the old one and know nothing."""
    args = [_python(cluster, cluster.plan.scheduler), "-m", "distributed.cli.dask_scheduler"]
    args += ["--host", "tls://0.0.0.0", "--port", "8786", "--dashboard-address", ":8787", "--no-show", *_tls("afkit_scheduler.py")]
    pod = _pod(cluster, cluster.plan.scheduler, cluster.scheduler_files, args, {})
    main = pod["spec"]["containers"][0]
    main["ports"] = [{"name": "tcp-comm", "containerPort": 8786}, {"name": "http-dashboard", "containerPort": 8787}]
    main.setdefault("readinessProbe", {"httpGet": {"port": "http-dashboard", "path": "/health"}, "periodSeconds": 1, "timeoutSeconds": 5})
    pod["metadata"]["name"] = f"{cluster.name}-scheduler"
    _label(cluster, pod, {"dask.org/component": "scheduler", "sidecar.istio.io/inject": "false"})
    pod["metadata"]["annotations"]["cluster-autoscaler.kubernetes.io/safe-to-evict"] = "false"
    return pod


def worker_template(cluster: Cluster, group: WorkerGroup) -> Object:
    """A worker of a group, without a name: a name is the only thing in which two of them differ."""
    selection = group.selection
    args = [_python(cluster, selection), "-m", "distributed.cli.dask_worker", cluster.address, "--name", "$(DASK_WORKER_NAME)"]
    args += ["--nthreads", str(group.threads), "--memory-limit", str(selection.resources.memory), "--no-nanny", "--no-dashboard"]
    args += ["--resources", " ".join(f"{name}={amount:g}" for name, amount in group.resources.items()), *_tls("afkit_worker.py")]
    files = cluster.files(selection, group.name)
    env = {"AFKIT_WORKER_GROUP": group.name, "MALLOC_TRIM_THRESHOLD_": "65536", **dict.fromkeys(_ONE_THREAD, "1")}
    pod = _pod(cluster, selection, files, args, {name: value for name, value in env.items() if name not in cluster.plan.ask.env})
    spec = pod["spec"]
    spec["terminationGracePeriodSeconds"] = _GRACE
    name = {"name": "DASK_WORKER_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    main = spec["containers"][0]
    main["env"] = [*main["env"], name]
    if cluster.devices(group) is not None:
        spec["resourceClaims"] = [{"name": DEVICES, "resourceClaimTemplateName": f"{cluster.name}-{group.name}-devices"}]
        pod["metadata"]["annotations"][DEVICES_ANNOTATION] = str(selection.resources.accelerators)
    labels = {"dask.org/component": "worker", "dask.org/workergroup-name": f"{cluster.name}-{group.name}"}
    _label(cluster, pod, {**labels, "sidecar.istio.io/inject": "false"})
    return pod


def _pod(cluster: Cluster, selection: Selection, files: Files, args: list[str], env: Mapping[str, str]) -> Object:
    choice = cluster.choice(selection)
    made = overlay(choice, files, {**cluster.plan.ask.env, **env, **_owned(cluster)})
    spec, about = made.pod["spec"], made.pod["metadata"]
    spec["restartPolicy"] = "Never"
    spec["containers"][0]["args"] = args
    about["namespace"] = cluster.person.namespace
    pod = {"apiVersion": "v1", "kind": "Pod", **finish(choice, made.pod, made.hows)}
    _mount(cluster, pod["spec"])
    return pod


def _mount(cluster: Cluster, spec: Object) -> None:
    """The cluster's Secret, but for what only the service reads."""
    names = ("ca.crt", "tls.crt", "tls.key", "token", "cluster.json", *cluster.programs)
    items = [{"key": name, "path": name} for name in names]
    source = {"secretName": f"{cluster.name}-dask", "defaultMode": 0o444, "items": items}
    volume = _VOLUME
    while any(one["name"] == volume for one in spec["volumes"]):
        volume = f"{volume}-x"
    spec["volumes"] = [*spec["volumes"], {"name": volume, "secret": source}]
    main = spec["containers"][0]
    main["volumeMounts"] = [*main["volumeMounts"], {"name": volume, "mountPath": FOLDER, "readOnly": True}]


def _owned(cluster: Cluster) -> dict[str, str]:
    tls = "DASK_DISTRIBUTED__COMM__TLS"
    return {
        "AFKIT_CLUSTER": cluster.plan.ask.name,
        "AFKIT_CLUSTER_ID": cluster.plan.ask.id,
        "AFKIT_CLUSTER_FOLDER": FOLDER,
        "DASK_SCHEDULER_ADDRESS": cluster.address,
        f"{tls}__CA_FILE": f"{FOLDER}/ca.crt",
        f"{tls}__CLIENT__CERT": f"{FOLDER}/tls.crt",
        f"{tls}__CLIENT__KEY": f"{FOLDER}/tls.key",
    }


def _tls(program: str) -> list[str]:
    keys = ["--tls-ca-file", f"{FOLDER}/ca.crt", "--tls-cert", f"{FOLDER}/tls.crt", "--tls-key", f"{FOLDER}/tls.key"]
    return [*keys, "--preload", f"{FOLDER}/{program}"]


def _label(cluster: Cluster, pod: Object, labels: Mapping[str, str]) -> None:
    """What finds the pod again is not for the file to change."""
    about = pod["metadata"]
    about["labels"] = {**about["labels"], **cluster.about["labels"], **labels}


def _python(cluster: Cluster, selection: Selection) -> str:
    """The interpreter. Raises `IncompatibleError` where a path was asked for that lies on no mount of the pod."""
    path = cluster.plan.ask.python
    if path is None:
        return "python3"
    choice = cluster.choice(selection)
    roots = [mount.mount for mount in mounts_of(cluster.facility, choice.session.storage, cluster.person, workers=True)]
    roots += ["/cvmfs"] if choice.session.cvmfs else []
    if not any(path.startswith(f"{root.rstrip('/')}/") for root in roots):
        raise IncompatibleError(
            f"Workers do not see {quoted(path)}: it lies on no mount that they have.",
            f"Leave python out, or take one below {' or '.join(roots)}." if roots else "Leave python out.",
            field="python",
        )
    return literal(path)
