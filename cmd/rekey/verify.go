package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rastup/rekey/internal/app"
	"github.com/rastup/rekey/internal/evidence"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/report/terminal"
	"github.com/rastup/rekey/internal/rotation"
)

func newVerify(f *flags) *cobra.Command {
	var heads []string
	var asJSON bool
	var pull source
	c := &cobra.Command{
		Use:   "verify [REQUEST...]",
		Short: "Verify the chains and bundles: any changed, missing, added or swapped byte",
		Long: `Verify reads all evidence, or that of the requests named, and says what isn't as it was written. It works
offline on a downloaded folder: rekey verify --evidence file://DIR.

A head that was noted elsewhere, in a comment or a mail, anchors a chain: --anchor ENV/SECRET@SEQ=sha256:HEX.
Then also a tail that was rewritten as a whole is found. --pr N takes the heads from the audit comments of a pull
request, with the token in GITHUB_TOKEN.`,
		RunE: func(c *cobra.Command, paths []string) error {
			anchors, err := parseAnchors(heads)
			if err != nil {
				return usageError{err}
			}
			var wrong []string
			if pull.number > 0 {
				var more []evidence.Anchor
				if more, wrong, err = pull.anchors(c.Context(), f); err != nil {
					return err
				}
				anchors = append(anchors, more...)
			}
			report, err := verify(c, f, paths, anchors)
			if err != nil {
				return err
			}
			for _, w := range wrong {
				fmt.Fprintf(c.ErrOrStderr(), "error: %s\n", problem.Plain(w))
			}
			if asJSON {
				err = json.NewEncoder(c.OutOrStdout()).Encode(report)
			} else {
				err = terminal.Verify(c.OutOrStdout(), report, style(c))
			}
			if err == nil && (report.Err() != nil || len(wrong) > 0) {
				err = errFound
			}
			return err
		},
	}
	c.Flags().StringArrayVar(&heads, "anchor", nil, "a head known from elsewhere: ENV/SECRET@SEQ=sha256:HEX, or a file with one in each line")
	c.Flags().IntVar(&pull.number, "pr", 0, "hold the journal against the audit comments of this pull request")
	c.Flags().StringVar(&pull.repository, "repository", "", "OWNER/NAME of the pull request's repository (default: $GITHUB_REPOSITORY)")
	c.Flags().StringVar(&pull.bot, "bot", actionsBot, "login that writes the audit comments")
	c.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON")
	return c
}

func verify(c *cobra.Command, f *flags, paths []string, anchors []evidence.Anchor) (evidence.Report, error) {
	if dir, ok := strings.CutPrefix(f.evidence, "file://"); ok && len(paths) == 0 {
		return app.VerifyFolder(c.Context(), dir, anchors)
	}
	a, err := f.loaded(c, paths)
	if err != nil {
		return evidence.Report{}, err
	}
	var tasks []app.Task
	if len(paths) > 0 {
		if tasks, err = a.Tasks(c.Context(), paths...); err != nil {
			return evidence.Report{}, err
		}
	}
	return a.Verify(c.Context(), tasks, anchors)
}

// parseAnchors reads ENV/SECRET@SEQ=sha256:HEX, from the flags or from files.
func parseAnchors(args []string) (all []evidence.Anchor, err error) {
	for _, arg := range args {
		lines, by := []string{arg}, "--anchor"
		if !strings.Contains(arg, "=sha256:") {
			data, err := os.ReadFile(arg)
			if err != nil {
				return nil, err
			}
			lines, by = strings.Split(string(data), "\n"), arg
		}
		for _, line := range lines {
			if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			h, err := parseHead(line)
			if err != nil {
				return nil, err
			}
			all = append(all, evidence.Anchor{Head: h, By: by})
		}
	}
	return all, nil
}

func parseHead(s string) (h rotation.Head, err error) {
	where, digest, ok := strings.Cut(s, "=")
	at := strings.LastIndexByte(where, '@')
	env, secret, ok2 := strings.Cut(where[:max(at, 0)], "/")
	if h.Seq, err = strconv.Atoi(where[at+1:]); err != nil || !ok || !ok2 || at < 0 || h.Seq < 1 || len(digest) != len(rotation.Digest(nil)) {
		return h, fmt.Errorf("anchor %q can't be read: ENV/SECRET@SEQ=sha256:HEX is wanted", s)
	}
	h.Chain, h.Digest = rotation.Chain{Environment: env, Secret: strings.ReplaceAll(secret, "~", "/")}, digest
	return h, nil
}
