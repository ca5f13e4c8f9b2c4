// Package foreign has the real Amazon S3 Encryption Client write objects into a store, and reads them through s3veil.
package foreign
