package sse

import (
	"errors"
	"slices"

	"s3veil/proxy/s3err"
)

var errRequired = errors.New("bucket demands that requests name encryption")

// Choose decides how a new object is encrypted: by the request, else by the bucket's default, else with the bucket's key.
// Errors are s3err.Error: KMS.NotFoundException for a name that stands for no key, AccessDenied for a key that the bucket
// does not list, for a request that names nothing where the bucket demands it, and for a customer's key where the bucket
// blocks them.
func Choose(r Request, d Default, rules Rules, names *Names) (Choice, error) {
	if rules.Require && r.Type == None {
		return Choice{}, s3err.AccessDenied.With(errRequired)
	}
	c := Choice{Type: r.Type, Context: r.Context, Customer: r.Customer, context: r.context}
	name := r.KeyName
	switch {
	case r.Type == Customer && d.BlockCustomer:
		return Choice{}, errBlocked
	case r.Type == Customer:
		return c, nil
	case r.Type == None:
		c.Type = d.Type
	}
	c.KeyID = rules.Key
	if c.Type != KMS {
		return c, nil
	}
	if name == "" && d.Type == KMS {
		name = d.KeyName
	}
	if name != "" {
		id, ok := names.Resolve(name)
		if !ok {
			return Choice{}, notFound(name)
		}
		c.KeyID = id
	}
	if c.KeyID != rules.Key && !slices.Contains(rules.Keys, c.KeyID) {
		return Choice{}, notAllowed(c.KeyID)
	}
	c.BucketKey = r.BucketKey == On || (r.BucketKey == Unset && d.Type == KMS && d.BucketKey)
	c.OwnKey = r.BucketKey == Off
	return c, nil
}
