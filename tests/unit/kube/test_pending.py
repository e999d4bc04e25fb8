"""Every cause has its sentence, says who can mend it, and whether waiting helps. The texts of Kubernetes are from a real 1.35."""

from __future__ import annotations

import pytest

from afkit.errors import KubernetesError
from afkit.kube.pending import explain_gone, explain_pod, explain_refusal, explain_stop
from tests.unit.kube.worlds import NOW, at, event, gpu_node, gpu_pool, node, pod, pool, unscheduled, uses, waiting

NONE = "0/2 nodes are available: 2 Insufficient nvidia.com/gpu. preemption: 0/2 nodes are available: 2 No preemption victims found."


def explained(one, events=(), nodes=None, where=None, **more):
    return explain_pod(one, events, nodes, where, now=NOW, contact="it@example.org", **more)


def test_all_accelerators_are_taken():
    nodes = uses(
        [gpu_node("n1"), gpu_node("n2")], pod("a", node="n1", gpus=4, phase="Running"), pod("b", node="n2", gpus=4, phase="Running")
    )
    found = explained(pod(gpus=1, status=unscheduled(NONE)), (), nodes, gpu_pool())
    assert found.code == "no-node"
    assert found.sentence == (
        "No node of pool gpu can take this server (1 CPU, 2Gi memory, 1 nvidia.com/gpu). "
        "The pool has 2 nodes: each has 0 of 4 nvidia.com/gpu free."
    )
    assert "as soon as there is room" in found.hint
    assert not found.final


def test_different_reasons_of_different_nodes():
    nodes = uses(
        [node("n1"), node("n2", ready="Unknown"), node("n3", taints=[{"key": "lab", "effect": "NoSchedule"}])],
        pod("a", node="n1", cpu="3500m", phase="Running"),
    )
    found = explained(pod(status=unscheduled("0/3")), (), nodes, pool())
    assert "The pool has 3 nodes: one has 500m of 4 CPU free; one does not answer; one has the taint lab:NoSchedule." in found.sentence


@pytest.mark.parametrize(
    ("where", "nodes", "code", "text", "final"),
    [
        (pool(nodes=(2, 2)), [], "no-node", "Pool cpu has no nodes: none in the cluster has kubernetes.io/arch=amd64, pool=cpu.", False),
        (pool(nodes=(0, 5)), [], "no-node", "Pool cpu has no node now; the autoscaler may start one.", False),
        (pool(), [node("n1", cpu="500m")], "too-large", "it has only 500m CPU in all", True),
        (pool(nodes=(0, 5)), [node("n1", cpu="500m")], "no-node", "it has only 500m CPU in all", False),
        (pool(), [node("n1", taints=[{"key": "x", "effect": "NoExecute"}])], "taint", "it has the taint x:NoExecute", False),
        (gpu_pool(), [node("n1", "gpu")], "too-large", "it has no nvidia.com/gpu", True),
    ],
)
def test_pools_without_room(where, nodes, code, text, final):
    found = explained(pod(gpus=1 if where.accelerator else 0, status=unscheduled("0/1 nodes")), (), uses(nodes), where)
    assert (found.code, found.final) == (code, final)
    assert text in found.sentence


@pytest.mark.parametrize(
    ("status", "events", "code", "text"),
    [
        ({}, [event("FailedScheduling", ago=60)], "scheduler", "said nothing about this server for 60 s"),
        ({}, [event("x", ago=1)], "placing", "A node is being looked for."),
        (unscheduled("", "SchedulingGated"), [], "queued", "queue"),
        (unscheduled('0/1: persistentvolumeclaim "data" not found'), [], "volume", "The storage claim data does not exist."),
        (unscheduled("0/2 nodes"), [event("TriggeredScaleUp", kind="Normal")], "new-node", "A new node is being started"),
        (
            unscheduled("0/9 nodes are available: 9 node(s) had x. preemption: no"),
            [],
            "no-node",
            "0/9 nodes are available: 9 node(s) had x.",
        ),
    ],
)
def test_without_a_node(status, events, code, text):
    found = explained(pod(status=status), events)
    assert found.code == code
    assert text in found.sentence


