"""Verifies the vectors of crypto/FORMAT.md 14 with the independent decoder: s3veil_decode.py --vectors DIR."""
import hashlib, io, os, sys
import s3veil_format as fmt
from s3veil_decode import unwrapper
from s3veil_format import Bad, need
from s3veil_metadata import metadata_mac
from s3veil_note import open_note
from s3veil_setting import decode_setting

class Vector:
    def __init__(self, file):
        head, self.raw = file.split(b"\n\n", 1)
        self.fields = [line.split(": ", 1) for line in head.decode().split("\n")]
    def all(self, name): return [v for n, v in self.fields if n == name]
    def text(self, name):
        (value,) = self.all(name)
        return value
    def hex(self, name): return bytes.fromhex(self.text(name))
    def pairs(self, name): return [tuple(bytes.fromhex(w.replace("-", "")) for w in v.split(" ")) for v in self.all(name)]
    def loc(self): return self.hex("realm"), self.hex("bucket"), self.hex("key")
    def same(self, name, got):
        if self.text("expect") != "success": return  # accepted, which is wrong enough
        want = self.text(name)
        assert want == (got.hex() if isinstance(got, bytes) else str(got)), "%s: %s, want %s" % (name, got, want)

def sha(data): return hashlib.sha256(data).digest()

def check_stream(v):
    suite, dek, part, length = int(v.text("suite")), v.hex("dek"), int(v.text("part")), int(v.text("plain-length"))
    plain = b"".join(fmt.plaintext(io.BytesIO(v.raw).read, dict(suite=suite, dek=dek, parts=[(part, length)], rs=b"", length=length)))
    assert len(v.raw) == fmt.enc(length)
    v.same("plaintext-sha256", sha(plain))
    if length:
        v.same("stream-sha256", sha(v.raw))
        v.same("stream-key", fmt.hkdf(dek, bytes([v.raw[4] & 0x7f]) + v.raw[5:16], b"s3veil/1/stream\0" + part.to_bytes(4, "big")))

def check_ikek(v): assert fmt.bind(v.hex("ikek"), dict(v.pairs("context"))) == v.raw

def check_blob(v):
    label = v.text("label")
    ikek = fmt.unwrap_blob(v.hex("key"), label.encode(), dict(v.pairs("context")), v.raw, "kek-denied" if label.endswith("sse-c") else "envelope")
    v.same("ikek", ikek)

def check_envelope(v):
    try: text = v.raw.decode("ascii")
    except UnicodeDecodeError: raise Bad("malformed", "not ASCII") from None
    env = fmt.parse_text(text)
    plain, _ = fmt.open_envelope(env, v.hex("bound"), v.loc(), ["single", "multipart", "token"].index(v.text("kind")))
    v.same("tlvs", plain)
    v.same("salt", env["salt"])
    v.same("length", len(fmt.unbase64(text[2:], "malformed")))

def check_meta(v):
    fields = [(n.decode(), x.decode()) for n, x in v.pairs("header")]
    need(metadata_mac(v.hex("dek"), fields) == v.raw, "metadata", "MAC differs")

def check_token(v):
    upstream, plain = fmt.open_token(v.raw.decode(), v.hex("bound"), v.loc())
    v.same("upstream", upstream)
    v.same("tlvs", plain)
    v.same("length", len(fmt.unbase64(v.raw.decode(), "token")))

def check_manifest(v):
    plain, _, parts = fmt.open_manifest(v.raw, v.hex("dek"), v.hex("object-id"), int(v.text("level")), v.loc())
    v.same("plain", plain)
    v.same("length", len(v.raw))
    runs = int.from_bytes(plain[12:14], "big")
    v.same("table-digest", sha(plain[:14 + 12 * runs])[:16])

def check_object(v):
    manifests, end = {}, len(v.raw)
    for name, length in reversed([m.split(" ") for m in v.all("manifest")]):
        manifests[name] = v.raw[end - int(length):end]
        end -= int(length)
    def lookup(oid): return [("." not in n[1:], manifests[n]) for n in sorted(manifests) if n.startswith(".s3veil/m/" + oid)]
    keys = {k.split(" ")[0]: bytes.fromhex(k.split(" ")[1]) for k in v.all("kek")}
    customer = v.hex("customer-key") if v.all("customer-key") else b""
    headers = [(n.decode(), x.decode()) for n, x in v.pairs("header")]
    o = fmt.open_object(headers, end, unwrapper(keys, customer, None), v.loc(), lookup)
    need(metadata_mac(o["dek"], o["covered"]) == o["mac"], "metadata", "MAC differs")
    plain = b"".join(fmt.plaintext(io.BytesIO(v.raw[:end]).read, o))
    v.same("plaintext-length", len(plain))
    v.same("plaintext-sha256", sha(plain))

def check_setting(v):
    s = decode_setting(v.raw)
    for name in ("type", "bucket-key", "block-customer"): v.same(name, s[name])
    v.same("key-name", s["key-name"]) if v.all("key-name") or s["key-name"] else None

def check_note(v):
    part, plain = open_note(v.raw.decode(), v.hex("secret"), v.hex("upstream"), v.hex("bucket"), v.hex("key"))
    v.same("part", part)
    v.same("plain", plain)

def run(root):
    checks = dict(stream=check_stream, ikek=check_ikek, blob=check_blob, envelope=check_envelope, meta=check_meta, token=check_token, manifest=check_manifest, object=check_object, setting=check_setting, note=check_note)
    wrong, count = 0, 0
    for kind, check in checks.items():
        names = sorted(os.listdir(os.path.join(root, kind)))
        assert names, "no vectors in " + kind
        for name in names:
            with open(os.path.join(root, kind, name), "rb") as f: v = Vector(f.read())
            count += 1
            try:
                check(v)
                got = "success"
            except Bad as e: got = e.args[0]
            except AssertionError as e: got = "wrong output: %s" % e
            if got != v.text("expect"):
                wrong += 1
                print("%s/%s: %s, want %s" % (kind, name, got, v.text("expect")))
    print("%d vectors, %d disagreements" % (count, wrong))
    return 1 if wrong else 0
