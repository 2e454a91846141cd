// Package problem owns how a mistake in a file is found, named and shown: positions, rules, hints, suggestions,
// and the strict reading of files and YAML that every input goes through. All problems of an input are reported
// at once. It never changes a file, and never panics: what the YAML library does is turned into a problem.
package problem
