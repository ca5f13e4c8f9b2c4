"""Parquet by SQL: COPY to the bucket, a query over a glob that reads by ranges, a partitioned copy."""
import os
from urllib.parse import urlparse

import duckdb
from duckdb_extensions import import_extension

import_extension("httpfs")
end, bucket = urlparse(os.environ["S3_ENDPOINT"]), os.environ["S3_BUCKET"]
db = duckdb.connect()
db.sql("LOAD httpfs")
if os.environ.get("AWS_CA_BUNDLE"):
    db.sql(f"SET ca_cert_file = '{os.environ['AWS_CA_BUNDLE']}'; SET enable_server_cert_verification = true")
db.sql(f"""CREATE SECRET (TYPE s3, KEY_ID '{os.environ["AWS_ACCESS_KEY_ID"]}', SECRET '{os.environ["AWS_SECRET_ACCESS_KEY"]}',
  REGION 'us-east-1', ENDPOINT '{end.netloc}', URL_STYLE 'path', USE_SSL {str(end.scheme == "https").lower()})""")
db.sql(f"COPY (SELECT i AS id, i % 10 AS part, hash(i)::VARCHAR AS text FROM range(300000) t(i)) TO 's3://{bucket}/one.parquet'")
db.sql(f"COPY (SELECT i AS id, i % 3 AS part FROM range(3000) t(i)) TO 's3://{bucket}/parts' (FORMAT parquet, PARTITION_BY part)")
db.sql(f"COPY (SELECT i AS id FROM range(100) t(i)) TO 's3://{bucket}/small.csv'")
print(db.sql(f"SELECT count(*), sum(id), min(text) FROM 's3://{bucket}/one.parquet' WHERE part = 3").fetchall())
print(db.sql(f"SELECT part, count(*) FROM 's3://{bucket}/parts/*/*.parquet' GROUP BY part ORDER BY part").fetchall())
print(db.sql(f"SELECT sum(id) FROM 's3://{bucket}/small.csv'").fetchall())
print(db.sql(f"SELECT parse_filename(file) FROM glob('s3://{bucket}/*') ORDER BY 1").fetchall())
