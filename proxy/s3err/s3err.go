// Package s3err is the catalogue of S3 errors and the only writer of error bodies. Errors are values: a catalogue entry is
// copied, never changed.
package s3err

// Error is an answer: what the client learns (Code, Message, Status, Fields) and what the operator learns (Cause).
type Error struct {
	Code    string
	Message string
	Status  int
	Fields  []Field // further elements of the XML body, for example Region
	Cause   error   // logged, never sent
	Class   string  // class of FORMAT.md 12 for integrity errors, else empty
	Close   bool    // the connection cannot be kept
}

// Field is one further element of an error body.
type Field struct{ Name, Value string }

func (e Error) Error() string { panic("stub") }

// Unwrap returns the cause.
func (e Error) Unwrap() error { return e.Cause }

// With returns a copy that carries cause.
func (e Error) With(cause error) Error { e.Cause = cause; return e }

// From maps any error to its answer: an Error in the chain as it is, the sentinels of crypto, keycache, kms, sigv4 and
// upstream by the tables of DESIGN.md 6.4 and FORMAT.md 12, everything else to InternalError.
func From(err error) Error { panic("stub") }

// Body returns the XML document of e.
func Body(e Error, resource, requestID, hostID string) []byte { panic("stub") }
