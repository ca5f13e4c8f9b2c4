package budget_test

import (
	"bytes"
	"errors"
	"testing"

	"s3veil/crypto/size"
	"s3veil/proxy/budget"
)

func TestClassFollowsTheNumberOfLargeStreams(t *testing.T) {
	b := budget.New(1<<30, 0)
	var all []*budget.Buffers
	for i := 1; i <= 100; i++ {
		want := 16
		if i > 63 {
			want = 4
		} else if i > 16 {
			want = 8
		}
		buf := stream(t, b, 1<<30)
		if buf.Packages != want {
			t.Fatalf("stream %d has %d packages, want %d", i, buf.Packages, want)
		}
		if len(buf.Plain) != want*size.Package || len(buf.Cipher) != want*size.Cipher {
			t.Fatalf("%d packages: %d and %d bytes", want, len(buf.Plain), len(buf.Cipher))
		}
		all = append(all, buf)
	}
	if used, total, streams, refused := b.State(); used != 16*slab(16)+47*slab(8)+37*slab(4) || total != 1<<30 || streams != 100 || refused != 0 {
		t.Errorf("state %d of %d, %d streams, %d refused", used, total, streams, refused)
	}
	for _, buf := range all {
		b.Release(buf)
	}
	checkEmpty(t, b)
	if buf := stream(t, b, 1<<30); buf.Packages != 16 {
		t.Errorf("after all ended: %d packages", buf.Packages)
	}
}

func TestSmallStreamsDoNotCountForTheClass(t *testing.T) {
	b := budget.New(1<<30, 0)
	for range 200 {
		stream(t, b, mib)
	}
	if buf := stream(t, b, mib+1); buf.Packages != 16 {
		t.Errorf("%d packages", buf.Packages)
	}
}

func TestClassIsNotLargerThanTheStreamNeeds(t *testing.T) {
	b := budget.New(1<<30, 0)
	for _, c := range []struct {
		plain    int64
		packages int
		room     int
	}{
		{0, 1, 1024},
		{1, 1, 1024},
		{4096, 1, 4096},
		{5000, 1, 5120},
		{65535, 1, 65536},
		{65536, 1, 65536},
		{65537, 4, 4 * size.Package},
		{4 * size.Package, 4, 4 * size.Package},
		{4*size.Package + 1, 8, 8 * size.Package},
		{8 * size.Package, 8, 8 * size.Package},
		{8*size.Package + 1, 16, 16 * size.Package},
		{mib + mib/10, 16, 16 * size.Package},
	} {
		buf := stream(t, b, c.plain)
		if buf.Packages != c.packages || len(buf.Plain) != c.room || len(buf.Cipher) != int(size.Enc(int64(c.room))) {
			t.Errorf("%d bytes: %d packages, %d and %d bytes", c.plain, buf.Packages, len(buf.Plain), len(buf.Cipher))
		}
		b.Release(buf)
	}
	checkEmpty(t, b)
}

func TestPlainAndCipherDoNotOverlap(t *testing.T) {
	b := budget.New(1<<30, 0)
	for _, plain := range []int64{100, 65536, 1 << 30} {
		buf := stream(t, b, plain)
		for i := range buf.Plain {
			buf.Plain[i] = 1
		}
		if cap(buf.Plain) != len(buf.Plain) || bytes.IndexByte(buf.Cipher, 1) >= 0 {
			t.Errorf("%d bytes: the buffers overlap", plain)
		}
	}
}

// 2 MiB per stream up to 16 streams, 1 MiB up to 63, 0.5 MiB above, and the headers of the packages.
func TestMemoryPerStreamKeepsItsTarget(t *testing.T) {
	for n, target := range map[int64]int64{16: 2 * mib, 8: mib, 4: mib / 2} {
		if slab(n) > target+n*size.Overhead {
			t.Errorf("%d packages take %d bytes", n, slab(n))
		}
	}
}

