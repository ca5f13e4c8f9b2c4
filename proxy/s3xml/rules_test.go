package s3xml

import "testing"

func TestLifecycleRulesThatReachTheReservedPrefix(t *testing.T) {
	const expire = "<Expiration><Days>3</Days></Expiration>"
	rule := func(status, filter, action string) string {
		return "<Rule><ID>r</ID><Status>" + status + "</Status>" + filter + action + "</Rule>"
	}
	for rules, want := range map[string]bool{
		rule("Enabled", "<Filter/>", expire): true,
		rule("Enabled", "", expire):          true,
		rule("Enabled", "<Prefix/>", "<Expiration><Date>2033-01-01T00:00:00Z</Date></Expiration>"):                                                    true,
		rule("Enabled", "<Prefix>.s3</Prefix>", expire):                                                                                               true,
		rule("Enabled", "<Filter><Prefix>.s3veil/m/</Prefix></Filter>", expire):                                                                       true,
		rule("Enabled", "<Filter><And><Prefix>.</Prefix><ObjectSizeLessThan>9</ObjectSizeLessThan></And></Filter>", expire):                           true,
		rule("Enabled", "<Filter/>", "<Transition><Days>1</Days><StorageClass>GLACIER</StorageClass></Transition>"):                                   true,
		rule("Enabled", "<Filter><Prefix>logs/</Prefix></Filter>", expire) + rule("Enabled", "<Filter/>", expire):                                     true,
		rule("Enabled", "<Filter><Prefix>logs/</Prefix></Filter>", expire):                                                                            false,
		rule("Enabled", "<Prefix>.s3veils/</Prefix>", expire):                                                                                         false,
		rule("Disabled", "<Filter/>", expire):                                                                                                         false,
		rule("Enabled", "<Filter><Tag><Key>a</Key><Value>b</Value></Tag></Filter>", expire):                                                           false,
		rule("Enabled", "<Filter><And><Prefix/><Tag><Key>a</Key></Tag></And></Filter>", expire):                                                       false,
		rule("Enabled", "<Filter/>", "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>"):                          false,
		rule("Enabled", "<Filter/>", "<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>"):                 false,
		rule("Enabled", "<Filter/>", "<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>"): false,
		"": false,
	} {
		doc := `<?xml version="1.0"?><LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">` + rules + "</LifecycleConfiguration>"
		if id, got := LifecycleReaches([]byte(doc)); got != want || got && id != "r" {
			t.Errorf("%s: %q %v, want %v", rules, id, got, want)
		}
	}
	for _, doc := range []string{"", "<LifecycleConfiguration>", "<Other><Rule><Status>Enabled</Status>" + expire + "</Rule></Other>"} {
		if _, got := LifecycleReaches([]byte(doc)); got {
			t.Errorf("%s reaches it", doc)
		}
	}
}

func TestReplicationThatLeavesTheReservedPrefixOut(t *testing.T) {
	rule := func(status, filter string) string {
		return "<Rule>" + filter + "<Status>" + status + "</Status><Destination><Bucket>arn:aws:s3:::b</Bucket></Destination></Rule>"
	}
	for rules, want := range map[string]bool{
		rule("Enabled", "<Filter/>"):                                  false,
		rule("Enabled", "<Prefix></Prefix>"):                          false,
		rule("Enabled", "<Filter><Prefix>.s3veil/</Prefix></Filter>"): false,
		rule("Enabled", "<Filter><Prefix>data/</Prefix></Filter>") + rule("Enabled", "<Filter><Prefix>.</Prefix></Filter>"): false,
		rule("Disabled", "<Filter><Prefix>data/</Prefix></Filter>"):                                                         false,
		rule("Enabled", "<Filter><Prefix>data/</Prefix></Filter>"):                                                          true,
		rule("Enabled", "<Filter><Prefix>data/</Prefix></Filter>") + rule("Disabled", "<Filter/>"):                          true,
		rule("Enabled", "<Filter><And><Prefix></Prefix><Tag><Key>a</Key><Value>b</Value></Tag></And></Filter>"):             true,
		rule("Enabled", "<Filter><Tag><Key>a</Key><Value>b</Value></Tag></Filter>"):                                         true,
		"": false,
	} {
		doc := "<ReplicationConfiguration><Role>r</Role>" + rules + "</ReplicationConfiguration>"
		if got := ReplicationLeavesOut([]byte(doc)); got != want {
			t.Errorf("%s: %v, want %v", rules, got, want)
		}
	}
}
