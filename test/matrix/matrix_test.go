//go:build matrix

package matrix

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
)

func TestMain(m *testing.M) { servers.Main(m, s3veil.RemoveBuild) }

var update = flag.Bool("update", false, "write the table of docs/CLIENTS.md")

// tools is where .ci/matrix has put the programs.
func tools(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("S3VEIL_TEST_MATRIX")
	if dir == "" {
		t.Fatal("S3VEIL_TEST_MATRIX is not set: run .ci/matrix")
	}
	return dir
}

// client is one program of the matrix.
type client struct {
	name, does string
	version    []string // a command that prints it
	command    []string
	// listing says that the keys and sizes in the bucket afterwards are part of the result; off where names are random.
	listing bool
	// store is the kind of store that the job needs, empty for the usual one.
	store string
	// proxied says that the program finds its way through a forward proxy by its environment alone.
	proxied bool
}

func clients(dir string) []client {
	python, jobs := filepath.Join(dir, "py/bin/python"), "jobs/"
	pip := func(names string) []string {
		return []string{python, "-c", "import importlib.metadata as m; print(', '.join(n + ' ' + m.version(n) for n in '" + names + "'.split()))"}
	}
	java := func(name, class string) []string {
		return []string{"java", "-cp", filepath.Join(dir, name, "target/classes") + ":" + filepath.Join(dir, name, "lib/*"), class}
	}
	jar := func(name, prefix string) []string {
		return []string{"sh", "-c", "ls " + filepath.Join(dir, name, "lib") + " | sed -n 's/^\\(" + prefix + "-[0-9][0-9.]*\\)\\.jar$/\\1/p'"}
	}
	module := func(path string) []string { return []string{"go", "list", "-m", "-f", "{{.Version}}", path} }
	spark := []string{"java", "-Dlog4j2.level=ERROR"}
	for _, open := range []string{"java.lang", "java.lang.invoke", "java.lang.reflect", "java.io", "java.net", "java.nio", "java.util", "java.util.concurrent", "sun.nio.ch", "sun.security.action"} {
		spark = append(spark, "--add-opens=java.base/"+open+"=ALL-UNNAMED")
	}
	spark = append(spark, java("spark", "Job")[1:]...)
	bin := func(name string) string { return filepath.Join(dir, "bin", name) }
	cli := filepath.Join(dir, "cli/bin")
	return []client{
		{name: "aws-cli", does: "sync that converges, multipart, moves, pipes, conditional writes, presigned URLs, both checksum settings",
			version: []string{filepath.Join(cli, "python"), "-c", "import awscli; print(awscli.__version__)"}, command: []string{"sh", jobs + "aws.sh"}, listing: true},
		{name: "boto3", does: "transfers with `when_supported` and `when_required`, conditional writes, presigned URLs", version: pip("boto3 botocore"),
			command: []string{python, jobs + "boto3_job.py"}, listing: true},
		{name: "minio-py", does: "objects, multipart of unknown length, composing, presigned URLs, tags", version: pip("minio"),
			command: []string{python, jobs + "minio_job.py"}, listing: true},
		{name: "s3fs / fsspec", does: "files, appends, recursive copies, random reads", version: pip("s3fs aiobotocore"),
			command: []string{python, jobs + "fsspec_job.py"}, listing: true},
		{name: "Apache Arrow (pyarrow)", does: "a partitioned Parquet dataset, filtered reads, streams", version: pip("pyarrow"),
			command: []string{python, jobs + "pyarrow_job.py"}, listing: true,
			store: servers.MinIO}, // versitygw at times misreads the request behind one of its chunked bodies
		{name: "DuckDB httpfs", does: "COPY to Parquet and CSV, queries over globs", version: pip("duckdb"),
			command: []string{python, jobs + "duckdb_job.py"}},
		{name: "barman-cloud", does: "WAL archive and restore", version: pip("barman"), command: []string{"sh", jobs + "barman.sh"}, listing: true},
		{name: "AWS SDK for JavaScript v3", does: "lib-storage uploads, presigned URLs, bulk deletion",
			version: []string{"sh", "-c", "node -p \"require('" + dir + "/js/node_modules/@aws-sdk/client-s3/package.json').version\""},
			command: []string{"node", jobs + "sdk.mjs"}, listing: true},
		{name: "AWS SDK for Java v2", does: "sync client with streams, async Java multipart, transfer manager, presigner", version: jar("sdk", "s3"),
			command: java("sdk", "Job"), proxied: true, listing: true},
		{name: "Hadoop S3A", does: "block uploads, renames of directories, seeks", version: jar("hadoop", "hadoop-aws"), command: java("hadoop", "Job"), listing: true,
			store: servers.MinIO}, // versitygw keeps directory markers that are not empty, and S3A waits; this RGW refuses S3A's empty bodies
		{name: "Spark", does: "a partitioned Parquet table, appends, dynamic overwrites, SQL, CSV", version: []string{"sh", "-c", "ls " + filepath.Join(dir, "spark/lib") + " | sed -n 's/^spark-core_2.12-\\(.*\\)\\.jar$/\\1/p'"}, command: spark,
			store: servers.MinIO},
		{name: "AWS SDK for Go v2", does: "transfer manager, conditional writes, presigned URLs, both checksum settings", version: module("github.com/aws/aws-sdk-go-v2/service/s3"),
			command: []string{bin("gosdk")}, proxied: true, listing: true},
		{name: "minio-go", does: "multipart of known and unknown length, reads at offsets, composing, tags, bulk removal", version: module("github.com/minio/minio-go/v7"),
			command: []string{bin("miniogo")}, listing: true,
			store: servers.MinIO}, // as for Apache Arrow
		{name: "rclone", does: "copy, sync and check until there is nothing to do, server-side copies, pipes", version: []string{"rclone", "version"},
			command: []string{"sh", jobs + "rclone.sh"}, proxied: true, listing: true},
		{name: "s3cmd", does: "sync both ways until there is nothing to do, multipart, changed metadata", version: []string{"s3cmd", "--version"},
			command: []string{"sh", jobs + "s3cmd.sh"}, listing: true},
		{name: "s5cmd", does: "parallel copies, sync that converges, pipes, removal by pattern", version: []string{filepath.Join(cli, "s5cmd"), "version"},
			command: []string{"sh", jobs + "s5cmd.sh"}, proxied: true, listing: true},
		{name: "restic", does: "two backups, check of all data, restore, forget with prune", version: []string{"restic", "version"}, command: []string{"sh", jobs + "restic.sh"}, proxied: true},
		{name: "OpenTofu (Terraform's S3 backend)", does: "state with a lock file, a lock held by another, workspaces", version: []string{"sh", "-c", bin("tofu") + " version | grep '^OpenTofu'"},
			command: []string{"sh", jobs + "tofu.sh"}, proxied: true},
		{name: "mc", does: "mirror, pipe, recursive copies", version: []string{"sh", "-c", "go version -m " + bin("mc") + " | grep -w mod"}, command: []string{"sh", jobs + "mc.sh"}, listing: true},
		{name: "s3fs-fuse", does: "a mount: appends, random writes, renames", version: []string{"s3fs", "--version"}, command: []string{"sh", jobs + "s3fs.sh"}},
	}
}

