package sigv4

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Policy is the signed policy of a POST form. Source: "Creating a POST Policy" of the S3 API reference.
type Policy struct {
	expiration time.Time
	conditions []condition
	min, max   int64 // of the file's length in bytes, both included
}

// condition holds one form field against a value.
type condition struct {
	prefix bool   // starts-with, else eq
	field  string // lower case, empty where the policy names none by a dollar sign: then nothing fulfils it
	shown  string // the field as the policy has it, for messages
	value  string
}

// parsePolicy decodes the base64 of a policy document. Names of operators and fields have no case, those of the document
// itself do.
func parsePolicy(encoded string) (*Policy, *Error) {
	if encoded == "" {
		return nil, badPolicy("Expecting '{' but found End-of-Input")
	}
	text, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, badPolicy("invalid Base64 encoding.")
	}
	var doc map[string]json.RawMessage
	if json.Unmarshal(text, &doc) != nil {
		return nil, errPolicyJSON()
	}
	for _, name := range slices.Sorted(maps.Keys(doc)) {
		if name != "expiration" && name != "conditions" {
			return nil, badPolicy("Unexpected: %q", name)
		}
	}
	p := &Policy{max: math.MaxInt64}
	var bad *Error
	if p.expiration, bad = policyExpiration(doc["expiration"]); bad != nil {
		return nil, bad
	}
	var conditions []json.RawMessage
	switch raw := doc["conditions"]; {
	case raw == nil:
		return nil, badPolicy("Policy missing conditions.")
	case json.Unmarshal(raw, &conditions) != nil || conditions == nil:
		return nil, badPolicy("Invalid 'conditions' value: must be a List.")
	}
	for _, raw := range conditions {
		if err := p.add(raw); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// policyExpiration parses the time at which a policy ends.
func policyExpiration(raw json.RawMessage) (at time.Time, _ *Error) {
	var text string
	if raw == nil {
		return at, badPolicy("Policy missing expiration.")
	}
	if json.Unmarshal(raw, &text) != nil {
		return at, errPolicyJSON()
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, badPolicy("Invalid 'expiration' value: '%s'", text)
	}
	return at, nil
}

// add parses one condition.
func (p *Policy) add(raw json.RawMessage) *Error {
	if raw = bytes.TrimSpace(raw); len(raw) > 0 && raw[0] == '{' {
		return p.addSimple(raw)
	}
	var list []any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if d.Decode(&list) != nil || list == nil {
		return badPolicy("Invalid condition test: must be a List or Object.")
	}
	if len(list) == 0 {
		return badPolicy("Invalid Condition: missing operation identifier.")
	}
	operator, ok := list[0].(string)
	if !ok {
		return errPolicyJSON()
	}
	lower := strings.ToLower(operator)
	switch {
	case lower != "content-length-range" && lower != "eq" && lower != "starts-with":
		return badPolicy("Invalid Condition: unknown operation '%s'.", operator)
	case len(list) != 3:
		return badPolicy("Invalid %s: wrong number of arguments.", operator)
	case lower == "content-length-range":
		return p.addRange(list[1], list[2])
	}
	field, ok1 := list[1].(string)
	value, ok2 := list[2].(string)
	if !ok1 || !ok2 {
		return errPolicyJSON()
	}
	c := condition{prefix: lower == "starts-with", shown: field, value: value}
	if name, ok := strings.CutPrefix(field, "$"); ok {
		c.field = strings.ToLower(name)
	}
	p.conditions = append(p.conditions, c)
	return nil
}

// addSimple parses a condition of the form {"field": "value"}.
func (p *Policy) addSimple(raw json.RawMessage) *Error {
	var simple map[string]any
	if json.Unmarshal(raw, &simple) != nil || len(simple) != 1 {
		return badPolicy("Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.")
	}
	for name, value := range simple {
		text, ok := value.(string)
		if !ok {
			return badPolicy("Invalid Simple-Condition: value must be a string.")
		}
		p.conditions = append(p.conditions, condition{field: strings.ToLower(name), shown: "$" + name, value: text})
	}
	return nil
}

// addRange narrows the permitted length of the file.
func (p *Policy) addRange(from, to any) *Error {
	least, ok1 := policyInt(from)
	most, ok2 := policyInt(to)
	if !ok1 || !ok2 {
		return errPolicyJSON()
	}
	p.min, p.max = max(p.min, least), min(p.max, most)
	return nil
}

// policyInt accepts numbers and their decimal text.
func policyInt(v any) (int64, bool) {
	text, ok := v.(string)
	if number, isNumber := v.(json.Number); isNumber {
		text, ok = number.String(), true
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, ok && err == nil && n >= 0
}

// String writes a condition as S3's error messages do, whatever white space the policy has.
func (c condition) String() string {
	operator := "eq"
	if c.prefix {
		operator = "starts-with"
	}
	return fmt.Sprintf("[%q, %q, %q]", operator, c.shown, c.value)
}

// badPolicy refuses a document, in the words of S3.
func badPolicy(format string, args ...any) *Error {
	e := fail(codeInvalidPolicy, format, args...)
	return e.say("Invalid Policy: %s", e.Reason)
}

// errPolicyJSON is a document that is no JSON, or has a value of the wrong type.
func errPolicyJSON() *Error { return badPolicy("Invalid JSON.") }

// against refuses a form that its policy does not permit.
func against(format string, args ...any) *Error {
	e := fail(codeAccessDenied, format, args...)
	return e.say("Invalid according to Policy: %s", e.Reason)
}

// check holds the fields of a form against the policy at a time.
func (p *Policy) check(bucket string, values map[string]string, now time.Time) *Error {
	if !now.Before(p.expiration) {
		return against("Policy expired.")
	}
	if sent, ok := values[fieldBucket]; ok && sent != bucket {
		return against("the bucket of the form is not that of the request")
	}
	covered := make(map[string]bool, len(p.conditions))
	for _, c := range p.conditions {
		value, present := values[c.field]
		if c.field == fieldBucket {
			value, present = bucket, true
		}
		if !c.holds(value, present) {
			return against("Policy Condition failed: %s", c)
		}
		covered[c.field] = true
	}
	if !covered[fieldBucket] { // it is part of every form: a policy for one bucket must not serve another
		return against("Extra input fields: bucket")
	}
	for name := range values {
		if !covered[name] && !uncovered(name) {
			return against("Extra input fields: %s", name)
		}
	}
	return nil
}

// holds evaluates a condition. An absent field is like an empty one for starts-with only, where "" permits anything. A
// Content-Type with commas is a list, each element of which must match.
func (c condition) holds(value string, present bool) bool {
	if c.field == "" {
		return false
	}
	if !c.prefix {
		return present && value == c.value
	}
	if c.field != "content-type" {
		return strings.HasPrefix(value, c.value)
	}
	for element := range strings.SplitSeq(value, ",") {
		if !strings.HasPrefix(strings.TrimLeft(element, " "), c.value) {
			return false
		}
	}
	return true
}

// uncovered names the fields that need no condition.
func uncovered(name string) bool {
	return name == fieldSignature || name == "signature" || name == "awsaccesskeyid" || name == fieldPolicy || name == fieldFile || strings.HasPrefix(name, ignoredPrefix)
}

// LengthRange returns the permitted lengths of the file in bytes, both included.
func (p *Policy) LengthRange() (least, most int64) { return p.min, p.max }

// CheckLength holds the length of the file in bytes against content-length-range; the codes are EntityTooLarge and
// EntityTooSmall.
func (p *Policy) CheckLength(n int64) error {
	switch {
	case n > p.max:
		return fail(codeEntityTooLarge, "the file has %d bytes, the policy permits %d", n, p.max)
	case n < p.min:
		return fail(codeEntityTooSmall, "the file has %d bytes, the policy demands %d", n, p.min)
	}
	return nil
}
