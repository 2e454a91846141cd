package registry

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/config"
	"github.com/rastup/rekey/internal/problem"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"
)

type shape struct {
	Secret string `json:"secret" yaml:"secret" rekey:"required"`
	Key    string `json:"key" yaml:"key"`
}

func (s *shape) Identity() string { return s.Secret + "#" + s.Key }

func testShapes() Shapes {
	return Shapes{
		Kinds:  map[string]func() any{"secretsmanager": func() any { return &shape{} }},
		Checks: map[string]func() any{"http": func() any { return &shape{} }},
	}
}

func houseRules() *config.Config {
	return &config.Config{File: ".github/rekey.yml", Environments: []config.Environment{{Name: "dev"}, {Name: "prod"}}}
}

// document is a registry of so many rows; blocks gives each a heading and a block of two environments.
func document(rows int, blocks bool) []byte {
	var b strings.Builder
	b.WriteString("# Secrets\n\n| Secret | Kind | Owner | Interval | Last rotated | Tags |\n|---|---|---|---|---|---|\n")
	for i := range rows {
		fmt.Fprintf(&b, "| team-%d/service-%d | secretsmanager | @acme/team-%d | 90d | 2026-08-18 | pci, card |\n", i%100, i, i%100)
	}
	for i := range rows {
		if blocks {
			fmt.Fprintf(&b, "\n## team-%d/service-%d\n\n```yaml\ndev:\n  target: {secret: s-%d}\nprod:\n  target: {secret: s-%d}\n  checks:\n    - http: {secret: x}\n```\n", i%100, i, i, i)
		}
	}
	return []byte(b.String())
}

func lint(b []byte) (*Registry, *problem.List) {
	l := &problem.List{}
	r := Parse([]File{{"registry.md", b}}, testShapes(), l)
	Check(r, houseRules(), time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC), l)
	return r, l
}

func bare(b []byte) {
	goldmark.New(goldmark.WithExtensions(extension.Table)).Parser().Parse(text.NewReader(b))
}

func TestLargeRegistriesHaveNoProblem(t *testing.T) {
	for _, blocks := range []bool{false, true} {
		r, l := lint(document(2000, blocks))
		if l.Len() > 0 || len(r.Entries) != 2000 {
			t.Errorf("%d entries\n%.500s", len(r.Entries), l)
		}
	}
}

// Lint against the bare Markdown parse of the same bytes: the ratio is the metric.
func BenchmarkLint(b *testing.B)       { benchmark(b, false) }
func BenchmarkLintBlocks(b *testing.B) { benchmark(b, true) }

func benchmark(b *testing.B, blocks bool) {
	for _, rows := range []int{1000, 10000} {
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) {
			doc := document(rows, blocks)
			b.SetBytes(int64(len(doc)))
			b.ReportAllocs()
			var ours, theirs time.Duration // in turns, so that a busy machine slows down both
			for b.Loop() {
				begin := time.Now()
				lint(doc)
				ours += time.Since(begin)
				b.StopTimer()
				begin = time.Now()
				bare(doc)
				theirs += time.Since(begin)
				b.StartTimer()
			}
			b.ReportMetric(float64(ours)/float64(theirs), "times-goldmark")
			b.ReportMetric(float64(ours.Nanoseconds())/float64(b.N*rows), "ns/row")
		})
	}
}

func BenchmarkGoldmark(b *testing.B) {
	for _, rows := range []int{1000, 10000} {
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) {
			doc := document(rows, false)
			b.SetBytes(int64(len(doc)))
			b.ReportAllocs()
			for b.Loop() {
				bare(doc)
			}
		})
	}
}
