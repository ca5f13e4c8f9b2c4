package s3op

// Table is the operation table. An operation without an entry is refused. It is not changed after initialisation.
var Table = func() map[Op]Info {
	t := make(map[Op]Info, 128)
	for _, rows := range []map[Op]Info{objectOps, multipartOps, listOps, objectSettings, bucketOps, bucketSettings, refusedOps} {
		for op, info := range rows {
			info.forward = newNames(commonHeaders, info.Headers)
			info.answer = newNames(commonAnswer, info.Answer)
			t[op] = info
		}
	}
	return t
}()

// objectOps are those on whole objects.
var objectOps = map[Op]Info{
	PutObject: {
		Class: Write, Treatment: Transform, Object: true,
		Headers: putHeaders, Own: join(payloadHeaders, sseHeaders, ssecHeaders), Guarded: true,
	},
	PostObject: {
		Class: Write, Treatment: Transform,
		Headers: putHeaders, Own: join(payloadHeaders, sseHeaders, ssecHeaders), Guarded: true,
	},
	CopyObject: {
		Class: Write, Treatment: Transform, Object: true,
		Headers: join(putHeaders, copyHeaders), Own: join(payloadHeaders, sseHeaders, ssecHeaders, copyOwn),
		Answer: copyAnswer, Guarded: true,
	},
	GetObject: {
		Class: Read, Treatment: Transform, Object: true,
		Query: []string{"versionId"}, Local: getLocal, Headers: conditionHeaders, Own: join(getOwn, ssecHeaders),
		Answer: objectAnswer,
	},
	HeadObject: {
		Class: Read, Treatment: Transform, Object: true,
		Query: []string{"versionId"}, Local: getLocal, Headers: conditionHeaders, Own: join(getOwn, ssecHeaders),
		Answer: objectAnswer,
	},
	GetObjectAttributes: {
		Class: Read, Treatment: Transform, Object: true,
		Query: []string{"versionId"}, Own: join(attributesOwn, ssecHeaders),
	},
	DeleteObject: {
		Class: Delete, Treatment: Pass, Object: true,
		Query: []string{"versionId"}, Headers: deleteHeaders, Own: join(payloadHeaders, deleteOwn), Guarded: true,
	},
	DeleteObjects: {Class: Delete, Treatment: Rewrite, Headers: governanceHeaders, Own: payloadHeaders, Guarded: true},
}

// multipartOps are those of multipart uploads.
var multipartOps = map[Op]Info{
	CreateMultipartUpload: {
		Class: Write, Treatment: Transform, Object: true,
		Headers: putHeaders, Own: join(payloadHeaders, sseHeaders, ssecHeaders), Answer: uploadAnswer, Guarded: true,
	},
	UploadPart: {
		Class: Write, Treatment: Transform, Object: true,
		Local: partLocal, Own: join(payloadHeaders, ssecHeaders), Guarded: true,
	},
	UploadPartCopy: {
		Class: Write, Treatment: Transform, Object: true,
		Local: partLocal, Headers: copyHeaders, Own: join(payloadHeaders, ssecHeaders, copyOwn),
		Answer: copyAnswer, Guarded: true,
	},
	CompleteMultipartUpload: {
		Class: Write, Treatment: Transform, Object: true,
		Local: uploadLocal, Headers: writeConditions, Own: join(payloadHeaders, ssecHeaders, completeOwn), Guarded: true,
	},
	AbortMultipartUpload: {Class: Write, Treatment: Rewrite, Object: true, Local: uploadLocal, Headers: abortHeaders},
	ListParts: {
		Class: Read, Treatment: Rewrite, Object: true,
		Query: []string{"max-parts", "part-number-marker"}, Local: uploadLocal, Own: ssecHeaders, Answer: uploadAnswer,
	},
	ListMultipartUploads: {
		Class: Read, Treatment: Rewrite,
		Query: []string{"delimiter", "encoding-type", "key-marker", "max-uploads", "prefix"}, Local: markerLocal,
	},
}

