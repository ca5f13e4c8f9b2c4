"""What boto3 does against an S3 endpoint. Prints one line per check: "ok NAME" or "FAIL NAME: why".

Environment: ENDPOINT, ACCESS_KEY, SECRET_KEY, BUCKET, CA (may be empty), KIND ("s3veil" or "bare"), STORE.
"""

import base64
import hashlib
import io
import os
import sys
import traceback
import urllib.error
import urllib.request
import ssl
import zlib

import boto3
import botocore.exceptions
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

ENDPOINT, BUCKET, CA = os.environ["ENDPOINT"], os.environ["BUCKET"], os.environ.get("CA") or None
VEIL, STORE = os.environ["KIND"] == "s3veil", os.environ["STORE"]
CHECKS = []


def client(**config):
    config.setdefault("s3", {"addressing_style": "path"})
    config.setdefault("retries", {"max_attempts": 1})
    return boto3.client(
        "s3",
        endpoint_url=ENDPOINT,
        aws_access_key_id=os.environ["ACCESS_KEY"],
        aws_secret_access_key=os.environ["SECRET_KEY"],
        region_name="us-east-1",
        verify=CA,
        config=Config(**config),
    )


S3 = client()


def check(only=None):
    def register(f):
        if only is None or only:
            CHECKS.append(f)
        return f

    return register


def data(n, seed=0):
    out, block = bytearray(), hashlib.sha256(b"%d" % seed).digest()
    while len(out) < n:
        out += block * 32
        block = hashlib.sha256(block).digest()
    return bytes(out[:n])


def same(got, want, what=""):
    assert got == want, "%s: %d bytes, want %d" % (what, len(got), len(want))


def get(key, c=S3, **kw):
    return c.get_object(Bucket=BUCKET, Key=key, **kw)["Body"].read()


def fails(code, f, *args, **kw):
    try:
        f(*args, **kw)
    except botocore.exceptions.ClientError as e:
        assert e.response["Error"]["Code"] in code, "code %s, want %s" % (e.response["Error"]["Code"], code)
        return
    raise AssertionError("no error, want %s" % (code,))


@check()
def sizes():
    for i, n in enumerate((0, 1, 65535, 65536, 65537, 1048575, 1048576, 1048577, 3 << 20)):
        body = data(n, i)
        put = S3.put_object(Bucket=BUCKET, Key="size/%d" % n, Body=body)
        same(get("size/%d" % n), body, str(n))
        head = S3.head_object(Bucket=BUCKET, Key="size/%d" % n)
        assert head["ContentLength"] == n and head["ETag"] == put["ETag"], head


@check()
def file_objects_use_expect_continue():
    body = data(300_000)
    S3.put_object(Bucket=BUCKET, Key="file", Body=io.BytesIO(body))
    same(get("file"), body)


@check()
def refused_upload_keeps_the_client_usable():
    c = client()
    fails({"NoSuchBucket"}, c.put_object, Bucket="no-such-bucket-here", Key="k", Body=io.BytesIO(data(2 << 20)))
    c.put_object(Bucket=BUCKET, Key="after", Body=io.BytesIO(data(100)))
    same(get("after", c), data(100))


class Stream:
    """A body that can be read once and has no length."""

    def __init__(self, body):
        self.f = io.BytesIO(body)

    def read(self, n=-1):
        return self.f.read(n)


@check()
def stream_of_unknown_length_by_transfer_manager():
    for n in (10, 9 << 20):
        body = data(n, 5)
        S3.upload_fileobj(Stream(body), BUCKET, "stream")
        same(get("stream"), body)


@check()
def managed_multipart_upload_and_parallel_download():
    body = data(20 << 20, 6)
    S3.upload_fileobj(io.BytesIO(body), BUCKET, "mp", Config=TransferConfig(multipart_threshold=8 << 20, max_concurrency=4))
    out = io.BytesIO()
    S3.download_fileobj(BUCKET, "mp", out, Config=TransferConfig(max_concurrency=4))
    same(out.getvalue(), body)
    same(get("mp", Range="bytes=8388600-8388700"), body[8388600:8388701])


