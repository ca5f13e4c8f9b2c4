package keycache

import "context"

// outlive is the context of a call that is not to end with its caller, but with the cache. It has the caller's values.
func (c *Cache) outlive(caller context.Context) context.Context {
	return outliving{c.ctx, context.WithoutCancel(caller)}
}

type outliving struct {
	context.Context
	values context.Context
}

// Value looks at the caller's values first, which do not include its end.
func (o outliving) Value(key any) any {
	if v := o.values.Value(key); v != nil {
		return v
	}
	return o.Context.Value(key)
}
