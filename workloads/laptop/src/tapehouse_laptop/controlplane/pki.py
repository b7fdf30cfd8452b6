"""The control plane's certificates, made with `cryptography` and kept beside the data."""

import base64
import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tapehouse_laptop.state import write_atomically

LIFETIME = datetime.timedelta(days=3650)
SERVICE_ADDRESS = "10.96.0.1"
SERVER_NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a client certificate speaks for: RBAC user and group."""

    name: str
    user: str
    group: str = ""


ADMIN = Identity("admin", "admin", "system:masters")
CONTROLLER_MANAGER = Identity("kube-controller-manager", "system:kube-controller-manager")
SCHEDULER = Identity("kube-scheduler", "system:kube-scheduler")
KUBELET_CLIENT = Identity("kubelet-client", "kube-apiserver-kubelet-client")
"""The API server, to the node."""
CLIENTS = (ADMIN, CONTROLLER_MANAGER, SCHEDULER, KUBELET_CLIENT)


@dataclass(frozen=True, slots=True)
class Pki:
    """The files in one directory, all made by `ensure`."""

    directory: Path

    def file(self, name: str) -> Path:
        """`ca.crt`, `apiserver.key`, `service-accounts.key`, …"""
        return self.directory / name

    def ensure(self, address: str) -> None:
        """Make what is missing, for an API server at `address`; an address change renews all."""
        stamp = self.file("issued")
        wanted = " ".join([address, *(client.name for client in CLIENTS)])
        if stamp.exists() and stamp.read_text() == wanted:
            return
        authority = _Authority.create()
        self._write("ca", authority.key, authority.certificate)
        for client in CLIENTS:
            self._write(client.name, *authority.client(client))
        self._write("apiserver", *authority.server(address))
        if not self.file("service-accounts.key").exists():
            key = ec.generate_private_key(ec.SECP256R1())
            write_atomically(self.file("service-accounts.pub"), _public_pem(key))
            write_atomically(self.file("service-accounts.key"), _private_pem(key))
        write_atomically(stamp, wanted)

    def _write(
        self, name: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate
    ) -> None:
        write_atomically(self.file(f"{name}.key"), _private_pem(key))
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        write_atomically(self.file(f"{name}.crt"), pem)

    def kubeconfig(self, server: str, client: Identity, namespace: str = "default") -> str:
        """A kubeconfig, as YAML, with the certificate inline."""
        user = {
            "client-certificate-data": self._encoded(f"{client.name}.crt"),
            "client-key-data": self._encoded(f"{client.name}.key"),
        }
        return kubeconfig(server, self._encoded("ca.crt"), client.name, user, namespace)

    def _encoded(self, name: str) -> str:
        return base64.b64encode(self.file(name).read_bytes()).decode()


def kubeconfig(
    server: str, authority: str, name: str, user: dict[str, str], namespace: str = "default"
) -> str:
    """A kubeconfig, as YAML; `authority` is the CA's certificate in base64."""
    cluster = {"server": server, "certificate-authority-data": authority}
    context = {"cluster": "tapehouse", "user": name, "namespace": namespace}
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "tapehouse", "cluster": cluster}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": "tapehouse", "context": context}],
            "current-context": "tapehouse",
        },
        sort_keys=False,
    )


@dataclass(frozen=True, slots=True)
class _Authority:
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def create(cls) -> "_Authority":
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("tapehouse")
        certificate = (
            _builder(name, name, key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(signing=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        return cls(key, certificate)

    def client(self, who: Identity) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
        return self._issue(_name(who.user, who.group), ExtendedKeyUsageOID.CLIENT_AUTH, [])

    def server(self, address: str) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
        names: list[x509.GeneralName] = [x509.DNSName(name) for name in SERVER_NAMES]
        for ip in dict.fromkeys((address, "127.0.0.1", SERVICE_ADDRESS)):
            names.append(x509.IPAddress(ipaddress.ip_address(ip)))
        return self._issue(_name("kube-apiserver"), ExtendedKeyUsageOID.SERVER_AUTH, names)

    def _issue(
        self, subject: x509.Name, purpose: x509.ObjectIdentifier, names: list[x509.GeneralName]
    ) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
        key = ec.generate_private_key(ec.SECP256R1())
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = (
            _builder(subject, self.certificate.subject, key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signing=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(authority, critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return key, builder.sign(self.key, hashes.SHA256())


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _name(common: str, group: str = "") -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
    if group:
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group))
    return x509.Name(attributes)


def _usage(*, signing: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=not signing,
        key_cert_sign=signing,
        crl_sign=signing,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def _public_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
