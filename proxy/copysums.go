package proxy

import (
	"hash"
	"io"

	"s3veil/crypto/envelope"
	"s3veil/proxy/s3xml"
	"s3veil/sigv4"
	"s3veil/sigv4/checksum"
)

// wantedSum is the checksum algorithm that a CopyObject asks for, None for that of the source.
func (x *exchange) wantedSum() (checksum.Algorithm, error) {
	v := x.head.Get("x-amz-checksum-algorithm")
	if v == "" {
		return checksum.None, nil
	}
	a, ok := checksum.Parse(v)
	if !ok {
		return checksum.None, errAlgorithm
	}
	return a, nil
}

// addSum gives the source of a copy the checksum that the request asks for: it is kept in the target's envelope, which is
// sealed before a byte moves, so the source is read once for it.
func (x *exchange) addSum(src *copySource, a checksum.Algorithm) error {
	if a == checksum.None || src.keeps(a) {
		return nil
	}
	body, err := x.readSource(src, 0, src.o.content-1)
	if err != nil {
		return err
	}
	defer body.Close()
	h := a.New()
	if _, err := io.Copy(h, body); err != nil {
		return err
	}
	if err := body.Verify(); err != nil {
		return err
	}
	src.sum = &envelope.Checksum{Algorithm: byte(a), Value: h.Sum(nil)}
	if src.o.manifest != nil {
		m := *src.o.manifest // the cache's own stays as it is
		m.Checksum, m.Composite, m.PartChecksums = src.sum, false, nil
		src.o.manifest = &m
	} else if src.o.attrs != nil {
		src.o.attrs.Checksum = src.sum
	}
	return nil
}

// keeps reports whether the source has a checksum of an algorithm already.
func (s *copySource) keeps(a checksum.Algorithm) bool {
	sum := s.sum
	switch {
	case s.o.manifest != nil:
		sum = s.o.manifest.Checksum
	case s.o.attrs != nil:
		sum = s.o.attrs.Checksum
	}
	return sum != nil && checksum.Algorithm(sum.Algorithm) == a
}

// summedSource computes a checksum of what is read through it.
type summedSource struct {
	streamedSource
	algorithm checksum.Algorithm
	hash      hash.Hash // nil without an algorithm
}

func newSummedSource(src streamedSource, a checksum.Algorithm) *summedSource {
	s := &summedSource{streamedSource: src, algorithm: a}
	if a != checksum.None {
		s.hash = a.New()
	}
	return s
}

// Read reads from the source.
func (s *summedSource) Read(p []byte) (int, error) {
	n, err := s.streamedSource.Read(p)
	if s.hash != nil {
		s.hash.Write(p[:n])
	}
	return n, err
}

// sums is the checksum of everything read.
func (s *summedSource) sums() []sigv4.Sum {
	if s.hash == nil {
		return nil
	}
	return []sigv4.Sum{{Algorithm: s.algorithm, Value: s.hash.Sum(nil)}}
}

// sumElement is a checksum as XML element, nothing without an algorithm.
func sumElement(s sigv4.Sum) []s3xml.ChecksumText {
	if s.Algorithm == checksum.None {
		return nil
	}
	return []s3xml.ChecksumText{{Name: "Checksum" + s.Algorithm.String(), Value: checksum.Encode(s.Value)}}
}
