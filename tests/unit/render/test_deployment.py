"""What is deployed: under Pod Security restricted, without a secret, and wired together."""

from __future__ import annotations

from typing import Any

import pytest

from afkit.facility.dump import dump
from afkit.pods.layout import runs_dask
from afkit.render.pods import SECRETS, base_path
from afkit.render.z2jh import chart_values
from tests.unit.pods.kube import restricted
from tests.unit.render.rendering import FILES, SETTINGS, files, loaded, made, named, pod_specs


@pytest.mark.parametrize("name", FILES)
def test_everything_that_is_deployed_is_restricted(name: str) -> None:
    found = dict(pod_specs(name))
    assert {"afkit-hub", "afkit-proxy"} <= set(found)
    for spec in found.values():
        restricted(spec)
        assert all(container["securityContext"]["readOnlyRootFilesystem"] for container in spec["containers"])


@pytest.mark.parametrize("name", FILES)
def test_no_object_is_or_holds_a_secret(name: str) -> None:
    assert not [one for one in made(name) if one["kind"] == "Secret"]
    taken = {
        (variable["name"], variable["valueFrom"]["secretKeyRef"]["name"], variable["valueFrom"]["secretKeyRef"]["key"])
        for _, spec in pod_specs(name)
        for container in spec["containers"]
        for variable in container.get("env", ())
        if "valueFrom" in variable
    }
    dask = {("AFKIT_DASK_TOKEN", SECRETS, "dask-token")} if runs_dask(loaded(name)) else set()
    assert taken == dask | {
        ("CONFIGPROXY_AUTH_TOKEN", SECRETS, "proxy-token"),
        ("JPY_COOKIE_SECRET", SECRETS, "cookie-secret"),
        ("JUPYTERHUB_CRYPT_KEY", SECRETS, "crypt-key"),
    }


@pytest.mark.parametrize("name", FILES)
def test_who_calls_the_api_server_has_a_token_for_it_and_nobody_else(name: str) -> None:
    tokens = {which: spec["automountServiceAccountToken"] for which, spec in pod_specs(name)}
    assert tokens.pop("afkit-hub") is True
    assert tokens.pop("afkit-proxy") is False
    wanted = {"afkit-namespaces": name != "together", "afkit-dask": runs_dask(loaded(name))}
    assert tokens == {which: True for which, there in wanted.items() if there}
    assert not any(account["automountServiceAccountToken"] for account in named(name, "ServiceAccount").values())


def test_the_hubs_token_for_the_services_has_their_audience() -> None:
    spec = dict(pod_specs("example"))["afkit-hub"]
    [volume] = [one for one in spec["volumes"] if one["name"] == "afkit-token"]
    [source] = volume["projected"]["sources"]
    assert source["serviceAccountToken"]["audience"] == "afkit-services"
    [other] = [one["projected"] for one in chart_values(loaded("example"), files("example"), SETTINGS)["hub"]["extraVolumes"]]
    assert other == volume["projected"]


@pytest.mark.parametrize("name", FILES)
def test_services_select_the_pods_that_they_name(name: str) -> None:
    labels = {which: one["spec"]["template"]["metadata"]["labels"] for which, one in named(name, "Deployment").items()}
    for which, service in named(name, "Service").items():
        selected = [pod for pod, has in labels.items() if service["spec"]["selector"].items() <= has.items()]
        assert selected == [which if which in labels else "afkit-proxy"]


def test_one_hub_at_a_time() -> None:
    hub = named("example", "Deployment")["afkit-hub"]["spec"]
    assert (hub["replicas"], hub["strategy"]) == (1, {"type": "Recreate"})


def test_the_hub_is_started_anew_when_its_configuration_changes_and_not_when_the_facility_does() -> None:
    text = named("example", "ConfigMap")["afkit-hub"]["data"]["jupyterhub_config.py"]
    compile(text, "jupyterhub_config.py", "exec")
    assert 'configure(c, "/etc/afkit/example.yaml", mode="kubernetes")' in text
    assert "Example Analysis Facility" not in text


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://a.example.org", "/"),
        ("https://a.example.org/", "/"),
        ("https://a.example.org/x", "/x/"),
        ("https://a.example.org/x/y/", "/x/y/"),
    ],
)
def test_the_path_of_the_address(url: str, path: str) -> None:
    from dataclasses import replace

    assert base_path(replace(loaded("example"), url=url)) == path


def test_files_in_folders_keep_their_places() -> None:
    from afkit.render.manifests import facility_map
    from afkit.render.pods import facility_volume
    from afkit.render.settings import Files

    nested = Files("main.yaml", {"main.yaml": "a", "base.yaml": "b", "people/staff.txt": "c"})
    data = facility_map(loaded("example"), nested)["data"]
    items = {item["path"]: data[item["key"]] for item in facility_volume(nested)["configMap"]["items"]}
    assert items == nested.texts
    assert all("/" not in key for key in data)


def test_no_python_in_the_values_of_the_chart() -> None:
    values = chart_values(loaded("example"), files("example"), SETTINGS)
    assert "extraConfig" not in values["hub"]
    assert "import " not in dump([{**values, "hub": {**values["hub"], "extraFiles": {}}}])


def test_the_chart_adds_nothing_to_servers() -> None:
    values: dict[str, Any] = chart_values(loaded("example"), files("example"), SETTINGS)
    assert values["rbac"] == {"create": False}
    assert values["singleuser"]["cloudMetadata"] == {"blockWithIptables": False}
    assert values["singleuser"]["networkPolicy"] == {"enabled": False}
    assert not values["scheduling"]["userScheduler"]["enabled"]


def test_an_image_by_digest_keeps_it() -> None:
    from dataclasses import replace

    settings = replace(SETTINGS, hub_image="registry.example.org:5000/hub@sha256:abc")
    image = chart_values(loaded("example"), files("example"), settings)["hub"]["image"]
    assert f"{image['name']}:{image['tag']}" == settings.hub_image


@pytest.mark.parametrize("folder", ["kubernetes", "z2jh"])
def test_the_example_facilities_are_clean(folder: str) -> None:
    from pathlib import Path

    from afkit.facility.load import check_facility

    facility, problems = check_facility(Path(__file__).parents[3] / "hub_config" / folder / "facility.yaml", strict=True)
    assert facility is not None
    assert not problems
