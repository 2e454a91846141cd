// Package acttest runs this repository's workflows as they are, through act: recorded events, every job a process of
// its own, the files people copy. act honours no environment:, concurrency: or OIDC; package workflowtest holds what
// those must say, and docs/live-checklist.md what only GitHub can show. It has no code of its own, and needs act and
// git: without them it is skipped, in CI it fails.
package acttest
