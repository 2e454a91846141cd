package config

import "github.com/rastup/rekey/internal/rotation"

// Overdue says how the daily look for what is due goes.
type Overdue struct {
	// Soon is how long before its date a secret is due soon, and its request is opened. Default: 14d.
	Soon rotation.Duration `json:"soon,omitempty" yaml:"soon"`
	// Still is how long an open rotation may stand still before it is shown as stuck. Default: 3d.
	Still rotation.Duration `json:"still,omitempty" yaml:"still"`
	// Report is the address of the published report, for the status issue. Default: none.
	Report string `json:"report,omitempty" yaml:"report" jsonschema:"pattern=^https://."`
	// Requests says which requests are opened as pull requests for what is due. Default: none are.
	Requests *Requests `json:"requests,omitempty" yaml:"requests"`
}

// Requests says how requests for what is due are opened.
type Requests struct {
	// Limit is how many of them may be open at a time. Default: 10.
	Limit int `json:"limit,omitempty" yaml:"limit" jsonschema:"minimum=1,maximum=100"`
	// Group is secret, a pull request for each, or owner, one for all that an owner has due. Default: secret.
	Group string `json:"group,omitempty" yaml:"group" jsonschema:"enum=secret,enum=owner"`
	// Ticket is the standing approval ticket that they name. Default: none; whoever merges one writes it in.
	Ticket string `json:"ticket,omitempty" yaml:"ticket"`
}

// MostOpen is the limit, or its default.
func (r *Requests) MostOpen() int {
	if r.Limit == 0 {
		return 10
	}
	return r.Limit
}
