package workflow

import (
	"errors"
	"math"
	"strings"
	"testing"
)

var testScope = scope{
	contexts: map[string]value{
		"needs": newObject().set("plan", newObject().set("result", "success").set("outputs", newObject().set("dev", `["1/2","2/2"]`))),
		"o":     newObject().set("Key", "v").set("n", 3.0).set("list", &array{[]value{"a", 2.0, nil, &array{}}}),
		"github": func() value {
			o := newObject().set("ref", "refs/heads/main").set("event", newObject())
			o.closed = "github"
			return o
		}(),
	},
	status: &status{success: false, failure: true},
}

// Sources: "Expressions" (literals, operators, functions), and of what that page leaves open the runner's
// EvaluationResult, ExpressionUtility, Index, Contains, Format, Join.
func TestExpressions(t *testing.T) {
	for in, want := range map[string]string{
		// literals
		"null": "null", "true": "true", "711": "711", "-9.2": "-9.2", "0xff": "255", "-2.99e-2": "-0.0299", "'It''s open source!'": `"It's open source!"`,
		// property and index access, whatever the case
		"o.key": `"v"`, "O.KEY": `"v"`, "o['kEy']": `"v"`, "o.gone": "null", "o.gone.deeper": "null", "o.key.of_text": "null",
		"o.list[0]": `"a"`, "o.list['1']": "2", "o.list[1.9]": "2", "o.list[9]": "null", "o.list[-1]": "null", "o.list['x']": "null", "o[o.list]": "null",
		"needs.plan.outputs.dev": `"[\"1/2\",\"2/2\"]"`, "needs.gone.result": "null", "github.ref": `"refs/heads/main"`, "github.event.gone": "null",
		// truth; && and || give an operand
		"!0": "true", "!-0": "true", "!''": "true", "!null": "true", "!'false'": "false", "!o": "false", "!fromJSON('[]')": "false", "!fromJSON('\"\"')": "true",
		"1 && 'b'": `"b"`, "0 && 'b'": "0", "'' || 'c'": `"c"`, "o.key || 'c'": `"v"`, "o.gone || '[]'": `"[]"`, "true && false || true": "true",
		// loose comparison
		"'A' == 'a'": "true", "'a' != 'b'": "true", "'1' == 1": "true", "'' == 0": "true", "null == 0": "true", "null == ''": "true", "true == 1": "true",
		"true == '1'": "true", "true == 'true'": "false", "'x' == 0": "false", "'x' != 0": "true", "' 12 ' == 12": "true", "'0x10' == 16": "true", "'0o17' == 15": "true",
		"'1e3' == 1000": "true", "'1_000' == 1000": "false", "'Infinity' > 1": "true", "o == o": "true", "o.list == o.list": "true",
		"fromJSON('[]') == fromJSON('[]')": "false", "fromJSON('[]') == 'Array'": "false", "o == null": "false", "null == null": "true", "o == 1": "false",
		"1 < 2": "true", "'b' > 'A'": "true", "'x' < 1": "false", "'x' >= 1": "false", "2 >= 2": "true", "false < true": "true", "null <= 0": "true", "1 > null": "true",
		"'é' == 'É'": "true", "'a' < 'B'": "true", "o.list < 1": "false",
		// functions
		"contains('Hello world', 'LLO')": "true", `contains(fromJSON('["push", "pull_request"]'), 'PUSH')`: "true", "contains(o.list, '2')": "true",
		"contains(o.list, 'z')": "false", "contains(o, 'v')": "false", "contains(123, 2)": "true", "contains('', '')": "true", "contains('a', o)": "false",
		"startsWith('Hello world', 'he')": "true", "endsWith('Hello world', 'LD')": "true", "startsWith(true, 'TR')": "true", "endsWith(o, '')": "false",
		"format('Hello {0} {1} {2}', 'Mona', 'the', 'Octocat')": `"Hello Mona the Octocat"`, "format('{{Hello {0}!}}', 'Mona')": `"{Hello Mona!}"`,
		"format('{0}{0} {1}', 1, o.list)": `"11 Array"`, "join(o.list, '-')": `"a-2--Array"`, "join('a')": `"a"`, "join(o)": `""`, "join(fromJSON('[1,2]'))": `"1,2"`,
		"fromJSON('3.50')": "3.5", "fromJSON('{\"b\":1,\"a\":[true,null]}').A[0]": "true", "fromJSON('true')": "true", "fromJSON(needs.plan.outputs.dev)[1]": `"2/2"`,
		"toJSON('a\"<')": `"\"a\\\"<\""`, "toJSON(fromJSON('[]'))": `"[]"`, "tojson(fromJSON('{\"b\":[1],\"a\":{}}'))": `"{\n  \"b\": [\n    1\n  ],\n  \"a\": {}\n}"`,
		"fromJSON('100000000000000000000')": "1E+20", "fromJSON('0.1')": "0.1", "fromJSON('123456789012345678')": "1.23456789012346E+17",
		// status functions
		"success()": "false", "failure()": "true", "Always()": "true", "cancelled()": "false", "!cancelled() && needs.plan.result == 'success'": "true",
	} {
		tm, err := parseCondition(in)
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		v, err := testScope.value(tm)
		if err != nil {
			t.Errorf("%s: %v", in, err)
		} else if got := toJSON(v); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

func TestExpressionsThatFail(t *testing.T) {
	for in, want := range map[string]string{
		"fromJSON('')": "no value", "fromJSON('[1')": "parse JSON", "fromJSON('[] 1')": "more text", "fromJSON('{a:1}')": "not JSON", "fromJSON(o)": "fromJSON of an object",
		"fromJSON('" + strings.Repeat("[", 200) + "')": "too deep", "format('{0')": "invalid", "format('{9}', 1)": "more arguments", "format('}')": "invalid", "format('{a}', 1)": "invalid",
		"github.run_nmber": "not modelled", "github['x']": "not modelled", "secrets.x": "not modelled", "hashFiles('x')": "not modelled", "o.list.*": "not modelled",
		"contains('a')": "number of arguments", "toJSON(1, 2)": "number of arguments",
	} {
		tm, err := parseCondition(in)
		if err == nil {
			_, err = testScope.value(tm)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", in, err, want)
		}
		if strings.Contains(want, "not modelled") != errors.Is(err, ErrNotModelled) {
			t.Errorf("%s: %v: is ErrNotModelled %v", in, err, errors.Is(err, ErrNotModelled))
		}
	}
	for _, in := range []string{"", "o..x", `"double"`, "1 +", "(o", "${{ o", "${{ }}"} {
		if _, err := parseCondition(in); err == nil {
			t.Errorf("%q: parsed", in)
		}
	}
}

// A text that is one expression keeps its kind, and any other is a text; so that what stands beside ${{ }} in an `if`
// makes it true ("Expressions", note on if; GitHub's reusable text on the expression syntax of if).
func TestTemplates(t *testing.T) {
	for in, want := range map[string]string{
		"${{ 1 }}": "1", "${{ 1 }}${{ 2 }}": `"12"`, "a ${{ o.n }} b ${{ null }}${{ true }}": `"a 3 b true"`, "${{ o.list }}!": `"Array!"`, "plain": `"plain"`,
		"${{ 'a }} b' }}": `"a }} b"`, " ${{ false }}": `" false"`, "": `""`,
	} {
		tm, err := parseTemplate(in)
		if err != nil {
			t.Fatal(err)
		}
		v, err := testScope.value(tm)
		if got := toJSON(v); err != nil || got != want {
			t.Errorf("%q: got %s %v, want %s", in, got, err, want)
		}
	}
	c, err := parseCondition("always() && ${{ false }}")
	if err != nil {
		t.Fatal(err)
	}
	if holds, err := testScope.condition(&c); holds || err != nil {
		t.Errorf("text beside an expression: the status function in the text counted: %v %v", holds, err)
	}
}

func TestNumbersFromText(t *testing.T) {
	for in, want := range map[string]float64{"": 0, "  ": 0, "1.": 1, ".5": .5, "+1": 1, "1e400": math.Inf(1), "0xFFFFFFFF": -1, "-Infinity": math.Inf(-1)} {
		if got := number(in); got != want {
			t.Errorf("%q: got %v, want %v", in, got, want)
		}
	}
	for _, in := range []string{"a", "1a", "0x", "0xg", "0o8", "infinity", "--1", "1e", "0x1FFFFFFFF", "0x_1"} {
		if got := number(in); !math.IsNaN(got) {
			t.Errorf("%q: got %v, want NaN", in, got)
		}
	}
}

func FuzzExpression(f *testing.F) {
	for _, s := range []string{"o.list[0] == 'a' && contains(o, 1)", "format('{0}}', 1)", "fromJSON('[1]')[o.n]", "${{ 1 }} x ${{", "!!(null)", "join(o.list, o)", "0xff < -1e9"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, parse := range []func(string) (template, error){parseTemplate, parseCondition} {
			tm, err := parse(s)
			if err != nil {
				continue
			}
			v, err := testScope.value(tm)
			again, errAgain := testScope.value(tm)
			if (err == nil) != (errAgain == nil) || err == nil && toJSON(v) != toJSON(again) {
				t.Errorf("%q: %v %v, then %v %v", s, v, err, again, errAgain)
			}
			if truthy(v) == truthy(!truthy(v)) {
				t.Errorf("%q: %v is both", s, v)
			}
			tm.asksStatus()
		}
	})
}
