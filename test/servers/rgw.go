package servers

import (
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// rgwConfig is a Ceph cluster of one monitor and one OSD in memory. No cephx: nothing but loopback reaches it. The paxos
// intervals are what makes it start in a second: creating a pool waits for one proposal each.
const rgwConfig = `[global]
fsid = %[1]s
mon initial members = a
mon host = [v2:127.0.0.1:%[2]d,v1:127.0.0.1:%[3]d]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
auth allow insecure global id reclaim = true
ms mon client mode = crc
ms bind ipv6 = false
osd objectstore = memstore
memstore device bytes = 8589934592
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
mon osd min up ratio = 0
mon data avail crit = 1
mon client hunt interval = 0.5
paxos propose interval = 0.02
paxos min wait = 0.01
mon data = %[4]s/mon
osd data = %[4]s/osd
run dir = %[4]s/run
admin socket = %[4]s/run/$name.asok
pid file = %[4]s/run/$name.pid
log file = %[4]s/log/$name.log
[client.admin]
rgw frontends = beast endpoint=127.0.0.1:%[5]d
rgw data = %[4]s/run
rgw run sync thread = false
rgw thread pool size = 64
`

// startRGW starts a Ceph RADOS gateway over an OSD in memory: Dir holds configuration and logs, objects are never on disk.
func startRGW() (*Store, error) {
	s, err := newStore(RGW)
	if err != nil {
		return nil, err
	}
	if err = RetryPorts(s.bootRGW); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

func (s *Store) bootRGW() error {
	for _, sub := range []string{"mon", "osd", "run", "log"} {
		dir := filepath.Join(s.Dir, sub)
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	ports, err := FreePorts(3)
	if err != nil {
		return err
	}
	conf, monmap := filepath.Join(s.Dir, "ceph.conf"), filepath.Join(s.Dir, "monmap")
	fsid, osd := newUUID(), newUUID()
	text := fmt.Sprintf(rgwConfig, fsid, ports[0], ports[1], s.Dir, ports[2])
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		return err
	}
	s.Endpoint = fmt.Sprintf("http://127.0.0.1:%d", ports[2])
	mon := fmt.Sprintf("[v2:127.0.0.1:%d,v1:127.0.0.1:%d]", ports[0], ports[1])
	defer func() {
		if err != nil {
			s.halt()
		}
	}()
	steps := []func() error{
		func() error {
			return run("monmaptool", "--create", "--clobber", "--addv", "a", mon, "--fsid", fsid, monmap)
		},
		func() error { return run("ceph-mon", "-c", conf, "--mkfs", "-i", "a", "--monmap", monmap) },
		func() error { return s.daemon("ceph-mon", "-c", conf, "-f", "-i", "a") },
		func() error { return run("ceph", "-c", conf, "--connect-timeout", "20", "osd", "new", osd) },
		func() error { return run("ceph-osd", "-c", conf, "-i", "0", "--mkfs", "--osd-uuid", osd) },
		func() error { return s.daemon("ceph-osd", "-c", conf, "-f", "-i", "0") },
		func() error {
			return run("radosgw-admin", "-c", conf, "user", "create", "--uid", "store", "--display-name", "store",
				"--access-key", s.AccessKey, "--secret", s.SecretKey)
		},
		func() error { return s.daemon("radosgw", "-c", conf, "-f", "-n", "client.admin") },
		func() error { return s.procs[len(s.procs)-1].Await(20*time.Second, s.probe) },
	}
	for _, step := range steps {
		if err = step(); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) daemon(name string, args ...string) error {
	p, err := StartProcess(Spec{Name: name, Path: name, Args: args, Log: filepath.Join(s.Dir, "log", name+".out")})
	if err == nil {
		s.procs = append(s.procs, p)
	}
	return err
}

// run executes one administrative program, at most 30 s.
func run(name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Env = CleanEnv()
	cmd.WaitDelay = time.Second
	timer := time.AfterFunc(30*time.Second, func() { cmd.Process.Kill() })
	defer timer.Stop()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}

func newUUID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
