// Package workflowtest is the rules that this repository's workflows and its action.yml keep, as tests: who may write
// what, what stands behind a GitHub Environment, when a job is there at all. People copy these files, so each rule is
// shown to be able to fail: a changed text must be found by exactly the rule it breaks. Nothing here reaches GitHub;
// package acttest runs the same files. It holds no product code.
package workflowtest
