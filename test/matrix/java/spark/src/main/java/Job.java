import java.util.List;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SaveMode;
import org.apache.spark.sql.SparkSession;

/** Spark SQL over S3A: a partitioned Parquet table written, appended to, overwritten, read back with filters, CSV beside it. */
public class Job {
  public static void main(String[] a) throws Exception {
    String end = System.getenv("S3_ENDPOINT"), root = "s3a://" + System.getenv("S3_BUCKET") + "/warehouse";
    SparkSession spark = SparkSession.builder().master("local[2]").appName("job").config("spark.ui.enabled", "false")
        .config("spark.local.dir", System.getenv("WORK")).config("spark.sql.shuffle.partitions", "2").config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1").config("spark.hadoop.fs.s3a.endpoint", end)
        .config("spark.hadoop.fs.s3a.access.key", System.getenv("AWS_ACCESS_KEY_ID")).config("spark.hadoop.fs.s3a.secret.key", System.getenv("AWS_SECRET_ACCESS_KEY"))
        .config("spark.hadoop.fs.s3a.path.style.access", "true").config("spark.hadoop.fs.s3a.connection.ssl.enabled", Boolean.toString(end.startsWith("https")))
        .config("spark.hadoop.fs.s3a.fast.upload.buffer", "bytebuffer").config("spark.hadoop.fs.s3a.multipart.size", "5M")
        .config("spark.sql.sources.partitionOverwriteMode", "dynamic").getOrCreate();
    Dataset<Row> rows = spark.range(0, 400_000, 1, 2).selectExpr("id", "id % 3 as part", "sha2(cast(id as string), 256) as text");
    rows.write().partitionBy("part").mode(SaveMode.Overwrite).parquet(root + "/table");
    rows.filter("part = 1").limit(1000).write().partitionBy("part").mode(SaveMode.Append).parquet(root + "/table");
    rows.filter("part = 2").limit(500).write().partitionBy("part").mode(SaveMode.Overwrite).parquet(root + "/table");
    Dataset<Row> table = spark.read().parquet(root + "/table");
    table.createOrReplaceTempView("t");
    print(spark.sql("select part, count(*), sum(id), min(text) from t group by part order by part").collectAsList());
    print(spark.sql("select count(*) from t where part = 0 and id > 399000").collectAsList());
    rows.limit(1000).coalesce(1).write().option("header", "true").csv(root + "/csv");
    System.out.println(spark.read().option("header", "true").csv(root + "/csv").count());
    FileSystem fs = new Path(root).getFileSystem(spark.sparkContext().hadoopConfiguration());
    for (FileStatus s : fs.listStatus(new Path(root + "/table"))) System.out.println(s.getPath().getName() + " " + s.isDirectory());
    spark.stop();
    System.exit(0);
  }

  static void print(List<Row> rows) {
    for (Row r : rows) System.out.println(r);
  }
}
