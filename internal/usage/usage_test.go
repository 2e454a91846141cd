package usage_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rastup/rekey/internal/usage"
)

const arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:shop/db-AbCdEf"

func TestWhatNamesASecret(t *testing.T) {
	s := usage.Secret{ARN: arn, Version: "11111111-1111-4111-a111-111111111111"}
	short := strings.TrimSuffix(arn, "-AbCdEf")
	for text, want := range map[string]string{
		arn:                                     "by ARN",
		short:                                   "by ARN",
		arn + ":password::":                     "by ARN",
		`{"secret":"` + arn + `"}`:              "by ARN",
		"shop/db":                               "by name",
		"secret=shop/db,x":                      "by name",
		"/aws/reference/secretsmanager/shop/db": "by name",
		"arn:aws:ssm:eu-central-1:111122223333:parameter/aws/reference/secretsmanager/shop/db": "by name",
		"11111111-1111-4111-a111-111111111111":                                                 "by its live version",
		"shop/db-replica":                                                                      "",
		"old/shop/db":                                                                          "",
		"shop/database":                                                                        "",
		short + "-replica":                                                                     "",
		"arn:aws:secretsmanager:eu-central-1:999999999999:secret:shop/db":     "",
		"arn:aws:secretsmanager:eu-west-1:111122223333:secret:shop/db-AbCdEf": "",
		"": "",
	} {
		if got := s.In(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	key := usage.Secret{ARN: "arn:aws:kms:eu-central-1:111122223333:key/1234-ab", Alias: "alias/app"}
	for text, want := range map[string]string{key.ARN: "by ARN", "1234-ab": "by ID", "alias/app": "by alias",
		"arn:aws:kms:eu-central-1:111122223333:alias/app": "by alias", "alias/app2": "", "app": ""} {
		if got := key.In(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := (usage.Secret{}).In("x"); got != "" {
		t.Errorf("nothing is named: %q", got)
	}
}

func TestFactsAreBoundedAndReadBack(t *testing.T) {
	var f usage.Found
	for i := range 300 {
		f.Users = append(f.Users, usage.User{Uses: "ecs", With: map[string]string{"cluster": "shop"}, What: "ECS service", Name: fmt.Sprintf("shop/%03d", i), Found: []string{"a", "b", strings.Repeat("c", 500), "d"}})
		f.Gaps = append(f.Gaps, usage.Gap{Uses: "ecs", What: fmt.Sprintf("%03d", i), Why: strings.Repeat("y", 500)})
	}
	facts := f.Facts()
	size := 0
	for _, v := range facts {
		size += len(v)
	}
	if size > 32<<10 {
		t.Errorf("%d bytes", size)
	}
	got, ok := usage.Of(func(key string) string { return facts[key] })
	if !ok || len(got.Users) != usage.MostUsers || got.More != 300-usage.MostUsers || len(got.Gaps) != usage.MostGaps {
		t.Errorf("%t, %d users and %d more, %d gaps", ok, len(got.Users), got.More, len(got.Gaps))
	}
	if d := cmp.Diff([]string{"a", "b", strings.Repeat("c", 159) + "…", "1 more"}, got.Users[0].Found); d != "" {
		t.Error(d)
	}
	if _, ok := usage.Of(func(string) string { return "" }); ok {
		t.Error("what nobody recorded was read")
	}
	if s := (usage.Found{}).String(); s != "nobody was found to name it" {
		t.Error(s)
	}
	if s := (usage.Found{Gaps: f.Gaps[:1]}).String(); !strings.Contains(s, "not looked at: 000") {
		t.Error(s)
	}
}

func TestDriftBothWays(t *testing.T) {
	with := func(s string) json.RawMessage { return json.RawMessage(s) }
	listed := []usage.Listed{
		{Uses: "ecs", Name: "web", With: with(`{"cluster":"arn:aws:ecs:eu-central-1:111122223333:cluster/shop","service":"web","within":"20m"}`)},
		{Uses: "ecs", Name: "gone", With: with(`{"cluster":"shop","service":"gone"}`)},
		{Uses: "lambda", Name: "orders", With: with(`{"function":"arn:aws:lambda:eu-central-1:111122223333:function:orders"}`)},
		{Uses: "lambda", Name: "hidden", With: with(`{"function":"hidden"}`)},
		{Uses: "parameter", Name: "pointer", With: with(`{"name":"arn:aws:ssm:eu-central-1:111122223333:parameter/shop/version"}`)},
	}
	f := usage.Found{Users: []usage.User{
		{Uses: "ecs", With: map[string]string{"cluster": "shop", "service": "web"}, What: "ECS service", Name: "shop/web"},
		{Uses: "ecs", With: map[string]string{"cluster": "other", "service": "web"}, What: "ECS service", Name: "other/web"},
		{Uses: "lambda", With: map[string]string{"function": "orders"}, What: "Lambda function", Name: "orders"},
		{Uses: "parameter", With: map[string]string{"name": "/shop/version"}, What: "parameter", Name: "/shop/version"},
		{What: "event source", Name: "b-1 of function orders"},
	}, Gaps: []usage.Gap{{Uses: "lambda", What: "the environment of 1 function", Why: "kms"}}}
	var got []string
	for _, r := range usage.Compare(listed, []string{"the night export"}, f) {
		got = append(got, fmt.Sprintf("%s: %s %t %s", r.Name, r.Standing, r.Drifts(), r.Line()))
	}
	if d := cmp.Diff([]string{
		"shop/web: listed and found false - ecs: {cluster: shop, service: web}",
		"gone: listed, not found true ",
		"orders: listed and found false - lambda: {function: orders}",
		"hidden: listed, not looked at false ",
		"/shop/version: listed and found false - parameter: {name: /shop/version}",
		"other/web: found, not listed true - ecs: {cluster: other, service: web}",
		"b-1 of function orders: found, nothing deploys it false ",
		"the night export: named by people false ",
	}, got); d != "" {
		t.Error(d)
	}
	if got := (usage.User{Uses: "ecs", With: map[string]string{"service": "1234", "cluster": "yes"}}).Line(); got != `- ecs: {cluster: "yes", service: "1234"}` {
		t.Error(got)
	}
}