@check()
def managed_copy_of_a_multipart_object():
    S3.copy({"Bucket": BUCKET, "Key": "mp"}, BUCKET, "mp-copy", Config=TransferConfig(multipart_threshold=8 << 20))
    same(get("mp-copy"), data(20 << 20, 6))
    S3.copy({"Bucket": BUCKET, "Key": "file"}, BUCKET, "file-copy")
    same(get("file-copy"), data(300_000))


@check()
def metadata_and_headers():
    S3.put_object(Bucket=BUCKET, Key="meta", Body=b"x", Metadata={"a": "b", "sp": "one  two"}, ContentType="text/x; charset=utf-8",
                  CacheControl="no-cache", ContentEncoding="gzip")
    head = S3.head_object(Bucket=BUCKET, Key="meta")
    assert head["Metadata"].get("a") == "b" and len(head["Metadata"]) == 2, head["Metadata"]
    assert head["ContentType"] == "text/x; charset=utf-8" and head["CacheControl"] == "no-cache", head
    assert head["ContentEncoding"] == "gzip", head["ContentEncoding"]


@check(VEIL or STORE != "rgw")
def checksum_algorithms():
    for algorithm in ("CRC32", "SHA1", "SHA256"):
        for n in (1000, 3 << 20):
            body = data(n, 7)
            out = S3.put_object(Bucket=BUCKET, Key="sum", Body=body, ChecksumAlgorithm=algorithm)
            assert out.get("Checksum" + algorithm), out
            got = S3.get_object(Bucket=BUCKET, Key="sum", ChecksumMode="ENABLED")
            same(got["Body"].read(), body)


@check(VEIL or STORE != "rgw")
def wrong_checksum_is_refused():
    wrong = base64.b64encode(zlib.crc32(b"other").to_bytes(4, "big")).decode()
    fails({"BadDigest"}, S3.put_object, Bucket=BUCKET, Key="bad", Body=b"this", ChecksumCRC32=wrong)
    fails({"404"}, S3.head_object, Bucket=BUCKET, Key="bad")


@check()
def when_required_sends_plain_signed_bodies():
    c = client(request_checksum_calculation="when_required", response_checksum_validation="when_required")
    body = data(200_000, 8)
    c.put_object(Bucket=BUCKET, Key="plain", Body=body)
    same(get("plain", c), body)


@check()
def conditional_writes():
    S3.delete_object(Bucket=BUCKET, Key="cond")
    S3.put_object(Bucket=BUCKET, Key="cond", Body=b"1", IfNoneMatch="*")
    fails({"PreconditionFailed"}, S3.put_object, Bucket=BUCKET, Key="cond", Body=b"2", IfNoneMatch="*")
    same(get("cond"), b"1")


@check()
def conditional_reads():
    etag = S3.put_object(Bucket=BUCKET, Key="etag", Body=b"1")["ETag"]
    same(get("etag", IfMatch=etag), b"1")
    fails({"304"}, S3.get_object, Bucket=BUCKET, Key="etag", IfNoneMatch=etag)


def fetch(url, method="GET", body=None, headers=None):
    context = ssl.create_default_context(cafile=CA) if url.startswith("https") else None
    request = urllib.request.Request(url, data=body, method=method, headers=headers or {})
    with urllib.request.urlopen(request, context=context) as answer:
        return answer.read()


