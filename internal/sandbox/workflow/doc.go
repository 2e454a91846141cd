// Package workflow is GitHub Actions' scheduler inside the sandbox: it reads our own workflow files with actionlint's
// parser and plays them, without a runner, a shell or a network. It owns which job may run when, with which
// environment, outputs and token; what a step does is the caller's. It must never guess: what it doesn't model is
// refused when the file is loaded, or is an error of Advance.
//
// Nothing runs by itself and nothing sleeps. Trigger, Cancel and Rerun change what is wanted; Advance carries out all
// that can happen at the clock's present time, one step of one job at a time, in the order of runs, of jobs in the file
// and of a matrix's combinations, or in the order that Options.Pick chooses. The same calls give the same history.
//
// The rules, each with its test, and where they come from (pages of GitHub's documentation by title; "runner" is the
// source of github.com/actions/runner):
//
//   - A job without a status function in its `if` has success() in front; success() is false when any ancestor failed,
//     was cancelled or was skipped, failure() is true when any ancestor failed ("Expressions", status check functions;
//     "Workflow syntax", jobs.<job_id>.needs; actions/runner issue 491).
//   - `if` is decided before the matrix ("Using conditions to control job execution"), so a skipped job is one job
//     under its unexpanded name.
//   - A matrix without a combination fails its job: "Matrix vector 'x' does not contain any values". 256 combinations
//     at most ("Actions limits"). fail-fast is the default ("Running variations of jobs in a workflow").
//   - Outputs of a matrix's jobs are merged, the last one that is set wins; empty ones are not set ("Passing
//     information between jobs"; runner, JobExtension).
//   - Each job that names an environment asks for itself; any one reviewer suffices; a rejected job fails; nobody's
//     answer for 30 days fails it ("Deployments and environments", "Reviewing deployments"). One answer covers the
//     jobs that wait for that environment in that run at that moment ("REST API endpoints for workflow runs", review
//     pending deployments). A branch that may not deploy fails the job.
//   - A run ends after 35 days ("Actions limits").
//   - One running and one pending member of a concurrency group; a newer one replaces the pending one; names ignore
//     case ("Control the concurrency of workflows and jobs").
//   - A re-run has the same commit, the next attempt and, of failed jobs only, the outputs of those that succeeded
//     ("Re-running workflows and jobs"). Whether an approval from before still counts is said in two ways by
//     GitHub: Options.KeepApprovals plays either.
//   - Cancelling decides `if` again for what runs ("Workflow cancellation reference").
//   - Permissions named at a job or workflow replace all others ("Workflow syntax", permissions); a fork's pull request
//     gets no write and no secrets.
//   - Values, comparison and conversion as the runner has them ("Expressions"; runner, EvaluationResult and
//     ExpressionUtility).
//
// Decided here where nothing says it: in a cancelled run failure() is false for jobs as it is for steps; what hasn't
// begun when a run is cancelled is cancelled if it was queued or waiting and skipped if it was blocked; a run that was
// cancelled concludes so even after a failure; a job enters its concurrency group before its gate; re-running failed
// jobs runs cancelled ones too; the 35 days count from the attempt.
//
// Not modelled: calling workflows, containers, services, snapshots, max-parallel, continue-on-error of a job, wait
// timers and other protection rules, an environment's reviewers being removed while a job waits, timeouts, runner
// queues, GITHUB_ENV and GITHUB_PATH, masked outputs, size limits, the filter *, hashFiles, case.
package workflow
