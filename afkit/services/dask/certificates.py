"""An authority and a certificate for one cluster: whoever has none of them neither joins it nor is believed by it."""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Mapping

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from afkit.pods.daskcluster import Material

__all__ = ["certify"]

_EARLIER = datetime.timedelta(minutes=10)
"""Clocks differ."""
_LATER = datetime.timedelta(days=7)
_LONGEST = datetime.timedelta(days=3650)


def certify(name: str, namespace: str, lifetime: int | None, programs: Mapping[str, str]) -> Material:
    """The material of a cluster whose objects have this name. Costs less than a millisecond."""
    now = datetime.datetime.now(datetime.UTC)
    until = now + (_LONGEST if lifetime is None else datetime.timedelta(seconds=lifetime) + _LATER)
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    # a name of its own: an authority that has the name of another one is taken for it
    authority_name = _name(f"{name}.{namespace} {secrets.token_hex(8)}")
    authority = (
        _begun(authority_name, authority_name, authority_key.public_key(), now - _EARLIER, until)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    host = f"{name}-scheduler"
    hosts = [host, *(f"{host}.{namespace}{end}" for end in ("", ".svc", ".svc.cluster.local"))]
    certificate = (
        _begun(_name(name[:64]), authority_name, key.public_key(), now - _EARLIER, until)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(one) for one in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    written = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Material(_text(authority), _text(certificate), written.decode(), secrets.token_urlsafe(32), programs)


def _text(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _begun(
    name: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, since: datetime.datetime, until: datetime.datetime
) -> x509.CertificateBuilder:
    begun = x509.CertificateBuilder().subject_name(name).issuer_name(issuer).public_key(key)
    return begun.serial_number(x509.random_serial_number()).not_valid_before(since).not_valid_after(until)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
