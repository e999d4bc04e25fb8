"""The models of the file → the frozen records of `afkit.facility.model`, every default filled in."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from afkit.facility import model
from afkit.facility.edge import choices, layer, machines, people, places
from afkit.facility.edge.root import FacilityFile
from afkit.facility.extends import Sources
from afkit.facility.people import Builder, read_users
from afkit.facility.report import Report
from afkit.facility.tree import Document, YamlFloat
from afkit.quantities import UNSET, Unset

Amount = TypeVar("Amount")
Removals = Mapping[model.RulePath, Iterable[str]]


def build(file: FacilityFile, removals: Removals, document: Document, report: Report, sources: Sources) -> model.Facility:
    """The facility that a file means. Files of users are read here; what cannot be read is reported."""
    builder = Builder(document, report, sources)
    facility = model.Facility(
        name="",
        title="",
        groups={key: read_users(builder, key, one) for key, one in file.groups.items()},
        session=_layer(file.session, removals, ("session",)),
        pools={key: _pool(key, one, removals) for key, one in file.pools.items()},
        images={key: _image(key, one, removals) for key, one in file.images.items()},
        sizes={key: _size(key, one) for key, one in file.sizes.items()},
        options={key: _option(key, one, removals) for key, one in file.options.items()},
        profiles={key: _profile(key, one, removals) for key, one in file.profiles.items()},
        storage=_storage(file.storage),
        limits={key: _limit(one) for key, one in file.limits.items()},
        dask=_dask(file.dask),
    )
    return _named(_placed(facility, file, builder), file.facility)


def _placed(facility: model.Facility, file: FacilityFile, builder: Builder) -> model.Facility:
    return dataclasses.replace(
        facility,
        identity=None if file.identity is None else builder.identity(file.identity),
        cvmfs=None if file.cvmfs is None else _cvmfs(file.cvmfs, builder.document),
        kubernetes=None if file.kubernetes is None else _kubernetes(file.kubernetes),
    )


def _named(facility: model.Facility, section: people.FacilitySection | None) -> model.Facility:
    if section is None:
        return facility
    return dataclasses.replace(
        facility,
        name=section.name,
        title=section.title or section.name,
        contact=section.contact,
        documentation=section.documentation or "",
        url=section.url or "",
    )


def _thaw(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _thaw(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_thaw(one) for one in value]
    return float(value) if isinstance(value, YamlFloat) else value


def _some(values: list[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(values)


def _layer(keys: layer.LayerKeys, removals: Removals, path: model.RulePath) -> model.Layer:
    if not keys.model_fields_set & _LAYER_FIELDS and path not in removals:
        return _NO_LAYER
    idle, longest = keys.lifetime.idle, keys.lifetime.max
    return model.Layer(
        env=keys.env,
        files=keys.files,
        lifetime=model.Lifetime(_end(idle), _end(longest)),
        default_url=keys.default_url,
        storage=UNSET if keys.storage is None else tuple(keys.storage),
        cvmfs=UNSET if keys.cvmfs is None else tuple(keys.cvmfs),
        pod=_thaw(keys.pod),
        kubespawner=_thaw(keys.kubespawner),
        removed=frozenset(removals.get(path, ())),
    )


_LAYER_FIELDS = frozenset(layer.LayerKeys.model_fields)
_NO_LAYER = model.Layer()


def _end(seconds: int | Unset | None) -> int | None:
    # `none` is the longest of all, so it is what a layer says that says nothing
    return None if seconds is None or seconds is UNSET else seconds


def _pool(name: str, pool: machines.Pool, removals: Removals) -> model.Pool:
    return model.Pool(
        name=name,
        title=pool.title or name,
        arch=pool.arch,
        node_selector=pool.node_selector,
        taints=tuple(taint.model_dump(exclude_none=True) for taint in pool.taints),
        tolerations=tuple(toleration.model_dump(exclude_none=True) for toleration in pool.tolerations),
        node=model.NodeSize(pool.node.cpu, pool.node.memory, pool.node.ephemeral_storage),
        nodes=pool.nodes,
        spot=pool.spot,
        runtime_class=pool.runtime_class,
        accelerator=None if pool.accelerator is None else _accelerator(pool.accelerator),
        layer=_layer(pool, removals, ("pools", name)),
    )


def _accelerator(one: machines.Accelerator) -> model.Accelerator:
    return model.Accelerator(
        vendor=one.vendor,
        product=one.product,
        memory=one.memory,
        per_node=one.per_node,
        sharing=one.sharing,
        resource=one.resource,
        device_class=one.device_class,
        selectors=tuple(one.selectors),
        cuda=one.cuda,
        rocm=one.rocm,
    )


def _image(name: str, image: machines.Image, removals: Removals) -> model.Image:
    return model.Image(
        name=name,
        title=image.title or name,
        arch=tuple(image.arch),
        description=image.description,
        image=image.image,
        match=tuple(image.match),
        cuda=image.cuda,
        rocm=image.rocm,
        layer=_layer(image, removals, ("images", name)),
    )


def _size(name: str, size: machines.Size) -> model.Size:
    return model.Size(
        name=name,
        title=size.title or name,
        cpu=size.cpu,
        memory=size.memory,
        share=size.share,
        cpu_limit=size.cpu_limit,
        memory_limit=size.memory_limit,
        ephemeral_storage=size.ephemeral_storage,
        shm=UNSET if size.shm is None else size.shm,
        accelerators=UNSET if size.accelerators is None else size.accelerators,
    )


def _option(name: str, option: choices.Option, removals: Removals) -> model.Option:
    made = {key: _choice(key, one, removals, ("options", name, "choices", key)) for key, one in option.choices.items()}
    return model.Option(name, option.title or name, option.description, made)


def _choice(name: str, choice: choices.Choice, removals: Removals, path: model.RulePath) -> model.Choice:
    return model.Choice(
        name=name,
        title=choice.title or name,
        description=choice.description,
        allow=tuple(choice.allow),
        default=choice.default,
        pools=_some(choice.pools),
        images=_some(choice.images),
        sizes=_some(choice.sizes),
        layer=_layer(choice, removals, path),
    )


def _entry(entry: choices.PoolEntry) -> model.Entry:
    pools = _some(entry.pools) if isinstance(entry, choices.Entry) else None
    return model.Entry(entry.name, tuple(entry.allow), entry.advertise, entry.default, pools)


def _profile(name: str, profile: choices.Profile, removals: Removals) -> model.Profile:
    return model.Profile(
        name=name,
        title=profile.title or name,
        allow=tuple(profile.allow),
        pools=tuple(_entry(entry) for entry in profile.pools),
        images=tuple(_entry(entry) for entry in profile.images),
        sizes=tuple(_entry(entry) for entry in profile.sizes),
        description=profile.description,
        options=tuple(profile.options),
        advertise=profile.advertise,
        default=profile.default,
        dask=None if profile.dask is None else _profile_dask(profile.dask),
        layer=_layer(profile, removals, ("profiles", name)),
    )


def _profile_dask(dask: choices.ProfileDask) -> model.DaskOffer:
    worker = dask.worker
    return model.DaskOffer(
        tuple(_entry(entry) for entry in dask.pools), _end(dask.max_workers), worker.cpu, worker.memory, worker.accelerators
    )


def _limit(limit: people.Limit) -> model.Limit:
    return model.Limit(
        servers=limit.servers,
        cpu=limit.cpu,
        memory=limit.memory,
        accelerators={pool: _end(units) for pool, units in limit.accelerators.items()},
        clusters=limit.dask.clusters,
        workers=limit.dask.workers,
    )


def _dask(dask: choices.Dask) -> model.DaskDefaults:
    scheduler = dask.scheduler
    return model.DaskDefaults(scheduler.cpu, scheduler.memory, tuple(scheduler.pools), _end(dask.idle), _end(dask.lifetime), dask.image)


def _cvmfs(cvmfs: places.Cvmfs, document: Document) -> model.Cvmfs:
    path = cvmfs.path
    if cvmfs.driver in ("host", "directory"):
        path = path or "/cvmfs"
        if cvmfs.driver == "directory":
            # a relative path starts at the folder of the file in which it stands
            path = str(Path(document.place(("cvmfs", "path"))[0]).parent / path)
    pins = {name: {} if one.pin is None else one.pin.model_dump(exclude_none=True) for name, one in cvmfs.repositories.items()}
    return model.Cvmfs(cvmfs.driver, cvmfs.storage_class or "cvmfs", path, pins, cvmfs.on_failure)


def _storage(storage: places.Storage) -> model.Storage:
    return model.Storage(
        home=None if storage.home is None else _mount("home", storage.home),
        scratch=None if storage.scratch is None else _mount("scratch", storage.scratch),
        shared={name: _mount(name, one) for name, one in storage.shared.items()},
    )


def is_claim(name: str, mount: model.Mount | places.Mount) -> bool:
    """Whether the source of a mount is a claim, existing or made."""
    return mount.claim is not None or (mount.volume is None and (name == "home" or mount.storage_class is not None))


def _mount(name: str, mount: places.Mount) -> model.Mount:
    access = mount.access or "ReadWriteOnce"
    one_node = is_claim(name, mount) and access in ("ReadWriteOnce", "ReadWriteOncePod")
    return model.Mount(
        name=name,
        mount=mount.mount,
        size=mount.size,
        claim=mount.claim,
        volume=_thaw(mount.volume),
        storage_class=mount.storage_class,
        access=access,
        sub_path=mount.sub_path,
        read_only=mount.read_only,
        write=tuple(mount.write),
        allow=tuple(mount.allow),
        propagation=mount.propagation,
        workers=not one_node if mount.workers is None else mount.workers,
        path=(mount.path or mount.mount) if isinstance(mount, places.Home) else None,
    )


def _kubernetes(one: places.Kubernetes) -> model.Kubernetes:
    network = one.network
    return model.Kubernetes(
        namespace=one.namespace or "",
        user_namespaces=one.user_namespaces,
        pod_security=one.pod_security,
        service_account=one.service_account.name,
        service_account_annotations=one.service_account.annotations,
        pull_secrets=tuple(one.pull_secrets),
        ranges=tuple(one.ranges),
        network=None if network is None else {"egress": _thaw(network.egress), "ingress": _thaw(network.ingress)},
        policies=one.policies,
        capacity=one.capacity,
        api_timeout=one.api_timeout,
        start_timeout=one.start_timeout,
    )