func TestHeldHasRoomForBothForms(t *testing.T) {
	b := budget.New(64*mib, 0)
	for _, n := range []int64{1, 1023, 1024, 1025, 4096, 65535, 65536, 65537, 300000, mib - 1, mib} {
		buf, release, err := b.Held(bg, n)
		if err != nil {
			t.Fatal(err)
		}
		if int64(len(buf)) != n || int64(cap(buf)) < n+size.Enc(n) {
			t.Errorf("%d bytes: len %d, cap %d", n, len(buf), cap(buf))
		}
		if used, _, _, _ := b.State(); used > max(2*n+n/2, 2048)+32*size.Packages(2*n) || used < int64(cap(buf)) {
			t.Errorf("%d bytes: charged %d, cap %d", n, used, cap(buf))
		}
		release()
	}
	checkEmpty(t, b)
	if buf, release, err := b.Held(bg, 0); err != nil || len(buf) != 0 {
		t.Errorf("empty body: %v", err)
	} else {
		release()
	}
}

func TestHeldObjectOf4KiBCostsNoPackage(t *testing.T) {
	b := budget.New(64*mib, 0)
	_, release, err := b.Held(bg, 4096)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if used, _, _, _ := b.State(); used != 4096+4096+size.Overhead {
		t.Errorf("charged %d", used)
	}
}

func TestStepsWasteAtMostAFifth(t *testing.T) {
	for n := int64(1025); n <= 3*mib; n += 1 + n/1000 {
		s := budget.Step(n)
		if s < n || (s-n)*5 > s {
			t.Fatalf("step(%d) = %d", n, s)
		}
		if budget.Step(s) != s {
			t.Fatalf("step(%d) = %d is no step", s, budget.Step(s))
		}
	}
	for _, n := range []int64{1024, 4096, 65536, mib} {
		if budget.Step(n) != n {
			t.Errorf("step(%d) = %d", n, budget.Step(n))
		}
	}
}

func TestPlaintextIsOverwritten(t *testing.T) {
	b := budget.New(64*mib, 0)
	for range 3 {
		buf := stream(t, b, 1<<30)
		plain := buf.Plain
		checkZero(t, plain)
		fill(plain)
		b.Release(buf)
		checkZero(t, plain)
		if buf.Plain != nil || buf.Cipher != nil {
			t.Error("released buffers can still be used")
		}

		held, release, err := b.Held(bg, 5000)
		if err != nil {
			t.Fatal(err)
		}
		checkZero(t, held)
		fill(held)
		release()
		checkZero(t, held)
	}
}

// A user that knows how much it has written saves the overwriting of the rest.
func TestOnlyWhatWasFilledIsOverwritten(t *testing.T) {
	b := budget.New(64*mib, 0)
	buf := stream(t, b, 1<<30)
	plain := buf.Plain
	fill(plain)
	buf.Filled(1000)
	b.Release(buf)
	checkZero(t, plain[:1000])
	if plain[1000] != 0xaa {
		t.Error("the rest is overwritten too")
	}
}

func fill(b []byte) {
	for i := range b {
		b[i] = 0xaa
	}
}

func checkZero(t *testing.T, b []byte) {
	t.Helper()
	if !bytes.Equal(b, make([]byte, len(b))) {
		t.Fatal("buffer is not cleared")
	}
}

func TestBuffersAreUsedAgain(t *testing.T) {
	b := budget.New(64*mib, 0)
	b.Release(stream(t, b, 1<<30))
	_, release, err := b.Held(bg, 4096)
	if err != nil {
		t.Fatal(err)
	}
	release()
	if b.Idle() == 0 {
		t.Fatal("nothing kept")
	}
	// The handle and its closure remain; a slab would be the third allocation.
	if got := testing.AllocsPerRun(100, func() { b.Release(stream(t, b, 1<<30)) }); got > 1 {
		t.Errorf("stream: %v allocations", got)
	}
	if got := testing.AllocsPerRun(100, func() {
		_, release, err := b.Held(bg, 4096)
		if err != nil {
			t.Fatal(err)
		}
		release()
	}); got > 2 {
		t.Errorf("held: %v allocations", got)
	}
}

