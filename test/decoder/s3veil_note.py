"""The notes of the parts of an open upload (crypto/FORMAT.md 9.9)."""
import hashlib, re
from s3veil_format import AESGCM, SUMS, hkdf, lp, need, unbase64, unseal

def open_note(name, secret, upstream, bucket, key):  # secret: the DEK or TLV 09; returns part number, ETag digest and checksums
    digest = hashlib.sha256(upstream).digest()
    found = re.fullmatch(r"\.s3veil/u/%s\.(\d{5})\.([^.]*)" % digest.hex(), name)
    need(found and 1 <= int(found[1]) <= 10000, "note", "name")
    part, sealed = int(found[1]), unbase64(found[2], "note")
    need(len(sealed) >= 28, "note", "length")
    aad = b"s3veil/1/aad" + lp(upstream, bucket, key) + part.to_bytes(2, "big")
    plain = unseal(AESGCM(hkdf(secret, digest, b"s3veil/1/partnote")), sealed[:12], sealed[12:], aad, "note")
    need(len(plain) > 16 and (plain[16] == 0 or plain[16] in SUMS), "note", "algorithm")
    end = 17 + SUMS.get(plain[16], 0)
    need(len(plain) in (end, end + 8) and not (plain[16] == 3 and len(plain) > end), "note", "values")
    return part, plain
