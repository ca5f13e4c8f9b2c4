package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

func record(i int) Record {
	return Record{Time: time.Unix(int64(i), 0).UTC(), RequestID: fmt.Sprint(i), Action: "GetObject", Bucket: "b", Key: `k",<>` + fmt.Sprint(i), Status: 200}
}

func chainOf(t *testing.T, n int) string {
	t.Helper()
	var out bytes.Buffer
	l := New(&out, true, "")
	for i := range n {
		if err := l.Write(record(i)); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

func TestChainVerifies(t *testing.T) {
	if n, last, err := Verify(strings.NewReader(chainOf(t, 5))); n != 5 || len(last) != 64 || err != nil {
		t.Errorf("%d %q %v", n, last, err)
	}
	if n, _, err := Verify(strings.NewReader("")); n != 0 || err != nil {
		t.Errorf("empty log: %d %v", n, err)
	}
}

func TestChangedLogsAreEvident(t *testing.T) {
	log := chainOf(t, 5)
	lines := strings.SplitAfter(log, "\n")
	for name, bad := range map[string]string{
		"line removed":   lines[0] + lines[1] + lines[3] + lines[4],
		"first removed":  strings.Join(lines[1:], ""),
		"lines swapped":  lines[0] + lines[2] + lines[1] + lines[3] + lines[4],
		"line repeated":  lines[0] + lines[0] + strings.Join(lines[1:], ""),
		"value changed":  strings.Replace(log, `"status":200`, `"status":403`, 1),
		"field appended": strings.Replace(log, "}\n", `,"x":1}`+"\n", 1),
		"hash removed":   lines[0][:strings.LastIndex(lines[0], hashField)] + "}\n" + strings.Join(lines[1:], ""),
		"junk":           log + "junk\n",
	} {
		if _, _, err := Verify(strings.NewReader(bad)); !errors.Is(err, ErrChain) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Lines cut off at the end leave a whole chain: the last hash tells.
	_, all, _ := Verify(strings.NewReader(log))
	if _, cut, err := Verify(strings.NewReader(strings.Join(lines[:4], ""))); err != nil || cut == all {
		t.Errorf("cut: %q %v", cut, err)
	}
}

func TestFileContinuesItsChain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	for i := range 3 {
		l, f, err := OpenFile(path, true)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Write(record(i)); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	raw, _ := os.ReadFile(path)
	if n, _, err := Verify(bytes.NewReader(raw)); n != 3 || err != nil {
		t.Errorf("%d lines, %v", n, err)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
}

func TestReopenFollowsARotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l, f, err := OpenFile(path, true)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_ = l.Write(record(1))
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := f.Reopen(); err != nil {
		t.Fatal(err)
	}
	_ = l.Write(record(2))
	old, _ := os.ReadFile(path + ".1")
	fresh, _ := os.ReadFile(path)
	n, last, err := Verify(bytes.NewReader(old))
	if n != 1 || err != nil {
		t.Errorf("the old file: %d lines, %v", n, err)
	}
	if n, _, err := VerifyFrom(bytes.NewReader(fresh), last); n != 1 || err != nil {
		t.Errorf("the new file: %d lines, %v", n, err)
	}
	if _, _, err := Verify(bytes.NewReader(fresh)); !errors.Is(err, ErrChain) {
		t.Errorf("the new file alone: %v", err)
	}
	if n, _, err := Verify(bytes.NewReader(append(old, fresh...))); n != 2 || err != nil {
		t.Errorf("both: %d lines, %v", n, err)
	}
}

func TestLinesAreWhatJSONWouldBe(t *testing.T) {
	odd := full()
	odd.Key = "a\"b\\c<d>&\n\x00\x7f\u2028é\xff"
	odd.Milliseconds = 1234567.25
	odd.Time = time.Date(2026, 3, 1, 12, 0, 0, 0, time.FixedZone("", 3600))
	list := []Record{{}, full(), odd, {Side: SourceSide, Lost: 3, ClaimedKey: "ASIA", TraceID: "0af7651916cd43dd8448eb211c80319c"}, {Milliseconds: 0.001, Status: -1, BytesIn: 1 << 62}}
	for c := range 0x100 {
		list = append(list, Record{Key: string([]byte{'a', byte(c), 'b'})})
	}
	for _, r := range list {
		want, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if got := appendRecord(nil, &r); !bytes.Equal(got, AppendVisible(nil, want)) {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	if n := reflect.TypeFor[Record]().NumField(); n != 22 {
		t.Errorf("%d fields", n) // appendRecord lists them
	}
}

// Row 39. Whoever reads a log on a terminal sees the keys that clients chose, and a JSON reader gets them as they are.
func TestLinesCommandNoTerminal(t *testing.T) {
	key := "a\x1b[2J\u009b2J\x7f\u202egpj\u2066\u200f\u061cé日\u0085\r\n"
	line := appendRecord(nil, &Record{Key: key})
	for _, r := range string(line) {
		if r < ' ' || r != 'é' && r != '日' && r > '~' {
			t.Errorf("%U in %s", r, line)
		}
	}
	var back Record
	if err := json.Unmarshal(line, &back); err != nil || back.Key != key {
		t.Errorf("%q, %v", back.Key, err)
	}
}

func TestChainedLineReadsBack(t *testing.T) {
	var out bytes.Buffer
	if err := New(&out, true, "").Write(full()); err != nil {
		t.Fatal(err)
	}
	var c chained
	d := json.NewDecoder(&out)
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil || c.Record != full() || c.Prev != "" || len(c.Hash) != 64 {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestConcurrentWritersMakeOneChain(t *testing.T) {
	var out bytes.Buffer
	l := New(&out, true, "")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 50 {
				if err := l.Write(record(i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n, _, err := Verify(&out); n != 400 || err != nil {
		t.Errorf("%d lines, %v", n, err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func TestOffWritesNothing(t *testing.T) {
	var off *Log
	if err := off.Write(record(1)); err != nil {
		t.Error(err)
	}
}

// full is a record with every field set, as a GET of an encrypted object has.
func full() Record {
	return Record{Time: time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC), RequestID: "0123456789ABCDEF", UpstreamRequestID: "FEDCBA9876543210",
		Client: "app", Source: "10.1.2.3", Action: "GetObject", Bucket: "data", Key: "dir/sub/object-0001.parquet", VersionID: "v1", Status: 200,
		Code: "NoSuchKey", Class: "stream", SSE: "AES256", KID: "main.2", IKEK: "0011223344556677", BytesIn: 1, BytesOut: 4096, Milliseconds: 0.712}
}
