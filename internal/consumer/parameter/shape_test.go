package parameter

import (
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/goldentest"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/rotation"
)

func TestShapesThatCantBeRight(t *testing.T) {
	var all strings.Builder
	for _, text := range []string{
		"{name: /shop/version}", "{name: \"arn:aws:ssm:eu-central-1:111122223333:parameter/shop/version\", holds: arn}", "{name: \"/shop/version:3\"}",
		"{name: /shop/version, label: live}", "{name: /shop/version, label: 1st}", "{name: /shop/version, label: AWSCURRENT}",
		"{name: /shop/version, holds: value}", "{}",
	} {
		all.WriteString(text + "\n")
		var l problem.List
		problem.Decode(problem.Source{File: "x.yml", What: "the consumer", Text: []byte(text)}, new(Shape), &l)
		if l.Len() > 0 {
			all.WriteString(l.String() + "\n")
		}
	}
	goldentest.Equal(t, "shapes.txt", all.String())
	if (&Shape{}).Deadline() != DefaultWithin || (&Shape{Within: rotation.Duration(time.Hour)}).Deadline() != rotation.Duration(time.Hour) {
		t.Error("other defaults")
	}
}
