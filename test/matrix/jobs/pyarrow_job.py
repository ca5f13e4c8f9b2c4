"""A partitioned Parquet dataset: written, listed, read back with a filter, one file read by ranges."""
import os
from urllib.parse import urlparse

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow import fs

end = urlparse(os.environ["S3_ENDPOINT"])
s3 = fs.S3FileSystem(access_key=os.environ["AWS_ACCESS_KEY_ID"], secret_key=os.environ["AWS_SECRET_ACCESS_KEY"], region="us-east-1",
                     endpoint_override=end.netloc, scheme=end.scheme, tls_ca_file_path=os.environ.get("AWS_CA_BUNDLE", ""))
root = os.environ["S3_BUCKET"] + "/warehouse"
n = 200_000
table = pa.table({"id": pa.array(range(n)), "part": pa.array([i % 4 for i in range(n)]), "text": pa.array([f"row {i * 7919 % n}" for i in range(n)])})
ds.write_dataset(table, root, filesystem=s3, format="parquet", partitioning=["part"], basename_template="f-{i}.parquet")
for info in sorted(s3.get_file_info(fs.FileSelector(root, recursive=True)), key=lambda i: i.path):
    print(info.path.split("/", 1)[1], info.type, info.size)
back = ds.dataset(root, filesystem=s3, format="parquet", partitioning=["part"])
print(back.count_rows(), pc.sum(back.to_table(filter=ds.field("part") == 2)["id"]))
one = pq.ParquetFile(s3.open_input_file(root + "/3/f-0.parquet"))
print(one.metadata.num_rows, one.read(columns=["id"]).num_rows)
with s3.open_output_stream(root + "/raw") as out:
    for i in range(12):
        out.write(bytes([i]) * 1_000_000)
raw = s3.open_input_file(root + "/raw")
raw.seek(5_999_990)
print(raw.size(), raw.read(20).hex())
s3.move(root + "/raw", root + "/moved")
s3.delete_dir(root)
print(s3.get_file_info(fs.FileSelector(os.environ["S3_BUCKET"], recursive=True)))
