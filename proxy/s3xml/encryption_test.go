package s3xml

import (
	"errors"
	"strings"
	"testing"

	"s3veil/proxy/s3err"
)

func TestEncryptionDocuments(t *testing.T) {
	const ns = ` xmlns="http://s3.amazonaws.com/doc/2006-03-01/"`
	rule := func(inner string) string {
		return "<ServerSideEncryptionConfiguration" + ns + "><Rule>" + inner + "</Rule></ServerSideEncryptionConfiguration>"
	}
	apply := func(inner string) string {
		return "<ApplyServerSideEncryptionByDefault>" + inner + "</ApplyServerSideEncryptionByDefault>"
	}
	const aes, kms = "<SSEAlgorithm>AES256</SSEAlgorithm>", "<SSEAlgorithm>aws:kms</SSEAlgorithm>"
	for doc, want := range map[string]Encryption{
		rule(apply(aes)): {Algorithm: "AES256"},
		"<?xml version=\"1.0\"?>\n" + rule(" "+apply(kms+"<KMSMasterKeyID>arn:a&amp;b</KMSMasterKeyID>")+"<BucketKeyEnabled> true </BucketKeyEnabled>"): {Algorithm: "aws:kms", KeyName: "arn:a&b", BucketKey: true},
		rule("<BucketKeyEnabled>false</BucketKeyEnabled>" + apply("<KMSMasterKeyID/>"+kms)):                                                             {Algorithm: "aws:kms"},
		rule(apply(aes) + "<BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes>"):                                    {Algorithm: "AES256", BlockCustomer: true},
		rule("<BlockedEncryptionTypes><EncryptionType>NONE</EncryptionType></BlockedEncryptionTypes>"):                                                  {Algorithm: "AES256"},
		rule(apply("<SSEAlgorithm>other</SSEAlgorithm>")):                                                                                               {Algorithm: "other"},
	} {
		got, err := ParseEncryption([]byte(doc))
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", doc, got, err)
			continue
		}
		if again, err := ParseEncryption(got.Append(nil)); err != nil || again != want {
			t.Errorf("written again: %s: %+v, %v", got.Append(nil), again, err)
		}
	}
	for _, doc := range []string{
		"", "<Rule/>", "<ServerSideEncryptionConfiguration/>", rule(apply(aes)) + "x",
		"<ServerSideEncryptionConfiguration><Rule/><Rule/></ServerSideEncryptionConfiguration>",
		"<ServerSideEncryptionConfiguration><Rules/></ServerSideEncryptionConfiguration>",
		rule(apply(aes) + apply(aes)), rule(apply(aes + aes)), rule(apply(aes + "<Other/>")), rule("<Other/>"), rule(aes),
		rule(apply("<SSEAlgorithm><a/></SSEAlgorithm>")), rule("<BucketKeyEnabled>yes</BucketKeyEnabled>"),
		rule("<BucketKeyEnabled><a/></BucketKeyEnabled>"), rule("<BlockedEncryptionTypes><EncryptionType>AES</EncryptionType></BlockedEncryptionTypes>"),
		rule("<BlockedEncryptionTypes><Type>SSE-C</Type></BlockedEncryptionTypes>"),
		rule("<BlockedEncryptionTypes><EncryptionType>SSE-C<a/></EncryptionType></BlockedEncryptionTypes>"),
		`<!DOCTYPE a [<!ENTITY e "AES256">]>` + rule(apply("<SSEAlgorithm>&e;</SSEAlgorithm>")),
		rule(apply(strings.Repeat("<a/>", 100))),
	} {
		if got, err := ParseEncryption([]byte(doc)); !errors.Is(err, s3err.MalformedXML) {
			t.Errorf("%s: %+v, %v", doc, got, err)
		}
	}
}
