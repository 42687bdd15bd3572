"""Keys, certificates and signed tokens, made up for a test."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
import textwrap
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import ExtendedKeyUsageOID

if TYPE_CHECKING:
    from pathlib import Path


class SigningKey:
    """Signs JWTs as an identity provider does."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())

    @property
    def public_key(self) -> str:
        """In PEM."""
        encoded = self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return encoded.decode()

    def sign(self, **claims: Any) -> str:
        """Return a JWT that is valid for an hour, unless the claims say otherwise.

        See RFC 7519 for the token and section 3.4 of RFC 7518 for the signature.
        """
        now = int(time.time())
        claims = {"iat": now, "nbf": now - 60, "exp": now + 3600, **claims}
        signed = f"{_encode({'alg': 'ES256', 'typ': 'JWT'})}.{_encode(claims)}"
        signature = self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256()))
        r, s = decode_dss_signature(signature)
        return f"{signed}.{_base64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


class Authority:
    """A certificate authority."""

    def __init__(
        self,
        name: str,
        *,
        curve: ec.EllipticCurve | None = None,
        signature_hash: hashes.SHA256 | hashes.SHA512 | None = None,
    ) -> None:
        """Make up a key.

        Args:
            name: The authority's.
            curve: Of its key; P-256 if not given.
            signature_hash: What its signatures are made over; SHA-256 if not given.
        """
        self._key = ec.generate_private_key(curve or ec.SECP256R1())
        self._hash: hashes.SHA256 | hashes.SHA512 = signature_hash or hashes.SHA256()
        self._name = _name(name)
        self._certificate = _sign(
            self._name, self._key.public_key(), self._name, self._key, self._hash, Use(is_ca=True)
        )

    @property
    def certificate(self) -> str:
        """The authority's own certificate in PEM."""
        return _pem(self._certificate)

    def issue(
        self, name: str, directory: Path, address: str | None = None, **use: Any
    ) -> tuple[Path, Path]:
        """Issue a certificate; return the files of it and of its key.

        Args:
            name: Whose it is, and what the files are called.
            directory: Where they are written.
            address: The IP address of a server; `None` for a client.
            use: The other fields of `Use`.
        """
        wanted = Use(address=address, **use)
        key = ec.generate_private_key(wanted.curve)
        certificate = _sign(
            _name(name), key.public_key(), self._name, self._key, self._hash, wanted
        )
        content = _pem(certificate)
        if wanted.version == 1:
            content = _pem_of_version_1(certificate, self._key, self._hash)
        return _write(name, directory, content, key)


@dataclass(frozen=True)
class Use:
    """What a certificate is for."""

    address: str | None = None
    """The IP address of a server; `None` for a client, unless there are names."""
    names: Sequence[str] = ()
    """The names of a server."""
    is_ca: bool = False
    """Whether it may sign others."""
    purposes: Sequence[x509.ObjectIdentifier] | None = None
    """Its extended key usage: by default a server's or a client's, and none of an authority."""
    curve: ec.EllipticCurve = field(default_factory=ec.SECP256R1)
    """Of its key."""
    valid_from: datetime.timedelta = datetime.timedelta(minutes=-5)
    valid_to: datetime.timedelta = datetime.timedelta(days=1)
    """When it is valid, from now on."""
    version: Literal[1, 3] = 3
    """Of X.509. Version 1 says nothing of what a certificate is for."""

    @property
    def extended_key_usage(self) -> Sequence[x509.ObjectIdentifier]:
        """What the key may be used for; nothing for whatever it is good for."""
        if self.purposes is not None or self.is_ca:
            return self.purposes or ()
        is_server = self.address or self.names
        return [ExtendedKeyUsageOID.SERVER_AUTH if is_server else ExtendedKeyUsageOID.CLIENT_AUTH]


def self_signed(name: str, directory: Path, **use: Any) -> tuple[Path, Path]:
    """Make the certificate of a server that is its own authority, as `openssl req -x509` does.

    Args:
        name: What it and the files are called.
        directory: Where the certificate and its key are written.
        use: The fields of `Use`.
    """
    wanted = Use(is_ca=True, **use)
    key = ec.generate_private_key(wanted.curve)
    certificate = _sign(_name(name), key.public_key(), _name(name), key, hashes.SHA256(), wanted)
    return _write(name, directory, _pem(certificate), key)


def _write(
    name: str, directory: Path, certificate: str, key: ec.EllipticCurvePrivateKey
) -> tuple[Path, Path]:
    certificate_path, key_path = directory / f"{name}.pem", directory / f"{name}-key.pem"
    certificate_path.write_text(certificate)
    key_path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate_path, key_path


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _pem_of_version_1(
    certificate: x509.Certificate,
    issuers_key: ec.EllipticCurvePrivateKey,
    signature_hash: hashes.SHA256 | hashes.SHA512,
) -> str:
    """Sign what a certificate of version 3 has in common with one of version 1.

    See section 4.1 of RFC 5280. No library makes such certificates any more.
    """
    fields = _elements(_elements(certificate.tbs_certificate_bytes)[0][1])
    # Serial number, algorithm, issuer, validity, subject and key; no version, no extensions.
    kept = b"".join(whole for tag, _, whole in fields if tag not in (0xA0, 0xA3))
    signed = _element(0x30, kept)
    algorithm = fields[2][2]
    signature = issuers_key.sign(signed, ec.ECDSA(signature_hash))
    der = _element(0x30, signed + algorithm + _element(0x03, b"\0" + signature))
    lines = "\n".join(textwrap.wrap(base64.b64encode(der).decode(), 64))
    return f"-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n"


def _elements(der: bytes) -> list[tuple[int, bytes, bytes]]:
    """Return the elements of DER that follow each other: tag, content, and all of it."""
    elements = []
    while der:
        length, start = der[1], 2
        if length >= 0x80:
            start += length - 0x80
            length = int.from_bytes(der[2:start], "big")
        elements.append((der[0], der[start : start + length], der[: start + length]))
        der = der[start + length :]
    return elements


def _element(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 + len(octets)]) + octets + content


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def _sign(
    subject: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    issuer: x509.Name,
    issuers_key: ec.EllipticCurvePrivateKey,
    signature_hash: hashes.SHA256 | hashes.SHA512,
    use: Use,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + use.valid_from)
        .not_valid_after(now + use.valid_to)
        .add_extension(x509.BasicConstraints(ca=use.is_ca, path_length=None), critical=True)
        # Without these Python 3.13 trusts nobody; see section 4.2.1 of RFC 5280.
        .add_extension(_usage(use.is_ca), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuers_key.public_key()),
            critical=False,
        )
    )
    if use.extended_key_usage:
        purposes = x509.ExtendedKeyUsage(use.extended_key_usage)
        builder = builder.add_extension(purposes, critical=False)
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in use.names]
    if use.address:
        names.append(x509.IPAddress(ipaddress.ip_address(use.address)))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(issuers_key, signature_hash)


def _usage(is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        # An authority that is a server itself signs handshakes as well.
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )


def _encode(part: dict[str, Any]) -> str:
    return _base64(json.dumps(part).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
