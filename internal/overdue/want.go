package overdue

import (
	"cmp"
	"slices"
	"strings"
)

// A Want is a request that should be open: of one secret, or of all due secrets of one owner.
type Want struct {
	Slug    string // of its file and branch
	Owner   string
	Secrets []Standing // the most urgent first
}

// State is that of its most urgent secret.
func (w Want) State() State { return w.Secrets[0].State }

// Key is equal while what a person said no to is the same: the same secrets, due on the same days, none of them overdue
// by now.
func (w Want) Key() string {
	var parts []string
	for _, s := range w.Secrets {
		parts = append(parts, s.Secret+" "+string(s.State)+" "+day(s.Due))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

// Wants are the requests for what is overdue or due soon, the most urgent first. rotates says whether a secret can be
// rotated; slug makes a name's part of a file name.
func Wants(s Scan, byOwner bool, rotates func(secret string) bool, slug func(string) string) []Want {
	var all []Want
	at := map[string]int{}
	for _, one := range s.Standings {
		if one.State != Overdue && one.State != DueSoon || !rotates(one.Secret) {
			continue
		}
		key := slug(one.Secret)
		if byOwner {
			key = "owner-" + slug(strings.ToLower(strings.TrimPrefix(one.Owner, "@")))
		}
		i, known := at[key]
		if !known {
			i = len(all)
			at[key], all = i, append(all, Want{Slug: key, Owner: one.Owner})
		}
		all[i].Secrets = append(all[i].Secrets, one)
	}
	slices.SortStableFunc(all, func(a, b Want) int {
		return cmp.Or(cmp.Compare(a.State().rank(), b.State().rank()), a.Secrets[0].Due.Compare(b.Secrets[0].Due), cmp.Compare(a.Slug, b.Slug))
	})
	return all
}
