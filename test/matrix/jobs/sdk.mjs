// AWS SDK for JavaScript v3: small and multipart uploads (lib-storage), ranges, presigned URLs, errors, deletion of many.
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { createRequire } from 'node:module';

const require = createRequire(process.env.NODE_MODULES + '/x.js');
const { S3Client, PutObjectCommand, GetObjectCommand, HeadObjectCommand, ListObjectsV2Command, CopyObjectCommand,
  DeleteObjectsCommand } = require('@aws-sdk/client-s3');
const { Upload } = require('@aws-sdk/lib-storage');
const { getSignedUrl } = require('@aws-sdk/s3-request-presigner');

const Bucket = process.env.S3_BUCKET;
const c = new S3Client({ endpoint: process.env.S3_ENDPOINT, region: 'us-east-1', forcePathStyle: true });
const sha = (b) => createHash('sha256').update(b).digest('hex');
const get = async (Key, more = {}) => {
  const r = await c.send(new GetObjectCommand({ Bucket, Key, ...more }));
  return Buffer.from(await r.Body.transformToByteArray());
};
const big = Buffer.alloc(12_000_001, 'javascript ');

await c.send(new PutObjectCommand({ Bucket, Key: 'small ü', Body: 'hello', Metadata: { color: 'blue' }, ContentType: 'text/plain' }));
await new Upload({ client: c, params: { Bucket, Key: 'stream', Body: Readable.from((function* () {
  for (let i = 0; i < big.length; i += 100_000) yield big.subarray(i, i + 100_000);
})()) } }).done();
const head = await c.send(new HeadObjectCommand({ Bucket, Key: 'small ü' }));
console.log(head.ContentLength, head.ContentType, head.Metadata.color);
console.log(sha(await get('small ü')), sha(await get('stream')) === sha(big));
console.log((await get('stream', { Range: 'bytes=5242870-5242890' })).toString());
await c.send(new CopyObjectCommand({ Bucket, Key: 'copy', CopySource: `${Bucket}/stream` }));
console.log(sha(await get('copy')) === sha(big));
const url = await getSignedUrl(c, new GetObjectCommand({ Bucket, Key: 'small ü' }), { expiresIn: 60 });
console.log(await (await fetch(url)).text());
const put = await getSignedUrl(c, new PutObjectCommand({ Bucket, Key: 'put' }), { expiresIn: 60 });
console.log((await fetch(put, { method: 'PUT', body: 'presigned' })).status, (await get('put')).toString());
try {
  await get('none');
} catch (e) {
  console.log(e.name, e.$metadata.httpStatusCode);
}
const list = await c.send(new ListObjectsV2Command({ Bucket }));
console.log(JSON.stringify(list.Contents.map((o) => [o.Key, o.Size])));
await c.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: list.Contents.map((o) => ({ Key: o.Key })) } }));
console.log((await c.send(new ListObjectsV2Command({ Bucket }))).KeyCount);