@check()
def presigned_v4():
    c = client(signature_version="s3v4", request_checksum_calculation="when_required")
    body = data(100_000, 9)
    fetch(c.generate_presigned_url("put_object", {"Bucket": BUCKET, "Key": "pre signed+"}), "PUT", body)
    same(fetch(c.generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": "pre signed+"})), body)


@check(VEIL)
def presigned_v2_is_refused():
    c = client(signature_version="s3")
    try:
        fetch(c.generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": "etag"}))
    except urllib.error.HTTPError as e:
        text = e.read().decode()
        assert e.code == 400 and "InvalidRequest" in text, (e.code, text)
        return
    raise AssertionError("SigV2 was accepted")


@check()
def presigned_post():
    c = client(signature_version="s3v4")
    post = c.generate_presigned_post(BUCKET, "dir/${filename}" if VEIL else "dir/up.bin", Conditions=[["content-length-range", 0, 1 << 20]])
    body, boundary, form = data(70_000, 10), "xxBOUNDARYxx", b""
    for k, v in post["fields"].items():
        form += ('--%s\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (boundary, k, v)).encode()
    form += ('--%s\r\nContent-Disposition: form-data; name="file"; filename="up.bin"\r\n\r\n' % boundary).encode()
    form += body + ("\r\n--%s--\r\n" % boundary).encode()
    fetch(post["url"], "POST", form, {"Content-Type": "multipart/form-data; boundary=" + boundary})
    same(get("dir/up.bin"), body)


@check()
def listing():
    sizes = {o["Key"]: o["Size"] for page in S3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, PaginationConfig={"PageSize": 3})
             for o in page.get("Contents", [])}
    assert sizes["size/65537"] == 65537 and sizes["mp"] == 20 << 20, sizes
    assert not [k for k in sizes if "s3veil" in k], sizes
    v1 = S3.list_objects(Bucket=BUCKET, Prefix="size/", Delimiter="/")
    assert len(v1["Contents"]) == 9, len(v1["Contents"])


@check()
def odd_keys():
    for key in ("a b", "a+b", "a%b", "a&b=c", "ключ/鍵", "~t", "()*'!", "a?b#c", "a;b:c@d,e"):
        body = key.encode()
        S3.put_object(Bucket=BUCKET, Key="odd/" + key, Body=body)
        same(get("odd/" + key), body, key)
    got = {o["Key"] for o in S3.list_objects_v2(Bucket=BUCKET, Prefix="odd/")["Contents"]}
    assert "odd/a+b" in got and "odd/ключ/鍵" in got, got


@check()
def versions():
    S3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    ids = [S3.put_object(Bucket=BUCKET, Key="v", Body=data(n, n))["VersionId"] for n in (10, 70_000)]
    same(get("v", VersionId=ids[0]), data(10, 10))
    same(get("v", VersionId=ids[1]), data(70_000, 70_000))
    listed = {v["VersionId"]: v["Size"] for v in S3.list_object_versions(Bucket=BUCKET, Prefix="v")["Versions"]}
    assert listed[ids[0]] == 10 and listed[ids[1]] == 70_000, listed
    S3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"})


@check()
def tags():
    S3.put_object(Bucket=BUCKET, Key="tag", Body=b"x", Tagging="a=1")
    assert S3.get_object_tagging(Bucket=BUCKET, Key="tag")["TagSet"] == [{"Key": "a", "Value": "1"}]


def default(algorithm, **more):
    return {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": algorithm, **more}, "BucketKeyEnabled": True}]}


@check(VEIL)
def bucket_encryption():
    def rule():
        return S3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert rule()["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}, rule()
    S3.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration=default("aws:kms", KMSMasterKeyID="main"))
    assert rule() == default("aws:kms", KMSMasterKeyID="main")["Rules"][0], rule()
    put = S3.put_object(Bucket=BUCKET, Key="default", Body=b"x")
    assert (put["ServerSideEncryption"], put["SSEKMSKeyId"], put["BucketKeyEnabled"]) == ("aws:kms", "main", True), put
    assert S3.head_object(Bucket=BUCKET, Key="default")["SSEKMSKeyId"] == "main"
    explicit = S3.put_object(Bucket=BUCKET, Key="default", Body=b"x", ServerSideEncryption="AES256")
    assert explicit["ServerSideEncryption"] == "AES256" and "SSEKMSKeyId" not in explicit, explicit
    fails({"KMS.NotFoundException"}, S3.put_bucket_encryption, Bucket=BUCKET, ServerSideEncryptionConfiguration=default("aws:kms", KMSMasterKeyID="none"))
    fails({"InvalidArgument"}, S3.put_bucket_encryption, Bucket=BUCKET, ServerSideEncryptionConfiguration=default("AES256", KMSMasterKeyID="main"))
    S3.delete_bucket_encryption(Bucket=BUCKET)
    assert S3.put_object(Bucket=BUCKET, Key="default", Body=b"x")["ServerSideEncryption"] == "AES256"
    assert not [o for o in S3.list_objects_v2(Bucket=BUCKET)["Contents"] if "s3veil" in o["Key"]]


@check()
def bulk_delete():
    out = S3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "size/0"}, {"Key": "size/1"}]})
    assert len(out["Deleted"]) == 2 and "Errors" not in out, out
    fails({"404"}, S3.head_object, Bucket=BUCKET, Key="size/1")


