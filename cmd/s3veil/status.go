package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"s3veil/proxy"
)

//go:embed status.html
var statusHTML string

var statusPage = template.Must(template.New("status").Funcs(template.FuncMap{
	"count": func(v float64) string { return fmt.Sprintf("%.0f", v) }, "size": sizeText, "millis": millisText, "duration": durationText,
	"results": resultsText, "updown": func(up *bool) string { return chosen(up, "unknown", "up", "down") },
	"state": func(up *bool) string { return chosen(up, "dim", "good", "bad") },
}).Parse(statusHTML))

// status is the page for operators and the figures behind it.
type status struct {
	admin   *admin
	started time.Time
}

// page answers GET /status: the figures as they are now, which its script then asks for anew.
func (s *status) page(w http.ResponseWriter, r *http.Request) {
	data, err := s.data(r)
	if err != nil {
		answer(w, http.StatusInternalServerError, err.Error())
		return
	}
	nonce := rand.Text()
	statusHeaders(w, "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'nonce-"+nonce+"'; style-src 'nonce-"+nonce+
		"'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	_ = statusPage.Execute(w, struct {
		Nonce string
		Data  *statusData
	}{nonce, data})
}

// figures answers GET /status.json.
func (s *status) figures(w http.ResponseWriter, r *http.Request) {
	data, err := s.data(r)
	if err != nil {
		answer(w, http.StatusInternalServerError, err.Error())
		return
	}
	statusHeaders(w, "application/json")
	_ = json.NewEncoder(w).Encode(data)
}

func statusHeaders(w http.ResponseWriter, kind string) {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// data is what the page shows. Without a token anybody who reaches the port can read it, a foreign page in a browser on
// this machine by DNS rebinding included: buckets and keys are then left out.
func (s *status) data(r *http.Request) (*statusData, error) {
	opts := s.admin.opts
	families, err := opts.Metrics.Gather()
	if err != nil {
		return nil, err
	}
	d := figuresOf(families)
	now := time.Now()
	d.Version, d.Started = buildVersion(), s.started.UTC().Format(time.RFC3339Nano)
	d.Uptime = now.Sub(s.started).Seconds()
	d.UptimeSeconds = int64(d.Uptime)
	d.Missing = []string{}
	ctx, cancel := context.WithTimeout(r.Context(), readyWait)
	defer cancel()
	if err := opts.Ready(ctx); err != nil {
		d.Missing = strings.Split(err.Error(), "\n")
	}
	d.Ready = len(d.Missing) == 0
	var recent []proxy.Damaged
	if opts.Recent != nil {
		recent = opts.Recent()
	}
	d.Recent = make([]failure, len(recent))
	for i, f := range recent {
		d.Recent[i] = failure{Time: f.Time.UTC().Format(time.RFC3339), RequestID: f.RequestID, Action: f.Action, Class: f.Class}
		if s.admin.token.Load() != nil {
			d.Recent[i].Bucket, d.Recent[i].Key = f.Bucket, f.Key
		}
	}
	return d, nil
}

// guardedPage is guarded for browsers, which cannot send a bearer token of their own accord: the token is taken as the
// password of any user, too.
func (a *admin) guardedPage(next http.HandlerFunc) http.Handler {
	bearer := a.guarded(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if want := a.token.Load(); want != nil {
			if _, password, ok := r.BasicAuth(); ok {
				got := sha256.Sum256([]byte(password))
				if subtle.ConstantTimeCompare(got[:], want[:]) == 1 {
					next(w, r)
					return
				}
			}
			w.Header().Add("WWW-Authenticate", `Basic realm="s3veil", charset="UTF-8"`)
		}
		bearer.ServeHTTP(w, r)
	})
}

func chosen(v *bool, unknown, yes, no string) string {
	switch {
	case v == nil:
		return unknown
	case *v:
		return yes
	}
	return no
}

func sizeText(v float64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	i := 0
	for ; v >= 1024 && i < len(units)-1; i++ {
		v /= 1024
	}
	if i == 0 || v >= 100 {
		return fmt.Sprintf("%.0f %s", v, units[i])
	}
	return fmt.Sprintf("%.1f %s", v, units[i])
}

func millisText(seconds float64) string { return fmt.Sprintf("%.1f ms", seconds*1000) }

func durationText(seconds int64) string { return (time.Duration(seconds) * time.Second).String() }

func resultsText(results map[string]float64) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(results)) {
		parts = append(parts, fmt.Sprintf("%s %.0f", name, results[name]))
	}
	return strings.Join(parts, ", ")
}