def test_a_claim_without_storage_says_what_its_provisioner_says():
    one = pod(
        status=unscheduled("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims."),
        spec={"volumes": [{"name": "home", "persistentVolumeClaim": {"claimName": "home-ada"}}]},
    )
    assert "Its storage is not there yet (claims: home-ada)." in explained(one).sentence
    said = {"home-ada": [event("ProvisioningFailed", 'storageclass.storage.k8s.io "fast" not found')]}
    assert (
        explained(one, claims=said).sentence == 'There is no storage for the claim home-ada: storageclass.storage.k8s.io "fast" not found.'
    )


@pytest.mark.parametrize(
    ("said", "text", "final"),
    [
        ("rpc error: code = NotFound desc = failed to pull and unpack image: r/i:1: not found", "the registry does not have it", True),
        ("pull access denied, repository does not exist or may require authorization", "the registry does not", True),
        ("pull access denied: server message: insufficient_scope: authorization failed", "or does not let this cluster have it", True),
        ("failed to authorize: 401 Unauthorized", "does not let this cluster have it", True),
        ("unexpected status from HEAD request to http://r:5001/v2/i/manifests/1: 403 Forbidden", "does not let this cluster have it", True),
        # numbers of ports and digests are no answers of the registry
        ("something new of r:5000 and sha256:" + "429403" * 10 + "5020", "something new of r:5000", False),
        ("no match for platform in manifest: not found", "it has none for this node's architecture (amd64)", True),
        ("toomanyrequests: You have reached your pull rate limit", "too many requests", False),
        ("dial tcp: lookup registry.example.org: no such host", "does not answer", False),
        ("write /var/lib/x: no space left on device", "the node's disk is full", False),
        ("something new", "something new", False),
    ],
)
@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff"])
def test_images(reason, said, text, final):
    one = pod(node="n1", status=waiting(reason, 'Back-off pulling image "r/i:1"' if reason == "ImagePullBackOff" else said))
    found = explained(one, [event("Failed", f'Failed to pull image "r/i:1": {said}')], where=pool())
    assert found.code == "image"
    assert found.sentence.startswith("The image r/i:1 cannot be pulled: ")
    assert text in found.sentence
    assert found.final is final
    assert "it@example.org" in found.hint


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (
            'MountVolume.SetUp failed for volume "x" : secret "key" not found',
            "The volume x cannot be mounted on node n1: the Secret key does not exist.",
        ),
        (
            'MountVolume.SetUp failed for volume "pvc-1" : driver name cvmfs.csi.cern.ch not found in the list of registered CSI drivers',
            "The home directory cannot be mounted on node n1: the node has no driver cvmfs.csi.cern.ch for it.",
        ),
        (
            'MountVolume.SetUp failed for volume "obs-cvmfs" : rpc error: code = Unavailable desc = connection error: desc = "transport: '
            'Error while dialing: dial unix /var/lib/kubelet/plugins/x/csi.sock: connect: connection refused"',
            "CVMFS cannot be mounted on node n1: the node's storage driver does not run.",
        ),
        (
            'AttachVolume.Attach failed for volume "ns-data" : timed out waiting for external-attacher of tape.example.org CSI driver to '
            "attach volume tape",
            "The volume data cannot be mounted on node n1: the cluster has no driver tape.example.org that answers.",
        ),
        (
            "Unable to attach or mount volumes: unmounted volumes=[home], unattached volumes=[]: timed out waiting for the condition",
            "The home directory cannot be mounted on node n1: its server or driver does not answer in time.",
        ),
        (
            'MountVolume.SetUp failed for volume "data" : hostPath type check failed: /data is not a directory',
            "The volume data cannot be mounted on node n1: the node has no /data.",
        ),
    ],
)
def test_volumes(said, sentence):
    one = pod(
        node="n1",
        spec={
            "nodeName": "n1",
            "volumes": [
                {"name": "home", "persistentVolumeClaim": {"claimName": "c"}},
                {"name": "data", "hostPath": {"path": "/data"}},
                {"name": "x", "secret": {}},
            ],
        },
        status=waiting("ContainerCreating"),
    )
    found = explained(one, [event("FailedMount", said, ago=3), event("Scheduled", ago=60, kind="Normal")])
    assert found.sentence == sentence
    later = explained(one, [event("FailedMount", said, ago=3), event("Pulled", ago=1, kind="Normal")])
    assert later.code == "preparing"


