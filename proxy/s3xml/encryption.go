package s3xml

import (
	"strings"

	"s3veil/proxy/s3err"
)

// Encryption is a ServerSideEncryptionConfiguration: the default encryption of a bucket.
type Encryption struct {
	Algorithm     string // SSEAlgorithm as it stands there, "AES256" where nothing does
	KeyName       string // KMSMasterKeyID
	BucketKey     bool   // BucketKeyEnabled
	BlockCustomer bool   // BlockedEncryptionTypes names SSE-C
}

// ParseEncryption parses a ServerSideEncryptionConfiguration of one rule, the only form that S3 accepts. Errors are s3err
// values; what algorithms there are is the caller's business.
func ParseEncryption(body []byte) (Encryption, error) {
	e := Encryption{Algorithm: "AES256"}
	d, err := parse(body, limits{bytes: MaxOther, elements: 64, strict: true})
	if err != nil {
		return e, s3err.MalformedXML.With(err)
	}
	rule := d.el[0].child
	if !d.is(0, "ServerSideEncryptionConfiguration") || rule < 0 || d.el[rule].next >= 0 || !d.is(rule, "Rule") {
		return e, s3err.MalformedXML
	}
	ok := d.eachOnce(rule, func(i int32, name string) bool {
		switch name {
		case "ApplyServerSideEncryptionByDefault":
			return d.eachOnce(i, e.byDefault(d))
		case "BucketKeyEnabled":
			return d.flag(i, &e.BucketKey)
		case "BlockedEncryptionTypes":
			return e.blocked(d, i)
		}
		return false
	})
	if !ok {
		return e, s3err.MalformedXML
	}
	return e, nil
}

func (e *Encryption) byDefault(d *doc) func(int32, string) bool {
	return func(i int32, name string) bool {
		if d.el[i].child >= 0 {
			return false
		}
		switch name {
		case "SSEAlgorithm":
			e.Algorithm = strings.TrimSpace(d.text(i))
		case "KMSMasterKeyID":
			e.KeyName = strings.TrimSpace(d.text(i))
		default:
			return false
		}
		return true
	}
}

// blocked reads a list of EncryptionType, of which S3 knows SSE-C and NONE.
func (e *Encryption) blocked(d *doc, parent int32) bool {
	for i := d.el[parent].child; i >= 0; i = d.el[i].next {
		if !d.is(i, "EncryptionType") || d.el[i].child >= 0 {
			return false
		}
		switch strings.TrimSpace(d.text(i)) {
		case "SSE-C":
			e.BlockCustomer = true
		case "NONE":
		default:
			return false
		}
	}
	return true
}

// eachOnce calls f for every child; it reports false when f does, or for a name that stands twice.
func (d *doc) eachOnce(parent int32, f func(i int32, name string) bool) bool {
	var seen fields
	for i := d.el[parent].child; i >= 0; i = d.el[i].next {
		if name := d.name(i); !seen.add(name) || !f(i, name) {
			return false
		}
	}
	return true
}

// flag reads true or false.
func (d *doc) flag(i int32, to *bool) bool {
	text := strings.TrimSpace(d.text(i))
	*to = text == "true"
	return d.el[i].child < 0 && (text == "true" || text == "false")
}

// Append writes the document for the client.
func (e *Encryption) Append(dst []byte) []byte {
	dst = start(start(open(dst, "ServerSideEncryptionConfiguration"), "Rule"), "ApplyServerSideEncryptionByDefault")
	dst = end(optional(leaf(dst, "SSEAlgorithm", e.Algorithm), "KMSMasterKeyID", e.KeyName), "ApplyServerSideEncryptionByDefault")
	dst = boolean(dst, "BucketKeyEnabled", e.BucketKey)
	if e.BlockCustomer {
		dst = end(leaf(start(dst, "BlockedEncryptionTypes"), "EncryptionType", "SSE-C"), "BlockedEncryptionTypes")
	}
	return end(end(dst, "Rule"), "ServerSideEncryptionConfiguration")
}
