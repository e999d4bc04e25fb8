"""The rules of the facility file, each with what breaks it and what keeps it. Fixtures have the plain cases; these are the others."""

# ruff: noqa: E501 - one case, one line

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.facility.conftest import Checker

ISSUER = """identity:
  allow: everyone
  issuers:
    lab: {{url: "https://login.example.org/", dialect: wlcg, client: {{id: hub}}{}}}
"""
POD = "session: {{pod: {{spec: {}}}}}\n"
MAIN = "session: {{pod: {{spec: {{containers: [{{name: notebook, {}}}]}}}}}}\n"
GPU = "pools: {{gpu: {{arch: amd64, accelerator: {{vendor: nvidia, {}}}}}}}\n"
MOUNT = "storage: {{shared: {{data: {{mount: /data, {}}}}}}}\n"
HOME = "storage: {{home: {{mount: /home/jovyan, {}}}}}\n"
SIZE = "sizes: {{small: {{{}}}}}\n"
PROFILE = "profiles: {{analysis: {{{}}}}}\n"

BROKEN = [
    # names and references
    ("groups: {Physicists: {users: [ada]}}\n", "AF207"),
    ("groups: {-a: {users: [ada]}}\n", "AF207"),
    (f"groups: {{{'a' * 41}: {{users: [ada]}}}}\n", "AF207"),
    ("options: {interface: {choices: {Lab: {}}}}\n", "AF207"),
    ("storage: {shared: {Data: {mount: /data, size: 1Gi}}}\n", "AF207"),
    (PROFILE.format("images: [{name: nothing}]"), "AF303"),
    (PROFILE.format("dask: {pools: [nothing], worker: {cpu: 1}}"), "AF302"),
    (PROFILE.format("images: [{name: base, allow: [nobody]}]"), "AF301"),
    ("options: {interface: {choices: {lab: {sizes: [nothing]}}}}\n", "AF304"),
    ("options: {interface: {choices: {lab: {storage: [nothing]}}}}\n", "AF306"),
    (PROFILE.format("storage: [home]"), "AF306"),
    ("limits: {nobody: {cpu: 4}}\n", "AF301"),
    ("limits: {everyone: {accelerators: {nothing: 1}}}\n", "AF302"),
    ("limits: {everyone: {accelerators: {cpu: 1}}}\n", "AF214"),
    ("dask: {scheduler: {pools: [nothing]}}\n", "AF302"),
    ("dask: {image: nothing}\n", "AF303"),
    ("identity: {local: {users: {ada: {groups: [nothing]}}}}\n", "AF301"),
    ("session: {cvmfs: [cms.cern.ch]}\n", "AF308"),
    # quantities and durations
    (SIZE.format("memory: 1.5"), "AF205"),
    (SIZE.format("memory: nan"), "AF205"),
    (SIZE.format("memory: .nan"), "AF205"),
    (SIZE.format("memory: 1e19"), "AF205"),
    (SIZE.format("memory: 2 Gi"), "AF205"),
    (SIZE.format("memory: 2gi"), "AF205"),
    (SIZE.format("cpu: [1]"), "AF203"),
    (SIZE.format("cpu: true"), "AF203"),
    (SIZE.format("cpu_limit: 0"), "AF205"),
    (SIZE.format("accelerators: -1"), "AF216"),
    (SIZE.format('accelerators: "1"'), "AF203"),
    ("session: {lifetime: {max: 0h}}\n", "AF206"),
    ("session: {lifetime: {max: 1.5h}}\n", "AF206"),
    ("session: {lifetime: {max: 1h30m}}\n", "AF206"),
    ("dask: {idle: 30}\n", "AF206"),
    ("limits: {everyone: {servers: -1}}\n", "AF216"),
    ("sizes: {part: {share: 9/8}}\n", "AF217"),
    ("sizes: {part: {share: 0.5}}\n", "AF203"),
    ("sizes: {part: {share: 1/8, cpu: 1}}\n", "AF213"),
    ("sizes: {part: {cpu: 1}}\n", "AF202"),
    # types
    ('pools: {cpu: {spot: "true"}}\n', "AF203"),
    ("images: {base: {cuda: 12.4}}\n", "AF203"),
    ("session: {env: {A: 5}}\n", "AF203"),
    ("session: {env: {A: true}}\n", "AF203"),
    ("session: {files: {/a: 5}}\n", "AF203"),
    (PROFILE.format("allow: physicists"), "AF203"),
    (PROFILE.format("images: base"), "AF203"),
    (PROFILE.format("images: [5]"), "AF203"),
    ("pools: [cpu]\n", "AF203"),
    ("facility: {url: 5}\n", "AF203"),
    # groups and identity
    ("groups: {a: {users: {file: x.txt, more: y}}}\n", "AF203"),
    ("groups: {a: {users: ['']}}\n", "AF217"),
    (ISSUER.format(", secret: x"), "AF201"),
    (ISSUER.format(", dialect2: x"), "AF201"),
    (ISSUER.format(", username: fixed"), "AF217"),
    (ISSUER.format(", require: {domains: [x]}"), "AF201"),
    (ISSUER.format(", tokens: [{scopes: [x]}]"), "AF202"),
    (ISSUER.format(", tokens: [{audience: x, min_life: 20}]"), "AF206"),
    (ISSUER.format(", run_as: {uid: {claim: uid, or: 5}}"), "AF203"),
    (ISSUER.format(", run_as: {uid: -1}"), "AF216"),
    (ISSUER.format(', run_as: {uid: "1000"}'), "AF203"),
    (ISSUER.format(", run_as: {groups: 100}"), "AF203"),
    ("identity: {issuers: {lab: {dialect: hub}}}\n", "AF202"),
    ("identity: {allow: everyone, issuers: {lab: {dialect: hub, url: 'https://a.example.org'}}}\n", "AF214"),
    ("identity: {allow: everyone, issuers: {lab: {dialect: wlcg, url: 'https://a.example.org'}}}\n", "AF202"),
    ("facility: {notice: hello}\n", "AF215"),
    ("limits: {everyone: {per: day}}\n", "AF215"),
    ("pools: {cpu: {queue: long}}\n", "AF215"),
    # env, files, placeholders
    ("session: {env: {AFKIT_X: a}}\n", "AF401"),
    ("session: {env: {NB_UID: a}}\n", "AF401"),
    ("session: {env: {CPU_COUNT: a}}\n", "AF401"),
    ("session: {env: {MEM_X: a}}\n", "AF401"),
    ("session: {env: {JPY_X: a}}\n", "AF401"),
    ("session: {env: {JUPYTER_IMAGE_SPEC: a}}\n", "AF401"),
    ("session: {env: {BEARER_TOKEN_FILE: a}}\n", "AF401"),
    ("session: {env: {NVIDIA_VISIBLE_DEVICES: all}}\n", "AF401"),
    ("pools: {cpu: {env: {JUPYTERHUB_USER: a}}}\n", "AF401"),
    ("session: {env: {A-B: a}}\n", "AF217"),
    ("session: {env: {9A: a}}\n", "AF217"),
    ("session: {default_url: lab}\n", "AF212"),
    ('session: {default_url: "/lab/{usrname}"}\n', "AF210"),
    ('storage: {scratch: {size: 1Gi, mount: "/scratch/{user}"}}\n', "AF210"),
    (MOUNT.format('claim: "c-{name}"'), "AF210"),
    (MOUNT.format('size: 1Gi, sub_path: "a/{0}"'), "AF210"),
    # pools
    (GPU.format("resource: nvidia.com/gpu, device_class: gpu.nvidia.com"), "AF213"),
    (GPU.format("product: A100"), "AF213"),
    (GPU.format("resource: nvidia.com/gpu, selectors: [true == true]"), "AF214"),
    (GPU.format('resource: nvidia.com/gpu, rocm: "6.0"'), "AF214"),
    (GPU.format("resource: gpu"), "AF217"),
    (GPU.format("resource: nvidia.com/gpu, per_node: 0"), "AF216"),
    (GPU.format("resource: nvidia.com/gpu, sharing: MIG"), "AF204"),
    ("pools: {cpu: {node_selector: {'a b': c}}}\n", "AF217"),
    ("pools: {cpu: {node_selector: {a: 'b c'}}}\n", "AF217"),
    ("pools: {cpu: {taints: [{key: a, effect: NoShedule}]}}\n", "AF204"),
    ("pools: {cpu: {tolerations: [{operator: Exists, value: x}]}}\n", "AF214"),
    ("pools: {cpu: {tolerations: [{value: x}]}}\n", "AF202"),
    ("pools: {cpu: {nodes: [1, 2, 3]}}\n", "AF203"),
    ("pools: {cpu: {nodes: 0}}\n", "AF216"),
    ("pools: {cpu: {node: {cpu: 0}}}\n", "AF205"),
    # images
    ("images: {base: {arch: [amd64, amd64]}}\n", "AF218"),
    ("images: {base: {arch: amd64}}\n", "AF203"),
    ("images: {base: {arch: [x86_64]}}\n", "AF204"),
    ("images: {more: {arch: [amd64]}}\n", "AF213"),
    ("images: {base: {image: 'a:b:c'}}\n", "AF219"),
    ("images: {base: {image: 'a@sha256:123'}}\n", "AF219"),
    # cvmfs
    ("cvmfs: {driver: csi, repositories: {cern: {}}}\n", "AF217"),
    ("cvmfs: {driver: csi, repositories: {a.cern.ch: {pin: {}}}}\n", "AF213"),
    ("cvmfs: {driver: csi, repositories: {a.cern.ch: {pin: {tag: a, date: 2026-01-01}}}}\n", "AF213"),
    ("cvmfs: {driver: csi, repositories: {a.cern.ch: {pin: {root_hash: abc}}}}\n", "AF217"),
    ("cvmfs: {driver: csi, repositories: {a.cern.ch: {pin: {date: yesterday}}}}\n", "AF217"),
    ("cvmfs: {repositories: {}}\n", "AF202"),
    ("cvmfs: {driver: directory, storage_class: x}\n", "AF214"),
    # storage
    (MOUNT.format("claim: a, volume: {emptyDir: {}}"), "AF213"),
    (MOUNT.format("volume: {emptyDir: {}, hostPath: {path: /x}}"), "AF213"),
    (MOUNT.format("volume: {persistentVolumeClaim: {claimName: a}}"), "AF404"),
    (MOUNT.format("volume: {name: x, emptyDir: {}}"), "AF213"),
    (MOUNT.format("volume: {nfs: {sever: a, path: /b}}"), "AF402"),
    (MOUNT.format("volume: {nfs: {server: a}}"), "AF202"),
    (MOUNT.format("volume: {emptyDir: {}}, access: ReadWriteMany"), "AF214"),
    (MOUNT.format("volume: {emptyDir: {}}, storage_class: a"), "AF214"),
    (MOUNT.format("size: 1Gi, path: /x"), "AF201"),
    (MOUNT.format("size: 0"), "AF205"),
    (MOUNT.format("size: 1Gi, write: [nobody]"), "AF301"),
    (MOUNT.format("size: 1Gi, sub_path: ../x"), "AF212"),
    (MOUNT.format("size: 1Gi, storage_class: x, access: ReadWriteSometimes"), "AF204"),
    ("storage: {home: nowhere}\n", "AF203"),
    ("storage: {home: {mount: jovyan, size: 1Gi}}\n", "AF212"),
    ("storage: {shared: {a: {mount: /cvmfs, size: 1Gi}}}\ncvmfs: {driver: csi}\n", "AF518"),
    ("storage: {shared: {home: {mount: /x, size: 1Gi}}}\n", "AF215"),
    # pod
    ("session: {pod: {apiVersion: v1}}\n", "AF402"),
    ("session: {pod: {metadata: {name: x}}}\n", "AF404"),
    ("session: {pod: {metadata: {labels: {a: 5}}}}\n", "AF403"),
    ("session: {pod: []}\n", "AF203"),
    (POD.format("[]"), "AF403"),
    (POD.format("{tolerations: []}"), "AF404"),
    (POD.format("{serviceAccountName: x}"), "AF404"),
    (POD.format("{imagePullSecrets: [{name: x}]}"), "AF404"),
    (POD.format("{runtimeClassName: x}"), "AF404"),
    (POD.format("{securityContext: {fsGroup: 5}}"), "AF404"),
    (POD.format("{containers: [{image: x}]}"), "AF411"),
    (POD.format("{dnsPolicy: clusterfirst}"), "AF204"),
    (POD.format("{priorityClassName: 5}"), "AF403"),
    (POD.format("{affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1}]}}}"), "AF202"),
    (MAIN.format("resources: {limits: {cpu: 1}}"), "AF404"),
    (MAIN.format("ports: []"), "AF404"),
    (MAIN.format("securityContext: {runAsUser: 5}"), "AF404"),
    (MAIN.format("env: [{name: AFKIT_X, value: a}]"), "AF401"),
    (MAIN.format("env: [{name: TZ, value: a}], volumeMounts: [{name: home, mountPath: /dev/shm}]"), "AF405"),
    (MAIN.format("volumeMounts: [{name: home, mountPath: /var/run/secrets/afkit.io/services}]"), "AF405"),
    (MAIN.format("volumeMounts: [{name: home, mountPath: 5}]"), "AF403"),
    ("options: {o: {choices: {c: {pod: {spec: {nodeSelector: {}}}}}}}\n", "AF404"),
    ("images: {base: {pod: {spec: {volumes: [{name: home, emptyDir: {}}]}}}}\n", "AF406"),
    ("kubernetes: {network: {egress: [{too: []}]}, namespace: x}\n", "AF402"),
    # sections together
    (PROFILE.format("pools: []"), "AF501"),
    ("pools: {big: {arch: amd64}}\nsizes: {part: {share: 1/2}}\n" + PROFILE.format("pools: [cpu, big], sizes: [small, {name: part, pools: [big]}]"), "AF505"),
    (GPU.format("resource: nvidia.com/gpu, per_node: 1") + "sizes: {two: {cpu: 1, memory: 1Gi, accelerators: 2}}\n" + PROFILE.format("pools: [cpu, gpu], sizes: [small, two]"), "AF505"),
    ("groups: {a: {}}\n" + PROFILE.format("allow: [a]"), "AF507"),
    ("limits: {everyone: {cpu: 500m}}\n", "AF509"),
    ("storage: {home: {mount: /home/jovyan, claim: homes, sub_path: '{username}'}}\nlimits: {everyone: {servers: none}}\n", "AF514"),
]  # fmt: skip