// listOps are those whose answers s3veil rewrites.
var listOps = map[Op]Info{
	ListBuckets: {Class: Open, Treatment: Rewrite, Local: bucketsLocal},
	ListObjects: {
		Class: Read, Treatment: Rewrite,
		Query: []string{"delimiter", "encoding-type", "marker", "max-keys", "prefix"}, Headers: listHeaders,
	},
	ListObjectsV2: {
		Class: Read, Treatment: Rewrite,
		Query: []string{"continuation-token", "delimiter", "encoding-type", "fetch-owner", "max-keys", "prefix", "start-after"}, Headers: listHeaders,
	},
	ListObjectVersions: {
		Class: Read, Treatment: Rewrite,
		Query: []string{"delimiter", "encoding-type", "key-marker", "max-keys", "prefix", "version-id-marker"}, Headers: listHeaders,
	},
}

// bucketOps are those on buckets themselves.
var bucketOps = map[Op]Info{
	CreateBucket: {
		Class: Admin, Treatment: Pass,
		Headers: join(aclHeaders, createBucketHeaders, documentHeaders), Own: payloadHeaders, Answer: bucketAnswer,
	},
	HeadBucket:        {Class: Read, Treatment: Pass, Answer: bucketAnswer},
	DeleteBucket:      {Class: Admin, Treatment: Rewrite},
	GetBucketLocation: {Class: Read, Treatment: Pass, Answer: bucketAnswer},
	Preflight:         {Class: Open, Treatment: Pass},
}

// objectSettings are the sub-resources of objects that hold no object data.
var objectSettings = map[Op]Info{
	GetObjectAcl: {Class: Read, Treatment: Pass, Object: true, Query: []string{"versionId"}},
	PutObjectAcl: {
		Class: Write, Treatment: Pass, Object: true,
		Query: []string{"versionId"}, Headers: join(aclHeaders, documentHeaders), Own: payloadHeaders,
	},
	GetObjectTagging: {Class: Read, Treatment: Pass, Object: true, Query: []string{"versionId"}},
	PutObjectTagging: {
		Class: Write, Treatment: Pass, Object: true,
		Query: []string{"versionId"}, Headers: documentHeaders, Own: payloadHeaders,
	},
	DeleteObjectTagging: {Class: Delete, Treatment: Pass, Object: true, Query: []string{"versionId"}},
	GetObjectLegalHold:  {Class: Read, Treatment: Pass, Object: true, Query: []string{"versionId"}},
	PutObjectLegalHold: {
		Class: Write, Treatment: Pass, Object: true,
		Query: []string{"versionId"}, Headers: documentHeaders, Own: payloadHeaders,
	},
	GetObjectRetention: {Class: Read, Treatment: Pass, Object: true, Query: []string{"versionId"}},
	PutObjectRetention: {
		Class: Write, Treatment: Pass, Object: true,
		Query: []string{"versionId"}, Headers: join(governanceHeaders, documentHeaders), Own: payloadHeaders,
	},
	RestoreObject: {
		Class: Write, Treatment: Pass, Object: true,
		Query: []string{"versionId"}, Headers: documentHeaders, Own: payloadHeaders, Answer: restoreAnswer,
	},
}

