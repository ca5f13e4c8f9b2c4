package proxy

import (
	"fmt"
	"strconv"

	"s3veil/crypto/size"
	"s3veil/proxy/byterange"
	"s3veil/proxy/s3err"
	"s3veil/proxy/upstream"
)

// window is the part of an object that is sent.
type window struct {
	a, b     int64 // plaintext bytes, b = a-1 for none
	partial  bool  // 206
	from, to int64 // stored bytes
	whole    bool  // all stored bytes
	segments []size.Segment
	parts    int // x-amz-mp-parts-count for partNumber requests
}

// window resolves the range or part number against the object.
func (r *read) window(o *object) (w window, err error) {
	w = window{a: 0, b: o.content - 1}
	switch {
	case r.part > 0:
		if err := w.selectPart(r.part, o); err != nil {
			return w, err
		}
	case r.rng.Set:
		var ok bool
		if w.a, w.b, ok = r.rng.Resolve(o.content); !ok {
			return w, s3err.Range(r.header, o.content)
		}
		w.partial = w.b >= w.a
	}
	if o.foreign != nil {
		w.from, w.to, w.whole = 0, o.stored-1, true
		return w, nil
	}
	if w.b < w.a {
		w.whole = o.stored == 0
		return w, nil
	}
	if o.plaintext() {
		w.from, w.to = w.a, w.b
	} else if w.from, w.to, w.segments, err = o.table.Range(w.a, o.through(w.a, w.b)); err != nil {
		return w, err
	}
	w.whole = w.from == 0 && w.to == o.stored-1
	return w, nil
}

// selectPart narrows the window to a part as the client numbered it. A single PUT is its own part 1.
func (w *window) selectPart(n int, o *object) error {
	w.partial = true
	if o.manifest == nil {
		if n != 1 {
			return s3err.PartNumber(n, 1)
		}
		return nil
	}
	w.parts = o.table.Len()
	for i := range w.parts {
		if p := o.table.Part(i); p.Number == n {
			w.a = o.table.Start(i)
			w.b = w.a + p.Size - 1
			return nil
		}
	}
	return s3err.PartNumber(n, w.parts)
}

// covers reports whether an answer of the store holds exactly the stored bytes of the window.
func (w *window) covers(resp *upstream.Response, o *object) bool {
	if o.foreign != nil {
		return resp.Status == 200
	}
	if w.b < w.a {
		return resp.Status == 200 && o.stored == 0
	}
	if resp.Status == 200 {
		return w.whole
	}
	cr, ok := byterange.ParseContent(resp.Get("content-range"))
	return ok && cr.From == w.from && cr.To == w.to
}

// setWindow sets the headers that tell which part of the object is sent.
func (x *exchange) setWindow(o *object, w window) {
	if w.parts > 0 {
		x.set("x-amz-mp-parts-count", strconv.Itoa(w.parts))
	}
	if w.partial && w.b >= w.a {
		x.set("content-range", fmt.Sprintf("bytes %d-%d/%d", w.a, w.b, o.content))
	}
	if w.a == 0 && w.b == o.content-1 {
		x.setStoredSums(o)
	}
}
