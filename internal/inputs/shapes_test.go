package inputs_test

import (
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/registry"
	"github.com/rastup/rekey/internal/rotation"
)

// Shapes like those of the real kind and checks, so that what is tested here doesn't change with them.
type target struct {
	Secret   string    `json:"secret" yaml:"secret" rekey:"required"`
	Key      string    `json:"key,omitempty" yaml:"key"`
	Generate *generate `json:"generate,omitempty" yaml:"generate"`
}

type generate struct {
	Length   int    `json:"length,omitempty" yaml:"length" jsonschema:"minimum=16,maximum=4096"`
	Alphabet string `json:"alphabet,omitempty" yaml:"alphabet" jsonschema:"enum=alphanumeric,enum=hex,enum=base64url"`
}

func (t *target) Identity() string { return t.Secret + "#" + t.Key }

func (g *generate) Check(r *problem.Report) {
	if g.Alphabet == "hex" && g.Length%2 != 0 {
		r.Add("length", "generate", "add one", "hex digits come in pairs")
	}
}

type http struct {
	URL    string            `json:"url" yaml:"url" rekey:"required"`
	Status int               `json:"status,omitempty" yaml:"status"`
	Within rotation.Duration `json:"within,omitempty" yaml:"within"`
}

type command struct {
	Run    []string          `json:"run" yaml:"run" rekey:"required"`
	Within rotation.Duration `json:"within,omitempty" yaml:"within"`
}

func shapes() registry.Shapes {
	return registry.Shapes{
		Kinds: map[string]func() any{"secretsmanager": func() any { return &target{} }},
		Checks: map[string]func() any{
			"http":    func() any { return &http{} },
			"command": func() any { return &command{} },
		},
	}
}
