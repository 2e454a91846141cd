package consumer

import (
	"fmt"
	"strings"

	"github.com/rastup/rekey/internal/rotation"
)

// How a version is written where a consumer reads which one to use.
const (
	HoldsVersion = "version"
	HoldsARN     = "arn"
)

// Held is how a version that the kind recorded is written there, which texts call where: its ID, or with HoldsARN its ARN,
// of a KMS key the key's.
func Held(past rotation.Past, version, holds, where string) (string, error) {
	arn := past.Fact("preflight", "arn")
	key := strings.HasPrefix(version, "arn:")
	switch {
	case version == "":
		return "", fmt.Errorf("the records name no version for %s", where)
	case holds != HoldsARN && key:
		return "", rotation.Failf("write holds: arn", "%s can't hold a version: what is rotated is a key", where)
	case holds != HoldsARN || key:
		return version, nil
	case arn == "":
		return "", fmt.Errorf("the records name no secret for %s", where)
	}
	return arn + ":::" + version, nil // as in valueFrom of an ECS task definition
}
