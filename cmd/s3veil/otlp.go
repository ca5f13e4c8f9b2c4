package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collectorTarget is where spans go.
type collectorTarget struct {
	url    string
	header http.Header
	client *http.Client
}

// otlpClient sends spans by OTLP over HTTP (https://opentelemetry.io/docs/specs/otlp/#otlphttp). The client of the library would
// link gRPC. It satisfies otlptrace.Client.
type otlpClient struct {
	target atomic.Pointer[collectorTarget]
	pause  time.Duration // before the second try; the longest, and doubled for every further one
}

var (
	errNoCollector = errors.New("no collector is configured")
	errCollector   = errors.New("collector")
)

// Start has nothing to do.
func (c *otlpClient) Start(context.Context) error { return nil }

// Stop drops idle connections.
func (c *otlpClient) Stop(context.Context) error {
	c.use(nil)
	return nil
}

// use sends spans to another place from now on.
func (c *otlpClient) use(t *collectorTarget) {
	if old := c.target.Swap(t); old != nil && old != t {
		old.client.CloseIdleConnections()
	}
}

// UploadTraces sends spans, again where the collector says that this may help, until ctx ends.
func (c *otlpClient) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	// On the wire this is an ExportTraceServiceRequest, whose package would link gRPC: the one field of both is the same.
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil {
		return err
	}
	for pause := c.pause; ; pause *= 2 {
		t := c.target.Load()
		if t == nil {
			return errNoCollector
		}
		wait, again, err := t.send(ctx, body)
		if !again {
			return err
		}
		timer := time.NewTimer(max(wait, rand.N(pause)+1))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
}

// maxCollectorAnswer bounds what is read of an answer, so that the connection can be used again.
const maxCollectorAnswer = 64 << 10

// send sends a body once. again says that the failure may pass, after wait at the earliest.
func (t *collectorTarget) send(ctx context.Context, body []byte) (wait time.Duration, again bool, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, bytes.NewReader(body))
	if err != nil {
		return 0, false, err
	}
	r.Header = t.header.Clone()
	r.Header.Set("Content-Type", "application/x-protobuf")
	r.Header.Set("User-Agent", "s3veil/"+buildVersion())
	resp, err := t.client.Do(r)
	if err != nil {
		return 0, true, err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxCollectorAnswer))
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return time.Duration(min(max(seconds, 0), 3600)) * time.Second, true, fmt.Errorf("%w: answers %s", errCollector, resp.Status)
	}
	if resp.StatusCode/100 != 2 {
		return 0, false, fmt.Errorf("%w: answers %s", errCollector, resp.Status)
	}
	return 0, false, nil
}
