"""boto3 with both checksum settings: transfers of all sizes, conditional writes, presigned URLs."""
import hashlib
import io
import os
import urllib.request
import ssl

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

b = os.environ["S3_BUCKET"]
ctx = ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE") or None)
for when in ("when_supported", "when_required"):
    c = boto3.client("s3", endpoint_url=os.environ["S3_ENDPOINT"],
                     config=Config(request_checksum_calculation=when, response_checksum_validation=when, signature_version="s3v4"))
    t = TransferConfig(multipart_threshold=6 << 20, multipart_chunksize=5 << 20, max_concurrency=4)
    for n in (0, 1, 65_536, 5 << 20, (6 << 20) + 1, 17_000_001):
        body = hashlib.sha256(str(n).encode()).digest() * (n // 32 + 1)
        body = body[:n]
        c.upload_fileobj(io.BytesIO(body), b, f"{when}/{n}", Config=t)
        out = io.BytesIO()
        c.download_fileobj(b, f"{when}/{n}", out, Config=t)
        h = c.head_object(Bucket=b, Key=f"{when}/{n}")
        print(when, n, h["ContentLength"], out.getvalue() == body)
    try:
        c.put_object(Bucket=b, Key=f"{when}/1", Body=b"x", IfNoneMatch="*")
    except ClientError as e:
        print(e.response["Error"]["Code"], e.response["ResponseMetadata"]["HTTPStatusCode"])
    url = c.generate_presigned_url("get_object", Params={"Bucket": b, "Key": f"{when}/1", "ResponseContentType": "text/x"}, ExpiresIn=60)
    with urllib.request.urlopen(url, context=ctx) as r:
        print(r.headers["content-type"], len(r.read()))
    print([(o["Key"], o["Size"]) for o in c.list_objects_v2(Bucket=b, Prefix=when)["Contents"]])
