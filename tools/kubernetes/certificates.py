"""The cluster's certificate authority, certificates and kubeconfigs; they live as long as the cluster."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tools.kubernetes.layout import API_PORT, API_SERVICE, DOMAIN, NODE, NODE_ADDRESS, Layout


@dataclass(frozen=True, slots=True)
class Identity:
    """A program's name towards the API server: a user, and its groups."""

    name: str
    user: str
    groups: tuple[str, ...] = ()


IDENTITIES = (
    Identity("admin", "admin", ("system:masters",)),
    Identity("controllers", "system:kube-controller-manager"),
    Identity("scheduler", "system:kube-scheduler"),
    Identity("kubelet", f"system:node:{NODE}", ("system:nodes",)),
    Identity("proxy", "system:kube-proxy"),
    Identity("coredns", "system:coredns"),
    Identity("kwok", "kwok", ("system:masters",)),
    Identity("to-kubelets", "kube-apiserver", ("system:masters",)),
)
DAYS = 30


class Authority:
    """Signs certificates with a key of its own."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = name_of("afkit-test-cluster")
        self.certificate = (
            builder(self._name, self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    def pem(self) -> bytes:
        """The authority's own certificate."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def sign(self, user: str, groups: Sequence[str] = (), hosts: Sequence[str] = ()) -> tuple[bytes, bytes]:
        """A certificate and its key as PEM, for a client and, with ``hosts`` (names and addresses), for a server."""
        key = ec.generate_private_key(ec.SECP256R1())
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH, *([ExtendedKeyUsageOID.SERVER_AUTH] if hosts else [])]
        built = builder(name_of(user, groups), self._name, key).add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        if hosts:
            built = built.add_extension(x509.SubjectAlternativeName([host(text) for text in hosts]), critical=False)
        return built.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM), key_pem(key)


def write(layout: Layout, forwarded_port: int) -> None:
    """Write all certificates, keys and kubeconfigs of a cluster whose API is on 127.0.0.1:``forwarded_port`` of the machine too."""
    authority = Authority()
    layout.certificate("ca").write_bytes(authority.pem())
    inside = f"https://{NODE_ADDRESS}:{API_PORT}"
    for identity in IDENTITIES:
        certificate, key = authority.sign(identity.user, identity.groups)
        save(layout.certificate(identity.name), certificate)
        save(layout.key(identity.name), key)
        save(layout.kubeconfig_of(identity.name), kubeconfig(inside, authority.pem(), certificate, key))
        if identity.name == "admin":
            save(layout.kubeconfig, kubeconfig(f"https://127.0.0.1:{forwarded_port}", authority.pem(), certificate, key))
    names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", f"kubernetes.default.svc.{DOMAIN}", "localhost"]
    servers = {
        "apiserver": [*names, "127.0.0.1", API_SERVICE, NODE_ADDRESS],
        "kubelet-server": [NODE, "localhost", "127.0.0.1", NODE_ADDRESS],
    }
    for name, hosts in servers.items():
        certificate, key = authority.sign(name, (), hosts)
        save(layout.certificate(name), certificate)
        save(layout.key(name), key)
    save(layout.key("service-accounts"), key_pem(ec.generate_private_key(ec.SECP256R1())))


def save(file: Path, content: bytes) -> None:
    """Write a file that its owner alone may read."""
    file.touch(mode=0o600)
    file.write_bytes(content)


def kubeconfig(server: str, authority: bytes, certificate: bytes, key: bytes) -> bytes:
    """A kubeconfig that needs no other file (JSON is YAML)."""
    text = {name: base64.b64encode(value).decode() for name, value in (("ca", authority), ("certificate", certificate), ("key", key))}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "afkit", "cluster": {"server": server, "certificate-authority-data": text["ca"]}}],
            "users": [{"name": "afkit", "user": {"client-certificate-data": text["certificate"], "client-key-data": text["key"]}}],
            "contexts": [{"name": "afkit", "context": {"cluster": "afkit", "user": "afkit"}}],
            "current-context": "afkit",
        },
        indent=1,
    ).encode()


def builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    """What all certificates have in common; valid from an hour ago, since clocks differ."""
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=DAYS))
    )


def name_of(user: str, groups: Sequence[str] = ()) -> x509.Name:
    """The subject that Kubernetes reads as this user in these groups."""
    organisations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*organisations, x509.NameAttribute(NameOID.COMMON_NAME, user)])


def host(text: str) -> x509.GeneralName:
    """A name or an address as certificates have it."""
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A private key as text; Go's readers take the traditional form everywhere."""
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