def test_silence_is_an_answer_too():
    volumes = [
        {"name": "cvmfs", "persistentVolumeClaim": {"claimName": "afkit-cvmfs"}},
        {"name": "home", "persistentVolumeClaim": {"claimName": "h"}},
    ]
    one = pod(node="n1", spec={"nodeName": "n1", "volumes": volumes}, status=waiting("ContainerCreating"))
    quiet = [event("Pulled", ago=5, kind="Normal")]
    assert explained(one, quiet).code == "preparing"
    found = explained(one, [event("Pulled", ago=20, kind="Normal")])
    assert found.code == "silent"
    assert found.sentence == (
        "Node n1 has said nothing for 20 s while it prepares the server's volumes: probably CVMFS does not answer there (it also has home)."
    )
    assert not found.final
    without = {"nodeName": "n1", "volumes": [*volumes[1:], {"name": "tape", "csi": {"driver": "tape.example.org"}}]}
    assert explained(
        pod(node="n1", spec=without, status=waiting("ContainerCreating")), [event("Pulled", ago=20, kind="Normal")]
    ).sentence == (
        "Node n1 has said nothing for 20 s while it prepares the server's volumes: "
        "probably the storage of home or tape does not answer there."
    )
    plain = pod(node="n1", status=waiting("ContainerCreating"))
    assert explained(plain, [event("Pulled", ago=20)]).sentence == "Node n1 has said nothing about the server for 20 s."
    assert explained(plain, [event("Pulling", ago=90)]).sentence == "The image r/i:1 is being pulled to node n1, for 90 s now."


def test_what_a_node_refuses_to_make():
    missing = explained(pod(node="n1", status=waiting("CreateContainerConfigError", 'secret "vault" not found')))
    assert missing.sentence == "The Secret vault, which the server needs, does not exist."
    key = explained(pod(node="n1", status=waiting("CreateContainerConfigError", "couldn't find key token in Secret ns/vault")))
    assert key.sentence == "The key token of the Secret vault, which the server needs, does not exist."
    sandbox = explained(pod(node="n1", status=waiting("ContainerCreating")), [event("FailedCreatePodSandBox", "no network")])
    assert sandbox.sentence == "Node n1 cannot prepare the server's pod: no network."


def test_programs_that_end():
    crash = waiting("CrashLoopBackOff", lastState={"terminated": {"exitCode": 127, "reason": "Error"}}, restartCount=3)
    found = explained(pod(node="n1", status=crash))
    assert (found.code, found.final) == ("crash", True)
    assert "ended with code 127" in found.sentence
    crash["containerStatuses"][0]["lastState"]["terminated"]["reason"] = "OOMKilled"
    assert (
        explained(pod(node="n1", status=crash)).sentence == "Its container notebook needed more memory than its size allows and was ended."
    )
    init = {"initContainerStatuses": [{"name": "prepare", "state": {"terminated": {"exitCode": 1}}, "restartCount": 0}]}
    assert "container prepare ended with code 1" in explained(pod(node="n1", status=init, phase="Failed")).sentence


@pytest.mark.parametrize(
    ("status", "code", "text"),
    [
        (
            {"reason": "Evicted", "message": "The node was low on resource: memory."},
            "evicted",
            "Its node ran short and ended the server (The node was low",
        ),
        ({"reason": "Preempting"}, "preempted", "Something more important needed the room"),
        ({"reason": "NodeLost"}, "node-lost", "Its node does not answer any more."),
        ({"reason": "OutOfcpu", "message": "Node didn't have enough"}, "no-node", "Its node was full"),
        ({"reason": "Whatever", "message": "why"}, "refused", "Its node refused the server (why)."),
        (
            {"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}]},
            "evicted",
            "emptied for service",
        ),
    ],
)
def test_servers_that_were_ended(status, code, text):
    found = explained(pod(node="n1", phase="Failed", status=status))
    assert (found.code, found.final) == (code, True)
    assert text in found.sentence


def test_a_pod_that_is_taken_away_while_it_starts():
    gone = {"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}]}
    found = explained(pod(node="n1", status=gone, metadata={"deletionTimestamp": at(-20)}))
    assert (found.code, found.final) == ("preempted", True)
    assert explained(None).final


@pytest.mark.parametrize(
    ("reason", "code"), [("PreemptionByScheduler", "preempted"), ("DeletionByPodGC", "node-lost"), ("EvictionByEvictionAPI", "evicted")]
)
def test_why_a_pod_is_gone_is_what_was_last_heard_of_it(reason, code):
    told = {"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": reason}]}
    assert explain_gone(pod(node="n1", status=told)).code == code
    assert explain_gone(pod(node="n1", phase="Running")).code == explain_gone(None).code == "gone"
    assert explained(pod(node="n1", status=told)).code == code, "its deletion follows"


