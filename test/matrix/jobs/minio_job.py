"""minio-py: objects, multipart of unknown length, ranges, presigned URLs, composing, tags, listing, removal."""
import hashlib
import io
import os
from datetime import timedelta
from urllib.parse import urlparse

import certifi
import urllib3
from minio import Minio
from minio.commonconfig import ComposeSource, CopySource, Tags

end, b = urlparse(os.environ["S3_ENDPOINT"]), os.environ["S3_BUCKET"]
pool = urllib3.PoolManager(ca_certs=os.environ.get("AWS_CA_BUNDLE") or certifi.where())
args = dict(endpoint=end.netloc, access_key=os.environ["AWS_ACCESS_KEY_ID"], secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
            secure=end.scheme == "https", region="us-east-1", http_client=pool)
c = Minio(**args)


def digest(name, **more):
    r = c.get_object(bucket_name=b, object_name=name, **more)
    try:
        return hashlib.sha256(r.read()).hexdigest()
    finally:
        r.close()
        r.release_conn()


big = bytes(range(256)) * 50_000
c.put_object(bucket_name=b, object_name="small ü", data=io.BytesIO(b"hello"), length=5, content_type="text/plain", metadata={"Color": "blue"})
c.put_object(bucket_name=b, object_name="stream", data=io.BytesIO(big), length=-1, part_size=5 << 20)
for name in ("small ü", "stream"):
    s = c.stat_object(bucket_name=b, object_name=name)
    print(name, s.size, s.content_type, s.metadata.get("x-amz-meta-color"), digest(name))
print(digest("stream", offset=5_242_870, length=20))
c.copy_object(bucket_name=b, object_name="copy", source=CopySource(bucket_name=b, object_name="stream"))
c.compose_object(bucket_name=b, object_name="composed", sources=[ComposeSource(bucket_name=b, object_name="stream"),
                                                               ComposeSource(bucket_name=b, object_name="small ü")])
print(digest("copy"), digest("composed"))
url = c.presigned_get_object(bucket_name=b, object_name="small ü", expires=timedelta(hours=1))
print(pool.request("GET", url).data)
url = c.presigned_put_object(bucket_name=b, object_name="put", expires=timedelta(hours=1))
print(pool.request("PUT", url, body=b"presigned").status, digest("put"))
t = Tags.new_object_tags()
t["k"] = "v"
c.set_object_tags(bucket_name=b, object_name="put", tags=t)
print(dict(c.get_object_tags(bucket_name=b, object_name="put")))
print([(o.object_name, o.size) for o in c.list_objects(bucket_name=b, recursive=True)])
for o in list(c.list_objects(bucket_name=b, recursive=True)):
    c.remove_object(bucket_name=b, object_name=o.object_name)
print(list(c.list_objects(bucket_name=b)))