KEY, OTHER = b"an application's key of 32 bytes", b"another application's, 32 bytes!"
TLS = ENDPOINT.startswith("https")
PARTS = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20)


def customer(key):
    return {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": key}


def source(key):
    return {"CopySourceSSECustomerAlgorithm": "AES256", "CopySourceSSECustomerKey": key}


@check(VEIL)
def sse_kms():
    body = data(11 << 20, 80)
    context = base64.b64encode(b'{"app": "x"}').decode()
    kms = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "main", "SSEKMSEncryptionContext": context}
    out = S3.put_object(Bucket=BUCKET, Key="kms", Body=b"hello", BucketKeyEnabled=True, **kms)
    assert out["ServerSideEncryption"] == "aws:kms" and out["SSEKMSKeyId"] == "main" and out["BucketKeyEnabled"], out
    assert out["SSEKMSEncryptionContext"] == context, out
    head = S3.head_object(Bucket=BUCKET, Key="kms")
    assert head["ServerSideEncryption"] == "aws:kms" and head["SSEKMSKeyId"] == "main" and head["BucketKeyEnabled"], head
    S3.upload_fileobj(io.BytesIO(body), BUCKET, "kms-parts", ExtraArgs=kms, Config=PARTS)
    same(get("kms-parts"), body)
    assert S3.head_object(Bucket=BUCKET, Key="kms-parts")["SSEKMSKeyId"] == "main"
    S3.copy({"Bucket": BUCKET, "Key": "kms-parts"}, BUCKET, "kms-copy", ExtraArgs={"ServerSideEncryption": "AES256"}, Config=PARTS)
    same(get("kms-copy"), body)
    assert S3.head_object(Bucket=BUCKET, Key="kms-copy")["ServerSideEncryption"] == "AES256"
    put = lambda **kw: S3.put_object(Bucket=BUCKET, Key="no", Body=b"x", **kw)
    fails({"KMS.NotFoundException"}, put, ServerSideEncryption="aws:kms", SSEKMSKeyId="nobody")
    fails({"InvalidArgument"}, put, ServerSideEncryption="aws:kms", SSEKMSEncryptionContext="{}")
    fails({"InvalidArgument"}, put, ServerSideEncryption="AES256", SSEKMSKeyId="main")
    fails({"InvalidArgument"}, put, ServerSideEncryption="bogus")
    fails({"NotImplemented"}, put, ServerSideEncryption="aws:kms:dsse")


@check(VEIL and not TLS)
def sse_c_without_tls():
    fails({"InvalidRequest"}, S3.put_object, Bucket=BUCKET, Key="no", Body=b"x", **customer(KEY))
    fails({"InvalidRequest"}, S3.get_object, Bucket=BUCKET, Key="size/1", **customer(KEY))


@check(VEIL and TLS)
def sse_c():
    out = S3.put_object(Bucket=BUCKET, Key="own", Body=b"hello", **customer(KEY))
    assert out["SSECustomerAlgorithm"] == "AES256" and "ServerSideEncryption" not in out, out
    assert out["SSECustomerKeyMD5"] == base64.b64encode(hashlib.md5(KEY).digest()).decode(), out
    same(get("own", **customer(KEY)), b"hello")
    same(get("own", Range="bytes=1-2", **customer(KEY)), b"el")
    assert S3.head_object(Bucket=BUCKET, Key="own", **customer(KEY))["ContentLength"] == 5
    fails({"InvalidRequest"}, S3.get_object, Bucket=BUCKET, Key="own")
    fails({"AccessDenied"}, S3.get_object, Bucket=BUCKET, Key="own", **customer(OTHER))
    fails({"400"}, S3.head_object, Bucket=BUCKET, Key="own")
    fails({"403"}, S3.head_object, Bucket=BUCKET, Key="own", **customer(OTHER))
    fails({"InvalidArgument"}, S3.put_object, Bucket=BUCKET, Key="no", Body=b"x", **customer(KEY[:16]))
    wrong = dict(customer(base64.b64encode(KEY).decode()), SSECustomerKeyMD5=base64.b64encode(hashlib.md5(OTHER).digest()).decode())
    fails({"InvalidArgument"}, S3.put_object, Bucket=BUCKET, Key="no", Body=b"x", **wrong)
    S3.put_object(Bucket=BUCKET, Key="plain", Body=b"x")
    fails({"InvalidRequest"}, S3.get_object, Bucket=BUCKET, Key="plain", **customer(KEY))


