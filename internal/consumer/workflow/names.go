package workflow

import (
	"cmp"
	"encoding/json"
	"maps"
	"regexp"
	"strings"

	"github.com/rastup/rekey/internal/dispatch"
	"github.com/rastup/rekey/internal/rotation"
)

var (
	keyForm     = regexp.MustCompile(`^rekey-[0-9a-f]{20}$`)
	versionForm = regexp.MustCompile(`^[A-Za-z0-9:/_.+=@-]{1,1000}$`)
)

// Names says whether a is a run that a consumer, with its parameters as the registry has them now, may ask for: all but
// key and version stand there. byDefault: it names no ref, so that a's must be the default branch. Who can append to the
// journal can ask for anything; what is started is what was merged. home is the repository of the registry.
func Names(with json.RawMessage, a dispatch.Ask, chain rotation.Chain, home string) (ok, byDefault bool) {
	var s Shape
	if json.Unmarshal(with, &s) != nil {
		return false, false
	}
	inputs := maps.Clone(a.Inputs)
	may := map[string]func(string) bool{
		dispatch.KeyInput: keyForm.MatchString, inputVersion: versionForm.MatchString,
		inputSecret:      func(v string) bool { return v == chain.Secret },
		inputEnvironment: func(v string) bool { return v == chain.Environment },
	}
	for name, fits := range may {
		if v, given := inputs[name]; given && !fits(v) {
			return false, false
		}
		delete(inputs, name)
	}
	ok = strings.EqualFold(a.Repository, cmp.Or(s.Repository, home)) && a.Workflow == s.Workflow && maps.Equal(inputs, s.Inputs) && (s.Ref == "" || a.Ref == s.Ref)
	return ok, s.Ref == ""
}
