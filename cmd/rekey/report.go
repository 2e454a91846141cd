package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/report/site"
	"github.com/rastup/rekey/internal/report/site/folder"
)

func newReport(f *flags) *cobra.Command {
	var out string
	var months int
	c := &cobra.Command{
		Use:   "report --out DIR",
		Short: "Write a static site: ages, due dates, each secret's history, each rotation's steps; changes nothing else",
		Long: `Report looks at everything as "rekey overdue" does, and writes what it saw as a static site: an overview with due dates
and ages, a page for each secret with its history and its evidence, a page for each rotation that is open or ended in
the last week, what differs, the same as data.json, and badge.svg. It needs nothing from outside and no JavaScript:
put it on GitHub Pages, keep it as an artifact, or open index.html.

DIR is new, empty, or of a former report, of which this one takes the place; other files in it stay.
The site tells where secrets live, but no values: show it to those who may read the registry.`,
		Args: arguments(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case out == "":
				return usageError{errors.New("where to? give --out DIR")}
			case months < 1:
				return usageError{fmt.Errorf("--months %d: it is 1 or more", months)}
			}
			a, err := f.loaded(c, nil)
			if err != nil {
				return err
			}
			a.Reads, a.Preview = true, true
			d, err := a.Report(c.Context(), months, repositoryPage())
			if err != nil {
				return err
			}
			pages, err := site.Pages(d)
			if err != nil {
				return err
			}
			done, err := folder.Write(out, pages)
			if err != nil {
				return err
			}
			deleted := ""
			if done.Deleted > 0 {
				deleted = fmt.Sprintf(", %d of the former report deleted", done.Deleted)
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s\n%s, %s%s: open %s\n", report.Overdue(d.Scan), report.Count(done.Files, "file"), size(done.Bytes), deleted,
				filepath.ToSlash(filepath.Join(out, "index.html")))
			return err
		},
	}
	c.Flags().StringVar(&out, "out", "", "folder to write to: new, empty, or of a former report")
	c.Flags().IntVar(&months, "months", 13, "how many months of each secret's history; each rotation in them is one read of the evidence")
	return c
}

func size(bytes int64) string {
	if bytes < 1e6 {
		return fmt.Sprintf("%d kB", (bytes+999)/1000)
	}
	return fmt.Sprintf("%.1f MB", float64(bytes)/1e6)
}

// repositoryPage is the page of the repository, where a workflow runs; else "".
func repositoryPage() string {
	if name := os.Getenv("GITHUB_REPOSITORY"); name != "" {
		return cmp.Or(os.Getenv("GITHUB_SERVER_URL"), "https://github.com") + "/" + name
	}
	return ""
}
