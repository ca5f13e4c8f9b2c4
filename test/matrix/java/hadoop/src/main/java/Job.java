import java.net.URI;
import java.util.Arrays;
import java.util.Comparator;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

/** Hadoop S3A, on AWS SDK for Java v1: directories, block uploads, seeks, renames, listings, as Hive and Spark use them. */
public class Job {
  public static void main(String[] a) throws Exception {
    String bucket = System.getenv("S3_BUCKET"), end = System.getenv("S3_ENDPOINT");
    Configuration conf = new Configuration();
    conf.set("fs.s3a.endpoint", end);
    conf.set("fs.s3a.access.key", System.getenv("AWS_ACCESS_KEY_ID"));
    conf.set("fs.s3a.secret.key", System.getenv("AWS_SECRET_ACCESS_KEY"));
    conf.set("fs.s3a.path.style.access", "true");
    conf.set("fs.s3a.connection.ssl.enabled", Boolean.toString(end.startsWith("https")));
    conf.set("fs.s3a.multipart.size", "5M");
    conf.set("fs.s3a.multipart.threshold", "6M");
    conf.set("fs.s3a.fast.upload.buffer", "bytebuffer");
    FileSystem fs = FileSystem.get(URI.create("s3a://" + bucket + "/"), conf);
    byte[] block = new byte[1_000_003];
    for (int i = 0; i < block.length; i++) block[i] = (byte) (i * 13 % 251);
    fs.mkdirs(new Path("/warehouse/_temporary"));
    for (int part = 0; part < 3; part++) {
      try (FSDataOutputStream out = fs.create(new Path("/warehouse/_temporary/part-" + part))) {
        for (int i = 0; i <= part * 8; i++) out.write(block);
      }
    }
    for (int part = 0; part < 3; part++) {
      System.out.println(fs.rename(new Path("/warehouse/_temporary/part-" + part), new Path("/warehouse/part-" + part)));
    }
    System.out.println(fs.delete(new Path("/warehouse/_temporary"), true));
    fs.create(new Path("/warehouse/_SUCCESS")).close();
    FileStatus[] list = fs.listStatus(new Path("/warehouse"));
    Arrays.sort(list, Comparator.comparing(s -> s.getPath().toString()));
    for (FileStatus s : list) System.out.println(s.getPath().getName() + " " + s.getLen() + " " + s.isDirectory());
    try (FSDataInputStream in = fs.open(new Path("/warehouse/part-2"))) {
      byte[] got = new byte[100];
      in.readFully(16_000_000, got);
      System.out.println(Arrays.hashCode(got));
      in.seek(3);
      in.readFully(got);
      System.out.println(Arrays.hashCode(got));
      in.readFully(fs.getFileStatus(new Path("/warehouse/part-2")).getLen() - 100, got);
      System.out.println(Arrays.hashCode(got));
    }
    System.out.println(fs.getContentSummary(new Path("/warehouse")).getLength());
    System.out.println(fs.exists(new Path("/none")) + " " + fs.delete(new Path("/warehouse"), true));
    System.exit(0);
  }
}
