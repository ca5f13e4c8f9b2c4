package proxy

import "s3veil/proxy/s3op"

// handlers are the operations that s3veil transforms or rewrites. What is not here passes re-signed where the operation
// table says so, and is refused otherwise: nothing falls through. Handlers run behind admit, which has verified the signature.
var handlers map[s3op.Op]func(*exchange) error

func init() {
	handlers = map[s3op.Op]func(*exchange) error{
		"PutObject":                 (*exchange).putObject,
		opPostObject:                (*exchange).postObject,
		"GetObject":                 (*exchange).getObject,
		"HeadObject":                (*exchange).headObject,
		"GetObjectAttributes":       (*exchange).getObjectAttributes,
		"CopyObject":                (*exchange).copyObject,
		"CreateMultipartUpload":     (*exchange).createMultipartUpload,
		"UploadPart":                (*exchange).uploadPart,
		"UploadPartCopy":            (*exchange).uploadPartCopy,
		"CompleteMultipartUpload":   (*exchange).completeMultipartUpload,
		"AbortMultipartUpload":      (*exchange).abortMultipartUpload,
		"ListParts":                 (*exchange).listParts,
		"ListMultipartUploads":      (*exchange).listMultipartUploads,
		"ListObjects":               (*exchange).listObjects,
		"ListObjectsV2":             (*exchange).listObjects,
		"ListObjectVersions":        (*exchange).listObjects,
		"DeleteObject":              (*exchange).deleteObject,
		"DeleteObjects":             (*exchange).deleteObjects,
		"ListBuckets":               (*exchange).listBuckets,
		"CreateBucket":              (*exchange).createBucket,
		"DeleteBucket":              (*exchange).deleteBucket,
		s3op.GetBucketEncryption:    (*exchange).getBucketEncryption,
		s3op.PutBucketEncryption:    (*exchange).putBucketEncryption,
		s3op.DeleteBucketEncryption: (*exchange).deleteBucketEncryption,
		s3op.Preflight:              (*exchange).preflight,
		s3op.RestoreObject:          (*exchange).restoreObject,

		s3op.PutBucketReplication:            (*exchange).passDestined,
		s3op.PutBucketLogging:                (*exchange).passDestined,
		s3op.PutBucketInventoryConfiguration: (*exchange).passDestined,
		s3op.PutBucketAnalyticsConfiguration: (*exchange).passDestined,

		s3op.CreateBucketMetadataTableConfiguration: (*exchange).passDestined,
	}
}
