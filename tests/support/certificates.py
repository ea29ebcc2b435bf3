"""Authorities and what they issue, for tests of TLS; files are PEM in a folder.

    authority = Authority(folder, "one")
    server = authority.issue("api.internal", "127.0.0.1")
    context.load_cert_chain(server.certificate, server.key)
"""

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


@dataclass
class Issued:
    certificate: Path
    key: Path


def write_key(key, path, phrase=None):
    locked = (serialization.BestAvailableEncryption(phrase) if phrase
              else serialization.NoEncryption())
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM,
                                       serialization.PrivateFormat.PKCS8, locked))


def names_of(texts):
    for text in texts:
        try:
            yield x509.IPAddress(ipaddress.ip_address(text))
        except ValueError:
            yield x509.DNSName(text)


class Authority:
    def __init__(self, folder, name):
        self.folder = Path(folder)
        self.name = name
        self.count = 0
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.file = self.folder / f"{name}-ca.pem"
        self.file.write_bytes(self._signed(self.subject, self.key, None, DAY * 365, True))

    def _signed(self, subject, key, names, ends, is_authority=False):
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(self.subject)
                   .public_key(key.public_key()).serial_number(x509.random_serial_number())
                   .not_valid_before(now - 30 * DAY).not_valid_after(now + ends)
                   .add_extension(x509.BasicConstraints(is_authority, None), critical=True))
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def issue(self, *names, ends=30 * DAY):
        """`ends`: from now on, a negative one is over."""
        self.count += 1
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{self.name} {self.count}")])
        issued = Issued(self.folder / f"{self.name}-{self.count}.pem",
                        self.folder / f"{self.name}-{self.count}.key")
        issued.certificate.write_bytes(self._signed(subject, key, list(names_of(names)), ends))
        write_key(key, issued.key)
        return issued