func TestIdleBuffersStayWithinTheBudget(t *testing.T) {
	const total = 8 * mib
	b := budget.New(total, 0)
	var all []*budget.Buffers
	for {
		buf, err := b.Stream(bg, 1<<30)
		if err != nil {
			break
		}
		all = append(all, buf)
	}
	for _, buf := range all {
		b.Release(buf)
		if used, _, _, _ := b.State(); used+b.Idle() > total || b.Idle() > total/2 {
			t.Fatalf("%d used and %d idle of %d", used, b.Idle(), total)
		}
	}
	// Buffers of other sizes push out idle ones.
	var releases []func()
	for {
		_, release, err := b.Held(bg, 100_000)
		if err != nil {
			break
		}
		releases = append(releases, release)
		if used, _, _, _ := b.State(); used+b.Idle() > total {
			t.Fatalf("%d used and %d idle of %d", used, b.Idle(), total)
		}
	}
	for _, release := range releases {
		release()
	}
	release, err := b.Reserve(bg, total)
	if err != nil {
		t.Fatal(err)
	}
	if b.Idle() != 0 {
		t.Errorf("%d idle bytes beside a full budget", b.Idle())
	}
	release()
	checkEmpty(t, b)
}

// Bodies that are held whole as long as their clients read leave a quarter of the budget to everybody else.
func TestWholeBodiesLeaveRoomForOthers(t *testing.T) {
	const total = 64 * mib
	b := budget.New(total, 0)
	var releases []func()
	for {
		buf, release, err := b.Whole(bg, 5*mib-100)
		if err != nil {
			break
		}
		if len(buf) != 5*mib-100 || cap(buf) != len(buf) {
			t.Fatalf("len %d, cap %d", len(buf), cap(buf))
		}
		fill(buf)
		releases = append(releases, release)
	}
	used, _, _, refused := b.State()
	if used > total*3/4 || used < total*3/4-5*mib || refused != 1 {
		t.Errorf("%d of %d bytes used, %d refused", used, total, refused)
	}
	for _, f := range []func() (func(), error){
		func() (func(), error) { return b.Reserve(bg, 4*mib) },
		func() (func(), error) { _, release, err := b.Held(bg, mib); return release, err },
		func() (func(), error) { buf, err := b.Stream(bg, 1<<30); return func() { b.Release(buf) }, err },
	} {
		release, err := f()
		if err != nil {
			t.Fatalf("beside whole bodies: %v", err)
		}
		release()
	}
	for _, release := range releases {
		release()
	}
}

func TestWholeBodiesAreOverwrittenAndGivenBack(t *testing.T) {
	b := budget.New(8*mib, 0)
	for _, n := range []int64{0, 1, 1000, 100_000, 5 * mib, 7 * mib, 8 * mib} {
		buf, release, err := b.Whole(bg, n)
		if err != nil || int64(len(buf)) != n {
			t.Fatalf("%d: %d bytes, %v", n, len(buf), err)
		}
		checkZero(t, buf)
		fill(buf)
		release()
		checkZero(t, buf)
		checkEmpty(t, b)
	}
	if _, _, err := b.Whole(bg, 8*mib+1); !errors.Is(err, budget.ErrSlowDown) {
		t.Errorf("more than there is: %v", err)
	}
	hold, err := b.Reserve(bg, 8*mib)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Whole(bg, 6*mib); !errors.Is(err, budget.ErrSlowDown) {
		t.Errorf("beside a full budget: %v", err)
	}
	hold()
	if _, release, err := b.Whole(bg, 6*mib); err != nil { // the refusal has kept nothing of the share
		t.Error(err)
	} else {
		release()
	}
}
