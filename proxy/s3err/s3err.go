// Package s3err is the catalogue of S3 errors and the only writer of error bodies. Errors are values: a catalogue entry is
// copied, never changed. Codes, statuses and messages are those of the "Error responses" page of the S3 API reference.
package s3err

import (
	"bytes"
	"encoding/xml"
	"strconv"
)

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

// Error describes the answer and its cause, for the log.
func (e Error) Error() string {
	s := "s3: " + e.Code + " (" + strconv.Itoa(e.Status) + ")"
	if e.Class != "" {
		s += " [" + e.Class + "]"
	}
	if e.Cause != nil {
		return s + ": " + e.Cause.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e Error) Unwrap() error { return e.Cause }

// Is makes errors.Is(err, s3err.NoSuchKey) compare code and status, whatever message, fields and cause err carries.
func (e Error) Is(target error) bool {
	t, ok := target.(Error)
	return ok && t.Code == e.Code && t.Status == e.Status
}

// With returns a copy that carries cause.
func (e Error) With(cause error) Error { e.Cause = cause; return e }

// Say returns a copy with another message for the client.
func (e Error) Say(message string) Error { e.Message = message; return e }

// Field returns a copy with one more element in its body.
func (e Error) Field(name, value string) Error {
	fields := make([]Field, 0, len(e.Fields)+1)
	e.Fields = append(append(fields, e.Fields...), Field{name, value})
	return e
}

// Closing returns a copy after which the connection is closed.
func (e Error) Closing() Error { e.Close = true; return e }

// Body returns the XML document of e. Resource is left out when it is empty. Characters that XML cannot hold become
// U+FFFD.
func Body(e Error, resource, requestID, hostID string) []byte {
	var b bytes.Buffer
	b.Grow(256 + len(e.Message) + len(resource))
	b.WriteString(xml.Header)
	Append(&b, e, resource, requestID, hostID)
	return b.Bytes()
}

// Append writes the <Error> element of e without an XML declaration, as the end of an answer whose status was sent
// already (CompleteMultipartUpload, CopyObject).
func Append(b *bytes.Buffer, e Error, resource, requestID, hostID string) {
	b.WriteString("<Error>")
	element(b, "Code", e.Code)
	element(b, "Message", e.Message)
	for _, f := range e.Fields {
		if fieldName(f.Name) {
			element(b, f.Name, f.Value)
		}
	}
	if resource != "" {
		element(b, "Resource", resource)
	}
	element(b, "RequestId", requestID)
	element(b, "HostId", hostID)
	b.WriteString("</Error>")
}

func element(b *bytes.Buffer, name, value string) {
	b.WriteByte('<')
	b.WriteString(name)
	b.WriteByte('>')
	_ = xml.EscapeText(b, []byte(value)) // a bytes.Buffer does not fail
	b.WriteString("</")
	b.WriteString(name)
	b.WriteByte('>')
}

// fieldName reports whether name may be a further element: a plain XML name that the frame of the body does not use.
// Names may come from a store's error body.
func fieldName(name string) bool {
	switch name {
	case "", "Code", "Message", "Resource", "RequestId", "HostId", "Error":
		return false
	}
	for i := 0; i < len(name); i++ {
		c := name[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		if !letter && (i == 0 || (c < '0' || c > '9') && c != '-' && c != '.') {
			return false
		}
	}
	return len(name) <= 64
}
