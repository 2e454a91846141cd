package github

import (
	"maps"
	"strings"
)

// merged are the files of a merge of head into base; false where both changed the same lines. What is changed in one
// file counts as one stretch of lines, from the first to the last: git would merge some that are refused here.
func (r *repository) merged(base, head string) (map[string]string, bool) {
	start, ours, theirs := r.mergeBase(base, head).tip(), r.commits[base].tip(), r.commits[head].tip()
	files := maps.Clone(ours)
	mine := changes(start, ours)
	for path, text := range changes(start, theirs) {
		other, both := mine[path]
		if both && other != text {
			if other == "" || text == "" || start[path] == "" {
				return nil, false
			}
			var ok bool
			if text, ok = mergeLines(start[path], other, text); !ok {
				return nil, false
			}
		}
		if text == "" {
			delete(files, path)
		} else {
			files[path] = text
		}
	}
	for path := range files { // a file where the other side made a folder
		for i := strings.IndexByte(path, '/'); i >= 0; {
			if _, clash := files[path[:i]]; clash {
				return nil, false
			}
			next := strings.IndexByte(path[i+1:], '/')
			if next < 0 {
				break
			}
			i += 1 + next
		}
	}
	return files, true
}

// stretch is what one side replaced: lines from to end of the start, by with.
func stretch(start, side []string) (from, end int, with []string) {
	for from < len(start) && from < len(side) && start[from] == side[from] {
		from++
	}
	end = len(start)
	to := len(side)
	for end > from && to > from && start[end-1] == side[to-1] {
		end--
		to--
	}
	return from, end, side[from:to]
}

// mergeLines puts both changes into the text they started from; false where they touch.
func mergeLines(start, ours, theirs string) (string, bool) {
	s := strings.SplitAfter(start, "\n")
	from, end, with := stretch(s, strings.SplitAfter(ours, "\n"))
	from2, end2, with2 := stretch(s, strings.SplitAfter(theirs, "\n"))
	if from > from2 {
		from, end, with, from2, end2, with2 = from2, end2, with2, from, end, with
	}
	if end >= from2 {
		return "", false
	}
	var b strings.Builder
	for _, part := range [][]string{s[:from], with, s[end:from2], with2, s[end2:]} {
		b.WriteString(strings.Join(part, ""))
	}
	return b.String(), true
}
