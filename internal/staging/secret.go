package staging

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/secret"
)

// A Secret is what staging needs to know of a target.
type Secret struct {
	Name   string // or ARN
	KMSKey string // expected key: ID, ARN or alias; "" expects nothing
}

// Content is what one version holds.
type Content struct {
	secret.Value
	Version string
	Binary  bool // stored as SecretBinary
}

// get reads one version under one label. The label is always named: it is what a consumer would read by, and
// not every implementation of the service answers a read without one correctly.
func (l *Labels) get(ctx context.Context, name, id, label string) (Content, error) {
	in := &secretsmanager.GetSecretValueInput{SecretId: &name, VersionStage: &label}
	if id != "" {
		in.VersionId = &id
	}
	return l.fetch(ctx, in)
}

func (l *Labels) fetch(ctx context.Context, in *secretsmanager.GetSecretValueInput) (Content, error) {
	out, err := l.Client.GetSecretValue(ctx, in)
	if err != nil {
		return Content{}, err
	}
	c := Content{Version: aws.ToString(out.VersionId)}
	if out.SecretString != nil {
		c.Value = l.Keep.Known([]byte(*out.SecretString))
	} else {
		c.Value, c.Binary = l.Keep.Known(out.SecretBinary), true
	}
	return c, nil
}

// Steps whose facts are read, and the facts.
const (
	preflight, create, promote, discard = "preflight", "create", "promote", "discard"

	factARN      = "arn"
	factOld      = "old"                  // version ID of AWSCURRENT before
	factPrevious = "previous"             // version ID of AWSPREVIOUS before; "" when there was none
	factKMSKey   = "kms_key"              // as the secret names it; "" is AWS's own key
	factVersion  = "tag_version"          // former value
	factRotated  = "tag_rotated_by"       // former value
	factTags     = "tags"                 // which of the two there were: "version,rotated_by"
	factNew      = "new"                  // version ID of the new credential
	factKeptBy   = "kept_by"              // label that holds the old version
	factLooked   = "looked"               // discard looked once and found nothing
	tagVersion   = "version"              // runbook 2.3
	tagRotatedBy = "rotated_by"           //
	Token        = "value"                // purpose of the new version's ID
	keepPrefix   = "ROLLBACK-"            //
	defaultKey   = "DefaultEncryptionKey" // ListSecretVersionIds's name for aws/secretsmanager
)

// Reads are the steps, by name, whose facts each of the functions here reads: for a kind's recipe.
var Reads = map[string][]string{
	create: {preflight}, "test": {preflight, create}, promote: {preflight, create},
	Follower: {preflight, create, promote}, "decommission": {preflight, create, promote, Follower}, "restore": {preflight, create, promote}, discard: {preflight, create},
}

// kept is what preflight and create recorded, and what follows from the claim.
type kept struct {
	arn, old, new string
	token         string // the new version's ID, whether or not create got to record it
	label         string // holds the old version
}

// recall reads what a step after preflight goes by.
func recall(past rotation.Past) (kept, error) {
	k := kept{arn: past.Fact(preflight, factARN), old: past.Fact(preflight, factOld), new: past.Fact(create, factNew), token: past.Token(create, Token)}
	if k.arn == "" || k.old == "" || k.token == "" {
		return k, fmt.Errorf("the records hold no preflight of this secret, or the plan no step %q", create)
	}
	k.label = keepPrefix + k.token[:8]
	return k, nil
}

// sameKey compares names of KMS keys. comparable is false for an alias and a key ID: which key an alias names
// isn't asked.
func sameKey(a, b string) (same, comparable bool) {
	if strings.HasPrefix(a, "arn:") && strings.HasPrefix(b, "arn:") {
		same = a == b
	} else {
		same = short(a) == short(b)
	}
	return same, isAlias(a) == isAlias(b)
}

// short is a key's ID or alias without the rest of its ARN; "" and AWS's names for its own key are the same.
func short(key string) string {
	key = strings.TrimPrefix(key[strings.LastIndex(key, ":")+1:], "key/")
	if key == "alias/aws/secretsmanager" || key == defaultKey {
		return ""
	}
	return key
}

func isAlias(key string) bool { return strings.HasPrefix(short(key), "alias/") }

// notThere says whether AWS answered that the secret or version doesn't exist.
func notThere(err error) bool { return cloud.Code(err) == cloud.NotFound }