// env is what a job finds in its environment.
func env(dir string, target *s3veil.Target, bucket, work string) []string {
	out := append(servers.CleanEnv(), "S3_ENDPOINT="+target.Endpoint(), "S3_BUCKET="+bucket, "WORK="+work, "HOME="+work,
		"AWS_ACCESS_KEY_ID="+target.AccessKey, "AWS_SECRET_ACCESS_KEY="+target.SecretKey, "AWS_REGION="+servers.Region,
		"AWS_DEFAULT_REGION="+servers.Region, "AWS_EC2_METADATA_DISABLED=true", "NODE_MODULES="+filepath.Join(dir, "js/node_modules"),
		"BARMAN="+filepath.Join(dir, "py/bin"), "MC="+filepath.Join(dir, "bin/mc"), "TOFU="+filepath.Join(dir, "bin/tofu"),
		"CLI="+filepath.Join(dir, "cli/bin"))
	if target.CAFile != "" {
		store := filepath.Join(work, "trust.p12")
		_ = exec.Command("keytool", "-importcert", "-noprompt", "-alias", "ca", "-file", target.CAFile, "-keystore", store, "-storepass", "secret",
			"-storetype", "PKCS12").Run()
		out = append(out, "AWS_CA_BUNDLE="+target.CAFile, "SSL_CERT_FILE="+target.CAFile, "NODE_EXTRA_CA_CERTS="+target.CAFile,
			"JAVA_TOOL_OPTIONS=-Djavax.net.ssl.trustStore="+store+" -Djavax.net.ssl.trustStorePassword=secret")
	}
	return out
}

// outcome is what a job left behind: its output, its exit code, and what a listing shows.
type outcome struct{ output, exit, listing string }

