// Package proxy is s3veil itself: HTTP and S3 semantics between clients and a store, one file per family of actions.
//
// The life of a PUT: the request head is parsed once from its raw block (head.go), routed to an operation (s3op),
// authenticated (sigv4) and authorised (policy) before anything is sent upstream. The body is decoded and verified while
// it is read (sigv4.Payload) and sealed in batches (sealer.go); the batch with the last package leaves only after the
// payload has been verified, so that a short, forged or damaged body never becomes an object.
//
// The life of a ranged GET: the plaintext range becomes a range of packages, one upstream request answers with them and
// with the envelope in its headers; the keys come from keycache; the first package is opened before the answer's
// head is sent, and a failure after that breaks the connection short of its declared length (opener.go).
package proxy
