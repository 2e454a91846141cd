// Package archtest holds the rules of the house as tests: who may import whom, who may wait, read the clock or
// start a program, how long a file may be. Every rule is shown to be able to fail, and a rule that matches
// nothing fails. It holds no product code and is imported by nobody.
//
// A new room is one line in rooms; a new rule is one line in importRules, sourceRules or textRules.
package archtest
