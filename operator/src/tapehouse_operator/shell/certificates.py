"""The certificates of the admission server: made and renewed by the operator itself. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_LIFETIME = timedelta(days=3650)
LIFETIME = timedelta(days=90)
RENEW_BEFORE = timedelta(days=30)
"""How long before its end a server certificate is replaced."""
RENEW_AUTHORITY_BEFORE = LIFETIME + RENEW_BEFORE
"""An authority outlives every certificate that it has signed."""
SKEW = timedelta(hours=1)
"""By how much another machine's clock may be behind ours."""

Key = ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Certificates:
    """All in PEM."""

    authorities: bytes
    """What clients trust: the current authority, then a former one that is still valid."""
    authority_key: bytes
    certificate: bytes
    key: bytes


def renewed(known: Certificates | None, hosts: Sequence[str], now: datetime) -> Certificates:
    """`known` itself while it is good for `hosts`; otherwise with what is due made again."""
    try:
        authorities = x509.load_pem_x509_certificates(known.authorities) if known else []
        leaf = x509.load_pem_x509_certificate(known.certificate) if known else None
        signer = _load_key(known.authority_key) if known else None
    except ValueError:  # not ours, or damaged
        authorities, leaf, signer = [], None, None
    valid = [a for a in authorities if now < a.not_valid_after_utc]
    due = not valid or valid[0].not_valid_after_utc - now < RENEW_AUTHORITY_BEFORE
    if known is not None and leaf is not None and not due and _is_good(leaf, hosts, now):
        return known
    if due or signer is None:
        signer = ec.generate_private_key(ec.SECP256R1())
        valid = [_authority(signer, now), *valid[:1]]
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _server(key, signer, valid[0], hosts, now)
    return Certificates(
        b"".join(_pem(a) for a in valid), _key_pem(signer), _pem(certificate), _key_pem(key)
    )


def _is_good(leaf: x509.Certificate, hosts: Sequence[str], now: datetime) -> bool:
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    lasts = leaf.not_valid_after_utc - now >= RENEW_BEFORE
    return lasts and list(names) == [_general_name(host) for host in hosts]


def _authority(key: Key, now: datetime) -> x509.Certificate:
    # The date makes names differ: a verifier finds an authority by name before it tries its key.
    name = _name(f"tapehouse admission authority {now:%Y-%m-%dT%H:%M:%S}")
    return (
        _builder(name, name, key, now, AUTHORITY_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signing=True), critical=True)
        .sign(key, hashes.SHA256())
    )


def _server(
    key: Key, signer: Key, authority: x509.Certificate, hosts: Sequence[str], now: datetime
) -> x509.Certificate:
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
    purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    return (
        _builder(_name("tapehouse admission"), authority.subject, key, now, LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signing=False), critical=True)
        .add_extension(purpose, critical=False)
        .add_extension(issuer, critical=False)
        .add_extension(names, critical=False)
        .sign(signer, hashes.SHA256())
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: Key, now: datetime, lifetime: timedelta
) -> x509.CertificateBuilder:
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + lifetime)
        .add_extension(identifier, critical=False)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(*, signing: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signing,
        crl_sign=signing,
        key_encipherment=False,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _load_key(pem: bytes) -> Key:
    key = serialization.load_pem_private_key(pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("not a key of an elliptic curve")
    return key


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
