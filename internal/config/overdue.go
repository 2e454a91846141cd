package config

import "github.com/rastup/rekey/internal/rotation"

// Overdue says how the daily look for what is due goes.
type Overdue struct {
	// Soon is how long before its date a secret is due soon, and its request is opened. Default: 14d.
	Soon rotation.Duration `json:"soon,omitempty" yaml:"soon"`
	// Still is how long an open rotation may stand still before it is shown as stuck. Default: 3d.
	Still rotation.Duration `json:"still,omitempty" yaml:"still"`
}
