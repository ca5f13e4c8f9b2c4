//go:build integration

package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"s3veil/test/servers"
)

// quietly runs commands that are no part of a page.
func (s *story) quietly(text string) {
	s.t.Helper()
	s.play(block{page: "around the page", lang: "sh", mark: markRun, text: text})
}

func TestRecipesOfResticAndRclone(t *testing.T) {
	s := running(t)
	s.tell("docs/RECIPES.md", "restic", nil)
	if !strings.Contains(s.output, "no errors were found") {
		t.Error(s.output)
	}
	s.tell("docs/RECIPES.md", "rclone", nil)
	if !strings.Contains(s.output, "There was nothing to transfer") || !strings.Contains(s.output, "12000006") {
		t.Error(s.output)
	}
}

func TestRecipeOfTheClientOfThanosMimirAndLoki(t *testing.T) {
	s, program := running(t), os.Getenv("S3VEIL_TEST_OBJSTORE")
	if program == "" {
		t.Fatal("S3VEIL_TEST_OBJSTORE is not set; .ci/run sets it")
	}
	for _, b := range blocks(t, "docs/RECIPES.md") {
		if b.story == "objstore" {
			s.play(b)
		}
	}
	s.quietly("AWS_ACCESS_KEY_ID=app AWS_SECRET_ACCESS_KEY=app-secret-key AWS_DEFAULT_REGION=us-east-1 aws --endpoint-url http://127.0.0.1:8080 s3 mb s3://metrics\n")
	s.quietly("OBJSTORE_CONFIG=objstore.yaml '" + program + "' -test.v\n")
	if strings.Count(s.output, "--- PASS") != 2 {
		t.Error(s.output)
	}
}

// postgres makes a database whose settings include archive.conf, and commands to start and stop it. PostgreSQL refuses to run
// as root: a user namespace makes it somebody else.
func (s *story) postgres() {
	s.t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil || len(found) == 0 {
		s.t.Fatal("PostgreSQL is not installed", err)
	}
	ports, err := servers.FreePorts(2)
	if err != nil {
		s.t.Fatal(err)
	}
	as := ""
	if os.Geteuid() == 0 {
		as = "unshare --user --map-user=1000 --map-group=1000 "
	}
	sockets, err := os.MkdirTemp("", "s3veil-pg") // paths of sockets are short
	if err != nil {
		s.t.Fatal(err)
	}
	data := s.dir + "/var/lib/s3veil/data"
	s.env = append(s.env, "PGHOST="+sockets, fmt.Sprint("PGPORT=", ports[0]), "PGUSER=postgres", "PGDATABASE=postgres", "DATA="+data)
	double := "#!/bin/sh\nexec " + as + found[0] + "/pg_ctl -s -w -D \"$1\" -l \"$1.log\" -o \"-p $2\" $3\n"
	if err := os.WriteFile(s.dir+"/doubles/database", []byte(double), 0o755); err != nil {
		s.t.Fatal(err)
	}
	s.quietly(as + found[0] + "/initdb -D \"$DATA\" -U postgres -A trust -N >/dev/null\n" +
		"cat >>\"$DATA/postgresql.conf\" <<END\nlisten_addresses = ''\nfsync = off\nunix_socket_directories = '" + sockets + "'\ninclude_if_exists '" + s.dir + "/archive.conf'\nEND\n")
	s.env = append(s.env, fmt.Sprint("SECOND=", ports[1]))
	s.t.Cleanup(func() {
		for _, dir := range []string{data, s.dir + "/restored"} {
			if pid, err := os.ReadFile(dir + "/postmaster.pid"); err == nil {
				_ = os.WriteFile(s.dir+"/pids", []byte(strings.Fields(string(pid))[0]+"\n"), 0o644)
				s.end()
			}
		}
		os.RemoveAll(sockets)
	})
}

const count = "psql -At -p $SECOND -c 'select count(*) from numbers'\n"

func TestRecipeOfBarman(t *testing.T) {
	s := running(t)
	barman := os.Getenv("S3VEIL_TEST_BARMAN")
	if barman == "" {
		t.Fatal("S3VEIL_TEST_BARMAN is not set; .ci/run sets it")
	}
	s.quietly("ln -s '" + barman + "'/barman-cloud-* doubles/\n")
	s.postgres()
	s.tell("docs/RECIPES.md", "barman", func(b block) {
		if b.mark == markFile+"archive.conf" {
			s.quietly("aws --endpoint-url http://127.0.0.1:8080 --region us-east-1 s3 mb s3://backups\ndatabase $DATA $PGPORT start\n")
		}
	})
	s.quietly("database $DATA $PGPORT stop\ndatabase $PWD/restored $SECOND start\n" +
		"until [ \"$(psql -At -p $SECOND -c 'select pg_is_in_recovery()')\" = f ]; do sleep 0.2; done\n" + count)
	if strings.TrimSpace(s.output) != "100010" {
		t.Error(s.output)
	}
	s.quietly("database $PWD/restored $SECOND stop\n")
}

func TestRecipeOfPgBackRest(t *testing.T) {
	s := newStory(t)
	s.quietly("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3 -subj /CN=localhost " +
		"-addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout /etc/s3veil/tls.key -out /etc/s3veil/tls.pem 2>/dev/null\n")
	runningWith(s, "tls: {cert_file: etc/s3veil/tls.pem, key_file: etc/s3veil/tls.key}\n")
	s.postgres()
	// the program's own folders, which the package makes
	s.env = append(s.env, "PGBACKREST_LOG_PATH="+s.dir, "PGBACKREST_LOCK_PATH="+s.dir+"/lock", "PGBACKREST_SPOOL_PATH="+s.dir,
		"PGBACKREST_PG1_SOCKET_PATH="+s.variable("PGHOST"), "PGBACKREST_PG1_PORT="+s.variable("PGPORT"), "PGBACKREST_PG1_USER=postgres")
	s.tell("docs/RECIPES.md", "pgbackrest", func(b block) {
		if b.mark == markFile+"archive.conf" {
			s.quietly("AWS_ACCESS_KEY_ID=app AWS_SECRET_ACCESS_KEY=app-secret-key AWS_CA_BUNDLE=/etc/s3veil/tls.pem aws --endpoint-url https://127.0.0.1:8080 " +
				"--region us-east-1 s3 mb s3://backups\ncp pgbackrest.conf /var/lib/s3veil/\ndatabase $DATA $PGPORT start\n")
		}
	})
	s.quietly("database $DATA $PGPORT stop\ndatabase $PWD/restored $SECOND start\n" +
		"until [ \"$(psql -At -p $SECOND -c 'select pg_is_in_recovery()')\" = f ]; do sleep 0.2; done\n" + count)
	if strings.TrimSpace(s.output) != "100010" {
		t.Error(s.output)
	}
	s.quietly("database $PWD/restored $SECOND stop\n")
}

// variable is one of the environment of the story.
func (s *story) variable(name string) (value string) {
	for _, v := range s.env {
		if text, ok := strings.CutPrefix(v, name+"="); ok {
			value = text
		}
	}
	return value
}