// bucketSettings are the sub-resources of buckets.
var bucketSettings = map[Op]Info{
	GetBucketAccelerateConfiguration: {Class: Admin, Treatment: Pass},
	PutBucketAccelerateConfiguration: {Class: Admin, Treatment: Pass, Headers: documentHeaders, Own: payloadHeaders},
	GetBucketAbac:                    {Class: Admin, Treatment: Pass},
	PutBucketAbac:                    {Class: Admin, Treatment: Pass, Headers: documentHeaders, Own: payloadHeaders},
	GetBucketAcl:                     {Class: Admin, Treatment: Pass},
	PutBucketAcl:                     {Class: Admin, Treatment: Pass, Headers: join(aclHeaders, documentHeaders), Own: payloadHeaders},
	GetBucketCors:                    {Class: Admin, Treatment: Pass},
	PutBucketCors:                    {Class: Admin, Treatment: Pass, Headers: documentHeaders, Own: payloadHeaders},
	DeleteBucketCors:                 {Class: Admin, Treatment: Pass},
	GetBucketLifecycleConfiguration:  {Class: Admin, Treatment: Pass, Answer: lifecycleHeaders},
	PutBucketLifecycleConfiguration: {
		Class: Admin, Treatment: Pass,
		Headers: join(lifecycleHeaders, documentHeaders), Own: payloadHeaders, Answer: lifecycleHeaders,
	},
	DeleteBucketLifecycle:              {Class: Admin, Treatment: Pass},
	GetBucketLogging:                   {Class: Admin, Treatment: Pass},
	PutBucketLogging:                   {Class: Admin, Treatment: Pass, Headers: documentHeaders, Own: payloadHeaders},
	GetBucketNotificationConfiguration: {Class: Admin, Treatment: Pass},
	PutBucketNotificationConfiguration: {
		Class: Admin, Treatment: Pass,
		Headers: join(notificationHeaders, documentHeaders), Own: payloadHeaders,
	},
	GetObjectLockConfiguration: {Class: Admin, Treatment: Pass},
	PutObjectLockConfiguration: {
		Class: Admin, Treatment: Pass,
		Headers: join(lockTokenHeaders, documentHeaders), Own: payloadHeaders,
	},
	GetBucketOwnershipControls:    {Class: Admin, Treatment: Pass},
	PutBucketOwnershipControls:    {Class: Admin, Treatment: Pass, Headers: documentHeaders, Own: payloadHeaders},
	DeleteBucketOwnershipControls: {Class: Admin, Treatment: Pass},
	GetBucketPolicy:               {Class: Admin, Treatment: Pass},
	PutBucketPolicy:               {Class: Admin, Treatment: Pass, Headers: join(policyHeaders, documentHeaders), Own: payloadHeaders},
	DeleteBucketPolicy:            {Class: Admin, Treatment: Pass},
	GetBucketPolicyStatus:         {Class: Admin, Treatment: Pass},
	GetPublicAccessBlock:          {Class: Admin, Treatment: Pass},
	PutPublicAccessBlock:          {Class: Admin, Treatment: Pass, Headers: documentHeaders, Own: payloadHeaders},
	DeletePublicAccessBlock:       {Class: Admin, Treatment: Pass},
	GetBucketReplication:          {Class: Admin, Treatment: Pass},
	PutBucketReplication: {
		Class: Admin, Treatment: Pass,
		Headers: join(lockTokenHeaders, documentHeaders), Own: payloadHeaders,
	},
	DeleteBucketReplication: {Class: Admin, Treatment: Pass},
	GetBucketRequestPayment: {Class: Admin, Treatment: Pass},
	PutBucketRequestPayment: {Class: Admin, Treatment: Pass, Headers: documentHeaders, Own: payloadHeaders},
	GetBucketTagging:        {Class: Admin, Treatment: Pass},
	PutBucketTagging:        {Class: Admin, Treatment: Pass, Headers: documentHeaders, Own: payloadHeaders},
	DeleteBucketTagging:     {Class: Admin, Treatment: Pass},
	GetBucketVersioning:     {Class: Admin, Treatment: Pass},
	PutBucketVersioning: {
		Class: Admin, Treatment: Pass,
		Headers: join(mfaHeaders, documentHeaders), Own: payloadHeaders,
	},
	GetBucketWebsite:                    {Class: Admin, Treatment: Pass},
	PutBucketWebsite:                    {Class: Admin, Treatment: Pass, Headers: documentHeaders, Own: payloadHeaders},
	DeleteBucketWebsite:                 {Class: Admin, Treatment: Pass},
	GetBucketMetadataConfiguration:      {Class: Admin, Treatment: Pass},
	CreateBucketMetadataConfiguration:   {Class: Admin, Treatment: Pass, Headers: documentHeaders, Own: payloadHeaders},
	DeleteBucketMetadataConfiguration:   {Class: Admin, Treatment: Pass},
	GetBucketMetadataTableConfiguration: {Class: Admin, Treatment: Pass},
	CreateBucketMetadataTableConfiguration: {
		Class: Admin, Treatment: Pass,
		Headers: documentHeaders, Own: payloadHeaders,
	},
	DeleteBucketMetadataTableConfiguration: {Class: Admin, Treatment: Pass},
	UpdateBucketMetadataAnnotationTableConfiguration: {
		Class: Admin, Treatment: Pass,
		Headers: documentHeaders, Own: payloadHeaders,
	},
	UpdateBucketMetadataInventoryTableConfiguration: {
		Class: Admin, Treatment: Pass,
		Headers: documentHeaders, Own: payloadHeaders,
	},
	UpdateBucketMetadataJournalTableConfiguration: {
		Class: Admin, Treatment: Pass,
		Headers: documentHeaders, Own: payloadHeaders,
	},
	GetBucketAnalyticsConfiguration:   {Class: Admin, Treatment: Pass, Query: []string{"id"}},
	ListBucketAnalyticsConfigurations: {Class: Admin, Treatment: Pass, Query: []string{"continuation-token"}},
	PutBucketAnalyticsConfiguration: {
		Class: Admin, Treatment: Pass,
		Query: []string{"id"}, Headers: documentHeaders, Own: payloadHeaders,
	},
	DeleteBucketAnalyticsConfiguration:         {Class: Admin, Treatment: Pass, Query: []string{"id"}},
	GetBucketIntelligentTieringConfiguration:   {Class: Admin, Treatment: Pass, Query: []string{"id"}},
	ListBucketIntelligentTieringConfigurations: {Class: Admin, Treatment: Pass, Query: []string{"continuation-token"}},
	PutBucketIntelligentTieringConfiguration: {
		Class: Admin, Treatment: Pass,
		Query: []string{"id"}, Headers: documentHeaders, Own: payloadHeaders,
	},
	DeleteBucketIntelligentTieringConfiguration: {Class: Admin, Treatment: Pass, Query: []string{"id"}},
	GetBucketInventoryConfiguration:             {Class: Admin, Treatment: Pass, Query: []string{"id"}},
	ListBucketInventoryConfigurations:           {Class: Admin, Treatment: Pass, Query: []string{"continuation-token"}},
	PutBucketInventoryConfiguration: {
		Class: Admin, Treatment: Pass,
		Query: []string{"id"}, Headers: documentHeaders, Own: payloadHeaders,
	},
	DeleteBucketInventoryConfiguration: {Class: Admin, Treatment: Pass, Query: []string{"id"}},
	GetBucketMetricsConfiguration:      {Class: Admin, Treatment: Pass, Query: []string{"id"}},
	ListBucketMetricsConfigurations:    {Class: Admin, Treatment: Pass, Query: []string{"continuation-token"}},
	PutBucketMetricsConfiguration: {
		Class: Admin, Treatment: Pass,
		Query: []string{"id"}, Headers: documentHeaders, Own: payloadHeaders,
	},
	DeleteBucketMetricsConfiguration: {Class: Admin, Treatment: Pass, Query: []string{"id"}},

	// s3veil's own default per bucket: the store's encryption is none of the clients' business.
	GetBucketEncryption:    {Class: Admin, Treatment: Rewrite},
	PutBucketEncryption:    {Class: Admin, Treatment: Rewrite, Own: payloadHeaders},
	DeleteBucketEncryption: {Class: Admin, Treatment: Rewrite},
}

// refusedOps have a name of their own in metrics and audit, and an answer: NotImplemented. They would move plaintext past
// s3veil, or need the store to read it.
var refusedOps = map[Op]Info{
	CreateSession:          {Class: Read, Treatment: Refuse},
	ListDirectoryBuckets:   {Class: Open, Treatment: Refuse},
	RenameObject:           {Class: Write, Treatment: Refuse, Object: true},
	SelectObjectContent:    {Class: Read, Treatment: Refuse, Object: true},
	GetObjectTorrent:       {Class: Read, Treatment: Refuse, Object: true},
	UpdateObjectEncryption: {Class: Write, Treatment: Refuse, Object: true},
	GetObjectAnnotation:    {Class: Read, Treatment: Refuse, Object: true},
	ListObjectAnnotations:  {Class: Read, Treatment: Refuse, Object: true},
	PutObjectAnnotation:    {Class: Write, Treatment: Refuse, Object: true},
	DeleteObjectAnnotation: {Class: Delete, Treatment: Refuse, Object: true},
	WriteGetObjectResponse: {Class: Write, Treatment: Refuse},
}
