"""Independent decoder of the s3veil object format, version 1: envelopes, tokens, manifests, streams, whole objects.
Written from crypto/FORMAT.md, whose sections the comments name; it shares no code with s3veil."""
import base64, hmac, re
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

P, SUMS = 65536, {1: 4, 2: 4, 3: 8, 4: 20, 5: 32, 6: 64, 7: 16, 8: 8, 9: 8, 10: 16}  # plaintext of a package; checksum algorithms and their lengths (5.4)
# attribute: length (None: any), then single PUT, multipart, token: R required, O optional, - forbidden, F with flag b1 (5.4)
TABLE = {1: (32, "RRR"), 2: (16, "RRR"), 3: (8, "R--"), 4: (32, "RR-"), 5: (8, "RR-"), 6: (16, "O--"), 7: (None, "O--"),
         8: (None, "FF-"), 9: (32, "-OO"), 10: (32, "--O"), 0x80: (1, "OOO"), 0x81: (2, "-OO")}

class Bad(Exception): pass  # args: class of section 12, reason
def need(ok, cls, why):
    if not ok: raise Bad(cls, why)

class Cut:  # a cursor over bytes; running over the end raises the class it was made with
    def __init__(self, data, cls): self.data, self.cls, self.at = data, cls, 0
    def more(self): return self.at < len(self.data)
    def num(self, n): return int.from_bytes(self.take(n), "big")
    def lp(self): return self.take(self.num(4))
    def take(self, n):
        need(self.at + n <= len(self.data), self.cls, "cut")
        self.at += n
        return self.data[self.at - n:self.at]

