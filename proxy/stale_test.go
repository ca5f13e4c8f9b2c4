package proxy

import (
	"bytes"
	"io"
	"testing"

	"s3veil/crypto/size"
	"s3veil/proxy/proxytest"
)

// A replica that read between steps 4 and 5 of FORMAT.md 9.3 remembers a rival's table of the same length; a read that fails
// under it before the head has gone out is tried again with the one that stands now.
func TestReadUnderARememberedRivalTableIsTriedAgain(t *testing.T) {
	f := newFixture(t, nil)
	id, etags := f.upload(bigPart, partTwo, partThree)
	f.turnedDown(func() { f.complete(id, etags, 1, 3) })
	f.cutOff(func() { f.complete(id, etags, 1, 2) })
	f.must("HEAD", "/data/key", nil)
	ids := f.s.caches.manifests.Keys()
	if len(ids) != 1 {
		t.Fatalf("%d manifests remembered", len(ids))
	}
	rival, _ := f.s.caches.manifests.Get(ids[0])
	if resp, doc := f.complete(id, etags, 1, 2); resp.StatusCode != 200 {
		t.Fatalf("repeated: %d %s", resp.StatusCode, doc)
	}
	f.s.caches.manifests.Add(ids[0], rival) // as a replica that knows nothing of that holds it
	resp, got := f.do("GET", "/data/key", nil, "range", "bytes=5242880-5242979")
	if resp.StatusCode != 206 || !bytes.Equal(got, partTwo[:100]) {
		t.Errorf("%d %.200s", resp.StatusCode, got)
	}
	// A failure after the head breaks this answer, and the next one is right.
	f.s.caches.manifests.Add(ids[0], rival)
	c := f.dial()
	io.WriteString(c, f.head("GET", "/data/key", unsigned, "connection", "close"))
	io.Copy(io.Discard, c)
	f.idle()
	if _, got := f.must("GET", "/data/key", nil); len(got) != len(bigPart)+len(partTwo) || !bytes.HasSuffix(got, partTwo) {
		t.Errorf("%d other bytes after a broken answer", len(got))
	}
}

// turnedDown has Completes end at the store after their manifest has been written.
func (f *fixture) turnedDown(complete func()) {
	remove := f.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
		if c.Op == "CompleteMultipartUpload" {
			return proxytest.Fail(400, "InvalidRequest")
		}
		return nil
	}})
	defer remove()
	complete()
}

// cutOff has a Complete succeed whose writer ends at that moment.
func (f *fixture) cutOff(complete func()) {
	remove := f.store.Hook(proxytest.Hook{After: func(c *proxytest.Call, a *proxytest.Answer) {
		if c.Op == "CompleteMultipartUpload" {
			a.Drop = true
		}
	}})
	defer remove()
	complete()
}

// The first name may hold the table of a rival of another length, and so may a replica's memory: neither is read under.
func TestTablesOfAnotherLengthAreNotReadUnder(t *testing.T) {
	f := newFixture(t, nil)
	id, etags := f.upload(bigPart, partTwo, partThree[:1000])
	f.turnedDown(func() { f.complete(id, etags, 1, 3) })
	f.cutOff(func() { f.complete(id, etags, 1, 2) })
	f.reads(bigPart, partTwo)
	ids := f.s.caches.manifests.Keys()
	if len(ids) != 1 {
		t.Fatalf("%d manifests remembered", len(ids))
	}
	m, _ := f.s.caches.manifests.Get(ids[0])
	rival := *m
	rival.Table = size.Single(m.Table.Plain() + 1)
	f.s.caches.manifests.Add(ids[0], &rival)
	if resp, got := f.do("HEAD", "/data/key", nil); resp.ContentLength != int64(len(bigPart)+len(partTwo)) {
		t.Errorf("HEAD under a remembered table of another length: %d, %d bytes %.200s", resp.StatusCode, resp.ContentLength, got)
	}
}

// Where two tables fit that nobody can tell apart, none is guessed, until the Complete is repeated.
func TestOneOfSeveralTablesIsNotGuessed(t *testing.T) {
	for winner, loser := range map[int]int{2: 3, 3: 2} {
		f := newFixture(t, nil)
		id, etags := f.upload(bigPart, partTwo, partThree, []byte("d"))
		f.turnedDown(func() { f.complete(id, etags, 1, 4) }) // has the first name
		f.turnedDown(func() { f.complete(id, etags, 1, loser) })
		f.cutOff(func() { f.complete(id, etags, 1, winner) })
		if resp, got := f.do("GET", "/data/key", nil, "range", "bytes=-100"); resp.StatusCode != 422 {
			t.Errorf("list 1, %d beside 1, %d: %d %.200s", winner, loser, resp.StatusCode, got)
		}
		if resp, doc := f.complete(id, etags, 1, winner); resp.StatusCode != 200 {
			t.Errorf("repeated: %d %s", resp.StatusCode, doc)
		}
		f.reads(bigPart, map[int][]byte{2: partTwo, 3: partThree}[winner])
	}
}