// do runs a job. Of more, NAME=value, S3_ENDPOINT is another way to the target.
func do(t *testing.T, dir string, c client, target *s3veil.Target, more ...string) outcome {
	t.Helper()
	endpoint := target.Endpoint()
	if len(more) > 0 {
		endpoint = strings.TrimPrefix(more[0], "S3_ENDPOINT=")
	}
	bucket, work := servers.NewBucket(t, target.Client()), t.TempDir()
	cmd := exec.Command(c.command[0], c.command[1:]...)
	var out, log strings.Builder
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = append(env(dir, target, bucket, work), more...), &out, &log, time.Second
	timer := time.AfterFunc(4*time.Minute, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	o := outcome{exit: "0"}
	if err := cmd.Run(); err != nil {
		o.exit = err.Error()
	}
	o.output = strings.NewReplacer(bucket, "BUCKET", endpoint, "ENDPOINT", work, "WORK").Replace(out.String())
	if c.listing {
		o.listing = list(t, target, bucket)
	}
	if o.exit != "0" {
		t.Logf("%s on %s: %s\n%.3000s", c.name, target.Name, o.exit, log.String())
	}
	return o
}

func list(t *testing.T, target *s3veil.Target, bucket string) string {
	t.Helper()
	var lines []string
	p := s3.NewListObjectsV2Paginator(target.Client(), &s3.ListObjectsV2Input{Bucket: &bucket})
	for p.HasMorePages() {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Contents {
			lines = append(lines, fmt.Sprint(*o.Key, " ", *o.Size))
		}
	}
	return strings.Join(lines, "\n")
}

// TestSameJobSameResult is the matrix.
func TestSameJobSameResult(t *testing.T) {
	dir := tools(t)
	// Some clients upload parts of uneven lengths, whose size a listing tells exactly only if asked to.
	exact := func(config map[string]any) {
		config["buckets"] = []any{map[string]any{"name": "*", "listing": "exact"}}
	}
	targets := map[string][]*s3veil.Target{}
	for _, kind := range []string{servers.Versity, servers.MinIO} {
		store := servers.MustShared(t, kind)
		targets[kind] = append(targets[kind], s3veil.Bare(store))
		for _, tls := range []bool{false, true} {
			targets[kind] = append(targets[kind], &s3veil.MustStart(t, s3veil.Options{Store: store, TLS: tls, Configure: exact}).Target)
		}
	}
	var rows []string
	for _, c := range clients(dir) {
		good := true
		t.Run(c.name, func(t *testing.T) {
			use := targets[cmp.Or(c.store, servers.Versity)]
			want := do(t, dir, c, use[0])
			if want.exit != "0" {
				t.Fatalf("the bare store: %s\n%s", want.exit, want.output)
			}
			for _, target := range use[1:] {
				if got := do(t, dir, c, target); got != want {
					t.Errorf("%s:\n%+v\nthe bare store:\n%+v", target.Endpoint(), got, want)
				}
			}
			good = !t.Failed()
		})
		if good {
			rows = append(rows, fmt.Sprintf("| %s | %s | %s |\n", c.name, version(c), c.does))
		}
	}
	if !t.Failed() {
		table(t, rows)
	}
}

var number = regexp.MustCompile(`[0-9]+\.[0-9][0-9A-Za-z.-]*|RELEASE\.[0-9T-]+Z|DEVELOPMENT\.[A-Z-]+`)

// version is the first version in what a command prints, or all of it for packages.
func version(c client) string {
	out, err := exec.Command(c.version[0], c.version[1:]...).Output()
	text, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if err != nil || text == "" {
		return "?"
	}
	if strings.Contains(c.version[len(c.version)-1], "importlib") {
		return text
	}
	if v := number.FindString(text); v != "" {
		return v
	}
	return text
}

const tableStart, tableEnd = "<!-- matrix: made by .ci/matrix -update -->\n", "<!-- end of matrix -->\n"

// table compares the rows with docs/CLIENTS.md, without versions, or writes them.
func table(t *testing.T, rows []string) {
	t.Helper()
	const file = "../../docs/CLIENTS.md"
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, _ := strings.Cut(string(raw), tableStart)
	have, after, ok := strings.Cut(rest, tableEnd)
	if !ok {
		t.Fatal("docs/CLIENTS.md has no marks for the table")
	}
	head := "| Client | Version | Job |\n|---|---|---|\n"
	if *update {
		if err := os.WriteFile(file, []byte(before+tableStart+head+strings.Join(rows, "")+tableEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	names := func(text string) (out []string) {
		for line := range strings.Lines(text) {
			if cells := strings.Split(line, "|"); len(cells) > 3 {
				out = append(out, strings.TrimSpace(cells[1]), strings.TrimSpace(cells[3]))
			}
		}
		return out
	}
	if !slices.Equal(names(have), names(head+strings.Join(rows, ""))) {
		t.Error("the table of docs/CLIENTS.md is another one; run .ci/matrix -update")
	}
}
