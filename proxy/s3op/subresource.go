package s3op

import (
	"strings"

	"s3veil/proxy/s3err"
)

// methods are the operations of a sub-resource at one level, by method.
type methods map[string]Op

// entry is a sub-resource: what it means on a bucket and on an object.
type entry struct{ bucket, object methods }

// setting is a bucket setting; empty names are methods it does not have.
func setting(get, put, del Op) entry {
	m := methods{}
	for method, op := range map[string]Op{"GET": get, "PUT": put, "DELETE": del} {
		if op != "" {
			m[method] = op
		}
	}
	return entry{bucket: m}
}

// subresources are the query names that select an operation by their presence. Several configurations of one kind lie
// behind "id": without it the operation is a list, see byID.
var subresources = map[string]entry{
	"abac":                    setting(GetBucketAbac, PutBucketAbac, ""),
	"accelerate":              setting(GetBucketAccelerateConfiguration, PutBucketAccelerateConfiguration, ""),
	"acl":                     {methods{"GET": GetBucketAcl, "PUT": PutBucketAcl}, methods{"GET": GetObjectAcl, "PUT": PutObjectAcl}},
	"analytics":               setting(GetBucketAnalyticsConfiguration, PutBucketAnalyticsConfiguration, DeleteBucketAnalyticsConfiguration),
	"cors":                    setting(GetBucketCors, PutBucketCors, DeleteBucketCors),
	"delete":                  {bucket: methods{"POST": DeleteObjects}},
	"intelligent-tiering":     setting(GetBucketIntelligentTieringConfiguration, PutBucketIntelligentTieringConfiguration, DeleteBucketIntelligentTieringConfiguration),
	"inventory":               setting(GetBucketInventoryConfiguration, PutBucketInventoryConfiguration, DeleteBucketInventoryConfiguration),
	"lifecycle":               setting(GetBucketLifecycleConfiguration, PutBucketLifecycleConfiguration, DeleteBucketLifecycle),
	"location":                setting(GetBucketLocation, "", ""),
	"logging":                 setting(GetBucketLogging, PutBucketLogging, ""),
	"metadataAnnotationTable": setting("", UpdateBucketMetadataAnnotationTableConfiguration, ""),
	"metadataInventoryTable":  setting("", UpdateBucketMetadataInventoryTableConfiguration, ""),
	"metadataJournalTable":    setting("", UpdateBucketMetadataJournalTableConfiguration, ""),
	"metadataConfiguration": {bucket: methods{
		"GET": GetBucketMetadataConfiguration, "POST": CreateBucketMetadataConfiguration, "DELETE": DeleteBucketMetadataConfiguration,
	}},
	"metadataTable": {bucket: methods{
		"GET": GetBucketMetadataTableConfiguration, "POST": CreateBucketMetadataTableConfiguration,
		"DELETE": DeleteBucketMetadataTableConfiguration,
	}},
	"metrics":           setting(GetBucketMetricsConfiguration, PutBucketMetricsConfiguration, DeleteBucketMetricsConfiguration),
	"notification":      setting(GetBucketNotificationConfiguration, PutBucketNotificationConfiguration, ""),
	"object-lock":       setting(GetObjectLockConfiguration, PutObjectLockConfiguration, ""),
	"ownershipControls": setting(GetBucketOwnershipControls, PutBucketOwnershipControls, DeleteBucketOwnershipControls),
	"policy":            setting(GetBucketPolicy, PutBucketPolicy, DeleteBucketPolicy),
	"policyStatus":      setting(GetBucketPolicyStatus, "", ""),
	"publicAccessBlock": setting(GetPublicAccessBlock, PutPublicAccessBlock, DeletePublicAccessBlock),
	"replication":       setting(GetBucketReplication, PutBucketReplication, DeleteBucketReplication),
	"requestPayment":    setting(GetBucketRequestPayment, PutBucketRequestPayment, ""),
	"tagging": {
		methods{"GET": GetBucketTagging, "PUT": PutBucketTagging, "DELETE": DeleteBucketTagging},
		methods{"GET": GetObjectTagging, "PUT": PutObjectTagging, "DELETE": DeleteObjectTagging},
	},
	"uploads":    {methods{"GET": ListMultipartUploads}, methods{"POST": CreateMultipartUpload}},
	"versioning": setting(GetBucketVersioning, PutBucketVersioning, ""),
	"versions":   setting(ListObjectVersions, "", ""),
	"website":    setting(GetBucketWebsite, PutBucketWebsite, DeleteBucketWebsite),

	"attributes": {object: methods{"GET": GetObjectAttributes}},
	"legal-hold": {object: methods{"GET": GetObjectLegalHold, "PUT": PutObjectLegalHold}},
	"restore":    {object: methods{"POST": RestoreObject}},
	"retention":  {object: methods{"GET": GetObjectRetention, "PUT": PutObjectRetention}},

	"annotation": {object: methods{
		"GET": GetObjectAnnotation, "PUT": PutObjectAnnotation, "DELETE": DeleteObjectAnnotation,
	}},
	"encryption": {
		methods{"GET": GetBucketEncryption, "PUT": PutBucketEncryption, "DELETE": DeleteBucketEncryption},
		methods{"PUT": UpdateObjectEncryption},
	},
	"renameObject": {object: methods{"PUT": RenameObject}},
	"select":       {object: methods{"POST": SelectObjectContent}},
	"session":      setting(CreateSession, "", ""),
	"torrent":      {object: methods{"GET": GetObjectTorrent}},
	"list-type":    {},
}