def test_storage_that_goes_with_a_pod_is_named_by_its_mount():
    spec = {"volumes": [{"name": "scratch", "ephemeral": {"volumeClaimTemplate": {}}}]}
    waits = unscheduled("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.")
    said = {"jupyter-ada-scratch": [event("ProvisioningFailed", 'storageclass.storage.k8s.io "tape" not found')]}
    found = explained(pod(status=waits, spec=spec), claims=said)
    assert found.sentence == 'There is no storage for the mount scratch: storageclass.storage.k8s.io "tape" not found.'
    assert "(claims: jupyter-ada-scratch)" in explained(pod(status=waits, spec=spec)).sentence


def test_a_node_that_is_lost():
    one = pod(node="n1", status=waiting("ContainerCreating"))
    found = explained(one, (), uses([node("n1", ready="Unknown")]))
    assert found.sentence == "Node n1, on which the server starts, does not answer."
    # one that has just been taken in may not be heard of yet
    assert not explained(one, (), uses([])).final
    bound = [{"type": "PodScheduled", "status": "True", "lastTransitionTime": at(20)}]
    lost = explained({**one, "status": {**one["status"], "conditions": bound}}, (), uses([]))
    assert (lost.final, lost.sentence) == (True, "Node n1, on which the server starts, does not exist any more.")


def test_ready_and_nearly():
    running = {"containerStatuses": [{"name": "notebook", "state": {"running": {}}}]}
    assert explained(pod(node="n1", status=running)).code == "starting"
    ready = {**running, "conditions": [{"type": "Ready", "status": "True"}]}
    assert explained(pod(node="n1", status=ready)).progress == 100


def test_what_will_not_go():
    going = pod(node="n1", metadata={"deletionTimestamp": at(-5)})
    assert explain_stop(going, now=NOW).code == "stopping"
    stuck = pod(node="n1", metadata={"deletionTimestamp": at(40)})
    found = explain_stop(stuck, now=NOW)
    assert found.code == "stuck"
    assert found.sentence.startswith("The server should have ended 40 s ago and has not: a process in it cannot be ended")
    assert "its node n1 does not answer" in explain_stop(stuck, now=NOW, nodes=uses([node("n1", ready="Unknown")])).sentence


@pytest.mark.parametrize(
    ("status", "said", "code", "text"),
    [
        (
            403,
            'pods "ada" is forbidden: exceeded quota: afkit, requested: requests.cpu=2, used: requests.cpu=3, limited: requests.cpu=4',
            "quota",
            "Your quota afkit has no room for it: it asks for requests.cpu=2, in use are requests.cpu=3, and the most is requests.cpu=4.",
        ),
        (
            403,
            'pods "a" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true',
            "security",
            "rule restricted:latest refuses it: runAsNonRoot",
        ),
        (
            403,
            "pods \"a\" is forbidden: ValidatingAdmissionPolicy 'no-gpu' with binding 'b' denied request: not on Sundays",
            "policy",
            "rule no-gpu refuses it: not on Sundays.",
        ),
        (400, 'admission webhook "v.example.org" denied the request: bad image', "policy", "rule v.example.org refuses it: bad image."),
        (403, "unable to create new content in namespace x because it is being terminated", "namespace", "is being deleted"),
        (
            403,
            'pods "a" is forbidden: no PriorityClass with name gold was found',
            "absent",
            "The cluster has no priority class gold, which",
        ),
        (
            403,
            'pods "a" is forbidden: pod rejected: RuntimeClass "kata" not found',
            "absent",
            "The cluster has no runtime class kata, which",
        ),
        (422, "Pod is invalid: spec.x: Required", "refused", "spec.x"),
        (0, "The API server cannot be reached.", "no-answer", "cannot be reached"),
    ],
)
def test_refusals(status, said, code, text):
    found = explain_refusal(KubernetesError(said, status=status, reason="Forbidden"), "it@example.org")
    assert (found.code, found.final) == (code, True)
    assert text in found.sentence
    assert "it@example.org" in found.hint
