import java.io.ByteArrayOutputStream;
import java.math.BigInteger;
import java.net.URI;
import java.security.KeyFactory;
import java.security.KeyPair;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.interfaces.RSAPrivateCrtKey;
import java.security.spec.PKCS8EncodedKeySpec;
import java.security.spec.RSAPublicKeySpec;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.Map;
import javax.crypto.spec.SecretKeySpec;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.http.urlconnection.UrlConnectionHttpClient;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.kms.KmsClient;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.encryption.s3.CommitmentPolicy;
import software.amazon.encryption.s3.S3EncryptionClient;
import software.amazon.encryption.s3.algorithms.AlgorithmSuite;
import software.amazon.encryption.s3.internal.InstructionFileConfig;
import software.amazon.encryption.s3.materials.AesKeyring;
import software.amazon.encryption.s3.materials.KmsKeyring;
import software.amazon.encryption.s3.materials.RsaKeyring;
import software.amazon.encryption.s3.materials.PartialRsaKeyPair;
import software.amazon.encryption.s3.materials.S3Keyring;

/**
 * Writes objects with the Amazon S3 Encryption Client: every wrapping in format versions 2 and 3, with metadata and with
 * instruction files. Object names are version-wrapping-place-length; byte i of a body is i * 7 mod 251.
 *
 * Arguments: endpoint accessKey secretKey bucket kmsEndpoint kmsKeyId aesKeyBase64 rsaPkcs8PemFile
 */
public class ForeignWriter {
  static byte[] body(int n) {
    byte[] b = new byte[n];
    for (int i = 0; i < n; i++) b[i] = (byte) (i * 7 % 251);
    return b;
  }

  static KeyPair rsa(String file) throws Exception {
    String pem = Files.readString(Path.of(file)).replaceAll("-----[A-Z ]+-----", "").replaceAll("\\s", "");
    KeyFactory f = KeyFactory.getInstance("RSA");
    PrivateKey priv = f.generatePrivate(new PKCS8EncodedKeySpec(Base64.getDecoder().decode(pem)));
    RSAPrivateCrtKey k = (RSAPrivateCrtKey) priv;
    PublicKey pub = f.generatePublic(new RSAPublicKeySpec(k.getModulus(), k.getPublicExponent()));
    return new KeyPair(pub, priv);
  }

  public static void main(String[] a) throws Exception {
    var credentials = StaticCredentialsProvider.create(AwsBasicCredentials.create(a[1], a[2]));
    var s3 = S3Client.builder().endpointOverride(URI.create(a[0])).forcePathStyle(true).region(Region.US_EAST_1)
        .credentialsProvider(credentials).httpClient(UrlConnectionHttpClient.create()).build();
    var async = S3AsyncClient.builder().endpointOverride(URI.create(a[0])).forcePathStyle(true).region(Region.US_EAST_1)
        .credentialsProvider(credentials).build();
    var kms = KmsClient.builder().endpointOverride(URI.create(a[4])).region(Region.US_EAST_1)
        .credentialsProvider(credentials).httpClient(UrlConnectionHttpClient.create()).build();
    KeyPair pair = rsa(a[7]);
    for (String version : new String[] {"v2", "v3"}) {
      for (String wrapping : new String[] {"aes", "rsa", "kms"}) {
        for (String place : new String[] {"meta", "file"}) {
          S3Keyring keyring = switch (wrapping) {
            case "aes" -> AesKeyring.builder().wrappingKey(new SecretKeySpec(Base64.getDecoder().decode(a[6]), "AES")).build();
            case "rsa" -> RsaKeyring.builder().wrappingKeyPair(
                new PartialRsaKeyPair(pair.getPrivate(), pair.getPublic())).build();
            default -> KmsKeyring.builder().kmsClient(kms).wrappingKeyId(a[5]).build();
          };
          var b = S3EncryptionClient.builderV4().wrappedClient(s3).wrappedAsyncClient(async).keyring(keyring);
          b = version.equals("v2")
              ? b.commitmentPolicy(CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT)
                  .encryptionAlgorithm(AlgorithmSuite.ALG_AES_256_GCM_IV12_TAG16_NO_KDF)
              : b.commitmentPolicy(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT);
          if (place.equals("file")) {
            b = b.instructionFileConfig(InstructionFileConfig.builder().instructionFileClient(s3)
                .enableInstructionFilePutObject(true).build());
          }
          S3EncryptionClient client = b.build(); // closing it would close the clients it wraps
            for (int n : new int[] {0, 1, 100, 70000}) {
              String key = version + "-" + wrapping + "-" + place + "-" + n;
              client.putObject(r -> {
                r.bucket(a[3]).key(key);
                if (wrapping.equals("kms")) {
                  r.overrideConfiguration(S3EncryptionClient.withAdditionalConfiguration(Map.of("team", "blue")));
                }
              }, RequestBody.fromBytes(body(n)));
            }
        }
      }
    }
    System.exit(0);
  }
}
