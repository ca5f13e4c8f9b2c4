//go:build integration

package options

import "s3veil/test/servers"

func init() { kinds = servers.Kinds() }
