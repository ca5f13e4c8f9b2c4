"""SigV4A as the AWS Common Runtime signs it: objects, signed headers, trailers, listings, presigned URLs, a wrong secret."""
import os
import ssl
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

b, end = os.environ["S3_BUCKET"], os.environ["S3_ENDPOINT"]
c = boto3.client("s3", endpoint_url=end, config=Config(signature_version="s3v4a"))
seen = []
c.meta.events.register("before-send.s3", lambda request, **_: seen.append(request.headers.get("Authorization", b"")))
c.put_object(Bucket=b, Key="ü k+1", Body=b"hello", Metadata={"color": "blue"})
c.put_object(Bucket=b, Key="large", Body=b"x" * 9_000_000, ChecksumAlgorithm="SHA256")
print(c.get_object(Bucket=b, Key="ü k+1")["Body"].read(), len(c.get_object(Bucket=b, Key="large")["Body"].read()))
print([(o["Key"], o["Size"]) for o in c.list_objects_v2(Bucket=b)["Contents"]])
print(all(b"AWS4-ECDSA-P256-SHA256" in (a if isinstance(a, bytes) else a.encode()) for a in seen))
url = c.generate_presigned_url("get_object", Params={"Bucket": b, "Key": "ü k+1"}, ExpiresIn=60)
ctx = ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE") or None)
print("AWS4-ECDSA" in url, urllib.request.urlopen(url, context=ctx).read())
try:
    boto3.client("s3", endpoint_url=end, aws_access_key_id=os.environ["AWS_ACCESS_KEY_ID"], aws_secret_access_key="wrong",
                 config=Config(signature_version="s3v4a")).list_buckets()
except ClientError as e:
    print(e.response["Error"]["Code"])
