// Package matrix has the programs that people run do their typical job on a bare store and through s3veil, over HTTP and HTTPS:
// the results must be the same. The jobs lie in jobs and java; docs/CLIENTS.md has the table with versions.
package matrix
