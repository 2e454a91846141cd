package staging

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/rotation"
)

// Arm reads the versions that the rotation recorded, and gives none back: Keep announces each, so that what a
// command prints of them is removed. Before a command runs in a run that didn't make them itself. A version that
// isn't there can't be printed. known remembers what this process has read; it may be nil.
func (l *Labels) Arm(ctx context.Context, past rotation.Past, known func(version string) (seen bool)) error {
	arn := past.Fact(preflight, factARN)
	ids := append([]string{past.Fact(preflight, factOld), past.Fact(create, factNew)}, past.Inherited(preflight, factOld)...)
	for _, id := range ids {
		if id == "" || arn == "" || known != nil && known(arn+" "+id) {
			continue
		}
		c, err := l.fetch(ctx, &secretsmanager.GetSecretValueInput{SecretId: &arn, VersionId: aws.String(id)})
		if err != nil && !notThere(err) {
			return cloud.Judge(err, fmt.Sprintf("read %s of %q, so that no output shows it", version(id), called(arn)))
		}
		l.part(past, c)
	}
	return nil
}

// part announces single keys' values by themselves: output may hold them without the rest of the JSON. That is the key
// that the target names, which kinds that store under labels all call "key", and the password of a database account.
func (l *Labels) part(past rotation.Past, c Content) {
	var target struct {
		Key string `json:"key"`
	}
	claim, _ := past.Claim()
	s, _ := claim.Plan.Step(create)
	var doc map[string]json.RawMessage
	if len(s.With) == 0 || s.Into(&target) != nil || c.Empty() || json.Unmarshal(c.Reveal(), &doc) != nil {
		return
	}
	for _, key := range []string{target.Key, "password"} {
		var value string
		if key != "" && json.Unmarshal(doc[key], &value) == nil && value != "" {
			l.Keep.Known([]byte(value))
		}
	}
}
