package workflow

import (
	"strings"
	"testing"
)

// jobs of a workflow on push, with runs-on and a first step where none is given: "a", "b: needs a, if always()".
const header = "on: push\njobs:\n"

// Each rule about which jobs run, by what a workflow's jobs end with. The source stands before the rule.
func TestWhichJobsRun(t *testing.T) {
	for _, c := range []struct{ rule, jobs, want string }{
		{"Workflow syntax, needs: jobs that need each other run one after the other", `
  a: {runs-on: x, steps: [run: one]}
  b: {runs-on: x, needs: a, steps: [run: two]}
`, "a=success b=success"},
		{"Workflow syntax, needs: a failure applies to all jobs in the dependency chain", `
  a: {runs-on: x, steps: [run: fail]}
  b: {runs-on: x, needs: a, steps: [run: two]}
  c: {runs-on: x, needs: b, steps: [run: three]}
`, "a=failure b=skipped c=skipped"},
		{"Workflow syntax, if: false skips, and what needs it", `
  a: {runs-on: x, if: false, steps: [run: one]}
  b: {runs-on: x, needs: a, steps: [run: two]}
`, "a=skipped b=skipped"},
		{"runner issue 491: success() is about all ancestors, so a skipped one two jobs ago still counts", `
  a: {runs-on: x, if: false, steps: [run: one]}
  b: {runs-on: x, needs: a, if: always(), steps: [run: two]}
  c: {runs-on: x, needs: b, steps: [run: three]}
  d: {runs-on: x, needs: b, if: "needs.b.result == 'success'", steps: [run: four]}
  e: {runs-on: x, needs: b, if: "!cancelled() && needs.b.result == 'success'", steps: [run: five]}
  f: {runs-on: x, needs: b, if: "success() || failure()", steps: [run: six]}
`, "a=skipped b=success c=skipped d=skipped e=success f=skipped"},
		{"Expressions, failure(): true if any ancestor job fails", `
  a: {runs-on: x, steps: [run: fail]}
  b: {runs-on: x, needs: a, if: "!cancelled()", steps: [run: two]}
  c: {runs-on: x, needs: b, if: failure(), steps: [run: three]}
  d: {runs-on: x, if: failure(), steps: [run: four]}
`, "a=failure b=success c=success d=skipped"},
		{"Expressions: a status function anywhere switches success() off, whatever its case", `
  a: {runs-on: x, steps: [run: fail]}
  b: {runs-on: x, needs: a, if: "needs.a.result == 'failure' && (Always() || false)", steps: [run: two]}
  c: {runs-on: x, needs: a, if: "needs.a.result == 'failure'", steps: [run: two]}
`, "a=failure b=success c=skipped"},
		{"Contexts, needs: direct ones only, result and outputs", `
  a: {runs-on: x, outputs: {v: "${{ steps.s.outputs.k }}"}, steps: [{id: s, run: set k=1}]}
  b: {runs-on: x, needs: a, if: "needs.a.outputs.v == 1 && needs.A.OUTPUTS.V == '1'", steps: [run: two]}
  c: {runs-on: x, needs: b, if: "needs.a.outputs.v == ''", steps: [run: three]}
`, "a=success b=success c=success"},
		{"an if that can't be evaluated fails the job", `
  a: {runs-on: x, if: "fromJSON('')", steps: [run: one]}
  b: {runs-on: x, needs: a, if: always(), steps: [run: two]}
`, "a=failure b=success"},
		{"Using conditions to control job execution: if is decided before the matrix; a skipped one has its unexpanded name", `
  a: {name: "a ${{ matrix.s }}", runs-on: x, if: false, strategy: {matrix: {s: [1, 2]}}, steps: [run: one]}
`, "a ${{ matrix.s }}=skipped"},
		{"Running variations of jobs: one job for each combination, the first row slowest", `
  a: {runs-on: x, strategy: {matrix: {s: [1, "2"], t: [x, true]}}, steps: [run: one]}
`, "a (1, x)=success a (1, true)=success a (2, x)=success a (2, true)=success"},
		{"a plain scalar is YAML's number, boolean or null, a quoted one is text", `
  a: {runs-on: x, strategy: {matrix: {s: [0x10, '0x10', 1.50, "1.50", ~, "~"]}}, steps: [run: one]}
`, "a (16)=success a (0x10)=success a (1.5)=success a (1.50)=success a ()=success a (~)=success"},
		{"a name without an expression is followed by the values", `
  a: {name: Build, runs-on: x, strategy: {matrix: {s: [gpu]}}, steps: [run: one]}
  b: {name: "Test ${{ matrix.s }}", runs-on: x, strategy: {matrix: {s: [gpu]}}, steps: [run: one]}
`, "Build (gpu)=success Test gpu=success"},
		{"a name has 100 characters at most", `
  a: {runs-on: x, strategy: {matrix: {s: [` + strings.Repeat("x", 120) + `]}}, steps: [run: one]}
`, "a (" + strings.Repeat("x", 94) + "...=success"},
		{"Running variations of jobs: include extends combinations, or makes its own; exclude takes away", `
  a: {runs-on: x, strategy: {matrix: {fruit: [apple, pear], animal: [cat, dog], include: [{color: green}, {color: pink, animal: cat}, {fruit: apple, shape: circle}, {fruit: banana}, {fruit: banana, animal: cat}], exclude: [{fruit: pear, animal: dog}]}}, steps: [run: one]}
`, "a (apple, cat, pink, circle)=success a (apple, dog, green, circle)=success a (pear, cat, pink)=success a (banana)=success a (banana, cat)=success"},
		{"a matrix of include alone", `
  a: {name: "${{ matrix.to.environment || matrix.e }}", runs-on: x, strategy: {matrix: {include: "${{ fromJSON('[{\"e\":\"dev\"},{\"e\":\"prod\"}]') }}"}}, steps: [run: one]}
`, "dev=success prod=success"},
		{"a whole matrix from an expression", `
  a: {runs-on: x, strategy: {matrix: "${{ fromJSON('{\"s\":[1,2],\"exclude\":[{\"s\":1}]}') }}"}, steps: [run: one]}
`, "a (2)=success"},
		{"a matrix vector without values fails its job, and what needs it is skipped", `
  a: {runs-on: x, strategy: {matrix: {s: "${{ fromJSON('[]') }}"}}, steps: [run: one]}
  b: {runs-on: x, needs: a, steps: [run: two]}
`, "a=failure b=skipped"},
		{"so do an empty include alone, something that isn't a list, and more than 256", `
  a: {runs-on: x, strategy: {matrix: {include: "${{ fromJSON('[]') }}"}}, steps: [run: one]}
  b: {runs-on: x, strategy: {matrix: {s: "${{ fromJSON('\"x\"') }}"}}, steps: [run: one]}
  c: {runs-on: x, strategy: {matrix: "${{ github.ref }}"}, steps: [run: one]}
  d: {runs-on: x, strategy: {matrix: {s: [1, 2, 3, 4, 5, 6, 7, 8, 9], t: [1, 2, 3, 4, 5, 6, 7, 8, 9], u: [1, 2, 3, 4]}}, steps: [run: one]}
  e: {runs-on: x, strategy: {matrix: {s: "${{ fromJSON('') }}"}}, steps: [run: one]}
`, "a=failure b=failure c=failure d=failure e=failure"},
		{"Running variations of jobs, fail-fast: the rest of the matrix is cancelled", `
  a: {runs-on: x, strategy: {matrix: {s: [fail, ok]}}, steps: [run: "${{ matrix.s }}"]}
  b: {runs-on: x, needs: a, if: "always() && needs.a.result == 'failure'", steps: [run: two]}
`, "a (fail)=failure a (ok)=cancelled b=success"},
		{"fail-fast: false lets the rest run; the job's result is a failure all the same", `
  a: {runs-on: x, strategy: {fail-fast: false, matrix: {s: [fail, ok]}}, steps: [run: "${{ matrix.s }}"]}
  b: {runs-on: x, needs: a, if: "!cancelled() && needs.a.result != 'success'", steps: [run: two]}
`, "a (fail)=failure a (ok)=success b=success"},
		{"Passing information between jobs: a matrix's outputs overwrite each other; empty ones aren't set", `
  a: {runs-on: x, strategy: {matrix: {s: [1, 2, 3]}}, outputs: {last: "${{ steps.s.outputs.k }}", own: "${{ matrix.s == 1 && 'one' || '' }}"}, steps: [{id: s, run: "set k=${{ matrix.s != 3 && matrix.s || '' }}"}]}
  b: {runs-on: x, needs: a, if: "needs.a.outputs.last == 2 && needs.a.outputs.own == 'one'", steps: [run: two]}
`, "a (1)=success a (2)=success a (3)=success b=success"},
		{"outputs of a failed job are there", `
  a: {runs-on: x, outputs: {v: "${{ steps.s.outputs.k }}"}, steps: [{id: s, run: "set k=1\nfail"}]}
  b: {runs-on: x, needs: a, if: "!cancelled() && needs.a.outputs.v == '1'", steps: [run: two]}
`, "a=failure b=success"},
		{"a job whose output can't be evaluated fails", `
  a: {runs-on: x, outputs: {v: "${{ fromJSON(steps.s.outputs.k) }}"}, steps: [{id: s, run: one}]}
`, "a=failure"},
		{"Workflow syntax, steps: a failure ends the job; the runner's death does so at once", `
  a: {runs-on: x, steps: [{run: lost}, {if: always(), run: two}]}
  b: {runs-on: x, steps: [{run: "${{ fromJSON('') }}"}, {run: two}]}
`, "a=failure b=failure"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			w := newWorld(t, Options{}, header+c.jobs)
			w.want("jobs", w.results(w.trigger(push)), c.want)
		})
	}
}

