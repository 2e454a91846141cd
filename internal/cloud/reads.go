package cloud

import "slices"

// reads are the operations known to change nothing, by service ID. Every other one counts as a change: a new
// service begins with its line here, and an operation missing from it is refused where it needn't be, never the
// other way round.
var reads = map[string][]string{
	"Secrets Manager": {"BatchGetSecretValue", "DescribeSecret", "GetRandomPassword", "GetResourcePolicy",
		"GetSecretValue", "ListSecretVersionIds", "ListSecrets"},
	"S3": {"GetBucketLocation", "GetBucketPolicy", "GetBucketPolicyStatus", "GetBucketVersioning", "GetObject",
		"GetObjectAttributes", "GetObjectLegalHold", "GetObjectLockConfiguration", "GetObjectRetention",
		"GetObjectTagging", "GetPublicAccessBlock", "HeadBucket", "HeadObject", "ListObjectVersions", "ListObjectsV2"},
	"CloudWatch":      {"DescribeAlarmHistory", "DescribeAlarms", "GetMetricData"},
	"CloudWatch Logs": {"DescribeLogGroups", "DescribeLogStreams", "FilterLogEvents", "GetLogEvents"},
	"IAM": {"GetRole", "GetRolePolicy", "GetPolicy", "GetPolicyVersion", "ListAttachedRolePolicies",
		"ListRolePolicies", "SimulatePrincipalPolicy"},
	// A cryptographic operation changes nothing but the date of a key's last use.
	"KMS": {"Decrypt", "DescribeKey", "Encrypt", "GenerateMac", "GetKeyLastUsage", "GetKeyPolicy", "GetKeyRotationStatus", "GetPublicKey",
		"ListAliases", "ListGrants", "ListKeys", "ListResourceTags", "Sign", "Verify", "VerifyMac"},
	"CloudTrail": {"LookupEvents"},
	"RDS":        {"DescribeDBClusters", "DescribeDBInstances"},
	"Lambda":     {"GetAlias", "GetFunctionConfiguration", "ListEventSourceMappings", "ListFunctions", "ListVersionsByFunction"},
	"SSM":        {"GetParameter", "GetParametersByPath"},
	"ECS":        {"DescribeServices", "DescribeTaskDefinition", "DescribeTasks", "ListClusters", "ListServices", "ListTaskDefinitions", "ListTasks"},
	"STS":        {"AssumeRole", "AssumeRoleWithWebIdentity", "GetCallerIdentity"},
}

// Reads says whether an operation is known to change nothing.
func Reads(service, operation string) bool { return slices.Contains(reads[service], operation) }
