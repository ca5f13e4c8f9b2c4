// Package policy decides what a client may do (DESIGN.md 6.2) and which bucket entry a name falls under (6.1). Pure.
package policy

import (
	"net/netip"

	"s3veil/proxy/s3op"
)

// Rule allows actions on buckets and key prefixes. Patterns: * any characters, ? one. No prefixes means every key.
type Rule struct {
	Buckets  []string
	Prefixes []string
	Actions  []s3op.Class
}

// Client is the policy of one access key.
type Client struct {
	AccessKey string
	Rules     []Rule
	Sources   []netip.Prefix // empty: any
}

// Allowed reports whether a rule allows class on bucket and key. An empty key asks for the bucket itself.
func (c *Client) Allowed(class s3op.Class, bucket, key string) bool { panic("stub") }

// AllowedList reports whether a LIST of bucket with the given prefix parameter is allowed.
func (c *Client) AllowedList(bucket, prefix string) bool { panic("stub") }

// SeesBucket reports whether the client has any action on bucket (ListBuckets).
func (c *Client) SeesBucket(bucket string) bool { panic("stub") }

// AllowedFrom reports whether the source address may use this client.
func (c *Client) AllowedFrom(source netip.Addr) bool { panic("stub") }

// Match reports whether name fits pattern.
func Match(pattern, name string) bool { panic("stub") }

// MapName maps a client-visible bucket name to the store's: the text that the first * of pattern matched replaces the * of
// target. Reverse is its inverse: the client-visible name of a store's bucket, false where it does not fit.
func MapName(pattern, target, name string) string { panic("stub") }

// UnmapName is the inverse of MapName.
func UnmapName(pattern, target, storeName string) (string, bool) { panic("stub") }