// "Expressions", status check functions; "Contexts", steps and job; "Workflow syntax", steps: what is done, in order.
func TestWhichStepsRun(t *testing.T) {
	for _, c := range []struct{ rule, steps, want, result string }{
		{"steps after a failure are passed over, unless their if says otherwise", `
      - {name: one, run: fail}
      - {name: two, run: x}
      - {name: three, if: always(), run: x}
      - {name: four, if: failure(), run: x}
      - {name: five, if: "!cancelled()", run: x}
      - {name: six, if: "success()", run: x}
`, "a/one a/three a/four a/five", failure},
		{"steps context: outputs, outcome, conclusion", `
      - {name: one, id: one, run: "set K=v"}
      - {name: two, id: two, if: "steps.one.outputs.k == 'v' && steps.two.outcome == null", run: fail, continue-on-error: true}
      - {name: three, if: "steps.two.outcome == 'failure' && steps.two.conclusion == 'success' && job.status == 'success'", run: x}
      - {name: four, id: four, if: false, run: x}
      - {name: five, if: "steps.four.outcome == 'skipped' && steps.four.outputs.x == ''", run: x}
`, "a/one a/two a/three a/five", success},
		{"a step's env is there for its own if and with", `
      - {name: one, env: {V: "${{ env.W }}2"}, if: "env.v == '12'", run: x}
      - {name: two, if: "env.V == ''", run: x}
`, "a/one a/two", success},
		{"a step without a name has that of what it runs", `
      - run: |
          first
          second
      - uses: ./
`, "a/Run first a/Run ./", success},
		{"an expression that can't be evaluated fails its step", `
      - {name: one, if: "fromJSON('')", run: x}
      - {name: two, if: failure(), run: x}
      - {name: three, env: {V: "${{ fromJSON('') }}"}, if: failure(), run: x}
      - {name: four, if: always(), uses: ./, with: {V: "${{ fromJSON('') }}"}}
`, "a/two", failure},
	} {
		t.Run(c.rule, func(t *testing.T) {
			w := newWorld(t, Options{}, header+"  a:\n    runs-on: x\n    env: {W: 1}\n    steps:"+c.steps)
			w.want("job", w.results(w.trigger(push)), "a="+c.result)
			w.want("steps", w.done(), c.want)
		})
	}
}

func TestConclusions(t *testing.T) {
	for jobs, want := range map[string]string{
		"a: {runs-on: x, steps: [run: x]}\n  b: {runs-on: x, if: false, steps: [run: x]}": success,
		"a: {runs-on: x, if: false, steps: [run: x]}":                                     skipped,
		"a: {runs-on: x, steps: [run: fail]}\n  b: {runs-on: x, steps: [run: x]}":         failure,
	} {
		w := newWorld(t, Options{}, header+"  "+jobs+"\n")
		w.want("conclusion", w.ended[w.trigger(push)], want)
	}
}
