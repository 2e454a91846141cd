// Package acttest runs this repository's workflows as they are, through act: recorded events, every job a process of
// its own, the files people copy. act honours no environment:, permissions:, concurrency: or OIDC. For the program
// itself a runner of the test's stands around each job instead: it holds the job at its GitHub Environment until people
// answer, gives it a token with its permissions and an identity, against GitHub and AWS of the sandbox. Package
// workflowtest holds what the files must say, and docs/live-checklist.md what only GitHub can show. It has no code of
// its own, and needs act and git: without them it is skipped, in CI it fails.
package acttest
