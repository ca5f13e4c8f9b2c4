import java.io.InputStream;
import java.io.OutputStream;
import java.net.HttpURLConnection;
import java.net.URL;
import java.util.Arrays;

/** An application that uploads to one URL and downloads from another. Proxy and trust come from properties of the JVM. */
public class App {
    public static void main(String[] args) throws Exception {
        byte[] data = "the application's bytes ".repeat(10_000).getBytes();
        HttpURLConnection put = (HttpURLConnection) new URL(args[0]).openConnection();
        put.setRequestMethod("PUT");
        put.setDoOutput(true);
        put.setFixedLengthStreamingMode(data.length);
        try (OutputStream out = put.getOutputStream()) {
            out.write(data);
        }
        if (put.getResponseCode() != 200) {
            throw new Exception("PUT: " + put.getResponseCode());
        }
        try (InputStream in = new URL(args[1]).openStream()) {
            if (!Arrays.equals(in.readAllBytes(), data)) {
                throw new Exception("other bytes come back");
            }
        }
        System.out.println("done");
    }
}
