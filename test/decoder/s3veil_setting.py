"""The plaintext of a bucket's default encryption (crypto/FORMAT.md 9.8)."""
from s3veil_format import need

def decode_setting(raw):
    need(5 <= len(raw) <= 4096 and raw[:4] == b"S3VC", "malformed", "magic or size")
    need(raw[4] == 1, "unsupported", "version")
    found, at = {}, 5
    while at < len(raw):
        need(at + 3 <= len(raw), "malformed", "attribute cut")
        typ, end = raw[at], at + 3 + int.from_bytes(raw[at + 1:at + 3], "big")
        need(end <= len(raw), "malformed", "attribute beyond the end")
        need(typ > max(found, default=0), "malformed", "order")
        need(1 <= typ <= 4 or typ >= 0x80, "unsupported", "attribute %02x" % typ)
        found[typ], at = raw[at + 3:end], end
    need(len(found.get(1, b"")) == 1 and found[1] != b"\0", "malformed", "type")
    need(not found.get(3) and not found.get(4), "malformed", "flag with a value")
    kind, name = found[1][0], found.get(2)
    need(kind in (1, 2), "unsupported", "encryption %d" % kind)
    if name is not None:
        need(kind == 2 and 1 <= len(name) <= 2048 and all(0x21 <= c <= 0x7e for c in name), "malformed", "key name")
    return {"type": kind, "key-name": name or b"", "bucket-key": int(3 in found), "block-customer": int(4 in found)}
