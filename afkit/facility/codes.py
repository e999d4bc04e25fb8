"""Every code of a problem, with one sentence. Codes are stable: one is never given another meaning.

AF1xx: the file itself · AF2xx: keys and values · AF3xx: references · AF4xx: keys of ``session`` · AF5xx: sections that do not fit
together · AF6xx: what the cluster would refuse · AF7xx: images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Code:
    """A code, what it says in one sentence, its severity, and whether ``--strict`` makes an error of it."""

    code: str
    sentence: str
    severity: Severity = "error"
    strict: bool = False


_ALL: Final = (
    Code("AF101", "A file cannot be read."),
    Code("AF102", "A file is larger than 1 MiB and is not read."),
    Code("AF103", "A file is no UTF-8 text, or has control characters."),
    Code("AF104", "A file is no YAML."),
    Code("AF105", "A key stands twice in one mapping."),
    Code("AF106", "A value has a YAML tag."),
    Code("AF107", "Aliases expand to more than 10,000 nodes."),
    Code("AF108", "An alias names no anchor that stands before it."),
    Code("AF109", "Values are nested too deeply."),
    Code("AF110", "A key is no text."),
    Code("AF111", "A file is not one mapping of sections."),
    Code("AF112", "A null stands where there is nothing to remove."),
    Code("AF113", "The version of the format is missing, or is not known."),
    Code("AF114", "A file cannot extend what it names."),
    Code("AF115", "A null removes a key that the extended file does not have.", "warning"),
    Code("AF116", "A file has more problems than are listed."),
    Code("AF201", "A key is not known."),
    Code("AF202", "A key is missing."),
    Code("AF203", "A value has the wrong type."),
    Code("AF204", "A value is none of the words that its key takes."),
    Code("AF205", "A value is no amount as Kubernetes writes it."),
    Code("AF206", "A value is no duration."),
    Code("AF207", "A name breaks the rule of names."),
    Code("AF208", "A secret is written in the file."),
    Code("AF209", "A value does not say where a secret is read from."),
    Code("AF210", "A text has a placeholder that does not exist."),
    Code("AF211", "A value is no address that can be used here."),
    Code("AF212", "A value is no path that can be used here."),
    Code("AF213", "Of several keys exactly one must stand."),
    Code("AF214", "A key does not belong where it stands."),
    Code("AF215", "A name, key or value is reserved."),
    Code("AF216", "A number is out of its range."),
    Code("AF217", "A text does not have the form that its key takes."),
    Code("AF218", "A list names a thing twice."),
    Code("AF219", "A value is no image reference, or no pattern of references."),
    Code("AF220", "A key that Kubernetes needs is missing."),
    Code("AF301", "A group does not exist."),
    Code("AF302", "A pool does not exist, or is not one of the profile's."),
    Code("AF303", "An image does not exist."),
    Code("AF304", "A size does not exist."),
    Code("AF305", "An option does not exist."),
    Code("AF306", "A shared mount does not exist."),
    Code("AF307", "An issuer does not exist."),
    Code("AF308", "No `cvmfs` section declares a repository."),
    Code("AF401", "An environment variable is set by the facility itself."),
    Code("AF402", "A key is not known to Kubernetes."),
    Code("AF403", "A value has not the type that Kubernetes takes."),
    Code("AF404", "A part of the Pod belongs to another key of the file."),
    Code("AF405", "A part of the main container is given twice."),
    Code("AF406", "A volume has a name that `storage` or afkit uses."),
    Code("AF407", "A key of `kubespawner` is no trait of KubeSpawner."),
    Code("AF408", "KubeSpawner refuses a value."),
    Code("AF409", "A trait of KubeSpawner belongs to another key of the file."),
    Code("AF410", "Keys of `kubespawner` were not checked.", "warning"),
    Code("AF411", "An entry of a list has not the key by which layers are merged."),
    Code("AF412", "A trait of KubeSpawner is the same for all servers of a hub."),
    Code("AF501", "A profile has no combination that some pool can run."),
    Code("AF502", "An image has no partner in its profile."),
    Code("AF503", "A pool has no partner in its profile."),
    Code("AF504", "An image needs a newer driver than every pool of its profile has."),
    Code("AF505", "A size fits no pool of its profile."),
    Code("AF506", "A size takes no accelerator of an accelerated pool."),
    Code("AF507", "Nobody can be in a group."),
    Code("AF508", "Nobody can see a profile."),
    Code("AF509", "A limit is below the smallest size of every profile that its group sees."),
    Code("AF510", "Two pools offer different accelerators as one resource, and nothing tells their nodes apart."),
    Code("AF511", "An issuer is not reached by https."),
    Code("AF512", "Issuers can give two people the same login name."),
    Code("AF513", "Issuers share an address, and nothing tells their people apart."),
    Code("AF514", "A home that one node can mount is wanted by several.", "warning"),
    Code("AF515", "Per-user namespaces cannot share a claim or a driver."),
    Code("AF516", "Without admission policies per-user namespaces could mount what they must not."),
    Code("AF517", "The dialect `hub` stands beside other issuers."),
    Code("AF518", "Two mounts of one server have the same path."),
    Code("AF519", "Profiles are too large to be checked whole.", "warning"),
    Code("AF601", "The level of `pod_security` refuses what the file asks for."),
    Code("AF701", "An image has a tag and no digest.", "warning", strict=True),
    Code("AF702", "An image has no tag, or the tag `latest`, and is pulled at every start.", "warning", strict=True),
)

CODES: Final = {code.code: code for code in _ALL}
"""Every code by its name, in order."""
