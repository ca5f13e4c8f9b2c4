// Package devstore embeds an S3 store that keeps its objects as plain files, for `s3veil dev` alone. Builds with the tag
// nodevstore, and systems it does not run on, have a stub in its place: the production binary contains no store.
package devstore

import "path/filepath"

// Options say where a store keeps its data and how it is reached.
type Options struct {
	Dir                  string // of everything; made where it is missing
	Listen               string // host:port; port 0 takes a free one
	AccessKey, SecretKey string // of its only account
	Region               string
}

// The folders inside Options.Dir.
const (
	objectsDir  = "objects"  // <bucket>/<key>, as plain files
	versionsDir = "versions" // superseded versions
	metadataDir = "metadata" // of objects, where the file system has no extended attributes
)

// ObjectFile is the file that holds an object of a store in dir.
func ObjectFile(dir, bucket, key string) string {
	return filepath.Join(dir, objectsDir, bucket, filepath.FromSlash(key))
}
