"""What pandas and dask do through fsspec: files, directories, appends, copies, sizes, random reads."""
import os

import s3fs

kwargs = {"endpoint_url": os.environ["S3_ENDPOINT"]}
if os.environ.get("AWS_CA_BUNDLE"):
    kwargs["verify"] = os.environ["AWS_CA_BUNDLE"]
f = s3fs.S3FileSystem(key=os.environ["AWS_ACCESS_KEY_ID"], secret=os.environ["AWS_SECRET_ACCESS_KEY"], client_kwargs=kwargs)
b = os.environ["S3_BUCKET"]
f.pipe({f"{b}/dir/a": b"a" * 10, f"{b}/dir/sub/ü b": b"b" * 100_000, f"{b}/empty": b""})
with f.open(f"{b}/large", "wb", block_size=5 << 20) as w:
    for i in range(17):
        w.write(bytes([i]) * 1_000_003)
with f.open(f"{b}/large", "rb", block_size=1 << 20) as r:
    r.seek(6_000_010)
    print(r.size, r.read(20).hex())
    r.seek(-5, 2)
    print(r.read().hex())
with f.open(f"{b}/dir/a", "ab") as w:
    w.write(b"more")
print(f.cat(f"{b}/dir/a"), f.cat_file(f"{b}/dir/sub/ü b", start=5, end=9))
f.cp(f"{b}/dir", f"{b}/copy", recursive=True)
f.mv(f"{b}/large", f"{b}/moved")
print(sorted((k.split("/", 1)[1], v) for k, v in f.du(b, total=False).items()))
print(sorted(e["name"].split("/", 1)[-1] + " " + e["type"] for e in f.ls(b, detail=True, refresh=True)))
f.put_file(__file__, f"{b}/script")
print(f.info(f"{b}/script")["size"] == os.path.getsize(__file__), f.exists(f"{b}/none"))
f.rm(b + "/copy", recursive=True)
print([k.split("/", 1)[1] for k in sorted(f.find(b))])