// byID are the operations that become another one when the query lacks a name.
var byID = map[Op]struct {
	name string
	list Op
}{
	GetBucketAnalyticsConfiguration:          {"id", ListBucketAnalyticsConfigurations},
	GetBucketIntelligentTieringConfiguration: {"id", ListBucketIntelligentTieringConfigurations},
	GetBucketInventoryConfiguration:          {"id", ListBucketInventoryConfigurations},
	GetBucketMetricsConfiguration:            {"id", ListBucketMetricsConfigurations},
	GetObjectAnnotation:                      {"annotationName", ListObjectAnnotations},
}

// plainNames are query names that select nothing and so may stand without a value.
var plainNames = func() map[string]bool {
	m := map[string]bool{
		"annotationName": true, "id": true, "max-directory-buckets": true, "select-type": true, "versionId": true,
	}
	for _, info := range Table {
		for _, name := range join(info.Query, info.Local) {
			m[name] = true
		}
	}
	return m
}()

// findSubresource sets Subresource. Two of them contradict each other; an unknown name without a value may be a
// sub-resource that s3veil does not know, with one it is ignored as on S3.
func (q *Request) findSubresource() error {
	for _, p := range q.Query {
		if _, ok := subresources[p.Name]; ok {
			switch {
			case q.Subresource == "" || q.Subresource == "list-type" || q.Subresource == p.Name:
				q.Subresource = p.Name
			case p.Name == "list-type":
			default:
				names := q.Subresource + ", " + p.Name
				return s3err.Argument("Conflicting query string parameters: "+names, "ResourceType", q.Subresource)
			}
			continue
		}
		if p.Value == "" && !plainNames[p.Name] && !authParam(p.Name) {
			return s3err.Unimplemented("?" + p.Name)
		}
	}
	return nil
}

func (q *Request) subresourceOp(method string, at level) (Op, error) {
	e := subresources[q.Subresource]
	table := e.bucket
	if at == object {
		table = e.object
	}
	op, ok := table[method]
	if !ok {
		return "", q.misplaced(method, at)
	}
	if alternative, ok := byID[op]; ok {
		if _, named := q.Get(alternative.name); !named {
			op = alternative.list
		}
	}
	return op, nil
}

// misplaced is the answer to a sub-resource that does not have the method at this level.
func (q *Request) misplaced(method string, at level) error {
	switch {
	case q.Subresource == "uploads" && method == "GET" && at == object:
		return s3err.Request("Key is not expected for the GET method ?uploads subresource")
	case q.Subresource == "uploads" && method == "POST" && at == bucket:
		return s3err.Request("A key must be specified")
	case q.Subresource == "versions" && at == object:
		return s3err.Request("There is no such thing as the ?versions sub-resource for a key")
	}
	return s3err.Method(method, strings.ToUpper(q.Subresource))
}
