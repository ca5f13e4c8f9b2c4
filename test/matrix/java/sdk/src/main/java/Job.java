import java.io.ByteArrayInputStream;
import java.net.HttpURLConnection;
import java.net.InetSocketAddress;
import java.net.Proxy;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Map;
import software.amazon.awssdk.core.ResponseBytes;
import software.amazon.awssdk.core.async.AsyncRequestBody;
import software.amazon.awssdk.core.async.AsyncResponseTransformer;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.http.urlconnection.UrlConnectionHttpClient;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.S3Configuration;
import software.amazon.awssdk.services.s3.model.ChecksumAlgorithm;
import software.amazon.awssdk.services.s3.model.ChecksumMode;
import software.amazon.awssdk.services.s3.model.S3Exception;
import software.amazon.awssdk.services.s3.presigner.S3Presigner;
import software.amazon.awssdk.transfer.s3.S3TransferManager;

/** AWS SDK for Java v2: the sync client with streams, the async client with Java-based multipart, the transfer manager, presigned URLs. */
public class Job {
  static String sha(byte[] b) throws Exception {
    return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(b)).substring(0, 16);
  }

  /** What HTTP_PROXY says, which the SDK reads by itself and the library of Java does not. */
  static Proxy proxy() {
    String text = System.getenv("HTTP_PROXY");
    if (text == null) return Proxy.NO_PROXY;
    URI at = URI.create(text);
    return new Proxy(Proxy.Type.HTTP, new InetSocketAddress(at.getHost(), at.getPort()));
  }

  public static void main(String[] a) throws Exception {
    URI end = URI.create(System.getenv("S3_ENDPOINT"));
    String bucket = System.getenv("S3_BUCKET");
    Path work = Path.of(System.getenv("WORK"));
    byte[] big = new byte[23_000_001];
    for (int i = 0; i < big.length; i++) big[i] = (byte) (i * 31 % 251);

    S3Client c = S3Client.builder().endpointOverride(end).forcePathStyle(true).region(Region.US_EAST_1)
        .httpClient(UrlConnectionHttpClient.create()).build();
    c.putObject(r -> r.bucket(bucket).key("small ü").contentType("text/plain").metadata(Map.of("color", "blue")), RequestBody.fromString("hello"));
    c.putObject(r -> r.bucket(bucket).key("stream").checksumAlgorithm(ChecksumAlgorithm.SHA256),
        RequestBody.fromInputStream(new ByteArrayInputStream(big), big.length));
    var head = c.headObject(r -> r.bucket(bucket).key("small ü"));
    System.out.println(head.contentLength() + " " + head.contentType() + " " + head.metadata());
    ResponseBytes<?> got = c.getObjectAsBytes(r -> r.bucket(bucket).key("stream").checksumMode(ChecksumMode.ENABLED));
    System.out.println(Arrays.equals(got.asByteArray(), big));
    System.out.println(sha(c.getObjectAsBytes(r -> r.bucket(bucket).key("stream").range("bytes=65530-131080")).asByteArray()));
    c.copyObject(r -> r.sourceBucket(bucket).sourceKey("stream").destinationBucket(bucket).destinationKey("copy"));

    S3AsyncClient async = S3AsyncClient.builder().endpointOverride(end).forcePathStyle(true).region(Region.US_EAST_1).multipartEnabled(true)
        .multipartConfiguration(m -> m.minimumPartSizeInBytes(5L << 20).thresholdInBytes(5L << 20)).build();
    async.putObject(r -> r.bucket(bucket).key("parts"), AsyncRequestBody.fromBytes(big)).join();
    System.out.println(Arrays.equals(async.getObject(r -> r.bucket(bucket).key("parts"), AsyncResponseTransformer.toBytes()).join().asByteArray(), big));
    async.copyObject(r -> r.sourceBucket(bucket).sourceKey("parts").destinationBucket(bucket).destinationKey("parts-copy")).join();
    try (S3TransferManager manager = S3TransferManager.builder().s3Client(async).build()) {
      Path src = Files.createDirectories(work.resolve("src"));
      Files.write(src.resolve("one"), "one".getBytes());
      Files.write(src.resolve("big"), big);
      System.out.println(manager.uploadDirectory(r -> r.bucket(bucket).s3Prefix("dir").source(src)).completionFuture().join().failedTransfers());
      Path back = work.resolve("back");
      System.out.println(manager.downloadDirectory(r -> r.bucket(bucket).listObjectsV2RequestTransformer(l -> l.prefix("dir/")).destination(back))
          .completionFuture().join().failedTransfers());
      try (var files = Files.walk(back)) {
        for (Path p : files.filter(Files::isRegularFile).sorted().toList()) {
          System.out.println(p.getFileName() + " " + sha(Files.readAllBytes(p)));
        }
      }
    }
    try (S3Presigner presigner = S3Presigner.builder().endpointOverride(end).region(Region.US_EAST_1)
        .serviceConfiguration(S3Configuration.builder().pathStyleAccessEnabled(true).build()).build()) {
      var url = presigner.presignGetObject(p -> p.signatureDuration(Duration.ofMinutes(1)).getObjectRequest(g -> g.bucket(bucket).key("small ü"))).url();
      var conn = (HttpURLConnection) url.openConnection(proxy());
      System.out.println(new String(conn.getInputStream().readAllBytes()));
    }
    try {
      c.getObjectAsBytes(r -> r.bucket(bucket).key("none"));
    } catch (S3Exception e) {
      System.out.println(e.awsErrorDetails().errorCode() + " " + e.statusCode());
    }
    c.listObjectsV2Paginator(r -> r.bucket(bucket).maxKeys(3)).contents().forEach(o -> System.out.println(o.key() + " " + o.size()));
    System.exit(0);
  }
}