@check(VEIL and TLS)
def sse_c_transfers():
    body = data(11 << 20, 81)
    S3.upload_fileobj(io.BytesIO(body), BUCKET, "own-parts", ExtraArgs=customer(KEY), Config=PARTS)
    out = io.BytesIO()
    S3.download_fileobj(BUCKET, "own-parts", out, ExtraArgs=customer(KEY), Config=PARTS)
    same(out.getvalue(), body)
    where = {"Bucket": BUCKET, "Key": "own-parts"}
    S3.copy(where, BUCKET, "own-copy", ExtraArgs=dict(customer(OTHER), **source(KEY)), Config=PARTS)
    same(get("own-copy", **customer(OTHER)), body)
    S3.copy_object(Bucket=BUCKET, Key="own-out", CopySource=where, **source(KEY))
    same(get("own-out"), body)
    fails({"InvalidRequest"}, S3.copy_object, Bucket=BUCKET, Key="no", CopySource=where)
    fails({"AccessDenied"}, S3.copy_object, Bucket=BUCKET, Key="no", CopySource=where, **source(OTHER))
    up = S3.create_multipart_upload(Bucket=BUCKET, Key="own-up", **customer(KEY))["UploadId"]
    part = lambda **kw: S3.upload_part(Bucket=BUCKET, Key="own-up", UploadId=up, PartNumber=1, Body=b"part", **kw)
    fails({"InvalidRequest"}, part)
    fails({"InvalidRequest"}, part, **customer(OTHER))
    etag = part(**customer(KEY))["ETag"]
    done = lambda **kw: S3.complete_multipart_upload(
        Bucket=BUCKET, Key="own-up", UploadId=up, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]}, **kw
    )
    assert S3.list_parts(Bucket=BUCKET, Key="own-up", UploadId=up)["Parts"][0]["Size"] == 4
    fails({"InvalidRequest"}, done, **customer(OTHER))
    done()  # as on S3, where the key is needed for parts alone
    same(get("own-up", **customer(KEY)), b"part")


@check(VEIL and TLS)
def sse_forms():
    c = client(signature_version="s3v4")
    kms = {"x-amz-server-side-encryption": "aws:kms", "x-amz-server-side-encryption-aws-kms-key-id": "main"}
    own = {
        "x-amz-server-side-encryption-customer-algorithm": "AES256",
        "x-amz-server-side-encryption-customer-key": base64.b64encode(KEY).decode(),
        "x-amz-server-side-encryption-customer-key-MD5": base64.b64encode(hashlib.md5(KEY).digest()).decode(),
    }
    for key, fields, read in (("form-kms", kms, {}), ("form-own", own, customer(KEY))):
        form = c.generate_presigned_post(BUCKET, key, Fields=dict(fields), Conditions=[{k: v} for k, v in fields.items()])
        headers = post_form(form["url"], form["fields"], b"form")
        same(get(key, **read), b"form", key)
        for name in ("x-amz-server-side-encryption", "x-amz-server-side-encryption-customer-algorithm"):
            assert headers.get(name) == fields.get(name), (name, headers)


def post_form(url, fields, content):
    lines = []
    for name, value in fields.items():
        lines.append('--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (name, value))
    body = "".join(lines).encode() + b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n' + content + b"\r\n--b--\r\n"
    r = urllib.request.Request(url, body, {"Content-Type": "multipart/form-data; boundary=b"}, method="POST")
    with urllib.request.urlopen(r, context=ssl.create_default_context(cafile=CA)) as answer:
        return answer.headers


def main():
    bad = 0
    for f in CHECKS:
        try:
            f()
            print("ok", f.__name__, flush=True)
        except Exception as e:  # every check reports, whatever went wrong
            bad += 1
            where = traceback.extract_tb(e.__traceback__)[1]
            print("FAIL %s: line %d: %s: %.600s" % (f.__name__, where.lineno, type(e).__name__, e), flush=True)
    sys.exit(1 if bad else 0)


main()
