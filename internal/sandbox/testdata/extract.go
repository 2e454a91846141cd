// Command extract makes shapes.json: for every operation the sandbox serves, how it is asked for, which errors AWS
// declares for it and which members and headers its answer may have. It reads AWS's own service descriptions, as
// they come with botocore (data/SERVICE/DATE/service-2.json.gz, here of 1.43.11) or aws-sdk-go (api-2.json).
//
//	go run extract.go secretsmanager=FILE s3=FILE logs=FILE sts=FILE iam=FILE kms=FILE cloudtrail=FILE rds=FILE monitoring=FILE lambda=FILE ssm=FILE ecs=FILE > shapes.json
package main

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"log"
	"os"
	"slices"
	"strings"
)

type ref struct {
	Shape, Location, LocationName string
}

type shape struct {
	Type, Payload      string
	Flattened          bool
	Members            map[string]ref
	Member, Key, Value ref
	Error              struct{ Code string }
}

type model struct {
	Operations map[string]struct {
		HTTP          struct{ Method, RequestURI string }
		Output        ref
		Errors        []ref
		ResultWrapper string
	}
	Shapes map[string]shape
}

// An Operation is one entry of shapes.json.
type Operation struct {
	Method  string   `json:"method,omitempty"`
	URI     string   `json:"uri,omitempty"`
	Errors  []string `json:"errors,omitempty"`
	Members []string `json:"members,omitempty"` // dotted paths; map keys are *
	Headers []string `json:"headers,omitempty"`
}

var served = map[string][]string{
	"secretsmanager": {"CreateSecret", "DescribeSecret", "GetSecretValue", "PutSecretValue", "UpdateSecret", "UpdateSecretVersionStage", "ListSecretVersionIds", "ListSecrets", "TagResource", "UntagResource", "DeleteSecret", "RestoreSecret"},
	"s3":             {"CreateBucket", "HeadBucket", "GetBucketLocation", "GetBucketVersioning", "PutBucketVersioning", "GetObjectLockConfiguration", "PutObjectLockConfiguration", "ListObjectsV2", "ListObjectVersions", "PutObject", "GetObject", "HeadObject", "DeleteObject", "GetObjectRetention", "PutObjectRetention", "GetObjectLegalHold", "PutObjectLegalHold"},
	"logs":           {"CreateLogGroup", "CreateLogStream", "PutLogEvents", "DescribeLogGroups", "DescribeLogStreams", "GetLogEvents", "FilterLogEvents"},
	"sts":            {"AssumeRole", "AssumeRoleWithWebIdentity", "GetCallerIdentity"},
	"iam":            {"GetRole", "SimulatePrincipalPolicy"},
	"cloudtrail":     {"LookupEvents"},
	"monitoring":     {"DescribeAlarms", "DescribeAlarmHistory", "GetMetricData", "PutMetricData"},
	"lambda":         {"GetFunctionConfiguration", "UpdateFunctionConfiguration", "ListVersionsByFunction", "PublishVersion", "GetAlias", "UpdateAlias", "ListFunctions", "ListEventSourceMappings"},
	"ssm":            {"GetParameter", "GetParameterHistory", "GetParametersByPath", "LabelParameterVersion", "PutParameter", "UnlabelParameterVersion"},
	"rds":            {"DescribeDBInstances", "DescribeDBClusters", "ModifyDBInstance", "ModifyDBCluster"},
	"ecs":            {"DescribeServices", "DescribeTaskDefinition", "UpdateService", "ListTasks", "DescribeTasks", "ListClusters", "ListServices", "RegisterTaskDefinition", "ListTaskDefinitions"},
	"kms":            {"CreateKey", "DescribeKey", "GetKeyPolicy", "ListKeys", "ListResourceTags", "ListAliases", "ListGrants", "TagResource", "UntagResource", "CreateAlias", "UpdateAlias", "DeleteAlias", "EnableKey", "DisableKey", "ScheduleKeyDeletion", "CancelKeyDeletion", "GetKeyRotationStatus", "EnableKeyRotation", "GetKeyLastUsage", "GetPublicKey", "Encrypt", "Decrypt", "Sign", "Verify", "GenerateMac", "VerifyMac"},
}

func main() {
	out := map[string]map[string]Operation{}
	for _, arg := range os.Args[1:] {
		service, file, _ := strings.Cut(arg, "=")
		m := read(file)
		out[service] = map[string]Operation{}
		for _, name := range served[service] {
			op, ok := m.Operations[name]
			if !ok {
				log.Fatalf("%s has no %s", file, name)
			}
			var o Operation
			if service == "s3" || service == "lambda" {
				o.Method, o.URI = op.HTTP.Method, op.HTTP.RequestURI
			}
			for _, e := range op.Errors {
				code := m.Shapes[e.Shape].Error.Code
				if code == "" {
					code = e.Shape
				}
				o.Errors = append(o.Errors, code)
			}
			if op.Output.Shape != "" {
				m.walk(&o, op.Output.Shape, "", 0)
			}
			slices.Sort(o.Errors)
			slices.Sort(o.Members)
			slices.Sort(o.Headers)
			out[service][name] = o
		}
	}
	enc := json.NewEncoder(os.Stdout)
	enc.SetIndent("", " ")
	if err := enc.Encode(out); err != nil {
		log.Fatal(err)
	}
}

func (m model) walk(o *Operation, name, path string, depth int) {
	s := m.Shapes[name]
	switch {
	case depth > 6:
	case s.Type == "structure" && s.Payload != "":
		for member, r := range s.Members {
			if r.Location != "" {
				o.Headers = append(o.Headers, strings.ToLower(r.LocationName))
			} else if member == s.Payload {
				m.walk(o, r.Shape, path, depth+1)
			}
		}
	case s.Type == "structure":
		for member, r := range s.Members {
			if r.Location != "" {
				o.Headers = append(o.Headers, strings.ToLower(r.LocationName))
				continue
			}
			if r.LocationName != "" {
				member = r.LocationName
			}
			inner := m.Shapes[r.Shape]
			here := strings.TrimPrefix(path+"."+member, ".")
			o.Members = append(o.Members, here)
			if inner.Type == "list" && inner.Flattened {
				m.walk(o, inner.Member.Shape, here, depth+1)
				continue
			}
			m.walk(o, r.Shape, here, depth+1)
		}
	case s.Type == "list":
		m.walk(o, s.Member.Shape, path, depth+1)
	case s.Type == "map":
		o.Members = append(o.Members, path+".*")
		m.walk(o, s.Value.Shape, path+".*", depth+1)
	}
}

func read(file string) (m model) {
	f, err := os.Open(file)
	if err != nil {
		log.Fatal(err)
	}
	var r io.Reader = f
	if strings.HasSuffix(file, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			log.Fatal(err)
		}
	}
	if err := json.NewDecoder(r).Decode(&m); err != nil {
		log.Fatal(err)
	}
	return m
}
