package registry_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/registry"
)

func dated(page string, dates map[string]time.Time) (string, []registry.Change, []problem.Problem) {
	r := registry.Parse([]registry.File{{Path: "registry.md", Bytes: []byte(page)}}, registry.Shapes{}, &problem.List{})
	var l problem.List
	text, changes := r.Dated("registry.md", dates, &l)
	return string(text), changes, l.Sorted()
}

func TestOnlyTheCellsOfLaterDatesChange(t *testing.T) {
	nov24 := time.Date(2026, 11, 24, 9, 41, 0, 0, time.UTC)
	const head = "Prose | with a pipe 2026-01-01\n\n| Secret | Kind | Owner | Interval | Last rotated | Tags |\n|---|---|---|---|---|---|\n"
	for _, c := range []struct{ name, was, is string }{
		{"a date", "| a/b | k | @o | 90d | 2026-01-01 | pci |", "| a/b | k | @o | 90d | 2026-11-24 | pci |"},
		{"never", "| a/b | k | @o | 90d | never | pci |", "| a/b | k | @o | 90d | 2026-11-24 | pci |"},
		{"never, padded", "| a/b | k | @o | 90d | never        | pci |", "| a/b | k | @o | 90d | 2026-11-24   | pci |"},
		{"never, padded a little", "| a/b | k | @o | 90d | never   | pci |", "| a/b | k | @o | 90d | 2026-11-24 | pci |"},
		{"nothing", "| a/b | k | @o | 90d | | pci |", "| a/b | k | @o | 90d | 2026-11-24 | pci |"},
		{"nothing at all", "| a/b | k | @o | 90d || pci |", "| a/b | k | @o | 90d |2026-11-24| pci |"},
		{"a dash", "| a/b | k | @o | 90d | — | pci |", "| a/b | k | @o | 90d | 2026-11-24 | pci |"},
		{"code", "| a/b | k | @o | 90d | `2026-01-01` | pci |", "| a/b | k | @o | 90d | `2026-11-24` | pci |"},
		{"bold", "|a/b|k|@o|90d|**2026-01-01**|pci|", "|a/b|k|@o|90d|**2026-11-24**|pci|"},
		{"no outer pipes", "a/b | k | @o | 90d | 2026-01-01 | pci", "a/b | k | @o | 90d | 2026-11-24 | pci"},
		{"CRLF", "| a/b | k | @o | 90d | 2026-01-01 | pci |\r", "| a/b | k | @o | 90d | 2026-11-24 | pci |\r"},
		{"the same day", "| a/b | k | @o | 90d | 2026-11-24 | pci |", "| a/b | k | @o | 90d | 2026-11-24 | pci |"},
		{"later already", "| a/b | k | @o | 90d | 2026-11-25 | pci |", "| a/b | k | @o | 90d | 2026-11-25 | pci |"},
		{"another secret", "| a/c | k | @o | 90d | 2026-01-01 | pci |", "| a/c | k | @o | 90d | 2026-01-01 | pci |"},
		{"the same date elsewhere in the row", "| a/b | k | @o | 90d | 2026-01-01 | y2026-01-01 |", "| a/b | k | @o | 90d | 2026-11-24 | y2026-01-01 |"},
	} {
		t.Run(c.name, func(t *testing.T) {
			const tail = "\n\nlast rotated 2026-01-01, a/b | never\n"
			got, changes, problems := dated(head+c.was+tail, map[string]time.Time{"a/b": nov24, "not/there": nov24})
			if diff := cmp.Diff(head+c.is+tail, got); diff != "" || len(problems) > 0 {
				t.Errorf("(-want +got):\n%s\n%v", diff, problems)
			}
			if (c.was != c.is) != (len(changes) == 1) {
				t.Errorf("changes: %v", changes)
			}
		})
	}
}

func TestADateWithoutAPlaceIsAProblem(t *testing.T) {
	at := map[string]time.Time{"a/b": time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)}
	for _, page := range []string{
		"| Secret | Kind | Owner | Interval |\n|---|---|---|---|\n| a/b | k | @o | 90d |\n",
		"| Secret | Kind | Owner | Interval | Last rotated |\n|---|---|---|---|---|\n| a/b | k | @o | 90d |\n",
		"| Secret | Kind | Owner | Interval | Last rotated |\n|---|---|---|---|---|\n| a/b | k | @o | 90d | last spring |\n",
	} {
		got, changes, problems := dated(page, at)
		if got != page || len(changes) != 0 || len(problems) != 1 || problems[0].Pos.Line != 3 {
			t.Errorf("%q: got %q, %v, %v", page, got, changes, problems)
		}
	}
}

func TestManyDatesAtOnceReadBackAsWritten(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		var page strings.Builder
		page.WriteString("| Tags | Last rotated | Secret | Kind | Owner | Interval |\n|:-|--:|---|---|---|---|\n")
		dates, want := map[string]time.Time{}, map[string]time.Time{}
		base := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
		for i := range 1 + rnd.IntN(30) {
			name := fmt.Sprintf("team/s%d", i)
			written := []string{"never", "", "—", "`never`", "**never**"}[rnd.IntN(5)]
			if rnd.IntN(2) == 0 {
				want[name] = base.AddDate(0, 0, rnd.IntN(100))
				written = want[name].Format(time.DateOnly)
			}
			if rnd.IntN(2) == 0 {
				dates[name] = base.AddDate(0, 0, rnd.IntN(100)).Add(time.Duration(rnd.IntN(86400)) * time.Second)
				if d := dates[name].Truncate(24 * time.Hour); d.After(want[name]) {
					want[name] = d
				}
			}
			fmt.Fprintf(&page, "| %s |%s%s%s| %s | k | @o | 90d |\n", []string{"", "pci", "ü"}[rnd.IntN(2)], strings.Repeat(" ", rnd.IntN(4)),
				written, strings.Repeat(" ", rnd.IntN(9)), name)
		}
		got, _, problems := dated(page.String(), dates)
		r := registry.Parse([]registry.File{{Path: "x", Bytes: []byte(got)}}, registry.Shapes{}, &problem.List{})
		for _, e := range r.Entries {
			if !e.LastRotated.Equal(want[e.Secret]) {
				t.Fatalf("seed %d: %s is %s, want %s\n%s\n%s", seed, e.Secret, e.LastRotated, want[e.Secret], page.String(), got)
			}
		}
		again, changes, _ := dated(got, dates)
		if again != got || len(changes) != 0 || len(problems) != 0 || strings.Count(got, "|") != strings.Count(page.String(), "|") {
			t.Fatalf("seed %d: not the same again: %v %v", seed, changes, problems)
		}
	}
}
