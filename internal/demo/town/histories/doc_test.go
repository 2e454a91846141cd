// Package histories plays random histories of a town and holds them against what must be true of every one.
//
// People open, merge, edit and delete requests, approve late, never or what is theirs, cancel runs and run them again;
// schedules don't come, runners die, answers are lost, applications break. Then everybody calms down, and everything
// must come to an end. A history is its seed, and plays the same each time: REKEY_SEED=n tells one, REKEY_FULL=1 plays a
// thousand.
package histories