def lp(*parts): return b"".join(len(p).to_bytes(4, "big") + p for p in parts)
def mac(key, data): return hmac.digest(key, data, "sha256")
def expand(prk, info): return mac(prk, info + b"\1")  # 32 bytes are one block of HKDF
def hkdf(ikm, salt, info): return expand(mac(salt or bytes(32), ikm), info)
def enc(p): return p + 32 * -(-p // P)
def pad(n): return n if n < 2 else n + (m := (1 << (n.bit_length() - 1 - (n.bit_length() - 1).bit_length())) - 1) & ~m
def canonical(context): return b"".join(lp(k, v) for k, v in sorted(context.items()))
def bind(ikek, context): return hkdf(ikek, b"", b"s3veil/1/ikek" + canonical(context))
def realm_context(realm, pairs): return {b"s3veil": b"1", b"realm": realm, **pairs}

def unseal(aead, nonce, data, aad, cls):
    try: return aead.decrypt(nonce, data, aad)
    except InvalidTag: raise Bad(cls, "does not authenticate") from None

def unbase64(text, cls):
    need(re.fullmatch(r"[A-Za-z0-9_-]*", text) and len(text) % 4 != 1, cls, "base64url")
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    need(base64.urlsafe_b64encode(raw).rstrip(b"=").decode() == text, cls, "trailing bits")
    return raw

def lp_pairs(data, cls):  # LP(name) || LP(value), names strictly ascending
    cut, out = Cut(data, cls), []
    while cut.more():
        out.append((cut.lp(), cut.lp()))
        need(len(out) < 2 or out[-2][0] < out[-1][0], cls, "order of names")
    return out

def unwrap_blob(key, label, context, blob, cls):  # B.3
    need(len(blob) == 76, cls, "length of the blob")
    return unseal(AESGCM(hkdf(key, blob[:16], label + canonical(context))), blob[16:28], blob[28:], b"", cls)

def parse_text(text):  # 5.1
    need(text.startswith("1."), "unsupported" if re.match(r"[1-9][0-9]*\.", text) else "malformed", "prefix")
    return parse_envelope(unbase64(text[2:], "malformed"))

def parse_envelope(raw):  # 5.3
    cut = Cut(raw, "malformed")
    need(cut.take(3) == b"S3V", "malformed", "magic")
    version, suite, flags = cut.take(3)
    need(version == 1 and suite in (1, 2) and flags < 0x80, "unsupported", "version, suite or flags")
    need(flags & 0x30 != 0x30 and flags & 9 in (0, 9) and flags & 5 != 5, "malformed", "combination of flags")
    kid = cut.take(cut.num(1))
    need(re.fullmatch(rb"[A-Za-z0-9._-]{1,64}|@sse-c", kid), "malformed", "kid")
    wrapped, pairs = cut.take(cut.num(2)), {}
    need(1 <= len(wrapped) <= 1024, "malformed", "wrapped IKEK")
    if flags & 0x40:
        field = cut.take(cut.num(2))
        pairs = dict(lp_pairs(field, "malformed"))
        need(len(field) <= 512 and 1 <= len(pairs) <= 8 and not {b"", b"s3veil", b"realm"} & set(pairs) and kid != b"@sse-c", "malformed", "pairs")
        try: [x.decode() for pair in pairs.items() for x in pair]
        except UnicodeDecodeError: raise Bad("malformed", "pairs are not UTF-8") from None
    salt, commit, box = cut.take(32), cut.take(32), raw[cut.at:]
    need(len(cut.take(70)) == 70, "malformed", "box")
    return dict(head=raw[:6], suite=suite, flags=flags, kid=kid.decode(), wrapped=wrapped, pairs=pairs, salt=salt, commit=commit, box=box)

def located(flags, loc):  # 5.5: realm, bucket, key as the binding level sees them
    return loc[:3 - (flags >> 4 & 3)] + (b"",) * (flags >> 4 & 3)

def attributes(data, width, cls):  # type || length || value, strictly ascending
    cut, out = Cut(data, cls), {}
    while cut.more():
        kind = cut.num(1)
        need(kind > max(out, default=-1), cls, "order of attributes")
        out[kind] = cut.take(cut.num(width))
    return out

def open_envelope(env, bound, loc, kind):  # 5.7 steps 6 to 8; kind: 0 single PUT, 1 multipart, 2 token
    need((kind > 0) == bool(env["flags"] & 1), "envelope", "kind")
    prk = mac(env["salt"], bound)
    need(hmac.compare_digest(expand(prk, b"s3veil/1/commit"), env["commit"]), "commitment", "differs")
    aad = b"s3veil/1/aad" + lp(env["head"], env["salt"], env["commit"], *located(env["flags"], loc))
    plain = unseal(AESGCM(expand(prk, b"s3veil/1/seal")), bytes(12), env["box"], aad, "envelope")
    found, b1 = attributes(plain, 2, "envelope"), bool(env["flags"] & 2)
    for t, v in found.items():
        need(t in TABLE or t >= 0x80, "unsupported", "attribute %02x" % t)
        length, uses = TABLE.get(t, (None, "OOO"))
        need(uses[kind] != "-" and length in (None, len(v)), "envelope", "attribute %02x" % t)
    need(all(t in found for t, (_, uses) in TABLE.items() if uses[kind] == "R") and b1 == (8 in found), "envelope", "missing attribute")
    need(7 not in found or found[7] and SUMS.get(found[7][0]) == len(found[7]) - 1, "envelope", "checksum")
    need(8 not in found or len(found[8]) <= 2048, "envelope", "sealed metadata")
    lp_pairs(found.get(8, b""), "envelope")
    length = int.from_bytes(found.get(3, b""), "big")
    need((pad(length) if env["flags"] & 4 else length) <= 5 << 30, "malformed", "length")
    return plain, found

def open_token(text, bound, loc):  # 9.1
    cut = Cut(unbase64(text, "token"), "token")
    need(cut.num(1) == 1, "token", "version")
    upstream, rest = cut.take(cut.num(2)), cut.data[cut.at:]
    need(upstream and len(rest) > 16, "token", "lengths")
    try: plain, found = open_envelope(parse_envelope(rest[:-16]), bound, loc, 2)
    except Bad as e: raise Bad("token", e.args[1]) from None
    need(hmac.compare_digest(mac(expand(found[1], b"s3veil/1/uploadid"), lp(upstream, *loc[1:]))[:16], rest[-16:]), "token", "MAC")
    return upstream, plain

def open_manifest(raw, dek, oid, flags, loc):  # 9.4; dek: or TLV 09; returns M, its attributes and [(part, length)]
    need(63 <= len(raw) <= 1 << 20, "malformed", "size of the manifest")
    need(raw[:4] == b"S3VM", "manifest", "magic")
    need(raw[4] == 1, "unsupported", "version of the manifest")
    aad = b"s3veil/1/aad" + lp(raw[:21], *located(flags, loc), oid)
    plain = unseal(AESGCM(hkdf(dek, raw[5:21], b"s3veil/1/manifest")), bytes(12), raw[21:], aad, "manifest")
    cut, parts, last = Cut(plain, "manifest"), [], None
    n, total, runs = cut.num(4), cut.num(8), cut.num(2)
    for _ in range(runs):
        first, count, length = cut.num(2), cut.num(2), cut.num(8)
        need(count and first and first + count <= 10001 and (not parts or first > parts[-1][0]) and last != (first, length), "manifest", "runs")
        need(length <= 5 << 30, "malformed", "length of a part")
        parts += [(first + i, length) for i in range(count)]
        last = (first + count, length)
    need(1 <= len(parts) == n <= 10000 and sum(p for _, p in parts) == total, "manifest", "sums")
    found = attributes(plain[cut.at:], 4, "manifest")
    need(all(t >= 0x80 or 0x10 <= t <= 0x15 for t in found), "unsupported", "attribute")
    c, s = SUMS.get((found.get(0x13) or b"\0")[0], 1 << 30), found.get(0x12, b"\1\0____")
    lengths = {0x10: 16 * n, 0x11: 12 * n, 0x13: 1 + c * n, 0x14: 8, 0x15: 0}
    need(all(len(found[t]) == k for t, k in lengths.items() if t in found), "manifest", "attribute length")
    need(not {0x11, 0x15} <= set(found), "manifest", "provisional with R")
    need(len(s) > 2 and s[1] < 2 and SUMS.get(s[0]) == len(s) - 2, "manifest", "checksum")
    return plain, found, parts

def stream(read, suite, dek, part, p, want=b""):  # 7.2: yields the plaintext of each package; want: R if known
    n = -(-p // P)
    for i in range(n):
        m = min(P, p - i * P)
        package = read(m + 32)
        need(len(package) == m + 32, "stream", "early end")
        if i == 0:
            r = bytes([package[4] & 0x7f]) + package[5:16]
            need(want in (b"", r), "stream", "R")
            aead = (AESGCM, ChaCha20Poly1305)[suite - 1](hkdf(dek, r, b"s3veil/1/stream\0" + part.to_bytes(4, "big")))
        need(package[:16] == bytes([0x20, suite - 1]) + (m - 1).to_bytes(2, "little") + bytes([r[0] | (i == n - 1) << 7]) + r[1:], "stream", "header")
        nonce = package[4:12] + (int.from_bytes(package[12:16], "little") ^ i).to_bytes(4, "little")
        yield unseal(aead, nonce, package[16:], package[:4], "stream")

def part_table(env, dek, oid, loc, manifests, stored):  # 9.5; manifests: [(is first name, bytes)], first name first
    fits, errors = {}, []
    for first, raw in manifests:
        try:
            plain, found, parts = open_manifest(raw, dek, oid, env["flags"], loc)
            if 0x15 in found: continue  # provisional: counts as missing
            need(sum(enc(p) for _, p in parts) == stored, "manifest", "does not fit")
            fits[plain] = parts, found.get(0x11, b"")
            if first: break
        except Bad as e: errors.append(e)
    need(len(fits) < 2, "manifest", "several differ")
    if errors and not fits: raise errors[0]
    need(fits, "manifest-missing", "no manifest")
    return fits.popitem()[1]

def open_object(headers, stored, unwrap, loc, manifests):  # 5.7; loc: realm, bucket, key as bytes
    names = [n.lower() for n, _ in headers]
    entries = [v for n, v in headers if n.lower() == "x-amz-meta-s3veil"]
    foreign = sum("x-amz-meta-x-amz-" + n in names for n in ("key", "key-v2", "3"))
    need(entries or foreign, "plaintext", "not encrypted")
    need(len(entries) == 1 or not entries and foreign == 1, "ambiguous", "signals")
    need(entries, "unsupported", "a foreign format")
    env = parse_text(entries[0])
    context = realm_context(loc[0], env["pairs"])
    _, found = open_envelope(env, bind(unwrap(env["kid"], env["wrapped"], context), context), loc, env["flags"] & 1)
    covered = [h for h in headers if not env["flags"] & 2 or not h[0].lower().startswith("x-amz-meta-")]
    o = dict(suite=env["suite"], dek=found[1], covered=covered, mac=found[4], sealed=lp_pairs(found.get(8, b""), "envelope"))
    if env["flags"] & 1:
        parts, rs = part_table(env, found.get(9, found[1]), found[2], loc, manifests(found[2].hex()), stored)
        return dict(o, parts=parts, rs=rs, length=sum(p for _, p in parts))
    length = int.from_bytes(found[3], "big")
    part = pad(length) if env["flags"] & 4 else length
    need(enc(part) == stored, "length", "stored length")
    return dict(o, parts=[(0, part)], rs=b"", length=length)

def plaintext(read, o):  # 7.1: the streams one after the other, without padding
    left = o["length"]
    for i, (number, p) in enumerate(o["parts"]):
        for piece in stream(read, o["suite"], o["dek"], number, p, o["rs"][12 * i:12 * i + 12] if p else b""):
            yield piece[:left]
            left -= min(left, len(piece))
    need(read(1) == b"", "stream", "trailing data")
