package proxy

import (
	"s3veil/crypto/kms"
	"s3veil/crypto/setting"
	"s3veil/proxy/s3err"
	"s3veil/proxy/s3op"
	"s3veil/proxy/s3xml"
	"s3veil/proxy/sse"
)

var (
	errNoBucketEncryption = s3err.NotImplemented.Say("The default encryption of this bucket is set by the configuration of s3veil.")
	errDualLayerDefault   = s3err.NotImplemented.Say("Dual-layer encryption (aws:kms:dsse) is not available. Objects are encrypted once; ask for aws:kms.")
	errKeyNameWithoutKMS  = s3err.InvalidArgument.Say("a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse")
)

// ownsDefault refuses the three operations where the configuration alone says how objects are encrypted.
func (x *exchange) ownsDefault() error {
	if x.bucket.rule.NoBucketEncryption {
		return errNoBucketEncryption
	}
	return nil
}

// putBucketEncryption answers PutBucketEncryption. Unlike S3 it refuses a key that no write could use: S3 would find out at
// the first one.
func (x *exchange) putBucketEncryption() error {
	if err := x.ownsDefault(); err != nil {
		return err
	}
	doc, err := x.readAll(maxSettings, s3err.MaxMessageLengthExceeded)
	if err != nil {
		return err
	}
	if len(doc) == 0 {
		return s3err.MissingRequestBodyError
	}
	asked, err := s3xml.ParseEncryption(doc)
	if err != nil {
		return err
	}
	e, err := x.newDefault(asked)
	if err != nil {
		return err
	}
	if err := x.bucketExists(); err != nil {
		return err
	}
	if err := x.saveDefault(e); err != nil {
		return err
	}
	x.respond(200, nil)
	return nil
}

// newDefault checks what a client asks for: it can choose among the keys that the configuration allows, nothing else.
func (x *exchange) newDefault(asked s3xml.Encryption) (*setting.Encryption, error) {
	e := &setting.Encryption{Type: setting.AES256, KeyName: asked.KeyName, BucketKey: asked.BucketKey, BlockCustomer: asked.BlockCustomer}
	switch asked.Algorithm {
	case "AES256":
		if asked.KeyName != "" {
			return nil, errKeyNameWithoutKMS
		}
		return e, nil
	case "aws:kms":
		e.Type = setting.KMS
	case "aws:kms:dsse":
		return nil, errDualLayerDefault
	default:
		return nil, s3err.MalformedXML
	}
	if e.KeyName != "" && !setting.ValidKeyName(e.KeyName) {
		return nil, s3err.KMSNotFound.With(kms.ErrKeyNotFound)
	}
	rule := x.bucket.rule
	_, err := sse.Choose(sse.Request{Type: sse.KMS, KeyName: e.KeyName}, sse.Default{}, sse.Rules{Key: rule.Key, Keys: rule.Keys}, x.st.names)
	return e, err
}

// getBucketEncryption answers GetBucketEncryption, as S3 does since 2023: a bucket without a default of its own has AES256.
func (x *exchange) getBucketEncryption() error {
	if err := x.ownsDefault(); err != nil {
		return err
	}
	if err := x.discardBody(); err != nil {
		return err
	}
	if err := x.bucketExists(); err != nil {
		return err
	}
	known, err := x.forSettings().loadDefault(knownDefault{})
	if err != nil {
		return err
	}
	out := s3xml.Encryption{Algorithm: "AES256"}
	switch e := known.value; {
	case e != nil:
		out.KeyName, out.BucketKey, out.BlockCustomer = e.KeyName, e.BucketKey, e.BlockCustomer
		if e.Type == setting.KMS {
			out.Algorithm = "aws:kms"
		}
	case announced(&x.bucket) == sse.None:
		return s3err.ServerSideEncryptionConfigurationNotFound
	}
	x.respond(200, nil)
	return x.xml(200, out.Append(nil))
}

// deleteBucketEncryption answers DeleteBucketEncryption: new objects are under the key that the configuration names.
func (x *exchange) deleteBucketEncryption() error {
	if err := x.ownsDefault(); err != nil {
		return err
	}
	if err := x.discardBody(); err != nil {
		return err
	}
	if err := x.bucketExists(); err != nil {
		return err
	}
	if err := x.dropDefault(); err != nil {
		return err
	}
	x.respond(204, nil)
	return nil
}

// changesEncryption reports an operation that decides about all later objects: it leaves an audit line.
func (x *exchange) changesEncryption() bool {
	return x.req.Op == s3op.PutBucketEncryption || x.req.Op == s3op.DeleteBucketEncryption
}
