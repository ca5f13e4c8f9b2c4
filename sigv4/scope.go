package sigv4

import (
	"strings"
	"time"
)

// claim is what a request says about its signature, from header, query or form.
type claim struct {
	kind      Kind
	accessKey string
	date      string // of the scope, YYYYMMDD
	region    string
	service   string
	end       string // aws4_request
	stamp     string // YYYYMMDDTHHMMSSZ
	at        time.Time
	names     string // signed headers as sent
	signature string
	token     string
	payload   string // last line of the canonical request
	// asymmetric claims (SigV4A) have a set of regions in place of a region in the scope.
	asymmetric bool
	regions    string
}

// malformed is the code for a claim whose parts are wrong.
func (c *claim) malformed() string {
	switch c.kind {
	case Presigned:
		return codeQueryMalformed
	case Post:
		return codeInvalidArgument
	}
	return codeHeaderMalformed
}

// lead is how S3's messages about a malformed claim begin.
func (c *claim) lead() string {
	switch c.kind {
	case Presigned:
		return "Error parsing the X-Amz-Credential parameter; "
	case Post:
		return ""
	}
	return "The authorization header is malformed; "
}

// setCredential splits "access-key/date/region/service/aws4_request". Access keys may hold slashes, but only before all of that.
func (c *claim) setCredential(credential string) *Error {
	rest := credential
	fields := []*string{&c.end, &c.service, &c.region, &c.date}
	if c.asymmetric {
		fields = []*string{&c.end, &c.service, &c.date}
	}
	for _, field := range fields {
		i := strings.LastIndexByte(rest, '/')
		if i < 0 {
			return c.errCredential(credential)
		}
		rest, *field = rest[:i], rest[i+1:]
	}
	if rest == "" || c.region == "" && !c.asymmetric || strings.Contains(rest, "/") && c.end != terminator {
		return c.errCredential(credential)
	}
	c.accessKey = rest
	return nil
}

func (c *claim) errCredential(credential string) *Error {
	err := fail(c.malformed(), "the credential must have the form <access key>/YYYYMMDD/<region>/<service>/aws4_request").
		say("%sthe Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".", c.lead())
	if c.kind == Post {
		err = err.argument(fieldCredential, strings.Clone(credential))
	}
	return err
}

// setStamp parses the basic ISO 8601 form of x-amz-date.
func (c *claim) setStamp(stamp string) bool {
	at, ok := parseStamp(stamp)
	if !ok {
		return false
	}
	c.stamp, c.at = stamp, at
	return true
}

// parseStamp is time.Parse(stampLayout, stamp), at a tenth of its cost.
func parseStamp(stamp string) (at time.Time, ok bool) {
	if len(stamp) != len(stampLayout) || stamp[8] != 'T' || stamp[15] != 'Z' {
		return at, false
	}
	ok = true
	number := func(from, to int) (n int) {
		for _, c := range []byte(stamp[from:to]) {
			ok = ok && '0' <= c && c <= '9'
			n = n*10 + int(c-'0')
		}
		return n
	}
	year, month, day := number(0, 4), number(4, 6), number(6, 8)
	hour, minute, second := number(9, 11), number(11, 13), number(13, 15)
	if !ok || month < 1 || month > 12 || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	at = time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
	if y, m, d := at.Date(); y != year || int(m) != month || d != day { // 30 February
		return time.Time{}, false
	}
	return at, true
}

// setDate parses a Date header, which stands in for a missing x-amz-date.
func (c *claim) setDate(date string) bool {
	if c.setStamp(date) {
		return true
	}
	for _, layout := range []string{"Mon, 02 Jan 2006 15:04:05 GMT", time.RFC1123Z} {
		if at, err := time.Parse(layout, date); err == nil {
			c.at = at.UTC()
			c.stamp = c.at.Format(stampLayout)
			return true
		}
	}
	return false
}

// checkScope holds the scope against the date and the service.
func (c *claim) checkScope() *Error {
	switch {
	case c.end != terminator:
		return fail(c.malformed(), "the credential scope does not end in aws4_request").
			say("%sincorrect terminal %q. This endpoint uses \"aws4_request\".", c.lead(), c.end)
	case c.service != service:
		return fail(c.malformed(), "the credential is scoped to service %q, not s3", c.service).
			say("%sincorrect service %q. This endpoint belongs to \"s3\".", c.lead(), c.service)
	case c.date != c.stamp[:len(dateLayout)] && !isDate(c.date):
		return fail(c.malformed(), "the credential's date %q is not one", c.date).
			say("%sincorrect date format %q. This date in the credential must be in the format \"yyyyMMdd\".", c.lead(), c.date)
	case c.date != c.stamp[:len(dateLayout)]:
		return c.errOtherDate()
	}
	return nil
}

// errOtherDate is a scope of another day than the request's. S3 names the days in a query only, and leaves the lead out there.
func (c *claim) errOtherDate() *Error {
	e := fail(c.malformed(), "the credential's date %q is not that of the request, %q", c.date, c.stamp)
	if c.kind == Header {
		return e.say("%sInvalid credential date. Date is not the same as X-Amz-Date.", c.lead())
	}
	return e.say("Invalid credential date %q. This date is not the same as X-Amz-Date: %q.", c.date, c.stamp[:len(dateLayout)])
}

func isDate(text string) bool {
	_, err := time.Parse(dateLayout, text)
	return err == nil && len(text) == len(dateLayout)
}
