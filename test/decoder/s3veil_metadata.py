"""The metadata MAC of crypto/FORMAT.md 6.1, part of the independent decoder."""
import base64, datetime, re
from s3veil_format import Bad, expand, lp, mac, need

SYSTEM = "cache-control", "content-disposition", "content-encoding", "content-language", "content-type", "expires"
FIXDATE = "%a, %d %b %Y %H:%M:%S GMT"

def word(m):  # RFC 2047, UTF-8; undecodable words stay
    try:
        if m[1] in "bB": return base64.b64decode(m[2], validate=True).decode()
        need(not re.search("=(?![0-9A-Fa-f]{2})", m[2]), "metadata", "Q")
        return bytes(re.sub(rb"=(..)", lambda h: bytes([int(h[1], 16)]), m[2].replace("_", " ").encode(), flags=re.S)).decode()
    except (ValueError, Bad): return None

def words(value):
    out, end, after = "", 0, False
    for m in re.finditer(r"=\?[uU][tT][fF]-8\?([bBqQ])\?([!->@-~]*)\?=", value):
        if (text := word(m)) is None: continue
        gap = value[end:m.start()]
        out, end, after = out + ("" if after and not gap.strip(" \t\r\n") else gap) + text, m.end(), True
    return out + value[end:]

def metadata_mac(dek, fields):  # 6.1
    joined, by_name = {}, {}
    for name, value in fields:
        name = name.lower()
        if name in SYSTEM or name.startswith("x-amz-meta-") and not name.startswith("x-amz-meta-s3veil"):
            joined[name] = joined[name] + "," + value if name in joined else value
    for name, value in joined.items():
        value = words(value.strip(" \t\r\n"))
        if name == "content-encoding":
            value = ",".join(i for i in (i.strip(" \t\r\n") for i in value.split(",")) if i not in ("", "aws-chunked"))
            if not value: continue
        if name == "expires":
            try: ok = datetime.datetime.strptime(value, FIXDATE).strftime(FIXDATE) == value
            except ValueError: ok = False
            if not ok: continue
        by_name.setdefault(name.replace("_", "-").encode(), []).append(value.encode("utf-8", "surrogateescape"))
    return mac(expand(dek, b"s3veil/1/meta"), b"".join(lp(n, b",".join(sorted(v))) for n, v in sorted(by_name.items())))
