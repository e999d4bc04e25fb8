"""`AfkitKubeSpawner`: a person's server as a pod in their own namespace, exactly as the facility file has it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from kubespawner import KubeSpawner
from tornado import web
from traitlets import Unicode

from afkit.errors import AfkitError, DeadlineError, KubernetesError, RequestError
from afkit.facility.model import Facility
from afkit.facility.pod_rules import MAIN
from afkit.hub import people
from afkit.hub.dask import has_service
from afkit.hub.ending import Ending
from afkit.hub.kubernetes import hooks, words
from afkit.hub.kubernetes.cluster import Cluster, cluster_of
from afkit.hub.kubernetes.configured import configured_pod
from afkit.hub.kubernetes.launch import Launch
from afkit.hub.kubernetes.making import Marks, is_ours
from afkit.hub.kubernetes.plan import Plan, hub_environment
from afkit.hub.kubernetes.podstate import exit_status, has_printed, is_gone, is_over, is_ready
from afkit.hub.kubernetes.traits import KubeSpawnerTraits
from afkit.hub.mixin import AfkitMixin
from afkit.hub.refusal import Refused, ServerFailed
from afkit.hub.running import Running
from afkit.kube.deadline import Deadline
from afkit.kube.watch import Key
from afkit.pods.layers import Session
from afkit.pods.layout import dask_url
from afkit.pods.person import person_of
from afkit.pods.placeholders import fill_all
from afkit.pods.server import ServerObjects, server_objects
from afkit.pods.site import Site
from afkit.policy.model import Selection

__all__ = ["AfkitKubeSpawner"]

Pod = Mapping[str, Any]

_START: Final = 600
_CLEAR: Final = 20.0
"""Seconds that are left to remove what a failed start has made, before the hub stops waiting."""
_STOPS: Final = 45.0
"""Seconds beyond its own grace that a server's pod has to be gone."""


