// Package rekey holds the workflow files that users copy and this repository runs, for whoever plays or checks them.
package rekey

import "embed"

// Workflows are .github/workflows/rotate.yml, rotation-plan.yml and rotation-overdue.yml, and action.yml.
//
//go:embed .github/workflows/rotate.yml .github/workflows/rotation-plan.yml .github/workflows/rotation-overdue.yml action.yml
var Workflows embed.FS
