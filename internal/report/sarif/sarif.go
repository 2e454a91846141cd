// Package sarif writes a scan as SARIF 2.1.0 (OASIS standard), which GitHub's code scanning and editors read: a result at
// the row of each secret that needs somebody, and for each finding.
package sarif

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/rastup/rekey/internal/overdue"
)

type log struct {
	Schema  string `json:"$schema"`
	Version string `json:"version"`
	Runs    []run  `json:"runs"`
}

type run struct {
	Tool struct {
		Driver driver `json:"driver"`
	} `json:"tool"`
	Results []result `json:"results"`
}

type driver struct {
	Name           string `json:"name"`
	InformationURI string `json:"informationUri"`
	Rules          []rule `json:"rules"`
}

type rule struct {
	ID               string  `json:"id"`
	ShortDescription message `json:"shortDescription"`
}

type message struct {
	Text string `json:"text"`
}

type result struct {
	RuleID       string            `json:"ruleId"`
	Level        string            `json:"level"`
	Message      message           `json:"message"`
	Locations    []location        `json:"locations,omitempty"`
	Fingerprints map[string]string `json:"partialFingerprints"`
}

type location struct {
	Physical struct {
		Artifact struct {
			URI string `json:"uri"`
		} `json:"artifactLocation"`
		Region struct {
			StartLine int `json:"startLine"`
		} `json:"region"`
	} `json:"physicalLocation"`
}

// states are what somebody must see to, and how loud that is.
var states = []struct {
	state          overdue.State
	id, level, say string
}{
	{overdue.Stuck, "stuck", "error", "A rotation is open and nothing moves"},
	{overdue.Overdue, "overdue", "error", "The secret's rotation date has passed"},
	{overdue.Unknown, "unknown-age", "warning", "Nobody can tell how old the secret is"},
	{overdue.DueSoon, "due-soon", "note", "The secret is due soon"},
}

var findings = []rule{
	{overdue.RuleRowWithoutSecret, message{"A row's secret isn't where it says"}},
	{overdue.RuleSecretWithoutRow, message{"A secret has no row"}},
	{overdue.RuleDatesDiffer, message{"The registry's date isn't that of what is live"}},
	{overdue.RulePastRekey, message{"What is live was made past Rekey"}},
	{overdue.RulePendingLeft, message{"A version was left as the next one"}},
	{overdue.RuleLabelLeft, message{"A label still holds an old version"}},
	{overdue.RuleKeyDisabled, message{"A KMS key is disabled and stays"}},
	{overdue.RuleKeyOrphaned, message{"A KMS key of a rotation has no alias"}},
	{overdue.RuleOwner, message{"An owner isn't there"}},
	{overdue.RuleGate, message{"A GitHub Environment isn't protected as it should be"}},
	{overdue.RuleLock, message{"The evidence store no longer keeps what it has"}},
	{overdue.RuleHeartbeat, message{"The heartbeat wasn't put"}},
	{overdue.RuleNotSeen, message{"Something couldn't be looked at"}},
}

// Write writes s.
func Write(w io.Writer, s overdue.Scan) error {
	r := run{Results: []result{}}
	r.Tool.Driver = driver{Name: "rekey", InformationURI: "https://github.com/rastup/rekey"}
	for _, one := range states {
		r.Tool.Driver.Rules = append(r.Tool.Driver.Rules, rule{one.id, message{one.say}})
		for _, v := range s.Standings {
			if v.State == one.state {
				text := fmt.Sprintf("%s is %s: %s", v.Secret, v.State, v.Why)
				if v.Environment != "" {
					text = fmt.Sprintf("%s is %s in %s: %s", v.Secret, v.State, v.Environment, v.Why)
				}
				r.Results = append(r.Results, at(one.id, one.level, text, v.File, v.Line, v.Secret))
			}
		}
	}
	r.Tool.Driver.Rules = append(r.Tool.Driver.Rules, findings...)
	for _, f := range s.Findings {
		text := f.Text
		if f.Secret != "" {
			text = f.Secret + ": " + text
		}
		if f.Hint != "" {
			text += " (" + f.Hint + ")"
		}
		r.Results = append(r.Results, at(f.Rule, "warning", text, f.File, f.Line, f.Secret+"/"+f.Environment+"/"+f.Text))
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(log{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []run{r}})
}

// at is one result. key keeps it the same one while its text counts days.
func at(id, level, text, file string, line int, key string) result {
	r := result{RuleID: id, Level: level, Message: message{text}, Fingerprints: map[string]string{"rekey/v1": id + "/" + key}}
	if file != "" {
		var l location
		l.Physical.Artifact.URI, l.Physical.Region.StartLine = file, max(line, 1)
		r.Locations = []location{l}
	}
	return r
}
