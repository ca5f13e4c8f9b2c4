// Package kms runs the contract of key providers, and s3veil with them, against real KMSs. docs/KMS.md says which these are.
package kms
