#!/usr/bin/env python3
"""Recovers objects without s3veil: one object, or a bucket copied as docs/RECOVERY.md describes. Also verifies the
published vectors. Needs Python 3.9 and the package cryptography, and shares no code with s3veil."""
import argparse, base64, datetime, json, os, re, subprocess, sys
from s3veil_format import Bad, need, open_object, plaintext, unwrap_blob
from s3veil_metadata import metadata_mac

def unwrapper(keys, customer, command):  # B.3; command: a program that asks another KMS, see docs/RECOVERY.md
    def unwrap(kid, wrapped, context):
        if kid == "@sse-c" and customer: return unwrap_blob(customer, b"s3veil/1/sse-c", context, wrapped, "kek-denied")
        if kid in keys: return unwrap_blob(keys[kid], b"s3veil/1/local", context, wrapped, "envelope")
        need(command and kid != "@sse-c", "kek-denied", "no key for kid " + kid)
        text = json.dumps({k.decode(): v.decode() for k, v in context.items()})
        return base64.b64decode(subprocess.run([command, kid, base64.b64encode(wrapped), text], check=True, stdout=subprocess.PIPE).stdout)
    return unwrap

def headers_of(answer):  # from the JSON of aws s3api get-object or head-object
    out = [("x-amz-meta-" + k, v) for k, v in answer.get("Metadata", {}).items()]
    for name in ("CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType"):
        if name in answer: out.append((re.sub("(?<=[a-z])([A-Z])", r"-\1", name), answer[name]))
    if expires := answer.get("ExpiresString") or answer.get("Expires"):
        if re.match("[0-9]{4}-", expires): expires = datetime.datetime.fromisoformat(expires).strftime("%a, %d %b %Y %H:%M:%S GMT")
        out.append(("expires", expires))
    return out

def recover(body, answer, unwrap, loc, manifests, out):  # writes the plaintext under its name only when all of it is authentic
    with open(answer) as f: o = open_object(headers_of(json.load(f)), os.path.getsize(body), unwrap, loc, manifests)
    if metadata_mac(o["dek"], o["covered"]) != o["mac"]: print("warning: the metadata of", loc[2], "was changed or is returned in another form", file=sys.stderr)
    with open(body, "rb") as src, open(out + ".partial", "wb") as dst:
        for piece in plaintext(src.read, o): dst.write(piece)
    os.replace(out + ".partial", out)
    return {k.decode(): v.decode("utf-8", "replace") for k, v in o["sealed"]}

def recover_bucket(copy, unwrap, realm, bucket, out):  # copy: keys.json, N.body and N.json for its N-th key (from 1)
    with open(os.path.join(copy, "keys.json")) as f: index, failed, done = {k: str(i) for i, k in enumerate(json.load(f), 1)}, 0, []
    def manifests(oid):
        found = sorted(k for k in index if k == ".s3veil/m/" + oid or k.startswith(".s3veil/m/" + oid + "."))
        return [("." not in k[1:], open(os.path.join(copy, index[k] + ".body"), "rb").read()) for k in found]
    for key, n in index.items():
        if key.startswith(".s3veil/"): continue
        try:
            sealed = recover(os.path.join(copy, n + ".body"), os.path.join(copy, n + ".json"), unwrap, (realm, bucket, key.encode()), manifests, os.path.join(out, n))
            done.append(dict(key=key, file=n, sealed_metadata=sealed))
        except (Bad, OSError, subprocess.CalledProcessError) as e:
            failed = 1
            print(key, *e.args, sep=": ", file=sys.stderr)
    with open(os.path.join(out, "index.json"), "w") as f: json.dump(done, f, indent=1, ensure_ascii=False)
    return failed

def main():
    a = argparse.ArgumentParser(description=__doc__)
    for name, text in dict(vectors="directory of vectors to verify", bucket="directory of a copied bucket", body="stored body of one object", meta="its get-object JSON", keys="local key file",
                           customer_key="base64 of an SSE-C key", unwrap="program that unwraps for another KMS", realm="default: the bound bucket name",
                           bound="bound bucket name", key="object key", out="file, or directory with --bucket").items(): a.add_argument("--" + name.replace("_", "-"), help=text)
    a.add_argument("--manifest", nargs="*", default=[], help="manifests, the one under its first name first")
    a = a.parse_args()
    if a.vectors:
        import s3veil_vectors
        return s3veil_vectors.run(a.vectors)
    keys = {k["id"]: base64.b64decode(k["key"]) for k in (json.load(open(a.keys)) if a.keys else [])}
    unwrap = unwrapper(keys, base64.b64decode(a.customer_key or ""), a.unwrap)
    realm, bucket = (a.realm or a.bound).encode(), a.bound.encode()
    if a.bucket: return recover_bucket(a.bucket, unwrap, realm, bucket, a.out)
    manifests = [(i == 0, open(m, "rb").read()) for i, m in enumerate(a.manifest)]
    recover(a.body, a.meta, unwrap, (realm, bucket, a.key.encode()), lambda oid: manifests, a.out)

if __name__ == "__main__": sys.exit(main())
