//go:build integration && !nodevstore && linux

package main

import (
	"context"
	"errors"
	"fmt"
	"image/png"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// browse opens the page in headless Chromium, lets its clock run for some polls and returns the document; the picture goes
// to file.
func browse(t *testing.T, page, file string, more ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	args := append([]string{"--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
		"--user-data-dir=" + t.TempDir(), "--window-size=1280,1320", "--virtual-time-budget=60000", "--enable-logging=stderr",
		"--screenshot=" + file, "--dump-dom"}, more...)
	cmd := exec.CommandContext(ctx, "chromium", append(args, page)...)
	var problems lockedBuffer
	cmd.Stderr = &problems
	document, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, problems.String())
	}
	if said := problems.String(); strings.Contains(said, "CONSOLE") {
		t.Errorf("the browser complains: %s", said)
	}
	return string(document)
}

// paced is an address in front of the admin endpoint that takes its time for figures: the browser's virtual clock stands still
// meanwhile, and samples lie far enough apart for every one to see requests.
func paced(t *testing.T, admin string) string {
	t.Helper()
	forward := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: admin})
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/status.json" {
			select {
			case <-time.After(400 * time.Millisecond):
			case <-r.Context().Done():
			}
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	return front.Listener.Addr().String()
}

// load puts and gets objects until its end is called.
func (r *running) load(t *testing.T, secret string) (end func()) {
	c := r.client("one", secret)
	create(t, c, "box")
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		body := strings.Repeat("x", 200_000)
		for i := 0; ctx.Err() == nil; i++ {
			key := strconv.Itoa(i % 10)
			err := put(ctx, c, "box", key, body)
			if err == nil {
				_, err = get(ctx, c, "box", key)
			}
			if i%5 == 0 {
				_, missing := get(ctx, c, "box", "missing")
				if missing == nil {
					err = errors.Join(err, errors.New("an object that is not there was read"))
				}
			}
			if err != nil && ctx.Err() == nil {
				t.Error(err)
				return
			}
		}
	})
	return func() { cancel(); done.Wait() }
}

var rateText = regexp.MustCompile(`id="(rate_in|rate_out|rate_all|p50|p99)">([0-9.]+) ?[A-Za-z/]+<`)

// The page under load in a browser, behind a token, light and dark. S3VEIL_TEST_PICTURES keeps the pictures.
func TestStatusPageInABrowserUnderLoad(t *testing.T) {
	s := newSite(t)
	s.secret("one", "secret-one")
	s.secret("token", "let-me-in")
	r := begin(t, "serve", "--config", s.configure("admin_token_file: token", "one"))
	defer r.load(t, "secret-one")()
	dir := os.Getenv("S3VEIL_TEST_PICTURES")
	if dir == "" {
		dir = t.TempDir()
	}
	at := url.URL{Scheme: "http", User: url.UserPassword("operator", "let-me-in"), Host: paced(t, r.Admin), Path: "/status"}
	for name, flags := range map[string][]string{"light": nil, "dark": {"--blink-settings=preferredColorScheme=0"}} {
		file := filepath.Join(dir, "status-"+name+".png")
		document := browse(t, at.String(), file, flags...)
		figures := map[string]float64{}
		for _, m := range rateText.FindAllStringSubmatch(document, -1) {
			v, err := strconv.ParseFloat(m[2], 64)
			if err != nil {
				t.Error(err)
			}
			figures[m[1]] = v
		}
		for _, id := range []string{"rate_in", "rate_out", "rate_all", "p50", "p99"} {
			if figures[id] <= 0 {
				t.Errorf("%s: %s shows %v", name, id, figures[id])
			}
		}
		if lines := regexp.MustCompile(`<path class="p[ab]" d="M[^"]*L[^"]*"`).FindAllString(document, -1); len(lines) < 5 {
			t.Errorf("%s: %d lines in the plots", name, len(lines))
		}
		for _, want := range []string{">default<", ">main<", ">ready<", `id="stale" class="bad" role="status"></span>`} {
			if !strings.Contains(document, want) {
				t.Errorf("%s: no %s", name, want)
			}
		}
		if err := picture(file); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if t.Failed() {
			t.Fatal(document)
		}
	}
}

// Names that are markup stay text in the document that the script builds, too.
func TestStatusPageShowsHostileNamesAsText(t *testing.T) {
	a := statusAdmin(t, errors.New("missing "+hostile))
	a.setToken("let-me-in")
	server := httptest.NewServer(a.http.Handler)
	defer server.Close()
	dir := os.Getenv("S3VEIL_TEST_PICTURES")
	if dir == "" {
		dir = t.TempDir()
	}
	at := url.URL{Scheme: "http", User: url.UserPassword("operator", "let-me-in"), Host: server.Listener.Addr().String(), Path: "/status"}
	document := browse(t, at.String(), filepath.Join(dir, "status-hostile.png"))
	if strings.Count(document, "<script") != 1 || strings.Contains(document, "<b onclick") {
		t.Error("a name became markup")
	}
	for _, where := range []string{`<td>k`, `<p id="missing" class="bad">missing `} {
		if !strings.Contains(document, where+"&lt;/script&gt;&lt;script&gt;alert(1)") {
			t.Errorf("no name after %s:\n%s", where, document)
		}
	}
}

// picture fails when the file is no picture, or one of a single colour.
func picture(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		return err
	}
	colours := map[any]bool{}
	for x := img.Bounds().Min.X; x < img.Bounds().Max.X; x += 3 {
		for y := img.Bounds().Min.Y; y < img.Bounds().Max.Y; y += 3 {
			colours[img.At(x, y)] = true
		}
	}
	if len(colours) < 10 {
		return fmt.Errorf("%d colours in the picture", len(colours))
	}
	return nil
}
