package lambda

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
		"{function: shop}", "{function: \"arn:aws:lambda:eu-central-1:111122223333:function:shop\", refresh: true, alias: live}",
		"{function: \"arn:aws:lambda:eu-central-1:111122223333:function:shop:live\"}", "{function: shop, alias: live}", "{function: shop, refresh: true, alias: \"7\"}",
		"{function: shop, cache: 20m}", "{function: shop, cache: 20m, within: 30m}", "{function: shop, cache: 13h, within: 20h}", "{}", "{function: shop, aliass: live}",
	} {
		all.WriteString(text + "\n")
		var l problem.List
		problem.Decode(problem.Source{File: "x.yml", What: "the consumer", Text: []byte(text)}, new(Shape), &l)
		if l.Len() > 0 {
			all.WriteString(l.String() + "\n")
		}
	}
	goldentest.Equal(t, "shapes.txt", all.String())
	if s := new(Shape); s.Deadline() != DefaultWithin || s.lasts() != 5*time.Minute+margin || (&Shape{Within: rotation.Duration(time.Hour)}).Deadline() != rotation.Duration(time.Hour) {
		t.Error("other defaults")
	}
}
