package main

import (
	"slices"
	"strings"

	"s3veil/proxy/s3op"
)

func (l *loaded) checkClients() {
	if len(l.Clients) == 0 {
		l.wrong("clients", "missing: nobody could send a request")
	}
	first := map[string]int{}
	anonymous := -1
	for i := range l.Clients {
		c, p := &l.Clients[i], index("clients", i)
		switch {
		case c.Anonymous:
			if c.AccessKey != "" || c.SecretKey != "" || c.SessionToken != "" {
				l.wrong(p+".anonymous", "stands in place of keys, not beside them")
			}
			if anonymous >= 0 {
				l.wrong(p+".anonymous", "is also clients[%d]", anonymous)
			}
			anonymous = i
		case c.AccessKey == "":
			l.wrong(p+".access_key", "missing")
		default:
			l.checkKeys(p, c, first)
			first[c.AccessKey] = i
		}
		if c.SigV2 && c.Anonymous {
			l.wrong(p+".sigv2", "means nothing for anonymous requests")
		}
		l.checkRules(p, c)
		for j, s := range c.Sources {
			l.network(index(p+".sources", j), s)
		}
	}
}

func (l *loaded) checkKeys(p string, c *Client, first map[string]int) {
	if i, twice := first[c.AccessKey]; twice {
		l.wrong(p+".access_key", "%q is also clients[%d]", c.AccessKey, i)
	}
	if strings.ContainsAny(c.AccessKey, "/ \t,=&") {
		l.wrong(p+".access_key", "%q contains characters that no signature can carry", c.AccessKey)
	}
	if c.SecretKey == "" && !l.given(p+".secret_key") {
		l.wrong(p+".secret_key", "missing")
	}
}

func (l *loaded) checkRules(p string, c *Client) {
	if len(c.Rules) == 0 {
		l.checkRule(p, Rule{c.Buckets, c.Prefixes, c.Actions})
		return
	}
	for _, key := range []string{"buckets", "prefixes", "actions"} {
		if l.given(p + "." + key) {
			l.wrong(p+"."+key, "stands beside rules; put it into one of them")
		}
	}
	for i, r := range c.Rules {
		l.checkRule(index(p+".rules", i), r)
	}
}

func (l *loaded) checkRule(p string, r Rule) {
	if len(r.Buckets) == 0 {
		l.wrong(p+".buckets", `missing; ["*"] means every bucket`)
	}
	if len(r.Actions) == 0 {
		l.wrong(p+".actions", "missing; one or more of read, write, delete, admin")
	}
	for i, b := range r.Buckets {
		if b == "" || strings.Contains(b, "/") {
			l.wrong(index(p+".buckets", i), "%q is not a bucket pattern", b)
		}
	}
	for i, a := range r.Actions {
		if _, ok := s3op.ParseClass(a); !ok {
			l.oneOf(index(p+".actions", i), a, "read", "write", "delete", "admin")
		} else if slices.Contains(r.Actions[:i], a) {
			l.wrong(index(p+".actions", i), "%q is listed twice", a)
		}
	}
}
