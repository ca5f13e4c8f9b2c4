package sse

import "s3veil/crypto/envelope"

// State is what answers say of an object's encryption, the same at writing and long after.
type State struct {
	Type      Type // None: nothing is said
	KeyName   string
	BucketKey bool
	Customer  *CustomerKey
	context   string
}

// State describes a new object. kid is the one that wraps it; announced is what answers say where nobody asked: S3 or
// None.
func (c *Choice) State(kid string, announced Type, names *Names) State {
	s := State{Type: c.Type, BucketKey: c.BucketKey, Customer: c.Customer, context: c.context}
	switch c.Type {
	case None:
		s.Type = announced
	case KMS:
		s.KeyName = names.Announced(kid)
	}
	return s
}

// StateOf describes an object by its envelope: kid and TLV 80. customer is the key that opened it, nil for others and where
// an upload is completed without it.
func StateOf(kid string, asked *byte, customer *CustomerKey, announced Type, names *Names) State {
	switch {
	case kid == envelope.CustomerKID:
		return State{Type: Customer, Customer: customer}
	case asked != nil && *asked&^askedBucketKey == askedS3:
		return State{Type: S3}
	case asked != nil && *asked&^askedBucketKey == askedKMS:
		return State{Type: KMS, KeyName: names.Announced(kid), BucketKey: *asked&askedBucketKey != 0}
	}
	return State{Type: announced}
}

// Where names the answers that differ in what they say.
type Where byte

// The answers: those to PutObject, CopyObject and CreateMultipartUpload repeat the encryption context, those to
// CompleteMultipartUpload say nothing of a customer's key. Object is for all others: GetObject, HeadObject, POST forms,
// UploadPart, UploadPartCopy.
const (
	Object Where = iota
	Made
	Completed
)

// Headers are the answer headers of a state.
func (s State) Headers(w Where) []Field {
	switch s.Type {
	case S3:
		return []Field{{HeaderType, "AES256"}}
	case KMS:
		out := []Field{{HeaderType, "aws:kms"}, {HeaderKeyID, s.KeyName}}
		if s.BucketKey {
			out = append(out, Field{HeaderBucketKey, "true"})
		}
		if w == Made && s.context != "" {
			out = append(out, Field{HeaderContext, s.context})
		}
		return out
	case Customer:
		if w == Completed || s.Customer == nil {
			return nil
		}
		return []Field{{customerPrefix + "algorithm", "AES256"}, {"x-amz-server-side-encryption-customer-key-MD5", s.Customer.sum}}
	}
	return nil
}