KEPT = [
    "x-anything: {goes: [1, 2.5, null, {a: b}]}\n",
    "groups: {a: {users: []}}\nidentity: {local: {users: {ada: {groups: [a]}}}}\n",
    SIZE.format('cpu: "1", memory: "2147483648"'),
    SIZE.format("cpu: 1.5, memory: 2G, cpu_limit: none, memory_limit: none"),
    SIZE.format("shm: 0"),
    "session: {env: {JUPYTERHUB_SINGLEUSER_APP: jupyter_server.serverapp.ServerApp}}\n",
    'session: {env: {A: "${HOME}/{username}/{servername}/{initial}/{uid}/{gid}/{escaped_username}/{unescaped_username}"}}\n',
    'session: {env: {A: "{} {{ }} {a b} %(x)s {0.x}"}}\n',
    'session: {files: {/a: "{anything}"}, kubespawner: {cmd: ["{any}"]}}\n',
    'session: {pod: {metadata: {annotations: {a: "{any}"}}}}\n',
    "session: {lifetime: {idle: none, max: none}}\n",
    "dask: {idle: none, lifetime: none}\n",
    "limits: {everyone: {servers: 1, cpu: none, memory: 0, dask: {clusters: 0, workers: none}}}\n",
    PROFILE.format("allow: [everyone]"),
    PROFILE.format("images: [{name: base, default: true}], advertise: true"),
    "options: {interface: {choices: {lab: {default_url: /lab}, code: {images: [base], allow: everyone}}}}\n" + PROFILE.format("options: [interface]"),
    ISSUER.format(', username: "{local}-lab", require: {domain: [example.org]}, tokens: [a, {audience: b, scopes: [c], min_life: 10m}]'),
    ISSUER.format(", run_as: {uid: {claim: uid}, fs_group: none, groups: {claim: groups}}"),
    "identity: {allow: everyone, issuers: {school: {dialect: hub}}}\ngroups: {a: {from: ['school:anything', 'school:*']}}\n",
    GPU.format("device_class: gpu.nvidia.com, selectors: ['device.attributes[\"x\"].y == 1']"),
    "pools: {cpu: {nodes: [0, 20], taints: [{key: a, effect: NoSchedule}], tolerations: [{operator: Exists}], provider: kubernetes}}\n",
    "images: {own: {arch: [amd64], match: ['registry.example.org/groups/**', 'registry.example.org/x:2026-*']}}\n",
    f"images: {{more: {{arch: [amd64], image: 'localhost:5000/a/b_c__d-e@sha256:{64 * 'a'}'}}}}\n",
    "cvmfs: {driver: csi, repositories: {cms.cern.ch: {}, sft.cern.ch: {pin: {date: 2026-11-30}}}}\nsession: {cvmfs: [cms.cern.ch]}\n",
    "cvmfs: {driver: directory, path: tree}\n",
    "cvmfs: {driver: none}\n",
    "storage: {home: none}\n",
    HOME.format("claim: 'home-{username}', size: 1Gi, storage_class: fast"),
    MOUNT.format("claim: data, access: ReadOnlyMany"),
    MOUNT.format("size: 1Gi, storage_class: fast, access: ReadWriteMany"),
    MOUNT.format("volume: {csi: {driver: nfs.csi.example.org, volumeHandle: a, volumeAttributes: {server: b}}}"),
    MOUNT.format("volume: {secret: {secretName: a, defaultMode: 256}}, propagation: HostToContainer"),
    POD.format("{priorityClassName: high, containers: [{name: side, image: x, ports: [{containerPort: 80}], volumeMounts: [{name: home, mountPath: /h}]}]}"),
    POD.format("{volumes: [{name: cache, emptyDir: {sizeLimit: 5Gi}}], containers: [{name: notebook, volumeMounts: [{name: cache, mountPath: /cache}]}]}"),
    POD.format("{securityContext: {seccompProfile: {type: RuntimeDefault}, sysctls: [{name: net.ipv4.tcp_fin_timeout, value: '5'}]}}"),
    GPU.format("resource: nvidia.com/gpu") + PROFILE.format("pools: [cpu, gpu]"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code"), BROKEN)
def test_what_breaks_a_rule_is_reported(text: str, code: str, check: Checker) -> None:
    _, problems = check(text)
    assert code in {problem.code for problem in problems}, [str(problem) for problem in problems]


@pytest.mark.parametrize("text", KEPT)
def test_what_keeps_the_rules_is_taken(text: str, check: Checker) -> None:
    facility, problems = check(text)
    assert problems == []
    assert facility is not None