class AfkitKubeSpawner(AfkitMixin, KubeSpawner):
    """Starts a person's server on Kubernetes, as the facility file has it."""

    kubeconfig = Unicode(
        "",
        help="""
        Path of the kubeconfig of the cluster in which servers run.

        Default: the hub's own cluster where it runs in one, else ``$KUBECONFIG``.
        """,
    ).tag(config=True)

    namespaces_url = Unicode(
        "",
        help="""
        Address of the namespace provisioner, with its path.

        Default: ``$AFKIT_NAMESPACES_URL``, else the one that ``afkit render`` makes.
        """,
    ).tag(config=True)

    facility_traits = KubeSpawnerTraits()
    first_progress = 2

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._plan: Plan | None = None
        self._marks: Marks | None = None
        self._ending_asked = False
        self._claims: Mapping[str, Any] = {}
        self._configured: dict[str, Any] = {}
        self._listens: Key | None = None
        self._last: Pod | None = None
        """The running server's pod as it was last seen."""

    @classmethod
    def make_place(cls, app: Any, facility: Facility) -> Cluster:
        """The cluster."""
        return cluster_of(app, cls, facility)

    @property
    def cluster(self) -> Cluster:
        """The hub's view of the cluster."""
        place = self.desk.place
        if not isinstance(place, Cluster):
            raise TypeError("this hub was not set up for Kubernetes")
        return place

    @property
    def pod_key(self) -> Key | None:
        """Namespace and name of the pod that this spawner looks after; ``None``: there is none."""
        return (self.namespace, self.pod_name) if self.active else None

    # deciding

    async def _run_apply_user_options(self, user_options: Any) -> None:
        self._claims = people.claims(await self.user.get_auth_state())
        await super()._run_apply_user_options(user_options)

    async def load_user_options(self) -> None:
        """Nothing: the choice was applied when it was judged, and KubeSpawner's profiles are not used."""

    def dask_service(self) -> str:
        """Where a pod reaches the Dask service, if the hub has one."""
        return dask_url(self.desk.facility) if has_service(self.desk.app) else ""

    def apply_selection(self, selection: Selection, session: Session, running: Running) -> None:  # noqa: ARG002  # of the mixin
        """Assign every trait that a choice decides; the Pod itself is made from the choice when the server starts."""
        facility = self.desk.facility
        person = person_of(facility, self.desk.identity(self.user), self.desk.entitlements(self.user), self._claims)
        for name, value in self._configured.items():
            setattr(self, name, value)
        self._configured = {name: getattr(self, name) for name in session.kubespawner}
        for name, value in fill_all(session.kubespawner, person.names(self.name)).items():
            setattr(self, name, value)
        self._plan = Plan(facility, selection, person)
        self._marks = self._plan.marks
        self._ending_asked = False
        self.namespace = person.namespace
        self.dns_name = self.dns_name_template.format(namespace=self.namespace, name=self.pod_name)
        needs = selection.resources
        self.image = selection.reference
        self.cpu_guarantee, self.mem_guarantee = needs.cpu / 1000, needs.memory
        self.cpu_limit = None if needs.cpu_limit is None else needs.cpu_limit / 1000
        self.mem_limit = needs.memory_limit
        self.default_url = ""
        seconds = facility.kubernetes.start_timeout if facility.kubernetes else _START
        # the hub waits a little longer than the start may take: what failed is to be cleared away and said
        self.start_timeout = int(seconds + _CLEAR)

    # starting

    async def _start(self) -> str:
        """Make the server's objects and wait until its pod is Ready. On failure nothing of it is left but its claims."""
        plan = self._plan
        if plan is None:
            raise RuntimeError("a server starts without a choice")
        deadline = Deadline.after(self.start_timeout - _CLEAR, "the server to start")
        launch = Launch(self.cluster, plan, (self.namespace, self.pod_name), deadline)
        try:
            await launch.prepare()
            objects = await self._objects(plan)
            # from here on a hub that is killed finds the server again, or what is left of it
            await self.cluster.notes.write(self)
            made = await launch.make(objects, whole=bool(self.after_pod_created_hook))
            if self.after_pod_created_hook:
                await hooks.called(self.after_pod_created_hook, self, made)
            pod = await launch.wait()
            await self.answered(launch, str(self._get_pod_url(pod)))
        except AfkitError as error:
            failure = await self._failure(launch, error)
            await launch.undo(_CLEAR / 2)
            raise failure from error
        except Exception:
            # a fault of the hub's own
            await launch.undo(_CLEAR / 2)
            raise
        # where the start is cancelled, the hub stops the server next
        self.pod_id = pod["metadata"]["uid"]
        self._listen()
        return str(self._get_pod_url(pod))

    async def answered(self, launch: Launch, url: str) -> None:
        """Wait until the server at ``url`` answers the hub. For subclasses. Raises `PlatformError`."""
        if not self.internal_ssl:
            await launch.answered(url, f"{self.server.base_url}api", self.http_timeout)

    async def _objects(self, plan: Plan) -> ServerObjects:
        """Everything of the server, as it is sent."""
        if self.running is None:
            raise RuntimeError("a server starts without a choice")
        secret, own = hub_environment(self, self.running, self.dask)
        base = await configured_pod(self)
        site = Site(self.pod_name, hooks.with_env(base, own) if own else base, self.port)
        hook = self.modify_pod_hook
        objects = server_objects(plan.facility, plan.selection, plan.person, self.name, site, written=hook is None)
        objects.secret["stringData"] = secret
        return await hooks.modified(hook, self, objects) if hook else objects

    def is_pod_running(self, pod: Pod | None) -> bool:
        """Whether all containers are ready."""
        return is_ready(pod)

    async def _failure(self, launch: Launch, error: AfkitError) -> web.HTTPError:
        """What the hub answers, and what it notes, of a start that failed."""
        self.no_hub_failure()
        if isinstance(error, RequestError):
            return Refused(error)
        if self._ending_asked:
            return ServerFailed("The server was stopped while it was starting.")
        self._ending_asked = True  # what the hub looks at afterwards is no other end
        ending = Ending("start", launch.failure(error), await self._last_lines(), time.time(), 0.0)
        self.note_end(ending)
        self.log.error("Server %s did not start: %s", self._log_name, error)
        return ServerFailed(ending.message, ending.lines)

    async def _last_lines(self) -> tuple[str, ...]:
        pod = self._pod()
        if pod is None or not has_printed(pod):
            return ()
        try:
            deadline = self.cluster.timeout
            text = await self.cluster.kube.log(self.pod_name, self.namespace, MAIN, lines=self.log_lines, deadline=deadline)
        except (KubernetesError, DeadlineError):
            return ()
        return words.last_lines(text, self.log_lines)

    def _pod(self) -> Pod | None:
        """The server's pod as the watch has it."""
        pod = self.cluster.pods.objects.get((self.namespace, self.pod_name))
        if pod is None or (self._marks is not None and not is_ours(pod, self._marks)):
            return None
        return pod

    # looking after

    async def poll(self) -> int | None:
        """``None`` while the server runs, or while nobody can know whether it does. Notes how it ended."""
        if self._start_future is not None and not self._start_future.done():
            return None
        if self._marks is None:
            return 0
        try:
            await self.cluster.ready(self.cluster.timeout)
        except (KubernetesError, DeadlineError) as error:
            self.log.warning("Whether server %s runs cannot be known now: %s", self._log_name, error)
            return None
        pod = self._pod()
        if pod is not None and self._ending_asked:
            # a hub before this one was told to stop it
            await self._ask_to_go(pod, 1)
            return 0
        status = exit_status(pod, time.time())
        if status is None:
            self._listen()
            return None
        await self._note_end_of(pod, status)
        return status

    async def _note_end_of(self, pod: Pod | None, status: int) -> None:
        self._unlisten()
        if self._ending_asked or self.running is None:
            return
        self._ending_asked = True
        now = time.time()
        lines = await self._last_lines()
        sentence = words.end_of(
            pod or self._last, self.cluster.events_of((self.namespace, self.pod_name)), status, self.desk.facility.contact
        )
        if pod is not None:
            await self._ask_to_go(pod, 1)
        self.note_end(Ending("exit", sentence, lines, now, now - self.running.started))

    def _end_words(self, pod: Pod | None, status: int) -> str:
        events = self.cluster.events_of((self.namespace, self.pod_name), pod["metadata"]["uid"]) if pod is not None else ()
        return words.end_of(pod, events, status, self.desk.facility.contact)

    async def get_url(self) -> str:
        """Where the server is, after a restart of the hub: one that was still starting is waited for first."""
        pod = self._pod()
        if pod is None or self.running is None:
            return str(self.server.url)
        seconds = self.desk.facility.kubernetes.start_timeout if self.desk.facility.kubernetes else 60
        deadline = Deadline.after(max(self.running.started + seconds - time.time(), 1.0), "the server to start")
        uid = pod["metadata"]["uid"]
        try:
            found = await self.cluster.pods.until((self.namespace, self.pod_name), lambda one: is_over(one, uid) or is_ready(one), deadline)
        except (KubernetesError, DeadlineError):
            found = None
        if found is None or not self.is_pod_running(found):
            await self._ask_to_go(pod, 1)
            return str(self.server.url)
        return f"{self._get_pod_url(found)}{self.server.base_url}"

    def _listen(self) -> None:
        """Notice the end of the server when it happens, not when the hub asks the next time."""
        key = (self.namespace, self.pod_name)
        if self._listens != key:
            self._unlisten()
            self._listens = key
            self._last = self._pod()
            self.cluster.listen(key, self._look)

    def _unlisten(self) -> None:
        if self._listens is not None:
            self.cluster.unlisten(self._listens, self._look)
            self._listens = None

    def _look(self) -> None:
        self._last = self._pod() or self._last
        if self.ready and not self._ending_asked and exit_status(self._pod()) is not None:
            self._unlisten()
            task = asyncio.ensure_future(self.poll_and_notify())
            task.add_done_callback(lambda done: done.exception())

    # stopping

    async def stop(self, now: bool = False) -> None:
        """End the server, by a deadline; where its node does not let go, its page says so and the rest is Kubernetes' own."""
        self._unlisten()
        grace = 0 if now else self.delete_grace_period
        deadline = Deadline.after(grace + _STOPS, "the server to end")
        self._ending_asked = True
        await self.cluster.notes.write(self)
        try:
            await self.cluster.ready(deadline.sooner(self.cluster.timeout.seconds))
            pod = self._pod()
            if pod is None:
                pod = await self._unseen(deadline)
            if pod is not None:
                await self._ask_to_go(pod, max(grace, 1), deadline)
                uid = pod["metadata"]["uid"]
                await self.cluster.pods.until((self.namespace, self.pod_name), lambda one: is_gone(one, uid), deadline)
        except (KubernetesError, DeadlineError) as error:
            at = time.time()
            sentence = words.stuck(self._pod(), self.cluster, error, self.desk.facility.contact)
            self.note_end(Ending("stuck", sentence, (), at, at - self.running.started if self.running else 0.0))

    async def _unseen(self, deadline: Deadline) -> Pod | None:
        """A pod that was made a moment ago and that the watch does not know yet."""
        found = await self.cluster.kube.find("Pod", self.pod_name, self.namespace, deadline=deadline)
        return found if found is not None and self._marks is not None and is_ours(found, self._marks) else None

    async def _ask_to_go(self, pod: Pod, grace: int, deadline: Deadline | None = None) -> None:
        about = pod["metadata"]
        if "deletionTimestamp" in about:
            return
        await self.cluster.kube.delete("Pod", about["name"], about["namespace"], grace=grace, uid=about["uid"], deadline=deadline)

    async def delete_forever(self) -> None:
        """Nothing: homes and namespaces are kept; whoever removes them for good does it in the cluster."""

    # what survives a restart of the hub

    def get_state(self) -> dict[str, Any]:
        """What finds the server again."""
        state: dict[str, Any] = super().get_state()
        if self._marks is not None:
            state["afkit_pod"] = {"facility": self._marks.facility, "owner": self._marks.owner, "ending": self._ending_asked}
        return state

    def load_state(self, state: Mapping[str, Any]) -> None:
        """After a restart of the hub."""
        super().load_state(state)
        mine = state.get("afkit_pod")
        if mine:
            self._marks = Marks(mine["facility"], mine["owner"])
            self._ending_asked = bool(mine.get("ending"))

    def clear_state(self) -> None:
        """The server is gone."""
        super().clear_state()
        self._unlisten()
        self._marks, self._ending_asked = None, False

    # telling

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """What the start waits for, in plain words, as it changes."""
        async for step in super().progress():
            yield step
        plan, future = self._plan, self._start_future
        if plan is None or future is None:
            return
        async for step in words.steps(self.cluster, (self.namespace, self.pod_name), plan, future):
            yield step
