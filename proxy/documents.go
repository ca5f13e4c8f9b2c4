package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"s3veil/proxy/upstream"
)

// smallDocument is what every connection may hold without a charge, in bytes: as much as one of its buffers.
const smallDocument = ioBuffer

// documents are the charges for documents that an exchange holds in memory: one that the client sends, for as long as the exchange
// lasts, and one of the store's, until the next one, unless it is kept, or until what became of it has been written to the client. Clients choose how
// large they are, how many they ask for at a time, and how slowly they send or read.
type documents struct {
	sent, answer []func()
}

// charge charges n bytes, for a document of the client's or one of the store's.
func (x *exchange) charge(sent bool, n int64) error {
	release, err := x.s.memory.Reserve(x.context(), n)
	if err != nil {
		return err
	}
	if x.documents == nil { // most exchanges have no large ones
		x.documents = new(documents)
	}
	if sent {
		x.documents.sent = append(x.documents.sent, release)
	} else {
		x.documents.answer = append(x.documents.answer, release)
	}
	return nil
}

// answered ends the charge for the store's last document.
func (d *documents) answered() {
	if d == nil {
		return
	}
	for _, release := range d.answer {
		release()
	}
	d.answer = nil
}

// keep has the charge for the store's last document last as long as the exchange: what is made of the next one needs both.
func (d *documents) keep() {
	if d == nil {
		return
	}
	d.sent, d.answer = append(d.sent, d.answer...), nil
}

// end gives everything back.
func (d *documents) end() {
	if d == nil {
		return
	}
	d.answered()
	for _, release := range d.sent {
		release()
	}
	d.sent = nil
}

// sentDocument is room for a document of the client's.
func (x *exchange) sentDocument(n int64) ([]byte, error) {
	if n > smallDocument {
		if err := x.charge(true, n); err != nil {
			return nil, err
		}
	}
	return make([]byte, n), nil
}

// okDocument reads the document of an answer with status 200, and ends the answer. Any other status is the store's error.
func (x *exchange) okDocument(resp *upstream.Response) ([]byte, error) {
	if resp.Status != 200 {
		return nil, x.storeError(resp)
	}
	defer resp.Body.Close()
	return x.readDocument(resp)
}

// readDocument reads an answer of the store that is held whole. The charge for the one before it ends.
func (x *exchange) readDocument(resp *upstream.Response) ([]byte, error) {
	x.documents.answered()
	doc := make([]byte, 0, min(max(resp.ContentLength+1, 1<<10), smallDocument))
	for {
		if len(doc) == cap(doc) {
			room := min(max(2*int64(cap(doc)), resp.ContentLength+1), maxAnswer+1)
			if room <= int64(cap(doc)) {
				return nil, fmt.Errorf("%w: answer above %d bytes", upstream.ErrUnavailable, maxAnswer)
			}
			if err := x.charge(false, room-int64(cap(doc))); err != nil {
				return nil, err
			}
			doc = append(make([]byte, 0, room), doc...)
		}
		n, err := resp.Body.Read(doc[len(doc):cap(doc)])
		doc = doc[:len(doc)+n]
		switch {
		case errors.Is(err, io.EOF):
			if len(doc) > maxAnswer {
				return nil, fmt.Errorf("%w: answer above %d bytes", upstream.ErrUnavailable, maxAnswer)
			}
			return doc, nil
		case err != nil:
			return nil, fmt.Errorf("%w: %w", upstream.ErrUnavailable, err)
		}
	}
}

// sendDocument sends a document. The exchange, and with it the charge for a large one, ends when it has been written.
func (x *exchange) sendDocument(doc []byte) {
	if len(doc) <= smallDocument || x.streaming {
		x.ctx.Response.SetBody(doc)
		return
	}
	x.streaming = true
	x.ctx.Response.SetBodyStream(&documentBody{bytes.NewReader(doc), x}, len(doc))
}

// documentBody is a document on its way to the client.
type documentBody struct {
	*bytes.Reader
	x *exchange // nil once closed
}

// Close ends the exchange.
func (b *documentBody) Close() error {
	if b.x != nil {
		b.x.finish()
		b.x = nil
	}
	return nil
}
